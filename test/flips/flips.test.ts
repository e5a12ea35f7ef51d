/**
 * The short form of `npm run flips`: some damage of each kind to everything that a log has on its disk, the same in every run.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openLog } from '../../log-server/log.ts'
import { fsckData } from '../../log-server/recovery/fsck.ts'
import { paths } from '../../log-server/storage/directory.ts'
import { flippedLog, SCRATCH, taken } from '../log-server/flipped-log.ts'
import { NOW } from '../log-server/served-log.ts'
import { StoredValues } from '../log-server/stored-values.ts'
import { AT } from '../provenance/signers.ts'
import { damaged } from './damage.ts'
import { FILES, placesOf, VALUES } from './places.ts'
import { lines, nameOf, runFlips } from './run.ts'

describe('damage on a disk', () => {
  it('is in none of what these runs begin with, which has everything that a log may have', async () => {
    const log = await flippedLog(260)
    const opened = await mkdtemp(join(SCRATCH, 'provlog-flip-'))
    await cp(log.dataDir, opened, { recursive: true })
    const places = await placesOf(opened, log.dataDir)
    const values = Object.values(VALUES)
    const all = [...values, ...values.map((what) => `keys of ${what}`), ...FILES.map(([, what]) => what)]
    assert.deepEqual([...places.keys()].sort(), all.sort())
    assert.ok(places.get('tables')!.length > 1, String(places.get('tables')!.map(({ name }) => name)))
    assert.ok(places.get('the write-ahead log')!.some(({ bytes }) => bytes.length > 0))
    assert.deepEqual((await fsckData(opened)).findings, [])
    await rm(opened, { recursive: true })
    await log.remove()
  })

  it('is not an erasure, where zeros read as empty statements', async () => {
    const log = await flippedLog(260)
    const db = await StoredValues.open(log.dataDir)
    // It lost its keys to an erasure, so there is a note of one.
    const key = Uint8Array.of('s'.charCodeAt(0), 0, 0, 0, 0, 0, 9)
    await db.put(key, new Uint8Array((await db.get(key)).length))
    await db.close()
    const opened = await openLog({ dataDir: log.dataDir, now: () => AT })
    await assert.rejects(opened.reader.statement(9), { code: 'log_damaged' })
    await assert.rejects(opened.reader.statement(10), { code: 'statement_erased' })
    await opened.close()
    await log.remove()
  })

  it('lets nothing in again, where it hides that it is there', async () => {
    const log = await flippedLog(260)
    const copy = await mkdtemp(join(SCRATCH, 'provlog-flip-'))
    const { store, frozen } = paths(copy)
    const open = () => openLog({ dataDir: copy, now: () => NOW, fatal: () => {} })
    const restored = async () => {
      await rm(copy, { recursive: true })
      await cp(log.dataDir, copy, { recursive: true })
      await rm(frozen)
    }
    await restored()
    const sound = await open()
    assert.equal(await taken(sound, log.refused), 0)
    await sound.close()
    let damages = 0
    for (const file of (await readdir(paths(log.dataDir).store)).filter((name) => name.endsWith('.ldb'))) {
      const table = await readFile(join(paths(log.dataDir).store, file))
      const first = table.indexOf('credential:')
      for (let at = first; first >= 0 && at < first + 80; at += 5) {
        await restored()
        await writeFile(join(store, file), damaged(table, { kind: 'flip', bit: 8 * at }))
        await assert.rejects(open(), { code: 'log_damaged' })
        damages++
      }
    }
    assert.ok(damages > 0)
    await rm(copy, { recursive: true })
    await log.remove()
  })

  it('is found by fsck, whatever it is in, and nothing that it made is shown as true', async (t) => {
    const { planned, counts, violations } = await runFlips({ each: 2, seed: 1, jobs: 2 })
    for (const line of lines(counts)) t.diagnostic(line)
    assert.deepEqual(
      violations.map(({ piece, why }) => `${nameOf(piece)}: ${why}`),
      [],
    )
    assert.equal(
      [...counts.values()].reduce((sum, { done }) => sum + done, 0),
      planned,
    )
  })
})
