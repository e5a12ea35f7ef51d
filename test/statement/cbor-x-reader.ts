/**
 * The reader of CBOR that ours took the place of, as a judge of it: a gate that walks over the bytes, and cbor-x behind it.
 *
 * It admits the same one form of each value, by other code: the gate builds nothing, and cbor-x knows nothing of our rules. So whatever one
 * of the two refuses the other must refuse with the same code, and what they take they must read alike.
 *
 * @module
 */
import { Decoder, Tag } from 'cbor-x/decode'
import { type CborLimits, CborTag, type CborValue } from '../../statement/cbor.ts'
import { DEFAULT_LIMITS } from '../../statement/cbor-read.ts'
import { StatementError } from '../../statement/error.ts'

/** As `decodeCbor`. */
export function decodeByCborX(bytes: Uint8Array, limits: Partial<CborLimits> = {}): CborValue {
  const hasTags = scan(bytes, { ...DEFAULT_LIMITS, ...limits })
  // A plain view: the codec hangs a property on what it is given, and copies of a `Buffer`'s bytes would be `Buffer`s.
  const value: unknown = decoder.decode(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  return (hasTags ? ownTags(value) : value) as CborValue
}

// An instance of our own: the codec keeps state per instance, and its shared default one has its dialect switched on.
const decoderOptions: ConstructorParameters<typeof Decoder>[0] & { readonly int64AsNumber: boolean } = {
  useRecords: false,
  mapsAsObjects: false,
  copyBuffers: true,
  // After the scan every integer is below 2⁵³, so this loses nothing.
  int64AsNumber: true,
}
const decoder = new Decoder(decoderOptions)

/** Replaces the codec's tags by ours, in place: the value is fresh and nobody else's. */
function ownTags(value: unknown): unknown {
  if (value instanceof Tag) return new CborTag(value.tag, ownTags(value.value) as CborValue)
  // Tag 1, the scan having checked that this division is exact.
  if (value instanceof Date) return new CborTag(1, value.getTime() / 1000)
  if (Array.isArray(value)) for (let i = 0; i < value.length; i++) value[i] = ownTags(value[i])
  if (value instanceof Map) for (const [key, inner] of value) value.set(key, ownTags(inner))
  return value
}

/** Checks that `bytes` are one CBOR item in its one permitted form, without building it. Returns whether it has tags. */
function scan(bytes: Uint8Array, limits: CborLimits): boolean {
  if (bytes.length > limits.maxBytes)
    throw new StatementError('too_large', `more than ${limits.maxBytes} bytes of CBOR`)
  const scanner = new Scanner(bytes, limits)
  scanner.item(limits.maxDepth)
  if (scanner.at !== bytes.length) throw refuse('bytes after the end', scanner.at)
  return scanner.sawTag
}

const UINT = 0
const NINT = 1
const BYTES = 2
const TEXT = 3
const ARRAY = 4
const MAP = 5
const TAG = 6

class Scanner {
  at = 0
  sawTag = false
  private items = 0
  private readonly bytes: Uint8Array
  private readonly limits: CborLimits

  constructor(bytes: Uint8Array, limits: CborLimits) {
    this.bytes = bytes
    this.limits = limits
  }

  /** Passes over one item, which may contain `levels` more. */
  item(levels: number): void {
    if (++this.items > this.limits.maxItems)
      throw new StatementError('too_large', `more than ${this.limits.maxItems} items`)
    const start = this.at
    const first = this.bytes[start]
    if (first === undefined) throw refuse('truncated', start)
    const major = first >> 5

    if (major > TAG) {
      // false, true, null. Not undefined, floats, or simple values, of which each has several encodings or none in JSON.
      if (first < 0xf4 || first > 0xf6) throw refuse('a simple value or float', start)
      this.at++
      return
    }

    const argument = this.argument(first)
    if (major <= NINT) {
      if (major === NINT && argument === Number.MAX_SAFE_INTEGER) throw refuse('an integer below −(2⁵³ − 1)', start)
      return
    }

    const rest = this.bytes.length - this.at
    if (major === BYTES || major === TEXT) {
      if (argument > rest) throw refuse('truncated', start)
      if (major === TEXT) this.text(this.at, this.at + argument)
      this.at += argument
      return
    }

    if (levels === 0) throw new StatementError('too_large', `CBOR nested deeper than ${this.limits.maxDepth}`)
    if (major === TAG) {
      this.tag(argument, start)
      this.item(levels - 1)
      return
    }

    // Each element takes a byte at least: a count that cannot be met is refused before anything is done about it.
    if (argument > (major === MAP ? rest / 2 : rest)) throw refuse('truncated', start)
    if (major === ARRAY) for (let i = 0; i < argument; i++) this.item(levels - 1)
    else this.map(argument, levels - 1)
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

    const width = 2 ** (info - 24)
    const { bytes } = this
    if (width >= bytes.length - start) throw refuse('truncated', start)
    let value = 0
    for (let i = 1; i <= width; i++) value = value * 256 + bytes[start + i]!
    if (width === 8 && value > Number.MAX_SAFE_INTEGER) throw refuse('an integer past 2⁵³ − 1', start)
    // Shortest form: the next smaller width would not have held it.
    if (value < (width === 1 ? 24 : 2 ** (4 * width))) throw refuse('an argument longer than it need be', start)
    this.at += 1 + width
    return value
  }

  private map(count: number, levels: number): void {
    const { bytes, limits } = this
    const seen = limits.sortedKeys ? undefined : new Set<string>()
    let previousStart = 0
    let previousEnd = 0
    for (let i = 0; i < count; i++) {
      const start = this.at
      const major = (bytes[start] ?? 0) >> 5
      if (major !== UINT && major !== NINT && major !== TEXT) throw refuse('a key that is no integer or text', start)
      this.item(levels)

      if (seen) {
        const key = keyText(bytes, start, this.at)
        if (seen.has(key)) throw refuse('a duplicate key', start)
        seen.add(key)
      } else if (i > 0) {
        const order = compareRanges(bytes, previousStart, previousEnd, start, this.at)
        if (order >= 0) throw refuse(order === 0 ? 'a duplicate key' : 'unsorted keys', start)
      }
      previousStart = start
      previousEnd = this.at
      this.item(levels)
    }
  }

  private tag(tag: number, start: number): void {
    if (!this.limits.tags.includes(tag)) throw refuse(`tag ${tag}`, start)
    this.sawTag = true
    if (tag !== 1) return
    // Epoch time (RFC 8949 §3.4.2), which the decoder turns into a `Date`: integers only, and what a `Date` holds exactly.
    const after = this.at
    const first = this.bytes[after]
    if (first === undefined || first >> 5 > NINT) throw refuse('a time that is no integer', start)
    if (this.argument(first) >= 8.64e12) throw refuse('a time out of range', start)
    this.at = after
  }

  /** UTF-8 by the table of RFC 3629 §4: no overlong forms, no surrogates, nothing past U+10FFFF. */
  private text(start: number, end: number): void {
    const { bytes } = this
    let at = start
    while (at < end) {
      const lead = bytes[at]!
      if (lead < 0x80) {
        at++
        // Text is nearly always ASCII: eight bytes a step are four times as fast as one (measured).
        while (at + 8 <= end && asciiAt(bytes, at)) at += 8
        continue
      }
      if (lead >= 0xc2 && lead < 0xe0 && at + 2 <= end && bytes[at + 1]! >> 6 === 2) {
        at += 2
        continue
      }
      const length = lead < 0xf0 ? 3 : 4
      if (lead < 0xe0 || lead > 0xf4 || at + length > end) throw refuse('invalid UTF-8', at)
      const second = bytes[at + 1]!
      const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80
      const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf
      if (second < low || second > high) throw refuse('invalid UTF-8', at)
      if (bytes[at + 2]! >> 6 !== 2 || (length === 4 && bytes[at + 3]! >> 6 !== 2)) throw refuse('invalid UTF-8', at)
      at += length
    }
    // Some decoders drop a leading U+FEFF and others keep it: one text with two readings.
    if (end - start >= 3 && bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf) {
      throw refuse('text with a byte-order mark', start)
    }
  }
}

function asciiAt(b: Uint8Array, i: number): boolean {
  return (b[i]! | b[i + 1]! | b[i + 2]! | b[i + 3]! | b[i + 4]! | b[i + 5]! | b[i + 6]! | b[i + 7]!) < 0x80
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

/** A string that differs whenever the encoded keys do. */
function keyText(bytes: Uint8Array, start: number, end: number): string {
  let text = ''
  for (let at = start; at < end; at += 0x1000) {
    // `apply` takes any array-like; only its type says otherwise. A spread would go through an iterator, at 10x the cost.
    text += String.fromCharCode.apply(null, bytes.subarray(at, Math.min(end, at + 0x1000)) as unknown as number[])
  }
  return text
}
