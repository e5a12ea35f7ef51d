import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { concatBytes } from '../../merkle/bytes.ts'
import { appendLeaf, appendLeaves, EMPTY_RANGE, rangeRoot } from '../../merkle/compact-range.ts'
import { checkConsistency } from '../../merkle/consistency.ts'
import { EMPTY_ROOT, type Hash, hashNode } from '../../merkle/hash.ts'
import { checkInclusion } from '../../merkle/inclusion.ts'
import { formatTilePath, type TileId } from '../../merkle/tile.ts'
import {
  readCompactRange,
  readConsistencyProof,
  readInclusionProof,
  readInclusionProofs,
  readRoot,
  type TileReader,
} from '../../merkle/tile-tree.ts'
import { leavesOf, mth, path, proof } from './rfc-tree.ts'

/** Tiles of a tree, computed as c2sp.org/tlog-tiles defines them: Tile(l,n)[i] = MTH(D[(n·256+i)·256^l : (n·256+i+1)·256^l]). */
function readerOf(leaves: readonly Hash[]): TileReader & { asked: string[][] } {
  const asked: string[][] = []
  const rows = [leaves]
  while (rows.at(-1)!.length >= 256) {
    const below = rows.at(-1)!
    const parents = Array.from({ length: Math.floor(below.length / 256) }, (_, i) =>
      mth(below.slice(i * 256, i * 256 + 256)),
    )
    rows.push(parents)
  }
  const readTile = ({ level, index, width }: TileId) =>
    concatBytes(...rows[level]!.slice(index * 256, index * 256 + width))
  return {
    asked,
    async readTiles(tiles) {
      asked.push(tiles.map(formatTilePath))
      return tiles.map(readTile)
    },
  }
}

describe('a tree read from tiles', () => {
  const small = leavesOf(600)

  it('has the root and the compact range of the same leaves, around every border', async () => {
    const reader = readerOf(small)
    for (const size of [0, 1, 2, 3, 100, 255, 256, 257, 258, 300, 511, 512, 513, 600]) {
      assert.deepEqual(await readRoot(size, reader), mth(small.slice(0, size)), `${size}`)
      assert.deepEqual(await readCompactRange(size, reader), small.slice(0, size).reduce(appendLeaf, EMPTY_RANGE))
    }
    assert.deepEqual(await readRoot(0, reader), EMPTY_ROOT)
  })

  it('proves what the RFC’s definitions prove', async () => {
    const reader = readerOf(small)
    for (const size of [1, 2, 255, 256, 257, 513, 600]) {
      for (const index of [0, 1, 127, 128, 254, 255, 256, 257, 511, 512, 599].filter((at) => at < size)) {
        assert.deepEqual(await readInclusionProof(index, size, reader), path(index, small.slice(0, size)))
      }
      for (const size1 of [1, 2, 3, 128, 255, 256, 257, 511, 512, 600].filter((before) => before <= size)) {
        assert.deepEqual(await readConsistencyProof(size1, size, reader), proof(size1, small.slice(0, size)))
      }
    }
  })

  it('asks for all tiles at once, and for each once', async () => {
    const reader = readerOf(small)
    await readInclusionProof(300, 600, reader)
    assert.deepEqual(reader.asked, [['tile/0/001', 'tile/1/000.p/2', 'tile/0/002.p/88']])
  })

  it('asks for nothing when there is nothing to know', async () => {
    const reader = readerOf(small)
    await readInclusionProof(0, 1, reader)
    await readConsistencyProof(0, 600, reader)
    await readConsistencyProof(600, 600, reader)
    await readRoot(0, reader)
    assert.deepEqual(reader.asked, [])
  })

  it('proves across three levels of tiles', async () => {
    const leaves = leavesOf(66_000)
    const reader = readerOf(leaves)
    const range = appendLeaves(EMPTY_RANGE, concatBytes(...leaves))
    const root = rangeRoot(range)
    assert.deepEqual(await readRoot(66_000, reader), root)
    for (const index of [0, 255, 256, 65_535, 65_536, 65_999]) {
      const hashes = await readInclusionProof(index, 66_000, reader)
      checkInclusion({ index, size: 66_000, leafHash: leaves[index]!, proof: hashes }, root)
    }
    for (const size1 of [1, 256, 65_535, 65_536, 65_537, 65_999]) {
      const root1 = await readRoot(size1, reader)
      const hashes = await readConsistencyProof(size1, 66_000, reader)
      checkConsistency({ size1, root1, size2: 66_000, root2: root, proof: hashes })
    }
  })

  it('refuses a tile that is not as wide as asked (malformed_encoding): truncated or padded', async () => {
    const honest = readerOf(small)
    for (const change of [
      (tile: Uint8Array) => tile.slice(32),
      (tile: Uint8Array) => concatBytes(tile, tile.slice(0, 32)),
    ]) {
      const reader: TileReader = { readTiles: async (tiles) => (await honest.readTiles(tiles)).map(change) }
      await assert.rejects(readRoot(600, reader), { code: 'malformed_encoding' })
    }
  })

  it('shows a tile that lies: its proof leads to no root that was signed (root_mismatch)', async () => {
    const honest = readerOf(small)
    const reader: TileReader = {
      readTiles: async (tiles) => (await honest.readTiles(tiles)).map((tile) => tile.with(0, tile[0]! ^ 1)),
    }
    const claim = { index: 300, size: 600, leafHash: small[300]!, proof: await readInclusionProof(300, 600, reader) }
    assert.throws(() => checkInclusion(claim, mth(small)), { code: 'root_mismatch' })
    assert.notDeepEqual(await readRoot(600, reader), mth(small))
  })

  it('makes many proofs at once as it makes each, and reads every tile once', async () => {
    const honest = readerOf(small)
    const asked: string[] = []
    const reader: TileReader = {
      readTiles: (tiles) => {
        asked.push(...tiles.map(formatTilePath))
        return honest.readTiles(tiles)
      },
    }
    const indexes = [599, 0, 255, 256, 300, 301, 300]
    const proofs = await readInclusionProofs(indexes, 600, reader)
    assert.deepEqual(proofs, await Promise.all(indexes.map((index) => readInclusionProof(index, 600, honest))))
    assert.equal(new Set(asked).size, asked.length)
    assert.deepEqual(await readInclusionProofs([], 600, reader), [])
    await assert.rejects(readInclusionProofs([0, 600], 600, honest), { code: 'index_out_of_range' })
  })

  it('passes on what the reader throws, and leaves outside the tree are refused before asking', async () => {
    const offline: TileReader = { readTiles: () => Promise.reject(new Error('offline')) }
    await assert.rejects(readRoot(600, offline), /offline/)
    await assert.rejects(readInclusionProof(600, 600, offline), { code: 'index_out_of_range' })
    await assert.rejects(readConsistencyProof(7, 6, offline), { code: 'index_out_of_range' })
  })

  it('reads trees of up to 2⁵³ − 1 leaves', async () => {
    // All leaves alike: one hash per level of the tree, 256 of it per tile.
    const rows: Hash[] = [small[0]!]
    for (let level = 1; level < 56; level++) rows.push(hashNode(rows[level - 1]!, rows[level - 1]!))
    const reader: TileReader = {
      readTiles: async (tiles) =>
        tiles.map(({ level, width }) => concatBytes(...Array.from({ length: width }, () => rows[8 * level]!))),
    }
    const size = 2 ** 53 - 1
    const root = await readRoot(size, reader)
    for (const index of [0, 2 ** 32, size - 1]) {
      const hashes = await readInclusionProof(index, size, reader)
      checkInclusion({ index, size, leafHash: small[0]!, proof: hashes }, root)
    }
    const size1 = 2 ** 33 + 5
    checkConsistency({
      size1,
      root1: await readRoot(size1, reader),
      size2: size,
      root2: root,
      proof: await readConsistencyProof(size1, size, reader),
    })
  })
})
