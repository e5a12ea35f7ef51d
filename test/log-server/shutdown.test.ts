// A server's life: it answers once it is started, and goes down without losing an answer that it gave.
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { initLog } from '../../log-server/init.ts'
import { openLog } from '../../log-server/log.ts'
import { type RunningServer, type ServerOptions, startServer } from '../../log-server/main.ts'
import { type Author, buildRecordStatement, encodePublicKey } from '../../provenance/index.ts'
import { importSigningKey, parsePrivateJwk, type SignedStatement } from '../../statement/index.ts'
import { FIELDS, issuer, notRandom, ORIGIN } from '../provenance/small-log.ts'
import { assertRefused, serveLog } from './served-log.ts'

const listen = { host: '127.0.0.1', port: 0 }
const now = () => 200

let dir: string
let admin: Author
let logs = 0
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'provlog-shutdown-'))
})
after(() => rm(dir, { recursive: true }))

async function newLog(): Promise<string> {
  const dataDir = join(dir, `log-${++logs}`)
  const random = notRandom(dataDir)
  const { adminKey } = await initLog({ dataDir, origin: ORIGIN, now, random })
  const key = await importSigningKey(parsePrivateJwk(JSON.parse(await readFile(adminKey, 'utf8'))))
  admin = { key, issuer: ORIGIN, now: now(), random: notRandom(`admin ${dataDir}`) }
  return dataDir
}

async function start(options: Partial<ServerOptions> = {}): Promise<RunningServer & { dataDir: string }> {
  const dataDir = options.dataDir ?? (await newLog())
  return { ...(await startServer({ listen, now, ...options, dataDir })), dataDir }
}

/** So many statements that the log would register. */
async function authorizations(count: number): Promise<SignedStatement[]> {
  const fields = { ...FIELDS['key-authorization'], key: encodePublicKey(issuer.publicJwk) }
  return Promise.all(
    Array.from(
      { length: count },
      async () => (await buildRecordStatement({ type: 'key-authorization', fields }, admin)).statement,
    ),
  )
}

interface Answer {
  readonly status: number
  readonly body: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

/** One request, over `agent`; undefined when the connection was refused or cut. */
function ask(url: string, agent: Agent, body?: Uint8Array): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    const sent = request(url, {
      agent,
      method: body ? 'POST' : 'GET',
      headers: body ? { 'content-type': 'application/cose', 'content-length': body.length } : {},
    })
    sent.on('error', () => resolve(undefined))
    sent.on('response', (answer) => {
      let text = ''
      answer.setEncoding('latin1').on('data', (chunk: string) => {
        text += chunk
      })
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body: text, headers: answer.headers }))
      answer.on('error', () => resolve(undefined))
    })
    sent.end(body)
  })
}

describe('startServer', () => {
  it('answers at the address that it names, for the log that it names', async () => {
    const server = await start()
    const agent = new Agent()
    try {
      assert.match(server.url, /^http:\/\/127\.0\.0\.1:\d+$/)
      assert.equal(server.origin, ORIGIN)
      assert.ok(server.vkey.startsWith(`${ORIGIN}+`))
      const checkpoint = await ask(`${server.url}/checkpoint`, agent)
      assert.ok(checkpoint?.body.startsWith(`${ORIGIN}\n1\n`))
      const ready = await ask(`${server.url}/readyz`, agent)
      assert.deepEqual(JSON.parse(ready?.body ?? ''), { ready: true, size: 1, checkpointAge: 0 })
    } finally {
      await server.close()
    }
  })

  it('says how old the checkpoint is', async () => {
    const server = await start({ now: () => 1234 })
    const answer = await ask(`${server.url}/readyz`, new Agent())
    await server.close()
    assert.equal(JSON.parse(answer?.body ?? '').checkpointAge, 1034)
  })

  it('listens to other machines only when that is said to be meant (malformed_config)', async () => {
    const dataDir = await newLog()
    await assert.rejects(start({ dataDir, listen: { host: '0.0.0.0', port: 0 } }), { code: 'malformed_config' })
    const server = await start({ dataDir, listen: { host: '0.0.0.0', port: 0 }, insecureListen: true })
    await server.close()
  })

  it('lets go of the log when the port is taken', async () => {
    const first = await start()
    const dataDir = await newLog()
    const port = Number(new URL(first.url).port)
    await assert.rejects(start({ dataDir, listen: { host: '127.0.0.1', port } }), { code: 'EADDRINUSE' })
    await first.close()
    const second = await start({ dataDir })
    await second.close()
  })

  it('does not share a log (log_locked)', async () => {
    const server = await start()
    await assert.rejects(start({ dataDir: server.dataDir }), { code: 'log_locked' })
    await server.close()
  })
})

describe('close', () => {
  it('under load: every receipt that went out is of an entry that is there, and nobody else was told so', async () => {
    const server = await start()
    const agent = new Agent({ keepAlive: true, maxSockets: 32 })
    const statements = await authorizations(200)
    const answered: Promise<void>[] = []
    const receipts: SignedStatement[] = []
    let closing: Promise<void> | undefined
    for (const statement of statements) {
      const answer = ask(`${server.url}/entries`, agent, statement.bytes).then((got) => {
        if (got?.status === 201) receipts.push(statement)
        // What has no receipt was refused in so many words, or the connection was.
        else
          assert.ok(got === undefined || (got.status === 503 && got.body.includes('shutting_down')), `${got?.status}`)
        if (receipts.length === 20) closing ??= server.close()
      })
      answered.push(answer)
    }
    await Promise.all(answered)
    await closing
    agent.destroy()

    const log = await openLog({ dataDir: server.dataDir, now })
    try {
      assert.ok(receipts.length >= 20)
      for (const { entry } of receipts) assert.ok(await log.reader.locate(entry))
    } finally {
      await log.close()
    }
  })

  it('does not wait for connections on which nothing happens', async () => {
    const server = await start()
    const agent = new Agent({ keepAlive: true })
    await ask(`${server.url}/healthz`, agent)
    assert.equal(Object.values(agent.freeSockets).flat().length, 1)
    await server.close()
    agent.destroy()
  })

  it('may be called again, and ends once', async () => {
    const server = await start()
    await Promise.all([server.close(), server.close()])
    await server.close()
    assert.equal(await ask(`${server.url}/healthz`, new Agent()), undefined)
  })

  it('says so at /readyz before it stops to accept, for as long as it was told to', async () => {
    const dataDir = await newLog()
    const path = join(dataDir, 'config.json')
    const config = JSON.parse(await readFile(path, 'utf8')) as object
    await writeFile(path, JSON.stringify({ ...config, server: { readiness: { drainSeconds: 0.25 } } }))
    const server = await start({ dataDir })
    const agent = new Agent({ keepAlive: true })
    const closing = server.close()
    const ready = await ask(`${server.url}/readyz`, agent)
    assert.equal(ready?.status, 503)
    assert.deepEqual(JSON.parse(ready.body), { ready: false, reason: 'shutting_down', size: 1, checkpointAge: 0 })
    assert.equal((await ask(`${server.url}/healthz`, agent))?.status, 200)
    // Nobody who has not looked yet is turned away.
    const [statement] = await authorizations(1)
    assert.equal((await ask(`${server.url}/entries`, agent, statement!.bytes))?.status, 201)
    await closing
    agent.destroy()
  })
})

describe('while the server closes', () => {
  it('what is still sent over an open connection is answered: reads as ever, statements with 503 (shutting_down)', async () => {
    const world = await serveLog(1, { stage: () => 'closing' })
    try {
      const answer = await world.post(Uint8Array.of(0))
      assertRefused(answer, { status: 503, code: 'shutting_down' })
      assert.equal(answer.headers['retry-after'], '1')
      assert.equal((await world.get('/checkpoint')).statusCode, 200)
      assert.equal((await world.get('/readyz')).statusCode, 503)
    } finally {
      await world.close()
    }
  })
})

describe('a log that has stopped', () => {
  it('is not ready, says why, and still reads', async () => {
    const world = await serveLog(1, { notReady: () => 'log_stopped' })
    try {
      const answer = await world.get('/readyz')
      assert.equal(answer.statusCode, 503)
      assert.equal(answer.json().reason, 'log_stopped')
      assert.equal((await world.get('/healthz')).statusCode, 200)
      assert.equal((await world.get('/checkpoint')).statusCode, 200)
    } finally {
      await world.close()
    }
  })
})
