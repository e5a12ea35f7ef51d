/**
 * Files that are read again when they change: certificates, keys, bundles, revocation lists.
 *
 *   refresh ──► as last seen?  ──yes──► nothing
 *                    │ no
 *                    ▼
 *               read, judge  ──holds──► in force
 *                    │
 *                    └──does not──► what was in force stays, it is said why, and the next refresh tries again
 *
 * Looked at by their state, from time to time, and not by the system's notifications: those are lost on network file systems, and
 * where a directory is exchanged as a whole by a symbolic link, which is how orchestrators hand out secrets.
 *
 * @module
 */
import { readFile, stat } from 'node:fs/promises'

/** What happened to files that changed. */
export interface FileNotice {
  readonly event: 'reloaded' | 'kept'
  readonly files: readonly string[]
  /** Why what was there before is kept. Never quotes a file. */
  readonly reason?: string
}
export type Report = (notice: FileNotice) => void

/** @param before - what is in force, to be compared with */
export type ReadFiles<T> = (contents: readonly Uint8Array[], before: T | undefined) => T | Promise<T>

export class WatchedFiles<T> {
  readonly #paths: readonly string[]
  readonly #read: ReadFiles<T>
  readonly #report: Report
  /** States of the files that `current` was read from. Taken before reading: what changes meanwhile is read once more. */
  #seen: string
  #current: T
  /** What was said last, so that it is said once. */
  #complaint = ''

  private constructor(paths: readonly string[], read: ReadFiles<T>, report: Report, seen: string, current: T) {
    this.#paths = paths
    this.#read = read
    this.#report = report
    this.#seen = seen
    this.#current = current
  }

  /** @throws what reading and `read` throw */
  static async open<T>(paths: readonly string[], read: ReadFiles<T>, report: Report): Promise<WatchedFiles<T>> {
    const seen = await statesOf(paths)
    return new WatchedFiles(paths, read, report, seen, await read(await readAll(paths), undefined))
  }

  get current(): T {
    return this.#current
  }

  /** Whether something else is in force now. Does not throw. */
  async refresh(): Promise<boolean> {
    try {
      const seen = await statesOf(this.#paths)
      if (seen === this.#seen) return false
      this.#current = await this.#read(await readAll(this.#paths), this.#current)
      this.#seen = seen
      this.#complaint = ''
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      if (reason !== this.#complaint) this.#report({ event: 'kept', files: this.#paths, reason })
      this.#complaint = reason
      return false
    }
    this.#report({ event: 'reloaded', files: this.#paths })
    return true
  }
}

/** What one file may have: a revocation list, with room. */
const MAX_BYTES = 16 * 1024 * 1024

async function statesOf(paths: readonly string[]): Promise<string> {
  const states = await Promise.all(
    paths.map(async (path) => {
      const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
      if (size > MAX_BYTES) throw new Error(`${path} is longer than ${MAX_BYTES} bytes`)
      return [dev, ino, size, mtimeNs, ctimeNs].join()
    }),
  )
  return states.join(' ')
}

function readAll(paths: readonly string[]): Promise<Uint8Array[]> {
  return Promise.all(paths.map((path) => readFile(path)))
}
