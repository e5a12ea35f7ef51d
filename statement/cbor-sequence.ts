/**
 * CBOR Sequences (RFC 8742): items one after another, with nothing around them that says how many there are.
 *
 *     58 c8 …200 bytes…   43 01 02 03   a2 20 … 21 …
 *     a byte string       another       a map
 *
 * Each item has the one form that all CBOR has here (`cbor-read.ts`), so a sequence can be cut in one way only. What is handed out
 * are views: nothing is allocated because of a declared length.
 *
 * @module
 */
import { concatBytes } from '../merkle/bytes.ts'
import { type CborValue, encodeCbor } from './cbor.ts'
import { CborReader, DEFAULT_LIMITS } from './cbor-read.ts'
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
  const items: Uint8Array[] = []
  const reader = readerOf(bytes)
  while (reader.at < bytes.length) {
    checkCount(items.length, maxLength)
    const start = reader.at
    reader.next()
    items.push(bytes.subarray(start, reader.at))
  }
  return items
}

/**
 * The contents of a sequence of byte strings.
 *
 * @throws {@link StatementError} `malformed_cbor`, also for an item that is no byte string; `too_large` for more than `maxLength` items
 */
export function splitByteStrings(bytes: Uint8Array, maxLength: number): Uint8Array[] {
  const contents: Uint8Array[] = []
  const reader = readerOf(bytes)
  while (reader.at < bytes.length) {
    checkCount(contents.length, maxLength)
    // Before the item is read: of another type, it may be long.
    if (bytes[reader.at]! >> 5 !== MAJOR.bytes) {
      throw new StatementError('malformed_cbor', `an item of another type than expected, at byte ${reader.at}`)
    }
    contents.push(reader.next() as Uint8Array)
  }
  return contents
}

function readerOf(bytes: Uint8Array): CborReader {
  return new CborReader(bytes, { ...DEFAULT_LIMITS, views: true })
}

function checkCount(count: number, maxLength: number): void {
  if (count === maxLength) throw new StatementError('too_large', `more than ${maxLength} items`)
}
