// Data of older formats, as the code of its time wrote it (../fixtures/make-log.ts): it is read, written and checked as it is.
import assert from 'node:assert/strict'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openLog } from '../../log-server/log.ts'
import { fsckData } from '../../log-server/recovery/fsck.ts'
import { NEWEST_FORMAT, paths } from '../../log-server/storage/directory.ts'
import { NOW } from './served-log.ts'

const OLD = 'test/fixtures/log-format-1'

async function withCopy(body: (dataDir: string) => Promise<void>): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'provlog-format-'))
  try {
    await cp(OLD, dataDir, { recursive: true })
    await body(dataDir)
  } finally {
    await rm(dataDir, { recursive: true })
  }
}

describe('a log of format 1', () => {
  it('is sound, and opens; appends go on in its format', () =>
    withCopy(async (dataDir) => {
      assert.deepEqual((await fsckData(dataDir)).findings, [])
      const log = await openLog({ dataDir, now: () => NOW })
      const { size } = log.reader.treeHead()
      assert.equal(size, 114)
      assert.equal((await log.reader.erasure(10))?.scope, 'statement')
      assert.equal((await log.reader.wraps((await log.reader.entryAt(11))!)).length, 1)
      assert.equal(await log.sequencer.appendRaw(Uint8Array.of(1, 2, 3)), size)
      await log.close()
      assert.deepEqual((await fsckData(dataDir)).findings, [])
      assert.equal(JSON.parse(await readFile(paths(dataDir).config, 'utf8')).format, 1)
      const again = await openLog({ dataDir, now: () => NOW })
      assert.equal(again.reader.treeHead().size, size + 1)
      await again.close()
    }))

  it('does not open as another: what has no checksum is not taken to have one (log_damaged)', () =>
    withCopy(async (dataDir) => {
      const path = paths(dataDir).config
      const config = JSON.parse(await readFile(path, 'utf8'))
      await writeFile(path, JSON.stringify({ ...config, format: NEWEST_FORMAT }))
      await assert.rejects(openLog({ dataDir, now: () => NOW }), { code: 'log_damaged' })
      assert.ok((await fsckData(dataDir)).findings.some(({ code }) => code === 'value_damaged'))
    }))
})

describe('a log of a format that does not exist yet', () => {
  it('is refused by whatever opens it, in one line that says what to do (malformed_config)', () =>
    withCopy(async (dataDir) => {
      const path = paths(dataDir).config
      const config = JSON.parse(await readFile(path, 'utf8'))
      await writeFile(path, JSON.stringify({ ...config, format: NEWEST_FORMAT + 1 }))
      const refusal = { code: 'malformed_config', message: /made by a newer version than this one.*use the newer one$/ }
      await assert.rejects(openLog({ dataDir, now: () => NOW }), refusal)
      await assert.rejects(fsckData(dataDir), refusal)
    }))
})
