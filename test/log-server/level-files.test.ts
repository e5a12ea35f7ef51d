import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Level } from 'level'
import { checkBeforeOpening, checkLevelFiles, checkOpenTables } from '../../log-server/storage/level/files.ts'
import { openLevel } from '../../log-server/storage/level/open.ts'
import { SCRATCH } from './flipped-log.ts'

/** Of one table: what is large and in many blocks, and before and behind it keys that say something by not being there. */
const SERIES = 'rappraisal-policy/k/p'
const NEWEST = 'the newest of the series'
const STATUS = 'c0123456789abcdef'
const HELD = 'ucredential:fedcba'
const STATEMENTS = 40
/** Behind the entries of a block: where one of them begins, how many such there are, compression and checksum. */
const RESTARTS_BYTES = 4 + 4 + 1 + 4

describe('what is looked at before LevelDB is opened', () => {
  let location: string
  let file: string
  let table: Buffer
  before(async () => {
    location = await mkdtemp(join(tmpdir(), 'provlog-level-'))
    const db = new Level(location, { compression: false } as object) as Level & {
      compactRange(start: string, end: string): Promise<void>
    }
    await db.open()
    await db.put(SERIES, 'the one before')
    await db.compactRange('', '~')
    await db.put(SERIES, NEWEST)
    await db.put(STATUS, 'revoked')
    await db.put(HELD, 'by an entry')
    for (let i = 0; i < STATEMENTS; i++) await db.put(`s${100 + i}`, `${i} `.repeat(512))
    await db.compactRange('', '~')
    await db.close()
    for (const name of await readdir(location)) {
      if (!name.endsWith('.ldb')) continue
      file = join(location, name)
      table = await readFile(file)
    }
  })
  after(() => rm(location, { recursive: true }))

  const damaged = async (at: number) => {
    const bytes = Buffer.from(table)
    bytes[at]! ^= 1
    await writeFile(file, bytes)
    const [opening, all] = [await checkBeforeOpening(location), await checkLevelFiles(location)]
    await writeFile(file, table)
    return { opening: opening.length > 0, all: all.length > 0 }
  }

  it('is nothing that is wrong, of a sound one', async () => {
    assert.deepEqual(await checkBeforeOpening(location), [])
    assert.ok(table.includes(NEWEST))
  })

  it('is each byte of the blocks in which keys are whose absence would be an answer', async () => {
    // The keys of a block are written against one another: of the second letters stand there.
    for (const text of [NEWEST, 'revoked', STATUS.slice(1), SERIES.slice(1), HELD.slice(1), 'by an entry']) {
      const at = table.indexOf(text)
      assert.ok(at > 0, text)
      for (let i = 0; i < text.length; i++) assert.deepEqual(await damaged(at + i), { opening: true, all: true }, text)
    }
  })

  it('is each byte that finds them: index, filter, footer', async () => {
    // Behind the statements there is a unique key, and nothing else.
    const last = `${STATEMENTS - 1} `
    for (let at = table.lastIndexOf(last) + last.length + RESTARTS_BYTES; at < table.length; at++) {
      assert.deepEqual(await damaged(at), { opening: true, all: true }, `byte ${at} of ${table.length}`)
    }
  })

  it('is no other block: that is for the scrub', async () => {
    const at = table.indexOf('20 20 20 20')
    assert.deepEqual(await damaged(at), { opening: false, all: true })
  })

  it('is only what is asked for, of a database that is open', async () => {
    const bytes = Buffer.from(table)
    bytes[table.indexOf(HELD.slice(1))]! ^= 1
    await writeFile(file, bytes)
    const looked: number[] = []
    const find = (letters: string) =>
      checkOpenTables(location, async (read) => looked.push(read) > 0, [...Buffer.from(letters)])
    assert.deepEqual(await find('c'), undefined)
    assert.match((await find('diu'))!.detail, /is not as it was written/)
    assert.deepEqual(await find('xyz'), undefined)
    await writeFile(file, table)
    assert.deepEqual(await find('diu'), undefined)
    assert.ok(looked.length > 0 && looked.every((read) => read < table.length))
  })

  it('refuses to open what hides the newest of a series (log_damaged)', async () => {
    const bytes = Buffer.from(table)
    bytes[table.indexOf(NEWEST) - SERIES.length]! ^= 1
    await writeFile(file, bytes)
    await assert.rejects(openLevel(location, false), { code: 'log_damaged' })
    await writeFile(file, table)
  })
})

describe('what appends ask for', () => {
  const MEBIBYTES = 40
  /** Whether damage to one unique key is found that stands in one table with, and behind, much of one letter. */
  const lookedAt = async (letter: string): Promise<boolean> => {
    const location = await mkdtemp(join(SCRATCH, 'provlog-level-'))
    const large = { writeBufferSize: 128 * 2 ** 20, maxFileSize: 128 * 2 ** 20 }
    const options = { valueEncoding: 'view', compression: false, ...large } as object
    const db = new Level<string, Uint8Array>(location, options)
    await db.open()
    for (let i = 0; i < MEBIBYTES; i++) await db.put(`${letter}${100 + i}`, new Uint8Array(2 ** 20).fill(i))
    await db.put(HELD, new Uint8Array(1))
    await db.close()
    // LevelDB writes out what it has when it is opened.
    const again = new Level(location, options)
    await again.open()
    await again.close()
    const files = (await readdir(location)).filter((name) => name.endsWith('.ldb'))
    assert.equal(files.length, 1)
    const [file = ''] = files
    const table = await readFile(join(location, file))
    table[table.indexOf(HELD.slice(1))]! ^= 1
    await writeFile(join(location, file), table)
    const damages = await checkBeforeOpening(location)
    await rm(location, { recursive: true })
    return damages.length > 0
  }

  it('is looked at before opening, however much else is in the same table', async () => {
    assert.equal(await lookedAt('s'), true)
  })

  it('is looked at later, where there is much of it', async () => {
    assert.equal(await lookedAt('u'), false)
  })
})
