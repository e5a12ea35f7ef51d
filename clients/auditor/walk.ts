/**
 * The walk through a log that every replay of statements makes, whatever it asks of them: first the tree, from its entries; then the statements,
 * bundle by bundle and in order, each held against the tree and its signatures checked, some bundles ahead of their turn.
 *
 * ```
 *   begin     tile/entries ──hash──▶ root of the checkpoint            all of it, and nothing else
 *   bundles   v1/statements ──SHA-256──▶ entries ══ those of the tree      ▶ one bundle after another
 * ```
 *
 * @module
 */
import {
  type CompactRange,
  EvidenceError,
  type Hash,
  TILE_WIDTH,
  tileWidth,
  type VerifiedCheckpoint,
} from '../../merkle/index.ts'
import type { Trust } from '../../provenance/index.ts'
import { AnswerError, type LogClient, MisbehaviourError, RefusedError } from '../log-client/index.ts'
import { decodeStatementBundle } from '../log-client/statement-bundle.ts'
import type { StatementReader } from './read-statements.ts'
import { replayHashes } from './replay-hashes.ts'
import { SeenBundles } from './seen-bundles.ts'
import type { CheckedBundle } from './signature-threads.ts'

/** What an audit asks of a log. */
export type AuditLog = Pick<
  LogClient,
  | 'acceptCheckpoint'
  | 'certificates'
  | 'checkpoint'
  | 'entryBundle'
  | 'origin'
  | 'packedStatements'
  | 'record'
  | 'tiles'
  | 'vkeys'
  | 'wraps'
>

/** What a replay asks of it. */
export type ReplayLog = Omit<AuditLog, 'record' | 'wraps'>

/** A bundle in its turn. */
export interface WalkedBundle {
  /** Index of its first entry. */
  readonly first: number
  /** Places that were walked before. */
  readonly known: number
  /** All of them. */
  readonly entries: readonly Hash[]
  readonly checked: CheckedBundle
  /** The tree with the new entries of the bundle. */
  append(range: CompactRange): CompactRange
}

/** Bundles fetched before they are judged: while the database writes what was judged, the threads have as many to check. */
const AHEAD = 8

/** An audit against a key that the log itself supplied would find whatever the log likes. @throws `AnswerError` `untrusted_log` */
export async function checkTrusted(client: Pick<ReplayLog, 'origin' | 'vkeys'>, trust: Trust): Promise<void> {
  const [origin, vkeys] = [await client.origin(), await client.vkeys()]
  if (!vkeys.every((vkey) => trust.logs.some((log) => log.origin === origin && log.vkey === vkey))) {
    throw new AnswerError('untrusted_log', `${origin} is no log of the trust file, or not under this key`)
  }
}

/** @param before - the checkpoint that was replayed last: it goes first, so that what the log shows now is held against it */
export async function newestCheckpoint(
  client: Pick<ReplayLog, 'acceptCheckpoint' | 'checkpoint'>,
  before: string | undefined,
): Promise<VerifiedCheckpoint> {
  if (before !== undefined) await client.acceptCheckpoint(before)
  return client.checkpoint()
}

export class Walk {
  readonly #client: ReplayLog
  readonly #checkpoint: VerifiedCheckpoint
  readonly #from: number
  readonly #seen: SeenBundles

  private constructor(client: ReplayLog, checkpoint: VerifiedCheckpoint, from: number, seen: SeenBundles) {
    this.#client = client
    this.#checkpoint = checkpoint
    this.#from = from
    this.#seen = seen
  }

  /**
   * Recomputes the tree.
   *
   * @param from - what was walked before
   * @throws as `replayHashes`
   */
  static async begin(
    client: ReplayLog,
    checkpoint: VerifiedCheckpoint,
    from: CompactRange,
    onProgress: (done: number, total: number) => void,
  ): Promise<Walk> {
    const seen = new SeenBundles(checkpoint, Math.floor(from.size / TILE_WIDTH))
    await replayHashes(client, checkpoint, {
      from,
      onBundle: (index, bytes) => seen.see(index, bytes),
      onHashes: (index, hashes, whole) => seen.seeHashes(index, hashes, whole),
      onProgress,
    })
    return new Walk(client, checkpoint, from.size, seen)
  }

  /** @throws `MisbehaviourError` `entry_mismatch`, `not_served`; `UnavailableError` */
  async *bundles(reader: StatementReader): AsyncGenerator<WalkedBundle> {
    const end = Math.ceil(this.#checkpoint.size / TILE_WIDTH)
    const ahead: Promise<WalkedBundle>[] = []
    for (let asked = Math.floor(this.#from / TILE_WIDTH); asked < end || ahead.length > 0; ) {
      // A log begins with who may write: the threads know the keys of what follows when they have read that.
      for (; asked < end && ahead.length < (asked <= 1 ? 1 : AHEAD); asked++) {
        const next = this.#bundle(asked, reader)
        // Whatever comes of it is told in its turn.
        next.catch(() => {})
        ahead.push(next)
      }
      yield await ahead.shift()!
    }
  }

  async #bundle(index: number, reader: StatementReader): Promise<WalkedBundle> {
    const width = tileWidth(0, index, this.#checkpoint.size)
    const checked = await reader.ahead(await this.#fetch(index, width, reader.room()), width)
    const first = index * TILE_WIDTH
    return {
      first,
      known: Math.max(0, this.#from - first),
      entries: await this.#seen.entriesOf(index, checked, this.#client),
      checked,
      append: (range) => this.#seen.append(range, index),
    }
  }

  async #fetch(index: number, width: number, room: Uint8Array | undefined): Promise<Uint8Array> {
    const { origin, note } = this.#checkpoint
    try {
      const bytes = await this.#client.packedStatements(index, width, room)
      decodeStatementBundle(bytes, width)
      return bytes
    } catch (cause) {
      if (!(cause instanceof RefusedError) && !(cause instanceof EvidenceError)) throw cause
      if (cause instanceof RefusedError && cause.isAboutUs) throw cause
      const why = `the log does not show the statements of bundle ${index}: ${cause.message}`
      const evidence = { origin, after: note, bundle: String(index), reason: cause.message }
      throw new MisbehaviourError('not_served', why, evidence, { cause })
    }
  }
}
