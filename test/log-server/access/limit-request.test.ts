import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { AnswerError, createFetcher } from '../../../clients/log-client/index.ts'
import { Limits, type RateLimit } from '../../../log-server/access/limits.ts'
import { startServer } from '../../../log-server/main.ts'
import { UnavailableError } from '../../../merkle/index.ts'
import { assertRefused, JSON_PROBLEM, type ServedLog, serveLog } from '../served-log.ts'

const clock = { now: 0 }
const limited = (limit: RateLimit) =>
  new Limits({ limits: new Map([['anonymous', limit]]), now: () => clock.now, trustDomains: 0 })

describe('an open log with limits by address', () => {
  let world: ServedLog
  before(async () => {
    world = await serveLog(4, { callerLimits: limited({ requestsPerSecond: 0.5, burst: 20 }) })
  })
  after(() => world.close())

  it('answers 429 with an honest Retry-After past them, for whatever path, and is never too busy to say that it is alive', async () => {
    clock.now += 100
    for (let i = 0; i < 20; i++)
      assert.equal((await world.get(i % 2 ? '/checkpoint' : '/none')).statusCode, i % 2 ? 200 : 404)
    for (const url of ['/checkpoint', '/none', '/entries/0.0']) {
      const answer = await world.get(url, { accept: 'application/json' })
      assertRefused(answer, { status: 429, code: 'too_many_requests', type: JSON_PROBLEM })
      assert.equal(answer.headers['retry-after'], '2')
    }
    const { submission } = await world.build('appraisal-policy')
    assertRefused(await world.app.inject({ method: 'POST', url: '/entries', payload: Buffer.from(submission) }), {
      status: 429,
      code: 'too_many_requests',
    })
    for (const url of ['/healthz', '/readyz']) assert.equal((await world.get(url)).statusCode, 200)
    clock.now += 2
    assert.equal((await world.get('/checkpoint')).statusCode, 200)
    assert.equal((await world.get('/checkpoint')).statusCode, 429)
  })
})

describe('over real connections', () => {
  let world: ServedLog
  let url = ''
  let limits = limited({})
  before(async () => {
    world = await serveLog(9, { callerLimits: { enter: (counted) => limits.enter(counted) } as Limits })
    await world.app.listen({ host: '127.0.0.1', port: 0 })
    url = `http://127.0.0.1:${(world.app.server.address() as AddressInfo).port}`
  })
  after(async () => {
    world.app.server.closeAllConnections()
    await world.close()
  })
  const read = (path: string) =>
    fetch(`${url}/${path}`, { headers: { 'accept-encoding': 'identity' } }).then(async (answer) => [
      answer.status,
      (await answer.arrayBuffer()).byteLength,
    ])

  it('counts the bytes of answers: what was taken too much is waited for', async () => {
    limits = limited({ bytesPerSecond: 1000 })
    const [status, length] = await read('v1/statements/000.p/9')
    assert.ok(status === 200 && length! > 3000, `${status} ${length}`)
    // The count is made when the connection has its answer, which may be a moment after its reader has.
    let answer = await fetch(`${url}/checkpoint`)
    while (answer.status === 200) answer = await fetch(`${url}/checkpoint`)
    const wait = Number(answer.headers.get('retry-after'))
    assert.ok(
      wait >= Math.floor((length! - 1000) / 1000) && wait <= 3 + length! / 1000,
      `${wait} s for ${length} bytes`,
    )
    clock.now += wait
    assert.equal((await read('checkpoint'))[0], 200)
  })

  it('counts a request as under way until it is answered or its connection is gone', async () => {
    limits = limited({ concurrent: 1 })
    const { port } = world.app.server.address() as AddressInfo
    const slow = connect(port, '127.0.0.1')
    slow.write('POST /entries HTTP/1.1\r\nhost: a\r\ncontent-type: application/cose\r\ncontent-length: 1000\r\n\r\n12')
    while ((await read('checkpoint'))[0] === 200);
    assert.equal((await read('checkpoint'))[0], 429)
    slow.destroy()
    while ((await read('checkpoint'))[0] === 429);
    assert.equal((await read('checkpoint'))[0], 200)
  })

  it('our client takes it for what it is: later', async () => {
    limits = limited({ requestsPerSecond: 0.1, burst: 1 })
    const fetcher = createFetcher({ url })
    await fetcher.fetch({ path: 'checkpoint', maxBytes: 10_000 })
    await assert.rejects(fetcher.fetch({ path: 'checkpoint', maxBytes: 10_000 }), (error: unknown) => {
      return error instanceof UnavailableError && !(error instanceof AnswerError) && error.retryAfter === 10
    })
    fetcher.close()
  })
})

it('a server of its configuration has them', async () => {
  const world = await serveLog(1)
  await world.app.close()
  await world.log.close()
  const path = join(world.dataDir, 'config.json')
  const config = JSON.parse(await readFile(path, 'utf8'))
  await writeFile(path, JSON.stringify({ ...config, server: { callerLimit: { requestsPerSecond: 0.01, burst: 3 } } }))
  const server = await startServer({ dataDir: world.dataDir, listen: { host: '127.0.0.1', port: 0 } })
  const statuses = []
  for (let i = 0; i < 5; i++) statuses.push((await fetch(`${server.url}/checkpoint`)).status)
  await server.close()
  assert.deepEqual(statuses, [200, 200, 200, 429, 429])
})
