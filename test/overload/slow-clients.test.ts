// Clients that cost by being there: ten times as many as there is room for, in each of the ways there are to be slow. Who is honest
// calls from another address and is answered throughout, and what the others held is given back. The form with ten thousand connections,
// and its figures, are in `bench/overload.ts`.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import tls from 'node:tls'
import { connectionsFor } from '../../log-server/http/connections.ts'
import { ServerTls } from '../../log-server/http/tls.ts'
import { writeCertificates } from '../log-server/certificates.ts'
import { type ServedLog, serveLog } from '../log-server/served-log.ts'
import { FIELDS } from '../provenance/small-log.ts'

const [ABUSER, HONEST] = ['127.0.0.2', '127.0.0.1']
const MAX = 40
// That nothing moves ends none of these connections: each way there is has a rule of its own.
const TIMEOUTS = { headers: 300, request: 500, connection: 60_000, keepAlive: 300, answer: 300, interval: 30 }

const GET = 'GET /healthz HTTP/1.1\r\nHost: x\r\n'
const POST = 'POST /entries HTTP/1.1\r\nHost: x\r\nContent-Type: application/cose\r\n'

let world: ServedLog
before(async () => {
  world = await serveLog(4, { timeouts: TIMEOUTS, maxConnections: MAX })
  await world.app.listen({ host: '127.0.0.1', port: 0 })
})
after(() => world.close())

const portOf = ({ app }: ServedLog): number => (app.server.address() as { port: number }).port

interface Client {
  readonly socket: Socket
  /** All that came, in Latin-1. */
  readonly text: () => string
  readonly closed: Promise<unknown>
}

function open(localAddress: string, text = '', { reads = true } = {}): Client {
  const socket = connect({ port: portOf(world), host: '127.0.0.1', localAddress, allowHalfOpen: true })
  socket.on('error', () => {})
  let received = ''
  if (reads) {
    socket.setEncoding('latin1').on('data', (piece: string) => {
      received += piece
    })
    socket.on('end', () => socket.end())
  } else socket.pause()
  if (text !== '') socket.write(text)
  return { socket, text: () => received, closed: once(socket, 'close').catch(() => undefined) }
}

async function answered(localAddress: string): Promise<string> {
  const client = open(localAddress, `${GET}Connection: close\r\n\r\n`)
  await client.closed
  return client.text()
}

const connections = (): Promise<number> =>
  new Promise((resolve) => world.app.server.getConnections((_error, count) => resolve(count)))

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await nextTurn()
}

describe('ten times as many connections as there is room for, of one address', () => {
  const ways: readonly (readonly [what: string, text: string])[] = [
    ['that say nothing', ''],
    ['whose headers never end', GET],
    ['whose body never ends', `${POST}Content-Length: 100000\r\n\r\nabc`],
    ['that ask and keep the connection', `${GET}\r\n`],
  ]
  for (const [what, text] of ways) {
    it(`${what}: half of the room is theirs, the rest are refused, and others are answered`, async () => {
      const abusers = Array.from({ length: 10 * MAX }, () => open(ABUSER, text))
      const refused = () => abusers.filter((client) => client.text().includes('too_many_connections'))
      // Some of those refused never hear why: what they sent was not read, and the system resets the connection.
      await until(() => abusers.filter(({ socket }) => socket.closed).length >= 10 * MAX - MAX / 2)
      assert.ok((await connections()) <= MAX / 2)
      assert.match(await answered(HONEST), /^HTTP\/1\.1 200 /)
      if (text === '') {
        assert.ok(refused().length > 0)
        for (const client of refused()) assert.match(client.text(), /^HTTP\/1\.1 503 .*\r\nretry-after: 1\r\n/s)
      }
      // Those who have a place lose it in time, and then whoever wants it has it.
      await Promise.all(abusers.map(({ closed }) => closed))
      await until(async () => (await connections()) === 0)
      assert.match(await answered(ABUSER), /^HTTP\/1\.1 200 /)
    })
  }

  it('that are half closed are let go at once', async () => {
    const abusers = Array.from({ length: MAX }, () => {
      const client = open(ABUSER)
      client.socket.end()
      return client
    })
    await Promise.all(abusers.map(({ closed }) => closed))
    await until(async () => (await connections()) === 0)
  })
})

describe('an answer that is taken a little at a time', () => {
  it('is cut off, whether something moves now and then or not', async () => {
    const fields = { ...FIELDS['issuance-policy'], policyId: 'large', content: new Uint8Array(200_000) }
    const { submission } = await world.build('issuance-policy', { fields })
    const { statusCode } = await world.post(submission)
    assert.equal(statusCode, 201)
    const path = `/entries/0.${world.log.reader.treeHead().size - 1}/statement`
    // So many answers that the buffers of the system, on both sides, cannot hold them.
    const client = open(ABUSER, `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(80), { reads: false })
    await until(async () => (await connections()) === 1)
    const sipping = setInterval(() => client.socket.read(1), 20)
    await until(async () => (await connections()) === 0)
    clearInterval(sipping)
    client.socket.destroy()
    assert.match(await answered(HONEST), /^HTTP\/1\.1 200 /)
  })
})

describe('handshakes that stall', () => {
  it('have no more than their half of the room, and others are served', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'provlog-slow-'))
    const { settings } = await ServerTls.open((await writeCertificates(directory)).tls)
    const log = await serveLog(1, { tls: { ...settings, handshakeTimeout: 400 }, maxConnections: MAX })
    try {
      await log.app.listen({ host: '127.0.0.1', port: 0 })
      const port = portOf(log)
      const stalled = Array.from({ length: 10 * MAX }, () => {
        const socket = connect({ port, host: '127.0.0.1', localAddress: ABUSER }).on('error', () => {})
        // The start of a ClientHello.
        socket.write(Uint8Array.of(22, 3, 1, 2, 0, 1))
        return once(socket, 'close').catch(() => undefined)
      })
      const from = { port, host: '127.0.0.1', localAddress: HONEST }
      const honest = tls.connect({ socket: connect(from), rejectUnauthorized: false })
      honest.write(`${GET}Connection: close\r\n\r\n`)
      const [first] = (await once(honest, 'data')) as [Buffer]
      assert.match(first.toString('latin1'), /^HTTP\/1\.1 200 /)
      honest.destroy()
      await Promise.all(stalled)
    } finally {
      await log.close()
      await rm(directory, { recursive: true })
    }
  })
})

describe('the files that a process may have', () => {
  it('bound its connections, but for some', async () => {
    assert.equal(await connectionsFor(1000, '/nowhere'), 1000)
    assert.ok((await connectionsFor(2 ** 40)) < 2 ** 40)
  })
})
