/**
 * Tables of what an audit remembers of each of millions of entries. In memory is what finds a row, and the newest rows; the others are in a
 * file. What is asked for is mostly new: results before their credentials, and what is asked for often has been kept by who asks.
 *
 * ```
 *                   in memory, for each row           in the file
 *   Column                                            value of each row, one after another
 *   Digests                                           32 bytes of each row
 *   DigestIndex     its number and 16 bits of a hash  as Digests                        which row has a digest
 *   KeySet          24 bits of a hash, and where      64 bits of a hash, and the row    which row holds a name (`key-set.ts`)
 * ```
 *
 * What is in memory grows a piece at a time: a whole that is copied into a larger one is there twice until the collector comes by, which at a
 * million entries was a hundred megabytes.
 *
 * @module
 */
import { assert } from '../../merkle/index.ts'
import type { Scratch } from './scratch.ts'

type Numbers = Float64Array | Uint32Array | Uint16Array | Uint8Array

const SEGMENT_BITS = 10
const SEGMENT_ROWS = 1 << SEGMENT_BITS
const IN_SEGMENT = SEGMENT_ROWS - 1
/** Segments in memory, of each table: the newest. */
const HELD = 16

/** Rows of so many numbers each. */
class Rows<T extends Numbers> {
  length = 0
  readonly #scratch: Scratch
  readonly #make: (length: number) => T
  readonly #width: number
  /** The newest, each at its number modulo {@link HELD}. */
  readonly #held: T[] = []
  /** Where the older ones are in the file. */
  readonly #places: number[] = []
  /** The older one that was read last. */
  #read: T | undefined
  #readNumber = -1

  constructor(scratch: Scratch, make: (length: number) => T, width: number) {
    this.#scratch = scratch
    this.#make = make
    this.#width = width
  }

  /** The segment with a row; it is at {@link placeOf}. To be read, and not kept. */
  segmentOf(row: number): T {
    assert(row >= 0 && row < this.length, `no row ${row}`)
    const number = row >>> SEGMENT_BITS
    return number >= this.#places.length ? this.#held[number % HELD]! : this.#readAgain(number)
  }

  placeOf(row: number): number {
    return (row & IN_SEGMENT) * this.#width
  }

  /** The segment in which the next row is to be written, at {@link placeOf}. */
  next(): T {
    const row = this.length++
    const number = row >>> SEGMENT_BITS
    if ((row & IN_SEGMENT) === 0) {
      if (number < HELD) this.#held.push(this.#make(SEGMENT_ROWS * this.#width))
      // The oldest makes room; what is left in it is written over.
      else this.#places.push(this.#scratch.append(bytesOf(this.#held[number % HELD]!)))
    }
    return this.#held[number % HELD]!
  }

  /** A row was written in what {@link segmentOf} gave. */
  changed(row: number): void {
    const number = row >>> SEGMENT_BITS
    if (number >= this.#places.length) return
    const segment = this.segmentOf(row)
    const [at, size] = [this.placeOf(row) * segment.BYTES_PER_ELEMENT, this.#width * segment.BYTES_PER_ELEMENT]
    this.#scratch.write(this.#places[number]! + at, bytesOf(segment).subarray(at, at + size))
  }

  #readAgain(number: number): T {
    this.#read ??= this.#make(SEGMENT_ROWS * this.#width)
    if (this.#readNumber !== number) {
      this.#readNumber = -1
      this.#scratch.read(this.#places[number]!, bytesOf(this.#read))
      this.#readNumber = number
    }
    return this.#read
  }
}

function bytesOf(numbers: Numbers): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength)
}

/** A list of numbers. */
export class Column<T extends Numbers> {
  readonly #rows: Rows<T>
  /** Of each segment, the first value. */
  readonly #firsts: number[] = []

  constructor(scratch: Scratch, make: (length: number) => T) {
    this.#rows = new Rows(scratch, make, 1)
  }

  get length(): number {
    return this.#rows.length
  }

  push(value: number): void {
    const place = this.#rows.placeOf(this.length)
    this.#rows.next()[place] = value
    if (place === 0) this.#firsts.push(value)
  }

  at(row: number): number {
    return this.#rows.segmentOf(row)[this.#rows.placeOf(row)]!
  }

  set(row: number, value: number): void {
    this.#rows.segmentOf(row)[this.#rows.placeOf(row)] = value
    this.#rows.changed(row)
  }

  /** The row with `value`, where they were pushed in growing order; undefined when there is none. */
  find(value: number): number | undefined {
    const segment = firstAbove(0, this.#firsts.length, (each) => this.#firsts[each]! > value) - 1
    if (segment < 0) return undefined
    const [low, high] = [segment * SEGMENT_ROWS, Math.min(this.length, (segment + 1) * SEGMENT_ROWS)]
    const row = firstAbove(low, high, (each) => this.at(each) >= value)
    return row < high && this.at(row) === value ? row : undefined
  }
}

/** The first from `low` on of which something is true, and then of all; `high` where it is of none. */
function firstAbove(low: number, high: number, isAbove: (each: number) => boolean): number {
  let [from, to] = [low, high]
  while (from < to) {
    const middle = (from + to) >>> 1
    if (isAbove(middle)) to = middle
    else from = middle + 1
  }
  return from
}

const DIGEST_BYTES = 32

/** 32 bytes a row. */
export class Digests {
  readonly #rows: Rows<Uint8Array>

  constructor(scratch: Scratch) {
    this.#rows = new Rows(scratch, (length) => new Uint8Array(length), DIGEST_BYTES)
  }

  get length(): number {
    return this.#rows.length
  }

  push(digest: Uint8Array): void {
    assert(digest.length === DIGEST_BYTES, 'a digest')
    const place = this.#rows.placeOf(this.length)
    this.#rows.next().set(digest, place)
  }

  /** A copy. */
  at(row: number): Uint8Array {
    const place = this.#rows.placeOf(row)
    return this.#rows.segmentOf(row).slice(place, place + DIGEST_BYTES)
  }

  isAt(row: number, digest: Uint8Array): boolean {
    const segment = this.#rows.segmentOf(row)
    const place = this.#rows.placeOf(row)
    for (let i = 0; i < DIGEST_BYTES; i++) if (segment[place + i] !== digest[i]) return false
    return true
  }
}

/** Of a table of places: each grows by itself, so that there are never two of the whole. */
export const SHARDS = 256
export const SHARD_SHIFT = 24
const FIRST_PLACES = 16
export const GROWTH = 1.5
/** Places are at most this full. */
export const MAX_LOAD = 0.8
export const FREE = 0xffffffff

/**
 * Rows by a digest. The whole of it is compared: a place is found by a part of it, in a way that nobody can foresee. Places are in the order
 * of the part, so that a shard grows without a look at the digests.
 */
export class DigestIndex {
  readonly #digests: Digests
  readonly #shards = Array.from({ length: SHARDS }, () => new DigestShard(FIRST_PLACES))
  readonly #seeds = seeds()

  constructor(scratch: Scratch) {
    this.#digests = new Digests(scratch)
  }

  get length(): number {
    return this.#digests.length
  }

  /** As the next row. A digest that is there already keeps its first row. */
  push(digest: Uint8Array): void {
    if (this.rowOf(digest) === undefined) {
      const hash = this.#hash(digest)
      const shard = this.#shards[hash >>> SHARD_SHIFT]!
      const roomy = shard.count < shard.rows.length * MAX_LOAD ? shard : shard.grown()
      this.#shards[hash >>> SHARD_SHIFT] = roomy
      roomy.add(partOf(hash), this.length)
    }
    this.#digests.push(digest)
  }

  rowOf(digest: Uint8Array): number | undefined {
    const hash = this.#hash(digest)
    const part = partOf(hash)
    const { rows, parts } = this.#shards[hash >>> SHARD_SHIFT]!
    for (let place = placeOf(part, rows.length); ; place = place + 1 === rows.length ? 0 : place + 1) {
      const row = rows[place]!
      if (row === FREE) return undefined
      if (parts[place] === part && this.#digests.isAt(row, digest)) return row
    }
  }

  /** The digest of a row: a copy. */
  at(row: number): Uint8Array {
    return this.#digests.at(row)
  }

  #hash(digest: Uint8Array): number {
    let hash = this.#seeds[0]!
    for (let i = 0; i < 8; i++) hash = Math.imul(hash ^ digest[i]!, 0x01000193 ^ this.#seeds[1]!)
    return mix(hash)
  }
}

class DigestShard {
  readonly rows: Uint32Array
  readonly parts: Uint16Array
  count = 0

  constructor(places: number) {
    this.rows = new Uint32Array(places).fill(FREE)
    this.parts = new Uint16Array(places)
  }

  add(part: number, row: number): void {
    let place = placeOf(part, this.rows.length)
    while (this.rows[place] !== FREE) place = place + 1 === this.rows.length ? 0 : place + 1
    this.rows[place] = row
    this.parts[place] = part
    this.count++
  }

  grown(): DigestShard {
    const larger = new DigestShard(Math.ceil(this.rows.length * GROWTH))
    for (const [place, row] of this.rows.entries()) if (row !== FREE) larger.add(this.parts[place]!, row)
    return larger
  }
}

/** The bits of a hash after those that name the shard. */
function partOf(hash: number): number {
  return (hash >>> 8) & 0xffff
}

function placeOf(part: number, places: number): number {
  return Math.floor((part * places) / 0x10000)
}

export function seeds(): Uint32Array {
  const four = crypto.getRandomValues(new Uint32Array(4))
  // Odd, so that multiplying by it loses nothing.
  four[1] = (four[1]! & 0xfffffffe) >>> 0
  return four
}

/** Every bit of the number in every bit of the result. */
export function mix(value: number): number {
  let x = value | 0
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d)
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b)
  return (x ^ (x >>> 16)) >>> 0
}
