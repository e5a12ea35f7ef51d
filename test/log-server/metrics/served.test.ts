// What a server counts, and to whom it shows it.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { initLog } from '../../../log-server/init.ts'
import { type RunningServer, type ServerOptions, startServer } from '../../../log-server/main.ts'
import { HttpMetrics } from '../../../log-server/metrics/http-metrics.ts'
import { FORMATS, Registry } from '../../../log-server/metrics/registry.ts'
import { buildRecordStatement, encodePublicKey } from '../../../provenance/index.ts'
import { encodeCborSequence, importSigningKey, parsePrivateJwk, type SigningKey } from '../../../statement/index.ts'
import { SUBJECT } from '../../provenance/proof-of-possession/caller.ts'
import { FIELDS, issuer, notRandom, ORIGIN } from '../../provenance/small-log.ts'
import { guard, may } from '../access/guarded-log.ts'
import { type ServedLog, serveLog } from '../served-log.ts'

const loopback = { host: '127.0.0.1', port: 0 }

let dir: string
let count = 0
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'provlog-metrics-'))
})
after(() => rm(dir, { recursive: true }))

async function start(section: object = {}, options: Partial<ServerOptions> = {}) {
  const dataDir = join(dir, `log-${++count}`)
  const { adminKey } = await initLog({ dataDir, origin: ORIGIN, now: () => 100, random: notRandom(dataDir) })
  const config = JSON.parse(readFileSync(join(dataDir, 'config.json'), 'utf8')) as object
  writeFileSync(join(dataDir, 'config.json'), JSON.stringify({ ...config, server: section }))
  const key = await importSigningKey(parsePrivateJwk(JSON.parse(readFileSync(adminKey, 'utf8'))))
  return { server: await startServer({ dataDir, now: () => 200, listen: loopback, ...options }), key }
}

async function authorization(key: SigningKey, seed: string): Promise<Uint8Array> {
  const fields = { ...FIELDS['key-authorization'], key: encodePublicKey(issuer.publicJwk) }
  const author = { key, issuer: ORIGIN, now: 200, random: notRandom(seed) }
  return (await buildRecordStatement({ type: 'key-authorization', fields }, author)).statement.bytes
}

async function scrape({ url, adminUrl }: Pick<RunningServer, 'url' | 'adminUrl'>): Promise<Map<string, number>> {
  const answer = await fetch(`${adminUrl ?? url}/metrics`)
  assert.equal(answer.status, 200)
  assert.equal(answer.headers.get('content-type'), FORMATS.text)
  assert.equal(answer.headers.get('cache-control'), 'no-store')
  assert.equal(answer.headers.get('access-control-allow-origin'), null, 'pages read what is public')
  const lines = (await answer.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  )
}

const post = (url: string, type: string, body: Uint8Array) =>
  fetch(url, { method: 'POST', headers: { 'content-type': type }, body: Buffer.from(body) })

describe('the numbers of a server', () => {
  let server: RunningServer
  let key: SigningKey
  before(async () => {
    ;({ server, key } = await start())
  })
  after(() => server.close())

  it('say how entries came to be durable, in every step', async () => {
    const bodies = await Promise.all(['a', 'b', 'c'].map((seed) => authorization(key, seed)))
    assert.equal((await post(`${server.url}/entries`, 'application/cose', bodies[0]!)).status, 201)
    const together = encodeCborSequence([...bodies, Buffer.from('none')])
    assert.equal((await post(`${server.url}/v1/entries`, 'application/cbor-seq', together)).status, 200)
    const numbers = await scrape(server)
    const expected = {
      provlog_entries_total: 3,
      provlog_entry_bytes_total: bodies.reduce((sum, { length }) => sum + length, 0),
      provlog_tree_size: 4,
      provlog_checkpoint_timestamp_seconds: 200,
      provlog_append_seconds_count: 3,
      provlog_queue_seconds_count: 3,
      provlog_batch_entries_sum: 3,
      provlog_queue_entries: 0,
      provlog_queue_bytes: 0,
      provlog_queue_longest_wait_seconds: 0,
      provlog_ready: 1,
      'provlog_not_ready{reason="disk_full"}': 0,
      'provlog_http_requests_total{route="/entries",method="POST",status="2xx"}': 1,
      'provlog_http_request_seconds_count{route="/v1/entries"}': 1,
      'provlog_admission_seconds_count{stage="rules"}': 1,
      'provlog_refusals_total{code="malformed_cbor"}': 1,
    }
    for (const [name, value] of Object.entries(expected)) assert.equal(numbers.get(name), value, name)
    const batches = numbers.get('provlog_batch_entries_count')
    for (const stage of ['sign', 'commit', 'guard', 'publish'])
      assert.equal(numbers.get(`provlog_batch_stage_seconds_count{stage="${stage}"}`), batches, stage)
    assert.equal(numbers.get('provlog_store_sync_seconds_count'), batches)
    // The write and its fsync are a part of the step in which they are.
    assert.ok(numbers.get('provlog_store_sync_seconds_sum')! > 0)
    assert.ok(
      numbers.get('provlog_store_sync_seconds_sum')! <= numbers.get('provlog_batch_stage_seconds_sum{stage="commit"}')!,
    )
  })

  it('say what the process takes', async () => {
    const numbers = await scrape(server)
    for (const name of [
      'process_resident_memory_bytes',
      'process_cpu_seconds_total',
      'process_start_time_seconds',
      'nodejs_heap_size_used_bytes',
      'provlog_disk_free_bytes',
      'provlog_disk_bytes',
      'provlog_disk_floor_bytes',
      'provlog_store_memory_bytes',
      ...(process.platform === 'linux' ? ['process_open_fds', 'process_max_fds'] : []),
    ])
      assert.ok(numbers.get(name)! > 0, name)
  })

  it('count refusals by their code, also of what is no HTTP, and requests by route and never by path', async () => {
    await fetch(`${server.url}/tile/0/999`)
    await fetch(`${server.url}/%c3%28`)
    await fetch(`${server.url}/${'x'.repeat(40)}`, { method: 'DELETE' })
    await fetch(`${server.url}/entries/${'0'.repeat(64)}`)
    await new Promise((done) => {
      const socket = connect(Number(new URL(server.url).port), '127.0.0.1', () => socket.end('no HTTP\r\n\r\n'))
      socket.on('close', done).resume()
    })
    const numbers = await scrape(server)
    assert.equal(numbers.get('provlog_refusals_total{code="invalid_locator"}'), 1)
    assert.equal(numbers.get('provlog_refusals_total{code="malformed_request"}'), 1)
    assert.ok(numbers.get('provlog_refusals_total{code="not_found"}')! >= 3)
    assert.equal(numbers.get('provlog_http_requests_total{route="/tile/*",method="GET",status="4xx"}'), 1)
    assert.equal(numbers.get('provlog_http_requests_total{route="none",method="other",status="4xx"}'), 1)
    assert.equal(numbers.get('provlog_http_requests_total{route="none",method="GET",status="4xx"}'), 1)
    assert.ok(![...numbers.keys()].some((name) => /xxx|000000|999|c3/.test(name)))
  })

  it('come as OpenMetrics to whoever prefers that', async () => {
    const ask = async (accept: string) => {
      const answer = await fetch(`${server.url}/metrics`, { headers: { accept } })
      await answer.text()
      return answer.headers.get('content-type')
    }
    // What Prometheus 3 and 2 send.
    const three =
      'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2'
    assert.equal(await ask(three), FORMATS.openMetrics)
    for (const accept of [
      'text/plain;version=0.0.4',
      '*/*',
      'text/plain, application/openmetrics-text;q=0.5',
      'nonsense',
    ])
      assert.equal(await ask(accept), FORMATS.text, accept)
  })

  it('are read, and nothing else', async () => {
    assert.equal((await fetch(`${server.url}/metrics`, { method: 'POST', body: 'x' })).status, 405)
    assert.equal((await fetch(`${server.url}/metrics`, { method: 'HEAD' })).status, 200)
  })
})

describe('who sees them', () => {
  const access = { trustDomains: {}, rules: [{ who: ['anonymous'], may: ['read'] }], audit: { file: 'audit.jsonl' } }

  it('nobody, of an open log that other machines reach', async () => {
    const { server } = await start({ insecureListen: true }, { listen: { host: '0.0.0.0', port: 0 } })
    assert.equal((await fetch(`${server.url.replace('0.0.0.0', '127.0.0.1')}/metrics`)).status, 404)
    await server.close()
  })

  it('nobody whom no rule names, where there is a door; and whoever is on the machine, at the address for admins', async () => {
    const { server } = await start({ access: { ...access, admin: { listen: loopback } } })
    assert.equal((await fetch(`${server.url}/metrics`)).status, 403)
    const numbers = await scrape(server)
    assert.equal(numbers.get('provlog_refusals_total{code="access_denied"}'), 1)
    assert.equal(numbers.get('provlog_http_connections{listener="main"}'), 1)
    // A page that somebody looks at there is elsewhere.
    assert.equal(
      (await fetch(`${server.adminUrl}/metrics`, { headers: { origin: 'https://evil.example' } })).status,
      403,
    )
    await server.close()
  })

  it('whom a rule names, and nothing else for that', async () => {
    const world: ServedLog = await serveLog(1)
    const registry = new Registry()
    const http = new HttpMetrics(registry)
    const metrics = { http, admission: { admitted: () => {} }, listener: 'main', registry } as const
    for (const admin of [undefined, 'by-rules'] as const) {
      const options = admin ? { admin } : {}
      const seen = guard(world, [may(SUBJECT, 'metrics')], {
        ...options,
        metrics: { ...metrics, http: new HttpMetrics(new Registry()) },
      })
      assert.equal((await seen.app.inject('/metrics')).statusCode, 403)
      seen.peer = SUBJECT
      assert.equal((await seen.app.inject('/metrics')).statusCode, 200)
      for (const url of ['/checkpoint', '/v1/policies']) assert.equal((await seen.app.inject(url)).statusCode, 403, url)
      await seen.app.close()
    }
    await world.close()
  })
})
