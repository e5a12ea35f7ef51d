/**
 * Reading CBOR: one pass over the bytes that admits exactly one form of each value, and builds it.
 *
 *     head      argument in        accepted
 *     0x00–17   the head itself    always
 *     0x18      1 byte             when the argument needs it: 0x18 0x17 is refused
 *     0x19 1a   2, 4 bytes         likewise
 *     0x1b      8 bytes            likewise, and up to 2⁵³ − 1
 *     0x1f      indefinite         never
 *
 * By hand, and not by cbor-x behind a gate: a general decoder takes what has several forms, so all of its input had to be
 * walked before (twice the time), and it copies each byte string into memory of its own, which costs the collector more than all the rest
 * does. What makes general decoders exploitable (bignums, shared references, records, packed tables, typed arrays, generic objects)
 * enters through a tag, so tags are an allow-list that is empty by default, and mean nothing here.
 *
 * The pass is linear, believes no declared length, and allocates for what it has read and no more.
 *
 * @module
 */
import { fromUtf8, shortLatin1 } from '../merkle/bytes.ts'
import { MerkleError } from '../merkle/error.ts'
import { StatementError } from './error.ts'

export type CborKey = number | string
export type CborMap = ReadonlyMap<CborKey, CborValue>
export type CborValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly CborValue[]
  | CborMap
  | CborTag

/** A tagged value (RFC 8949 §3.4). */
export class CborTag {
  readonly tag: number
  readonly value: CborValue

  constructor(tag: number, value: CborValue) {
    this.tag = tag
    this.value = value
  }
}

/** How much of CBOR a caller is ready to read, and how much it costs at most. */
export interface CborLimits {
  /** Length of the whole input. */
  readonly maxBytes: number
  /** Levels of arrays, maps and tags inside one another. At most 16, which also bounds the reader's stack. */
  readonly maxDepth: number
  /** Data items of any kind, keys included. Small items are what reading costs: 16 384 of them take about a millisecond. */
  readonly maxItems: number
  /** Tag numbers allowed, at any position. */
  readonly tags: readonly number[]
  /**
   * Whether map keys must be in the order of RFC 8949 §4.2.1. Our own output always is; most COSE headers in the
   * field are not, and may be read with `false`. Duplicate keys are refused either way.
   */
  readonly sortedKeys: boolean
  /** Whether byte strings are views of the input, which then must not change as long as they live. Otherwise they are copies. */
  readonly views: boolean
}

export const DEFAULT_LIMITS: CborLimits = {
  maxBytes: 2 ** 20,
  maxDepth: 16,
  maxItems: 16_384,
  tags: [],
  sortedKeys: true,
  views: false,
}

/**
 * The one item that `bytes` are.
 *
 * @throws {@link StatementError} `malformed_cbor`, `too_large`
 */
export function readCbor(bytes: Uint8Array, limits: CborLimits, maxBytes = limits.maxBytes): CborValue {
  if (bytes.length > maxBytes) throw new StatementError('too_large', `more than ${maxBytes} bytes of CBOR`)
  const reader = new CborReader(bytes, limits)
  const value = reader.next()
  if (reader.at !== bytes.length) throw refuse('bytes after the end', reader.at)
  return value
}

const UINT = 0
const NINT = 1
const BYTES = 2
const TEXT = 3
const ARRAY = 4
const MAP = 5
const TAG = 6

/** The least argument that needs 1, 2, 4 and 8 bytes. */
const LEAST = [24, 2 ** 8, 2 ** 16, 2 ** 32]

/** Of nearly every statement, the unprotected header. Nobody writes to what was read. */
const EMPTY_MAP: CborMap = new Map()
/** Elements of an array for which there is room before they are read. */
const SHORT = 16

/** Reads items one after another. */
export class CborReader {
  /** Where the next item starts. */
  at = 0
  private items = 0
  private readonly bytes: Uint8Array
  private readonly limits: CborLimits
  // Of `bytes`. Asked for once: each time costs as much as a small item.
  private readonly buffer: ArrayBufferLike
  private readonly offset: number

  constructor(bytes: Uint8Array, limits: CborLimits) {
    this.bytes = bytes
    this.limits = limits
    this.buffer = bytes.buffer
    this.offset = bytes.byteOffset
  }

  /**
   * The item at {@link at}, and moves past it. The limits are for each such item anew.
   *
   * @throws {@link StatementError} `malformed_cbor`, `too_large`
   */
  next(): CborValue {
    this.items = 0
    return this.item(this.limits.maxDepth)
  }

  /** One item, which may contain `levels` more. */
  private item(levels: number): CborValue {
    if (++this.items > this.limits.maxItems)
      throw new StatementError('too_large', `more than ${this.limits.maxItems} items`)
    const start = this.at
    const first = this.bytes[start]
    if (first === undefined) throw refuse('truncated', start)
    const major = first >> 5
    if (major > TAG) return this.simple(first)

    const argument = this.argument(first)
    if (major === UINT) return argument
    if (major === NINT) {
      if (argument === Number.MAX_SAFE_INTEGER) throw refuse('an integer below −(2⁵³ − 1)', start)
      return -1 - argument
    }

    const rest = this.bytes.length - this.at
    if (major === BYTES || major === TEXT) {
      if (argument > rest) throw refuse('truncated', start)
      const from = this.at
      this.at += argument
      return major === TEXT ? textOf(this.bytes, from, this.at) : this.byteString(from, argument)
    }

    if (levels === 0) throw new StatementError('too_large', `CBOR nested deeper than ${this.limits.maxDepth}`)
    if (major === TAG) return this.tag(argument, start, levels - 1)
    // Each element takes a byte at least: a count that cannot be met is refused before anything is done about it.
    if (argument > (major === MAP ? rest / 2 : rest)) throw refuse('truncated', start)
    return major === ARRAY ? this.array(argument, levels - 1) : this.map(argument, levels - 1)
  }

  /** False, true, null. Not undefined, floats, or simple values, of which each has several encodings or none in JSON. */
  private simple(first: number): boolean | null {
    if (first < 0xf4 || first > 0xf6) throw refuse('a simple value or float', this.at)
    this.at++
    return first === 0xf6 ? null : first === 0xf5
  }

  /** Reads the argument of a head, and moves past both. */
  private argument(first: number): number {
    const start = this.at
    const info = first & 0x1f
    if (info < 24) {
      this.at += 1
      return info
    }
    if (info > 27) throw refuse(info === 31 ? 'an indefinite length' : 'a reserved head', start)

    const width = 1 << (info - 24)
    const { bytes } = this
    if (width >= bytes.length - start) throw refuse('truncated', start)
    let value = 0
    for (let i = 1; i <= width; i++) value = value * 256 + bytes[start + i]!
    if (width === 8 && value > Number.MAX_SAFE_INTEGER) throw refuse('an integer past 2⁵³ − 1', start)
    // Shortest form: the next smaller width would not have held it.
    if (value < LEAST[info - 24]!) throw refuse('an argument longer than it need be', start)
    this.at += 1 + width
    return value
  }

  private byteString(from: number, length: number): Uint8Array {
    // A plain array, whatever the input is: of a `Buffer`, `slice` would be a view and `subarray` another `Buffer`.
    const view = new Uint8Array(this.buffer, this.offset + from, length)
    return this.limits.views ? view : view.slice()
  }

  private array(length: number, levels: number): CborValue[] {
    // A long one grows: its length was only claimed. A short one would take room for 17 as it grows.
    const array = new Array<CborValue>(Math.min(length, SHORT))
    for (let i = 0; i < length; i++) array[i] = this.item(levels)
    return array
  }

  private map(count: number, levels: number): CborMap {
    if (count === 0) return EMPTY_MAP
    const { bytes, limits } = this
    const map = new Map<CborKey, CborValue>()
    let previousStart = 0
    let previousEnd = 0
    for (let i = 0; i < count; i++) {
      const start = this.at
      const major = (bytes[start] ?? 0) >> 5
      if (major !== UINT && major !== NINT && major !== TEXT) throw refuse('a key that is no integer or text', start)
      const key = this.item(levels) as CborKey
      // A key has one encoding, so two that are the same key have the same bytes.
      if (!limits.sortedKeys) {
        if (map.has(key)) throw refuse('a duplicate key', start)
      } else if (i > 0) {
        const order = compareRanges(bytes, previousStart, previousEnd, start, this.at)
        if (order >= 0) throw refuse(order === 0 ? 'a duplicate key' : 'unsorted keys', start)
      }
      previousStart = start
      previousEnd = this.at
      map.set(key, this.item(levels))
    }
    return map
  }

  private tag(tag: number, start: number, levels: number): CborTag {
    if (!this.limits.tags.includes(tag)) throw refuse(`tag ${tag}`, start)
    // Epoch time (RFC 8949 §3.4.2): an integer, and one that readers who make a date of it can hold exactly.
    if (tag === 1 && (this.bytes[this.at] ?? 0xff) >> 5 > NINT) throw refuse('a time that is no integer', start)
    const value = this.item(levels)
    if (tag === 1 && Math.abs(value as number) >= 8.64e12) throw refuse('a time out of range', start)
    return new CborTag(tag, value)
  }
}

// Most texts of the records of one signer are those of the record before: its name, its key, the words of the format. They are looked
// up by their length and a few of their bytes, and nothing is allocated for one that is found; what has the same slot is overwritten.
const SLOTS = 1024
const LONGEST_KEPT = 64
const kept: string[] = new Array<string>(SLOTS).fill('')

/**
 * The text whose UTF-8 is in [from, to).
 *
 * @throws {@link StatementError} `malformed_cbor`
 */
export function textOf(bytes: Uint8Array, from: number, to: number): string {
  const length = to - from
  if (length === 0) return ''
  if (length <= LONGEST_KEPT) {
    const slot = slotOf(bytes, from, length)
    const known = kept[slot]!
    if (isText(known, bytes, from, to)) return known
    if (isAscii(bytes, from, to)) {
      const text = shortLatin1(bytes, from, to)
      kept[slot] = text
      return text
    }
  }
  // Some decoders drop a leading U+FEFF and others keep it: one text with two readings.
  if (length >= 3 && bytes[from] === 0xef && bytes[from + 1] === 0xbb && bytes[from + 2] === 0xbf) {
    throw refuse('text with a byte-order mark', from)
  }
  try {
    return fromUtf8(bytes.subarray(from, to))
  } catch (error) {
    if (!(error instanceof MerkleError)) throw error
    throw refuse('invalid UTF-8', from)
  }
}

/** By five of the bytes: all of them are looked at when the text is compared. */
function slotOf(bytes: Uint8Array, from: number, length: number): number {
  const quarter = length >> 2
  let hash = length
  for (let i = 0; i < 4; i++) hash = Math.imul(hash, 31) + bytes[from + i * quarter]!
  hash = Math.imul(hash, 31) + bytes[from + length - 1]!
  return (hash ^ (hash >>> 16)) & (SLOTS - 1)
}

function isAscii(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (bytes[at]! > 0x7f) return false
  return true
}

function isText(text: string, bytes: Uint8Array, from: number, to: number): boolean {
  if (text.length !== to - from) return false
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== bytes[from + i]) return false
  return true
}

function refuse(what: string, at: number): StatementError {
  return new StatementError('malformed_cbor', `${what}, at byte ${at}`)
}

function compareRanges(bytes: Uint8Array, aStart: number, aEnd: number, bStart: number, bEnd: number): number {
  let a = aStart
  let b = bStart
  while (a < aEnd && b < bEnd) {
    const difference = bytes[a++]! - bytes[b++]!
    if (difference !== 0) return difference
  }
  return aEnd - a - (bEnd - b)
}
