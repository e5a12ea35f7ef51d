/**
 * Partial tiles: of each width that a published checkpoint implied, for ever, and of no other.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Sequencer, type SequencerOptions } from '../../../log-server/sequencing/sequencer.ts'
import {
  decodeWidths,
  encodeWidths,
  type Width,
  widthsAfter,
  widthsWithout,
} from '../../../log-server/storage/widths.ts'
import { DEFAULT_LIMITS } from '../../../log-server/types.ts'
import { concatBytes, decodeEntryBundle, hashLeaf, TILE_WIDTH, tileWidth } from '../../../merkle/index.ts'
import { TestLog } from '../test-log.ts'

/** c2sp.org/tlog-tiles, word for word: the width of the partial tile at level l that a tree of size s has, and its index. */
function partials(size: number): Set<string> {
  const implied = new Set<string>()
  for (let level = 0; level <= 3; level++) {
    const hashes = Math.floor(size / 256 ** level)
    if (hashes % 256 > 0) implied.add(`${level}/${Math.floor(hashes / 256)}.p/${hashes % 256}`)
  }
  return implied
}

/** Asks for every width of every tile near the tree, and compares with what `sizes` imply. */
async function checkWidths({ reader }: TestLog, sizes: readonly number[]): Promise<void> {
  const implied = new Set(sizes.flatMap((size) => [...partials(size)]))
  const size = sizes.at(-1)!
  const leaves: Uint8Array[] = []
  for (let n = 0; n * TILE_WIDTH < size; n++) {
    const width = tileWidth(0, n, size)
    leaves.push(...decodeEntryBundle((await reader.entryBundle(n, width))!, width).map(hashLeaf))
  }
  for (let level = 0; level <= 2; level++) {
    for (let index = 0; index * TILE_WIDTH ** (level + 1) <= size + 256; index++) {
      for (let width = 1; width <= TILE_WIDTH; width++) {
        const name = `${level}/${index}.p/${width}`
        const there = width === TILE_WIDTH ? tileWidth(level, index, size) === TILE_WIDTH : implied.has(name)
        const tile = await reader.tile({ level, index, width })
        assert.equal(tile !== undefined, there, `${name} at ${sizes.join()}`)
        if (level > 0) continue
        if (tile) assert.deepEqual(tile, concatBytes(...leaves.slice(index * 256, index * 256 + width)))
        const [entries, statements] = [
          await reader.entryBundle(index, width),
          await reader.statementBundle(index, width),
        ]
        assert.equal(entries !== undefined, there, `entries ${name}`)
        assert.equal(statements !== undefined, there, `statements ${name}`)
        let length = 0
        for await (const piece of statements?.read(0, statements.length) ?? []) length += piece.length
        assert.equal(length, statements?.length ?? 0)
      }
    }
  }
}

describe('the widths of tiles', () => {
  it('are those of the sizes that were published, whatever the batches and restarts', async () => {
    const count = fc.oneof(
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 200, max: 300 }),
      fc.constantFrom(255, 256, 257, 511, 512, 513),
    )
    const steps = fc.array(
      fc.oneof({ weight: 4, arbitrary: count }, { weight: 1, arbitrary: fc.constant('restart') }),
      {
        minLength: 1,
        maxLength: 7,
      },
    )
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        const log = await TestLog.create()
        try {
          const sizes = [1]
          for (const step of all) {
            if (typeof step === 'number') {
              // How many batches that makes is the sequencer's affair.
              const before = log.disk.events.length
              await log.appendRaw(step)
              const commits = log.disk.events.slice(before).filter((event) => event.startsWith('commit '))
              sizes.push(...commits.map((event) => Number(event.slice('commit '.length))))
            } else await log.reopen()
          }
          await checkWidths(log, sizes)
          await log.reopen()
          await checkWidths(log, sizes)
        } finally {
          await log.remove()
        }
      }),
      { numRuns: 8 },
    )
  })

  it('are all there at the second level, which no batch can step over', async () => {
    // One caller has half of the queue.
    const limits = { queueEntries: 400_000, batchEntries: 65_536, batchBytes: 2 ** 30 }
    const log = await TestLog.create(limits)
    try {
      // From the last size before tile 2/0 exists to the last before it is two wide: as far as a batch can go.
      const commit = log.disk.holdNext('commit')
      const one = log.appendRaw(1)
      await commit.arrived
      const below = await log.queueRaw(65_533)
      const large = log.disk.holdNext('commit')
      commit.release()
      await large.arrived
      const above = await log.queueRaw(65_536)
      large.release()
      await Promise.all([one, below.appended, above.appended])
      assert.equal(log.sequencer.size, 131_071)
      assert.deepEqual(log.disk.events.slice(-2), ['commit 131071', 'guard 131071'])
      assert.ok(await log.reader.tile({ level: 2, index: 0, width: 1 }))
      assert.equal(await log.reader.tile({ level: 2, index: 0, width: 2 }), undefined)
      // Of level 1 it stepped over 256 widths.
      assert.ok(await log.reader.tile({ level: 1, index: 0, width: 255 }))
      assert.ok(await log.reader.tile({ level: 1, index: 1, width: 255 }))
      for (const width of [1, 100, 254]) assert.equal(await log.reader.tile({ level: 1, index: 1, width }), undefined)
      await log.appendRaw(1)
      assert.ok(await log.reader.tile({ level: 2, index: 0, width: 2 }))
      await log.reopen(limits)
      for (const width of [1, 2]) assert.ok(await log.reader.tile({ level: 2, index: 0, width }))
    } finally {
      await log.remove()
    }
  })

  it('are kept out of reach of a larger batch', () => {
    const options = { limits: { ...DEFAULT_LIMITS, batchEntries: 65_537 } } as SequencerOptions
    assert.throws(() => new Sequencer(options), /step over/)
  })
})

describe('the rows of a tile', () => {
  const rows: Width[] = [
    { width: 3, bytes: 30, published: true },
    { width: 256, bytes: 2 ** 33, published: false },
  ]

  it('are read as they were written', () => assert.deepEqual(decodeWidths(encodeWidths(rows)), rows))

  it('follow a batch across tiles, and only its end was published', () => {
    const before: Width[] = [{ width: 255, bytes: 1000, published: true }]
    assert.deepEqual(widthsAfter(255, [6, 10, 20], before), [
      { n: 0, rows: [...before, { width: 256, bytes: 1010, published: false }] },
      { n: 1, rows: [{ width: 2, bytes: 38, published: true }] },
    ])
  })

  it('are shorter behind a hole and not before it', () => {
    assert.deepEqual(widthsWithout(rows, 3, 7), [rows[0], { ...rows[1], bytes: 2 ** 33 - 7 }])
  })

  for (const [what, value] of [
    ['cut short', encodeWidths(rows).slice(0, 15)],
    ['out of order', encodeWidths(rows.toReversed())],
    ['empty widths', encodeWidths([{ width: 0, bytes: 1, published: true }])],
    ['wider than a tile', encodeWidths([{ width: 257, bytes: 1, published: true }])],
    ['narrow without a checkpoint', encodeWidths([{ width: 5, bytes: 1, published: false }])],
  ] as const) {
    it(`are refused when ${what} (log_damaged)`, () => {
      assert.throws(() => decodeWidths(value), { code: 'log_damaged' })
    })
  }
})
