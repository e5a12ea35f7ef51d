/**
 * Proofs and roots out of tiles: what a reader computes for itself from the files of a log, whoever serves them.
 *
 * Nothing here is verified. A tile that lies makes a proof that does not check or a root that no checkpoint has; compare
 * with a checkpoint before believing either. All tiles that a call needs are asked for at once, each of them once.
 *
 * @module
 */
import { type CompactRange, rangeRoot } from './compact-range.ts'
import { buildConsistencyProof, consistencyNodes } from './consistency.ts'
import { assert, MerkleError } from './error.ts'
import { HASH_LENGTH, type Hash, hashNode } from './hash.ts'
import { buildInclusionProof, InclusionProver, inclusionNodes } from './inclusion.ts'
import { coverRange, type NodeId, type NodeLookup } from './subtree.ts'
import { formatTilePath, TILE_WIDTH, type TileId, tileOfNode } from './tile.ts'

/** Where tiles come from: a directory, a log over HTTP, a cache in front of either. */
export interface TileReader {
  /**
   * The bytes of each of `tiles`, in their order: `width` packed hashes, 32 · width bytes. A reader that finds only a wider form of a
   * partial tile cuts it. Rejects with `UnavailableError` when it cannot find out.
   */
  readTiles(tiles: readonly TileId[]): Promise<readonly Uint8Array[]>
}

/** @throws {@link MerkleError} `index_out_of_range`, `malformed_encoding` (a tile that is not as wide as asked), and what the reader throws */
export async function readInclusionProof(index: number, size: number, reader: TileReader): Promise<Hash[]> {
  return buildInclusionProof(index, size, await readNodes(inclusionNodes(index, size), size, reader))
}

/**
 * As {@link readInclusionProof} for each of `indexes`, in their order: every tile is read once, and what several paths have in common is
 * hashed once.
 */
export async function readInclusionProofs(
  indexes: readonly number[],
  size: number,
  reader: TileReader,
): Promise<Hash[][]> {
  const nodes = indexes.flatMap((index) => inclusionNodes(index, size))
  const prover = new InclusionProver(size, await readNodes(nodes, size, reader))
  return indexes.map((index) => prover.proof(index))
}

/** @throws {@link MerkleError} as {@link readInclusionProof} */
export async function readConsistencyProof(size1: number, size2: number, reader: TileReader): Promise<Hash[]> {
  return buildConsistencyProof(size1, size2, await readNodes(consistencyNodes(size1, size2), size2, reader))
}

/** The root of the first `size` leaves. @throws {@link MerkleError} as {@link readInclusionProof} */
export async function readRoot(size: number, reader: TileReader): Promise<Hash> {
  return rangeRoot(await readCompactRange(size, reader))
}

/** The tree of `size` leaves, ready for appending. @throws {@link MerkleError} as {@link readInclusionProof} */
export async function readCompactRange(size: number, reader: TileReader): Promise<CompactRange> {
  const cover = coverRange(0, size)
  const node = await readNodes(cover, size, reader)
  return { size, hashes: cover.map(({ level, index }) => node(level, index)) }
}

async function readNodes(nodes: readonly NodeId[], size: number, reader: TileReader): Promise<NodeLookup> {
  // By level, and there by index: names of tiles would have to be put together for each node of each path.
  const wanted: Map<number, WantedTile>[] = []
  const tiles: WantedTile[] = []
  for (const node of nodes) {
    const { tile } = tileOfNode(node, size)
    const level = wanted[tile.level] ?? new Map<number, WantedTile>()
    wanted[tile.level] = level
    if (level.has(tile.index)) continue
    const one = { id: tile, bytes: NOT_READ, known: new Map<number, Hash>() }
    level.set(tile.index, one)
    tiles.push(one)
  }
  const read = tiles.length === 0 ? [] : await reader.readTiles(tiles.map(({ id }) => id))
  for (const [i, tile] of tiles.entries()) {
    const bytes = read[i]
    assert(bytes, 'a tile reader answers for each tile')
    const length = tile.id.width * HASH_LENGTH
    if (bytes.length !== length) {
      throw new MerkleError(
        'malformed_encoding',
        `${formatTilePath(tile.id)}: ${bytes.length} bytes instead of ${length}`,
      )
    }
    tile.bytes = bytes
  }
  return (level, index) => {
    const { tile, start, end } = tileOfNode({ level, index }, size)
    const found = wanted[tile.level]?.get(tile.index)
    assert(found, 'the nodes announced are those asked for')
    return hashRange(found, start, end)
  }
}

interface WantedTile {
  readonly id: TileId
  bytes: Uint8Array
  /** Proofs of neighbours ask for subtrees within one another: of each, what is above its tile's row is hashed once. */
  readonly known: Map<number, Hash>
}

const NOT_READ: Uint8Array = new Uint8Array()

/** The hash over places [from, to) of a tile's row, a power of two of them. */
function hashRange(tile: WantedTile, from: number, to: number): Hash {
  if (to - from === 1) return tile.bytes.slice(from * HASH_LENGTH, to * HASH_LENGTH)
  const name = from * (TILE_WIDTH + 1) + to
  const before = tile.known.get(name)
  if (before) return before
  const middle = (from + to) / 2
  const hash = hashNode(hashRange(tile, from, middle), hashRange(tile, middle, to))
  tile.known.set(name, hash)
  return hash
}
