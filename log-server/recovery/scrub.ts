/**
 * A slow look at everything stored, while the log is served: disks forget, and what nobody reads nobody misses.
 *
 * One pass begins with the checksums of LevelDB's tables, at which LevelDB itself does not look: damage there is to be found before it is read. Then it makes the
 * whole tree again from the statements, compares each full tile and entry bundle on the way, and ends at the root that the log has published by then; behind it
 * come the checksums of all values that no root tells. What it finds is damage that a restart would not heal: the process
 * ends, before it signs anything more. `fsck` then says all of it.
 *
 * It keeps to a rate, a tile at a time, so that it costs a server some hundredth of a core; and it holds the event loop no longer than a piece
 * of statements takes to hash, about a millisecond.
 *
 * @module
 */
import { equalBytes } from '../../merkle/bytes.ts'
import { HASH_LENGTH, type Hash, sha256 } from '../../merkle/hash.ts'
import { TILE_WIDTH } from '../../merkle/tile.ts'
import { Edge } from '../sequencing/edge.ts'
import type { Publication } from '../sequencing/publisher.ts'
import { isCode } from '../storage/guard.ts'
import type { FileDamage } from '../storage/level/files.ts'
import type { Store } from '../storage/store.ts'
import { CHECKED_LETTERS, unpack } from '../storage/stored-values.ts'
import { type Clock, LogError } from '../types.ts'

/** How far it has come: plain numbers, for whoever shows them. */
export interface ScrubState {
  /** Entries of the pass under way that were found to be right. */
  readonly position: number
  /** Passes that ended, since the log was opened. */
  readonly passes: number
  /** Entries looked at since then, of all passes. */
  readonly checked: number
  /** Bytes of LevelDB's tables looked at since then, of all passes. */
  readonly tableBytes: number
  /** POSIX seconds; undefined before the first. */
  readonly lastPassEndedAt: number | undefined
}

export interface ScrubOptions {
  readonly store: Pick<Store, 'packedStatements' | 'erasure' | 'tile' | 'bundle' | 'scan'>
  readonly publication: Pick<Publication, 'current'>
  /** What is wrong with the files of the database, as far as `paced` lets it read. */
  readonly checkTables: (paced: (bytes: number) => Promise<boolean>) => Promise<FileDamage | undefined>
  readonly now: Clock
  /** Called once, with a `log_damaged`. */
  readonly fatal: (error: unknown) => void
  readonly entriesPerSecond?: number
  /** Waits so many milliseconds, or until `signal` fires. It must not keep the process alive. */
  readonly pause: (milliseconds: number, signal: AbortSignal) => Promise<void>
}

/** A pass over ten million entries in an hour and a half. */
export const DEFAULT_SCRUB_RATE = 2000
/** Seconds from the begin of a pass to that of the next one: a small log is not read all the time. */
const PASS_EVERY = 3600
/** Of the disk, for an entry: so long is waited for them as for one. */
const ENTRY_BYTES = 2048
/** Some hundred small values. */
const SCAN_BYTES = 32 * 1024

export class Scrub {
  readonly #options: ScrubOptions
  readonly #stopping = new AbortController()
  #running: Promise<void> | undefined
  #position = 0
  #passes = 0
  #checked = 0
  #tableBytes = 0
  #lastPassEndedAt: number | undefined

  constructor(options: ScrubOptions) {
    this.#options = options
  }

  get state(): ScrubState {
    const [position, passes, checked] = [this.#position, this.#passes, this.#checked]
    return { position, passes, checked, tableBytes: this.#tableBytes, lastPassEndedAt: this.#lastPassEndedAt }
  }

  /** One pass after another, until {@link stop}. */
  start(): void {
    this.#running ??= this.#run()
  }

  /** Resolves when it reads no more. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    try {
      while (!signal.aborted) {
        const began = this.#options.now()
        await this.pass()
        await this.#pause(Math.max(0, began + PASS_EVERY - this.#options.now()) * 1000)
      }
    } catch (error) {
      // A reading that a closing store cut short says nothing.
      if (!signal.aborted) this.#options.fatal(isCode(error, 'LEVEL_CORRUPTION') ? damaged(String(error)) : error)
    }
  }

  /** Over all that is published when it begins, and what is until it ends. @throws {@link LogError} `log_damaged` */
  async pass(): Promise<void> {
    const { publication, now } = this.#options
    const edge = new Edge()
    this.#position = 0
    await this.#readTables()
    for (let head = publication.current.head; edge.size < head.size; head = publication.current.head) {
      const n = Math.floor(edge.size / TILE_WIDTH)
      const end = Math.min((n + 1) * TILE_WIDTH, head.size)
      await this.#readTile(edge, n, end)
      if (this.#isStopped) return
      if (edge.size === head.size && !equalBytes(edge.root(), head.root)) {
        throw damaged(`the stored statements do not lead to the root that was signed for size ${head.size}`)
      }
    }
    for (const letter of CHECKED_LETTERS) await this.#readValues(letter)
    if (this.#isStopped) return
    this.#passes++
    this.#lastPassEndedAt = now()
  }

  async #readTables(): Promise<void> {
    const damage = await this.#options.checkTables(async (bytes) => {
      this.#tableBytes += bytes
      await this.#paced(bytes / ENTRY_BYTES)
      return !this.#isStopped
    })
    if (damage) throw damaged(`${damage.file}, a file of the database, is damaged: ${damage.detail}`)
  }

  /** Statements from `edge.size` on and before `end`, which is in tile `n` or at its end. */
  async #readTile(edge: Edge, n: number, end: number): Promise<void> {
    const { store } = this.#options
    const from = edge.size
    for await (const piece of store.packedStatements(n, from % TILE_WIDTH)) {
      for (const statement of unpack(piece)) {
        if (edge.size === end) break // committed meanwhile, and not published yet
        edge.append(statement.length > 0 ? sha256(statement) : await this.#entryOfHole(edge.size))
      }
      if (edge.size === end) break
    }
    // Which ones, fsck says: here those after a missing piece have taken its place.
    if (edge.size !== end) throw damaged(`of the statements from ${from} to ${end - 1} some are missing`)
    for (const { level, index, nodes, bundle } of edge.fullTiles) {
      this.#compare(
        `tile ${level}/${index}`,
        await store.tile(level, index),
        nodes.subarray(0, TILE_WIDTH * HASH_LENGTH),
      )
      if (bundle) this.#compare(`entry bundle ${index}`, await store.bundle(index), bundle)
    }
    edge.settle()
    this.#position = edge.size
    this.#checked += edge.size - from
    await this.#paced(edge.size - from)
  }

  async #entryOfHole(index: number): Promise<Hash> {
    const erasure = await this.#options.store.erasure(index)
    if (erasure?.scope !== 'statement') throw damaged(`statement ${index} is empty, and no record erased it`)
    return erasure.entry
  }

  #compare(name: string, stored: Uint8Array | undefined, computed: Uint8Array): void {
    if (!stored) throw damaged(`${name} is missing`)
    if (!equalBytes(stored, computed)) throw damaged(`${name} is not what its statements lead to`)
  }

  async #readValues(letter: string): Promise<void> {
    let seen = 0
    for await (const { intact } of this.#options.store.scan(letter, SCAN_BYTES)) {
      if (!intact) throw damaged(`a value under "${letter}" is not as it was written`)
      if (++seen % TILE_WIDTH !== 0) continue
      await this.#paced(TILE_WIDTH / 8)
      if (this.#isStopped) return
    }
  }

  get #isStopped(): boolean {
    return this.#stopping.signal.aborted
  }

  #paced(entries: number): Promise<void> {
    return this.#pause((entries * 1000) / (this.#options.entriesPerSecond ?? DEFAULT_SCRUB_RATE))
  }

  async #pause(milliseconds: number): Promise<void> {
    if (!this.#isStopped) await this.#options.pause(milliseconds, this.#stopping.signal)
  }
}

function damaged(what: string): LogError {
  return new LogError('log_damaged', `the scrub found that ${what}`)
}
