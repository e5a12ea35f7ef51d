/**
 * A file for what an audit must be able to look up and seldom does: memory that is as large as the disk. It is nobody's record of anything: an
 * audit makes it, and it goes when the audit ends.
 *
 * Read and written at once, without a promise: from the kernel's cache 32 bytes take 2 µs, and whoever judges an entry can do nothing before
 * it has them.
 *
 * @module
 */
import { randomUUID } from 'node:crypto'
import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { assert, UnavailableError } from '../../merkle/index.ts'
import { SPILL_PREFIX } from './database/spill.ts'

export class Scratch {
  readonly #file: number
  #end = 0

  private constructor(file: number) {
    this.#file = file
  }

  /** @param directory - of the database, whose next audit would take away what is called so */
  static create(directory: string): Scratch {
    const path = join(directory, `${SPILL_PREFIX}${randomUUID()}`)
    const scratch = new Scratch(tried(() => openSync(path, 'wx+', 0o600)))
    // Without a name it is gone whatever ends the process.
    tried(() => unlinkSync(path))
    return scratch
  }

  /** Returns where they are, in bytes. */
  append(bytes: Uint8Array): number {
    const at = this.#end
    this.write(at, bytes)
    this.#end += bytes.length
    return at
  }

  write(at: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      done += tried(() => writeSync(this.#file, bytes, done, bytes.length - done, at + done))
    }
  }

  /** As many bytes as `into` has. */
  read(at: number, into: Uint8Array): void {
    assert(at + into.length <= this.#end, 'nothing was written there')
    for (let done = 0; done < into.length; ) {
      const count = tried(() => readSync(this.#file, into, done, into.length - done, at + done))
      if (count === 0) throw new UnavailableError('the file that an audit remembers by was cut')
      done += count
    }
  }

  close(): void {
    closeSync(this.#file)
  }
}

/** A full disk is nobody's fault. */
function tried<T>(operation: () => T): T {
  try {
    return operation()
  } catch (cause) {
    throw new UnavailableError(`the audit cannot go on: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    })
  }
}
