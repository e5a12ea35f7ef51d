/**
 * What a report says, read from the database of an audit: counts of everything, and the first few of what there may be a million of.
 *
 * @module
 */
import { cosignatureTime, formatKeyId, parseNote, toHex } from '../../../merkle/index.ts'
import type { CheckId, Severity } from '../checks.ts'
import type { Cell } from '../database/cells.ts'
import type { Completeness, Questions } from '../questions/ask.ts'

export interface ReportData {
  readonly checkpoint: Completeness
  /** As the note has them: the log's, and whoever cosigned. The time, in POSIX seconds, where the signature has one. */
  readonly signatures: readonly { readonly name: string; readonly keyId: string; readonly time?: number }[]
  /** When the audit that came to this checkpoint was begun. */
  readonly auditedAt: number
  /** kid of the key that opened sealed sections; null where none did. */
  readonly openedWith: string | null
  readonly opened: number
  /** Entries by what they are: `record`, `refused`, `foreign`, `erased`, `unreadable`. */
  readonly states: ReadonlyMap<string, number>
  readonly types: readonly {
    readonly type: string
    readonly count: number
    readonly sealed: number
    readonly opened: number
  }[]
  /** The worst first; then by how many. */
  readonly findings: readonly FindingGroup[]
  /** Who signed most, and how many signed. */
  readonly signers: readonly Signer[]
  readonly signerCount: number
  readonly live: number
  /** Reports of audits that are on the log, the newest first, and how many there are. */
  readonly reports: readonly ReportedAudit[]
  readonly reportCount: number
  /** The record by which this audit was reported, where it was. */
  readonly signed?: { readonly entry: Uint8Array; readonly index: number }
  /** Over time, by what records say of themselves. Undefined where no record does. */
  readonly growth: Growth | undefined
}

export interface FindingGroup {
  readonly check: CheckId
  readonly severity: Severity
  readonly count: number
  readonly first: readonly { readonly index: number; readonly entry: string; readonly detail: string }[]
}

export interface Signer {
  readonly issuer: string
  readonly records: number
  readonly credentials: number
  readonly denials: number
  readonly findings: number
  readonly last: number
}

export interface ReportedAudit {
  readonly index: number
  readonly entry: string
  readonly issuer: string
  readonly auditedAt: number
  readonly size: number
  readonly verdict: string
  readonly errors: number
  readonly warnings: number
  /** Whether this audit found the same, as far as that can be compared. */
  readonly differs: boolean
}

export interface Growth {
  /** Seconds of one interval. */
  readonly step: number
  readonly intervals: readonly {
    readonly start: number
    readonly records: number
    readonly credentials: number
    readonly denials: number
  }[]
  /** Records that are dated outside of all intervals. */
  readonly elsewhere: number
}

/** Findings shown of each kind, signers, and reports: `audit query` has the rest. */
export const SHOWN = { findings: 20, signers: 25, reports: 25 }

const MAX_INTERVALS = 48
const DAY = 86_400
const STEPS = [60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, DAY, 7 * DAY, 30 * DAY, 365 * DAY]

/** @param now - POSIX seconds: for what is live */
export async function readReport(questions: Questions, now: number): Promise<ReportData> {
  const [audit] = await rowsOf<[string | null, number]>(questions, 'SELECT opened_with, opened FROM audit')
  const [last] = await rowsOf<[number]>(questions, 'SELECT audited_at FROM checkpoints ORDER BY size DESC LIMIT 1')
  const [live] = await rowsOf<[number]>(questions, 'SELECT count(*) FROM live($now)', { now })
  const [signers] = await rowsOf<[number]>(questions, `SELECT count(DISTINCT issuer) FROM records WHERE ${RECORD}`)
  const [reports] = await rowsOf<[number]>(questions, 'SELECT count(*) FROM audit_reports')
  const { signatures } = parseNote(questions.completeness.note)
  return {
    checkpoint: questions.completeness,
    signatures: signatures.map(({ name, keyId, signature }) => {
      const time = cosignatureTime(signature)
      return { name, keyId: formatKeyId(keyId), ...(time !== undefined && { time }) }
    }),
    auditedAt: last![0],
    openedWith: audit![0],
    opened: audit![1],
    states: new Map(
      await rowsOf<[string, number]>(questions, 'SELECT state, count(*) FROM records GROUP BY 1 ORDER BY 1'),
    ),
    types: (await rowsOf<[string, number, number, number]>(questions, TYPES)).map(([type, count, sealed, opened]) => ({
      type,
      count,
      sealed,
      opened,
    })),
    findings: await readFindings(questions),
    signers: (
      await rowsOf<[string, number, number, number, number, number]>(questions, SIGNERS, { most: SHOWN.signers })
    ).map(([issuer, records, credentials, denials, findings, last]) => ({
      issuer,
      records,
      credentials,
      denials,
      findings,
      last,
    })),
    signerCount: signers![0],
    live: live![0],
    reports: await readReports(questions),
    reportCount: reports![0],
    growth: await readGrowth(questions),
  }
}

const RECORD = "state = 'record'"
const TYPES = `SELECT type, count(*), count(*) FILTER (sealed), count(*) FILTER (opened)
  FROM records WHERE ${RECORD} GROUP BY 1 ORDER BY 2 DESC, 1`
const SIGNERS = `
  WITH wrong AS (SELECT index, count(*) AS found FROM findings WHERE severity <> 'info' GROUP BY 1)
  SELECT issuer, count(*), count(*) FILTER (type = 'credential-provenance'), count(*) FILTER (type = 'issuance-denied'),
         CAST(coalesce(sum(found), 0) AS BIGINT), max(issued_at)
  FROM records LEFT JOIN wrong USING (index) WHERE ${RECORD} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT $most`

async function readFindings(questions: Questions): Promise<FindingGroup[]> {
  const groups = await rowsOf<[CheckId, Severity, number]>(
    questions,
    'SELECT check_id, severity, count(*) FROM findings GROUP BY 1, 2 ORDER BY severity, 3 DESC, check_id',
  )
  const first = await rowsOf<[CheckId, Severity, number, Uint8Array, string]>(
    questions,
    `SELECT check_id, severity, f.index, entry, left(detail, 1000) FROM findings f JOIN records r USING (index)
     QUALIFY row_number() OVER (PARTITION BY check_id, severity ORDER BY f.index, detail) <= $most ORDER BY f.index, detail`,
    { most: SHOWN.findings },
  )
  return groups.map(([check, severity, count]) => ({
    check,
    severity,
    count,
    first: first
      .filter((each) => each[0] === check && each[1] === severity)
      .map(([, , index, entry, detail]) => ({ index, entry: toHex(entry), detail })),
  }))
}

async function readReports(questions: Questions): Promise<ReportedAudit[]> {
  const rows = await rowsOf<[number, Uint8Array, string, number, number, string, number, number, boolean]>(
    questions,
    `SELECT a.index, r.entry, r.issuer, a.audited_at, a.size, a.verdict, a.errors, a.warnings,
            EXISTS (SELECT 1 FROM findings f WHERE f.index = a.index AND f.check_id = 'audit-report-differs')
     FROM audit_reports a JOIN records r USING (index) ORDER BY a.index DESC LIMIT $most`,
    { most: SHOWN.reports },
  )
  return rows.map(([index, entry, issuer, auditedAt, size, verdict, errors, warnings, differs]) => ({
    index,
    entry: toHex(entry),
    issuer,
    auditedAt,
    size,
    verdict,
    errors,
    warnings,
    differs,
  }))
}

/**
 * A record that is dated a century from now must not make a line of the chart: intervals span what all but one in a hundred are dated, and
 * some more.
 */
async function readGrowth(questions: Questions): Promise<Growth | undefined> {
  const [range] = await rowsOf<(number | null)[]>(
    questions,
    `SELECT quantile_disc(issued_at, 0.005), quantile_disc(issued_at, 0.995), min(issued_at), max(issued_at)
     FROM records WHERE ${RECORD}`,
  )
  const [low, high, min, max] = range as [number | null, number, number, number]
  if (low === null) return undefined
  const more = Math.ceil((high - low) / 20)
  const [from, to] = [Math.max(min, low - more), Math.min(max, high + more)]
  const step =
    STEPS.find((seconds) => (to - from) / seconds < MAX_INTERVALS - 1) ?? Math.ceil((to - from) / (MAX_INTERVALS - 1))
  const start = Math.floor(from / step) * step
  const counted = await rowsOf<[number, number, number, number]>(
    questions,
    `SELECT (issued_at - $start) // $step, count(*), count(*) FILTER (type = 'credential-provenance'),
            count(*) FILTER (type = 'issuance-denied')
     FROM records WHERE ${RECORD} AND issued_at BETWEEN $start AND $to GROUP BY 1 ORDER BY 1`,
    { start, step, to },
  )
  const known = new Map(counted.map(([at, ...counts]) => [at, counts] as const))
  const intervals = Array.from({ length: Math.floor((to - start) / step) + 1 }, (_, i) => {
    const [records = 0, credentials = 0, denials = 0] = known.get(i) ?? []
    return { start: start + i * step, records, credentials, denials }
  })
  const [all] = await rowsOf<[number]>(questions, `SELECT count(*) FROM records WHERE ${RECORD}`)
  return { step, intervals, elsewhere: intervals.reduce((left, { records }) => left - records, all![0]) }
}

/** Rows whose columns are as the statement has them. */
async function rowsOf<R extends readonly Cell[]>(
  questions: Questions,
  sql: string,
  parameters: Readonly<Record<string, Cell>> = {},
): Promise<R[]> {
  return (await questions.rows(sql, parameters)) as unknown as R[]
}
