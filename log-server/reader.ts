/**
 * Reading what is published: the right edge from memory, the rest from the store, and nothing past the published size.
 *
 * The edge and the store run ahead of what is published by the batches that are being committed. Tiles and bundles grow only
 * at their ends, so cutting them to the published width is enough; a lookup that finds a later index waits for it.
 *
 * @module
 */
import { assert, MerkleError } from '../merkle/error.ts'
import { HASH_LENGTH, type Hash } from '../merkle/hash.ts'
import { TILE_WIDTH, type TileId, tileWidth } from '../merkle/tile.ts'
import { readConsistencyProof, readInclusionProof, type TileReader } from '../merkle/tile-tree.ts'
import { buildReceipt, type SignedTreeHead } from '../statement/receipt.ts'
import { BUNDLE_STRIDE, type Edge } from './edge.ts'
import type { Publication } from './publisher.ts'
import { Recent } from './recent.ts'
import { type Store, unpack } from './store.ts'
import { type EntryMeta, LogError, type LogReader } from './types.ts'

const DEFAULT_LIMIT = 100
/** Full tiles and entry bundles, 8 KiB each: those above every proof, and the newest, which every follower fetches. */
const RECENT_BYTES = 8 * 1024 * 1024

export class StoredLog implements LogReader, TileReader {
  readonly #store: Store
  readonly #edge: Edge
  readonly #publication: Publication
  readonly #recent = new Recent(RECENT_BYTES)

  constructor(store: Store, edge: Edge, publication: Publication) {
    this.#store = store
    this.#edge = edge
    this.#publication = publication
  }

  treeHead(): SignedTreeHead {
    return this.#publication.current.head
  }

  checkpoint(): string {
    return this.#publication.current.checkpoint
  }

  async locate(entry: Hash): Promise<EntryMeta | undefined> {
    const meta = await this.#store.locate(entry)
    if (meta) await this.#publication.reached(meta.index + 1)
    return meta
  }

  async entryAt(index: number): Promise<Hash | undefined> {
    if (!this.#has(index)) return undefined
    const n = Math.floor(index / TILE_WIDTH)
    const at = (index % TILE_WIDTH) * BUNDLE_STRIDE + 2
    const bundle = this.#edge.tile(0, n)?.bundle ?? (await this.#fullBundle(n))
    return bundle.slice(at, at + HASH_LENGTH)
  }

  async meta(index: number): Promise<EntryMeta | undefined> {
    const entry = await this.entryAt(index)
    return entry && stored(await this.#store.locate(entry), `the index of entry ${index}`)
  }

  async statement(index: number): Promise<Uint8Array | undefined> {
    if (!this.#has(index)) return undefined
    return stored(await this.#store.statement(index), `statement ${index}`)
  }

  statementBundle(n: number, width: number): AsyncIterable<Uint8Array> | undefined {
    return this.#hasTile({ level: 0, index: n, width }) ? this.#firstStatements(n, width) : undefined
  }

  async entryBundle(n: number, width: number): Promise<Uint8Array | undefined> {
    if (!this.#hasTile({ level: 0, index: n, width })) return undefined
    const growing = this.#edge.tile(0, n)?.bundle
    if (growing) return growing.slice(0, width * BUNDLE_STRIDE)
    return (await this.#fullBundle(n)).subarray(0, width * BUNDLE_STRIDE)
  }

  async tile(id: TileId): Promise<Uint8Array | undefined> {
    if (!this.#hasTile(id)) return undefined
    const { level, index, width } = id
    const growing = this.#edge.tile(level, index)
    if (growing) return growing.nodes.slice(0, width * HASH_LENGTH)
    const name = `tile ${level}/${index}`
    const full = stored(await this.#recent.get(name, () => this.#store.tile(level, index)), name)
    return full.subarray(0, width * HASH_LENGTH)
  }

  async readTiles(tiles: readonly TileId[]): Promise<readonly Uint8Array[]> {
    const read = await Promise.all(tiles.map((id) => this.tile(id)))
    return read.map((bytes) => {
      assert(bytes, 'proofs are made of published tiles')
      return bytes
    })
  }

  certificates(entry: Hash): Promise<Uint8Array[]> {
    return this.#store.certificates(entry)
  }

  wraps(entry: Hash): Promise<Uint8Array[]> {
    return this.#store.wraps(entry)
  }

  async latest(series: string): Promise<number | undefined> {
    return this.#published(await this.#store.latest(series))
  }

  async latestAll(prefix: string, limit = DEFAULT_LIMIT): Promise<number[]> {
    return this.#allPublished(await this.#store.latestAll(prefix, limit))
  }

  async byUnique(key: string): Promise<number | undefined> {
    return this.#published(await this.#store.byUnique(key))
  }

  async statuses(credentialDigest: string, limit = DEFAULT_LIMIT): Promise<number[]> {
    return this.#allPublished(await this.#store.statuses(credentialDigest, limit))
  }

  async inclusionProof(index: number, size: number): Promise<Hash[]> {
    this.#checkSize(size)
    return readInclusionProof(index, size, this)
  }

  async consistencyProof(size1: number, size2: number): Promise<Hash[]> {
    this.#checkSize(size2)
    return readConsistencyProof(size1, size2, this)
  }

  async receipt(index: number, head: SignedTreeHead = this.treeHead()): Promise<Uint8Array> {
    return buildReceipt(head, { index, proof: await this.inclusionProof(index, head.size) })
  }

  async *#firstStatements(n: number, width: number): AsyncGenerator<Uint8Array> {
    let count = 0
    for await (const piece of this.#store.packedStatements(n)) {
      let end = 0
      for (const statement of unpack(piece)) {
        if (count === width) break
        count++
        end += 4 + statement.length
      }
      yield piece.subarray(0, end)
      if (count === width) return
    }
    throw new LogError('log_damaged', `statement bundle ${n} has ${count} of ${width} statements`)
  }

  async #fullBundle(n: number): Promise<Uint8Array> {
    const name = `entry bundle ${n}`
    return stored(await this.#recent.get(name, () => this.#store.bundle(n)), name)
  }

  #has(index: number): boolean {
    return Number.isSafeInteger(index) && index >= 0 && index < this.#publication.size
  }

  #hasTile({ level, index, width }: TileId): boolean {
    return width >= 1 && width <= tileWidth(level, index, this.#publication.size)
  }

  async #published(index: number | undefined): Promise<number | undefined> {
    if (index !== undefined) await this.#publication.reached(index + 1)
    return index
  }

  async #allPublished(indexes: number[]): Promise<number[]> {
    await this.#publication.reached(Math.max(0, ...indexes.map((index) => index + 1)))
    return indexes
  }

  #checkSize(size: number): void {
    if (!Number.isSafeInteger(size) || size < 0 || size > this.#publication.size) {
      throw new MerkleError(
        'index_out_of_range',
        `size ${size} is not published; the tree has ${this.#publication.size}`,
      )
    }
  }
}

function stored<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new LogError('log_damaged', `${what} is missing from the store`)
  return value
}
