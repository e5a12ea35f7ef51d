import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { MerkleError } from '../../merkle/error.ts'
import {
  formatEntriesPath,
  formatTileIndex,
  formatTilePath,
  parseEntriesPath,
  parseTileIndex,
  parseTilePath,
  splitHashes,
  type TileId,
  tileOfNode,
  tilesOfSize,
  tileWidth,
} from '../../merkle/tile.ts'

const malformed = { name: 'EvidenceError', code: 'malformed_tile_path' }

describe('tile paths', () => {
  const known: [path: string, tile: TileId][] = [
    ['tile/0/000', { level: 0, index: 0, width: 256 }],
    ['tile/0/000.p/1', { level: 0, index: 0, width: 1 }],
    ['tile/1/999.p/255', { level: 1, index: 999, width: 255 }],
    ['tile/2/x001/000', { level: 2, index: 1000, width: 256 }],
    ['tile/0/x001/x234/067', { level: 0, index: 1_234_067, width: 256 }],
    ['tile/0/x001/x234/067.p/17', { level: 0, index: 1_234_067, width: 17 }],
    ['tile/63/000.p/1', { level: 63, index: 0, width: 1 }],
    ['tile/0/x009/x007/x199/x254/x740/991', { level: 0, index: 2 ** 53 - 1, width: 256 }],
  ]
  for (const [path, tile] of known) {
    it(`reads and writes ${path}`, () => {
      assert.equal(formatTilePath(tile), path)
      assert.deepEqual(parseTilePath(path), tile)
    })
  }

  const refused = [
    ['', 'tile', 'tile/0', 'tile/0/', '/tile/0/000', 'tile/0/000/', 'tile/0/000\n', ' tile/0/000', 'Tile/0/000'],
    ['tile/64/000', 'tile/00/000', 'tile/01/000', 'tile/-1/000', 'tile/+1/000', 'tile/1e1/000', 'tile/entries/000'],
    ['tile/0/0', 'tile/0/00', 'tile/0/0000', 'tile/0/1000', 'tile/0/x000', 'tile/0/001/000', 'tile/0/X001/000'],
    ['tile/0/x000/001', 'tile/0/x000/x001/000', 'tile/0/x001/x000', 'tile/0/x1/000', 'tile/0/x001//000'],
    ['tile/0/000.p', 'tile/0/000.p/', 'tile/0/000.p/0', 'tile/0/000.p/256', 'tile/0/000.p/01', 'tile/0/000.p/1000'],
    ['tile/0/000.p/1/', 'tile/0/000.p/-1', 'tile/0/000.p/1.0', 'tile/0/000.P/1', 'tile/0/000p/1', 'tile/0/.p/1'],
    [
      'tile/0/x009/x007/x199/x254/x740/992',
      'tile/0/x001/x009/x007/x199/x254/x740/991',
      'tile/0/٠٠٠',
      'tile/0/../0/000',
    ],
  ].flat()
  for (const path of refused) {
    it(`refuses ${JSON.stringify(path)} (malformed_tile_path)`, () => {
      assert.throws(() => parseTilePath(path), malformed)
    })
  }

  it('come back as they went, for every tile', () => {
    const tiles = fc.record({
      level: fc.integer({ min: 0, max: 63 }),
      index: fc.oneof(fc.maxSafeNat(), fc.integer({ min: 0, max: 2000 })),
      width: fc.integer({ min: 1, max: 256 }),
    })
    fc.assert(
      fc.property(tiles, ({ ...tile }) => {
        assert.deepEqual(parseTilePath(formatTilePath(tile)), tile)
        const { index, width } = tile
        assert.deepEqual(parseEntriesPath(formatEntriesPath(index, width)), { index, width })
        assert.deepEqual(parseTileIndex(formatTileIndex(index, width)), { index, width })
      }),
    )
  })

  it('are refused or are the one path of their tile, whatever the text', () => {
    const part = fc.constantFrom(
      'tile',
      '/',
      '0',
      '00',
      '000',
      '001',
      'x',
      'x000',
      'x001',
      '.p',
      '.p/',
      '17',
      '256',
      'entries',
      '.',
    )
    const text = fc.oneof(
      fc.string(),
      fc.array(part, { maxLength: 9 }).map((parts) => `tile/0/${parts.join('')}`),
    )
    fc.assert(
      fc.property(text, (path) => {
        try {
          assert.equal(formatTilePath(parseTilePath(path)), path)
        } catch (error) {
          assert.ok(error instanceof MerkleError && error.code === 'malformed_tile_path', String(error))
        }
      }),
      { numRuns: 500 },
    )
  })

  it('name entry bundles in a folder of their own', () => {
    assert.equal(formatEntriesPath(273, 112), 'tile/entries/273.p/112')
    assert.throws(() => parseEntriesPath('tile/0/273.p/112'), malformed)
    assert.throws(() => parseEntriesPath('tile/entries/273.p/0'), malformed)
  })

  it('are never written for what is no tile', () => {
    for (const lie of [{ level: 64 }, { level: -1 }, { index: -1 }, { index: 2 ** 53 }, { width: 0 }, { width: 257 }]) {
      assert.throws(() => formatTilePath({ level: 0, index: 0, width: 1, ...lie }), /invariant/)
    }
  })
})

describe('what a tree of some size has', () => {
  it('is as in the example of c2sp.org/tlog-tiles: 70,000 leaves', () => {
    const tiles = [...tilesOfSize(70_000)]
    assert.equal(tiles.length, 273 + 1 + 1 + 1 + 1)
    assert.deepEqual(tiles.slice(272), [
      { level: 0, index: 272, width: 256 },
      { level: 0, index: 273, width: 112 },
      { level: 1, index: 0, width: 256 },
      { level: 1, index: 1, width: 17 },
      { level: 2, index: 0, width: 1 },
    ])
    assert.deepEqual(
      [...tilesOfSize(256)],
      [
        { level: 0, index: 0, width: 256 },
        { level: 1, index: 0, width: 1 },
      ],
    )
    assert.deepEqual([...tilesOfSize(0)], [])
  })

  it('agrees with tileWidth, which is 0 for tiles that are not there', () => {
    for (const size of [0, 1, 255, 256, 257, 511, 65_535, 65_536, 65_537, 70_000]) {
      const widths = new Map([...tilesOfSize(size)].map(({ level, index, width }) => [`${level}/${index}`, width]))
      for (let level = 0; level < 4; level++) {
        for (let index = 0; index < 300; index++) {
          assert.equal(tileWidth(level, index, size), widths.get(`${level}/${index}`) ?? 0)
        }
      }
    }
  })

  it('is exact for the largest tree', () => {
    const size = 2 ** 53 - 1
    assert.equal(tileWidth(0, Math.floor(size / 256), size), 255)
    assert.equal(tileWidth(0, Math.floor(size / 256) - 1, size), 256)
    assert.equal(tileWidth(6, 0, size), 31)
    assert.equal(tileWidth(7, 0, size), 0)
    assert.equal(tileWidth(63, 0, size), 0)
  })

  it('holds each perfect subtree in one tile', () => {
    assert.deepEqual(tileOfNode({ level: 0, index: 300 }, 301), {
      tile: { level: 0, index: 1, width: 45 },
      start: 44,
      end: 45,
    })
    assert.deepEqual(tileOfNode({ level: 7, index: 1 }, 70_000), {
      tile: { level: 0, index: 0, width: 256 },
      start: 128,
      end: 256,
    })
    assert.deepEqual(tileOfNode({ level: 8, index: 3 }, 70_000), {
      tile: { level: 1, index: 0, width: 256 },
      start: 3,
      end: 4,
    })
    assert.throws(() => tileOfNode({ level: 8, index: 0 }, 255), /invariant/)
  })
})

describe('splitHashes', () => {
  it('splits into hashes of 32 bytes, or refuses (malformed_encoding)', () => {
    const bytes = Uint8Array.from({ length: 96 }, (_, i) => i)
    assert.deepEqual(splitHashes(bytes), [bytes.slice(0, 32), bytes.slice(32, 64), bytes.slice(64)])
    assert.deepEqual(splitHashes(new Uint8Array(0)), [])
    assert.throws(() => splitHashes(bytes.slice(1)), { code: 'malformed_encoding' })
  })
})
