import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Edge, tileRoot } from '../../../log-server/sequencing/edge.ts'
import {
  appendLeaf,
  buildInclusionProof,
  type CompactRange,
  checkInclusion,
  EMPTY_RANGE,
  type Hash,
  hashLeaf,
  rangeRoot,
  sha256,
  TILE_WIDTH,
} from '../../../merkle/index.ts'
import { leafOf, mth, path } from '../../merkle/rfc-tree.ts'

const entryOf = (index: number): Hash => sha256(new TextEncoder().encode(`entry ${index}`))

describe('the right edge', () => {
  it('has the root of RFC 9162 at every size up to 300, and the proof of each entry of the newest batch', () => {
    const edge = new Edge()
    const leaves: Hash[] = []
    assert.deepEqual(edge.root(), mth([]))
    for (let first = 0; first < 300; ) {
      for (let count = 1 + (first % 7); count > 0; count--) {
        leaves.push(leafOf(entryOf(edge.size)))
        edge.append(entryOf(edge.size))
      }
      assert.deepEqual(edge.root(), mth(leaves))
      for (let index = first; index < edge.size; index++) {
        assert.deepEqual(buildInclusionProof(index, edge.size, edge.node), path(index, leaves))
      }
      edge.settle()
      first = edge.size
    }
  })

  it('fills tiles of all levels in one batch, and can prove every entry of it', () => {
    const edge = new Edge()
    let range: CompactRange = EMPTY_RANGE
    const append = () => {
      range = appendLeaf(range, hashLeaf(entryOf(edge.size)))
      edge.append(entryOf(edge.size))
    }
    while (edge.size < 65_200) {
      append()
      edge.settle()
    }
    const first = edge.size
    while (edge.size < 65_900) append()
    assert.deepEqual(edge.root(), rangeRoot(range))
    assert.deepEqual(
      edge.fullTiles.map(({ level, index }) => [level, index]),
      [
        [0, 254],
        [0, 255],
        [1, 0],
        [0, 256],
      ],
    )
    for (let index = first; index < edge.size; index++) {
      const proof = buildInclusionProof(index, edge.size, edge.node)
      checkInclusion({ index, size: edge.size, leafHash: hashLeaf(entryOf(index)), proof }, edge.root())
    }
  })

  it('is restored from full tiles and the last entries, and grows on as if nothing had happened', () => {
    const grown = new Edge()
    const levels: Uint8Array[][] = [[], []]
    const sizes = [0, 1, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 66_000]
    while (grown.size <= 66_000) {
      if (sizes.includes(grown.size)) {
        const fullTiles = Math.floor(grown.size / TILE_WIDTH)
        const growing = levels
          .slice(0, fullTiles === 0 ? 0 : fullTiles < TILE_WIDTH ? 1 : 2)
          .map((hashes) => join(hashes))
        const entries = Array.from({ length: grown.size % TILE_WIDTH }, (_, i) => entryOf(fullTiles * TILE_WIDTH + i))
        const restored = Edge.restore(fullTiles, growing, entries)
        assert.equal(restored.size, grown.size)
        assert.deepEqual(restored.root(), grown.root())
        restored.append(entryOf(grown.size))
        const next = Edge.restore(fullTiles, growing, entries)
        for (let i = 0; i < 600; i++) next.append(entryOf(grown.size + i))
        assert.equal(next.size, grown.size + 600)
      }
      grown.append(entryOf(grown.size))
      for (const tile of grown.fullTiles) {
        if (tile.level > 0) levels[tile.level - 1] = []
        levels[tile.level]?.push(tileRoot(tile).slice())
      }
      grown.settle()
    }
  })

  it('keeps a full tile until it is settled, and hands out prefixes that never change', () => {
    const edge = new Edge()
    for (let i = 0; i < 200; i++) edge.append(entryOf(i))
    const before = edge.tile(0, 0)!.nodes.slice(0, 200 * 32)
    for (let i = 200; i < 300; i++) edge.append(entryOf(i))
    assert.equal(edge.tile(0, 0)?.width, 256)
    assert.deepEqual(edge.tile(0, 0)?.nodes.subarray(0, 200 * 32), before)
    edge.settle()
    assert.equal(edge.tile(0, 0), undefined)
    assert.equal(edge.tile(0, 1)?.width, 44)
  })
})

const join = (hashes: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(hashes))
