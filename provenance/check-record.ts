/**
 * Whether a record may be on this log: the one list of checks that the log server runs at admission and an auditor repeats
 * for every index. It decides from the log alone (earlier records and their keys), never from configuration.
 *
 * What it cannot see: sealed sections, and whether what a record says is true.
 *
 * @module
 */
import { equalBytes, fromHex, toHex } from '../merkle/bytes.ts'
import type { Hash } from '../merkle/hash.ts'
import { type Authorization, foundingKey, isValidAt } from './authorities.ts'
import { checkContent } from './check-content.ts'
import type { ProvenanceError } from './error.ts'
import { type LinkRelation, linkRelationsOf, linkRule, linkTargetType, signersOf } from './link-rules.ts'
import { issuedAtOf, type RecordStatement } from './record.ts'
import { countLinks, type RecordContext, refuse } from './record-context.ts'
import { forbids } from './retraction.ts'

/**
 * Runs every check, and returns under which authority the record was signed.
 *
 * @throws {@link ProvenanceError} the codes below "Whether a record may be on this log", and `malformed_record`
 */
export function checkRecord(r: RecordStatement, context: RecordContext): Authorization | 'admin' {
  checkDate(r, context)
  checkLinkCounts(r)
  const authority = isAdminRecord(r, context) ? checkAdmin(r, context) : checkSigner(r, context)
  checkLinkTargets(r, context)
  checkNotRetracted(r, context)
  if (authority !== 'admin') checkOwnLinks(r, authority, context)
  checkContent(r, authority, context)
  checkWraps(r, context)
  checkNoneErased(r, context)
  return authority
}

function checkDate(r: RecordStatement, { now, maxClockSkew }: RecordContext): void {
  if (issuedAtOf(r) > now + maxClockSkew) throw refuse('issued_in_future', `dated ${issuedAtOf(r) - now} s from now`)
}

/** The row of {@link LINK_RULES}: neither too few nor too many, and no relation that it does not have. */
function checkLinkCounts({ record: { type, links } }: RecordStatement): void {
  for (const rel of linkRelationsOf(type)) {
    const { min } = linkRule(type, rel)!
    if (countLinks(links, rel) < min) throw refuse('link_missing', `a ${type} must link to its ${rel}`)
  }
  for (const { rel } of links) {
    const max = linkRule(type, rel)?.max ?? 0
    if (countLinks(links, rel) > max) throw refuse('link_too_many', `a ${type} has at most ${max} links to ${rel}`)
  }
}

/** Of what the admin signs, some is for others to sign too: then the key decides. */
function isAdminRecord(
  { record: { type }, statement }: RecordStatement,
  { authorities, index }: RecordContext,
): boolean {
  const signers = signersOf(type)
  if (!signers.includes('admin') || signers.length === 1) return signers.includes('admin')
  const policy = authorities.policyAt(index ?? Number.POSITIVE_INFINITY)
  return policy?.adminKids.includes(statement.signer.kid) ?? false
}

/** By an admin key of the policy in force; for entry 0, by one of those that it names itself. In the name of the log. */
function checkAdmin({ record, statement }: RecordStatement, { authorities, index }: RecordContext): 'admin' {
  const { kid } = statement.signer
  const policy = authorities.policyAt(index ?? Number.POSITIVE_INFINITY)
  const founding = policy === undefined && record.type === 'log-policy' && (index ?? 0) === 0
  const { fields } = founding ? record : (policy ?? authorities.policy())
  const isAdmin = founding ? foundingKey(record, kid) !== undefined : policy?.adminKids.includes(kid)
  if (!isAdmin) {
    const known = authorities.keyOf(kid) !== undefined
    throw refuse(known ? 'role_not_authorized' : 'unknown_key', `${kid} is no key of the log's admin`)
  }
  if (statement.header.issuer !== fields.origin) throw refuse('issuer_mismatch', `the admin signs as ${fields.origin}`)
  return 'admin'
}

/** By a key that the log authorized for this, in force at this place and date, for the party that the statement names. */
function checkSigner(r: RecordStatement, context: RecordContext): Authorization {
  const { authorities, index, now, maxClockSkew } = context
  const { statement, record } = r
  const { kid } = statement.signer
  const roles = signersOf(record.type)
  const issuedAt = issuedAtOf(r)
  const isLinked = linkRule(record.type, 'key-authorization') !== undefined

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
    if (isRetracted(each.entry, r, context)) continue
    furthest = Math.max(furthest, 3)
    if (each.subject !== statement.header.issuer) continue
    furthest = 4
    if (!isLinked || linksTo(r, 'key-authorization', each.entry)) found = each
  }
  if (!found) throw unauthorized(furthest, r)
  return found
}

/** @param furthest - how many of the conditions above the best of the key's authorizations met */
function unauthorized(furthest: number, r: RecordStatement): ProvenanceError {
  const { kid } = r.statement.signer
  if (furthest === 0) return refuse('role_not_authorized', `${kid} may not sign a ${r.record.type}`)
  if (furthest === 1) return refuse('outside_key_validity', `${kid} is not valid at ${issuedAtOf(r)}`)
  if (furthest === 2) return refuse('key_retracted', `${kid} was withdrawn`)
  if (furthest === 3) return refuse('issuer_mismatch', `${kid} is not a key of ${r.statement.header.issuer}`)
  return refuse('wrong_authorization', 'not signed under the key-authorization that it links to')
}

function linksTo({ record: { links } }: RecordStatement, rel: LinkRelation, entry: Hash): boolean {
  for (const link of links) if (link.rel === rel && equalBytes(link.entry, entry)) return true
  return false
}

/** Every link leads to a record of the right type that was there before. */
function checkLinkTargets(
  r: RecordStatement,
  { targets, index = Number.POSITIVE_INFINITY, maxClockSkew }: RecordContext,
): void {
  const { type, links } = r.record
  for (const { rel, entry } of links) {
    const target = targets.get(toHex(entry))
    if (!target) throw refuse('link_dangling', `${rel} ${toHex(entry)} is not on this log`)
    const wanted = linkTargetType(type, rel)
    if (wanted && target.type !== wanted && target.type !== 'erased')
      throw refuse('link_wrong_type', `${rel} leads to a ${target.type}, not to a ${wanted}`)
    if (target.index >= index || target.issuedAt > issuedAtOf(r) + maxClockSkew) {
      throw refuse('link_later_than_record', `${rel} leads to a record that came later`)
    }
  }
}

/** Whether what is linked to was withdrawn before this record came, which may not rest on it. */
function isRetracted(target: Hash, r: RecordStatement, context: RecordContext): boolean {
  const { authorities, index, now, maxClockSkew } = context
  const retraction = authorities.retractionOf(target, index)
  if (!retraction) return false
  // As for keys that expire: at admission our clock counts too.
  const at = index === undefined ? Math.max(issuedAtOf(r), now - maxClockSkew) : issuedAtOf(r)
  return forbids(retraction, at)
}

/**
 * Nothing new rests on what was withdrawn: a policy, the criteria of a result, the key of the Verifier who signed it. A denial may: that
 * is what it is for. So may what comes after it: the next version, or an erasure.
 */
function checkNotRetracted(r: RecordStatement, context: RecordContext): void {
  const { authorities, targets } = context
  const { type, links } = r.record
  if (type === 'issuance-denied' || authorities.nothingRetracted) return
  for (const { rel, entry } of links) {
    if (rel === 'previous' || rel === 'erases' || rel === 'retracts') continue
    const target = targets.get(toHex(entry))!
    // Only where criteria were ever withdrawn: in most logs none were, and this is asked for each link.
    const criteria = authorities.criteriaRetracted ? (target.criteria ?? []).map(fromHex) : []
    const relied = [entry, ...criteria]
    if (target.type === 'attestation-result') {
      const verifier = authorities.inForce(target.signer, target.index).findLast(({ role }) => role === 'verifier')
      if (verifier) relied.push(verifier.entry)
    }
    const withdrawn = relied.find((each) => isRetracted(each, r, context))
    if (withdrawn) throw refuse('link_retracted', `${rel} rests on ${toHex(withdrawn)}, which was withdrawn`)
  }
}

/** Last: a record that an erasure excuses from one check has passed all others. */
function checkNoneErased({ record: { type, links } }: RecordStatement, { targets }: RecordContext): void {
  const gone = links.find(({ rel, entry }) => linkTargetType(type, rel) && targets.get(toHex(entry))?.type === 'erased')
  if (gone) throw refuse('link_erased', `${gone.rel} leads to a statement that was erased`)
}

/** Whoever changes something, changes something of their own. Keys come and go: the party is the authorized identifier. */
function checkOwnLinks(r: RecordStatement, { subject }: Authorization, { authorities, targets }: RecordContext): void {
  for (const { rel, entry } of r.record.links) {
    if (!linkRule(r.record.type, rel)?.own) continue
    const { signer, type } = targets.get(toHex(entry))!
    // Whose it was, nobody can tell any more.
    if (type === 'erased') continue
    if (!authorities.authorizations(signer).some((each) => each.subject === subject)) {
      throw refuse('link_not_own', `${rel} leads to a record of another party`)
    }
  }
}

/** Wraps are not in the log, so only admission can ask for them. */
function checkWraps({ record }: RecordStatement, { authorities, index, wrapRecipients = [] }: RecordContext): void {
  if (index !== undefined || !record.sealed) return
  const missing = authorities.policy().fields.requireWrapFor?.find((kid) => !wrapRecipients.includes(kid))
  if (missing !== undefined) throw refuse('wrap_required', `this log requires a wrap for ${missing}`)
}
