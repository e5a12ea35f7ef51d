/**
 * Phase 2: each statement in the order of the log, judged as of its place.
 *
 * Signatures are verified many at a time, off the main thread. That must not change who is authorized when, so a bundle is cut into
 * runs that end with a record which changes exactly that:
 *
 * ```
 *   r r r K │ r r r r r r K │ r r          K: log-policy or key-authorization
 * ```
 *
 * @module
 */
import { EvidenceError, type Hash, toHex } from '../../merkle/index.ts'
import {
  checkForeign,
  checkRecord,
  type ForeignStatement,
  isRecordStatement,
  type LinkTarget,
  PathCache,
  type ProvenanceRecord,
  type RecordOf,
  type RecordStatement,
  recordOfStatement,
  recordStatementOf,
} from '../../provenance/index.ts'
import type { LoggedRecord } from '../../provenance/log-evidence.ts'
import {
  parseSignedStatement,
  type SignedStatement,
  StatementError,
  statementIdentity,
  verifySignedStatement,
} from '../../statement/index.ts'
import type { AuditedEntry } from './audited-entry.ts'
import { checkClear, checkOutlives, MAX_CLOCK_SKEW } from './check-clear.ts'
import { checkOpened } from './check-opened.ts'
import { CHECKS, type CheckId, type Finding } from './checks.ts'
import type { History } from './history.ts'
import { authorizesSomebody, type Recorded, recordedOf } from './recorded.ts'
import type { SealedReader } from './sealed.ts'

export interface LoggedBytes {
  readonly index: number
  readonly entry: Hash
  /** Hashes to `entry`; empty when the log no longer has it. */
  readonly bytes: Uint8Array
}

export interface AuditedEntries {
  /** One for each, in order. */
  readonly entries: AuditedEntry[]
  readonly findings: Finding[]
  records: number
  /** Statements that are no records, and that the policy in force lets in. */
  foreign: number
  opened: number
}

/** The certificates that a log keeps beside an entry, leaf first. None of them is believed before it is checked. */
export type CertificateSource = (entry: Hash) => Promise<readonly Uint8Array[]>

/** Says what was found about the entry at hand. */
export type Report = (check: CheckId, detail: string, about?: string) => void

interface Parsed {
  readonly logged: LoggedBytes
  /** Absent with a reason in `flaw`. */
  readonly statement?: SignedStatement
  /** Absent too of a statement that is no record of ours. */
  readonly record?: ProvenanceRecord
  readonly flaw?: readonly [CheckId, string]
}

export class StatementAudit {
  readonly #history: History
  readonly #now: number
  readonly #certificates: CertificateSource
  readonly #paths = new PathCache()
  readonly #sealed: SealedReader | undefined

  constructor(options: { history: History; now: number; certificates: CertificateSource; sealed?: SealedReader }) {
    const { history, now, certificates, sealed } = options
    this.#history = history
    this.#now = now
    this.#certificates = certificates
    this.#sealed = sealed
  }

  /** Judges the entries that follow the last ones taken. */
  async take(entries: readonly LoggedBytes[]): Promise<AuditedEntries> {
    const all = { entries: [] as AuditedEntry[], findings: [] as Finding[], records: 0, foreign: 0, opened: 0 }
    let run: Parsed[] = []
    for (const [i, logged] of entries.entries()) {
      const parsed = parse(logged)
      run.push(parsed)
      const changesAuthority = parsed.record !== undefined && authorizesSomebody(parsed.record.type)
      if (!changesAuthority && i + 1 < entries.length) continue
      await this.#takeRun(run, all)
      run = []
    }
    all.findings.sort((a, b) => a.index - b.index)
    return all
  }

  async #takeRun(run: readonly Parsed[], all: AuditedEntries): Promise<void> {
    const verified = await Promise.all(run.map((parsed) => this.#verify(parsed)))
    const sound: LoggedRecord[] = []
    for (const [i, { logged }] of run.entries()) {
      const [found, flaw] = verified[i]!
      const { index } = logged
      const report = reporterFor(logged, all.findings)
      if (flaw !== undefined) report(...flaw)
      const record = found !== undefined && 'record' in found ? found : undefined
      if (record === undefined) {
        const { statement } = run[i]!
        const stated = statement && { statement }
        const identity = statement === undefined ? '' : toHex(statementIdentity(statement))
        if (found !== undefined) {
          all.foreign++
          const twin = this.#history.twinOf(identity)
          if (twin !== undefined) report('signature-twin', `the same content is entry ${twin}`)
        }
        const erased = logged.bytes.length === 0 && { erased: true as const }
        // As admission sees it: an erasure links to it, and asks when it was signed and by whom.
        const target = found !== undefined && 'signer' in found && { target: foreignTarget(index, found) }
        const kept = { entry: toHex(logged.entry), identity, unique: [], ...target, ...erased }
        const state = erased ? 'erased' : found === undefined ? 'unreadable' : 'foreign'
        all.entries.push({ index, recorded: this.#apply(index, kept), state, ...stated })
        continue
      }
      all.records++
      const authority = this.#judge(record, index, report)
      const permitted = authority !== undefined
      const authorizing = permitted && authorizesSomebody(record.record.type) ? record : undefined
      const recorded = this.#apply(index, recordedOf(index, record, permitted), authorizing)
      const state = permitted ? 'record' : 'refused'
      all.entries.push({ index, recorded, state, statement: record.statement, record: record.record })
      if (permitted) sound.push({ index, signed: record, authority })
    }

    if (this.#sealed !== undefined) await this.#open(this.#sealed, sound, all)
  }

  /** Many at a time, and then beside each other in the order of the log. */
  async #open(sealed: SealedReader, sound: readonly LoggedRecord[], all: AuditedEntries): Promise<void> {
    const reports = sound.map(({ index, signed }) => reporterFor({ index, entry: signed.entry }, all.findings))
    const opened = await Promise.all(sound.map((logged, i) => sealed.check(logged, this.#history, reports[i]!)))
    for (const [i, each] of opened.entries()) {
      if (each === undefined) continue
      all.opened++
      const { index } = each.logged
      const marks = checkOpened(each, this.#history, sealed.marks, reports[i]!)
      const entry = all.entries[index - all.entries[0]!.index]!
      entry.opened = each
      if (marks.length === 0) continue
      this.#history.mark(index, marks)
      entry.recorded.marks = marks
    }
  }

  #apply(index: number, recorded: Recorded, authorizing?: RecordStatement): Recorded {
    this.#history.apply(index, recorded, authorizing)
    return recorded
  }

  /** What the entry holds under a valid signature, or what is wrong. */
  async #verify(parsed: Parsed): Promise<[RecordStatement | ForeignStatement | undefined, Parsed['flaw']]> {
    const { statement, record, flaw } = parsed
    if (statement === undefined) return [undefined, flaw]
    try {
      if (record === undefined) return [await this.#checkForeign(statement, parsed.logged), undefined]
      const key = await this.#history.keyOf(statement)
      if (key === undefined)
        return [undefined, ['signer-unauthorized', `unknown_key: ${statement.header.kid} is not authorized`]]
      return [recordStatementOf(await verifySignedStatement(statement, key)), undefined]
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error
      const ofSignature = error instanceof StatementError && error.code === 'bad_signature'
      const otherwise = record === undefined ? 'foreign-refused' : 'statement-malformed'
      return [undefined, [ofSignature ? 'signature-invalid' : otherwise, `${error.code}: ${error.message}`]]
    }
  }

  async #checkForeign(statement: SignedStatement, { index, entry }: LoggedBytes): Promise<ForeignStatement> {
    const policy = this.#history.authorities.policyAt(index)
    const { x5chain, x5t } = statement.header
    // A chain that came unprotected is not in the entry; x5t says whether what the log shows is the right one.
    const beside = x5t && !x5chain && policy?.foreign && { certificates: await this.#certificates(entry) }
    const context = { policy, now: this.#now, maxClockSkew: MAX_CLOCK_SKEW, onLog: true, paths: this.#paths }
    return checkForeign(statement, { ...context, ...beside })
  }

  /** Everything that can be said without a key. Returns under whose authority the record is on this log, if it may be. */
  #judge(record: RecordStatement, index: number, report: Report): LoggedRecord['authority'] | undefined {
    const history = this.#history
    checkClear(record, history, report)
    const { authorities, targets } = history
    try {
      const authority = checkRecord(record, {
        authorities,
        targets,
        now: this.#now,
        maxClockSkew: MAX_CLOCK_SKEW,
        index,
      })
      if (record.record.type === 'erasure') checkCarriedOut(record.record, history, report)
      if (record.record.type === 'credential-provenance')
        checkOutlives(record.record, authority, index, history, report)
      return authority
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error
      if (error.code === 'link_erased') {
        // Each for itself: of two, one may be explained and the other not.
        for (const { rel, entry } of record.record.links) {
          const name = toHex(entry)
          if (history.isErased(name)) report('link-erased', `${rel} ${name}`, name)
        }
        return history.authorityOver(record, index)
      }
      report(checkOfCode(error.code), `${error.code}: ${error.message}`)
      return undefined
    }
  }
}

/** A statement that was read in this run, from a log that had erased it by then. */
function checkCarriedOut({ fields, links }: RecordOf<'erasure'>, history: History, report: Report): void {
  const entry = toHex(links[0]!.entry)
  const target = history.targets.get(entry)
  if (fields.scope !== 'statement' || target === undefined || target.type === 'erased') return
  if (target.index >= history.restored) report('erasure-not-done', `entry ${target.index} is there`, entry)
}

/** Why {@link checkRecord} refused, by its code. */
function checkOfCode(code: string): CheckId {
  if (code === 'issued_in_future') return 'date-in-future'
  if (code === 'lifetime_too_long') return 'lifetime-exceeds'
  if (SIGNER_CODES.has(code)) return 'signer-unauthorized'
  return LINK_CODES.has(code) ? 'link-refused' : 'record-refused'
}

const SIGNER_CODES: ReadonlySet<string> = new Set([
  'unknown_key',
  'role_not_authorized',
  'outside_key_validity',
  'key_retracted',
  'issuer_mismatch',
  'wrong_authorization',
])
const LINK_CODES: ReadonlySet<string> = new Set([
  'link_missing',
  'link_too_many',
  'link_dangling',
  'link_wrong_type',
  'link_later_than_record',
  'link_not_own',
  'link_retracted',
])

function foreignTarget(index: number, { statement, signer }: ForeignStatement): LinkTarget {
  return { index, type: 'foreign', issuedAt: statement.header.issuedAt ?? 0, signer }
}

function parse(logged: LoggedBytes): Parsed {
  if (logged.bytes.length === 0) return { logged, flaw: ['statement-erased', 'the log has no bytes for it'] }
  try {
    const statement = parseSignedStatement(logged.bytes)
    if (toHex(statement.entry) !== toHex(logged.entry)) {
      return {
        logged,
        flaw: ['statement-malformed', 'its encoding is not the canonical one, or its unprotected header is not empty'],
      }
    }
    if (!isRecordStatement(statement)) return { logged, statement }
    return { logged, statement, record: recordOfStatement(statement) }
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error
    const check = error.code === 'token_in_clear' ? 'token-in-clear' : 'statement-malformed'
    return { logged, flaw: [check, `${error.code}: ${error.message}`] }
  }
}

function reporterFor({ index, entry }: Pick<LoggedBytes, 'index' | 'entry'>, findings: Finding[]): Report {
  return (check, detail, about) => {
    const finding = { check, severity: CHECKS[check].severity, index, entry: toHex(entry), detail }
    findings.push(about === undefined ? finding : { ...finding, about })
  }
}
