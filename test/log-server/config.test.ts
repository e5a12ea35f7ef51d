import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { DEFAULT_LISTEN, isLoopback, serverConfig } from '../../log-server/config.ts'
import { parseLogConfig } from '../../log-server/storage/directory.ts'

let dir: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'provlog-config-'))
})
after(() => rm(dir, { recursive: true }))

const write = (value: unknown) =>
  writeFile(join(dir, 'config.json'), typeof value === 'string' ? value : JSON.stringify(value))
const log = { format: 1, origin: 'log.example', vkey: 'v', kid: 'k' }

describe('serverConfig', () => {
  it('has defaults for a log that says nothing', async () => {
    await write(log)
    assert.deepEqual(await serverConfig(dir), { listen: DEFAULT_LISTEN, limits: {} })
  })

  it('reads the server section, and lets the caller say otherwise', async () => {
    const server = { listen: { host: '127.0.0.1', port: 9000 }, limits: { maxClockSkew: 5, maxPending: 10 } }
    await write({ ...log, server })
    assert.deepEqual(await serverConfig(dir), server)
    const listen = { host: '::1', port: 0 }
    assert.deepEqual(await serverConfig(dir, { listen, limits: { maxPending: 2 } }), {
      listen,
      limits: { maxClockSkew: 5, maxPending: 2 },
    })
  })

  const refused: readonly (readonly [what: string, file: unknown])[] = [
    ['no JSON', '{'],
    ['no object', '7'],
    ['null', 'null'],
    ['a member that does not exist', { ...log, server: { lisen: {} } }],
    ['a limit that does not exist', { ...log, server: { limits: { maxClockSkww: 1 } } }],
    ['a limit that is text', { ...log, server: { limits: { maxPending: '10' } } }],
    ['a negative limit', { ...log, server: { limits: { maxPending: -1 } } }],
    ['a port past the last', { ...log, server: { listen: { host: '127.0.0.1', port: 65_536 } } }],
    ['a listen address without a port', { ...log, server: { listen: { host: '127.0.0.1' } } }],
    ['a limit for callers that is none', { ...log, server: { callerLimit: { requestsPerSecond: 0 } } }],
    ['a burst of nothing', { ...log, server: { callerLimit: { burst: 5 } } }],
    ['a burst of an hour', { ...log, server: { callerLimit: { requestsPerSecond: 1, burst: 3600 } } }],
    ['a server section that is an array', { ...log, server: [] }],
  ]
  for (const [what, file] of refused) {
    it(`refuses ${what} (malformed_config)`, async () => {
      await write(file)
      await assert.rejects(serverConfig(dir), { code: 'malformed_config' })
    })
  }

  it('refuses options of the caller in the same way (malformed_config)', async () => {
    await write(log)
    await assert.rejects(serverConfig(dir, { limits: { maxPending: 0 } }), { code: 'malformed_config' })
  })

  it('says that there is no log where there is none (log_missing)', async () => {
    await assert.rejects(serverConfig(join(dir, 'nowhere')), { code: 'log_missing' })
  })

  it('listens to other machines only when that is said to be meant (malformed_config)', async () => {
    await write(log)
    for (const host of ['0.0.0.0', '::', '192.0.2.1', 'log.example', '::ffff:127.0.0.1']) {
      const listen = { host, port: 80 }
      await assert.rejects(serverConfig(dir, { listen }), { code: 'malformed_config', message: /insecureListen/ })
      assert.deepEqual((await serverConfig(dir, { listen, insecureListen: true })).listen, listen)
    }
  })

  it('takes the file’s word that it is meant, as its refusal says', async () => {
    const listen = { host: '0.0.0.0', port: 80 }
    await write({ ...log, server: { listen, insecureListen: true } })
    assert.deepEqual((await serverConfig(dir)).listen, listen)
    await assert.rejects(serverConfig(dir, { insecureListen: false }), { code: 'malformed_config' })
  })
})

describe('isLoopback', () => {
  it('knows the loopback addresses, and no name but localhost', () => {
    for (const host of ['127.0.0.1', '127.9.9.9', '::1', 'localhost']) assert.equal(isLoopback(host), true, host)
    for (const host of ['0.0.0.0', '128.0.0.1', '127.0.0.1.nip.io', '127.1', '::', '', 'localhost.example']) {
      assert.equal(isLoopback(host), false, host)
    }
  })
})

describe('parseLogConfig', () => {
  const refused: readonly (readonly [what: string, value: unknown, says: RegExp])[] = [
    ['what a newer version wrote', { ...log, format: 3 }, /format 3, made by a newer version .* use the newer one/],
    ['what a much newer version wrote', { ...log, format: 2 ** 53 - 1 }, /newer version/],
    ['no format', { ...log, format: undefined }, /format 1 or 2/],
    ['format 0', { ...log, format: 0 }, /format 1 or 2/],
    ['a format in text', { ...log, format: '2' }, /format 1 or 2/],
    ['a format past all numbers', { ...log, format: Number.POSITIVE_INFINITY }, /format 1 or 2/],
    ['nothing', null, /format 1 or 2/],
    ['an array', [], /format 1 or 2/],
    ['a server section under a name that is damaged', { ...log, rerver: {} }, /"rerver"/],
    ['a prototype', JSON.parse(`{"__proto__": {}, ${JSON.stringify(log).slice(1)}`), /"__proto__"/],
  ]
  for (const [what, value, message] of refused) {
    it(`refuses ${what} (malformed_config)`, () => {
      assert.throws(() => parseLogConfig(value, 'config.json'), { code: 'malformed_config', message })
    })
  }

  it('reads both formats that there are', () => {
    for (const format of [1, 2])
      assert.equal(parseLogConfig({ ...log, format, server: {} }, 'config.json').format, format)
  })
})
