/**
 * LevelDB's logs of records: what it writes ahead (`000012.log`) and which files it has (`MANIFEST-000007`).
 *
 * ```
 *   blocks of 32 KiB: (u32 checksum ‖ u16 length ‖ u8 kind ‖ bytes)…     kind 1 whole; 2 first, 3 middle, 4 last part
 *   at most six zeros at the end of a block
 * ```
 *
 * Little-endian; the checksum is a masked CRC-32C of kind and bytes (github.com/google/leveldb, doc/log_format.md; our own words and code).
 *
 * LevelDB passes over a damaged record and goes on with the next one, or the next block. So what a record made durable would be gone, and what was written
 * after it would not. A record at the very end that is cut off is another matter: it is what a crash leaves of a write that nobody was told of.
 *
 * @module
 */
import { crc32c } from '../checksum.ts'

const BLOCK_BYTES = 32 * 1024
const HEADER_BYTES = 7

export interface RecordLog {
  /** Whole ones, as far as they are sound: views of their parts. */
  readonly records: readonly (readonly Uint8Array[])[]
  /** What is wrong, if anything is. */
  readonly damage?: string
}

/**
 * @param strict - a record at the end that is all there and wrong counts as damage. A loss of power may leave one as well, of what was being
 *   written; whoever opens the log leaves it to the guard to tell.
 */
export function readRecordLog(bytes: Uint8Array, strict: boolean): RecordLog {
  const records: Uint8Array[][] = []
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let parts: Uint8Array[] = []
  let broken: string | undefined
  for (let start = 0; start < bytes.length; start += BLOCK_BYTES) {
    const blockEnd = Math.min(start + BLOCK_BYTES, bytes.length)
    let at = start
    while (at + HEADER_BYTES <= blockEnd && !isZero(bytes.subarray(at, at + HEADER_BYTES))) {
      const checksum = unmask(view.getUint32(at, true))
      const kind = bytes[at + 6]!
      const body = at + HEADER_BYTES
      const end = body + view.getUint16(at + 4, true)
      if (end > blockEnd || crc32c(bytes.subarray(at + 6, end)) !== checksum) {
        broken ??= `the record at byte ${at} is not as it was written`
        const cutOff = end > blockEnd && blockEnd === bytes.length && !isWithin(bytes.subarray(at + 6), checksum)
        if (strict && !cutOff) return { records, damage: broken }
        break
      }
      // Written after the damaged one, which was thus complete.
      if (broken !== undefined) return { records, damage: `${broken}, and there are others behind it` }
      if (kind < 1 || kind > 4 || kind >= 3 !== parts.length > 0) {
        return { records, damage: `the record at byte ${at} is not one that comes there` }
      }
      parts.push(bytes.subarray(body, end))
      if (kind === 1 || kind === 4) {
        records.push(parts)
        parts = []
      }
      at = end
    }
    if (broken === undefined && blockEnd - start === BLOCK_BYTES && !isZero(bytes.subarray(at, blockEnd))) {
      return { records, damage: `what is at byte ${at} is no record` }
    }
  }
  return { records }
}

/** Whether a shorter record has that checksum: then it is the length that is wrong, and nothing was cut off. */
function isWithin(kindAndBytes: Uint8Array, checksum: number): boolean {
  let crc = 0
  for (let at = 0; at < kindAndBytes.length; at++) {
    crc = crc32c(kindAndBytes.subarray(at, at + 1), crc)
    if (crc === checksum) return true
  }
  return false
}

export function isZero(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte !== 0) return false
  return true
}

/** So that the checksum of bytes that hold checksums is one. */
export function unmask(masked: number): number {
  const rotated = (masked - 0xa282ead8) >>> 0
  return ((rotated >>> 17) | (rotated << 15)) >>> 0
}
