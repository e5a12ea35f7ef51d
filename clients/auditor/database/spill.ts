/**
 * Where the engine puts what does not fit into its memory: a directory for each process, beside the database, and for its owner alone.
 *
 *     database/audit.duckdb
 *     database/spill-x7Qb2M/      until the database is closed
 *
 * What is spilled is in clear, as it is in the database: columns that a key opened too. It is never read again, so it goes when the database
 * is closed, and what a killed process left goes before the next audit. Two processes that ask one database must not share one: the engine
 * calls its files the same in both.
 *
 * @module
 */
import { rmSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'

/** Of whatever an audit or a question has there only for itself. */
export const SPILL_PREFIX = 'spill-'

export class Spill {
  /** Undefined where none could be made, as on a medium that is only read: then a question has its memory and no more. */
  readonly directory: string | undefined
  readonly #parent: string

  private constructor(parent: string, directory: string | undefined) {
    this.#parent = parent
    this.directory = directory
  }

  /** Its mode is 0700. */
  static async make(parent: string): Promise<Spill> {
    return new Spill(parent, await mkdtemp(join(parent, SPILL_PREFIX)).catch(() => undefined))
  }

  /** What killed processes left. Only for who knows that no other process has the database open. */
  async removeOthers(): Promise<void> {
    for (const name of await readdir(this.#parent)) {
      if (!name.startsWith(SPILL_PREFIX) || (this.directory && name === basename(this.directory))) continue
      await rm(join(this.#parent, name), { recursive: true, force: true })
    }
  }

  remove(): void {
    if (this.directory) rmSync(this.directory, { recursive: true, force: true })
  }
}
