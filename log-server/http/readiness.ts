/**
 * Whether a statement sent now would become durable, and why not.
 *
 *     shutting_down         it goes down, and says so before it stops taking connections
 *     log_frozen            the log is finished, for good (freeze.ts)
 *     log_stopped           a write failed, and nobody knows what the disk holds
 *     audit_unavailable     who appends cannot be written down (access/audit-line.ts)
 *     storage_unwritable    the directory of the log is read-only, gone, or does not answer
 *     disk_full             less is free than the database may need to go on
 *     commit_stalled        whoever waits longest for a commit has waited longer than any commit takes
 *
 * Readiness is about the next append, not about the last: `disk_full` comes while LevelDB can still write. A write that fails ends the process, so
 * what is refused here is what would have ended it. Nothing is written to find out: whether an fsync comes back is seen of those that
 * there are, and so the disk of a log that nobody writes to may hang unseen until the first append.
 *
 * @module
 */
import { constants } from 'node:fs'
import { access, statfs } from 'node:fs/promises'
import { BusyError, type BusyErrorCode } from '../types.ts'

/** In the order in which they are said: one at a time. */
export const NOT_READY = [
  'shutting_down',
  'log_frozen',
  'log_stopped',
  'audit_unavailable',
  'storage_unwritable',
  'disk_full',
  'commit_stalled',
] as const satisfies readonly (BusyErrorCode | 'log_frozen')[]
export type NotReady = (typeof NOT_READY)[number]

/** Those that are no state of the server's own: whoever appends is refused before the statement is read. */
export type StorageFailure = Extract<NotReady, 'storage_unwritable' | 'disk_full' | 'commit_stalled'>

/** What the file system said when it was asked. */
export interface DiskSpace {
  /** For the user that asks. */
  readonly freeBytes: number
  readonly totalBytes: number
  readonly freeInodes: number
  /** 0 where the file system makes them as they are needed. */
  readonly totalInodes: number
}

export interface StorageOptions {
  /** Rejects when the directory cannot be written to. */
  readonly look: () => Promise<DiskSpace>
  /** Below this much free nothing is appended. Not given: {@link DEFAULT_FLOOR}, or a twentieth of a smaller file system. */
  readonly minFreeBytes?: number | undefined
  /** How long somebody may wait for a commit, in milliseconds. */
  readonly maxWait?: number | undefined
  readonly longestWait: () => number
  readonly milliseconds?: () => number
}

/** LevelDB writes 16 MiB at a time beside what it has, and needs some times that to merge tables. */
const DEFAULT_FLOOR = 512 * 1024 * 1024
/** A merge of tables makes some dozen files. */
const MIN_INODES = 256
/** A hundred times the 99th percentile on a disk that is busy. */
export const DEFAULT_MAX_WAIT = 10_000
const INTERVAL = 2_000

/** Looks at the disk every two seconds, beside the requests. */
export class Storage {
  readonly #options: StorageOptions
  readonly #milliseconds: () => number
  #space: DiskSpace | undefined
  /** Since when the file system has not answered. */
  #askedAt: number | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(options: StorageOptions) {
    this.#options = options
    this.#milliseconds = options.milliseconds ?? (() => performance.now())
  }

  /** Resolves when it has been looked at once. */
  async start(): Promise<void> {
    await this.look()
    this.#timer = setInterval(() => void this.look(), INTERVAL)
    this.#timer.unref()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  /** Never rejects. One at a time: a file system that hangs would take one thread of the pool after another. */
  async look(): Promise<void> {
    if (this.#askedAt !== undefined) return
    this.#askedAt = this.#milliseconds()
    this.#space = await this.#options.look().catch(() => undefined)
    this.#askedAt = undefined
  }

  /** When it was last looked at; undefined where it cannot be written to. */
  get space(): DiskSpace | undefined {
    return this.#space
  }

  get floorBytes(): number {
    return this.#options.minFreeBytes ?? Math.min(DEFAULT_FLOOR, Math.floor((this.#space?.totalBytes ?? 0) / 20))
  }

  failure(): StorageFailure | undefined {
    const { longestWait, maxWait = DEFAULT_MAX_WAIT } = this.#options
    const hangs = this.#askedAt !== undefined && this.#milliseconds() - this.#askedAt > maxWait
    if (!this.#space || hangs) return 'storage_unwritable'
    const { freeBytes, freeInodes, totalInodes } = this.#space
    if (freeBytes < this.floorBytes || (totalInodes > 0 && freeInodes < MIN_INODES)) return 'disk_full'
    return longestWait() > maxWait ? 'commit_stalled' : undefined
  }

  /** @throws {@link BusyError} with what {@link failure} says */
  demand(): void {
    const failure = this.failure()
    if (failure !== undefined) throw new BusyError(failure, WHY[failure], RETRY_AFTER)
  }
}

/** Seconds: nobody frees a disk sooner. */
const RETRY_AFTER = 10

const WHY: Readonly<Record<StorageFailure, string>> = {
  storage_unwritable: 'the log cannot write where it is stored',
  disk_full: 'the disk of the log is nearly full, and nothing is appended until there is room',
  commit_stalled: 'the disk of the log does not answer, and nothing more is queued until it does',
}

/** Of the file system that `directory` is on. `access` says of one that was mounted read-only after an error that it is, also to root. */
export async function lookAt(directory: string): Promise<DiskSpace> {
  await access(directory, constants.W_OK)
  const { bavail, blocks, bsize, ffree, files } = await statfs(directory)
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize, freeInodes: ffree, totalInodes: files }
}
