/**
 * CRC-32C: what a disk changed by accident.
 *
 * What the tree binds needs none of it. Of the rest, the wraps beside a statement or the index of an entry whose statement was erased,
 * nothing else would tell that a bit is another one: so each such value of the store ends in the checksum of its key and of itself. It is the
 * checksum of LevelDB's own files, too ({@link checkLevelFiles}), which LevelDB writes and, as we get it, does not look at when it reads.
 *
 * Against whoever may write to the disk it is worth nothing, and nothing here takes it for more.
 *
 * @module
 */
import { LogError } from '../types.ts'

const POLYNOMIAL = 0x82f63b78

/** Eight tables of 256, so that eight bytes are taken in one step: 350 MB/s here, where one table gives 200. */
const TABLES = makeTables()

/** Of `bytes`, after what `before` is the checksum of. */
export function crc32c(bytes: Uint8Array, before = 0): number {
  const t = TABLES
  let crc = ~before
  let at = 0
  for (const end = bytes.length - 7; at < end; at += 8) {
    const low = crc ^ (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24))
    crc =
      t[1792 + (low & 255)]! ^
      t[1536 + ((low >>> 8) & 255)]! ^
      t[1280 + ((low >>> 16) & 255)]! ^
      t[1024 + (low >>> 24)]! ^
      t[768 + bytes[at + 4]!]! ^
      t[512 + bytes[at + 5]!]! ^
      t[256 + bytes[at + 6]!]! ^
      t[bytes[at + 7]!]!
  }
  for (; at < bytes.length; at++) crc = t[(crc ^ bytes[at]!) & 255]! ^ (crc >>> 8)
  return ~crc >>> 0
}

const CHECKSUM_BYTES = 4

/** `value`, with the checksum of both behind it. */
export function withChecksum(key: Uint8Array, value: Uint8Array): Uint8Array {
  const checked = Buffer.allocUnsafe(value.length + CHECKSUM_BYTES)
  checked.set(value)
  checked.writeUInt32BE(crc32c(value, crc32c(key)), value.length)
  return checked
}

/** What {@link withChecksum} was given, as a view; undefined when it is not what was written. */
export function checkedValue(key: Uint8Array, stored: Uint8Array): Uint8Array | undefined {
  const end = stored.length - CHECKSUM_BYTES
  if (end < 0) return undefined
  const value = stored.subarray(0, end)
  const checksum =
    (stored[end]! * 2 ** 24 + (stored[end + 1]! << 16) + (stored[end + 2]! << 8) + stored[end + 3]!) >>> 0
  return crc32c(value, crc32c(key)) === checksum ? value : undefined
}

/** As {@link checkedValue}. @throws {@link LogError} `log_damaged` */
export function requireChecked(key: Uint8Array, stored: Uint8Array): Uint8Array {
  const value = checkedValue(key, stored)
  if (!value) {
    throw new LogError(
      'log_damaged',
      `a stored value under "${String.fromCharCode(key[0] ?? 0)}" is not what was written`,
    )
  }
  return value
}

function makeTables(): Uint32Array {
  const tables = new Uint32Array(8 * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
    tables[byte] = crc
  }
  for (let at = 256; at < tables.length; at++) {
    const before = tables[at - 256]!
    tables[at] = (before >>> 8) ^ tables[before & 255]!
  }
  return tables
}
