/**
 * What a backup is: all that is stored of one published tree, as files.
 *
 * ```
 *   DIR/records-000000   ─┐ (u16 length ‖ key ‖ u32 length ‖ value)… in the order of keys, as in store.ts and without checksums of their own;
 *   DIR/records-000001   ─┘ cut at 64 MiB, between two
 *   DIR/config.json        as in the directory of the log
 *   DIR/checkpoint         what the log has signed for that tree
 *   DIR/frozen             of a log that is
 *   DIR/keys/…             its private keys, only when asked for, mode 0600
 *   DIR/manifest.json      {"backup": 1, "origin", "size", "root", "at", "files": {name: {"bytes", "sha256"}}}: written last
 * ```
 *
 * A directory without a manifest is what an interrupted backup left, and nothing else. A manifest names every file with its digest, so nothing in one is
 * missing, cut short or changed by accident. It is signed by nobody: whoever restores compares what it leads to with what the log has signed.
 *
 * @module
 */
import { fromHex } from '../../merkle/bytes.ts'
import type { Hash } from '../../merkle/hash.ts'
import { LogError } from '../types.ts'

export const MANIFEST = 'manifest.json'
export const SEGMENT_BYTES = 64 * 1024 * 1024
export const segmentName = (n: number): string => `records-${String(n).padStart(6, '0')}`

export interface BackupFile {
  readonly bytes: number
  /** Lower-case hex. */
  readonly sha256: string
}

export interface Manifest {
  readonly origin: string
  readonly size: number
  readonly root: Hash
  /** POSIX seconds. */
  readonly at: number
  readonly files: ReadonlyMap<string, BackupFile>
}

const FILE_NAME = /^(?:records-\d{6,12}|config\.json|checkpoint|frozen|keys\/[A-Za-z0-9_-]{1,80}\.jwk)$/
const MAX_FILES = 1_000_000

/** @throws {@link LogError} `backup_damaged` */
export function parseManifest(value: unknown, path: string): Manifest {
  const { backup, origin, size, root, at, files } = (value ?? {}) as Partial<Record<string, unknown>>
  if (typeof backup === 'number' && backup > 1) {
    throw new LogError('backup_damaged', `${path} was made by a newer version than this one: use the newer one`)
  }
  const isCount = (number: unknown): number is number => Number.isSafeInteger(number) && (number as number) >= 0
  const named = new Map<string, BackupFile>()
  const entries = typeof files === 'object' && files !== null && !Array.isArray(files) ? Object.entries(files) : []
  for (const [name, file] of entries) {
    const { bytes, sha256 } = (file ?? {}) as Partial<Record<string, unknown>>
    // A name is a path of ours, whatever it was made to say.
    if (!FILE_NAME.test(name) || !isCount(bytes) || typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) {
      throw new LogError('backup_damaged', `${path} names a file that no backup has`)
    }
    named.set(name, { bytes, sha256 })
  }
  const sound =
    backup === 1 &&
    typeof origin === 'string' &&
    isCount(size) &&
    isCount(at) &&
    typeof root === 'string' &&
    /^[0-9a-f]{64}$/.test(root) &&
    named.size <= MAX_FILES &&
    named.has('config.json') &&
    named.has(segmentName(0))
  if (!sound) throw new LogError('backup_damaged', `${path} is not the manifest of a backup`)
  return { origin, size, root: fromHex(root), at, files: named }
}

export function encodeRow(key: Uint8Array, value: Uint8Array): Uint8Array {
  const row = Buffer.allocUnsafe(6 + key.length + value.length)
  row.writeUInt16BE(key.length, 0)
  row.set(key, 2)
  row.writeUInt32BE(value.length, 2 + key.length)
  row.set(value, 6 + key.length)
  return row
}

/** A key is some hundred bytes, and a value what one batch packs: 64 KiB, or one statement. */
const MAX_KEY_BYTES = 4096
const MAX_VALUE_BYTES = 128 * 1024 * 1024

/** Rows out of bytes that arrive in any pieces. */
export class RowReader {
  #rest: Buffer = Buffer.alloc(0)

  /** The rows that are complete now. @throws {@link LogError} `backup_damaged` */
  push(bytes: Uint8Array): [key: Uint8Array, value: Uint8Array][] {
    const all =
      this.#rest.length === 0
        ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
        : Buffer.concat([this.#rest, bytes])
    const rows: [key: Uint8Array, value: Uint8Array][] = []
    let at = 0
    while (at + 2 <= all.length) {
      const keyLength = all.readUInt16BE(at)
      if (keyLength === 0 || keyLength > MAX_KEY_BYTES) throw damaged()
      const valueAt = at + 6 + keyLength
      if (valueAt > all.length) break
      const length = all.readUInt32BE(valueAt - 4)
      if (length > MAX_VALUE_BYTES) throw damaged()
      if (valueAt + length > all.length) break
      rows.push([copy(all, at + 2, valueAt - 4), copy(all, valueAt, valueAt + length)])
      at = valueAt + length
    }
    this.#rest = Buffer.from(all.subarray(at))
    return rows
  }

  /** @throws {@link LogError} `backup_damaged` when a row was begun and not ended */
  end(): void {
    if (this.#rest.length > 0) throw damaged()
  }
}

function copy(bytes: Buffer, start: number, end: number): Uint8Array {
  return new Uint8Array(bytes.subarray(start, end))
}

function damaged(): LogError {
  return new LogError('backup_damaged', 'the records of a backup end within one')
}
