/**
 * A database as a patch would leave it, for reading: so that what is to be written can be judged before any of it is.
 *
 * @module
 */
import { assert } from '../../merkle/error.ts'
import type { Database, DatabaseBatch, DatabaseRange, Rows } from './database.ts'

/** Keys with the bytes that they get; undefined where a key goes. */
export type Change = readonly [key: Uint8Array, value: Uint8Array | undefined]

type Row = [key: Uint8Array, value: Uint8Array]

export class Overlay implements Database {
  readonly #db: Database
  readonly #changes: ReadonlyMap<string, Change>
  /** Names of all changes, in the order of keys. */
  readonly #names: readonly string[]

  constructor(db: Database, changes: readonly Change[]) {
    this.#db = db
    this.#changes = new Map(changes.map((change) => [nameOf(change[0]), change]))
    this.#names = [...this.#changes.keys()].sort(byCodeUnits)
  }

  async getMany(keys: Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    const stored = await this.#db.getMany(keys)
    return keys.map((key, i) => {
      const change = this.#changes.get(nameOf(key))
      return change ? change[1] : stored[i]
    })
  }

  iterator(range: DatabaseRange): Rows<Row> {
    const names = this.#within(range)
    return names.length === 0 ? this.#db.iterator(range) : rowsOf(this.#merged(range, names))
  }

  keys(range: DatabaseRange): Rows<Uint8Array> {
    return rowsOf(only(this.iterator(range), 0))
  }

  values(range: DatabaseRange): Rows<Uint8Array> {
    return rowsOf(only(this.iterator(range), 1))
  }

  batch(): DatabaseBatch {
    return readOnly()
  }

  async put(): Promise<void> {
    readOnly()
  }

  async compactRange(): Promise<void> {
    readOnly()
  }

  /** The database beneath stays open. */
  async close(): Promise<void> {}

  #within({ gte, lt, lte, reverse = false }: DatabaseRange): string[] {
    const from = this.#firstNotBefore(nameOf(gte))
    let until = this.#names.length
    if (lt) until = Math.min(until, this.#firstNotBefore(nameOf(lt)))
    // No name is between a key and the same with a zero behind it.
    if (lte) until = Math.min(until, this.#firstNotBefore(`${nameOf(lte)}\0`))
    const names = this.#names.slice(from, until)
    return reverse ? names.reverse() : names
  }

  #firstNotBefore(name: string): number {
    let [low, high] = [0, this.#names.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#names[middle]! < name) low = middle + 1
      else high = middle
    }
    return low
  }

  async *#merged({ limit = Number.POSITIVE_INFINITY, ...range }: DatabaseRange, names: string[]): AsyncGenerator<Row> {
    let left = limit
    let at = 0
    const changed = function* (this: Overlay, until?: string): Generator<Row> {
      for (; at < names.length; at++) {
        const name = names[at]!
        if (until !== undefined && (range.reverse ? name < until : name > until)) return
        const [key, value] = this.#changes.get(name)!
        if (value) yield [key, value]
      }
    }
    for await (const row of this.#db.iterator(range)) {
      const name = nameOf(row[0])
      for (const change of changed.call(this, name)) if (left-- > 0) yield change
      if (left <= 0) return
      if (this.#changes.has(name)) continue
      left--
      yield row
      if (left <= 0) return
    }
    for (const change of changed.call(this)) if (left-- > 0) yield change
  }
}

function rowsOf<T>(rows: AsyncIterable<T>): Rows<T> {
  return {
    [Symbol.asyncIterator]: () => rows[Symbol.asyncIterator](),
    async all() {
      const all: T[] = []
      for await (const row of rows) all.push(row)
      return all
    },
  }
}

async function* only(rows: AsyncIterable<Row>, place: 0 | 1): AsyncGenerator<Uint8Array> {
  for await (const row of rows) yield row[place]
}

/** One code unit a byte: strings are in the order of the keys. */
function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1')
}

function byCodeUnits(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

function readOnly(): never {
  assert(false, 'nothing is written through an overlay')
}
