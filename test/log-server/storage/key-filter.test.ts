import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Level } from 'level'
import type { Database, DatabaseRange } from '../../../log-server/storage/database.ts'
import { FilteredDatabase, KeyFilter } from '../../../log-server/storage/key-filter.ts'
import { hashKey, textKey } from '../../../log-server/storage/stored-values.ts'
import { sha256, utf8 } from '../../../merkle/index.ts'
import { SCRATCH } from '../flipped-log.ts'

const toKey = (n: number, letter = 'd'): Uint8Array => hashKey(letter, sha256(utf8(`key ${n}`)))
const toValue = (n: number): Uint8Array => utf8(`value ${n}`)

describe('a filter of keys', () => {
  it('never denies what was added, beyond the first 65 536 of them too, and nearly always what was not', () => {
    const filter = new KeyFilter()
    const added = Array.from({ length: 70_000 }, (_, n) => (n % 3 === 0 ? textKey('u', `unique:kid:${n}`) : toKey(n)))
    for (const key of added) filter.add(key)
    assert.ok(added.every((key) => filter.mayHave(key)))
    const wrong = Array.from({ length: 70_000 }, (_, n) => toKey(n, 'i')).filter((key) => filter.mayHave(key))
    assert.ok(wrong.length < 700, `${wrong.length} of 70 000`)
  })

  it('denies everything while it is empty', () => {
    const filter = new KeyFilter()
    for (let n = 0; n < 1000; n++) assert.equal(filter.mayHave(toKey(n)), false)
  })
})

describe('a filtered database', () => {
  it('answers as the database does, each key in its place, and asks it for nothing that is not there', () =>
    withDatabase(2500, async ({ watched, asked }) => {
      const db = new FilteredDatabase(watched)
      const keys = Array.from({ length: 300 }, (_, i) => toKey(i * 17))
      const before = await valuesOf(db, keys)
      assert.equal(asked.splice(0).length, 300)
      await db.fill()
      assert.deepEqual(await valuesOf(db, keys), before)
      assert.deepEqual(
        before,
        Array.from({ length: 300 }, (_, i) => (i * 17 < 2500 ? `value ${i * 17}` : undefined)),
      )
      assert.ok(asked.length < 160, `${asked.length} keys were asked for, and 148 are there`)
      assert.deepEqual(await valuesOf(db, []), [])
    }))

  it('asks for whatever appends do not ask for', () =>
    withDatabase(10, async ({ watched, asked }) => {
      const db = new FilteredDatabase(watched)
      await db.fill()
      await valuesOf(
        db,
        ['e', 'g', 'h', 'k', 'p', 'r', 'w', 'x'].map((letter) => toKey(1, letter)),
      )
      assert.equal(asked.length, 8)
    }))

  it('finds what was put while it was filled, and afterwards', () =>
    withDatabase(3000, async ({ watched }) => {
      const db = new FilteredDatabase(watched)
      const put = async (n: number) => {
        const batch = db.batch()
        for (const letter of ['d', 'i', 'u', 'r']) batch.put(toKey(n, letter), toValue(n))
        await batch.write({ sync: true })
      }
      // The first begins to fill it.
      await Promise.all([put(5000), put(5001)])
      await Promise.all([put(5002), db.fill()])
      await put(5003)
      for (const n of [5000, 5001, 5002, 5003]) {
        const keys = ['d', 'i', 'u', 'r', 'w'].map((letter) => toKey(n, letter))
        const value = `value ${n}`
        assert.deepEqual(await valuesOf(db, keys), [value, value, value, value, undefined])
      }
    }))

  it('denies nothing when the keys cannot be read', () =>
    withDatabase(10, async ({ watched, asked }) => {
      const unreadable = (range: DatabaseRange) => {
        if (range.gte[0] === 'u'.charCodeAt(0)) throw new Error('EIO')
        return watched.keys(range)
      }
      const db = new FilteredDatabase({ ...watched, keys: unreadable })
      await db.fill()
      assert.deepEqual(await valuesOf(db, [toKey(3), toKey(11)]), ['value 3', undefined])
      assert.equal(asked.length, 2)
    }))

  it('writes nothing more once a key is found to be damaged (log_damaged)', () =>
    withDatabase(10, async ({ watched }) => {
      const asked: string[] = []
      const db = new FilteredDatabase({
        ...watched,
        checkKeys: async (letters) => {
          asked.push(Buffer.from(letters).toString())
          return '000009.ldb: the block at byte 0 is not as it was written'
        },
      })
      const batch = db.batch()
      batch.put(toKey(11), toValue(11))
      await db.fill()
      await assert.rejects(batch.write({ sync: true }), { code: 'log_damaged', message: /000009\.ldb/ })
      assert.deepEqual(asked, ['diu'])
      assert.deepEqual(await valuesOf(db, [toKey(3), toKey(11)]), ['value 3', undefined])
    }))

  it('writes nothing more when the keys cannot be looked at; but without a descriptor left, later', () =>
    withDatabase(10, async ({ watched, asked }) => {
      for (const code of ['EIO', 'EMFILE']) {
        const answers = [() => Promise.reject(Object.assign(new Error(code), { code })), async () => undefined]
        const db = new FilteredDatabase({ ...watched, checkKeys: () => answers.shift()!() })
        const put = async () => {
          const batch = db.batch()
          batch.put(toKey(11), toValue(11))
          await new Promise(setImmediate)
          await batch.write({ sync: true })
        }
        if (code === 'EIO') {
          await assert.rejects(put(), { code })
          await assert.rejects(put(), { code })
          continue
        }
        await put()
        await put()
        await db.fill()
        asked.splice(0)
        assert.deepEqual(await valuesOf(db, [toKey(11), toKey(12)]), ['value 11', undefined])
        assert.equal(asked.length, 1)
      }
    }))

  it('closes in the midst of reading the keys', () =>
    withDatabase(5000, async ({ watched, closed }) => {
      const db = new FilteredDatabase(watched)
      const filling = db.fill()
      await db.close()
      assert.equal(closed(), true)
      await filling
    }))
})

interface Watched {
  readonly watched: Database
  /** The keys that the database was asked for. */
  readonly asked: Uint8Array[]
  readonly closed: () => boolean
}

/** With so many keys under `d`. */
async function withDatabase(count: number, body: (watched: Watched) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(SCRATCH, 'provlog-filter-'))
  const level = new Level<Uint8Array, Uint8Array>(directory, { keyEncoding: 'view', valueEncoding: 'view' } as object)
  try {
    await level.batch(Array.from({ length: count }, (_, n) => ({ type: 'put', key: toKey(n), value: toValue(n) })))
    const db = level as unknown as Database
    const asked: Uint8Array[] = []
    const watched: Database = {
      getMany: (keys) => {
        asked.push(...keys)
        return db.getMany(keys)
      },
      batch: () => db.batch(),
      iterator: (range) => db.iterator(range),
      keys: (range) => db.keys(range),
      values: (range) => db.values(range),
      put: (key, value, options) => db.put(key, value, options),
      compactRange: (start, end) => db.compactRange(start, end),
      close: () => db.close(),
    }
    await body({ watched, asked, closed: () => level.status === 'closed' })
  } finally {
    await level.close()
    await rm(directory, { recursive: true })
  }
}

async function valuesOf(db: Database, keys: Uint8Array[]): Promise<(string | undefined)[]> {
  return (await db.getMany(keys)).map((value) => value && Buffer.from(value).toString())
}
