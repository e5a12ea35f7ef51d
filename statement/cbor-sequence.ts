/**
 * CBOR Sequences (RFC 8742): items one after another, with nothing around them that says how many there are.
 *
 *     58 c8 …200 bytes…   43 01 02 03   a2 20 … 21 …
 *     a byte string       another       a map
 *
 * Each item has the one form that all CBOR has here (`cbor-scan.ts`), so a sequence can be cut in one way only. What is handed out
 * are views: nothing is allocated because of a declared length.
 *
 * @module
 */
import { concatBytes } from '../merkle/bytes.ts'
import { type CborValue, encodeCbor } from './cbor.ts'
import { type CborLimits, DEFAULT_LIMITS, scanItem } from './cbor-scan.ts'
import { MAJOR } from './cbor-write.ts'
import { StatementError } from './error.ts'

/** One item after another. @throws as {@link encodeCbor} */
export function encodeCborSequence(items: readonly CborValue[]): Uint8Array {
  return concatBytes(...items.map(encodeCbor))
}

/**
 * The items of a sequence, each still encoded.
 *
 * @param maxLength items at most
 * @throws {@link StatementError} `malformed_cbor`, `too_large`
 */
export function splitCborSequence(bytes: Uint8Array, maxLength: number): Uint8Array[] {
  return Array.from(ranges(bytes, maxLength), ({ start, end }) => bytes.subarray(start, end))
}

/**
 * The contents of a sequence of byte strings.
 *
 * @throws {@link StatementError} `malformed_cbor`, also for an item that is no byte string; `too_large` for more than `maxLength` items
 */
export function splitByteStrings(bytes: Uint8Array, maxLength: number): Uint8Array[] {
  return Array.from(ranges(bytes, maxLength, MAJOR.bytes), ({ content, end }) => bytes.subarray(content, end))
}

/** @param major what every item must be, looked at before the item is walked through */
function* ranges(bytes: Uint8Array, maxLength: number, major?: number) {
  const limits: CborLimits = { ...DEFAULT_LIMITS, maxBytes: bytes.length }
  for (let start = 0, length = 0; start < bytes.length; length++) {
    if (length === maxLength) throw new StatementError('too_large', `more than ${maxLength} items`)
    const first = bytes[start]!
    if (major !== undefined && first >> 5 !== major) {
      throw new StatementError('malformed_cbor', `an item of another type than expected, at byte ${start}`)
    }
    const end = scanItem(bytes, start, limits)
    yield { start, content: start + headLength(first), end }
    start = end
  }
}

/** Of a head that the scan has passed: the byte itself, and 1, 2, 4 or 8 more where it says so. */
function headLength(first: number): number {
  const info = first & 0x1f
  return info < 24 ? 1 : 1 + 2 ** (info - 24)
}
