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
 * @module
 */
import { assert } from '../../merkle/index.ts'

type Numbers = Float64Array | Uint32Array | Uint16Array | Uint8Array

/** A list of numbers that grows by half when it is full. */
export class Column<T extends Numbers> {
  readonly #make: (length: number) => T
  #values: T
  #length = 0

  constructor(make: (length: number) => T) {
    this.#make = make
    this.#values = make(256)
  }

  get length(): number {
    return this.#length
  }

  push(value: number): void {
    if (this.#length === this.#values.length) {
      const larger = this.#make(Math.ceil(this.#length * GROWTH))
      larger.set(this.#values)
      this.#values = larger
    }
    this.#values[this.#length++] = value
  }

  at(row: number): number {
    assert(row >= 0 && row < this.#length, `no row ${row}`)
    return this.#values[row]!
  }

  set(row: number, value: number): void {
    assert(row >= 0 && row < this.#length, `no row ${row}`)
    this.#values[row] = value
  }

  /** The row with `value`, where they were pushed in growing order; undefined when there is none. */
  find(value: number): number | undefined {
    let [low, high] = [0, this.#length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#values[middle]! < value) low = middle + 1
      else high = middle
    }
    return low < this.#length && this.#values[low] === value ? low : undefined
  }
}

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
  #high = new Uint32Array(1024)
  #low = new Uint32Array(1024)
  #rows = new Uint32Array(1024).fill(FREE)
  #count = 0
  readonly #seeds = seeds()

  /** The row that was first to hold `name`. */
  holderOf(name: string): number | undefined {
    this.#hash(name)
    const row = this.#rows[this.#placeOf(hashed[0]!, hashed[1]!)]!
    return row === FREE ? undefined : row
  }

  /** Whoever holds it already keeps it. */
  add(name: string, row: number): void {
    if (this.#count >= this.#rows.length * MAX_LOAD) this.#grow()
    this.#hash(name)
    const place = this.#placeOf(hashed[0]!, hashed[1]!)
    if (this.#rows[place] !== FREE) return
    this.#put(place, hashed[0]!, hashed[1]!, row)
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
const DIGEST_BYTES = 32

/** 32 bytes a row. */
export class Digests {
  #bytes = new Uint8Array(256 * DIGEST_BYTES)
  #length = 0

  get length(): number {
    return this.#length
  }

  push(digest: Uint8Array): void {
    assert(digest.length === DIGEST_BYTES, 'a digest')
    if ((this.#length + 1) * DIGEST_BYTES > this.#bytes.length) {
      const larger = new Uint8Array(Math.ceil(this.#length * GROWTH) * DIGEST_BYTES)
      larger.set(this.#bytes)
      this.#bytes = larger
    }
    this.#bytes.set(digest, this.#length++ * DIGEST_BYTES)
  }

  /** A copy. */
  at(row: number): Uint8Array {
    assert(row >= 0 && row < this.#length, `no row ${row}`)
    return this.#bytes.slice(row * DIGEST_BYTES, (row + 1) * DIGEST_BYTES)
  }

  isAt(row: number, digest: Uint8Array): boolean {
    const at = row * DIGEST_BYTES
    for (let i = 0; i < DIGEST_BYTES; i++) if (this.#bytes[at + i] !== digest[i]) return false
    return true
  }
}

/** Rows by a digest. The whole of it is compared: a place is found by a part of it, in a way that nobody can foresee. */
export class DigestIndex {
  readonly #digests = new Digests()
  #places = new Uint32Array(512).fill(FREE)
  readonly #seeds = seeds()

  get length(): number {
    return this.#digests.length
  }

  /** As the next row. A digest that is there already keeps its first row. */
  push(digest: Uint8Array): void {
    if (this.length >= this.#places.length * MAX_LOAD) this.#grow()
    const place = this.#placeOf(digest)
    if (this.#places[place] === FREE) this.#places[place] = this.length
    this.#digests.push(digest)
  }

  rowOf(digest: Uint8Array): number | undefined {
    const row = this.#places[this.#placeOf(digest)]!
    return row === FREE ? undefined : row
  }

  /** The digest of a row: a copy. */
  at(row: number): Uint8Array {
    return this.#digests.at(row)
  }

  #placeOf(digest: Uint8Array): number {
    const places = this.#places.length
    for (let place = this.#hash(digest) % places; ; place = place + 1 === places ? 0 : place + 1) {
      const row = this.#places[place]!
      if (row === FREE || this.#digests.isAt(row, digest)) return place
    }
  }

  #grow(): void {
    this.#places = new Uint32Array(Math.ceil(this.#places.length * GROWTH)).fill(FREE)
    for (let row = 0; row < this.length; row++) {
      const place = this.#placeOf(this.#digests.at(row))
      if (this.#places[place] === FREE) this.#places[place] = row
    }
  }

  #hash(digest: Uint8Array): number {
    let hash = this.#seeds[0]!
    for (let i = 0; i < 8; i++) hash = Math.imul(hash ^ digest[i]!, 0x01000193 ^ this.#seeds[1]!)
    return mix(hash)
  }
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
