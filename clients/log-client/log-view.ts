/**
 * One reader's view of a log: the newest checkpoint it verified, and the promise that every one before was of the same tree.
 *
 * ```
 *   remembered ──consistency proof──▶ fetched ──▶ remembered
 *        │                              │
 *        └── smaller? rollback          └── same size, other root; or no proof: fork
 * ```
 *
 * In both bad cases the two notes together are the evidence, because the log's key signed both.
 *
 * @module
 */
import {
  checkConsistency,
  EMPTY_ROOT,
  equalBytes,
  impliedRoots,
  MAX_NOTE_BYTES,
  MerkleError,
  type NoteVerifier,
  openCheckpoint,
  readConsistencyProof,
  readRoot,
  toHex,
  type VerifiedCheckpoint,
  type WitnessPolicy,
} from '../../merkle/index.ts'
import { AnswerError, MisbehaviourError, RefusedError } from './error.ts'
import type { Fetcher } from './fetcher.ts'
import type { CheckpointMemory } from './memory.ts'
import type { HttpTileReader } from './tile-reader.ts'

export interface LogViewOptions {
  readonly fetcher: Fetcher
  readonly tiles: HttpTileReader
  readonly log: { readonly origin: string; readonly verifiers: readonly NoteVerifier[] }
  /** Witnesses that every new checkpoint must satisfy. */
  readonly policy?: WitnessPolicy
  readonly remembered: CheckpointMemory
}

export class LogView {
  readonly #options: LogViewOptions
  #seen: VerifiedCheckpoint | undefined
  /** Checkpoints are taken in one after another: two at once would each be compared with the same predecessor and not with one another. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: LogViewOptions) {
    this.#options = options
  }

  get origin(): string {
    return this.#options.log.origin
  }

  /** The newest checkpoint verified so far; the first call fetches one. */
  async current(): Promise<VerifiedCheckpoint> {
    return this.#seen ?? (await this.refresh())
  }

  /**
   * Fetches the log's checkpoint and takes it in.
   *
   * @throws what {@link accept} throws, `UnavailableError`, `RefusedError`
   */
  refresh(): Promise<VerifiedCheckpoint> {
    return this.#next(async () => {
      const { status, body } = await this.#options.fetcher.fetch({ path: 'checkpoint', maxBytes: MAX_NOTE_BYTES })
      if (status !== 200) throw new AnswerError('malformed_answer', `checkpoint: HTTP ${status}`)
      return this.#takeIn(body)
    })
  }

  /**
   * Takes in a checkpoint that came by another way, a bundle's say: opens it and checks that it and the newest one seen are of
   * one log. An older one is fine here; it has to be a prefix.
   *
   * @throws `MerkleError` of `openCheckpoint`; `MisbehaviourError` `checkpoint_fork`
   */
  accept(note: string): Promise<VerifiedCheckpoint> {
    return this.#next(async () => {
      const opened = this.#open(note)
      const seen = await this.#recall()
      if (seen === undefined || opened.size > seen.size) return this.#takeIn(note)
      await this.#checkGrowth(opened, seen)
      return opened
    })
  }

  #next<T>(step: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(step)
    this.#turn = result.catch(() => {})
    return result
  }

  async #takeIn(note: string | Uint8Array): Promise<VerifiedCheckpoint> {
    const fetched = this.#open(note)
    const seen = await this.#recall()
    if (seen !== undefined) {
      if (fetched.size < seen.size) {
        throw new MisbehaviourError(
          'checkpoint_rollback',
          `the log signed ${seen.size} entries before, and now shows ${fetched.size}`,
          { origin: this.origin, before: seen.note, after: fetched.note },
        )
      }
      await this.#checkGrowth(seen, fetched)
    }
    // Remembered before it is used: what we acted on must not be forgotten in a crash.
    if (fetched.note !== seen?.note) await this.#options.remembered.save(fetched.note)
    this.#seen = fetched
    return fetched
  }

  #open(note: string | Uint8Array): VerifiedCheckpoint {
    return openCheckpoint(note, this.#options.log, this.#options.policy)
  }

  /** What was seen in this run, or else in the one before. Opened again: a file is no more trustworthy than who can write it. */
  async #recall(): Promise<VerifiedCheckpoint | undefined> {
    if (this.#seen !== undefined) return this.#seen
    const note = await this.#options.remembered.load()
    if (note === undefined) return undefined
    try {
      return openCheckpoint(note, this.#options.log)
    } catch (cause) {
      if (!(cause instanceof MerkleError) || cause.code !== 'unknown_signer') throw cause
      // Not forgotten: whoever stole the log's new key would only have to wait for readers who were told of it.
      const advice = 'keep the key pinned that signed it until the log has shown a checkpoint by both'
      throw new MerkleError(cause.code, `the checkpoint remembered of ${this.origin} is by no pinned key: ${advice}`, {
        cause,
      })
    }
  }

  async #checkGrowth(older: VerifiedCheckpoint, newer: VerifiedCheckpoint): Promise<void> {
    const evidence = { origin: this.origin, before: older.note, after: newer.note }
    if (older.size === newer.size) {
      if (equalBytes(older.root, newer.root)) return
      throw new MisbehaviourError('checkpoint_fork', `two signed roots for ${older.size} entries`, evidence)
    }
    try {
      const proof = await readConsistencyProof(older.size, newer.size, this.#options.tiles)
      checkConsistency({ size1: older.size, root1: older.root, size2: newer.size, root2: newer.root, proof })
    } catch (error) {
      const shown = error instanceof MerkleError ? await this.#otherPrefix(older, newer) : undefined
      this.#options.tiles.forget()
      if (!(error instanceof MerkleError) && !isUnserved(error)) throw error
      throw new MisbehaviourError(
        'checkpoint_fork',
        shown
          ? `the log signed ${older.size} and ${newer.size} entries, and the first are no prefix of the second`
          : `the log signed ${older.size} and ${newer.size} entries and shows no tiles in which the first are a prefix of the second`,
        { ...evidence, ...shown },
        { cause: error },
      )
    }
  }

  /**
   * With what the newer tree begins instead, where its tiles lead to its root: hashes that convince whoever has the two notes. Undefined
   * where they lead nowhere, and there is nothing but our word.
   */
  async #otherPrefix(
    older: VerifiedCheckpoint,
    newer: VerifiedCheckpoint,
  ): Promise<{ prefix: string; proof: string } | undefined> {
    const { tiles } = this.#options
    try {
      const [size1, size2] = [older.size, newer.size]
      const proof = await readConsistencyProof(size1, size2, tiles)
      // A proof begins with a node of the newer tree, but where the older one is itself such a node: then that has to be asked for.
      const root1 = Number.isInteger(Math.log2(size1))
        ? await readRoot(size1, tiles)
        : impliedRoots({ size1, root1: ANY_ROOT, size2, proof }).root1
      checkConsistency({ size1, root1, size2, root2: newer.root, proof })
      return { prefix: toHex(root1), proof: proof.map(toHex).join(' ') }
    } catch (error) {
      if (error instanceof MerkleError || isUnserved(error)) return undefined
      throw error
    }
  }
}

/** Nobody's root: where a proof implies one, it is not asked. */
const ANY_ROOT = EMPTY_ROOT

/** The log was reached, and would not show what its checkpoint implies. */
export function isUnserved(error: unknown): boolean {
  return error instanceof AnswerError || (error instanceof RefusedError && error.status === 404)
}
