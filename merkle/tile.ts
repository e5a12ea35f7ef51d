/**
 * Tiles: the tree in files of 256 hashes, c2sp.org/tlog-tiles. Coordinates, paths, and what a tree of some size has.
 *
 * Tile (level, index) holds 256 nodes of tree level 8·level; the hash over a full tile is one hash in the tile above. On the
 * right edge a tile is partial, and its width is part of its path, so that what a path names never changes:
 *
 * ```
 *   tile/0/x001/x234/067        level 0, index 1 234 067, full
 *   tile/1/000.p/17             level 1, index 0, its first 17 hashes
 *   tile/entries/273.p/112      the entries under level-0 tile 273, as an entry bundle
 * ```
 *
 * @module
 */
import { assert, MerkleError } from './error.ts'
import { HASH_LENGTH, type Hash } from './hash.ts'
import type { NodeId } from './subtree.ts'

/** Hashes in a full tile. */
export const TILE_WIDTH = 256
const TILE_HEIGHT = 8
const MAX_LEVEL = 63

export interface TileId {
  /** 0 for the tile of leaf hashes; at most 63. Each level up, one hash stands for 256 times as many leaves. */
  readonly level: number
  /** Counted from 0 on its level. */
  readonly index: number
  /** How many hashes: 1 to 256, 256 being a full tile. */
  readonly width: number
}

/** `tile/<level>/<index>[.p/<width>]`. */
export function formatTilePath({ level, index, width }: TileId): string {
  assert(Number.isInteger(level) && level >= 0 && level <= MAX_LEVEL, `tile level ${level}`)
  return `tile/${level}/${formatTileIndex(index, width)}`
}

/** @throws {@link MerkleError} `malformed_tile_path` unless `path` is what {@link formatTilePath} makes of some tile. */
export function parseTilePath(path: string): TileId {
  const [, level, rest] = /^tile\/(0|[1-9][0-9]?)\/(.+)$/s.exec(path) ?? []
  if (level === undefined || rest === undefined || Number(level) > MAX_LEVEL) throw malformed()
  return { level: Number(level), ...parseTileIndex(rest) }
}

/** `tile/entries/<index>[.p/<width>]`. */
export function formatEntriesPath(index: number, width: number): string {
  return `tile/entries/${formatTileIndex(index, width)}`
}

/** @throws {@link MerkleError} `malformed_tile_path` */
export function parseEntriesPath(path: string): { index: number; width: number } {
  if (!path.startsWith('tile/entries/')) throw malformed()
  return parseTileIndex(path.slice('tile/entries/'.length))
}

/** The last part of a tile's path: `x001/x234/067`, and for a width below 256 `x001/x234/067.p/17`. */
export function formatTileIndex(index: number, width: number): string {
  assert(Number.isSafeInteger(index) && index >= 0, `tile index ${index}`)
  assert(Number.isInteger(width) && width >= 1 && width <= TILE_WIDTH, `tile width ${width}`)
  // Groups of three digits, so that no directory holds more than a thousand names.
  const digits = String(index)
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/.../g)!
  const last = groups.pop()!
  return groups.map((group) => `x${group}/`).join('') + last + (width === TILE_WIDTH ? '' : `.p/${width}`)
}

/** @throws {@link MerkleError} `malformed_tile_path`: other digits, leading zeros, an index past 2⁵³ − 1 or a width outside 1 to 255. */
export function parseTileIndex(text: string): { index: number; width: number } {
  const [, groups, width] = /^((?:x[0-9]{3}\/){0,5}[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/.exec(text) ?? []
  if (groups === undefined) throw malformed()
  const index = Number(groups.replaceAll(/[x/]/g, ''))
  const parsed = { index, width: width === undefined ? TILE_WIDTH : Number(width) }
  if (!Number.isSafeInteger(index) || (width !== undefined && parsed.width >= TILE_WIDTH)) throw malformed()
  // One path for one tile: `x000/001` would be a second.
  if (groups.startsWith('x000')) throw malformed()
  return parsed
}

/** How many hashes tile (level, index) has in a tree of `size`: 1 to 256, or 0 while it does not exist. */
export function tileWidth(level: number, index: number, size: number): number {
  // Dividing by a power of two is exact for every size.
  const hashes = Math.floor(size / TILE_WIDTH ** level)
  return Math.max(0, Math.min(TILE_WIDTH, hashes - index * TILE_WIDTH))
}

/** Every tile of a tree of `size`, full and partial: level by level from 0, left to right. */
export function* tilesOfSize(size: number): Iterable<TileId> {
  for (let level = 0, hashes = size; hashes > 0; level++, hashes = Math.floor(hashes / TILE_WIDTH)) {
    for (let index = 0; index * TILE_WIDTH < hashes; index++) {
      yield { level, index, width: Math.min(TILE_WIDTH, hashes - index * TILE_WIDTH) }
    }
  }
}

/** The tile of a tree of `size` out of which a perfect subtree can be computed, and the hashes [start, end) in it that the subtree covers. */
export function tileOfNode({ level, index }: NodeId, size: number): { tile: TileId; start: number; end: number } {
  const tileLevel = Math.floor(level / TILE_HEIGHT)
  const span = 2 ** (level % TILE_HEIGHT)
  const first = index * span
  const tileIndex = Math.floor(first / TILE_WIDTH)
  const start = first % TILE_WIDTH
  const width = tileWidth(tileLevel, tileIndex, size)
  assert(start + span <= width, `node (${level}, ${index}) is not in a tree of ${size}`)
  return { tile: { level: tileLevel, index: tileIndex, width }, start, end: start + span }
}

/** The hashes of a tile, as views of its bytes. @throws {@link MerkleError} `malformed_encoding` unless these are whole hashes. */
export function splitHashes(bytes: Uint8Array): Hash[] {
  if (bytes.length % HASH_LENGTH !== 0) throw new MerkleError('malformed_encoding', `${bytes.length} bytes of hashes`)
  return Array.from({ length: bytes.length / HASH_LENGTH }, (_, i) =>
    bytes.subarray(i * HASH_LENGTH, (i + 1) * HASH_LENGTH),
  )
}

/** Without the text: who asks knows it, and it need not have been meant for us. */
function malformed(): MerkleError {
  return new MerkleError('malformed_tile_path', 'not a tile path')
}
