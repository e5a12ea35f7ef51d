/**
 * Tables of numbers for what an audit remembers of millions of entries: outside of the heap, where nothing has to be collected, and in a
 * tenth of the room that objects and texts take.
 *
 * ```
 *   Column      value of each row                       one after another, by index
 *   KeySet      which row holds a name                  8 bytes of a keyed hash of it, and the row
 *   Digests     digest of each row                      packed
 *   DigestIndex which row has a digest                  digests, and places that point at them
 * ```
 *
 * They grow a piece at a time: a whole that is copied into a larger one is there twice until the collector comes by, which at a million
 * entries was a hundred megabytes.
 *
 * @module
 */
import { assert } from '../../merkle/index.ts'

type Numbers = Float64Array | Uint32Array | Uint16Array | Uint8Array

/** A list of numbers, in segments: nothing is copied when it grows, and none of it is spare but the last one's end. */
export class Column<T extends Numbers> {
  readonly #make: (length: number) => T
  readonly #segments: T[] = []
  #length = 0

  constructor(make: (length: number) => T) {
    this.#make = make
  }

  get length(): number {
    return this.#length
  }

  push(value: number): void {
    const place = this.#length & IN_SEGMENT
    if (place === 0) this.#segments.push(this.#make(SEGMENT_ROWS))
    this.#segments[this.#length >>> SEGMENT_BITS]![place] = value
    this.#length++
  }

  at(row: number): number {
    assert(row >= 0 && row < this.#length, `no row ${row}`)
    return this.#segments[row >>> SEGMENT_BITS]![row & IN_SEGMENT]!
  }

  set(row: number, value: number): void {
    assert(row >= 0 && row < this.#length, `no row ${row}`)
    this.#segments[row >>> SEGMENT_BITS]![row & IN_SEGMENT] = value
  }

  /** The row with `value`, where they were pushed in growing order; undefined when there is none. */
  find(value: number): number | undefined {
    let [low, high] = [0, this.#length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.at(middle) < value) low = middle + 1
      else high = middle
    }
    return low < this.#length && this.at(low) === value ? low : undefined
  }
}

const SEGMENT_BITS = 13
const SEGMENT_ROWS = 1 << SEGMENT_BITS
const IN_SEGMENT = SEGMENT_ROWS - 1
/** Of a table of places: each grows by itself, so that there are never two of the whole. */
const SHARDS = 256
const SHARD_SHIFT = 24
const FIRST_PLACES = 16
const GROWTH = 1.5
/** Places are at most this full. */
const MAX_LOAD = 0.8
const FREE = 0xffffffff

/**
 * Who was the first to hold each of many names. A name is known by 64 bits of a hash, which starts elsewhere in each process. A name that
 * is held is always found. One that nobody holds may be taken for another one: by chance once in a million audits of as many names, and then
 * somebody is asked about two records that have nothing in common.
 */
export class KeySet {
  readonly #shards = Array.from({ length: SHARDS }, () => new KeyShard())
  readonly #seeds = seeds()

  /** The row that was first to hold `name`. */
  holderOf(name: string): number | undefined {
    this.#hash(name)
    return this.#shards[hashed[0]! >>> SHARD_SHIFT]!.holderOf(hashed[0]!, hashed[1]!)
  }

  /** Whoever holds it already keeps it. */
  add(name: string, row: number): void {
    this.#hash(name)
    this.#shards[hashed[0]! >>> SHARD_SHIFT]!.add(hashed[0]!, hashed[1]!, row)
  }

  #hash(name: string): void {
    let [a, b] = [this.#seeds[0]!, this.#seeds[1]!]
    for (let i = 0; i < name.length; i++) {
      const code = name.charCodeAt(i)
      a = Math.imul(a ^ code, 0x9e3779b1)
      a ^= a >>> 15
      b = Math.imul(b + code, 0x85ebca6b)
      b = ((b << 13) | (b >>> 19)) ^ this.#seeds[2]!
    }
    hashed[0] = mix(a ^ this.#seeds[3]!)
    hashed[1] = mix(b ^ a)
  }
}

const hashed = new Uint32Array(2)

class KeyShard {
  #high = new Uint32Array(FIRST_PLACES)
  #low = new Uint32Array(FIRST_PLACES)
  #rows = new Uint32Array(FIRST_PLACES).fill(FREE)
  #count = 0

  holderOf(high: number, low: number): number | undefined {
    const row = this.#rows[this.#placeOf(high, low)]!
    return row === FREE ? undefined : row
  }

  add(high: number, low: number, row: number): void {
    if (this.#count >= this.#rows.length * MAX_LOAD) this.#grow()
    const place = this.#placeOf(high, low)
    if (this.#rows[place] !== FREE) return
    this.#put(place, high, low, row)
    this.#count++
  }

  #put(place: number, high: number, low: number, row: number): void {
    this.#high[place] = high
    this.#low[place] = low
    this.#rows[place] = row
  }

  /** Where it is, or where it would be. */
  #placeOf(high: number, low: number): number {
    const places = this.#rows.length
    for (let place = low % places; ; place = place + 1 === places ? 0 : place + 1) {
      if (this.#rows[place] === FREE) return place
      if (this.#low[place] === low && this.#high[place] === high) return place
    }
  }

  #grow(): void {
    const [high, low, rows] = [this.#high, this.#low, this.#rows]
    const places = Math.ceil(rows.length * GROWTH)
    this.#high = new Uint32Array(places)
    this.#low = new Uint32Array(places)
    this.#rows = new Uint32Array(places).fill(FREE)
    for (let i = 0; i < rows.length; i++) {
      if (rows[i] !== FREE) this.#put(this.#placeOf(high[i]!, low[i]!), high[i]!, low[i]!, rows[i]!)
    }
  }
}

const DIGEST_BYTES = 32

/** 32 bytes a row. */
export class Digests {
  readonly #segments: Uint8Array[] = []
  #length = 0

  get length(): number {
    return this.#length
  }

  push(digest: Uint8Array): void {
    assert(digest.length === DIGEST_BYTES, 'a digest')
    const place = this.#length & IN_SEGMENT
    if (place === 0) this.#segments.push(new Uint8Array(SEGMENT_ROWS * DIGEST_BYTES))
    this.#segments[this.#length >>> SEGMENT_BITS]!.set(digest, place * DIGEST_BYTES)
    this.#length++
  }

  /** A copy. */
  at(row: number): Uint8Array {
    assert(row >= 0 && row < this.#length, `no row ${row}`)
    const at = (row & IN_SEGMENT) * DIGEST_BYTES
    return this.#segments[row >>> SEGMENT_BITS]!.slice(at, at + DIGEST_BYTES)
  }

  isAt(row: number, digest: Uint8Array): boolean {
    const segment = this.#segments[row >>> SEGMENT_BITS]!
    const at = (row & IN_SEGMENT) * DIGEST_BYTES
    for (let i = 0; i < DIGEST_BYTES; i++) if (segment[at + i] !== digest[i]) return false
    return true
  }
}

/** Rows by a digest. The whole of it is compared: a place is found by a part of it, in a way that nobody can foresee. */
export class DigestIndex {
  readonly #digests = new Digests()
  readonly #shards = Array.from({ length: SHARDS }, () => ({ places: freePlaces(FIRST_PLACES), count: 0 }))
  readonly #seeds = seeds()

  get length(): number {
    return this.#digests.length
  }

  /** As the next row. A digest that is there already keeps its first row. */
  push(digest: Uint8Array): void {
    const hash = this.#hash(digest)
    const shard = this.#shards[hash >>> SHARD_SHIFT]!
    if (shard.count >= shard.places.length * MAX_LOAD) shard.places = this.#grown(shard.places)
    const place = this.#placeOf(digest, hash, shard.places)
    if (shard.places[place] === FREE) {
      shard.places[place] = this.length
      shard.count++
    }
    this.#digests.push(digest)
  }

  rowOf(digest: Uint8Array): number | undefined {
    const hash = this.#hash(digest)
    const { places } = this.#shards[hash >>> SHARD_SHIFT]!
    const row = places[this.#placeOf(digest, hash, places)]!
    return row === FREE ? undefined : row
  }

  /** The digest of a row: a copy. */
  at(row: number): Uint8Array {
    return this.#digests.at(row)
  }

  #placeOf(digest: Uint8Array, hash: number, places: Uint32Array): number {
    for (let place = hash % places.length; ; place = place + 1 === places.length ? 0 : place + 1) {
      const row = places[place]!
      if (row === FREE || this.#digests.isAt(row, digest)) return place
    }
  }

  #grown(places: Uint32Array): Uint32Array {
    const larger = freePlaces(Math.ceil(places.length * GROWTH))
    for (const row of places) {
      if (row === FREE) continue
      const digest = this.#digests.at(row)
      larger[this.#placeOf(digest, this.#hash(digest), larger)] = row
    }
    return larger
  }

  #hash(digest: Uint8Array): number {
    let hash = this.#seeds[0]!
    for (let i = 0; i < 8; i++) hash = Math.imul(hash ^ digest[i]!, 0x01000193 ^ this.#seeds[1]!)
    return mix(hash)
  }
}

function freePlaces(count: number): Uint32Array {
  return new Uint32Array(count).fill(FREE)
}

function seeds(): Uint32Array {
  const four = crypto.getRandomValues(new Uint32Array(4))
  // Odd, so that multiplying by it loses nothing.
  four[1] = (four[1]! & 0xfffffffe) >>> 0
  return four
}

/** Every bit of the number in every bit of the result. */
function mix(value: number): number {
  let x = value | 0
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d)
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b)
  return (x ^ (x >>> 16)) >>> 0
}
