import assert from 'node:assert/strict'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { type Delivery, deliverToDirectory } from '../../../clients/delivery/index.ts'
import {
  type Arrived,
  CredentialSource,
  checkArrived,
  environmentFor,
  loadFromDirectory,
  loadFromEnvironment,
  VARIABLES,
} from '../../../clients/workload/index.ts'
import { notRandom } from '../../provenance/small-log.ts'
import { buildWorld, AT as WORLD_TIME } from '../../provenance/world.ts'
import { TestCommand } from '../test-io.ts'
import { deliveryOf, NOW, newKey, scratch } from './deliveries.ts'

const awaitedDelivery: Delivery & Arrived = await deliveryOf(1)
const random = notRandom('workload')
const refused = (code: string) => ({ name: 'EvidenceError', code })

describe('a credential that arrived', () => {
  it('is verified as by a relying party, where there is a trust file', async () => {
    const world = await buildWorld()
    const { credential, trust, keys } = world
    const arrived = { text: Buffer.from(credential).toString(), bundle: await world.encoded() }
    const expected = { key: keys.workload, trust, now: WORLD_TIME }
    assert.equal((await checkArrived(arrived, expected)).verified, true)

    const other = { ...(await deliveryOf(1, keys.workload)) }
    await assert.rejects(checkArrived(other, { ...expected, now: NOW }), refused('not_verified'))
  })
})

describe('a credential in the environment', () => {
  it('is loaded with its key from a file, and warned of each time', async (t) => {
    const keyFile = join(scratch(t), 'key.jwk')
    const delivery = await deliveryOf(1)
    writeFileSync(keyFile, JSON.stringify(delivery.key), { mode: 0o600 })
    const warnings: string[] = []
    const env = environmentFor(delivery, keyFile)
    const loaded = await loadFromEnvironment(env, { now: NOW }, (line) => warnings.push(line))
    assert.deepEqual(loaded.key, delivery.key)
    assert.deepEqual(loaded.bundle, delivery.bundle)
    assert.equal(warnings.length, 1)
    assert.match(warnings[0]!, /deprecated/)
    assert.doesNotMatch(warnings[0]!, /eyJ/)

    chmodSync(keyFile, 0o644)
    await assert.rejects(
      loadFromEnvironment(env, { now: NOW }, () => {}),
      refused('not_private'),
    )
  })

  const whole = async () => environmentFor(await deliveryOf(1))
  const cases: [what: string, code: string, change: Record<string, string | undefined>][] = [
    ['without a bundle', 'no_delivery', { [VARIABLES.bundle]: undefined }],
    ['with a bundle that is not base64', 'malformed_delivery', { [VARIABLES.bundle]: 'no base64!' }],
    ['with an empty bundle', 'malformed_bundle', { [VARIABLES.bundle]: '' }],
    ['with no token', 'malformed_jws', { [VARIABLES.credential]: 'x' }],
    ['with a huge one', 'too_large', { [VARIABLES.credential]: 'x'.repeat(200_000) }],
    ['with a key that is nowhere', 'no_delivery', { [VARIABLES.keyFile]: '/nowhere/key.jwk' }],
  ]
  for (const [what, code, change] of cases) {
    it(`is refused ${what} (${code})`, async () => {
      const env = { ...(await whole()), ...change }
      await assert.rejects(
        loadFromEnvironment(env, { now: NOW }, () => {}),
        refused(code),
      )
    })
  }

  it('is not put there when it does not fit', async () => {
    const bundle = new Uint8Array(100_000)
    assert.throws(() => environmentFor({ ...awaitedDelivery, bundle }), refused('too_large'))
  })
})

describe('CredentialSource', () => {
  it('follows rotations, and keeps the last good credential when a look fails', async (t) => {
    const directory = scratch(t)
    const [first, second] = [await deliveryOf(1), await deliveryOf(2)]
    await deliverToDirectory(directory, first, { random })
    const changes: string[] = []
    const problems: unknown[] = []
    const ticks: (() => void)[] = []
    const source = await CredentialSource.open({
      load: () => loadFromDirectory(directory, { now: NOW }),
      timer: (_, then) => {
        ticks.push(then)
        return () => ticks.splice(ticks.indexOf(then), 1)
      },
      onChange: ({ text }) => changes.push(text),
      onProblem: (error) => problems.push(error),
    })
    assert.equal(source.current.text, first.text)

    await source.refresh()
    assert.deepEqual(changes, [])
    await deliverToDirectory(directory, second, { random })
    await source.refresh()
    assert.deepEqual(changes, [second.text])
    assert.deepEqual(source.current.key, second.key)

    chmodSync(directory, 0o755)
    await source.refresh()
    assert.equal(source.current.text, second.text)
    assert.equal((problems[0] as { code: string }).code, 'not_private')

    assert.equal(ticks.length, 1)
    source.close()
    assert.equal(ticks.length, 0)
  })

  it('does not open without a first credential', async (t) => {
    const load = () => loadFromDirectory(scratch(t), { now: NOW })
    await assert.rejects(CredentialSource.open({ load }), refused('no_delivery'))
  })

  it('makes one look of many that are asked for at a time', async () => {
    let loads = 0
    const load = async () => {
      loads++
      return checkArrived(awaitedDelivery, { now: NOW })
    }
    const source = await CredentialSource.open({ load, timer: () => () => {} })
    await Promise.all([source.refresh(), source.refresh(), source.refresh()])
    assert.equal(loads, 2)
  })
})

describe('provlog workload run', () => {
  it('starts the program with the credential in its environment, warns, and prints none of it', async (t) => {
    const command = new TestCommand()
    t.after(() => command.remove())
    const delivery = await deliveryOf(1, newKey())
    await deliverToDirectory(command.path('d'), delivery, { random })
    command.skew = NOW - Math.floor(Date.now() / 1000)
    const script = `require('fs').writeFileSync(process.argv[1], JSON.stringify(process.env)); process.exit(7)`
    const ran = await command.run('workload', 'run', '--directory', '@d', '--', process.execPath, '-e', script, '@env')
    assert.equal(ran.exit, 7)
    assert.match(ran.err, /deprecated/)
    assert.equal(`${ran.out}${ran.err}`.includes(delivery.text.slice(0, 30)), false)

    const env = JSON.parse(readFileSync(command.path('env'), 'utf8'))
    const loaded = await loadFromEnvironment(env, { now: NOW }, () => {})
    assert.equal(loaded.text, delivery.text)
    assert.deepEqual(loaded.key, delivery.key)
  })

  it('hands on nothing of the credential that it was itself started with', async (t) => {
    const command = new TestCommand()
    t.after(() => {
      command.remove()
      delete process.env['PROVLOG_WORKLOAD_KEY_FILE']
      delete process.env['PROVLOG_WORKLOAD_TRUST_BUNDLE']
    })
    const { trustBundle: _, key: __, ...delivery } = await deliveryOf(1, newKey())
    await deliverToDirectory(command.path('d'), delivery, { random })
    command.skew = NOW - Math.floor(Date.now() / 1000)
    process.env['PROVLOG_WORKLOAD_KEY_FILE'] = '/another/key.jwk'
    process.env['PROVLOG_WORKLOAD_TRUST_BUNDLE'] = '{"keys":[]}'
    const script = `require('fs').writeFileSync(process.argv[1], JSON.stringify(process.env))`
    const ran = await command.run('workload', 'run', '--directory', '@d', '--', process.execPath, '-e', script, '@env')
    assert.equal(ran.exit, 0)
    const env = JSON.parse(readFileSync(command.path('env'), 'utf8'))
    assert.deepEqual(
      Object.keys(env)
        .filter((name) => name.startsWith('PROVLOG_WORKLOAD_'))
        .sort(),
      ['PROVLOG_WORKLOAD_BUNDLE', 'PROVLOG_WORKLOAD_CREDENTIAL'],
    )
  })

  it('starts nothing when there is no credential to give, and says when there is no such program', async (t) => {
    const command = new TestCommand()
    t.after(() => command.remove())
    command.skew = NOW - Math.floor(Date.now() / 1000)
    const run = () => command.run('workload', 'run', '--directory', '@d', 'no-such-program')
    const missing = await run()
    assert.deepEqual([missing.exit, /no_delivery/.test(missing.err)], [1, true])
    await deliverToDirectory(command.path('d'), await deliveryOf(1), { random })
    assert.equal((await run()).exit, 2)
  })
})
