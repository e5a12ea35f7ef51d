// A log that knows its callers by WIT and proof alone, and our client and commands: whoever may is served, by either proof, and nobody else.
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { createProver, LogClient, RefusedError } from '../../clients/log-client/index.ts'
import { type RunningServer, startServer } from '../../log-server/main.ts'
import { encodeRecord, type RecordOf } from '../../provenance/index.ts'
import { line } from '../../scripts/line.ts'
import type { PrivateJwk } from '../../statement/index.ts'
import { NOW, serveLog } from '../log-server/served-log.ts'
import { issueWit, newKey, SUBJECT, trustDomains } from '../provenance/proof-of-possession/caller.ts'
import { digestOf, FIELDS, issuer, notRandom, ORIGIN } from '../provenance/small-log.ts'
import { TestCommand } from './test-io.ts'

const AUDIENCE = 'log.bank.example'
const PARTNER = 'spiffe://shop.example/till'
const now = () => NOW
const cli = new TestCommand()
cli.skew = NOW - Math.floor(Date.now() / 1000)
let server: RunningServer
let vkey = ''
let audit = ''
const keys = { bank: newKey(), partner: newKey(), stranger: newKey() }
const wits: Record<string, string> = {}

before(async () => {
  const world = await serveLog(9)
  await world.app.close()
  await world.log.close()
  const [[kid, jwk]] = [...trustDomains.get('bank.example')!.tokenKeys] as [[string, object]]
  mkdirSync(join(world.dataDir, 'trust'))
  const bundle = JSON.stringify({ keys: [{ ...jwk, use: 'wit-svid', kid }] })
  for (const name of ['bank', 'shop']) writeFileSync(join(world.dataDir, `trust/${name}.json`), bundle)
  const config = JSON.parse(readFileSync(join(world.dataDir, 'config.json'), 'utf8')) as object
  const access = {
    trustDomains: { 'bank.example': { bundle: 'trust/bank.json' }, 'shop.example': { bundle: 'trust/shop.json' } },
    audience: [AUDIENCE],
    rules: [
      { who: [SUBJECT], may: ['append:issuer', 'read'] },
      { trustDomain: 'shop.example', may: ['read:general'] },
    ],
    audit: { file: 'audit.jsonl' },
  }
  writeFileSync(join(world.dataDir, 'config.json'), JSON.stringify({ ...config, server: { access } }))
  server = await startServer({ dataDir: world.dataDir, listen: { host: '127.0.0.1', port: 0 }, now })
  vkey = server.vkey
  audit = join(world.dataDir, 'audit.jsonl')
  const exp = now() + 600
  wits['bank'] = await issueWit(keys.bank, { exp })
  wits['partner'] = await issueWit(keys.partner, { exp, sub: PARTNER })
  wits['stranger'] = await issueWit(keys.stranger, { exp, sub: 'spiffe://bank.example/somebody-else' })
  for (const [who, key] of Object.entries(keys)) {
    writeFileSync(cli.path(`${who}.wit`), wits[who]!)
    writeFileSync(cli.path(`${who}.jwk`), JSON.stringify(key))
  }
})
after(async () => {
  await server.close()
  rmSync(join(audit, '..'), { recursive: true })
  cli.remove()
})

let clients = 0
function clientOf(who?: keyof typeof keys, by: 'wpt' | 'httpsig' = 'wpt'): LogClient {
  const load = async (): Promise<{ wit: string; key: PrivateJwk }> => ({ wit: wits[who!]!, key: keys[who!] })
  const prover = createProver({ load, by, audience: AUDIENCE, now, random: notRandom(`${who} ${by} ${++clients}`) })
  return new LogClient({
    url: server.url,
    pinned: { origin: ORIGIN, vkey },
    clock: now,
    sleep: async () => {},
    ...(who && { prover }),
  })
}

const denied = (error: unknown) =>
  error instanceof RefusedError && error.status === 403 && error.code === 'access_denied'

describe('a log behind rules', () => {
  for (const by of ['wpt', 'httpsig'] as const) {
    it(`is appended to and read with a WIT and a proof (${by})`, async () => {
      const client = clientOf('bank', by)
      const author = { key: issuer.key, issuer: issuer.issuer, now: now(), random: notRandom(`author ${by}`) }
      const fields = { ...FIELDS['issuance-policy'], policyId: by, digest: digestOf(by), notBefore: 0 }
      const { entry, record } = await client.registerRecord({ type: 'issuance-policy', fields }, author)
      const found = await client.record(entry)
      assert.deepEqual(encodeRecord(found.record), encodeRecord(record as RecordOf<'issuance-policy'>))
      assert.equal((await client.latest('issuance-policy', issuer.kid, by))?.record.fields['policyId' as never], by)
      client.close()
    })
  }

  it('is closed to whoever shows nothing, and to whom no rule names', async () => {
    for (const who of [undefined, 'stranger'] as const) {
      const client = clientOf(who)
      await assert.rejects(client.checkpoint(), denied)
      await assert.rejects(client.bundle(digestOf('credential')), denied)
      client.close()
    }
  })

  it('shows a partner its tree, and of a credential of the bank what it says of none', async () => {
    const client = clientOf('partner')
    assert.ok((await client.checkpoint()).size >= 9)
    for (const digest of [digestOf('credential'), digestOf('nowhere')]) {
      await assert.rejects(client.bundle(digest), { name: 'RefusedError', status: 404, code: 'not_found' })
    }
    const own = clientOf('bank')
    assert.ok((await own.bundle(digestOf('credential'))).length > 1000)
    own.close()
    client.close()
  })

  it('serves the commands of whoever may', async () => {
    const proof = (who: string, ...more: readonly string[]) =>
      cli.run(
        ...line`proof 0.3 --log ${server.url} --vkey ${vkey} --wit @${who}.wit --wit-key @${who}.jwk
          --wit-audience ${AUDIENCE} ${more}`,
      )
    for (const by of ['wpt', 'httpsig']) {
      const { exit, err } = await proof('bank', '--wit-proof', by)
      assert.equal(exit, 0, err)
    }
    assert.equal((await proof('partner')).exit, 0)
    const { exit, err } = await proof('stranger')
    assert.deepEqual([exit, err.includes('access_denied'), err.includes('eyJ')], [1, true, false])
  })

  it('has all of them in its audit lines, by how they proved it', () => {
    const lines = readFileSync(audit, 'utf8').split('\n').filter(Boolean)
    const found = new Set(lines.map((line) => JSON.parse(line)).map(({ who, by, status }) => `${who} ${by} ${status}`))
    for (const expected of [
      `${SUBJECT} wit+wpt 201`,
      `${SUBJECT} wit+httpsig 201`,
      `${PARTNER} wit+wpt 404`,
      'spiffe://bank.example/somebody-else wit+wpt 403',
    ]) {
      assert.ok(found.has(expected), `${expected} is not in ${[...found].join()}`)
    }
    assert.ok(!lines.some((line) => line.includes('eyJ')))
  })
})
