/**
 * What can be checked of a record without opening anything, beyond whether it was admissible: that nothing is said twice, that
 * versions follow one another, and that what was relied on held at the time.
 *
 * @module
 */
import { equalBytes, sha256, toHex } from '../../merkle/index.ts'
import {
  type AnyRecordOf,
  type Authorization,
  issuedAtOf,
  linkRule,
  type RecordOf,
  type RecordStatement,
} from '../../provenance/index.ts'
import type { History, Latest } from './history.ts'
import { type Recorded, seriesName } from './recorded.ts'
import type { Report } from './statements.ts'

/** How far two honest clocks may be apart, in seconds; as the log server's default. */
export const MAX_CLOCK_SKEW = 300
/** Credentials issued on one result: one every five minutes for almost two days. */
const MAX_USES = 512

export function checkClear(
  r: RecordStatement,
  names: Pick<Recorded, 'identity' | 'unique'>,
  history: History,
  report: Report,
): void {
  checkSaidOnce(names, history, report)
  checkChain(r, history, report)
  const { record } = r
  const late = history.latestDate - issuedAtOf(r)
  if (late > MAX_CLOCK_SKEW) report('back-dated', `dated ${late} s before an earlier entry`)
  if (record.type === 'credential-provenance') checkReliedOn(r, history, report)
  if (record.type === 'attestation-result') checkCriteria(record, history, report)
  if (record.type === 'credential-status') checkStatusOrder(record, history, report)
  if ('content' in record.fields && record.fields.content !== undefined) {
    checkPolicyText(record.fields.content, record.fields.digest, report)
  }
}

/** @param digest what the record promised, SHA-256 */
export function checkPolicyText(content: Uint8Array, digest: Uint8Array, report: Report): void {
  if (!equalBytes(sha256(content), digest))
    report('policy-text-differs', `the text hashes to ${toHex(sha256(content))}`)
}

/** Of what may be on the log: that nothing which it was issued under ends before it. */
export function checkOutlives(
  { fields, links }: AnyRecordOf<'credential-provenance'>,
  authority: Authorization | 'admin',
  index: number,
  history: History,
  report: Report,
): void {
  if (authority === 'admin') return
  // The key lives as long as the last of its authorizations.
  const keys = history.authorities.inForce(authority.kid, index).filter(({ role }) => role === 'issuer')
  const end = Math.max(...keys.map(({ notAfter = Number.POSITIVE_INFINITY }) => notAfter))
  if (fields.notAfter > end) report('outlives-grounds', `until ${fields.notAfter}, and its issuer's key until ${end}`)
  for (const { rel, entry } of links) {
    const policyEnd = rel === 'issuance-policy' ? history.targets.endOf(toHex(entry)) : undefined
    if (policyEnd !== undefined && fields.notAfter > policyEnd) {
      report('outlives-grounds', `until ${fields.notAfter}, and its policy until ${policyEnd}`)
    }
  }
}

function checkSaidOnce(
  { identity, unique }: Pick<Recorded, 'identity' | 'unique'>,
  history: History,
  report: Report,
): void {
  const twin = history.twinOf(identity, unique[0])
  // A twin repeats all of them, and that is one finding.
  if (twin !== undefined) report('signature-twin', `the same content is entry ${twin}`)
  for (const key of unique) {
    const holder = history.holderOf(key)
    if (holder !== undefined && twin === undefined) report('duplicate', `${key} is entry ${holder}`)
  }
}

/**
 * A new version links to the latest one; if there is one, it must. Key authorizations stand side by side, and so do
 * provenance records of one subject: those follow only what they say they follow, which the log's own rules check.
 */
function checkChain({ record, statement }: RecordStatement, history: History, report: Report): void {
  if (!linkRule(record.type, 'previous') || record.type === 'key-authorization') return
  const series = seriesName(record, statement.signer.kid)
  if (series === undefined) return
  const latest = history.latestOf(series)
  const previous = record.links.find(({ rel }) => rel === 'previous')
  if (previous === undefined && latest !== undefined && 'version' in record.fields) {
    report('chain-broken', `does not link to the version before it, ${latest.entry}`)
  }
  if (previous !== undefined && !history.isErased(toHex(previous.entry))) {
    if (latest !== undefined && toHex(previous.entry) !== latest.entry) {
      report('chain-broken', `follows ${toHex(previous.entry)}, and the latest is ${latest.entry}`)
    }
  }
  if (latest?.period && 'version' in record.fields) checkPeriods(record.fields.notBefore, latest, report)
}

/** At each time one version holds: what ends later than the next one begins is decided by two, and what ends earlier by none. */
function checkPeriods(from: number, { entry, period }: Latest, report: Report): void {
  const [begun, end] = period!
  if (end !== null && end < from)
    report('policy-gap', `from ${from} on, and the version before it, ${entry}, ended at ${end}`)
  if (end !== null && end > from)
    report('policy-overlap', `from ${from} on, and the version before it, ${entry}, until ${end}`)
  if (from < begun) report('policy-overlap', `from ${from} on, and the version before it, ${entry}, from ${begun} on`)
}

/** Policy and results held when the credential was issued, by the dates that everybody can see. */
function checkReliedOn(r: RecordStatement, history: History, report: Report): void {
  const at = issuedAtOf(r)
  const { targets } = history
  const confidential = r.record.type === 'credential-provenance' && r.record.fields.confidential
  for (const { rel, entry } of r.record.links) {
    const name = toHex(entry)
    if (rel === 'issuance-policy') {
      if (targets.get(name)?.confidential && !confidential) {
        report('policy-unfit', `${name} is for confidential workloads, and this does not say that it is one`)
      }
      if (targets.holdsAt(name, at) === false) report('policy-unfit', `${name} was not in force at ${at}`)
      const next = history.followerOf(name)
      const since = next?.period && Math.max(next.period[0], next.issuedAt)
      if (since !== undefined && since + MAX_CLOCK_SKEW < at) {
        report('policy-superseded', `${next!.entry} has been in its place since ${since}`, next!.entry)
      }
    }
    if (rel !== 'attestation-result') continue
    if (targets.holdsAt(name, at) === false) report('result-unfit', `${name} did not hold at ${at}`)
    // Once, at the one that is too many.
    if (targets.usesOf(name) === MAX_USES) report('result-overused', `${name} was used ${MAX_USES} times before`, name)
  }
}

function checkCriteria({ fields, links }: RecordOf<'attestation-result'>, history: History, report: Report): void {
  for (const { rel, entry } of links) {
    if (rel !== 'appraisal-policy' && rel !== 'reference-values') continue
    if (history.targets.holdsAt(toHex(entry), fields.issuedAt) === false) {
      report('criteria-unfit', `${rel} ${toHex(entry)} did not hold at ${fields.issuedAt}`, toHex(entry))
    }
  }
}

function checkStatusOrder({ fields }: RecordOf<'credential-status'>, history: History, report: Report): void {
  const credential = toHex(fields.credentialDigest)
  if (history.statusOf(credential) === 'revoked') {
    report('status-illegal', `revoked before, and ${fields.status} now`)
  } else if (fields.status === 'reinstated' && !history.isSuspended(credential)) {
    report('status-illegal', 'reinstated, and not suspended before')
  }
}
