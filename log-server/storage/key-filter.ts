/**
 * A database in front of which stands, in memory, what it has certainly not.
 *
 * Every append asks whether its entry is here already, and nearly always it is not. LevelDB looks for nothing on each of its levels, and a table in
 * which it did so once for every 16 KiB of its size it takes for one that is better merged: the larger a log, the more of it was merged again and again for
 * such questions, beside the appends that asked them, and the more tables were viewed in memory. A key that is not in this filter is not asked for; one that
 * may be there is looked up.
 *
 * Blocked Bloom filters: a key is six bits in one block of 64 bytes. They forget nothing, so they hide nothing. 256 KiB are enough for the first 65 536 keys;
 * all others are in 32 MiB, and no more, however many they are: of what is not there one in 400 is looked up at ten million keys, one in 60 at 27 million
 * and one in 8 at 54 million.
 *
 * They are made anew by whoever opens a log and appends, out of the keys that there are, beside whatever else is done; until that is done everything is looked
 * up. Nothing of them is on the disk, where it could be damaged, or older than the database. And before they are read it is looked whether the keys are as they were
 * written: a damaged one would be held by nobody, and what it names be taken a second time. Where one is, nothing more is written.
 *
 * @module
 */

import { LogError } from '../types.ts'
import { crc32c } from './checksum.ts'
import type { Database, DatabaseBatch, DatabaseRange, Rows } from './database.ts'
import { isCode } from './guard.ts'
import { ASKED_FOR_LETTERS, prefixRange } from './stored-values.ts'

/** Words of a block, which is a line of the processor's cache; and bits of a key in it. */
const WORDS_PER_BLOCK = 16
const BITS_PER_KEY = 6
/** Blocks of the filter for the first keys, and how many those are; of the one for all others. Exponents of two. */
const [FIRST_BLOCKS, FIRST_KEYS, BLOCKS] = [12, 16, 19]

/** Over keys by their CRC-32C: two keys of one checksum are one to it. */
class BloomFilter {
  readonly #words: Uint32Array
  readonly #shift: number

  /** Of 2^blocks blocks. */
  constructor(blocks: number) {
    this.#words = new Uint32Array(2 ** blocks * WORDS_PER_BLOCK)
    this.#shift = 32 - blocks
  }

  add(checksum: number): void {
    const start = (checksum >>> this.#shift) * WORDS_PER_BLOCK
    // The bits within the block are another mixture of the same 32; the step is odd, so that they are six different ones.
    const mixed = Math.imul(checksum, 0x9e3779b1)
    const step = (mixed >>> 9) | 1
    for (let i = 0, bit = mixed >>> 18; i < BITS_PER_KEY; i++, bit += step) {
      this.#words[start + ((bit >>> 5) & 15)]! |= 1 << (bit & 31)
    }
  }

  mayHave(checksum: number): boolean {
    const start = (checksum >>> this.#shift) * WORDS_PER_BLOCK
    const mixed = Math.imul(checksum, 0x9e3779b1)
    const step = (mixed >>> 9) | 1
    for (let i = 0, bit = mixed >>> 18; i < BITS_PER_KEY; i++, bit += step) {
      if ((this.#words[start + ((bit >>> 5) & 15)]! & (1 << (bit & 31))) === 0) return false
    }
    return true
  }
}

/** What was added is never denied. */
export class KeyFilter {
  readonly #first = new BloomFilter(FIRST_BLOCKS)
  #others: BloomFilter | undefined
  #count = 0

  add(key: Uint8Array): void {
    if (this.#count++ === 2 ** FIRST_KEYS) this.#others = new BloomFilter(BLOCKS)
    const filter = this.#others ?? this.#first
    filter.add(crc32c(key))
  }

  /** False for a key that was never added; true for each that was, and for some that were not. */
  mayHave(key: Uint8Array): boolean {
    const checksum = crc32c(key)
    return this.#first.mayHave(checksum) || (this.#others?.mayHave(checksum) ?? false)
  }
}

const FIRST_BYTES: ReadonlySet<number> = new Set(ASKED_FOR_LETTERS)
/** A millisecond of this thread. */
const READ_TOGETHER = 1000

/** `db`, while nobody else writes to it and nothing is under way. */
export class FilteredDatabase implements Database {
  readonly approximateSize?: NonNullable<Database['approximateSize']>
  readonly getProperty?: NonNullable<Database['getProperty']>
  readonly letGo?: NonNullable<Database['letGo']>
  readonly #db: Database
  readonly #filter = new KeyFilter()
  #complete = false
  /** Why nothing more is written. */
  #stopped: Error | undefined
  #filling: Promise<void> | undefined
  #closing = false

  constructor(db: Database) {
    this.#db = db
    if (db.approximateSize) this.approximateSize = db.approximateSize.bind(db)
    if (db.getProperty) this.getProperty = db.getProperty.bind(db)
    if (db.letGo) this.letGo = db.letGo.bind(db)
  }

  /**
   * Reads the keys that there are; begun by the first batch, so that who only reads does not pay for it, nor a start. Where it fails nothing is filtered,
   * and what cannot be read is told to whoever asks for it, or writes.
   */
  fill(): Promise<void> {
    this.#filling ??= this.#fill().catch(() => undefined)
    return this.#filling
  }

  async #fill(): Promise<void> {
    if (!(await this.#checkKeys())) return
    for (const letter of ASKED_FOR_LETTERS) {
      const { lt, ...start } = prefixRange(Uint8Array.of(letter))
      // By iterators that end soon: LevelDB keeps what it has merged for as long as one reads of it. What is put between two of them was added then.
      for (let gte: Uint8Array | undefined = start.gte; gte; ) {
        const keys: Uint8Array[] = await this.#db.keys({ gte, lt, limit: READ_TOGETHER }).all()
        if (this.#closing) return
        for (const key of keys) this.#filter.add(key)
        gte = keys.length < READ_TOGETHER ? undefined : keys.at(-1)
      }
    }
    this.#complete = true
  }

  async #checkKeys(): Promise<boolean> {
    try {
      const damage = await this.#db.checkKeys?.(ASKED_FOR_LETTERS, async () => !this.#closing)
      if (damage !== undefined) this.#stopped = new LogError('log_damaged', damage)
    } catch (error) {
      // Another batch may find a descriptor left.
      if (isCode(error, 'EMFILE') || isCode(error, 'ENFILE')) this.#filling = undefined
      else this.#stopped = error instanceof Error ? error : new Error(String(error))
      return false
    }
    return this.#stopped === undefined
  }

  async getMany(keys: Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    const asked = this.#complete ? keys.filter((key) => this.#mayHave(key)) : keys
    if (asked.length === keys.length) return this.#db.getMany(keys)
    const values = new Array<Uint8Array | undefined>(keys.length).fill(undefined)
    if (asked.length === 0) return values
    const found = await this.#db.getMany(asked)
    let at = 0
    for (const [i, key] of keys.entries()) if (key === asked[at]) values[i] = found[at++]
    return values
  }

  #mayHave(key: Uint8Array): boolean {
    return !FIRST_BYTES.has(key[0]!) || this.#filter.mayHave(key)
  }

  batch(): DatabaseBatch {
    void this.fill()
    const batch = this.#db.batch()
    return {
      // Before it is written: whoever is told that it is not there asked before that.
      put: (key, value) => {
        if (FIRST_BYTES.has(key[0]!)) this.#filter.add(key)
        batch.put(key, value)
      },
      del: (key) => batch.del(key),
      write: async (options) => {
        if (this.#stopped) throw this.#stopped
        await batch.write(options)
      },
    }
  }

  /** Of what appends ask for nothing is put so. */
  async put(key: Uint8Array, value: Uint8Array, options: { sync: true }): Promise<void> {
    await this.#db.put(key, value, options)
  }

  iterator(range: DatabaseRange): Rows<[key: Uint8Array, value: Uint8Array]> {
    return this.#db.iterator(range)
  }

  keys(range: DatabaseRange): Rows<Uint8Array> {
    return this.#db.keys(range)
  }

  values(range: DatabaseRange): Rows<Uint8Array> {
    return this.#db.values(range)
  }

  compactRange(start: Uint8Array, end: Uint8Array): Promise<void> {
    return this.#db.compactRange(start, end)
  }

  async close(): Promise<void> {
    this.#closing = true
    await this.#filling
    await this.#db.close()
  }
}
