/**
 * What a type of record demands beyond its signer and its links: periods that are none, a credential that nobody attested, the withdrawal of
 * what is somebody else's. A part of {@link checkRecord}, in `check-record.ts`.
 *
 * @module
 */
import { equalBytes, toHex } from '../../merkle/bytes.ts'
import type { Hash } from '../../merkle/hash.ts'
import { parseWorkloadIdentifier } from '../identifier.ts'
import { type AnyRecordOf, issuedAtOf, type RecordOf, type RecordStatement } from '../record.ts'
import type { Authorization } from './authorities.ts'
import { isErasable, isRetractable } from './link-rules.ts'
import { countLinks, groundsOf, type LinkTarget, type RecordContext, refuse } from './record-context.ts'

/** What a type demands beyond its links. */
export function checkContent(r: RecordStatement, authority: Authorization | 'admin', context: RecordContext): void {
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
    checkConfidential(record)
    checkUnattested(record)
    checkIntent(record, context)
  }
  if (record.type === 'issuance-intent') {
    checkPeriod(record.fields.notBefore, record.fields.notAfter)
    checkLifetime(record, authority)
    checkAttestation(record, r.statement.signer.kid, context)
  }
  if (record.type === 'credential-status') checkStatus(record, context)
  if (record.type === 'identity-generalization') checkSameCredential(record, context)
  if (record.type === 'retraction') checkRetraction(record, authority, context)
  if (record.type === 'erasure') checkErasure(record, authority, context)
  if (record.type === 'audit-report') checkAuditReport(record, issuedAtOf(r), context)
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

function checkLifetime(
  { fields }: AnyRecordOf<'credential-provenance' | 'issuance-intent'>,
  authority: Authorization | 'admin',
): void {
  const longest = authority === 'admin' ? undefined : authority.maxCredentialLifetime
  if (longest !== undefined && fields.notAfter - fields.notBefore > longest) {
    throw refuse('lifetime_too_long', `this issuer's credentials live at most ${longest} s`)
  }
}

function checkAttestation(
  { fields, links }: AnyRecordOf<'credential-provenance' | 'issuance-intent'>,
  kid: string,
  { targets }: RecordContext,
): void {
  const results = countLinks(links, 'attestation-result')
  if (fields.attestation === 'attested' && results === 0) throw refuse('link_missing', 'attested, by no result')
  if (fields.attestation === 'none' && results > 0) throw refuse('link_too_many', 'unattested, with results')
  // An issuer that vouches for its own subject is no Verifier (RFC 9334 §3.1): the two roles must not be one key.
  for (const { rel, entry } of links) {
    if (rel === 'attestation-result' && targets.get(toHex(entry))!.signer === kid)
      throw refuse('issuer_is_verifier', 'issuer and verifier of a credential must have different keys')
  }
}

/** Who issues on nobody's word but his own says why; where somebody vouched there is nothing to excuse. */
function checkUnattested({ fields }: RecordOf<'credential-provenance'>): void {
  const { attestation, unattestedReason } = fields
  if (attestation === 'none' && !unattestedReason) throw refuse('reason_missing', 'unattested, and does not say why')
  if (attestation === 'attested' && unattestedReason !== undefined) {
    throw refuse('malformed_record', 'attested, and a reason why it is not')
  }
}

/** Every part of a composite workload is appraised: there is a result for each, or one for several. */
function checkConfidential({ fields, links }: RecordOf<'credential-provenance'>): void {
  const { attestation, confidential, components } = fields
  if (attestation === 'none' && confidential) throw refuse('not_attested', 'confidential, and unattested')
  if (components === undefined) return
  const results = countLinks(links, 'attestation-result')
  if (results === 0) throw refuse('link_missing', `${components} parts attested, by no result`)
  if (results > components) throw refuse('link_too_many', `${results} results, for ${components} parts`)
}

/** What was announced, and nothing else. That it is about this credential, whoever can read both commitments and credential sees. */
function checkIntent({ fields, links }: RecordOf<'credential-provenance'>, { targets }: RecordContext): void {
  const link = links.find(({ rel }) => rel === 'issuance-intent')
  const target = link && targets.get(toHex(link.entry))
  if (!target || target.type === 'erased') return
  const { intent } = target
  const same =
    intent?.kind === fields.kind &&
    intent.notBefore === fields.notBefore &&
    intent.notAfter === fields.notAfter &&
    intent.attestation === fields.attestation &&
    intent.grounds.join() === groundsOf(links).join()
  if (!same) throw refuse('intent_mismatch', 'the credential is another than was announced, or issued on other grounds')
}

function checkStatus(record: RecordOf<'credential-status'>, context: RecordContext): void {
  const target = checkSameCredential(record, context)
  const { status, successor } = record.fields
  if (status === 'reinstated' && target.suspended === false) {
    throw refuse('illegal_status', 'only a suspended credential can be reinstated')
  }
  // The workload is elsewhere and the credential is the same: what is another one has a successor.
  if (status === 'migrated' && successor) throw refuse('illegal_status', 'a migrated credential has no successor')
  const results = countLinks(record.links, 'attestation-result')
  if (status === 'migrated' && results === 0) throw refuse('link_missing', 'migrated, and not attested there')
  if (status !== 'migrated' && results > 0) throw refuse('link_too_many', `${status}, with attestation results`)
}

/** What became of a credential is found by its digest: a link to one's own record must not carry the digest of somebody else's. */
function checkSameCredential(
  { fields, links }: AnyRecordOf<'credential-status' | 'identity-generalization'>,
  { targets }: RecordContext,
): LinkTarget {
  const { entry } = links.find(({ rel }) => rel === 'credential-provenance') as { entry: Hash }
  const target = targets.get(toHex(entry))!
  if (target.type !== 'erased' && target.credentialDigest !== toHex(fields.credentialDigest)) {
    throw refuse('status_mismatch', 'its credential is not the one of the record it links to')
  }
  return target
}

/** Everybody withdraws what is theirs: policies those who wrote them, a key its owner, or the admin who authorized it. */
function checkRetraction(
  { fields, links }: RecordOf<'retraction'>,
  authority: Authorization | 'admin',
  { authorities, targets, index }: RecordContext,
): void {
  const { entry } = links[0]!
  const { type, signer } = targets.get(toHex(entry))!
  // What it was, nobody can tell any more.
  if (type === 'erased') return
  if (!isRetractable(type)) throw refuse('not_retractable', `a ${type} cannot be withdrawn`)
  const owners =
    type === 'key-authorization' ? [authorities.authorizationIn(entry)] : authorities.authorizations(signer)
  const mayWithdraw =
    authority === 'admin' ? type === 'key-authorization' : owners.some((owner) => owner?.subject === authority.subject)
  if (!mayWithdraw) throw refuse('link_not_own', `the ${type} is another party's to withdraw`)
  const before = authorities.retractionOf(entry, index)
  if (before && before.effectiveAt <= fields.effectiveAt) {
    throw refuse('already_retracted', `withdrawn from ${before.effectiveAt} on, by entry ${before.index}`)
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

/** What it says of the entries, whoever replays them sees. That they were there, and that it does not contradict itself, is seen here. */
function checkAuditReport(
  { fields, links }: RecordOf<'audit-report'>,
  issuedAt: number,
  { index, treeSize = 0, maxClockSkew }: RecordContext,
): void {
  const { from, size, verdict, counts, auditedAt, openedWith, opened } = fields
  const there = index ?? treeSize
  if (size > there) throw refuse('audit_out_of_range', `reports on ${size} entries, and there were ${there}`)
  if (from > size) throw refuse('audit_out_of_range', `reports on entries from ${from} on, of ${size}`)
  const first = !links.some(({ rel }) => rel === 'previous')
  if (first && from > 0) throw refuse('link_missing', `begins at ${from}, and links to no report before`)
  if ((verdict === 'passed') !== (counts.error === 0 && counts.warning === 0)) {
    throw refuse('malformed_record', `${verdict}, with ${counts.error} errors and ${counts.warning} warnings`)
  }
  if (auditedAt > issuedAt + maxClockSkew) throw refuse('malformed_record', 'signed before the audit began')
  if ((openedWith === undefined) !== (opened === undefined)) {
    throw refuse('malformed_record', 'a key that opened, and how many records it opened, come together')
  }
}

function checkPeriod(from: number, until: number | undefined): void {
  if (until !== undefined && until <= from) throw refuse('malformed_record', `a period from ${from} until ${until}`)
}
