/**
 * What a relying party asks of the records in a bundle, once it is known that they are on the log and signed by whom they say:
 * is this the credential, are these parties ones that I trust, was this good enough, did it happen in the right order?
 *
 * @module
 */
import { toHex } from '../../merkle/bytes.ts'
import type { Hash } from '../../merkle/hash.ts'
import { isAtLeast, type Tier, worstTier } from '../attestation/tier.ts'
import type { Credential } from '../credential.ts'
import { ProvenanceError } from '../error.ts'
import { checkCommitments } from '../log-reference.ts'
import type { Authorities, Authorization } from '../rules/authorities.ts'
import type { RecordType } from '../rules/link-rules.ts'
import { type LoggedRecord, linked } from './log-evidence.ts'
import type { Trust } from './trust.ts'
import { type Finding, type NotChecked, notChecked } from './verification-report.ts'

/** The first statement. That it is the only provenance record keeps a reader from being shown one of two. */
export function provenanceOf(records: readonly LoggedRecord[], index: number): LoggedRecord<'credential-provenance'> {
  const found = recordsOf(records, 'credential-provenance')
  if (found.length !== 1 || found[0]!.index !== index) {
    throw new ProvenanceError('unexpected_record', `${found.length} provenance records in the bundle, or not the first`)
  }
  return found[0]!
}

/** RP check 7: a record for the right digest may still tell a better story than the credential. */
export function checkClearFields({ signed }: LoggedRecord<'credential-provenance'>, credential: Credential): void {
  const { fields } = signed.record
  checkDigest(fields.credentialDigest, credential, 'the record')
  if (fields.kind !== credential.kind) throw mismatch(`the record is about a ${fields.kind}`)
  if (fields.notAfter !== credential.notAfter) throw mismatch(`the record says until ${time(fields.notAfter)}`)
  if (credential.notBefore !== undefined && fields.notBefore !== credential.notBefore) {
    throw mismatch(`the record says from ${time(fields.notBefore)}`)
  }
  if (signed.statement.header.issuedAt! >= fields.notAfter)
    throw mismatch('the record is from after the credential expired')
}

/**
 * Both directions: a credential that names an intent has a record that links that very one, by the same issuer (`checkRecord`), and is what the
 * intent commits to; and a record that links an intent is about a credential that names it.
 */
export function checkBinding(
  record: LoggedRecord<'credential-provenance'>,
  records: readonly LoggedRecord[],
  credential: Credential,
  origin: string,
): Finding<unknown> {
  const { logReference: named } = credential
  const [intent] = linked(records, record, 'issuance-intent')
  if (!named && !intent)
    return { value: undefined, detail: 'the record names the credential, and the credential no entry' }
  if (!named) throw new ProvenanceError('intent_mismatch', 'announced by an intent that the credential does not name')
  if (!intent)
    throw new ProvenanceError('intent_mismatch', `the record was not announced by entry ${toHex(named.entry)}`)
  if (named.log !== origin) throw new ProvenanceError('intent_mismatch', `announced on ${named.log}, and recorded here`)
  const { index, signed } = intent
  if (toHex(named.entry) !== toHex(signed.entry) || (named.index ?? index) !== index) {
    throw new ProvenanceError('intent_mismatch', `announced by entry ${index}, and the credential names another`)
  }
  if (credential.identifier === undefined) throw new ProvenanceError('intent_mismatch', 'a credential without jti')
  const { kind, identifier, keyThumbprint } = credential
  checkCommitments(signed.record.fields, { kind, identifier, keyThumbprint, subject: credential.subject.uri })
  return { value: intent, detail: `announced by entry ${index}, which commits to its subject, key and identifier` }
}

/** The record that says whom this credential stands for, by its own issuer (`checkRecord`). The log keeps it to one. */
export function generalizationOf(
  record: LoggedRecord<'credential-provenance'>,
  records: readonly LoggedRecord[],
): LoggedRecord<'identity-generalization'> | undefined {
  const [found, ...more] = recordsOf(records, 'identity-generalization').filter((each) =>
    linked(records, each, 'credential-provenance').includes(record),
  )
  if (more.length > 0) throw new ProvenanceError('unexpected_record', 'the credential stands for two others')
  return found
}

/** RP check 9: the weakest result governs. */
export function checkAttestation(
  record: LoggedRecord<'credential-provenance'>,
  records: readonly LoggedRecord[],
  { minimumTier }: Trust,
): Finding<Tier> {
  const results = linked(records, record, 'attestation-result')
  for (const result of results) checkCurrent(result, issuedAt(record))
  const tier = worstTier(results.map(({ signed }) => signed.record.fields.tier))
  const { unattestedReason } = record.signed.record.fields
  const why = unattestedReason === undefined ? '' : ` (${unattestedReason})`
  const detail = `${results.length} results, ${tier}${why}; you demand ${minimumTier}`
  if (!isAtLeast(tier, minimumTier)) {
    throw new ProvenanceError(results.length === 0 ? 'not_attested' : 'tier_too_low', detail)
  }
  return { value: tier, detail }
}

function checkCurrent({ signed }: LoggedRecord<'attestation-result'>, moment: number): void {
  const { issuedAt: from, expiresAt } = signed.record.fields
  if (from > moment || expiresAt <= moment) {
    const period = `from ${time(from)} until ${time(expiresAt)}`
    throw new ProvenanceError('result_not_current', `a result ${period}, and an issuance at ${time(moment)}`)
  }
}

/**
 * What an issuer shows of itself is held to what is demanded of workloads: a Verifier that is trusted, by criteria that were in force, current
 * when it issued, and good enough. It need not show any. Whom the result is about is sealed in it: that is the issuer's word.
 */
export function checkIssuerAttestation(
  record: LoggedRecord<'credential-provenance'>,
  records: readonly LoggedRecord[],
  trust: Trust,
): Finding<Tier> | NotChecked {
  const link = record.signed.record.links.find(({ rel }) => rel === 'issuer-attestation')
  if (!link) return notChecked('the issuer shows no attestation result about itself')
  const result = recordsOf(records, 'attestation-result').find(
    ({ signed }) => toHex(signed.entry) === toHex(link.entry),
  )!
  checkTrusted(result, trust.verifiers, 'untrusted_verifier')
  if (result.signed.statement.signer.kid === record.signed.statement.signer.kid) {
    throw new ProvenanceError('issuer_is_verifier', 'the issuer attests itself')
  }
  checkCriteria(result, records, trust)
  checkCurrent(result, issuedAt(record))
  const { tier } = result.signed.record.fields
  const detail = `${tier} by ${partyOf(result).subject}; you demand ${trust.minimumTier}`
  if (!isAtLeast(tier, trust.minimumTier)) throw new ProvenanceError('tier_too_low', detail)
  return { value: tier, detail: `${detail}; that it is about the issuer is the issuer’s word` }
}

/** RP check 10: what was decided by, at the time it was decided. */
export function checkPolicies(
  record: LoggedRecord<'credential-provenance'>,
  records: readonly LoggedRecord[],
  trust: Trust,
): Finding<unknown> {
  const [issuance] = linked(records, record, 'issuance-policy')
  checkTrusted(issuance!, trust.issuers, 'untrusted_issuer')
  checkInForce(issuance!, issuedAt(record))
  for (const result of linked(records, record, 'attestation-result')) {
    checkCriteria(result, records, trust)
  }
  const [provenance] = linked(records, record, 'workload-provenance')
  // A vendor vouches for what it built, and is trusted by those who wrote the policy, not by those who read the result.
  const { role } = partyOf(provenance!)
  if (role === 'issuer') checkTrusted(provenance!, trust.issuers, 'untrusted_issuer')
  const { policyId, version, confidential } = issuance!.signed.record.fields
  if (confidential && !record.signed.record.fields.confidential) {
    throw new ProvenanceError('not_attested', `${policyId} is for confidential workloads, and the record is not`)
  }
  return { value: issuance, detail: `issued under ${policyId} version ${version}` }
}

function checkCriteria(
  result: LoggedRecord<'attestation-result'>,
  records: readonly LoggedRecord[],
  trust: Trust,
): void {
  for (const each of [...linked(records, result, 'appraisal-policy'), ...linked(records, result, 'reference-values')]) {
    checkTrusted(each, trust.verifiers, 'untrusted_verifier')
    checkInForce(each, result.signed.record.fields.issuedAt)
  }
}

function checkInForce(
  { signed }: LoggedRecord<'issuance-policy' | 'appraisal-policy' | 'reference-values'>,
  moment: number,
): void {
  const { policyId, notBefore, notAfter } = signed.record.fields
  if (moment < notBefore || (notAfter !== undefined && moment >= notAfter)) {
    throw new ProvenanceError('policy_not_in_force', `${policyId} at ${time(moment)}`)
  }
}

/** What a credential was issued on, and could be withdrawn: by name, and the entries that stand for it. */
function groundsOf(record: LoggedRecord<'credential-provenance'>, records: readonly LoggedRecord[]): [string, Hash][] {
  const results = linked(records, record, 'attestation-result')
  const criteria = results.flatMap((result) => [
    ...linked(records, result, 'appraisal-policy'),
    ...linked(records, result, 'reference-values'),
  ])
  const policies = [...linked(records, record, 'issuance-policy'), ...criteria]
  return [
    ...policies.map(({ signed: { record: by, entry } }): [string, Hash] => [`${by.type} ${by.fields.policyId}`, entry]),
    ...[record, ...results].map(partyOf).map(({ subject, entry }): [string, Hash] => [`the key of ${subject}`, entry]),
  ]
}

/**
 * RP check 11. What was withdrawn as of the issuance, or before, the credential must not rest on; nor, for who is strict, what was withdrawn
 * since. The others are told of it.
 */
export function checkRetractions(
  record: LoggedRecord<'credential-provenance'>,
  records: readonly LoggedRecord[],
  authorities: Authorities,
  { at, strict = false }: { readonly at: number; readonly strict?: boolean | undefined },
): Finding<readonly string[]> {
  const decidedAt = issuedAt(record)
  const withdrawn = groundsOf(record, records).flatMap(([what, entry]) => {
    const retraction = authorities.retractionOf(entry)
    return retraction && retraction.effectiveAt <= Math.max(at, decidedAt) ? [{ what, ...retraction }] : []
  })
  const bad = withdrawn.find(({ effectiveAt }) => strict || effectiveAt <= decidedAt)
  if (bad) {
    throw new ProvenanceError('grounds_retracted', `${bad.what}: from ${time(bad.effectiveAt)} on${reason(bad)}`)
  }
  const since = withdrawn.map((each) => `${each.what} from ${time(each.effectiveAt)} on${reason(each)}`)
  return { value: since, detail: since.length > 0 ? `withdrawn since: ${since.join('; ')}` : 'nothing was withdrawn' }
}

/**
 * RP check 11. Of the changes that are effective, the last one on the log counts, with two exceptions: a revocation is for
 * ever (RFC 5280 §5.3.1), so a reinstatement after it does not; and nothing but a reinstatement ends a suspension, so that a
 * successor (`superseded`, `migrated`) does not bring the suspended credential back.
 */
export function checkStatus(
  record: LoggedRecord<'credential-provenance'>,
  records: readonly LoggedRecord[],
  at: number,
): Finding<string> {
  const digest = toHex(record.signed.record.fields.credentialDigest)
  const changes = recordsOf(records, 'credential-status')
    .filter(({ signed }) => toHex(signed.record.fields.credentialDigest) === digest)
    .filter(({ signed }) => signed.record.fields.effectiveAt <= at)
    .toSorted((a, b) => a.index - b.index)
    .map(({ signed }) => signed.record.fields)
  const revoked = changes.find(({ status }) => status === 'revoked')
  if (revoked) throw new ProvenanceError('credential_revoked', `since ${time(revoked.effectiveAt)}${reason(revoked)}`)
  const standing = changes.findLast(({ status }) => status === 'suspended' || status === 'reinstated')
  if (standing?.status === 'suspended') {
    throw new ProvenanceError('credential_suspended', `since ${time(standing.effectiveAt)}${reason(standing)}`)
  }
  const last = changes.at(-1)
  return {
    value: last?.status ?? 'valid',
    detail: last ? `${last.status} since ${time(last.effectiveAt)}` : 'no change of status',
  }
}

function reason({ reasonCode }: { readonly reasonCode?: string }): string {
  return reasonCode === undefined ? '' : `: ${reasonCode}`
}

export function checkDigest(digest: Hash, credential: Credential, what: string): void {
  if (toHex(digest) !== toHex(credential.digest)) {
    throw new ProvenanceError('credential_mismatch', `${what} is about credential ${toHex(digest)}`)
  }
}

export function checkTrusted(
  logged: LoggedRecord,
  trusted: ReadonlySet<string>,
  code: 'untrusted_issuer' | 'untrusted_verifier',
): void {
  const { subject } = partyOf(logged)
  if (!trusted.has(subject)) {
    throw new ProvenanceError(
      code,
      `${subject}, who signed the ${logged.signed.record.type}, is not one that you trust`,
    )
  }
}

/** Whose word a record is. Types that the administrator signs do not come here: the link table keeps them apart. */
export function partyOf({ authority, signed }: LoggedRecord): Authorization {
  if (authority === 'admin')
    throw new ProvenanceError('unexpected_record', `a ${signed.record.type} by the administrator`)
  return authority
}

function recordsOf<T extends RecordType>(records: readonly LoggedRecord[], type: T): readonly LoggedRecord<T>[] {
  return records.filter(({ signed }) => signed.record.type === type) as LoggedRecord<T>[]
}

export function issuedAt({ signed }: LoggedRecord): number {
  return signed.statement.header.issuedAt!
}

function mismatch(why: string): ProvenanceError {
  return new ProvenanceError('credential_mismatch', why)
}

/** For people: evidence may hold a time beyond what a calendar has. */
export function time(seconds: number): string {
  const known = writtenTimes.get(seconds)
  if (known !== undefined) return known
  const date = new Date(seconds * 1000)
  const written = Number.isNaN(date.getTime()) ? `${seconds} s` : date.toISOString().replace('.000Z', 'Z')
  if (writtenTimes.size === MAX_WRITTEN_TIMES) writtenTimes.clear()
  writtenTimes.set(seconds, written)
  return written
}

/** A report names half a dozen moments, mostly those of the report before, and writing one takes 2 µs. */
const writtenTimes = new Map<number, string>()
const MAX_WRITTEN_TIMES = 64
