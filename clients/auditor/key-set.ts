/**
 * Who was the first to hold each of many names. A name is known by 64 bits of a hash, which starts elsewhere in each process. A name that
 * is held is always found. One that nobody holds may be taken for another one: by chance once in a million audits of as many names, and then
 * somebody is asked about two records that have nothing in common.
 *
 * ```
 *   name ──hash──▶ shard of 256 ──▶ [24 bits · run] …        in memory: a name that nobody holds is almost never there
 *                                            │
 *                                            ▼
 *   runs of 49 152 names               [64 bits, row] …      in the file as they were filled, but for the last one: looked at when there
 *                                                            is something, which is mostly a finding
 * ```
 *
 * @module
 */
import type { Scratch } from './scratch.ts'
import { FREE, GROWTH, MAX_LOAD, mix, SHARD_SHIFT, SHARDS, seeds } from './tables.ts'

const FIRST_PLACES = 16
/** What a place says of its run: its number, modulo this. The one value that is left over means that the place is free. */
const RUN_NAMES = 255

export class KeySet {
  readonly #shards = Array.from({ length: SHARDS }, () => new Shard())
  readonly #runs: Runs
  readonly #seeds = seeds()
  /** Those that were asked for last, with their hashes: it is asked who holds the names of a record before it gets them. */
  readonly #lately: { name: string; high: number; low: number }[] = []
  #oldest = 0

  constructor(scratch: Scratch) {
    this.#runs = new Runs(scratch)
  }

  /** The row that was first to hold `name`. */
  holderOf(name: string): number | undefined {
    this.#hash(name)
    return this.#holderOfHashed()
  }

  /** Whoever holds it already keeps it. */
  add(name: string, row: number): void {
    this.#hash(name)
    if (this.#holderOfHashed() !== undefined) return
    const run = this.#runs.add(hashed[0]!, hashed[1]!, row)
    this.#shards[hashed[0]! >>> SHARD_SHIFT]!.add(((hashed[0]! << 8) | (run % RUN_NAMES)) >>> 0)
  }

  #holderOfHashed(): number | undefined {
    const [high, low] = [hashed[0]!, hashed[1]!]
    const { places } = this.#shards[high >>> SHARD_SHIFT]!
    const bits = high & 0xffffff
    for (let place = placeOf(bits, places.length); ; place = place + 1 === places.length ? 0 : place + 1) {
      const held = places[place]!
      if (held === FREE) return undefined
      if (held >>> 8 !== bits) continue
      for (let run = held & 0xff; run < this.#runs.length; run += RUN_NAMES) {
        const row = this.#runs.rowOf(run, high, low)
        if (row !== undefined) return row
      }
    }
  }

  #hash(name: string): void {
    const known = this.#lately.find((each) => each.name === name)
    if (known === undefined) {
      this.#hashAnew(name)
      this.#lately[this.#oldest] = { name, high: hashed[0]!, low: hashed[1]! }
      this.#oldest = (this.#oldest + 1) % LATELY
    } else {
      hashed[0] = known.high
      hashed[1] = known.low
    }
  }

  #hashAnew(name: string): void {
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
const LATELY = 4

/** Places in the order of the bits, so that it grows by itself. */
class Shard {
  places = new Uint32Array(FIRST_PLACES).fill(FREE)
  #count = 0

  /** @param held - bits of the hash, and the run: of two that are the same one is enough */
  add(held: number): void {
    if (this.#count >= this.places.length * MAX_LOAD) this.#grow()
    if (put(this.places, held)) this.#count++
  }

  #grow(): void {
    const before = this.places
    this.places = new Uint32Array(Math.ceil(before.length * GROWTH)).fill(FREE)
    for (const held of before) if (held !== FREE) put(this.places, held)
  }
}

function put(places: Uint32Array, held: number): boolean {
  let place = placeOf(held >>> 8, places.length)
  for (; places[place] !== FREE; place = place + 1 === places.length ? 0 : place + 1) {
    if (places[place] === held) return false
  }
  places[place] = held
  return true
}

function placeOf(bits: number, places: number): number {
  return Math.floor((bits * places) / 0x1000000)
}

/** Of a run. A power of two. */
const RUN_PLACES = 65_536
const RUN_FULL = 49_152
/** `u32` each: two halves of the hash, and the row. */
const WIDTH = 3
/** Places that are read at a time: nearly always all that are needed. */
const READ_PLACES = 32

/** Tables of one size, filled one after another. */
class Runs {
  readonly #scratch: Scratch
  /** The one that is being filled. */
  readonly #last = new Uint32Array(WIDTH * RUN_PLACES).fill(FREE)
  #count = 0
  /** Where the full ones are in the file. */
  readonly #full: number[] = []
  readonly #read = new Uint32Array(WIDTH * READ_PLACES)

  constructor(scratch: Scratch) {
    this.#scratch = scratch
  }

  get length(): number {
    return this.#full.length + 1
  }

  /** Returns the number of the run that it is in. It must be in none. */
  add(high: number, low: number, row: number): number {
    if (this.#count === RUN_FULL) {
      this.#full.push(this.#scratch.append(new Uint8Array(this.#last.buffer)))
      this.#last.fill(FREE)
      this.#count = 0
    }
    let place = low % RUN_PLACES
    while (this.#last[WIDTH * place + 2] !== FREE) place = (place + 1) % RUN_PLACES
    this.#last[WIDTH * place] = high
    this.#last[WIDTH * place + 1] = low
    this.#last[WIDTH * place + 2] = row
    this.#count++
    return this.#full.length
  }

  rowOf(run: number, high: number, low: number): number | undefined {
    for (let place = low % RUN_PLACES, read = this.#from(run, place); ; read = this.#from(run, place)) {
      const { places, at, count } = read
      for (let i = 0; i < count; i++) {
        const each = at + WIDTH * i
        if (places[each + 2] === FREE) return undefined
        if (places[each] === high && places[each + 1] === low) return places[each + 2]
      }
      place = (place + count) % RUN_PLACES
    }
  }

  /** Some places of a run from one on, up to its last. */
  #from(run: number, place: number): { places: Uint32Array; at: number; count: number } {
    if (run === this.#full.length) return { places: this.#last, at: WIDTH * place, count: RUN_PLACES - place }
    const count = Math.min(READ_PLACES, RUN_PLACES - place)
    const bytes = new Uint8Array(this.#read.buffer, 0, count * WIDTH * Uint32Array.BYTES_PER_ELEMENT)
    this.#scratch.read(this.#full[run]! + place * WIDTH * Uint32Array.BYTES_PER_ELEMENT, bytes)
    return { places: this.#read, at: 0, count }
  }
}
