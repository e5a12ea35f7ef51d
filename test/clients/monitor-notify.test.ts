/**
 * How alerts and numbers leave a monitor: a webhook that is away, slow or hostile, and whoever asks where Prometheus asks.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { createServer, request, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import {
  type Alert,
  follow,
  listenForMetrics,
  metricsText,
  NOTHING_KNOWN,
  type Outcome,
  webhook,
} from '../../clients/monitor/index.ts'
import { listen } from './served-log.ts'

const [ALERT] = follow(
  NOTHING_KNOWN,
  { kind: 'refused', code: 'unknown_signer', reason: 'another key' },
  { origin: 'log.example', now: 1000, stalledAfter: 60 },
).alerts as [Alert]

/** A receiver that answers in turn as it is told, and what it was sent. */
async function receiver(t: TestContext, answers: readonly ((response: ServerResponse) => void)[], timeout = 60_000) {
  const left = [...answers]
  const bodies: string[] = []
  const ids: unknown[] = []
  const server = createServer(async (incoming, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk)
    bodies.push(Buffer.concat(chunks).toString())
    ids.push(incoming.headers['idempotency-key'])
    left.shift()?.(response)
  })
  const waits: number[] = []
  const sleep = async (milliseconds: number) => void waits.push(milliseconds)
  const hook = webhook(`${await listen(t, server)}/secret`, { timeout, sleep })
  return { hook, bodies, ids, waits }
}

const status =
  (code: number, headers = {}) =>
  (response: ServerResponse) =>
    void response.writeHead(code, headers).end()

describe('webhook', () => {
  for (const url of ['http://hooks.example/x', 'ftp://127.0.0.1/', 'x', 'http://127.0.0.1.evil.example/']) {
    it(`refuses ${url}`, () => {
      assert.throws(() => webhook(url, { sleep: async () => {} }), { code: 'insecure_webhook' })
    })
  }

  it('tries again after a while what it could not take now, the same alert under the same id', async (t) => {
    const { hook, bodies, ids, waits } = await receiver(t, [
      status(503, { 'retry-after': '1' }),
      status(429, { 'retry-after': '99999' }),
      (response) => void response.destroy(),
      status(204),
    ])
    await hook.send(ALERT)
    assert.deepEqual(waits, [1000, 5000, 5000])
    assert.deepEqual(ids, Array(4).fill(ALERT.id))
    assert.deepEqual(bodies, Array(4).fill(JSON.stringify(ALERT)))
  })

  it('gives up after four attempts, and says nothing of where it was', async (t) => {
    const { hook, ids, waits } = await receiver(t, Array(5).fill(status(500)))
    await assert.rejects(hook.send(ALERT), (error: Error) => {
      assert.deepEqual([error.name, error.message], ['UnavailableError', 'the webhook answered 500'])
      return true
    })
    assert.deepEqual([ids.length, waits], [4, [500, 2000, 5000]])
  })

  for (const code of [301, 302, 307, 400, 401, 404, 410]) {
    it(`leaves what was answered with ${code} to the next round, and goes nowhere else`, async (t) => {
      const { hook, ids } = await receiver(t, [status(code, { location: '/elsewhere' }), status(204)])
      await assert.rejects(hook.send(ALERT), { name: 'UnavailableError', message: `the webhook answered ${code}` })
      assert.equal(ids.length, 1)
    })
  }

  it('reads no endless answer', async (t) => {
    let dripping: NodeJS.Timeout | undefined
    const { hook, ids } = await receiver(t, [
      (response) => {
        response.writeHead(200)
        dripping = setInterval(() => response.write('x'.repeat(65_536)), 1)
        response.on('close', () => clearInterval(dripping))
      },
    ])
    await hook.send(ALERT)
    assert.equal(ids.length, 1)
  })

  it('waits for none that never begins', async (t) => {
    const { hook, ids } = await receiver(t, [], 200)
    await assert.rejects(hook.send(ALERT), { name: 'UnavailableError', message: 'the webhook did not answer' })
    assert.ok(ids.length <= 4)
  })
})

const OUTCOME: Outcome = {
  origin: 'log.example/"2026"\nx',
  sight: 'audited',
  alerts: [],
  undelivered: 2,
  unavailable: [],
  known: {
    ...NOTHING_KNOWN,
    size: 7,
    seenAt: 990,
    grownAt: 900,
    troubles: { 'log-stalled:no_heartbeat': { since: 950, told: true }, 'log-unreachable': { since: 1, told: false } },
    counts: { 'log-stalled': 3 },
  },
}

interface Answered {
  readonly status: number
  readonly text: string
  readonly headers: Readonly<Record<string, unknown>>
}

function ask(
  url: string,
  { path = '/metrics', method = 'GET', host }: { path?: string; method?: string; host?: string } = {},
) {
  return new Promise<Answered>((resolve, reject) => {
    const outgoing = request(
      url,
      { path, method, ...(host !== undefined && { headers: { host } }) },
      async (incoming) => {
        let text = ''
        for await (const chunk of incoming) text += chunk
        resolve({ status: incoming.statusCode ?? 0, text, headers: incoming.headers })
      },
    )
    outgoing.on('error', reject)
    outgoing.end()
  })
}

async function listener(t: TestContext, text: () => string | undefined = () => metricsText([OUTCOME], 1000)) {
  const listening = await listenForMetrics('0', text)
  t.after(() => listening.close())
  return listening.url
}

describe('the numbers', () => {
  it('are those of the file, in the format of Prometheus', async (t) => {
    const url = await listener(t)
    const { status, text, headers } = await ask(url, { path: '/metrics?x=1' })
    assert.deepEqual([status, headers['content-type']], [200, 'text/plain; version=0.0.4; charset=utf-8'])
    assert.equal(text, metricsText([OUTCOME], 1000))
    for (const line of text.trimEnd().split('\n'))
      assert.match(
        line,
        /^(# (HELP|TYPE) provlog_monitor_\w+ .+|provlog_monitor_\w+(\{([a-z]+="([^"\\]|\\.)*",?)+\})? \d+)$/,
      )
    const log = 'log="log.example/\\"2026\\"\\nx"'
    assert.ok(text.includes(`provlog_monitor_grown_timestamp_seconds{${log}} 900\n`))
    assert.ok(text.includes(`provlog_monitor_trouble{${log},kind="log-stalled"} 1\n`))
    assert.ok(text.includes(`provlog_monitor_trouble{${log},kind="log-unreachable"} 0\n`))
  })

  it('are for this machine alone where no host is said', async (t) => {
    const url = await listener(t)
    assert.equal(new URL(url).hostname, '127.0.0.1')
    for (const host of ['localhost', '127.0.0.1:9', '[::1]:9']) assert.equal((await ask(url, { host })).status, 200)
    for (const host of ['evil.example', '127.0.0.1.evil.example:80', 'localhost.evil', '10.0.0.1']) {
      assert.equal((await ask(url, { host })).status, 421, host)
    }
  })

  it('are nowhere else, and nothing is done with them', async (t) => {
    const url = await listener(t)
    for (const path of ['/', '/metrics/', '//metrics', '/metrics/../x', '/%6detrics']) {
      assert.equal((await ask(url, { path })).status, 404, path)
    }
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE']) {
      const { status, headers } = await ask(url, { method })
      assert.deepEqual([status, headers['allow'], headers['connection']], [405, 'GET, HEAD', 'close'])
    }
    assert.deepEqual((await ask(url, { method: 'HEAD' })).text, '')
  })

  it('are not there before the first round', async (t) => {
    const { status, text } = await ask(await listener(t, () => undefined))
    assert.deepEqual([status, text], [503, 'no round has ended yet\n'])
  })

  const hostile: [what: string, bytes: string, answer: RegExp][] = [
    ['no HTTP', '\u0016\u0003\u0001\u0002\u0000', /^HTTP\/1\.1 400 /],
    ['a header without end', `GET /metrics HTTP/1.1\r\nx: ${'x'.repeat(20_000)}`, /^HTTP\/1\.1 431 /],
    [
      'two lengths',
      'POST /metrics HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n',
      /^HTTP\/1\.1 400 /,
    ],
    [
      'a body that never comes',
      'POST /metrics HTTP/1.1\r\nhost: localhost\r\ncontent-length: 999999999\r\n\r\n',
      /^HTTP\/1\.1 405 /,
    ],
  ]
  for (const [what, bytes, answer] of hostile) {
    it(`are not disturbed by ${what}`, async (t) => {
      const url = await listener(t)
      const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(bytes, 'latin1'))
      let text = ''
      for await (const chunk of socket) text += chunk
      assert.match(text, answer)
      assert.ok(text.length < 1000)
      assert.equal((await ask(url)).status, 200)
    })
  }

  for (const address of [
    '',
    'x',
    '127.0.0.1',
    '127.0.0.1:',
    '65536',
    '-1',
    '127.0.0.1:80:80',
    '[::1',
    'a b:1',
    '1e3',
  ]) {
    it(`are not given at ${JSON.stringify(address)} (malformed_address)`, async () => {
      await assert.rejects(
        listenForMetrics(address, () => ''),
        { code: 'malformed_address' },
      )
    })
  }

  it('say so where somebody listens already (address_unavailable)', async (t) => {
    const { port } = new URL(await listener(t))
    await assert.rejects(
      listenForMetrics(`127.0.0.1:${port}`, () => ''),
      { code: 'address_unavailable' },
    )
  })
})
