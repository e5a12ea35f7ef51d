/**
 * Whether a record may be on this log: the one list of checks that the log server runs at admission and an auditor repeats
 * for every index. It decides from the log alone (earlier records and their keys), never from configuration.
 *
 * What it cannot see: sealed sections, and whether what a record says is true.
 *
 * @module
 */
import { equalBytes, toHex } from '../merkle/bytes.ts'
import type { Hash } from '../merkle/hash.ts'
import { type Authorities, type Authorization, foundingKey, isValidAt } from './authorities.ts'
import { ProvenanceError, type ProvenanceErrorCode } from './error.ts'
import { parseWorkloadIdentifier } from './identifier.ts'
import {
  isErasable,
  LINK_RULES,
  type LinkRule,
  linkRule,
  linkTargetType,
  type RecordType,
  signersOf,
} from './link-rules.ts'
import { issuedAtOf, type RecordOf, type RecordStatement } from './record.ts'

/** What must be known of a record that others link to: {@link linkTargetOf}. */
export interface LinkTarget {
  readonly index: number
  /** `foreign`: no record of ours. `erased`: an auditor finds no statement there; what it was, the log knew when it was linked to. */
  readonly type: RecordType | 'foreign' | 'erased'
  /** POSIX seconds. */
  readonly issuedAt: number
  /** kid. */
  readonly signer: string
  /** Of a `credential-provenance`: lower-case hex. A `credential-status` that links to it is refused without. */
  readonly credentialDigest?: string
}

export interface RecordContext {
  /** From the records before this one. May know later ones too, if `index` is given. */
  readonly authorities: Authorities
  /** What the links lead to, by entry in lower-case hex. Links to what is not here are dangling. */
  readonly targets: ReadonlyMap<string, LinkTarget>
  /** POSIX seconds. */
  readonly now: number
  /** How far clocks may be apart, in seconds. */
  readonly maxClockSkew: number
  /** Where the record is, when it is on the log. Without it the record is asking for admission, at `now`. */
  readonly index?: number
  /** At admission: the kids of the recipients for whom a wrap came along. */
  readonly wrapRecipients?: readonly string[]
}

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
  if (authority !== 'admin') checkOwnLinks(r, authority, context)
  checkContent(r, authority, context)
  checkWraps(r, context)
  checkNoneErased(r, context)
  return authority
}

/** What others who link to the record at `index` need to know of it. */
export function linkTargetOf(index: number, r: RecordStatement): LinkTarget {
  const { record, statement } = r
  return {
    index,
    type: record.type,
    issuedAt: issuedAtOf(r),
    signer: statement.signer.kid,
    ...(record.type === 'credential-provenance' && { credentialDigest: toHex(record.fields.credentialDigest) }),
  }
}

function checkDate(r: RecordStatement, { now, maxClockSkew }: RecordContext): void {
  if (issuedAtOf(r) > now + maxClockSkew) throw refuse('issued_in_future', `dated ${issuedAtOf(r) - now} s from now`)
}

/** The row of {@link LINK_RULES}: neither too few nor too many, and no relation that it does not have. */
function checkLinkCounts({ record: { type, links } }: RecordStatement): void {
  const counts = new Map<string, number>()
  for (const { rel } of links) counts.set(rel, (counts.get(rel) ?? 0) + 1)
  const rules: Readonly<Record<string, LinkRule>> = LINK_RULES[type].links
  for (const [rel, { min }] of Object.entries(rules)) {
    if ((counts.get(rel) ?? 0) < min) throw refuse('link_missing', `a ${type} must link to its ${rel}`)
  }
  for (const [rel, count] of counts) {
    const max = linkRule(type, rel)?.max ?? 0
    if (count > max) throw refuse('link_too_many', `a ${type} has at most ${max} links to ${rel}`)
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
  const { kid } = r.statement.signer
  const { type, links } = r.record
  const roles = signersOf(type)
  const issuedAt = issuedAtOf(r)

  if (!authorities.keyOf(kid)) throw refuse('unknown_key', `${kid} is not authorized on this log`)
  const forRole = authorities.authorizations(kid).filter(({ role }) => roles.includes(role))
  if (forRole.length === 0) throw refuse('role_not_authorized', `${kid} may not sign a ${type}`)

  const inForce = authorities.inForce(kid, index).filter((each) => forRole.includes(each))
  // The date is the signer's own word. So at admission the key must not have expired by our clock either: whoever steals
  // it afterwards could date records back into its validity.
  const stillValid = (each: Authorization) =>
    index !== undefined || now - maxClockSkew < (each.notAfter ?? Number.POSITIVE_INFINITY)
  const valid = inForce.filter((each) => isValidAt(each, issuedAt) && stillValid(each))
  if (valid.length === 0) throw refuse('outside_key_validity', `${kid} is not valid at ${issuedAt}`)

  const { issuer } = r.statement.header
  const own = valid.filter(({ subject }) => subject === issuer)
  if (own.length === 0) throw refuse('issuer_mismatch', `${kid} is not a key of ${issuer}`)

  if (!linkRule(type, 'key-authorization')) return own.at(-1)!
  const named = own.find(({ entry }) =>
    links.some((link) => link.rel === 'key-authorization' && equalBytes(link.entry, entry)),
  )
  if (!named) throw refuse('wrong_authorization', 'not signed under the key-authorization that it links to')
  return named
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

/** What a type demands beyond its links. */
function checkContent(r: RecordStatement, authority: Authorization | 'admin', context: RecordContext): void {
  const { record } = r
  if (record.type === 'log-policy') checkLogPolicy(record, context)
  if (record.type === 'key-authorization') checkKeyAuthorization(record, context)
  if (record.type === 'issuance-policy') checkPeriod(record.fields.notBefore, record.fields.notAfter)
  if (record.type === 'appraisal-policy') checkPeriod(record.fields.notBefore, record.fields.notAfter)
  if (record.type === 'reference-values') checkPeriod(record.fields.notBefore, record.fields.notAfter)
  if (record.type === 'attestation-result') checkPeriod(record.fields.issuedAt, record.fields.expiresAt)
  if (record.type === 'credential-provenance') {
    checkPeriod(record.fields.notBefore, record.fields.notAfter)
    checkLifetime(record, authority)
    checkAttestation(record, r.statement.signer.kid, context)
  }
  if (record.type === 'credential-status') checkStatus(record, context)
  if (record.type === 'erasure') checkErasure(record, authority, context)
}

/** A log keeps its name for life, and its policies are one chain. */
function checkLogPolicy({ fields, links }: RecordOf<'log-policy'>, { authorities, index }: RecordContext): void {
  const previous = links[0]
  const policy = authorities.policyAt(index ?? Number.POSITIVE_INFINITY)
  if (!policy) {
    if (previous) throw refuse('not_a_successor', 'the first policy has none before it')
    return
  }
  const { entry, fields: inForce } = policy
  if (fields.origin !== inForce.origin) throw refuse('wrong_origin', `this log is ${inForce.origin}`)
  if (!previous) throw refuse('link_missing', 'a later log-policy must link to the one in force')
  if (!equalBytes(previous.entry, entry)) throw refuse('not_a_successor', 'its previous is not the policy in force')
}

function checkKeyAuthorization(
  { fields, links }: RecordOf<'key-authorization'>,
  { authorities, index }: RecordContext,
): void {
  checkPeriod(fields.notBefore, fields.notAfter)
  if (parseWorkloadIdentifier(fields.subject).trustDomain !== fields.trustDomain) {
    throw refuse('trust_domain_mismatch', `${fields.subject} is not in ${fields.trustDomain}`)
  }
  for (const { entry } of links) {
    const previous = authorities.authorizationIn(entry)
    if (previous && !authorities.inForce(previous.kid, index).includes(previous)) {
      throw refuse('not_a_successor', 'its previous has been replaced already')
    }
  }
}

function checkLifetime({ fields }: RecordOf<'credential-provenance'>, authority: Authorization | 'admin'): void {
  const longest = authority === 'admin' ? undefined : authority.maxCredentialLifetime
  if (longest !== undefined && fields.notAfter - fields.notBefore > longest) {
    throw refuse('lifetime_too_long', `this issuer's credentials live at most ${longest} s`)
  }
}

function checkAttestation(
  { fields, links }: RecordOf<'credential-provenance'>,
  kid: string,
  { targets }: RecordContext,
): void {
  const results = links.filter(({ rel }) => rel === 'attestation-result')
  if (fields.attestation === 'attested' && results.length === 0) throw refuse('link_missing', 'attested, by no result')
  if (fields.attestation === 'none' && results.length > 0) throw refuse('link_too_many', 'unattested, with results')
  if (fields.attestation === 'none' && fields.confidential) throw refuse('not_attested', 'confidential, and unattested')
  checkComponents(fields.components, results.length)
  // An issuer that vouches for its own subject is no Verifier (RFC 9334 §3.1): the two roles must not be one key.
  if (results.some(({ entry }) => targets.get(toHex(entry))!.signer === kid)) {
    throw refuse('issuer_is_verifier', 'issuer and verifier of a credential must have different keys')
  }
}

/** Every part of a composite workload is appraised: there is a result for each, or one for several. */
function checkComponents(components: number | undefined, results: number): void {
  if (components === undefined) return
  if (results === 0) throw refuse('link_missing', `${components} parts attested, by no result`)
  if (results > components) throw refuse('link_too_many', `${results} results, for ${components} parts`)
}

/** Statuses are found by credential digest: a link to one's own record must not carry the digest of somebody else's. */
function checkStatus({ fields, links }: RecordOf<'credential-status'>, { targets }: RecordContext): void {
  const { entry } = links.find(({ rel }) => rel === 'credential-provenance') as { entry: Hash }
  const { type, credentialDigest } = targets.get(toHex(entry))!
  if (type !== 'erased' && credentialDigest !== toHex(fields.credentialDigest)) {
    throw refuse('status_mismatch', 'its credential is not the one of the record it links to')
  }
}

/** Whoever sealed something may destroy the keys to it. What everybody could read and rely on goes by the log's own decision. */
function checkErasure(
  { fields, links }: RecordOf<'erasure'>,
  authority: Authorization | 'admin',
  { targets }: RecordContext,
): void {
  if (fields.scope === 'statement' && authority !== 'admin') {
    throw refuse('role_not_authorized', 'a statement is erased by the admin of the log alone')
  }
  const { type } = targets.get(toHex(links[0]!.entry))!
  if (!isErasable(type)) throw refuse('not_erasable', `a ${type} cannot be erased`)
}

/** Wraps are not in the log, so only admission can ask for them. */
function checkWraps({ record }: RecordStatement, { authorities, index, wrapRecipients = [] }: RecordContext): void {
  if (index !== undefined || !record.sealed) return
  const missing = authorities.policy().fields.requireWrapFor?.find((kid) => !wrapRecipients.includes(kid))
  if (missing !== undefined) throw refuse('wrap_required', `this log requires a wrap for ${missing}`)
}

function checkPeriod(from: number, until: number | undefined): void {
  if (until !== undefined && until <= from) throw refuse('malformed_record', `a period from ${from} until ${until}`)
}

function refuse(code: ProvenanceErrorCode, message: string): ProvenanceError {
  return new ProvenanceError(code, message)
}
