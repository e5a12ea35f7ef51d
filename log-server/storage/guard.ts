/**
 * The guard: outside the database, what we last signed. It is how a log notices that its database is an old copy.
 *
 * A log that comes up on a restored backup and signs on forks its own history; restoring a database is how real logs
 * died. So before any signature leaves the process its size and root are here, and a database behind the guard is refused.
 *
 * ```
 *   byte 0     provlog-guard/1 <number> <size> <root, hex> <SHA-256 of what is before it, hex>\n   then zeros
 *   byte 4096  the same, one number earlier or later
 * ```
 *
 * Two slots in two disk blocks, written in turn with O_DSYNC into a file whose blocks exist already. That is one write and one
 * flush of the disk, no journal commit: 0.16 ms where temp file, fsync, rename, fsync of the directory took 1.1 ms (ext4).
 * A slot lies within one sector, and disks write a sector whole or not at all; so after a crash both slots are readable, and a slot
 * that is not was damaged by something else. Then which of them was the newest is no longer known, and we refuse.
 *
 * What it cannot see: a copy of the whole directory, guard included, restored as one. Witnesses can.
 *
 * @module
 */
import { constants } from 'node:fs'
import { type FileHandle, open, rename, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fromHex, toHex, utf8 } from '../../merkle/bytes.ts'
import { assert } from '../../merkle/error.ts'
import { type Hash, sha256 } from '../../merkle/hash.ts'
import { LogError } from '../types.ts'

const SLOT_BYTES = 512
const SLOT_SPACING = 4096
const FILE_BYTES = 2 * SLOT_SPACING

/** A tree that was signed, or is about to be. */
export interface Mark {
  readonly size: number
  readonly root: Hash
}

interface Slot extends Mark {
  /** Counts writes. Even ones stand in the first slot, odd ones in the second. */
  readonly number: number
}

/** What the guard asks of its file: a `FileHandle` is one. A write resolves when it is on the disk, where {@link GuardFile.datasync} need not follow. */
export interface GuardFile {
  read(bytes: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }>
  write(bytes: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesWritten: number }>
  datasync(): Promise<void>
  close(): Promise<void>
}

export class Guard {
  readonly #file: GuardFile
  #last: Slot

  private constructor(file: GuardFile, last: Slot) {
    this.#file = file
    this.#last = last
  }

  /** A new guard file that never was there half. @throws {@link LogError} `log_exists` */
  static async create(path: string, mark: Mark): Promise<void> {
    const bytes = new Uint8Array(FILE_BYTES)
    bytes.set(encodeSlot({ ...mark, number: 0 }))
    await writeFileDurably(path, bytes)
  }

  /** @throws {@link LogError} `guard_missing`, `guard_damaged` */
  static async open(path: string): Promise<Guard> {
    // Windows has no O_DSYNC; there, and where it does less than it says (macOS), fdatasync follows each write.
    return Guard.over(await openExisting(path, constants.O_RDWR | (constants.O_DSYNC ?? 0)), path)
  }

  /**
   * The guard in a file that is open for synced writes, and is closed with it.
   *
   * What it says is on the disk from then on. A write that failed may have left it in the kernel's memory alone, where it can be read until the
   * power goes; then the slots would no longer follow, or the guard would have forgotten what was published since.
   *
   * @throws {@link LogError} `guard_damaged`
   */
  static async over(file: GuardFile, path: string): Promise<Guard> {
    try {
      const guard = new Guard(file, newest(await readAll(file), path))
      await guard.#put(guard.#last)
      return guard
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** What the guard says, without opening it for writing: for `fsck`. @throws {@link LogError} as {@link Guard.open} */
  static async read(path: string): Promise<Mark> {
    const file = await openExisting(path, constants.O_RDONLY)
    try {
      return newest(await readAll(file), path)
    } finally {
      await file.close()
    }
  }

  get last(): Mark {
    return this.#last
  }

  /** Resolves when `mark` is on the disk. One write at a time; a failed one must end the process: what the disk holds is unknown. */
  async write(mark: Mark): Promise<void> {
    assert(mark.size >= this.#last.size, `the guard never goes back, as from ${this.#last.size} to ${mark.size}`)
    const slot = { ...mark, number: this.#last.number + 1 }
    this.#last = slot
    await this.#put(slot)
  }

  async #put(slot: Slot): Promise<void> {
    const bytes = encodeSlot(slot)
    const { bytesWritten } = await this.#file.write(bytes, 0, bytes.length, (slot.number % 2) * SLOT_SPACING)
    if (bytesWritten !== bytes.length) throw new Error(`the guard file took ${bytesWritten} of ${bytes.length} bytes`)
    if (process.platform !== 'linux') await this.#file.datasync()
  }

  async close(): Promise<void> {
    await this.#file.close()
  }
}

/** Writes a file so that after a crash it is there whole or not at all. Refuses to replace one. @throws {@link LogError} `log_exists` */
export async function writeFileDurably(path: string, bytes: Uint8Array, mode = 0o600): Promise<void> {
  const temporary = `${path}.new`
  const file = await open(temporary, 'wx', mode).catch((error: unknown) => {
    if (!isCode(error, 'EEXIST')) throw error
    throw new LogError('log_exists', `${temporary} is there: an earlier attempt did not finish`)
  })
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
  await refuseExisting(path, temporary)
  await rename(temporary, path)
  await syncDirectory(dirname(path))
}

/** A new name in a directory is durable only once the directory is. */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const directory = await open(path, constants.O_RDONLY)
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

function encodeSlot({ number, size, root }: Slot): Uint8Array {
  const text = `provlog-guard/1 ${number} ${size} ${toHex(root)} `
  const slot = new Uint8Array(SLOT_BYTES)
  slot.set(utf8(`${text}${toHex(sha256(utf8(text)))}\n`))
  return slot
}

function newest(bytes: Uint8Array, path: string): Slot {
  if (bytes.length !== FILE_BYTES) throw damaged(path, `${bytes.length} bytes instead of ${FILE_BYTES}`)
  const [even, odd] = [0, 1].map((i) => decodeSlot(bytes.subarray(i * SLOT_SPACING, (i + 1) * SLOT_SPACING), path))
  if (even && odd) {
    if (even.number % 2 !== 0 || Math.abs(even.number - odd.number) !== 1)
      throw damaged(path, 'its slots do not follow')
    const [older, newer] = even.number < odd.number ? [even, odd] : [odd, even]
    if (older.size > newer.size) throw damaged(path, 'it goes back')
    return newer
  }
  if (even?.number !== 0) throw damaged(path, 'a slot is empty that was written')
  return even
}

/** Undefined when the slot was never written. */
function decodeSlot(bytes: Uint8Array, path: string): Slot | undefined {
  if (bytes.every((byte) => byte === 0)) return undefined
  const line = new TextDecoder('latin1').decode(bytes).replace(/\0*$/, '')
  const [, number, size, root] =
    /^provlog-guard\/1 (\d{1,15}) (\d{1,16}) ([0-9a-f]{64}) [0-9a-f]{64}\n$/.exec(line) ?? []
  if (number === undefined || size === undefined || root === undefined) throw damaged(path, 'not a guard record')
  const slot = { number: Number(number), size: Number(size), root: fromHex(root) }
  // Written anew and compared: the checksum, and every byte that stands anywhere in the block.
  const again = encodeSlot(slot)
  if (!bytes.every((byte, i) => byte === (again[i] ?? 0))) throw damaged(path, 'a record does not match its checksum')
  return slot
}

function damaged(path: string, complaint: string): LogError {
  return new LogError(
    'guard_damaged',
    `${path}: ${complaint}. Without it nobody knows what was signed last: check with "provlog log fsck --data ${dirname(path)}"`,
  )
}

async function openExisting(path: string, flags: number): Promise<FileHandle> {
  return open(path, flags).catch((cause: unknown) => {
    if (!isCode(cause, 'ENOENT')) throw cause
    const advice = `check with "provlog log fsck --data ${dirname(path)}", and bring back the guard that belongs to this log`
    throw new LogError('guard_missing', `${path} is missing: ${advice}`, { cause })
  })
}

async function readAll(file: GuardFile): Promise<Uint8Array> {
  // One byte more than there should be, to see what was appended.
  const bytes = new Uint8Array(FILE_BYTES + 1)
  const { bytesRead } = await file.read(bytes, 0, bytes.length, 0)
  return bytes.subarray(0, bytesRead)
}

async function refuseExisting(path: string, temporary: string): Promise<void> {
  const there = await open(path, constants.O_RDONLY).catch((error: unknown) => {
    if (!isCode(error, 'ENOENT')) throw error
    return undefined
  })
  if (!there) return
  await there.close()
  await unlink(temporary)
  throw new LogError('log_exists', `${path} is there already`)
}

export function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === code
}
