/**
 * What an audit keeps of an entry, in words: what its files hold, and what the history of the log is made of again.
 *
 * @module
 */
import { toHex } from '../../merkle/index.ts'
import {
  type LinkTarget,
  linkTargetOf,
  type ProvenanceRecord,
  type RecordOf,
  type RecordStatement,
  type RecordType,
  seriesOf,
} from '../../provenance/index.ts'

/** Everything in it is clear on the log, but for `marks`. */
export interface Recorded {
  /** Lower-case hex. */
  readonly entry: string
  /** Of the content without its signature, lower-case hex: `statementIdentity`. */
  readonly identity: string
  /** The log no longer has the statement. */
  readonly erased?: true
  /** Undefined for what could not be read as a record, which nothing can link to. */
  readonly target?: LinkTarget
  readonly unique: readonly string[]
  /** `type/kid/id` */
  readonly series?: string
  /** Credential digest and its new status. */
  readonly status?: readonly [credential: string, status: string]
  /** When a policy, reference values or an attestation result hold: from, and until just before (`null`: for good). POSIX seconds. */
  readonly period?: readonly [from: number, until: number | null]
  /** What the record erased: entry in hex, and what of it. */
  readonly erases?: readonly [entry: string, scope: 'keys' | 'statement']
  /** Of an audit report: what a replay can say of it. */
  readonly report?: ReportedAudit
  /** The attestation results and intents that came to something by this record, entries in hex. */
  readonly uses?: readonly string[]
  /** What the auditor's key showed, as names that only this key makes: see `marks.ts`. */
  marks?: readonly string[]
  /** Of a record that authorizes somebody. */
  readonly statement?: Uint8Array
}

/** What an auditor says of the entries below `size`, as `audit-report` has it; digests and entries in lower-case hex. */
export interface ReportedAudit {
  readonly from: number
  readonly size: number
  readonly root: string
  readonly settled: string
  readonly catalogue: string
  /** POSIX seconds. */
  readonly auditedAt: number
  readonly previous?: string
}

/** Types that change who may sign, and on what. */
export function authorizesSomebody(type: RecordType): boolean {
  return type === 'log-policy' || type === 'key-authorization' || type === 'retraction'
}

/**
 * What to keep of a record. One that may not be on the log is still there to be linked to, and still holds what it named; but
 * it authorizes nobody, is the latest of nothing and changes no status.
 */
export function recordedOf(
  index: number,
  r: RecordStatement,
  names: Pick<Recorded, 'identity' | 'unique'>,
  permitted: boolean,
): Recorded {
  const { record, statement, entry } = r
  const { kid } = statement.signer
  const period = periodOf(record)
  const uses = usesOf(record)
  const kept: Recorded = {
    entry: toHex(entry),
    ...names,
    target: linkTargetOf(index, r),
    ...(period && { period }),
    ...(uses.length > 0 && { uses }),
  }
  if (!permitted) return kept
  const series = seriesName(record, kid)
  return {
    ...kept,
    ...(series !== undefined && { series }),
    ...(record.type === 'credential-status' && {
      status: [toHex(record.fields.credentialDigest), record.fields.status],
    }),
    ...(record.type === 'erasure' && { erases: [toHex(record.links[0]!.entry), record.fields.scope] }),
    ...(record.type === 'audit-report' && { report: reportedAudit(record) }),
    ...(authorizesSomebody(record.type) && { statement: statement.bytes }),
  }
}

/** `type/kid/id`, for types of which there is a latest. */
export function seriesName(record: ProvenanceRecord, signerKid: string): string | undefined {
  const series = seriesOf(record, signerKid)
  return series && `${series.type}/${series.kid}/${series.id}`
}

function reportedAudit({ fields, links }: RecordOf<'audit-report'>): ReportedAudit {
  const { from, size, root, settled, catalogue, auditedAt } = fields
  const previous = links.find(({ rel }) => rel === 'previous')
  return {
    from,
    size,
    root: toHex(root),
    settled: toHex(settled),
    catalogue: toHex(catalogue),
    auditedAt,
    ...(previous && { previous: toHex(previous.entry) }),
  }
}

const USES: ReadonlySet<string> = new Set(['attestation-result', 'issuer-attestation', 'issuance-intent'])

function usesOf({ links }: ProvenanceRecord): string[] {
  return links.filter(({ rel }) => USES.has(rel)).map(({ entry }) => toHex(entry))
}

function periodOf(record: ProvenanceRecord): Recorded['period'] {
  switch (record.type) {
    case 'attestation-result':
      return [record.fields.issuedAt, record.fields.expiresAt]
    case 'issuance-policy':
    case 'appraisal-policy':
    case 'reference-values':
      return [record.fields.notBefore, record.fields.notAfter ?? null]
    default:
      return undefined
  }
}
