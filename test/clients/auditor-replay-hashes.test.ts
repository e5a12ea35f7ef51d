/**
 * The tree again from its entries: over sizes on both sides of a bundle, from every place to go on from, and with every kind of lie.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type EntrySource, replayHashes } from '../../clients/auditor/index.ts'
import { RefusedError } from '../../clients/log-client/index.ts'
import { type CompactRange, EMPTY_RANGE, sha256, UnavailableError, utf8 } from '../../merkle/index.ts'
import { MadeUpLog } from './made-up-log.ts'

function logOf(size: number): MadeUpLog {
  const log = new MadeUpLog()
  for (let i = 0; i < size; i++) log.entries.push(sha256(utf8(`entry ${i}`)))
  return log
}

describe('replayHashes', () => {
  it('comes to the root of the checkpoint, from anywhere in between', async () => {
    for (const size of [1, 2, 255, 256, 257, 511, 512, 1025]) {
      const log = logOf(size)
      const checkpoint = await log.checkpoint()
      const ranges: CompactRange[] = [EMPTY_RANGE]
      await replayHashes(log, checkpoint, { onRange: (range) => ranges.push(range) })
      for (const from of ranges) {
        assert.equal((await replayHashes(log, checkpoint, { from })).size, size)
      }
    }
  })

  it('goes on from a tree that ended within a bundle', async () => {
    const log = logOf(700)
    const all = log.entries.splice(300)
    const from = await replayHashes(log, await log.checkpoint())
    log.entries.push(...all)
    assert.equal((await replayHashes(log, await log.checkpoint(), { from })).size, 700)
    await assert.rejects(
      replayHashes(log, await log.checkpoint(), { from: { ...from, hashes: from.hashes.map((hash) => sha256(hash)) } }),
      { code: 'entry_mismatch' },
    )
  })

  it('comes to the same where a thread hashes, and says what is wrong with what is no bundle', async () => {
    const log = logOf(520 * 256 + 3)
    const checkpoint = await log.checkpoint()
    assert.equal((await replayHashes(log, checkpoint)).size, log.size)
    const cut: EntrySource = {
      tiles: log.tiles,
      entryBundle: async (index, width) => (await log.entryBundle(index, width)).subarray(index === 7 ? 1 : 0),
    }
    await assert.rejects(replayHashes(cut, checkpoint), {
      code: 'entry_mismatch',
      message: /bundle 7 is not 256 entries/,
    })
  })

  it('puts bundles in order that arrive in another, and asks for eight at a time', async () => {
    const log = logOf(20 * 256)
    let underWay = 0
    let most = 0
    const shuffled: EntrySource = {
      tiles: log.tiles,
      entryBundle: async (index, width) => {
        most = Math.max(most, ++underWay)
        // Later ones overtake: the more ticks, the earlier the bundle of a group of eight.
        for (let tick = 0; tick < 8 - (index % 8); tick++) await Promise.resolve()
        underWay--
        return log.entryBundle(index, width)
      },
    }
    const done: number[] = []
    await replayHashes(shuffled, await log.checkpoint(), { onProgress: (entries) => done.push(entries) })
    assert.equal(most, 8)
    assert.deepEqual(
      done,
      done.toSorted((a, b) => a - b),
    )
    assert.equal(done.at(-1), 20 * 256)
  })

  const lies: [what: string, expected: object, lie: (bytes: Uint8Array) => Uint8Array][] = [
    ['one bit of one entry changed', { code: 'entry_mismatch' }, (bytes) => bytes.with(100, bytes[100]! ^ 1)],
    ['a bundle cut short', { code: 'entry_mismatch' }, (bytes) => bytes.subarray(0, -1)],
    ['an entry too many', { code: 'entry_mismatch' }, (bytes) => Uint8Array.of(...bytes, 0, 0)],
    [
      'a bundle that it does not show',
      { code: 'not_served' },
      () => {
        throw new RefusedError({ status: 404, code: 'not_found', title: 'T', detail: 'D' })
      },
    ],
    [
      'a server that is down',
      { name: 'UnavailableError' },
      () => {
        throw new UnavailableError('down')
      },
    ],
  ]
  for (const [what, expected, lie] of lies) {
    it(`is not content with ${what}`, async () => {
      const log = logOf(600)
      const checkpoint = await log.checkpoint()
      const source: EntrySource = {
        tiles: log.tiles,
        entryBundle: async (index, width) => {
          const bytes = await log.entryBundle(index, width)
          return index === 1 ? lie(bytes) : bytes
        },
      }
      await assert.rejects(replayHashes(source, checkpoint), expected)
    })
  }
})
