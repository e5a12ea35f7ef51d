/**
 * Going on from a backup to the tree that the log has published since, out of what somebody has copied of it: a mirror, a replica, a cache in front of it.
 *
 * ```
 *   backup, size 1000 ─► statements 1000 … 1299 of the copy ─► their entries, the right edge ─► the root of the checkpoint that the log signed for 1300
 *                                  └► indexes, wraps, certificates                                      any other: nothing is restored
 * ```
 *
 * The copy is believed nothing: its statements lead to a root that the log has signed, or there is no log. So nothing that was acknowledged and published is
 * lost, and going on from there forks nothing. What no root tells is another matter. Wraps are taken from whoever has them, and opening them shows whether they
 * are good; the certificates beside a statement are as good as the thumbprint that it has of them. What an erasure destroyed is destroyed here, too.
 *
 * A statement that came after the backup and was erased before the copy was made ends it: by what it was found, and what it keeps others from, only it said.
 *
 * @module
 */
import { equalBytes, toHex } from '../../merkle/bytes.ts'
import { HASH_LENGTH, type Hash, sha256 } from '../../merkle/hash.ts'
import { TILE_WIDTH } from '../../merkle/tile.ts'
import { isRecordStatement, recordOfStatement } from '../../provenance/record.ts'
import { parseSignedStatement } from '../../statement/signed-statement.ts'
import { lacksCertificates } from '../../statement/transparent-statement.ts'
import { wrapRecipientKid } from '../../statement/wrap.ts'
import { openStored, rebuildAuthorities } from '../log.ts'
import type { Edge } from '../sequencing/edge.ts'
import { Publisher } from '../sequencing/publisher.ts'
import type { SigningKeys } from '../sequencing/signing-keys.ts'
import type { LogConfig } from '../storage/directory.ts'
import type { NewEntry } from '../storage/entry-rows.ts'
import type { Mark } from '../storage/guard.ts'
import type { Store } from '../storage/store.ts'
import { encodeSigned, HEAD_KEY, type Signed } from '../storage/stored-values.ts'
import { type Clock, LogError } from '../types.ts'
import { describeStatement, isStatement } from './described.ts'

/** Somewhere where what the log has published can be read. */
export interface LogCopy {
  /** As it is told: a URL. */
  readonly from: string
  /** Statements from `256 n` on, `width` of them; empty where it has none any more. */
  statements(n: number, width: number): Promise<readonly Uint8Array[]>
  /** Those stored beside an entry; undefined where it has none. */
  wraps(entry: Hash): Promise<readonly Uint8Array[] | undefined>
  /** Those stored beside an entry, leaf first. */
  certificates(entry: Hash): Promise<readonly Uint8Array[]>
}

export interface CaughtUp {
  readonly from: string
  /** What the backup had. */
  readonly before: number
  /** Records with sealed sections that came without wraps: nobody opens them, but who has their keys already. Some never had any. */
  readonly withoutWraps: number
}

/** Bytes of wraps for one record: more than admission ever let through. */
const MAX_WRAP_BYTES = 4 * 1024 * 1024

/**
 * Appends to a store that nobody else has what `copy` has of it up to `target`, and signs that tree again: the same root for the same size.
 *
 * @param target - as a checkpoint says it that the log has signed; larger than what there is
 * @throws {@link LogError} `copy_mismatch`, `copy_incomplete`, `signing_key_missing`; what reading `copy` throws
 */
export async function catchUp(
  store: Store,
  {
    target,
    copy,
    config,
    keys,
    now,
  }: {
    readonly target: Mark
    readonly copy: LogCopy
    readonly config: LogConfig
    readonly keys: SigningKeys
    readonly now: Clock
  },
): Promise<CaughtUp> {
  const { signed, edge } = await openStored(store, config)
  const before = edge.size
  const chase = new Chase(store, edge, copy, signed)
  while (edge.size < target.size) await chase.nextTile(target.size)
  if (!equalBytes(edge.root(), target.root)) {
    throw new LogError(
      'copy_mismatch',
      `what ${copy.from} has of entries ${before} to ${target.size - 1} does not lead to the root ${toHex(target.root)} that the log signed for size ${target.size}`,
    )
  }
  const policy = (await rebuildAuthorities(store)).policy().fields
  await keys.load(policy)
  const publisher = new Publisher({ origin: config.origin, keys, policy, now, lastIssuedAt: signed.head.issuedAt })
  const again = await publisher.sign(target.size, target.root)
  await store.patch({ puts: [[HEAD_KEY, encodeSigned(again)]], deletions: [] })
  return { from: copy.from, before, withoutWraps: chase.withoutWraps }
}

class Chase {
  readonly #store: Store
  readonly #edge: Edge
  readonly #copy: LogCopy
  /** Of the backup: it stays the newest one until all is here. */
  readonly #signed: Signed
  withoutWraps = 0

  constructor(store: Store, edge: Edge, copy: LogCopy, signed: Signed) {
    this.#store = store
    this.#edge = edge
    this.#copy = copy
    this.#signed = signed
  }

  /** Statements up to the end of the tile at hand, or before `end`. */
  async nextTile(end: number): Promise<void> {
    const n = Math.floor(this.#edge.size / TILE_WIDTH)
    const width = Math.min(TILE_WIDTH, end - n * TILE_WIDTH)
    const statements = await this.#copy.statements(n, width)
    if (statements.length !== width) {
      throw new LogError(
        'copy_mismatch',
        `${this.#copy.from} has ${statements.length} of ${width} statements in bundle ${n}`,
      )
    }
    const first = this.#edge.size
    let entries: NewEntry[] = []
    for (const [i, bytes] of statements.slice(first % TILE_WIDTH).entries()) {
      const entry = await this.#entryOf(first + i, bytes)
      // What it erases is found in the store.
      if (entry.erases) {
        await this.#commit(entries)
        entries = []
      }
      entries.push(entry)
    }
    await this.#commit(entries)
  }

  async #entryOf(index: number, bytes: Uint8Array): Promise<NewEntry> {
    if (bytes.length === 0) {
      throw new LogError(
        'copy_incomplete',
        `statement ${index}, which the backup does not have, was erased before ${this.#copy.from} was asked: by what it was found, only it said`,
        { index },
      )
    }
    const [statement, entry] = [bytes.slice(), sha256(bytes)]
    if (!isStatement(bytes)) return { statement, entry, type: 'raw', issuedAt: 0, signer: '' }
    const certificates = lacksCertificates(bytes) ? await this.#certificatesOf(index, entry) : []
    const described = await describeStatement({ certificates: async () => [...certificates] }, entry, bytes)
    const wraps = await this.#wrapsOf(bytes, entry)
    return { ...described, statement, entry, wraps, certificates }
  }

  async #certificatesOf(index: number, entry: Hash): Promise<readonly Uint8Array[]> {
    const certificates = await this.#copy.certificates(entry)
    if (certificates.length > 0) return certificates
    const detail = `${this.#copy.from} has no certificates beside statement ${index}, and nothing else says who signed it`
    throw new LogError('copy_incomplete', detail, { index })
  }

  async #wrapsOf(bytes: Uint8Array, entry: Hash): Promise<readonly Uint8Array[]> {
    const statement = parseSignedStatement(bytes, { maxBytes: bytes.length })
    if (!isRecordStatement(statement) || !recordOfStatement(statement).sealed) return []
    const wraps = (await this.#copy.wraps(entry)) ?? []
    const total = wraps.reduce((sum, { length }) => sum + length, 0)
    // What is no wrap is of use to nobody, and would look like one that is there.
    if (total > MAX_WRAP_BYTES || wraps.some((wrap) => wrapRecipientKid(wrap) === undefined)) {
      throw new LogError('copy_mismatch', `what ${this.#copy.from} has beside ${toHex(entry)} are no wraps`)
    }
    if (wraps.length === 0) this.withoutWraps++
    return wraps
  }

  async #commit(entries: readonly NewEntry[]): Promise<void> {
    if (entries.length === 0) return
    const first = this.#edge.size
    for (const { entry } of entries) this.#edge.append(entry)
    const full = [...this.#edge.fullTiles]
    await this.#store.commit({
      ...{ first, entries, signed: this.#signed },
      tiles: full.map(({ level, index, nodes }) => ({
        level,
        index,
        hashes: nodes.slice(0, TILE_WIDTH * HASH_LENGTH),
      })),
      bundles: full.flatMap(({ index, bundle }) => (bundle ? [{ index, bytes: bundle }] : [])),
    })
    this.#edge.settle()
  }
}
