/**
 * What the entries up to some index have led to: who may sign, what links can lead to, what may not be said twice.
 *
 * It grows by one {@link Recorded} per entry, and the whole of it is nothing but those: an audit that goes on tomorrow reads them
 * from its files instead of from the log. What it remembers of each entry is mostly in a file (`tables.ts`).
 *
 * @module
 */
import { assert } from '../../merkle/index.ts'
import {
  Authorities,
  type Authorization,
  linkRule,
  type RecordStatement,
  type RecordType,
  recordStatementOf,
} from '../../provenance/index.ts'
import { parseSignedStatement, verifySignedStatement } from '../../statement/index.ts'
import { KeySet } from './key-set.ts'
import type { Recorded, ReportedAudit } from './recorded.ts'
import type { Scratch } from './scratch.ts'
import { SignerKeys } from './signer-keys.ts'
import { Column } from './tables.ts'
import { Targets } from './targets.ts'

/** The newest version of a policy, or of reference values. */
export interface Latest {
  readonly entry: string
  readonly issuedAt: number
  readonly period?: Recorded['period']
}

export class History {
  readonly authorities = new Authorities()
  readonly keys = new SignerKeys(this.authorities)
  readonly targets: Targets
  /** By erased entry: which record did it. */
  readonly erasures = new Map<string, { readonly index: number; readonly scope: 'keys' | 'statement' }>()
  /** What other auditors reported, in the order of the log. */
  readonly reports: (ReportedAudit & { readonly index: number; readonly entry: string })[] = []
  /** Entries below this were read in an earlier run. */
  restored = 0
  /** Index that holds each unique key, and each content. */
  readonly #holders: KeySet
  /** Some bits of the identity of each record: whether two with one id say the same. */
  readonly #identities: Column<Uint32Array>
  /** By series, and by entry the version that followed. */
  readonly #latest = new Map<string, Latest>()
  readonly #followers = new Map<string, Latest>()
  readonly #statuses = new Map<string, string>()
  readonly #suspended = new Set<string>()
  #latestDate = 0
  #lastErased = -1
  #firstErased = Number.POSITIVE_INFINITY

  /** @param scratch - for as long as anybody asks */
  constructor(scratch: Scratch) {
    this.targets = new Targets(scratch)
    this.#holders = new KeySet(scratch)
    this.#identities = new Column(scratch, (length) => new Uint32Array(length))
  }

  /** The index that holds one of {@link Recorded.unique} already. */
  holderOf(key: string): number | undefined {
    return this.#holders.holderOf(key)
  }

  /** The index of the same content under another signature; `recordId` is how `uniqueKeys` names it, of a record. */
  twinOf(identity: string, recordId?: string): number | undefined {
    if (recordId === undefined) return this.#holders.holderOf(contentKey(identity))
    // The id is in the content, so it is enough to look at whoever has it.
    const holder = this.#holders.holderOf(recordId)
    return holder !== undefined && this.#identities.at(holder) === partOf(identity) ? holder : undefined
  }

  latestOf(series: string): Latest | undefined {
    return this.#latest.get(series)
  }

  /** The version that took the place of a policy. */
  followerOf(entry: string): Latest | undefined {
    return this.#followers.get(entry)
  }

  statusOf(credential: string): string | undefined {
    return this.#statuses.get(credential)
  }

  /** Nothing but a reinstatement ends a suspension. */
  isSuspended(credential: string): boolean {
    return this.#suspended.has(credential)
  }

  isErased(entry: string): boolean {
    return this.targets.get(entry)?.type === 'erased'
  }

  /** The index of the last entry without a statement; −1 without any. */
  get lastErased(): number {
    return this.#lastErased
  }

  /** The index of the first entry whose statement is gone, or was erased by a record so that others may not have seen it; infinite without any. */
  get firstErased(): number {
    let first = this.#firstErased
    for (const [entry, { scope }] of this.erasures) {
      if (scope === 'statement') first = Math.min(first, this.targets.get(entry)?.index ?? first)
    }
    return first
  }

  /** Under whose authority a record that may be on the log was signed. */
  authorityOver({ statement: { signer } }: RecordStatement, index: number): Authorization | 'admin' {
    return this.authorities.inForce(signer.kid, index).at(-1) ?? 'admin'
  }

  /** The latest date that any record so far gives, POSIX seconds. */
  get latestDate(): number {
    return this.#latestDate
  }

  /** Takes in the entry at `index`. `record` is what to apply, when it authorizes somebody and may. */
  apply(index: number, recorded: Recorded, record: RecordStatement | undefined): void {
    const { entry, identity, target, unique, series, status, period, erases, report, uses = [] } = recorded
    this.targets.push(Buffer.from(entry, 'hex'), target, period, recorded.erased === true)
    this.#identities.push(partOf(identity))
    if (recorded.erased) this.#lastErased = index
    if (recorded.erased) this.#firstErased = Math.min(this.#firstErased, index)
    // The one that took the statement says more than one that took the wraps.
    if (erases && this.erasures.get(erases[0])?.scope !== 'statement') {
      this.erasures.set(erases[0], { index, scope: erases[1] })
    }
    if (report) this.reports.push({ ...report, index, entry })
    if (target !== undefined) this.#latestDate = Math.max(this.#latestDate, target.issuedAt)
    for (const used of uses) this.targets.use(used, target?.type === 'credential-provenance')
    // The first holder keeps it: the second one is the finding.
    if (unique.length === 0 && identity !== '') this.#holders.add(contentKey(identity), index)
    for (const key of unique) this.#holders.add(key, index)
    if (series !== undefined && target && linkRule(target.type as RecordType, 'previous')) {
      this.#follow(series, { entry, issuedAt: target.issuedAt, ...(period && { period }) })
    }
    if (status !== undefined && this.#statuses.get(status[0]) !== 'revoked') this.#statuses.set(status[0], status[1])
    if (status?.[1] === 'suspended') this.#suspended.add(status[0])
    if (status?.[1] === 'reinstated') this.#suspended.delete(status[0])
    if (record !== undefined) this.authorities.apply(index, record)
    for (const mark of recorded.marks ?? []) this.#holders.add(mark, index)
  }

  /** What a key showed of an entry that is applied already. */
  mark(index: number, marks: readonly string[]): void {
    for (const mark of marks) this.#holders.add(mark, index)
  }

  #follow(series: string, latest: Latest): void {
    const before = this.#latest.get(series)
    if (before) this.#followers.set(before.entry, latest)
    this.#latest.set(series, latest)
  }

  /** As {@link apply}, for an entry that was audited in an earlier run. A file of ours is only a file: its signature is checked again. */
  async restore(index: number, recorded: Recorded): Promise<void> {
    this.restored = index + 1
    if (recorded.statement === undefined) return this.apply(index, recorded, undefined)
    const statement = parseSignedStatement(recorded.statement)
    const key = await this.keys.of(statement)
    assert(key, `the audit state has no key for entry ${index}: delete it and audit from the start`)
    this.apply(index, recorded, recordStatementOf(await verifySignedStatement(statement, key)))
  }
}

function contentKey(identity: string): string {
  return `content:${identity}`
}

function partOf(identity: string): number {
  return identity === '' ? 0 : Number.parseInt(identity.slice(0, 8), 16)
}
