/**
 * Entry bundles, c2sp.org/tlog-tiles: the entries under one level-0 tile, each after its length.
 *
 * ```
 *   00 03  6f 6e 65   00 03  74 77 6f   00 05  74 68 72 65 65      one, two, three
 * ```
 *
 * @module
 */
import { sha256Into } from '#sha256'
import { assert, MerkleError } from './error.ts'
import { HASH_LENGTH } from './hash.ts'

/** An entry is at most this long. */
export const MAX_ENTRY_LENGTH = 0xffff
const LENGTH_BYTES = 2

/** The bundle of `entries`, each of at most 65 535 bytes. */
export function encodeEntryBundle(entries: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const entry of entries) length += LENGTH_BYTES + entry.length
  const bytes = new Uint8Array(length)
  const view = new DataView(bytes.buffer)
  let at = 0
  for (const entry of entries) {
    assert(entry.length <= MAX_ENTRY_LENGTH, `an entry of ${entry.length} bytes`)
    view.setUint16(at, entry.length)
    bytes.set(entry, at + LENGTH_BYTES)
    at += LENGTH_BYTES + entry.length
  }
  return bytes
}

/**
 * The entries of a bundle, as views of its bytes.
 *
 * @throws {@link MerkleError} `malformed_entry_bundle` unless the bytes are exactly `count` entries
 */
export function decodeEntryBundle(bytes: Uint8Array, count: number): Uint8Array[] {
  const entries: Uint8Array[] = []
  walk(bytes, count, (start, end) => entries.push(bytes.subarray(start, end)))
  return entries
}

/**
 * The leaf hashes of a bundle's entries, packed: the level-0 tile over them. The fast path of replaying a log.
 *
 * @throws {@link MerkleError} `malformed_entry_bundle`
 */
export function hashEntryBundle(bytes: Uint8Array, count: number): Uint8Array {
  // A leaf is hashed behind a byte 0x00. In a copy, the low byte of the entry's length stands just there: no copy per entry.
  const prefixed = bytes.length > scratch.length ? new Uint8Array(bytes.length) : scratch
  prefixed.set(bytes)
  const hashes = new Uint8Array(checkedCount(count) * HASH_LENGTH)
  let at = 0
  walk(bytes, count, (start, end) => {
    prefixed[start - 1] = 0x00
    sha256Into(prefixed.subarray(start - 1, end), hashes, at)
    at += HASH_LENGTH
  })
  return hashes
}

/** For that copy, of one bundle of hashes after another: hashing never yields to other code, so nobody sees it half written. */
const scratch = new Uint8Array(256 * (LENGTH_BYTES + HASH_LENGTH))

function walk(bytes: Uint8Array, count: number, visit: (start: number, end: number) => void): void {
  let at = 0
  for (let i = 0; i < checkedCount(count); i++) {
    const start = at + LENGTH_BYTES
    if (start > bytes.length) throw malformed(bytes, count)
    const end = start + bytes[at]! * 0x100 + bytes[at + 1]!
    if (end > bytes.length) throw malformed(bytes, count)
    visit(start, end)
    at = end
  }
  if (at !== bytes.length) throw malformed(bytes, count)
}

function checkedCount(count: number): number {
  assert(Number.isInteger(count) && count >= 0 && count <= 256, `a bundle of ${count} entries`)
  return count
}

function malformed(bytes: Uint8Array, count: number): MerkleError {
  return new MerkleError('malformed_entry_bundle', `${bytes.length} bytes are not a bundle of ${count} entries`)
}
