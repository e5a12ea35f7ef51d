/**
 * Writing core-deterministic CBOR (RFC 8949 §4.2.1): shortest heads, definite lengths, map keys in the order of their encodings.
 *
 * By hand: cbor-x writes large integers as floats, maps under a tag of its own and keys in any order, so that all its input would have to
 * be rebuilt first and its output checked after. Every receipt passes here.
 *
 * @module
 */
import { compareBytes, utf8 } from '../merkle/bytes.ts'

/** Major types of RFC 8949 §3.1. */
export const MAJOR = { unsigned: 0, negative: 1, bytes: 2, text: 3, array: 4, map: 5, tag: 6, simple: 7 } as const

/** Writes a head at `at`, where there must be room for nine bytes, and returns where it ends. */
export function writeHead(bytes: Uint8Array, at: number, major: number, argument: number): number {
  const length = headLength(argument)
  const type = major << 5
  if (length === 1) {
    bytes[at] = type | argument
    return at + 1
  }
  bytes[at] = type | (length === 2 ? 24 : length === 3 ? 25 : length === 5 ? 26 : 27)
  let rest = argument
  for (let i = at + length - 1; i > at; i--) {
    bytes[i] = rest % 0x100
    rest = Math.floor(rest / 0x100)
  }
  return at + length
}

/** Bytes of the head with this argument. */
export function headLength(argument: number): number {
  if (argument < 24) return 1
  if (argument < 0x100) return 2
  if (argument < 0x1_0000) return 3
  return argument < 0x1_0000_0000 ? 5 : 9
}

/** Characters. */
const SHORT_TEXT = 64

/** Bytes written so far. One writer is used again and again: nothing in here yields to other code. */
export class CborWriter {
  #bytes = new Uint8Array(4096)
  #length = 0

  get length(): number {
    return this.#length
  }

  /** Takes back what was written from `length` on. */
  truncate(length: number): void {
    this.#length = length
  }

  /** A copy of what was written from `start` on. */
  slice(start = 0): Uint8Array {
    return this.#bytes.slice(start, this.#length)
  }

  /** The head of an item: its major type and, in the fewest bytes, its argument, an integer from 0 to 2⁵³ − 1. */
  head(major: number, argument: number): void {
    this.#reserve(9)
    this.#length = writeHead(this.#bytes, this.#length, major, argument)
  }

  integer(value: number): void {
    if (value < 0) this.head(MAJOR.negative, -1 - value)
    else this.head(MAJOR.unsigned, value)
  }

  bytes(value: Uint8Array): void {
    this.head(MAJOR.bytes, value.length)
    this.raw(value)
  }

  text(value: string): void {
    if (value.length <= SHORT_TEXT && this.#ascii(value)) return
    const encoded = utf8(value)
    this.head(MAJOR.text, encoded.length)
    this.raw(encoded)
  }

  /** Writes what is ASCII as it is, for short text in half the time that an encoder takes; and nothing that is not. */
  #ascii(value: string): boolean {
    const before = this.#length
    this.head(MAJOR.text, value.length)
    this.#reserve(value.length)
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i)
      if (code > 0x7f) {
        this.#length = before
        return false
      }
      this.#bytes[this.#length++] = code
    }
    return true
  }

  raw(value: Uint8Array): void {
    this.#reserve(value.length)
    this.#bytes.set(value, this.#length)
    this.#length += value.length
  }

  /** Sorts by their keys the map entries that were written from `start` on; `keyEnds` and `ends` are where each key and each entry ends. */
  sortEntries(start: number, keyEnds: readonly number[], ends: readonly number[]): void {
    if (this.#isSorted(start, keyEnds, ends)) return
    const begins = [start, ...ends.slice(0, -1)]
    const entries = ends.map((end, i) => ({ key: this.#bytes.subarray(begins[i], keyEnds[i]), begin: begins[i]!, end }))
    const unsorted = this.#bytes.slice(start, this.#length)
    entries.sort((a, b) => compareBytes(a.key, b.key))
    // The keys are views of what is overwritten now; they are not looked at again.
    let at = start
    for (const { begin, end } of entries) {
      this.#bytes.set(unsorted.subarray(begin - start, end - start), at)
      at += end - begin
    }
  }

  /** Looked at in place: most maps are written in order. */
  #isSorted(start: number, keyEnds: readonly number[], ends: readonly number[]): boolean {
    const bytes = this.#bytes
    for (let i = 1; i < ends.length; i++) {
      let [a, b] = [i === 1 ? start : ends[i - 2]!, ends[i - 1]!]
      const [endA, endB] = [keyEnds[i - 1]!, keyEnds[i]!]
      while (a < endA && b < endB && bytes[a] === bytes[b]) {
        a++
        b++
      }
      if (b === endB || (a < endA && bytes[a]! > bytes[b]!)) return false
    }
    return true
  }

  #reserve(more: number): void {
    const needed = this.#length + more
    if (needed <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.length))
    grown.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = grown
  }
}
