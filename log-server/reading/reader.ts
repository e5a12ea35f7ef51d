/**
 * Reading what is published: the right edge from memory, the rest from the store, and nothing past the published size.
 *
 * The edge runs ahead of what is published by the batch that is being committed and the one behind it, the store by the first. Tiles and bundles grow only
 * at their ends, so cutting them to the published width is enough; a lookup that finds a later index waits for it.
 *
 * @module
 */
import { concatBytes, equalBytes, utf8 } from '../../merkle/bytes.ts'
import { assert, MerkleError, UnavailableError } from '../../merkle/error.ts'
import { HASH_LENGTH, type Hash, sha256 } from '../../merkle/hash.ts'
import { TILE_WIDTH, type TileId, tileWidth } from '../../merkle/tile.ts'
import {
  readConsistencyProof,
  readInclusionProof,
  readInclusionProofs,
  type TileReader,
} from '../../merkle/tile-tree.ts'
import { buildReceipt, type SignedTreeHead } from '../../statement/receipt.ts'
import { BUNDLE_STRIDE, type Edge } from '../sequencing/edge.ts'
import type { Publication } from '../sequencing/publisher.ts'
import type { Erasure } from '../storage/erased.ts'
import { READ_AT_ONCE, type Store } from '../storage/store.ts'
import { isImplied, type Width } from '../storage/widths.ts'
import { type EntryMeta, LogError, type LogReader, type StatementBundle } from '../types.ts'
import { Recent } from './recent.ts'

const DEFAULT_LIMIT = 100
/** Full tiles and entry bundles, 8 KiB each: those above every proof, and the newest, which every follower fetches. */
const RECENT_BYTES = 8 * 1024 * 1024

/** So that they are not mistaken for the entries. */
const STATEMENTS_OF = utf8('statements of ')

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
    const statement = stored(await this.#store.statement(index), `statement ${index}`)
    if (statement.length > 0) return statement
    const { by, scope } = stored(await this.#store.erasure(index), `the note about the erasure of entry ${index}`)
    // A sector of zeros reads as nothing but empty statements. What a record erased of this one was its keys.
    if (scope !== 'statement') throw new LogError('log_damaged', `statement ${index} is empty, and no record erased it`)
    throw new LogError('statement_erased', `the statement of entry ${index} was erased by entry ${by}`, { index })
  }

  async statementBundle(n: number, width: number): Promise<StatementBundle | undefined> {
    const entries = await this.entryBundle(n, width)
    if (!entries) return undefined
    // In this order: where the holes are the same before and after the rows were read, the rows are of that state too.
    const holes = await this.#holes(n, width)
    const rows = await this.#store.widths(n)
    const last = stored(
      rows.find((row) => row.width === width),
      `the length of statement bundle ${n}`,
    )
    return {
      length: last.bytes,
      // Its statements hash to its entries, but where they are gone.
      digest: sha256(concatBytes(STATEMENTS_OF, entries, holes)),
      read: (start, end) => this.#readStatements(n, width, rows, holes, start, end),
      ...(last.bytes <= READ_AT_ONCE && { readInto: (target) => this.#readAllStatements(n, width, holes, target) }),
    }
  }

  async entryBundle(n: number, width: number): Promise<Uint8Array | undefined> {
    if (!(await this.#isServed({ level: 0, index: n, width }))) return undefined
    const growing = this.#edge.tile(0, n)?.bundle
    if (growing) return growing.slice(0, width * BUNDLE_STRIDE)
    const full = await this.#fullBundle(n)
    return width === TILE_WIDTH ? full : full.subarray(0, width * BUNDLE_STRIDE)
  }

  async tile(id: TileId): Promise<Uint8Array | undefined> {
    return (await this.#isServed(id)) ? this.#readTile(id) : undefined
  }

  async readTiles(tiles: readonly TileId[]): Promise<readonly Uint8Array[]> {
    return Promise.all(
      tiles.map((id) => {
        // Of any size, also of one that never had a checkpoint.
        assert(this.#hasTile(id), 'proofs are made of published tiles')
        return this.#readTile(id)
      }),
    )
  }

  certificates(entry: Hash): Promise<Uint8Array[]> {
    return this.#store.certificates(entry)
  }

  wraps(entry: Hash): Promise<Uint8Array[]> {
    return this.#store.wraps(entry)
  }

  async erasure(index: number): Promise<Erasure | undefined> {
    const erasure = this.#has(index) ? await this.#store.erasure(index) : undefined
    if (erasure) await this.#publication.reached(erasure.by + 1)
    return erasure
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

  async statuses(credentialDigest: string, limit = DEFAULT_LIMIT, of?: number): Promise<number[]> {
    return this.#allPublished(await this.#store.statuses(credentialDigest, limit, of))
  }

  async inclusionProof(index: number, size: number): Promise<Hash[]> {
    this.#checkSize(size)
    return readInclusionProof(index, size, this)
  }

  async inclusionProofs(indexes: readonly number[], size: number): Promise<Hash[][]> {
    this.#checkSize(size)
    return readInclusionProofs(indexes, size, this)
  }

  async consistencyProof(size1: number, size2: number): Promise<Hash[]> {
    this.#checkSize(size2)
    return readConsistencyProof(size1, size2, this)
  }

  async receipt(index: number, head: SignedTreeHead = this.treeHead()): Promise<Uint8Array> {
    return buildReceipt(head, { index, proof: await this.inclusionProof(index, head.size) })
  }

  async *#readStatements(
    n: number,
    width: number,
    rows: readonly Width[],
    holes: Uint8Array,
    start: number,
    end: number,
  ): AsyncGenerator<Uint8Array> {
    // Each width ends a batch, and so a piece: what was sent before need not be read again to go on after it.
    const from = rows.findLast(({ bytes }) => bytes <= start) ?? { width: 0, bytes: 0 }
    let at = from.bytes
    const pieces = this.#store.packedStatements(n, from.width)
    try {
      let piece = await pieces.next()
      // From here on the iterator sees one state of the store. Holes only become more, so if they are still the same, it is the state
      // that was asked about.
      await this.#checkHoles(n, width, holes)
      for (; !piece.done && at < end; piece = await pieces.next()) {
        const { value } = piece
        if (at + value.length > start) yield value.subarray(Math.max(0, start - at), end - at)
        at += value.length
      }
      if (at < end) throw endsAt(n, at, end)
    } finally {
      await pieces.return(undefined)
    }
  }

  async #readAllStatements(n: number, width: number, holes: Uint8Array, target: Uint8Array): Promise<void> {
    const length = await this.#store.readStatements(n, width, target)
    await this.#checkHoles(n, width, holes)
    if (length < target.length) throw endsAt(n, length, target.length)
  }

  /** @throws UnavailableError */
  async #checkHoles(n: number, width: number, holes: Uint8Array): Promise<void> {
    if (equalBytes(await this.#holes(n, width), holes)) return
    throw new UnavailableError('something in this bundle was erased just now')
  }

  /** Places of the first `width` entries of tile `n` whose statements were erased. */
  async #holes(n: number, width: number): Promise<Uint8Array> {
    if (!(await this.#store.hasErasures())) return new Uint8Array()
    const first = n * TILE_WIDTH
    const places: number[] = []
    for await (const [index, { scope }] of this.#store.erasures(first, first + width)) {
      if (scope === 'statement') places.push(index - first)
    }
    return Uint8Array.from(places)
  }

  async #readTile({ level, index, width }: TileId): Promise<Uint8Array> {
    const growing = this.#edge.tile(level, index)
    if (growing) return growing.nodes.slice(0, width * HASH_LENGTH)
    const name = `tile ${level}/${index}`
    const full = stored(await this.#recent.get(name, () => this.#store.tile(level, index)), name)
    // Full ones as they are: whoever knows something of that array finds it again.
    return width === TILE_WIDTH ? full : full.subarray(0, width * HASH_LENGTH)
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

  /** Full tiles, what the newest checkpoint implies, and what earlier ones did. */
  async #isServed(id: TileId): Promise<boolean> {
    if (!this.#hasTile(id)) return false
    const widest = tileWidth(id.level, id.index, this.#publication.size)
    return id.width === TILE_WIDTH || id.width === widest || isImplied(id, (n) => this.#store.widths(n))
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

function endsAt(n: number, at: number, end: number): LogError {
  return new LogError('log_damaged', `statement bundle ${n} ends at byte ${at} of ${end}`)
}

function stored<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new LogError('log_damaged', `${what} is missing from the store`)
  return value
}
