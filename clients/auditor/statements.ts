/**
 * Phase 2: each statement in the order of the log, judged as of its place.
 *
 * That its signature holds is known by then (`read-statements.ts`). Whether its signer may sign such a record, whether what it links to is
 * there and what it says was said before depends on every entry before it, so that is asked one entry after another.
 *
 * @module
 */
import { EvidenceError, type Hash, toHex } from '../../merkle/index.ts'
import {
  checkRecord,
  type ForeignStatement,
  type LinkTarget,
  type RecordOf,
  type RecordStatement,
  uniqueKeys,
} from '../../provenance/index.ts'
import type { LoggedRecord } from '../../provenance/verification/log-evidence.ts'
import { statementIdentity } from '../../statement/index.ts'
import type { AuditedEntry } from './audited-entry.ts'
import { checkClear, checkOutlives, MAX_CLOCK_SKEW } from './check-clear.ts'
import { checkOpened } from './check-opened.ts'
import { CHECKS, type CheckId, type Finding } from './checks.ts'
import type { History } from './history.ts'
import type { ReadRecord } from './read-statements.ts'
import { authorizesSomebody, type Recorded, recordedOf } from './recorded.ts'
import type { SealedReader } from './sealed.ts'
import { type CertificateSource, Verification } from './verification.ts'

/** A statement at its place. */
export interface LoggedStatement {
  readonly index: number
  readonly entry: Hash
  readonly read: ReadRecord
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

/** Says what was found about the entry at hand. */
export type Report = (check: CheckId, detail: string, about?: string) => void

export class StatementAudit {
  readonly #history: History
  readonly #now: number
  readonly #verification: Verification
  readonly #sealed: SealedReader | undefined

  constructor(options: { history: History; now: number; certificates: CertificateSource; sealed?: SealedReader }) {
    const { history, now, certificates, sealed } = options
    this.#history = history
    this.#now = now
    this.#verification = new Verification({ keys: history.keys, now, certificates })
    this.#sealed = sealed
  }

  /** Judges the entries that follow the last ones taken. */
  async take(logged: readonly LoggedStatement[]): Promise<AuditedEntries> {
    const all: AuditedEntries = { entries: [], findings: [], records: 0, foreign: 0, opened: 0 }
    const sound: LoggedRecord[] = []
    for (const each of logged) {
      const report = reporterFor(each, all.findings)
      const { statement, foreign, flaw } = await this.#verification.of(each.read, each.index)
      if (flaw) report(...flaw)
      const record = each.read.record
      if (statement && record) {
        this.#takeRecord(each, { statement, record, entry: statement.entry }, all, sound, report)
      } else this.#takeOther(each, foreign, all, report)
    }
    if (this.#sealed !== undefined) await this.#open(this.#sealed, sound, all)
    all.findings.sort((a, b) => a.index - b.index)
    return all
  }

  #takeRecord(
    { index, read }: LoggedStatement,
    found: RecordStatement,
    all: AuditedEntries,
    sound: LoggedRecord[],
    report: Report,
  ): void {
    const { record, statement } = found
    all.records++
    const names = {
      identity: toHex(read.identity ?? statementIdentity(statement)),
      unique: uniqueKeys(record, statement.signer.kid),
    }
    const authority = this.#judge(found, names, index, report)
    const permitted = authority !== undefined
    const recorded = recordedOf(index, found, names, permitted)
    this.#history.apply(index, recorded, permitted && authorizesSomebody(record.type) ? found : undefined)
    all.entries.push({ index, recorded, state: permitted ? 'record' : 'refused', statement, record })
    if (permitted) sound.push({ index, signed: found, authority })
  }

  #takeOther(
    { index, entry, read }: LoggedStatement,
    found: ForeignStatement | undefined,
    all: AuditedEntries,
    report: Report,
  ): void {
    const { statement } = read
    const identity = statement === undefined ? '' : toHex(statementIdentity(statement))
    if (found !== undefined) {
      all.foreign++
      const twin = this.#history.twinOf(identity)
      if (twin !== undefined) report('signature-twin', `the same content is entry ${twin}`)
    }
    const erased = read.flaw?.[0] === 'statement-erased' && { erased: true as const }
    // As admission sees it: an erasure links to it, and asks when it was signed and by whom.
    const target = found && { target: foreignTarget(index, found) }
    const recorded: Recorded = { entry: toHex(entry), identity, unique: [], ...target, ...erased }
    this.#history.apply(index, recorded, undefined)
    const state = erased ? 'erased' : found === undefined ? 'unreadable' : 'foreign'
    all.entries.push({ index, recorded, state, ...(statement && { statement }) })
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

  /** Everything that can be said without a key. Returns under whose authority the record is on this log, if it may be. */
  #judge(
    record: RecordStatement,
    names: Pick<Recorded, 'identity' | 'unique'>,
    index: number,
    report: Report,
  ): LoggedRecord['authority'] | undefined {
    const history = this.#history
    checkClear(record, names, history, report)
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
export function checkOfCode(code: string): CheckId {
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

function reporterFor({ index, entry }: Pick<LoggedStatement, 'index' | 'entry'>, findings: Finding[]): Report {
  return (check, detail, about) => {
    const finding = { check, severity: CHECKS[check].severity, index, entry: toHex(entry), detail }
    findings.push(about === undefined ? finding : { ...finding, about })
  }
}
