import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { openStored, paths } from '../../../log-server/log.ts'
import { Scrub, type ScrubOptions } from '../../../log-server/recovery/scrub.ts'
import { readLogConfig } from '../../../log-server/storage/directory.ts'
import type { Sweepable } from '../../../log-server/storage/erased.ts'
import { checkOpenTables, liveTables } from '../../../log-server/storage/level/files.ts'
import { Store } from '../../../log-server/storage/store.ts'
import { LogError } from '../../../log-server/types.ts'
import { StoredValues } from '../stored-values.ts'
import { NOW, policyCandidate, TestLog } from '../test-log.ts'

const SIZE = 600

describe('the scrub', () => {
  let log: TestLog
  let dataDir: string
  before(async () => {
    log = await TestLog.create()
    const candidate = await policyCandidate('a', [Uint8Array.of(1)])
    await log.sequencer.append(candidate)
    await log.sequencer.append({
      ...(await policyCandidate('b')),
      erases: { entry: candidate.entry, scope: 'statement' },
    })
    await log.appendRaw(SIZE - 3)
    await log.close()
  })
  beforeEach(async () => {
    dataDir = await log.copy()
  })
  after(() => log.remove())

  async function scrubbing<T>(
    body: (scrub: Scrub, store: Store, waits: number[]) => Promise<T>,
    options: Partial<ScrubOptions> = {},
  ): Promise<T> {
    const store = await Store.open(paths(dataDir).store)
    const waits: number[] = []
    try {
      const { publication } = await openStored(store, await readLogConfig(dataDir))
      const pause = async (milliseconds: number) => {
        waits.push(milliseconds)
        await nextTurn()
      }
      const fatal = (error: unknown) => assert.fail(String(error))
      const checkTables: ScrubOptions['checkTables'] = (paced) => checkOpenTables(paths(dataDir).store, paced)
      const scrub = new Scrub({ store, publication, checkTables, now: () => NOW, fatal, pause, ...options })
      return await body(scrub, store, waits)
    } finally {
      await store.close()
    }
  }

  it('reads every entry of a sound log, holes too, and says how far it is', () =>
    scrubbing(async (scrub) => {
      const tables = await bytesOfTables()
      assert.ok(tables > 0)
      assert.deepEqual(scrub.state, { position: 0, passes: 0, checked: 0, tableBytes: 0, lastPassEndedAt: undefined })
      await scrub.pass()
      const once = { position: SIZE, passes: 1, checked: SIZE, tableBytes: tables, lastPassEndedAt: NOW }
      assert.deepEqual(scrub.state, once)
      await scrub.pass()
      assert.deepEqual(scrub.state, { ...once, passes: 2, checked: 2 * SIZE, tableBytes: 2 * tables })
    }))

  it('keeps to its rate, a table or a tile at a time', () =>
    scrubbing(
      async (scrub, _store, waits) => {
        await scrub.pass()
        const tables = await tablesOf()
        // 2 KiB of a table for an entry.
        const seconds = tables.map(([, bytes]) => bytes / 2048 / 100)
        const expected = [...seconds.map((each) => each * 1000), 2560, 2560, 880]
        assert.deepEqual(waits.slice(0, expected.length), expected)
      },
      { entriesPerSecond: 100 },
    ))

  const key = (letter: string, ...rest: number[]) => Uint8Array.of(letter.charCodeAt(0), ...rest)
  const first = (letter: string) => ({ gte: key(letter), limit: 1 })
  const damages: [what: string, says: RegExp, damage: (db: StoredValues) => Promise<unknown>][] = [
    ['a statement with another bit', /tile 0\/0/, (db) => flip(db, key('s', 0, 0, 0, 0, 0, 2), 9)],
    ['a missing piece of statements', /from 256 to 511 some are missing/, (db) => db.del(key('s', 0, 0, 0, 0, 1, 0))],
    ['an entry bundle with another bit', /entry bundle 0/, (db) => flip(db, key('e', 0, 0, 0, 0, 0, 0), 100)],
    ['a missing entry bundle', /entry bundle 1 is missing/, (db) => db.del(key('e', 0, 0, 0, 0, 0, 1))],
    ['a hole that nothing explains', /statement 1 is empty/, (db) => db.del(key('g', 0, 0, 0, 0, 0, 1))],
    [
      'an index with another bit',
      /under "d"/,
      async (db) => {
        const [[at, value] = []] = await db.level.iterator(first('d')).all()
        const changed = new Uint8Array(value!)
        changed[3]! ^= 1
        await db.level.put(at!, changed)
      },
    ],
  ]
  for (const [what, says, damage] of damages) {
    it(`ends the log over ${what} (log_damaged)`, async () => {
      const db = await StoredValues.open(dataDir)
      await damage(db)
      await db.close()
      let failure: unknown
      const failed = new Promise<void>((resolve) => {
        const fatal = (error: unknown) => {
          failure = error
          resolve()
        }
        void scrubbing(
          async (scrub) => {
            scrub.start()
            await failed
            await scrub.stop()
          },
          { fatal },
        )
      })
      await failed
      assert.ok(failure instanceof LogError)
      assert.equal(failure.code, 'log_damaged')
      assert.match(failure.message, says)
    })
  }

  it('ends the log over a table with another bit, wherever that is and before LevelDB has read it (log_damaged)', async () => {
    await flushed()
    const [[number, bytes] = []] = await tablesOf()
    const path = join(paths(dataDir).store, `${String(number).padStart(6, '0')}.ldb`)
    for (const place of [0, Math.floor(bytes! / 2), bytes! - 60]) {
      const sound = await readFile(path)
      await scrubbing(async (scrub) => {
        const changed = Buffer.from(sound)
        changed[place]! ^= 1
        await writeFile(path, changed)
        await assert.rejects(scrub.pass(), { code: 'log_damaged', message: new RegExp(basename(path)) })
        assert.equal(scrub.state.passes, 0)
      })
      await writeFile(path, sound)
    }
  })

  it('does not mind a table that is merged into others while it is read', async () => {
    await flushed()
    const db = await StoredValues.open(dataDir)
    const before = await tablesOf()
    let asked = 0
    const damage = await checkOpenTables(paths(dataDir).store, async () => {
      if (asked++ > 0) return true
      const level = db.level as unknown as Sweepable
      await level.compactRange(Uint8Array.of(0), Uint8Array.of(255))
      return true
    })
    assert.equal(damage, undefined)
    assert.ok(asked > 0)
    assert.notDeepEqual(await tablesOf(), before)
    await db.close()
  })

  /** So that what LevelDB has in its log is in tables. */
  async function flushed(): Promise<void> {
    const db = await StoredValues.open(dataDir)
    await db.close()
  }

  async function tablesOf(): Promise<[number: number, bytes: number][]> {
    const tables = await liveTables(paths(dataDir).store)
    assert.ok('size' in tables)
    return Array.from(tables, ([number, { size }]) => [number, size])
  }

  async function bytesOfTables(): Promise<number> {
    return (await tablesOf()).reduce((sum, [, bytes]) => sum + bytes, 0)
  }

  it('stops in the middle of a pass, and is silent about what closing cut short', () =>
    scrubbing(async (scrub) => {
      scrub.start()
      await nextTurn()
      await scrub.stop()
      assert.equal(scrub.state.passes, 0)
    }))
})

async function flip(db: StoredValues, key: Uint8Array, place: number): Promise<void> {
  const value = (await db.get(key)).slice()
  value[place]! ^= 1
  await db.put(key, value)
}
