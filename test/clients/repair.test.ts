/**
 * `log repair`, of a log of format 1, in which values have no checksums: what it says, and with which exit code.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { cp } from 'node:fs/promises'
import { after, beforeEach, describe, it } from 'node:test'
import { StoredValues } from '../log-server/stored-values.ts'
import { TestCommand } from './test-io.ts'

const command = new TestCommand()
let last = 0
let dataDir: string

beforeEach(async () => {
  dataDir = command.path(`log-${++last}`)
  await cp('test/fixtures/log-format-1', dataDir, { recursive: true })
})
after(() => command.remove())

describe('log repair', () => {
  it('has nothing to do where nothing is wrong', async () => {
    const { exit, out, err } = await repair()
    assert.deepEqual({ exit, out: out.trim(), err }, { exit: 0, out: 'sound, nothing to do: 114 entries', err: '' })
  })

  it('says what it would make again, and makes it again', async () => {
    await changeFirst('i', 5)
    const would = await repair('--dry-run')
    assert.equal(would.exit, 0)
    assert.match(would.err, /index_mismatch/)
    assert.match(would.out, /^would be made again: identities, 1\nsound then: 114 entries$/m)
    assert.equal((await command.run('log', 'fsck', '--data', dataDir)).exit, 5)

    const done = await repair('--json')
    assert.equal(done.exit, 0)
    const { sound, mended, left, dryRun } = JSON.parse(done.out)
    assert.deepEqual(
      { sound, mended, left, dryRun },
      { sound: true, mended: { identities: 1 }, left: [], dryRun: false },
    )
    assert.equal((await command.run('log', 'fsck', '--data', dataDir)).exit, 0)
    assert.match((await repair()).out, /nothing to do/)
  })

  it('changes nothing where something follows from nothing, names it and the way out, with exit code 5', async () => {
    await changeFirst('i', 5)
    await changeFirst('s', 40)
    const { exit, out, err } = await repair()
    assert.equal(exit, 5)
    assert.match(err, /root_mismatch|malformed_statement|index_mismatch/)
    assert.match(out, /nothing was changed.*provlog log restore/)
    assert.doesNotMatch(out, /made again/)
  })

  it('is of a log', async () => {
    assert.equal((await command.run('log', 'repair')).exit, 2)
    const { exit, out } = await command.run('log', 'repair', '--data', command.path('nowhere'), '--json')
    assert.deepEqual([exit, JSON.parse(out).code], [1, 'log_missing'])
  })
})

const repair = (...more: string[]) => command.run('log', 'repair', '--data', dataDir, ...more)

/** Another byte in the first value under a letter. */
async function changeFirst(letter: string, at: number): Promise<void> {
  const { level } = await StoredValues.open(dataDir)
  const [row] = await level.iterator({ gte: Buffer.from(letter), limit: 1 }).all()
  const [key, value] = row!
  const changed = new Uint8Array(value)
  changed[at]! ^= 0x10
  await level.put(key, changed)
  await level.close()
}
