import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { openLog, paths } from '../../../log-server/log.ts'
import { type FsckCode, fsckData } from '../../../log-server/recovery/fsck.ts'
import { StoredValues } from '../stored-values.ts'
import { NOW, policyCandidate, TestLog } from '../test-log.ts'

// Statements 0 to 3 are records, of which 3 has wraps; then raw ones, past two full tiles.
const RECORDS = 4
const SIZE = 600

describe('fsck', () => {
  let log: TestLog
  before(async () => {
    log = await TestLog.create()
    for (const [i, id] of ['a', 'b', 'a'].entries()) {
      await log.sequencer.append(await policyCandidate(id, i === 2 ? [Uint8Array.of(1)] : []))
    }
    await log.appendRaw(SIZE - RECORDS)
    await log.close()
  })
  after(() => log.remove())

  it('finds nothing in a sound log, and says how far it is', async () => {
    const progress: number[] = []
    const report = await fsckData(log.dataDir, (done, size) => {
      assert.equal(size, SIZE)
      progress.push(done)
    })
    assert.deepEqual(report.findings, [])
    assert.equal(report.sound, true)
    assert.equal(report.size, SIZE)
    assert.equal(progress.at(-1), SIZE)
    await log.open()
    assert.equal(report.root, Buffer.from(log.reader.treeHead().root).toString('hex'))
    await log.close()
  })

  // Each changes one stored value. `opens` is false where that value is one that opening recomputes.
  const damages: [what: string, codes: FsckCode[], opens: boolean, damage: (db: StoredValues) => Promise<unknown>][] = [
    [
      'a flipped bit in an old statement',
      ['index_mismatch', 'tile_mismatch'],
      true,
      (db) => flip(db, integerKey('s', 4), 100),
    ],
    [
      'a flipped bit in a statement on the right edge',
      ['index_mismatch', 'root_mismatch'],
      false,
      (db) => flipLast(db, 's'),
    ],
    ['a missing piece of statements', ['statement_gap', 'behind_guard'], true, (db) => db.del(integerKey('s', 256))],
    ['a flipped bit in a full tile', ['tile_mismatch'], false, (db) => flip(db, tileKey(0, 1), 77)],
    ['a missing tile', ['tile_missing'], false, (db) => db.del(tileKey(0, 0))],
    ['a flipped bit in an entry bundle', ['tile_mismatch'], true, (db) => flip(db, integerKey('e', 1), 300)],
    ['a missing entry bundle', ['tile_missing'], true, (db) => db.del(integerKey('e', 0))],
    ['a missing digest', ['index_mismatch'], true, async (db) => db.del(await firstKey(db, 'd'))],
    ['a digest that leads elsewhere', ['index_mismatch'], true, async (db) => flip(db, await firstKey(db, 'd'), 5)],
    [
      'a digest of nothing',
      ['index_mismatch'],
      true,
      (db) => db.put(new Uint8Array(33).fill(100, 0, 1), new Uint8Array(20)),
    ],
    ['a missing identity', ['index_mismatch'], true, async (db) => db.del(await firstKey(db, 'i'))],
    [
      'an identity too many',
      ['index_mismatch'],
      true,
      (db) => db.put(new Uint8Array(33).fill(105, 0, 1), new Uint8Array(6)),
    ],
    ['a missing unique key', ['index_mismatch'], true, async (db) => db.del(await firstKey(db, 'u'))],
    ['a unique key of another entry', ['index_mismatch'], true, async (db) => flip(db, await firstKey(db, 'u'), 5)],
    [
      'a series that lags',
      ['index_mismatch'],
      true,
      async (db) => db.put(await firstKey(db, 'r'), Uint8Array.of(0, 0, 0, 0, 0, 1)),
    ],
    [
      'a series that is not there',
      ['index_mismatch'],
      true,
      (db) => db.put(text('rx/y/z'), Uint8Array.of(0, 0, 0, 0, 0, 1)),
    ],
    ['a status of nothing', ['index_mismatch'], true, (db) => db.put(text('cffff\0\0\0\0\0\x01'), new Uint8Array(0))],
    ['wraps of nothing', ['stray_value'], true, (db) => db.put(new Uint8Array(33).fill(119, 0, 1), new Uint8Array(0))],
    ['a forgotten authority', ['index_mismatch', 'authority_mismatch'], false, (db) => db.del(integerKey('a', 0))],
    ['a checkpoint with another signature', ['bad_signature'], false, (db) => flipHead(db, '\n\n', -40)],
    ['a tree head with another signature', ['bad_signature'], false, (db) => flipHead(db, 'signature', 40)],
    ['no tree head', ['no_tree_head'], false, (db) => db.del(text('khead'))],
    ['a tree head that is not CBOR', ['no_tree_head'], false, (db) => db.put(text('khead'), Uint8Array.of(0xff))],
  ]
  for (const [what, codes, opens, damage] of damages) {
    it(`finds ${what} (${codes.join(', ')})${opens ? '' : ', and the log does not open'}`, async () => {
      const copy = await log.copy()
      const db = await StoredValues.open(copy)
      await damage(db)
      await db.close()

      const { sound, findings } = await fsckData(copy)
      assert.equal(sound, false)
      const found = new Set(findings.map(({ code }) => code))
      for (const code of codes) assert.ok(found.has(code), `${code} is not in ${JSON.stringify(findings)}`)
      if (!opens) await assert.rejects(openLog({ dataDir: copy, now: () => NOW }), { code: 'log_damaged' })
      await rm(copy, { recursive: true })
    })
  }

  it('reports a guard that is missing, and reads on', async () => {
    const copy = await log.copy()
    await rm(paths(copy).guard)
    const { findings, size } = await fsckData(copy)
    assert.deepEqual(
      findings.map(({ code }) => code),
      ['guard_unreadable'],
    )
    assert.equal(size, SIZE)
    await rm(copy, { recursive: true })
  })

  it('says no more than a hundred things of a log that is wrong throughout', async () => {
    const copy = await log.copy()
    const db = await StoredValues.open(copy)
    await db.level.clear({ gte: text('d'), lt: text('e') })
    await db.close()
    const { findings, sound } = await fsckData(copy)
    assert.equal(findings.length, 100)
    assert.equal(sound, false)
    await rm(copy, { recursive: true })
  })
})

const text = (key: string): Uint8Array => Uint8Array.from(Buffer.from(key, 'latin1'))

function integerKey(letter: string, integer: number): Uint8Array {
  const key = new Uint8Array(7)
  key[0] = letter.charCodeAt(0)
  new DataView(key.buffer).setUint32(3, integer)
  return key
}

function tileKey(level: number, index: number): Uint8Array {
  const key = new Uint8Array(8)
  key.set([104, level])
  new DataView(key.buffer).setUint32(4, index)
  return key
}

async function firstKey(db: StoredValues, letter: string): Promise<Uint8Array> {
  const [key] = await db.level.keys({ gte: text(letter), limit: 1 }).all()
  return new Uint8Array(key!)
}

/** Flips a bit of one stored value as if we had written it so: what is found is not found by a checksum. */
async function flip(db: StoredValues, key: Uint8Array, place: number): Promise<void> {
  const value = (await db.get(key)).slice()
  value[place]! ^= 1
  await db.put(key, value)
}

async function flipLast(db: StoredValues, letter: string): Promise<void> {
  const lt = text(String.fromCharCode(letter.charCodeAt(0) + 1))
  const [key] = await db.level.keys({ gte: text(letter), lt, reverse: true, limit: 1 }).all()
  await flip(db, new Uint8Array(key!), 6)
}

/** Flips a bit in the stored tree head, so far behind the end of `mark` (or before the end of the value). */
async function flipHead(db: StoredValues, mark: string, offset: number): Promise<void> {
  const value = Buffer.from(await db.get(text('khead')))
  const at = value.indexOf(mark) + mark.length
  await flip(db, text('khead'), offset < 0 ? at + 60 : at + offset)
}
