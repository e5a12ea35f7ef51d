/** The engine of the auditor's database: what it leaves beside the file, and when. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Database } from '../../clients/auditor/database/duckdb.ts'

/** More than the engine may hold while it writes. */
const LARGE = 'SELECT count(*) FROM (SELECT md5(i::VARCHAR) AS h FROM range(1500000) t(i) ORDER BY h) WHERE h > $from'

describe('the auditor’s database', () => {
  let directory: string
  let path: string
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'provlog-test-'))
    path = join(directory, 'audit.duckdb')
  })
  after(() => rm(directory, { recursive: true }))

  const spills = async () => (await readdir(directory)).filter((name) => name !== 'audit.duckdb')

  it('spills what does not fit into its memory, where its owner alone can read it, and takes it away', async () => {
    const database = await Database.open(path, { readOnly: false })
    const [spill = ''] = await spills()
    assert.equal((await stat(join(directory, spill))).mode & 0o777, 0o700)
    const answer = database.rows(LARGE, { from: '' })
    const spilled = new Set<string>()
    let done = false
    const watching = (async () => {
      while (!done) for (const name of await readdir(join(directory, spill))) spilled.add(name)
    })()
    assert.deepEqual(await answer, [[1_500_000]])
    done = true
    await watching
    database.close()
    assert.notEqual(spilled.size, 0)
    assert.deepEqual(await spills(), [])
  })

  it('has a place of its own to spill for each process that asks', async () => {
    const [one, other] = [await Database.open(path, { readOnly: true }), await Database.open(path, { readOnly: true })]
    assert.equal((await spills()).length, 2)
    one.close()
    other.close()
    assert.deepEqual(await spills(), [])
  })

  it('takes away what a killed process spilled when it is written next, and not when it is asked', async () => {
    const left = join(directory, 'spill-killed')
    await mkdir(left)
    await writeFile(join(left, 'duckdb_temp_storage_DEFAULT-0.tmp'), 'opened columns')
    const asking = await Database.open(path, { readOnly: true })
    asking.close()
    assert.deepEqual(await spills(), ['spill-killed'])
    const writing = await Database.open(path, { readOnly: false })
    writing.close()
    assert.deepEqual(await spills(), [])
  })

  it('lets nobody change where it spills, or read anything beside it', async () => {
    const database = await Database.open(path, { readOnly: true })
    await assert.rejects(database.run(`SET temp_directory = '${tmpdir()}'`), /locked/)
    await assert.rejects(database.run("SET max_temp_directory_size = '1TB'"), /locked/)
    await assert.rejects(database.run(`SELECT * FROM read_text('${directory}/*')`), /disabled by configuration/)
    database.close()
  })
})
