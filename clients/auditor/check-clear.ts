/**
 * What can be checked of a record without opening anything, beyond whether it was admissible: that nothing is said twice, that
 * versions follow one another, and that what was relied on held at the time.
 *
 * @module
 */
import { equalBytes, sha256, toHex } from '../../merkle/index.ts'
import { issuedAtOf, linkRule, type RecordOf, type RecordStatement, uniqueKeys } from '../../provenance/index.ts'
import { statementIdentity } from '../../statement/index.ts'
import { type History, seriesName } from './history.ts'
import type { Report } from './statements.ts'

export function checkClear(r: RecordStatement, history: History, report: Report): void {
  checkSaidOnce(r, history, report)
  checkChain(r, history, report)
  const { record } = r
  if (record.type === 'credential-provenance') checkReliedOn(r, history, report)
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

function checkSaidOnce({ record, statement }: RecordStatement, history: History, report: Report): void {
  const twin = history.holderOf(toHex(statementIdentity(statement)))
  if (twin !== undefined) report('signature-twin', `the same content is entry ${twin}`)
  for (const key of uniqueKeys(record, statement.signer.kid)) {
    const holder = history.holderOf(key)
    // A twin repeats all of them, and that is one finding.
    if (holder !== undefined && twin === undefined) report('duplicate', `${key} is entry ${holder}`)
  }
}

/**
 * A new version links to the latest one; if there is one, it must. Key authorizations stand side by side, and so do
 * provenance records of one subject: those follow only what they say they follow, which the log's own rules check.
 */
function checkChain({ record, statement }: RecordStatement, history: History, report: Report): void {
  const series = seriesName(record, statement.signer.kid)
  if (series === undefined || !linkRule(record.type, 'previous') || record.type === 'key-authorization') return
  const latest = history.latestOf(series)
  const previous = record.links.find(({ rel }) => rel === 'previous')
  if (previous === undefined && latest !== undefined && 'version' in record.fields) {
    report('chain-broken', `does not link to the version before it, ${latest}`)
  }
  if (previous === undefined || history.erased.has(toHex(previous.entry))) return
  if (latest !== undefined && toHex(previous.entry) !== latest) {
    report('chain-broken', `follows ${toHex(previous.entry)}, and the latest is ${latest}`)
  }
}

/** Policy and results held when the credential was issued, by the dates that everybody can see. */
function checkReliedOn(r: RecordStatement, history: History, report: Report): void {
  const at = issuedAtOf(r)
  const confidential = r.record.type === 'credential-provenance' && r.record.fields.confidential
  for (const { rel, entry } of r.record.links) {
    if (history.targets.get(toHex(entry))?.confidential && !confidential) {
      report('policy-unfit', `${toHex(entry)} is for confidential workloads, and this does not say that it is one`)
    }
    if (history.holdsAt(toHex(entry), at) !== false) continue
    if (rel === 'issuance-policy') report('policy-unfit', `${toHex(entry)} was not in force at ${at}`)
    if (rel === 'attestation-result') report('result-unfit', `${toHex(entry)} did not hold at ${at}`)
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
