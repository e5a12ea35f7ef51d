/**
 * Whether the log has authorized whoever signed a record to sign one of its type, at its place and date. The header tells all that is asked
 * here, so that a reader who has no time for what records say can ask it of every one.
 *
 * @module
 */
import { equalBytes } from '../../merkle/bytes.ts'
import type { Hash } from '../../merkle/hash.ts'
import type { ProvenanceError } from '../error.ts'
import { issuedAtOf, type ProvenanceRecord, type RecordStatement } from '../record.ts'
import { type Authorization, foundingKey, isValidAt } from './authorities.ts'
import { type LinkRelation, linkRule, type RecordType, signersOf } from './link-rules.ts'
import { type RecordContext, refuse } from './record-context.ts'
import { forbids } from './retraction.ts'

/** What a record says of its signer. That the signature is by the key named here was checked before. */
export interface SignerClaim {
  readonly type: RecordType
  readonly kid: string
  /** The party in whose name it is signed. */
  readonly issuer: string
  /** POSIX seconds. */
  readonly issuedAt: number
}

export type SignerContext = Pick<RecordContext, 'authorities' | 'index' | 'maxClockSkew' | 'now'>

export function claimOf(r: RecordStatement): SignerClaim {
  const { signer, header } = r.statement
  return { type: r.record.type, kid: signer.kid, issuer: header.issuer, issuedAt: issuedAtOf(r) }
}

/**
 * Under which authority the record was signed: the admin's, or that of an authorization, of several the latest.
 *
 * @param record - what it says, where that is known: the first of all names its own signers, and most name the authorization that they are under
 * @throws {@link ProvenanceError} `unknown_key`, `role_not_authorized`, `outside_key_validity`, `key_retracted`, `issuer_mismatch`,
 *   `wrong_authorization`; `not_a_successor` before entry 0
 */
export function checkAuthority(
  claim: SignerClaim,
  context: SignerContext,
  record?: ProvenanceRecord,
): 'admin' | Authorization {
  return isAdminRecord(claim, context) ? checkAdmin(claim, context, record) : checkSigner(claim, context, record)
}

/** Of what the admin signs, some is for others to sign too: then the key decides. */
function isAdminRecord({ type, kid }: SignerClaim, { authorities, index }: SignerContext): boolean {
  const signers = signersOf(type)
  if (!signers.includes('admin') || signers.length === 1) return signers.includes('admin')
  const policy = authorities.policyAt(index ?? Number.POSITIVE_INFINITY)
  return policy?.adminKids.includes(kid) ?? false
}

/** By an admin key of the policy in force; for entry 0, by one of those that it names itself. In the name of the log. */
function checkAdmin(
  { kid, issuer }: SignerClaim,
  { authorities, index }: SignerContext,
  record: ProvenanceRecord | undefined,
): 'admin' {
  const policy = authorities.policyAt(index ?? Number.POSITIVE_INFINITY)
  const founding = policy === undefined && record?.type === 'log-policy' && (index ?? 0) === 0 ? record : undefined
  const { fields } = founding ?? policy ?? authorities.policy()
  const isAdmin = founding ? foundingKey(founding, kid) !== undefined : policy?.adminKids.includes(kid)
  if (!isAdmin) {
    const known = authorities.keyOf(kid) !== undefined
    throw refuse(known ? 'role_not_authorized' : 'unknown_key', `${kid} is no key of the log's admin`)
  }
  if (issuer !== fields.origin) throw refuse('issuer_mismatch', `the admin signs as ${fields.origin}`)
  return 'admin'
}

/** By a key that the log authorized for this, in force at this place and date, for the party that the statement names. */
function checkSigner(claim: SignerClaim, context: SignerContext, record: ProvenanceRecord | undefined): Authorization {
  const { authorities, index, now, maxClockSkew } = context
  const { type, kid, issuer, issuedAt } = claim
  const roles = signersOf(type)
  const linking = record && linkRule(type, 'key-authorization') !== undefined ? record : undefined

  if (!authorities.keyOf(kid)) throw refuse('unknown_key', `${kid} is not authorized on this log`)
  let furthest = 0
  let found: Authorization | undefined
  for (const each of authorities.authorizations(kid)) {
    if (!roles.includes(each.role)) continue
    furthest = Math.max(furthest, 1)
    if (!authorities.isInForce(each, index) || !isValidAt(each, issuedAt)) continue
    // The date is the signer's own word. So at admission the key must not have expired by our clock either: whoever steals
    // it afterwards could date records back into its validity.
    if (index === undefined && each.notAfter !== undefined && now - maxClockSkew >= each.notAfter) continue
    furthest = Math.max(furthest, 2)
    if (isRetracted(each.entry, issuedAt, context)) continue
    furthest = Math.max(furthest, 3)
    if (each.subject !== issuer) continue
    furthest = 4
    if (!linking || linksTo(linking, 'key-authorization', each.entry)) found = each
  }
  if (!found) throw unauthorized(furthest, claim)
  return found
}

/** @param furthest - how many of the conditions above the best of the key's authorizations met */
function unauthorized(furthest: number, { type, kid, issuer, issuedAt }: SignerClaim): ProvenanceError {
  if (furthest === 0) return refuse('role_not_authorized', `${kid} may not sign a ${type}`)
  if (furthest === 1) return refuse('outside_key_validity', `${kid} is not valid at ${issuedAt}`)
  if (furthest === 2) return refuse('key_retracted', `${kid} was withdrawn`)
  if (furthest === 3) return refuse('issuer_mismatch', `${kid} is not a key of ${issuer}`)
  return refuse('wrong_authorization', 'not signed under the key-authorization that it links to')
}

function linksTo({ links }: ProvenanceRecord, rel: LinkRelation, entry: Hash): boolean {
  for (const link of links) if (link.rel === rel && equalBytes(link.entry, entry)) return true
  return false
}

/** Whether what a record of this date links to, or was signed under, was withdrawn before it came: then it may not rest on it. */
export function isRetracted(target: Hash, issuedAt: number, context: SignerContext): boolean {
  const { authorities, index, now, maxClockSkew } = context
  const retraction = authorities.retractionOf(target, index)
  if (!retraction) return false
  // As for keys that expire: at admission our clock counts too.
  return forbids(retraction, index === undefined ? Math.max(issuedAt, now - maxClockSkew) : issuedAt)
}
