import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { initLog } from '../../log-server/init.ts'
import { openLog, paths } from '../../log-server/log.ts'
import { fsckData } from '../../log-server/recovery/fsck.ts'
import { openCheckpoint, parseVkey } from '../../merkle/index.ts'
import { recordOfStatement } from '../../provenance/record.ts'
import { kidOf, parsePrivateJwk, parseSignedStatement, publicJwkOf } from '../../statement/index.ts'
import { NOW, notRandom, ORIGIN, policyCandidate } from './test-log.ts'

const now = () => NOW

async function withDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'provlog-init-'))
  try {
    await body(directory)
  } finally {
    await rm(directory, { recursive: true })
  }
}

const init = (dataDir: string, seed = 'init') => initLog({ dataDir, origin: ORIGIN, now, random: notRandom(seed) })

describe('a new log', () => {
  it('has as entry 0 the policy that names its origin, its keys and its admin, and is open for business', () =>
    withDirectory(async (directory) => {
      const dataDir = join(directory, 'deep', 'log')
      const created = await init(dataDir)
      assert.equal(created.origin, ORIGIN)

      const log = await openLog({ dataDir, now })
      const checkpoint = openCheckpoint(log.reader.checkpoint(), {
        origin: ORIGIN,
        verifiers: [parseVkey(created.vkey)],
      })
      assert.equal(checkpoint.size, 1)
      const admin = publicJwkOf(parsePrivateJwk(JSON.parse(await readFile(created.adminKey, 'utf8'))))
      const statement = parseSignedStatement((await log.reader.statement(0))!)
      const record = recordOfStatement(statement)
      assert.ok(record.type === 'log-policy')
      assert.equal(statement.header.kid, kidOf(admin))
      assert.deepEqual(record.fields.vkeys, [created.vkey])
      assert.equal(log.authorities.policy().fields.origin, ORIGIN)
      assert.deepEqual(log.authorities.policy().adminKeys.map(kidOf), [kidOf(admin)])
      assert.deepEqual(log.authorities.policy().receiptKeys.map(kidOf), [created.kid])
      assert.deepEqual([log.origin, log.vkey, log.kid], [ORIGIN, created.vkey, created.kid])

      assert.equal((await log.sequencer.append(await policyCandidate('first'))).index, 1)
      await log.close()
      assert.deepEqual((await fsckData(dataDir)).findings, [])
    }))

  it('keeps its private keys from everybody else', () =>
    withDirectory(async (directory) => {
      const { adminKey } = await init(directory)
      const at = paths(directory)
      assert.equal(adminKey, join(directory, 'admin.jwk'))
      for (const path of [adminKey, at.checkpointKey, at.receiptKey, at.guard]) {
        assert.equal((await stat(path)).mode & 0o777, 0o600, path)
      }
      assert.equal('d' in JSON.parse(await readFile(at.config, 'utf8')), false)
      assert.deepEqual(
        (await readdir(directory)).filter((name) => name.endsWith('.new')),
        [],
      )
    }))

  it('has other keys each time, and the same ones for the same randomness', () =>
    withDirectory(async (directory) => {
      const [a, b, c] = [
        await init(join(directory, 'a')),
        await init(join(directory, 'b')),
        await init(join(directory, 'c'), 'other'),
      ]
      assert.deepEqual([a.vkey, a.kid], [b.vkey, b.kid])
      assert.notEqual(a.vkey, c.vkey)
      assert.notEqual(a.kid, c.kid)
    }))

  it('is never put over something that is there, be it a log or anything else', () =>
    withDirectory(async (directory) => {
      const dataDir = join(directory, 'log')
      await init(dataDir)
      const before = await readFile(paths(dataDir).checkpointKey)
      await assert.rejects(init(dataDir, 'other'), { code: 'log_exists' })
      assert.deepEqual(await readFile(paths(dataDir).checkpointKey), before)
      await writeFile(join(directory, 'a file'), '')
      await assert.rejects(init(directory), { code: 'log_exists' })
    }))

  it('is refused an origin that no key can have for its name', () =>
    withDirectory(async (directory) => {
      const options = { now, random: notRandom('bad') }
      await assert.rejects(initLog({ dataDir: join(directory, 'log'), origin: 'not a name', ...options }))
    }))
})

describe('opening a log', () => {
  it('is for one process at a time', () =>
    withDirectory(async (directory) => {
      await init(directory)
      const log = await openLog({ dataDir: directory, now })
      await assert.rejects(openLog({ dataDir: directory, now }), { code: 'log_locked' })
      await assert.rejects(fsckData(directory), { code: 'log_locked' })
      await log.close()
      await (await openLog({ dataDir: directory, now })).close()
    }))

  it('refuses a directory without a log, or with what an interrupted init left', () =>
    withDirectory(async (directory) => {
      await assert.rejects(openLog({ dataDir: directory, now }), { code: 'log_missing' })
      const dataDir = join(directory, 'log')
      await init(dataDir)
      await unlink(paths(dataDir).config)
      await assert.rejects(openLog({ dataDir, now }), { code: 'log_missing' })
      await assert.rejects(init(dataDir), { code: 'log_exists' })
    }))

  it('refuses keys that are not those of the log, and a configuration that is not one', () =>
    withDirectory(async (directory) => {
      const [dataDir, other] = [join(directory, 'a'), join(directory, 'b')]
      await init(dataDir)
      await init(other, 'other')
      const at = paths(dataDir)
      for (const name of ['checkpointKey', 'receiptKey', 'config'] as const) {
        const before = await readFile(at[name])
        for (const content of [await readFile(paths(other)[name]), '{', 'null', '{}', '[1]']) {
          await writeFile(at[name], content)
          await assert.rejects(openLog({ dataDir, now }), { code: 'malformed_config' }, `${name}: ${String(content)}`)
        }
        await writeFile(at[name], before)
      }
      await (await openLog({ dataDir, now })).close()
    }))

  it('never quotes a key file that it cannot read', () =>
    withDirectory(async (directory) => {
      await init(directory)
      const at = paths(directory)
      await writeFile(at.receiptKey, '{"d":"SECRET-SECRET-SECRET')
      const error = await openLog({ dataDir: directory, now }).then(
        () => assert.fail('opened'),
        (reason: unknown) => reason as Error,
      )
      assert.ok(!`${error.stack} ${String(error.cause)}`.includes('SECRET'))
    }))

  it('does not let the time of a tree head go back with the clock', () =>
    withDirectory(async (directory) => {
      await init(directory)
      const log = await openLog({ dataDir: directory, now: () => NOW - 86_400 })
      await log.sequencer.append(await policyCandidate('earlier'))
      assert.equal(log.reader.treeHead().issuedAt, NOW)
      await log.close()
    }))
})
