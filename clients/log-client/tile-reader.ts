/**
 * Tiles over HTTP, with full ones kept: c2sp.org/tlog-tiles.
 *
 * What comes back is the log's word and nothing more. Whoever asks folds the hashes and compares with the root of a verified
 * checkpoint; when that fails, {@link HttpTileReader.forget} so that one lie is not believed to be the log's answer forever.
 *
 * @module
 */
import { formatTilePath, HASH_LENGTH, TILE_WIDTH, type TileId, type TileReader } from '../../merkle/index.ts'
import { AnswerError, RefusedError } from './error.ts'
import type { Fetcher } from './fetcher.ts'

/** Full tiles kept at most: 8 MiB. */
const CACHED_TILES = 1024

export class HttpTileReader implements TileReader {
  readonly #fetcher: Fetcher
  /** Full tiles by path, the one not used for longest first. Never partial ones: those are new with every size. */
  readonly #cache = new Map<string, Uint8Array>()

  constructor(fetcher: Fetcher) {
    this.#fetcher = fetcher
  }

  /**
   * Packed hashes of each tile, in the order asked.
   *
   * @throws `AnswerError` `malformed_answer`, and what {@link Fetcher.fetch} throws
   */
  readTiles(tiles: readonly TileId[]): Promise<readonly Uint8Array[]> {
    return Promise.all(tiles.map((tile) => this.#read(tile)))
  }

  /** Drops what is kept, after it led to another root than the signed one. */
  forget(): void {
    this.#cache.clear()
  }

  async #read(tile: TileId): Promise<Uint8Array> {
    const full = { ...tile, width: TILE_WIDTH }
    const kept = this.#cache.get(formatTilePath(full))
    if (kept !== undefined) {
      this.#keep(formatTilePath(full), kept)
      return kept.subarray(0, tile.width * HASH_LENGTH)
    }
    if (tile.width === TILE_WIDTH) return this.#readFull(full)

    try {
      return await this.#request(tile)
    } catch (error) {
      // A log may drop a partial tile once the full one exists.
      if (!(error instanceof RefusedError) || error.status !== 404) throw error
      return (await this.#readFull(full)).subarray(0, tile.width * HASH_LENGTH)
    }
  }

  async #readFull(tile: TileId): Promise<Uint8Array> {
    const bytes = await this.#request(tile)
    this.#keep(formatTilePath(tile), bytes)
    return bytes
  }

  #keep(path: string, bytes: Uint8Array): void {
    // A map keeps the order of insertion: what is put in again is the newest.
    this.#cache.delete(path)
    this.#cache.set(path, bytes)
    const [oldest] = this.#cache.keys()
    if (this.#cache.size > CACHED_TILES && oldest !== undefined) this.#cache.delete(oldest)
  }

  async #request(tile: TileId): Promise<Uint8Array> {
    const path = formatTilePath(tile)
    const length = tile.width * HASH_LENGTH
    const { status, body } = await this.#fetcher.fetch({ path, maxBytes: length })
    if (status !== 200 || body.length !== length) {
      throw new AnswerError(
        'malformed_answer',
        `${path}: HTTP ${status} with ${body.length} bytes where ${length} belong`,
      )
    }
    return body
  }
}
