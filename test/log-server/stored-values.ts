/**
 * The values under a closed log, for tests that change them behind its back: as a disk would that knows nothing of checksums, or as somebody
 * who writes them anew.
 *
 * @module
 */
import { Level } from 'level'
import { requireChecked, withChecksum } from '../../log-server/storage/checksum.ts'
import { paths } from '../../log-server/storage/directory.ts'

export type Level8 = Level<Uint8Array, Uint8Array>

/** Letters whose values have no checksum. */
const BOUND = 'seh'

export class StoredValues {
  readonly level: Level8

  private constructor(level: Level8) {
    this.level = level
  }

  static async open(dataDir: string): Promise<StoredValues> {
    const level: Level8 = new Level(paths(dataDir).store, {
      keyEncoding: 'view',
      valueEncoding: 'view',
      compression: false,
    } as object)
    await level.open()
    return new StoredValues(level)
  }

  /** Without its checksum. */
  async get(key: Uint8Array): Promise<Uint8Array> {
    const value = new Uint8Array((await this.level.get(key))!)
    return isBound(key) ? value : requireChecked(key, value).slice()
  }

  /** With the right checksum. */
  put(key: Uint8Array, value: Uint8Array): Promise<void> {
    return this.level.put(key, isBound(key) ? value : withChecksum(key, value))
  }

  del(key: Uint8Array): Promise<void> {
    return this.level.del(key)
  }

  close(): Promise<void> {
    return this.level.close()
  }
}

export function isBound(key: Uint8Array): boolean {
  return BOUND.includes(String.fromCharCode(key[0]!))
}
