import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Level } from 'level'
import type { Database, DatabaseRange } from '../../../log-server/storage/database.ts'
import { type Change, Overlay } from '../../../log-server/storage/overlay.ts'
import { notRandom } from '../../provenance/small-log.ts'
import { SCRATCH } from '../flipped-log.ts'

type Bytes = Level<Uint8Array, Uint8Array>

describe('a database as a patch would leave it', () => {
  it('reads as one into which the patch was written, in every range, both ways, of any length', async () => {
    const directory = await mkdtemp(join(SCRATCH, 'provlog-overlay-'))
    const random = notRandom('overlay')
    const [one, other] = [await open(join(directory, 'one')), await open(join(directory, 'other'))]
    try {
      const key = () => random(1 + (random(1)[0]! % 2)).map((byte) => byte & 0x87)
      for (let i = 0; i < 60; i++) {
        const [at, value] = [key(), random(3)]
        await Promise.all([one.put(at, value), other.put(at, value)])
      }
      const changes = new Map<string, Change>()
      for (let i = 0; i < 60; i++) {
        const at = key()
        changes.set(Buffer.from(at).toString('hex'), [at, random(1)[0]! < 128 ? random(4) : undefined])
      }
      const overlay = new Overlay(one as unknown as Database, [...changes.values()])
      for (const [at, value] of changes.values()) await (value ? other.put(at, value) : other.del(at))

      const written = other as unknown as Database
      for (let i = 0; i < 500; i++) {
        const range: DatabaseRange = {
          gte: key(),
          ...(i % 3 === 1 && { lt: key() }),
          ...(i % 3 === 2 && { lte: key() }),
          ...(i % 2 === 1 && { reverse: true }),
          ...(i % 5 > 1 && { limit: i % 5 }),
        }
        assert.deepEqual(plain(await overlay.iterator(range).all()), plain(await written.iterator(range).all()))
        assert.deepEqual((await overlay.keys(range).all()).map(hex), (await written.keys(range).all()).map(hex))
        assert.deepEqual((await overlay.values(range).all()).map(hex), (await written.values(range).all()).map(hex))
      }
      const keys = Array.from({ length: 200 }, key)
      const valuesOf = async (db: Database) => (await db.getMany(keys)).map((value) => value && hex(value))
      assert.deepEqual(await valuesOf(overlay), await valuesOf(written))
      assert.throws(() => overlay.batch(), /nothing is written/)
    } finally {
      await Promise.all([one.close(), other.close()])
      await rm(directory, { recursive: true })
    }
  })
})

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const plain = (rows: [Uint8Array, Uint8Array][]) => rows.map((row) => row.map(hex))

async function open(location: string): Promise<Bytes> {
  const db: Bytes = new Level(location, { keyEncoding: 'view', valueEncoding: 'view' } as object)
  await db.open()
  return db
}
