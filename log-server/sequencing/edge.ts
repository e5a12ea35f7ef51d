/**
 * The right edge of the tree, in memory: on each level the one tile that is still growing, with every node inside it.
 *
 * ```
 *   level 1        [ h h h h . . . ]              one hash for each full tile below
 *   level 0  ██ ██ ██ ██ [ h h h h h h . . . ]    one hash for each entry; ██ is full, and in the store
 * ```
 *
 * A full tile goes to the store with the batch that filled it, and a partial one never does: `.p/W` is answered by cutting what
 * holds it, and on start the edge is made again from statements and full tiles ({@link Edge.restore}). A tile that filled up
 * stays here until {@link Edge.settle} says that it is in the store, so that at any moment a tile is here or there.
 *
 * Inclusion proofs of the newest batch need no I/O: on each level they touch the growing tile and those that this batch
 * filled. Nodes inside a tile are hashed once, when their right half arrives: one hash an entry, whatever the size.
 *
 * @module
 */
import { sha256Into } from '#sha256'
import { assert } from '../../merkle/error.ts'
import { EMPTY_ROOT, HASH_LENGTH, type Hash } from '../../merkle/hash.ts'
import { coverRange, foldCover, type NodeLookup } from '../../merkle/subtree.ts'
import { TILE_WIDTH } from '../../merkle/tile.ts'

const TILE_HEIGHT = 8

/** An entry is a SHA-256 here; in its bundle the length stands before it: `00 20` ‖ 32 bytes. */
export const BUNDLE_STRIDE = 2 + HASH_LENGTH

/** One tile and the seven rows of nodes above it, up to its own root. Grows only: what was once there never changes. */
export interface EdgeTile {
  readonly level: number
  readonly index: number
  width: number
  /** Row r, 256 >> r hashes, starts at hash {@link rowStart}(r); row 0 is the tile, row 8 its root. */
  readonly nodes: Uint8Array
  /** The entry bundle under a tile of level 0. */
  readonly bundle: Uint8Array | undefined
}

export class Edge {
  #size = 0
  /** The growing tile of each level; of width 0 when the one before it has just filled up. */
  readonly #growing: EdgeTile[] = [newTile(0, 0)]
  /** Filled by the current batch and by what is ahead of it, lowest level first where one filled another. */
  #full: EdgeTile[] = []

  /**
   * The edge of a tree of `entries.length` leaves past a multiple of 256.
   *
   * @param fullTiles how many tiles of level 0 are full
   * @param levels for each level from 1 up, the packed hashes of its growing tile (none is an empty array)
   * @param entries those after the last full tile
   */
  static restore(fullTiles: number, levels: readonly Uint8Array[], entries: readonly Hash[]): Edge {
    const edge = new Edge()
    edge.#size = fullTiles * TILE_WIDTH
    edge.#growing[0] = newTile(0, fullTiles)
    for (const [i, hashes] of levels.entries()) {
      const level = i + 1
      const tile = newTile(level, Math.floor(fullTiles / TILE_WIDTH ** level))
      assert(hashes.length < TILE_WIDTH * HASH_LENGTH, `a growing tile of ${hashes.length} bytes`)
      for (let at = 0; at < hashes.length; at += HASH_LENGTH) {
        tile.nodes.set(hashes.subarray(at, at + HASH_LENGTH), at)
        completeNodes(tile)
      }
      edge.#growing[level] = tile
    }
    for (const entry of entries) edge.append(entry)
    assert(edge.#full.length === 0, 'a restored edge fills no tile')
    return edge
  }

  /** Leaves, including those of a batch that is not durable yet. */
  get size(): number {
    return this.#size
  }

  append(entry: Hash): void {
    assert(entry.length === HASH_LENGTH, `an entry of ${entry.length} bytes`)
    const tile = this.#growing[0]!
    const at = tile.width * BUNDLE_STRIDE
    tile.bundle![at + 1] = HASH_LENGTH
    tile.bundle!.set(entry, at + 2)
    leafInput.set(entry, 1)
    sha256Into(leafInput, tile.nodes, tile.width * HASH_LENGTH)
    this.#size++
    this.#grew(tile)
  }

  /** MTH of RFC 9162 §2.1.1 over all leaves. */
  root(): Hash {
    if (this.#size === 0) return EMPTY_ROOT
    return foldCover(coverRange(0, this.#size).map(({ level, index }) => this.node(level, index))).slice()
  }

  /** A node on the edge or in a tile that is not in the store yet, as a view. What `buildInclusionProof` asks for the newest entries. */
  readonly node: NodeLookup = (level, index) => {
    const tileLevel = Math.floor(level / TILE_HEIGHT)
    const row = level % TILE_HEIGHT
    const perTile = TILE_WIDTH >> row
    const tile = this.tile(tileLevel, Math.floor(index / perTile))
    const place = index % perTile
    assert(tile && place < tile.width >> row, `node (${level}, ${index}) is not on the edge of ${this.#size}`)
    return hashAt(tile.nodes, rowStart(row) + place)
  }

  /** The tile when it is here. When it is not, and the tree has it, then the store does. */
  tile(level: number, index: number): EdgeTile | undefined {
    const growing = this.#growing[level]
    if (growing?.index === index) return growing
    return this.#full.find((tile) => tile.level === level && tile.index === index)
  }

  /** Those that are not in the store yet. */
  get fullTiles(): readonly EdgeTile[] {
    return this.#full
  }

  /** These full tiles, or all that there are, are in the store, durably. */
  settle(stored: readonly EdgeTile[] = this.#full): void {
    this.#full = this.#full.filter((tile) => !stored.includes(tile))
  }

  /** Row 0 of `tile` has one hash more. */
  #grew(tile: EdgeTile): void {
    completeNodes(tile)
    if (tile.width < TILE_WIDTH) return
    this.#full.push(tile)
    this.#growing[tile.level] = newTile(tile.level, tile.index + 1)
    // Only full tiles are hashed upward (tlog-tiles): a hash above never has to be taken back.
    let parent = this.#growing[tile.level + 1]
    if (!parent) {
      parent = newTile(tile.level + 1, 0)
      this.#growing[tile.level + 1] = parent
    }
    parent.nodes.set(tileRoot(tile), parent.width * HASH_LENGTH)
    this.#grew(parent)
  }
}

/** The root of a full tile: one hash of the tile above. */
export function tileRoot(tile: EdgeTile): Hash {
  return hashAt(tile.nodes, rowStart(TILE_HEIGHT))
}

// Scratch inputs: hashing never yields to other code, so nobody sees them half written.
const leafInput = new Uint8Array(1 + HASH_LENGTH)
const nodeInput = new Uint8Array(1 + 2 * HASH_LENGTH)
nodeInput[0] = 0x01

/** Counts the hash that was just written at the end of row 0, and hashes each node whose right half it completes. */
function completeNodes(tile: EdgeTile): void {
  tile.width++
  for (let row = 1; tile.width % (1 << row) === 0 && row <= TILE_HEIGHT; row++) {
    const node = (tile.width >> row) - 1
    const children = (rowStart(row - 1) + 2 * node) * HASH_LENGTH
    // Byte by byte: a view of them costs more than they do.
    for (let i = 0; i < 2 * HASH_LENGTH; i++) nodeInput[1 + i] = tile.nodes[children + i]!
    sha256Into(nodeInput, tile.nodes, (rowStart(row) + node) * HASH_LENGTH)
  }
}

/** 0, 256, 384, 448, … 510: rows of 256, 128, 64, … 1 hashes, one after another. */
function rowStart(row: number): number {
  return 2 * TILE_WIDTH - ((2 * TILE_WIDTH) >> row)
}

function hashAt(nodes: Uint8Array, position: number): Hash {
  return nodes.subarray(position * HASH_LENGTH, (position + 1) * HASH_LENGTH)
}

function newTile(level: number, index: number): EdgeTile {
  const nodes = new Uint8Array((2 * TILE_WIDTH - 1) * HASH_LENGTH)
  return { level, index, width: 0, nodes, bundle: level === 0 ? new Uint8Array(TILE_WIDTH * BUNDLE_STRIDE) : undefined }
}
