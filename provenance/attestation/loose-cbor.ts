/**
 * CBOR (RFC 8949) as others write it: well formed, and in any encoding.
 *
 * What we log is in one form (`statement/cbor.ts`). Attestation results and evidence of others are signed as bytes and only read here: indefinite
 * lengths, long forms and floats are theirs to use. Duplicate keys are not: two readers would see two things. A float stays a
 * {@link JsonNumber}, so that nobody takes it for the integer that it looks like.
 *
 * @module
 */
import { fromUtf8 } from '../../merkle/bytes.ts'
import { EvidenceError } from '../../merkle/error.ts'
import { StatementError } from '../../statement/error.ts'
import { JsonNumber } from '../json.ts'

export type LooseCbor =
  | null
  | boolean
  | number
  | JsonNumber
  | string
  | Uint8Array
  | readonly LooseCbor[]
  | LooseMap
  | LooseTag
export type LooseMap = ReadonlyMap<number | string, LooseCbor>

export class LooseTag {
  readonly tag: number
  readonly value: LooseCbor
  constructor(tag: number, value: LooseCbor) {
    this.tag = tag
    this.value = value
  }
}

const MAX_DEPTH = 32
/** Values in one text: what a few hundred kilobytes of nothing could otherwise become in memory. */
const MAX_ITEMS = 20_000

/**
 * The value that `bytes` encode, all of them. Byte strings are views where they were sent in one piece.
 *
 * @throws StatementError `malformed_cbor`, `too_large`
 */
export function decodeLooseCbor(bytes: Uint8Array): LooseCbor {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  let items = 0

  function take(length: number): number {
    const start = at
    if (length > bytes.length - at) throw malformed('it ends too early')
    at += length
    return start
  }
  /** The argument of a head; undefined for an indefinite length. */
  function argument(info: number): number | bigint | undefined {
    if (info < 24) return info
    if (info === 24) return view.getUint8(take(1))
    if (info === 25) return view.getUint16(take(2))
    if (info === 26) return view.getUint32(take(4))
    if (info === 27) return view.getBigUint64(take(8))
    if (info === 31) return undefined
    throw malformed(`a head with ${info}`)
  }
  function lengthOf(value: number | bigint): number {
    // What is longer than all the bytes there are ends too early, whatever the number.
    if (value > bytes.length) throw malformed('it ends too early')
    return Number(value)
  }
  function atBreak(): boolean {
    if (at >= bytes.length) throw malformed('it ends too early')
    if (bytes[at] !== 0xff) return false
    at++
    return true
  }
  function readString(major: number, length: number | bigint | undefined): Uint8Array {
    if (length !== undefined) {
      const start = take(lengthOf(length))
      return bytes.subarray(start, at)
    }
    const pieces: Uint8Array[] = []
    while (!atBreak()) {
      count()
      const head = view.getUint8(take(1))
      const piece = argument(head & 31)
      if (head >> 5 !== major || piece === undefined) throw malformed('a string in pieces that are none')
      const text = readString(major, piece)
      // §3.2.3: each piece of a text is a text.
      if (major === 3) textOf(text)
      pieces.push(text)
    }
    const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0))
    let end = 0
    for (const piece of pieces) {
      whole.set(piece, end)
      end += piece.length
    }
    return whole
  }
  function readArray(length: number | bigint | undefined, depth: number): LooseCbor[] {
    const values: LooseCbor[] = []
    const end = length === undefined ? undefined : lengthOf(length)
    while (end === undefined ? !atBreak() : values.length < end) values.push(read(depth + 1))
    return values
  }
  function readMap(length: number | bigint | undefined, depth: number): LooseMap {
    const map = new Map<number | string, LooseCbor>()
    const end = length === undefined ? undefined : lengthOf(length)
    while (end === undefined ? !atBreak() : map.size < end) {
      const key = read(depth + 1)
      if (typeof key !== 'number' && typeof key !== 'string') throw malformed('a key that is no integer or text')
      if (map.has(key)) throw malformed(`a second key ${JSON.stringify(key).slice(0, 64)}`)
      map.set(key, read(depth + 1))
    }
    return map
  }
  function readSimple(info: number): LooseCbor {
    if (info === 20 || info === 21) return info === 21
    if (info === 22) return null
    if (info === 25) return new JsonNumber(String(halfFloat(view.getUint16(take(2)))))
    if (info === 26) return new JsonNumber(String(view.getFloat32(take(4))))
    if (info === 27) return new JsonNumber(String(view.getFloat64(take(8))))
    throw malformed(`a simple value ${info}`)
  }
  function count(): void {
    if (++items > MAX_ITEMS) throw new StatementError('too_large', `more than ${MAX_ITEMS} values`)
  }
  function read(depth: number): LooseCbor {
    if (depth > MAX_DEPTH) throw new StatementError('too_large', `nested deeper than ${MAX_DEPTH}`)
    count()
    const head = view.getUint8(take(1))
    const [major, info] = [head >> 5, head & 31]
    if (major === 7) return readSimple(info)
    const value = argument(info)
    if (major === 2) return readString(major, value)
    if (major === 3) return textOf(readString(major, value))
    if (major === 4) return readArray(value, depth)
    if (major === 5) return readMap(value, depth)
    if (value === undefined) throw malformed('an indefinite length where none can be')
    if (major === 6) return new LooseTag(Number(value), read(depth + 1))
    return integer(major === 1 ? -1n - BigInt(value) : BigInt(value))
  }

  const value = read(0)
  if (at !== bytes.length) throw malformed('bytes after the end')
  return value
}

function integer(value: bigint): number | JsonNumber {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : new JsonNumber(value.toString())
}

/** IEEE 754 binary16 (RFC 8949 appendix D). */
function halfFloat(bits: number): number {
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 0x3ff]
  const size =
    exponent === 0
      ? fraction * 2 ** -24
      : exponent === 31
        ? fraction === 0
          ? Number.POSITIVE_INFINITY
          : Number.NaN
        : (1024 + fraction) * 2 ** (exponent - 25)
  return bits & 0x8000 ? -size : size
}

function textOf(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes)
  } catch (cause) {
    if (cause instanceof EvidenceError) throw new StatementError('malformed_cbor', 'text that is not UTF-8', { cause })
    throw cause
  }
}

function malformed(why: string): StatementError {
  return new StatementError('malformed_cbor', why)
}
