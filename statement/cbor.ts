/**
 * CBOR (RFC 8949) in one form: what we write is core-deterministic (§4.2.1), and what we read has each value in its
 * one shortest encoding, so `encodeCbor(decodeCbor(bytes))` gives back `bytes`.
 *
 *     CborValue                             encoded
 *     null, true, false                     f6 f5 f4
 *     an integer within ±(2⁵³ − 1)          00…  20…      number or bigint in, number out; never a float
 *     well-formed text without a BOM        60…
 *     bytes                                 40…           a copy both ways
 *     array, map with int and text keys     80…  a0…      keys sorted by their encoded bytes
 *     a tag the caller asked for            c0…
 *
 * Nothing else exists here: no floats, no undefined, no bignums, no indefinite lengths. Serial numbers and other
 * large integers are byte strings. Both ways are by hand; `cbor-read.ts` and `cbor-write.ts` say why.
 *
 * @module
 */
import { assert } from '../merkle/error.ts'
import { type CborLimits, type CborMap, CborTag, type CborValue, DEFAULT_LIMITS, readCbor } from './cbor-read.ts'
import { CborWriter, MAJOR } from './cbor-write.ts'
import { StatementError } from './error.ts'

export { type CborKey, type CborLimits, type CborMap, CborTag, type CborValue } from './cbor-read.ts'

export function tagged(tag: number, value: CborValue): CborTag {
  return new CborTag(tag, value)
}

/**
 * The core-deterministic encoding of `value`, in a new array.
 *
 * @throws {@link StatementError} `unencodable_value` for what has no form here, `too_large` past 16 levels
 */
export function encodeCbor(value: CborValue): Uint8Array {
  const writer = idleWriter ?? new CborWriter()
  idleWriter = undefined
  writer.truncate(0)
  write(writer, value, DEFAULT_LIMITS.maxDepth)
  const bytes = writer.slice()
  // One that grew large, or was left half written by a throw, is not kept.
  if (bytes.length <= LARGEST_KEPT) idleWriter = writer
  return bytes
}

/**
 * The value that `bytes` encode, all of them. Byte strings in it are copies, unless `limits` ask for views.
 *
 * @throws {@link StatementError} `malformed_cbor`, `too_large`
 */
export function decodeCbor(bytes: Uint8Array, limits: Partial<CborLimits> = {}): CborValue {
  const all = { ...DEFAULT_LIMITS, ...limits }
  assert(all.tags.every(isPlainTag), 'a tag that others do not hand over as it is')
  assert(all.maxDepth <= DEFAULT_LIMITS.maxDepth, 'a depth that the stack is not sized for')
  return readCbor(bytes, all)
}

// Typed getters. `title` names the place for the message: "the receipt's tree size must be …".

export function asMap(value: CborValue | undefined, title: string): CborMap {
  return value instanceof Map ? value : mistyped(title, 'a map', value)
}

/** @param length how many elements it must have, when that is fixed */
export function asArray(value: CborValue | undefined, title: string, length?: number): readonly CborValue[] {
  if (!Array.isArray(value)) return mistyped(title, 'an array', value)
  if (length !== undefined && value.length !== length) return mistyped(title, `${length} elements`, value)
  return value
}

export function asText(value: CborValue | undefined, title: string): string {
  return typeof value === 'string' ? value : mistyped(title, 'text', value)
}

/** @param length how many bytes it must have, when that is fixed */
export function asBytes(value: CborValue | undefined, title: string, length?: number): Uint8Array {
  if (!(value instanceof Uint8Array)) return mistyped(title, 'bytes', value)
  if (length !== undefined && value.length !== length) return mistyped(title, `${length} bytes`, value)
  return value
}

/** An integer from 0 to 2⁵³ − 1. */
export function asUint(value: CborValue | undefined, title: string): number {
  return typeof value === 'number' && value >= 0 ? value : mistyped(title, 'an unsigned integer', value)
}

/** An integer within ±(2⁵³ − 1). */
export function asInt(value: CborValue | undefined, title: string): number {
  return typeof value === 'number' ? value : mistyped(title, 'an integer', value)
}

export function asBoolean(value: CborValue | undefined, title: string): boolean {
  return typeof value === 'boolean' ? value : mistyped(title, 'a boolean', value)
}

function mistyped(title: string, wanted: string, value: CborValue | undefined): never {
  throw new StatementError('malformed_cbor', value === undefined ? `${title} is missing` : `${title} must be ${wanted}`)
}

let idleWriter: CborWriter | undefined
const LARGEST_KEPT = 64 * 1024

/** The tags that other decoders hand over as they are. The rest some of them turn into bignums, sets, records, or code (cbor-x). */
function isPlainTag(tag: number): boolean {
  const ranges = [1, 1, 16, 26, 30, 50, 96, 104, 106, 215, 260, 0x5fff]
  for (let i = 0; i < ranges.length; i += 2) if (tag >= ranges[i]! && tag <= ranges[i + 1]!) return true
  return false
}

/** `unknown`, because a caller without types may pass anything: what is not a {@link CborValue} is refused, never skipped. */
function write(writer: CborWriter, value: unknown, levels: number): void {
  if (typeof value === 'number' || typeof value === 'bigint') writer.integer(checkInteger(value))
  else if (value instanceof Uint8Array) writer.bytes(value)
  else if (typeof value === 'string') writer.text(checkText(value))
  else if (value === null) writer.head(MAJOR.simple, 22)
  else if (typeof value === 'boolean') writer.head(MAJOR.simple, value ? 21 : 20)
  else if (levels === 0) throw new StatementError('too_large', 'more levels of CBOR than we read')
  else if (Array.isArray(value)) writeArray(writer, value, levels - 1)
  else if (value instanceof Map) writeMap(writer, value, levels - 1)
  else if (value instanceof CborTag) {
    if (!isPlainTag(value.tag)) throw unencodable(`tag ${value.tag}`)
    writer.head(MAJOR.tag, value.tag)
    write(writer, value.value, levels - 1)
  } else throw unencodable(typeof value)
}

function writeArray(writer: CborWriter, array: readonly unknown[], levels: number): void {
  writer.head(MAJOR.array, array.length)
  for (const element of array) write(writer, element, levels)
}

function writeMap(writer: CborWriter, map: ReadonlyMap<unknown, unknown>, levels: number): void {
  writer.head(MAJOR.map, map.size)
  const start = writer.length
  const keyEnds: number[] = []
  const ends: number[] = []
  for (const [key, value] of map) {
    if (typeof key === 'string') writer.text(checkText(key))
    else if (typeof key === 'number') writer.integer(checkInteger(key))
    else throw unencodable('a key that is no integer or text')
    keyEnds.push(writer.length)
    write(writer, value, levels)
    ends.push(writer.length)
  }
  writer.sortEntries(start, keyEnds, ends)
}

function checkInteger(value: number | bigint): number {
  const integer = Number(value)
  if (!Number.isSafeInteger(integer)) throw unencodable('a number that is no integer within ±(2⁵³ − 1)')
  return integer
}

const PRINTABLE = /^[\x20-\x7e]*$/

function checkText(text: string): string {
  if (PRINTABLE.test(text)) return text
  if (/\p{Surrogate}/u.test(text)) throw unencodable('text with a lone surrogate')
  if (text.startsWith('\uFEFF')) throw unencodable('text with a byte-order mark')
  return text
}

function unencodable(what: string): StatementError {
  return new StatementError('unencodable_value', `deterministic CBOR has no form for ${what}`)
}
