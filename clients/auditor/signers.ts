/**
 * Under whose signature each entry of a log is, and whether the log had authorized them there: what can be said of millions of records by their
 * headers alone, as the threads read them. The few that say who may sign are read in full, and judged as an audit judges them.
 *
 * @module
 */
import { EvidenceError, fromBase64, type Hash, toBase64, toHex } from '../../merkle/index.ts'
import {
  Authorities,
  checkAuthority,
  checkRecord,
  type LinkTarget,
  linkTargetOf,
  type RecordStatement,
  type RecordType,
  recordStatementOf,
  recordTypeOf,
} from '../../provenance/index.ts'
import { parseSignedStatement, verifySignedStatement } from '../../statement/index.ts'
import { MAX_CLOCK_SKEW } from './check-clear.ts'
import { CHECKS, type CheckId, type Finding } from './checks.ts'
import { explained } from './conclude.ts'
import { AuditError } from './error.ts'
import type { StatementReader } from './read-statements.ts'
import { authorizesSomebody } from './recorded.ts'
import type { KeptStatement, ReplayedSoFar } from './replay-state.ts'
import type { SignerName } from './signature-threads.ts'
import { SignerKeys } from './signer-keys.ts'
import { checkOfCode } from './statements.ts'
import { type CertificateSource, flawOf, Verification } from './verification.ts'
import type { WalkedBundle } from './walk.ts'

/** Dates at which a signer may sign, as long as nobody is authorized anew. */
interface Standing {
  readonly version: number
  readonly from: number
  readonly until: number
}

export class Signers {
  readonly authorities = new Authorities()
  readonly #keys = new SignerKeys(this.authorities)
  readonly #verification: Verification
  readonly #now: number
  /** What a record that says who may sign can link to. */
  readonly #targets = new Map<string, LinkTarget>()
  readonly #erasures = new Map<string, { readonly index: number; readonly scope: 'statement' }>()
  #kept: KeptStatement[] = []
  #findings: Finding[] = []
  #records = 0
  #foreign = 0

  constructor({ now, certificates }: { now: number; certificates: CertificateSource }) {
    this.#now = now
    this.#verification = new Verification({ keys: this.#keys, now, certificates })
  }

  /** Goes on from an earlier replay. A file of ours is only a file: its signatures are checked again. */
  async restore({ kept, findings, erasures, records, foreign }: ReplayedSoFar): Promise<void> {
    for (const { check, index, entry } of findings) if (check === 'statement-erased') this.#addErased(index, entry)
    for (const [entry, index] of erasures) this.#erasures.set(entry, { index, scope: 'statement' })
    for (const each of kept) {
      const statement = parseSignedStatement(fromBase64(each.statement))
      const key = await this.#keys.of(statement)
      if (key === undefined) throw new AuditError('damaged_audit', `the replay has no key for entry ${each.index}`)
      this.#apply(each.index, recordStatementOf(await verifySignedStatement(statement, key)), each.permitted)
    }
    this.#kept = [...kept]
    this.#findings = [...findings]
    this.#records = records
    this.#foreign = foreign
  }

  get soFar(): Pick<ReplayedSoFar, 'erasures' | 'findings' | 'foreign' | 'kept' | 'records'> {
    return {
      records: this.#records,
      foreign: this.#foreign,
      findings: this.#findings,
      kept: this.#kept,
      erasures: Array.from(this.#erasures, ([entry, { index }]) => [entry, index] as const),
    }
  }

  /** What is wrong with the entries so far, in their order. */
  concluded(): Finding[] {
    return this.#findings.map((finding) => explained(finding, this.#erasures) ?? finding)
  }

  /** Judges the entries that follow the last ones taken. */
  async take({ first, known, entries, checked }: WalkedBundle, reader: StatementReader): Promise<void> {
    const standings = new Map<SignerName, Standing>()
    for (let place = known; place < entries.length; place++) {
      const name = checked.signerAt(place)
      const usual = name !== undefined && checked.validAt(place) === true && !isReadInFull(name.type)
      if (usual && this.#stands(name, checked.dateAt(place), first + place, standings)) this.#records++
      else await this.#takeOne(first + place, entries[place]!, reader.signed(checked, place))
    }
  }

  #stands(name: SignerName, issuedAt: number, index: number, standings: Map<SignerName, Standing>): boolean {
    const known = standings.get(name)
    const { version } = this.authorities
    if (known && known.version === version && issuedAt >= known.from && issuedAt < known.until) return true
    try {
      const authority = this.#authorityOf({ ...name, issuedAt }, index)
      standings.set(name, { version, ...this.#periodOf(authority, issuedAt, index) })
      return true
    } catch (error) {
      if (error instanceof EvidenceError) return false
      throw error
    }
  }

  #authorityOf(claim: Parameters<typeof checkAuthority>[0], index: number): ReturnType<typeof checkAuthority> {
    return checkAuthority(claim, { authorities: this.authorities, index, now: this.#now, maxClockSkew: MAX_CLOCK_SKEW })
  }

  #periodOf(authority: ReturnType<typeof checkAuthority>, issuedAt: number, index: number) {
    if (authority === 'admin') return { from: 0, until: Number.POSITIVE_INFINITY }
    const { entry, notBefore, notAfter = Number.POSITIVE_INFINITY } = authority
    // What was withdrawn holds at some dates and not at others: each is asked for itself.
    if (this.authorities.retractionOf(entry, index)) return { from: issuedAt, until: issuedAt + 1 }
    return { from: notBefore, until: notAfter }
  }

  async #takeOne(index: number, entry: Hash, read: ReturnType<StatementReader['signed']>): Promise<void> {
    const { statement, foreign, flaw } = await this.#verification.of(read, index)
    if (flaw) this.#report(index, entry, ...flaw)
    if (flaw?.[0] === 'statement-erased') this.#addErased(index, toHex(entry))
    if (foreign) this.#foreign++
    if (!statement) return
    this.#records++
    const { kid, typ, issuer, issuedAt } = statement.header
    const type = recordTypeOf(typ)
    const usual = type !== undefined && kid !== undefined && issuedAt !== undefined && !isReadInFull(type)
    let otherwise: (code: string) => CheckId = checkOfCode
    try {
      if (usual) this.#authorityOf({ type, kid, issuer, issuedAt }, index)
      else {
        otherwise = () => 'statement-malformed'
        const r = recordStatementOf(statement)
        otherwise = checkOfCode
        this.#takeRecord(index, r)
      }
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error
      this.#report(index, entry, flawOf(error, otherwise(error.code)), `${error.code}: ${error.message}`)
    }
  }

  /** @throws what {@link checkRecord} throws */
  #takeRecord(index: number, r: RecordStatement): void {
    if (r.record.type === 'erasure') {
      this.#takeErasure(index, r)
      return
    }
    let permitted = false
    try {
      permitted = this.#isPermitted(index, r)
    } finally {
      this.#kept.push({ index, statement: toBase64(r.statement.bytes), permitted })
      this.#apply(index, r, permitted)
    }
  }

  #takeErasure(index: number, { record, statement }: RecordStatement): void {
    const { issuer, issuedAt = 0 } = statement.header
    this.#authorityOf({ type: record.type, kid: statement.signer.kid, issuer, issuedAt }, index)
    if (record.type !== 'erasure' || record.fields.scope !== 'statement') return
    const entry = toHex(record.links[0]!.entry)
    if (!this.#erasures.has(entry)) this.#erasures.set(entry, { index, scope: 'statement' })
  }

  /** Whether the record may change who may sign; a retraction of anything else than a key is permitted, and changes nothing of that. */
  #isPermitted(index: number, r: RecordStatement): boolean {
    const context = { authorities: this.authorities, index, now: this.#now, maxClockSkew: MAX_CLOCK_SKEW }
    const { record, statement } = r
    if (record.type === 'retraction' && !record.links.some(({ entry }) => this.#targets.has(toHex(entry)))) {
      const { issuer, issuedAt = 0 } = statement.header
      this.#authorityOf({ type: record.type, kid: statement.signer.kid, issuer, issuedAt }, index)
      return false
    }
    try {
      checkRecord(r, { ...context, targets: this.#targets })
      return true
    } catch (error) {
      // Last of all checks, and what is gone the log knew when it was linked to.
      if (error instanceof EvidenceError && error.code === 'link_erased') return true
      throw error
    }
  }

  /** One that may not be on the log is still there to be linked to. */
  #apply(index: number, r: RecordStatement, permitted: boolean): void {
    this.#targets.set(toHex(r.entry), linkTargetOf(index, r))
    if (permitted) this.authorities.apply(index, r)
  }

  #addErased(index: number, entry: string): void {
    this.#targets.set(entry, { index, type: 'erased', issuedAt: 0, signer: '' })
  }

  #report(index: number, entry: Hash, check: CheckId, detail: string): void {
    this.#findings.push({ check, severity: CHECKS[check].severity, index, entry: toHex(entry), detail })
  }
}

/** What says who may sign, and what says why a statement is gone. */
function isReadInFull(type: RecordType): boolean {
  return authorizesSomebody(type) || type === 'erasure'
}
