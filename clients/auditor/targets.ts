/**
 * What links can lead to: the entries so far, as far as a record that names one is judged by it.
 *
 * @module
 */
import { type Hash, toHex } from '../../merkle/index.ts'
import { type LinkTarget, RECORD_TYPES } from '../../provenance/index.ts'
import type { Recorded } from './recorded.ts'
import type { Scratch } from './scratch.ts'
import { Column, DigestIndex, Digests } from './tables.ts'

const TYPES: readonly (LinkTarget['type'] | undefined)[] = [undefined, 'foreign', 'erased', ...RECORD_TYPES]
const FOR_GOOD = Number.POSITIVE_INFINITY

const numbers = (length: number) => new Float64Array(length)
const words = (length: number) => new Uint32Array(length)
const bytes = (length: number) => new Uint8Array(length)

/** An attestation result or an intent that nothing came of. */
export interface Unused {
  readonly index: number
  readonly entry: string
  readonly type: 'attestation-result' | 'issuance-intent'
  /** When it ended, POSIX seconds. */
  readonly until: number
}

/** By entry in lower-case hex; as much of a `ReadonlyMap` as `checkRecord` asks of. */
export class Targets {
  readonly #entries: DigestIndex
  readonly #types: Column<Uint8Array>
  readonly #dates: Column<Float64Array>
  readonly #signers: Column<Uint32Array>
  readonly #kids = new Names()
  /** Of credentials, by row. */
  readonly #credentials: { readonly rows: Column<Uint32Array>; readonly digests: Digests }
  /** Of policies, reference values and results: when they hold, and how often they were used. */
  readonly #periods: {
    readonly rows: Column<Uint32Array>
    readonly from: Column<Float64Array>
    readonly until: Column<Float64Array>
    readonly uses: Column<Uint16Array>
  }
  /** Of results, by row: the criteria that they were judged by, of which there are few combinations. */
  readonly #criteria: { readonly rows: Column<Uint32Array>; readonly sets: Column<Uint32Array>; readonly known: Names }
  readonly #confidential = new Set<number>()
  /** By row, until a credential came of it. Afterwards no other may, so that nobody asks what it announced. */
  readonly #intents = new Map<number, NonNullable<LinkTarget['intent']>>()
  /** What was asked for lately: mostly the same few policies and authorizations. */
  readonly #recent = new Map<string, LinkTarget>()

  constructor(scratch: Scratch) {
    const column = <T extends Float64Array | Uint32Array | Uint16Array | Uint8Array>(make: (length: number) => T) =>
      new Column(scratch, make)
    this.#entries = new DigestIndex(scratch)
    this.#types = column(bytes)
    this.#dates = column(numbers)
    this.#signers = column(words)
    this.#credentials = { rows: column(words), digests: new Digests(scratch) }
    const uses = column((length) => new Uint16Array(length))
    this.#periods = { rows: column(words), from: column(numbers), until: column(numbers), uses }
    this.#criteria = { rows: column(words), sets: column(words), known: new Names() }
  }

  get(entry: string): LinkTarget | undefined {
    const recent = this.#recent.get(entry)
    if (recent) return recent
    const row = this.#entries.rowOf(Buffer.from(entry, 'hex'))
    const type = row === undefined ? undefined : TYPES[this.#types.at(row)]
    if (row === undefined || type === undefined) return undefined
    const target = this.#targetAt(row, type)
    if (this.#recent.size >= MAX_RECENT) this.#recent.clear()
    this.#recent.set(entry, target)
    return target
  }

  /** What is in the entry at `index`. */
  at(index: number): LinkTarget | undefined {
    const type = TYPES[this.#types.at(index)]
    return type && this.#targetAt(index, type)
  }

  /** Its digest: a copy. */
  entryAt(index: number): Hash {
    return this.#entries.at(index)
  }

  /** When its signer says that it was signed, POSIX seconds; 0 where nobody says so. */
  dateAt(index: number): number {
    return this.#dates.at(index)
  }

  /** The next entry. `target` is undefined for what nothing can link to. */
  push(entry: Hash, target: LinkTarget | undefined, period: Recorded['period'], erased: boolean): void {
    const row = this.#entries.length
    this.#entries.push(entry)
    this.#types.push(TYPES.indexOf(erased ? 'erased' : target?.type))
    this.#dates.push(erased ? 0 : (target?.issuedAt ?? 0))
    this.#signers.push(this.#kids.numberOf(erased ? '' : (target?.signer ?? '')))
    if (this.#recent.size > 0) this.#recent.delete(toHex(entry))
    if (period) this.#pushPeriod(row, period)
    if (!target || erased) return
    const { credentialDigest, confidential, criteria, intent } = target
    if (credentialDigest !== undefined) {
      this.#credentials.rows.push(row)
      this.#credentials.digests.push(Buffer.from(credentialDigest, 'hex'))
    }
    if (confidential) this.#confidential.add(row)
    if (criteria) {
      this.#criteria.rows.push(row)
      this.#criteria.sets.push(this.#criteria.known.numberOf(criteria.join(' ')))
    }
    if (intent) this.#intents.set(row, intent)
  }

  /** Whether a policy, reference values or a result hold at a date; undefined when `entry` is none. */
  holdsAt(entry: string, at: number): boolean | undefined {
    const place = this.#periodOf(entry)
    if (place === undefined) return undefined
    const { from, until } = this.#periods
    return at >= from.at(place) && at < until.at(place)
  }

  /** When it ends to hold, POSIX seconds; undefined when it never does, or is nothing that holds. */
  endOf(entry: string): number | undefined {
    const place = this.#periodOf(entry)
    const end = place === undefined ? FOR_GOOD : this.#periods.until.at(place)
    return end === FOR_GOOD ? undefined : end
  }

  /** Something came of a result or an intent. */
  use(entry: string, credential: boolean): void {
    const row = this.get(entry)?.index
    if (row === undefined) return
    if (credential && this.#intents.delete(row)) this.#recent.delete(entry)
    const place = this.#periods.rows.find(row)
    if (place !== undefined && this.#periods.uses.at(place) < 0xffff) {
      this.#periods.uses.set(place, this.#periods.uses.at(place) + 1)
    }
  }

  usesOf(entry: string): number {
    const place = this.#periodOf(entry)
    return place === undefined ? 0 : this.#periods.uses.at(place)
  }

  /** Results and intents after `after` that ended before `before`, and that nothing came of. */
  *unused(after: number, before: number): Generator<Unused> {
    const { rows, until, uses } = this.#periods
    for (let place = 0; place < rows.length; place++) {
      const index = rows.at(place)
      const ended = index > after && until.at(place) < before
      if (!ended || uses.at(place) > 0 || TYPES[this.#types.at(index)] !== 'attestation-result') continue
      yield { index, entry: toHex(this.#entries.at(index)), type: 'attestation-result', until: until.at(place) }
    }
    for (const [index, { notAfter }] of this.#intents) {
      if (index <= after || notAfter >= before) continue
      yield { index, entry: toHex(this.#entries.at(index)), type: 'issuance-intent', until: notAfter }
    }
  }

  #pushPeriod(row: number, [from, until]: NonNullable<Recorded['period']>): void {
    this.#periods.rows.push(row)
    this.#periods.from.push(from)
    this.#periods.until.push(until ?? FOR_GOOD)
    this.#periods.uses.push(0)
  }

  #periodOf(entry: string): number | undefined {
    const row = this.get(entry)?.index
    return row === undefined ? undefined : this.#periods.rows.find(row)
  }

  #targetAt(row: number, type: LinkTarget['type']): LinkTarget {
    const common = {
      index: row,
      type,
      issuedAt: this.#dates.at(row),
      signer: this.#kids.nameOf(this.#signers.at(row)),
    }
    if (type === 'credential-provenance') {
      const place = this.#credentials.rows.find(row)!
      return { ...common, credentialDigest: toHex(this.#credentials.digests.at(place)) }
    }
    if (type === 'attestation-result') {
      const set = this.#criteria.sets.at(this.#criteria.rows.find(row)!)
      return { ...common, criteria: this.#criteria.known.nameOf(set).split(' ').filter(Boolean) }
    }
    if (type === 'issuance-policy' && this.#confidential.has(row)) return { ...common, confidential: true }
    const intent = this.#intents.get(row)
    return intent ? { ...common, intent } : common
  }
}

const MAX_RECENT = 4096

/** Few texts that are said often, by number. */
class Names {
  readonly #numbers = new Map<string, number>()
  readonly #names: string[] = []

  numberOf(name: string): number {
    const known = this.#numbers.get(name)
    if (known !== undefined) return known
    const number = this.#names.push(name) - 1
    this.#numbers.set(name, number)
    return number
  }

  nameOf(number: number): string {
    return this.#names[number]!
  }
}
