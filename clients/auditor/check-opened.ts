/**
 * What opened records say beside each other: whether a challenge was answered twice, a key is used under two names, and whether what was
 * measured is what the workload's provenance is about.
 *
 * In the order of the log, after what was sealed in each was found to hold by itself (`sealed.ts`).
 *
 * @module
 */
import { toHex } from '../../merkle/index.ts'
import { type Link, type RecordOf, workloadFacts } from '../../provenance/index.ts'
import type { History } from './history.ts'
import type { Marks } from './marks.ts'
import type { OpenedRecord } from './sealed.ts'
import type { Report } from './statements.ts'

/** Reports, and returns the names to keep of it. */
export function checkOpened(
  { logged, sections, linked }: OpenedRecord,
  history: History,
  marks: Marks,
  report: Report,
): readonly string[] {
  const { record, statement } = logged.signed
  if (record.type === 'workload-provenance' && sections.workload) {
    const { subject, subjectKind } = record.fields
    const about = { subject: toHex(subject), ...(subjectKind !== undefined && { subjectKind }) }
    const facts = workloadFacts(sections.workload, { ...about, publisher: statement.header.issuer }, [])
    if (facts.sbomSubjectMatches === false) report('sbom-differs', 'a bill of materials is about something else')
  }
  if (record.type === 'attestation-result' && sections.attestation?.nonce) {
    const name = marks.nonce(statement.signer.kid, sections.attestation.nonce)
    const holder = history.holderOf(name)
    const before = holder === undefined ? undefined : history.targets.at(holder)
    // Evidence of several kinds is gathered under one challenge, and appraised at once.
    if (before && before.issuedAt !== statement.header.issuedAt) {
      report('nonce-reused', `entry ${holder} answered the same challenge`)
    }
    return holder === undefined ? [name] : []
  }
  if (record.type === 'credential-provenance' && sections.credential) {
    const { keyThumbprint, subject } = sections.credential
    checkMeasured(record.links, linked, keyThumbprint, report)
    const [key, holder] = [marks.key(keyThumbprint), marks.holder(keyThumbprint, subject)]
    const first = history.holderOf(key)
    if (first !== undefined && history.holderOf(holder) === undefined) {
      report('key-shared', `the key of the credential in entry ${first}, which is for somebody else`)
    }
    return [key, holder]
  }
  return []
}

/** What the results linked to are about: this key, and what the provenance linked to describes. */
function checkMeasured(
  links: readonly Link[],
  linked: OpenedRecord['linked'],
  keyThumbprint: string,
  report: Report,
): void {
  // Not that of the issuer itself, to which another relation leads.
  const about = new Set(links.flatMap(({ rel, entry }) => (rel === 'attestation-result' ? [toHex(entry)] : [])))
  const results = linked.flatMap(({ logged, sections }) =>
    about.has(toHex(logged.signed.entry)) && sections.attestation ? [sections.attestation] : [],
  )
  const named = results.flatMap((result) => result.keyThumbprint ?? [])
  // A result of the network card says nothing of the workload's key, and that of its memory does.
  if (named.length > 0 && !named.includes(keyThumbprint)) {
    report('result-unfit', 'the attestation results are about another key')
  }
  const workload = linked.find(({ logged }) => logged.signed.record.type === 'workload-provenance')
  if (!workload || results.length === 0) return
  const { fields } = workload.logged.signed.record as RecordOf<'workload-provenance'>
  if (fields.subjectKind !== 'measurement') return
  const measured = results.map(({ measurement }) => toHex(measurement))
  if (!measured.includes(toHex(fields.subject))) {
    report('sbom-differs', `${measured.join(', ')} was measured, and the provenance is about ${toHex(fields.subject)}`)
  }
}
