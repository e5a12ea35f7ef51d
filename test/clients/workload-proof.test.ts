import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { parseServiceConfig, runIssuer } from '../../clients/issuer/index.ts'
import { createFetcher, createProver, type Fetcher, type ProverOptions } from '../../clients/log-client/index.ts'
import { authenticateRequest, type FieldLine, fieldLinesOf, MemoryReplayCache } from '../../provenance/index.ts'
import { publicJwkOf } from '../../statement/index.ts'
import { AT, issueWit, newKey, ORIGIN, trustDomains } from '../provenance/proof-of-possession/caller.ts'
import { TestCommand } from './test-io.ts'

const random = (length: number) => crypto.getRandomValues(new Uint8Array(length))

/** What a server, which judges with the functions that ours judges with, says about each request that came. */
const judged: { url: string; verdict: string; fields: readonly FieldLine[] }[] = []
let replay = new MemoryReplayCache()
let audience: { origins?: readonly string[]; aliases?: readonly string[] } = {}
let dropNext = false
const at = () => AT + clock
let clock = 0
let heard: () => void = () => {}

const server = createServer(async (incoming: IncomingMessage, response) => {
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk as Buffer)
  const { method = '', url = '', rawHeaders } = incoming
  const fields = fieldLinesOf(rawHeaders)
  const request = { method, target: url, fields, content: new Uint8Array(Buffer.concat(chunks)) }
  const verdict = await authenticateRequest(request, trustDomains, { at: at(), audience, replay }).then(
    ({ credential, possession }) => `${possession.ways.join()} ${credential.subject.path}`,
    ({ code }) => String(code),
  )
  judged.push({ url, verdict, fields })
  heard()
  if (dropNext) {
    dropNext = false
    incoming.socket.destroy()
    return
  }
  response.writeHead(200, { 'content-type': 'application/octet-stream' }).end('yes')
})
let base = ''
before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  audience = { origins: [base] }
})
after(() => server.close())

const fetchers: Fetcher[] = []
after(() => {
  for (const fetcher of fetchers) fetcher.close()
})

function fetcherOf(options: Partial<ProverOptions> & Pick<ProverOptions, 'load'>, url = base): Fetcher {
  const fetcher = createFetcher({ url, prover: createProver({ now: at, random, ...options }) })
  fetchers.push(fetcher)
  return fetcher
}

/** The verdict on one request. */
async function ask(fetcher: Fetcher, path = 'checkpoint'): Promise<string> {
  await fetcher.fetch({ path, maxBytes: 100 })
  return judged.at(-1)!.verdict
}

describe('a client with a WIT', async () => {
  const key = newKey()
  const wit = await issueWit(key)
  const load = async () => ({ wit, key })

  for (const by of ['wpt', 'httpsig'] as const) {
    it(`is known by each of its requests (${by}), whatever their method, query, range and content`, async () => {
      const fetcher = fetcherOf({ load, by }, `${base}/below`)
      const body = new TextEncoder().encode('a statement')
      await fetcher.fetch({ path: 'checkpoint', maxBytes: 100 })
      await fetcher.fetch({
        path: 'entries?waitForCommit=true',
        method: 'POST',
        body,
        contentType: 'application/cose',
        maxBytes: 100,
      })
      await fetcher.fetch({ path: 'v1/statements/0', after: { length: 2, etag: '"x"' }, maxBytes: 100 })
      assert.deepEqual(
        judged.slice(-3).map(({ url, verdict }) => [url, verdict]),
        ['/below/checkpoint', '/below/entries?waitForCommit=true', '/below/v1/statements/0'].map((url) => [
          url,
          `${by} /payments`,
        ]),
      )
    })
  }

  it('proves a repeated request anew: the first proof may have been used up', async () => {
    const fetcher = fetcherOf({ load })
    assert.equal(await ask(fetcher), 'wpt /payments')
    dropNext = true
    const before = judged.length
    assert.equal(await ask(fetcher), 'wpt /payments')
    assert.deepEqual(
      judged.slice(before).map(({ verdict }) => verdict),
      ['wpt /payments', 'wpt /payments'],
    )
  })

  it('never puts it where bearer tokens are, and its proof is of no use a second time or elsewhere', async () => {
    await ask(fetcherOf({ load }))
    const { fields } = judged.at(-1)!
    assert.ok(!fields.some(([name]) => name.toLowerCase() === 'authorization'))
    const again = { method: 'GET', target: '/checkpoint', fields }
    await assert.rejects(authenticateRequest(again, trustDomains, { at: at(), audience, replay }), {
      code: 'proof_replayed',
    })
    const elsewhere = { at: at(), audience: { origins: [ORIGIN] }, replay: new MemoryReplayCache() }
    await assert.rejects(authenticateRequest(again, trustDomains, elsewhere), { code: 'wrong_audience' })
  })

  it('calls the log what it calls itself, behind a proxy of another name', async () => {
    audience = { aliases: ['log.bank.example'] }
    assert.equal(await ask(fetcherOf({ load })), 'wrong_audience')
    assert.equal(await ask(fetcherOf({ load, audience: 'log.bank.example' })), 'wpt /payments')
    audience = { origins: [base] }
  })

  it('takes a renewed one within seconds, and looks no more often than that', async () => {
    let looks = 0
    const others = [wit, await issueWit(key, { sub: 'spiffe://bank.example/renewed' })]
    let present = 0
    const fetcher = fetcherOf({
      load: async () => {
        looks++
        return { wit: others[present]!, key }
      },
    })
    await Promise.all(Array.from({ length: 5 }, () => ask(fetcher)))
    assert.equal(looks, 1)
    present = 1
    assert.equal(await ask(fetcher), 'wpt /payments')
    clock += 6
    assert.equal(await ask(fetcher), 'wpt /renewed')
    assert.equal(looks, 2)
  })

  it('keeps what it has while the files are written, one after the other, and takes them when they fit', async () => {
    const next = newKey()
    let files: () => Promise<{ wit: string; key: typeof key }> = load
    const fetcher = fetcherOf({ load: () => files() })
    await ask(fetcher)
    const states: (typeof files)[] = [
      async () => ({ wit: await issueWit(next), key }),
      async () => Promise.reject(new Error('ENOENT')),
      async () => ({ wit: 'half a tok', key: next }),
    ]
    for (const state of states) {
      files = state
      clock += 6
      assert.equal(await ask(fetcher), 'wpt /payments')
    }
    const renewed = await issueWit(next, { sub: 'spiffe://bank.example/next' })
    files = async () => ({ wit: renewed, key: next })
    clock += 6
    assert.equal(await ask(fetcher), 'wpt /next')
  })

  it('sends nothing with the key of another WIT (wrong_proof_key)', async () => {
    const before = judged.length
    await assert.rejects(ask(fetcherOf({ load: async () => ({ wit, key: newKey() }) })), { code: 'wrong_proof_key' })
    assert.equal(judged.length, before)
  })
})

describe('the flags of a command', async () => {
  const cli = new TestCommand()
  after(() => cli.remove())
  const key = newKey()
  writeFileSync(cli.path('wit'), `${await issueWit(key, { exp: Math.floor(Date.now() / 1000) + 600 })}\n`)
  writeFileSync(cli.path('key.jwk'), JSON.stringify(key))
  const said = ['proof', '0.0', '--log']

  for (const by of ['wpt', 'httpsig']) {
    it(`make it known to the log (${by})`, async () => {
      clock = Math.floor(Date.now() / 1000) - AT
      replay = new MemoryReplayCache()
      await cli.run(...said, base, '--wit', '@wit', '--wit-key', '@key.jwk', '--wit-proof', by)
      assert.equal(judged.at(-1)!.verdict, `${by} /payments`)
    })
  }

  it('come in pairs, and name files that are there', async () => {
    for (const wrong of [
      ['--wit', '@wit'],
      ['--wit-key', '@key.jwk'],
      ['--wit', '@wit', '--wit-key', '@key.jwk', '--wit-proof', 'bearer'],
      ['--wit', '@none', '--wit-key', '@key.jwk'],
      ['--wit', '@wit', '--wit-key', '@wit'],
    ]) {
      assert.equal((await cli.run(...said, base, ...wrong)).exit, 2, wrong.join(' '))
    }
  })
})

it('the issuer’s service calls its log with the token of its configuration', async () => {
  const cli = new TestCommand()
  const key = newKey()
  const write = (name: string, value: string) => writeFileSync(cli.path(name), value, { mode: 0o600 })
  write('wit', await issueWit(key))
  for (const name of ['wit.jwk', 'service.jwk']) write(name, JSON.stringify(key))
  write('workload.jwk', JSON.stringify(publicJwkOf(newKey())))
  clock = 0
  const config = parseServiceConfig(
    JSON.stringify({
      log: {
        url: base,
        vkeys: [readFileSync('docs/examples/formats/log.vkey', 'utf8').trim()],
        wit: { credential: 'wit', key: 'wit.jwk', proof: 'httpsig' },
      },
      key: 'service.jwk',
      policy: 'p',
      workloads: [
        {
          subject: 'spiffe://bank.example/a',
          directory: 'a',
          workloadKey: 'workload.jwk',
          results: [],
          unattested: 'none',
        },
      ],
    }),
  )
  const asked = new Promise<void>((resolve) => {
    heard = resolve
  })
  const issuer = await runIssuer({
    config,
    directory: cli.directory,
    readFile: async (path) => new Uint8Array(readFileSync(path)),
    now: at,
    random,
    sleep: async () => {},
    write: () => {},
  })
  await asked
  await issuer.stop()
  cli.remove()
  assert.equal(judged.at(-1)!.verdict, 'httpsig /payments')
})
