/**
 * What an audit found, signed by its auditor and logged on the log that it is about: an `audit-report`.
 *
 * A report is an entry itself. So that an auditor who reports every day does not report on nothing but reports, nothing is logged while
 * nothing else came to the log since, and the same was found.
 *
 * @module
 */
import { equalBytes, type Hash, toHex } from '../../../merkle/index.ts'
import type { Author, FieldsOf } from '../../../provenance/index.ts'
import { type PrivateJwk, signingKeyOf } from '../../../statement/index.ts'
import type { LogClient, LoggedRecord } from '../../log-client/index.ts'
import type { CheckId, Severity } from '../checks.ts'
import { AuditError } from '../error.ts'
import type { Questions } from '../questions/ask.ts'
import { CATALOGUE, type FindingLine, findingsDigest, isSettled } from '../settled.ts'

export interface ReportToSign {
  /** Of an audit that came to its end. */
  readonly questions: Questions
  readonly client: Pick<
    LogClient,
    'acceptCheckpoint' | 'authorizations' | 'latest' | 'receipt' | 'record' | 'registerRecord'
  >
  /** With which the auditor signs. */
  readonly key: PrivateJwk
  /** POSIX seconds. */
  readonly now: number
  readonly random: (length: number) => Uint8Array
}

export interface SignedReport {
  readonly entry: Hash
  readonly index: number
  readonly receipt: Uint8Array
  readonly fields: FieldsOf<'audit-report'>
  /** The auditor's last report says the same already, and nothing was logged. */
  readonly unchanged: boolean
}

/**
 * Logs a report, unless the last one says the same.
 *
 * @throws `AuditError` `not_authorized`, `behind_report`; what `LogClient.acceptCheckpoint` throws where the log is not the one that was
 *   audited, or shows another tree than then; `RefusedError`, `UnavailableError`
 */
export async function signReport({ questions, client, key: jwk, now, random }: ReportToSign): Promise<SignedReport> {
  const key = await signingKeyOf(jwk)
  // Of the log that was audited, and that goes on from there: a report is nobody else's business.
  await client.acceptCheckpoint(questions.completeness.note)
  const authorization = (await client.authorizations(key.kid)).findLast(({ role }) => role === 'auditor')
  if (!authorization) throw new AuditError('not_authorized', `this log has not authorized ${key.kid} as auditor`)
  const { subject, notBefore, notAfter } = authorization
  if (now < notBefore || (notAfter !== undefined && now >= notAfter)) {
    throw new AuditError('not_authorized', `the authorization of ${subject} is not valid at ${now}`)
  }

  const before = await reportBefore(key.kid, subject, questions, client)
  const fields = await readFields(questions, before?.record.fields.size ?? 0)
  if (before && (await saysTheSame(before.record.fields, fields, questions))) {
    const { entry, index } = before
    const { receipt } = await client.receipt(entry)
    return { entry, index, receipt, fields: before.record.fields, unchanged: true }
  }
  if (fields.from > fields.size) {
    throw new AuditError('behind_report', `entry ${before!.index} reports on ${fields.from} entries: audit again`)
  }
  const author: Author = { key, issuer: subject, now, random }
  const links = [
    ...(before ? [{ rel: 'previous' as const, entry: before.entry }] : []),
    { rel: 'key-authorization' as const, entry: authorization.entry },
  ]
  const { entry, index, receipt } = await client.registerRecord({ type: 'audit-report', fields, links }, author)
  return { entry, index, receipt, fields, unchanged: false }
}

/** The last one by this key; else, the last that the audit saw by another key of this auditor. */
async function reportBefore(
  kid: string,
  subject: string,
  questions: Questions,
  client: ReportToSign['client'],
): Promise<LoggedRecord<'audit-report'> | undefined> {
  const own = await client.latest('audit-report', kid, 'log')
  if (own) return own
  const [row] = await questions.rows(
    'SELECT r.entry FROM audit_reports a JOIN records r USING (index) WHERE r.issuer = $subject ORDER BY a.index DESC LIMIT 1',
    { subject },
  )
  return row && ((await client.record(row[0] as Uint8Array)) as LoggedRecord<'audit-report'>)
}

async function readFields(questions: Questions, from: number): Promise<FieldsOf<'audit-report'>> {
  const { size, root } = questions.completeness
  const [[openedWith, opened] = []] = await questions.rows('SELECT opened_with, opened FROM audit')
  const [[auditedAt] = []] = await questions.rows('SELECT audited_at FROM checkpoints ORDER BY size DESC LIMIT 1')
  const found: FindingLine[] = []
  const counts: Record<Severity, number> = { error: 0, warning: 0, info: 0 }
  for (const [index, check, severity, about] of await questions.rows(
    'SELECT index, check_id, severity, about FROM findings',
  )) {
    counts[severity as Severity]++
    const other = about instanceof Uint8Array && { about: toHex(about) }
    found.push({ index: index as number, check: check as CheckId, ...other })
  }
  return {
    from,
    size,
    root,
    verdict: counts.error === 0 && counts.warning === 0 ? 'passed' : 'refused',
    counts,
    findings: findingsDigest(found),
    settled: findingsDigest(found.filter(({ check }) => isSettled(check))),
    catalogue: CATALOGUE,
    auditedAt: auditedAt as number,
    ...(typeof openedWith === 'string' && { openedWith, opened: opened as number }),
  }
}

/** The same findings by the same means, and no entries in between but reports. */
async function saysTheSame(
  last: FieldsOf<'audit-report'>,
  next: FieldsOf<'audit-report'>,
  questions: Questions,
): Promise<boolean> {
  const same =
    equalBytes(last.findings, next.findings) &&
    equalBytes(last.settled, next.settled) &&
    equalBytes(last.catalogue, next.catalogue) &&
    last.openedWith === next.openedWith
  if (!same) return false
  const [[others] = []] = await questions.rows(
    "SELECT count(*) FROM records WHERE index >= $from AND NOT (state = 'record' AND type = 'audit-report')",
    { from: last.size },
  )
  return others === 0
}
