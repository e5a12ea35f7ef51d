// Clients that are slow, silent, half gone or ambiguous, on real sockets. Every limit in app.ts is set on purpose, and one of these tests
// is what it is for. Timeouts are short ones here, and nothing waits but for the server.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { FIELDS } from '../../provenance/small-log.ts'
import { assertUnchanged, issuer, type ServedLog, serveLog } from '../served-log.ts'

const TIMEOUTS = { headers: 150, request: 400, connection: 700, keepAlive: 300, interval: 30 }

let world: ServedLog
let port: number
before(async () => {
  world = await serveLog(4, { timeouts: TIMEOUTS })
  await world.app.listen({ host: '127.0.0.1', port: 0 })
  port = (world.app.server.address() as { port: number }).port
})
after(() => world.close())

/** A client that does what no library lets one do. */
class Client {
  readonly socket: Socket
  /** All that came back, as Latin-1. */
  text = ''
  readonly #closed: Promise<unknown>

  constructor(options: { readonly reads?: boolean } = {}) {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    this.socket.on('error', () => {})
    this.#closed = once(this.socket, 'close').catch(() => undefined)
    if (options.reads === false) return
    this.socket.on('data', (piece: Buffer) => {
      this.text += piece.toString('latin1')
    })
    // The server is done: so are we.
    this.socket.on('end', () => this.socket.end())
  }

  send(text: string | Uint8Array): this {
    this.socket.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text)
    return this
  }

  /** Waits for the server to close; then everything that it said. */
  async closed(): Promise<string> {
    await this.#closed
    return this.text
  }

  /** Waits until `pattern` came. */
  async until(pattern: RegExp): Promise<string> {
    while (!pattern.test(this.text)) {
      assert.ok(!this.socket.closed, `closed before ${pattern}: ${this.text}`)
      await Promise.race([once(this.socket, 'data'), this.#closed])
    }
    return this.text
  }
}

const statusesIn = (text: string): number[] =>
  [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
/** In JSON, or as the CBOR text after the CBOR text "code", which is as long as its head says: another text may follow. */
const codesIn = (text: string): string[] =>
  [...text.matchAll(/"code":"([a-z_]+)"|dcode(?:([\x60-\x77])|x(.))([a-z_]+)/gs)].map(
    ([, json, short, long, letters = '']) =>
      json ?? letters.slice(0, short === undefined ? long?.charCodeAt(0) : short.charCodeAt(0) - 0x60),
  )
const GET = 'GET /healthz HTTP/1.1\r\nHost: x\r\n'
const POST = 'POST /entries HTTP/1.1\r\nHost: x\r\nContent-Type: application/cose\r\n'

async function stillAnswers(): Promise<void> {
  assert.deepEqual(statusesIn(await new Client().send(`${GET}Connection: close\r\n\r\n`).closed()), [200])
}

let made = 0
async function statement(size = 10): Promise<Uint8Array> {
  const fields = { ...FIELDS['issuance-policy'], policyId: `connection ${++made}`, content: new Uint8Array(size) }
  return (await world.build('issuance-policy', { fields })).submission
}

describe('a slow client', () => {
  const drips: readonly (readonly [what: string, start: string, drop: string])[] = [
    ['that sends nothing', '', ''],
    ['whose headers never end', GET, ''],
    ['that drips one header after another', GET, 'X-A: b\r\n'],
    ['that drips one byte after another', `${GET}X-A: `, 'x'],
    ['whose body is shorter than it said, and then silence', `${POST}Content-Length: 100\r\n\r\nabc`, ''],
    ['that drips its body', `${POST}Content-Length: 100000\r\n\r\n`, 'x'],
    ['that drips chunks', `${POST}Transfer-Encoding: chunked\r\n\r\n`, '1\r\nx\r\n'],
  ]
  for (const [what, start, drop] of drips) {
    it(`${what} is told so and cut off in time`, async () => {
      await assertUnchanged(world, async () => {
        const client = new Client().send(start)
        const started = performance.now()
        const dripping = drop === '' ? undefined : setInterval(() => client.socket.writable && client.send(drop), 20)
        const text = await client.closed()
        clearInterval(dripping)
        // Nobody who says nothing at all is owed an answer.
        if (start !== '') assert.deepEqual([statusesIn(text), codesIn(text)], [[408], ['request_timeout']])
        // Generous: what would be wrong is minutes.
        assert.ok(performance.now() - started < 20 * TIMEOUTS.connection)
      })
      await stillAnswers()
    })
  }

  it('that goes on after it was refused is cut off', async () => {
    const client = new Client({ reads: false }).send('nonsense\r\n\r\n')
    client.socket.resume()
    const dripping = setInterval(() => client.socket.writable && client.send('x'), 20)
    await client.closed()
    clearInterval(dripping)
    await stillAnswers()
  })

  it('that keeps its connection and asks no more is let go', async () => {
    const client = new Client().send(`${GET}\r\n`)
    assert.deepEqual(statusesIn(await client.closed()), [200])
  })

  it('that never reads a large answer is cut off', async () => {
    for (let i = 0; i < 40; i++) {
      const { statusCode } = await world.post(await statement(240_000))
      assert.equal(statusCode, 201)
    }
    const client = new Client({ reads: false })
    client.socket.pause()
    const path = `/v1/latest/issuance-policy/${issuer.kid}`
    client.send(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
    // Ten megabytes do not fit between us: only the server can end this.
    await untilConnections((count) => count === 1)
    await untilConnections((count) => count === 0)
    client.socket.destroy()
    await stillAnswers()
  })
})

/** Resolves when the server has as many connections as `wanted` says. */
async function untilConnections(wanted: (count: number) => boolean): Promise<void> {
  for (;;) {
    const count = await new Promise<number>((resolve) => {
      world.app.server.getConnections((_error, found) => resolve(found))
    })
    if (wanted(count)) return
    await new Promise((resolve) => setImmediate(resolve))
  }
}

describe('a client that is half gone', () => {
  it('has closed its half after the request, and still gets its receipt', async () => {
    const body = await statement()
    const client = new Client().send(`${POST}Content-Length: ${body.length}\r\n\r\n`)
    client.socket.end(body)
    assert.deepEqual(statusesIn(await client.closed()), [201])
  })

  it('has closed its half after several requests, and gets each answer', async () => {
    const client = new Client()
    client.socket.end(`${GET}\r\n`.repeat(5))
    assert.deepEqual(statusesIn(await client.closed()), [200, 200, 200, 200, 200])
  })

  for (const [what, text] of [
    ['in the middle of the headers', GET],
    ['in the middle of the body', `${POST}Content-Length: 100\r\n\r\nabc`],
    ['in the middle of a chunk', `${POST}Transfer-Encoding: chunked\r\n\r\nff\r\nabc`],
  ] as const) {
    it(`closed its half ${what}, and is refused`, async () => {
      await assertUnchanged(world, async () => {
        const client = new Client()
        client.socket.end(text)
        assert.deepEqual(statusesIn(await client.closed()), [400])
      })
    })

    it(`reset the connection ${what}, and nobody minds`, async () => {
      await assertUnchanged(world, async () => {
        const client = new Client().send(text)
        await once(client.socket, 'connect')
        client.socket.resetAndDestroy()
        await client.closed()
        await untilConnections((count) => count === 0)
      })
      await stillAnswers()
    })
  }

  it('reset the connection while its statement was registered: it is registered, and told again when asked', async () => {
    const { size } = world.log.reader.treeHead()
    const body = await statement()
    const client = new Client()
    client.socket.write(Buffer.concat([Buffer.from(`${POST}Content-Length: ${body.length}\r\n\r\n`), body]), () => {
      client.socket.resetAndDestroy()
    })
    await client.closed()
    const again = await world.post(body)
    assert.ok(again.statusCode === 201 || again.statusCode === 200)
    assert.equal(world.log.reader.treeHead().size, size + 1)
  })
})

describe('many requests', () => {
  it('on one connection, all at once, are answered in order', async () => {
    const paths = Array.from({ length: 300 }, (_, i) =>
      i % 3 === 0 ? '/checkpoint' : i % 3 === 1 ? '/nothing' : '/healthz',
    )
    const client = new Client().send(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join(''))
    client.send(`${GET}Connection: close\r\n\r\n`)
    const expected = [...paths.map((path) => (path === '/nothing' ? 404 : 200)), 200]
    assert.deepEqual(statusesIn(await client.closed()), expected)
  })

  it('are answered while 500 connections idle', async () => {
    const idle = Array.from({ length: 500 }, () => new Client())
    await Promise.all(idle.map(({ socket }) => once(socket, 'connect')))
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => new Client().send(`${GET}Connection: close\r\n\r\n`).closed()),
    )
    assert.deepEqual(
      answers.flatMap(statusesIn),
      Array.from({ length: 20 }, () => 200),
    )
    for (const { socket } of idle) socket.destroy()
  })
})

describe('a head', () => {
  const tooLarge: readonly (readonly [what: string, text: string])[] = [
    ['of one huge header', `${GET}X-A: ${'a'.repeat(100_000)}\r\n\r\n`],
    ['of a huge name', `${GET}${'a'.repeat(100_000)}: x\r\n\r\n`],
    ['of thousands of lines', `${GET}${'a: b\r\n'.repeat(20_000)}\r\n`],
    ['of a line that never ends', `GET /${'a'.repeat(100_000)}`],
    ['of trailers', `${POST}Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n${'a: b\r\n'.repeat(20_000)}\r\n`],
  ]
  for (const [what, text] of tooLarge) {
    it(`${what} is refused`, async () => {
      const answer = await new Client().send(text).closed()
      assert.deepEqual([statusesIn(answer), codesIn(answer)], [[431], ['headers_too_large']])
    })
  }

  it('of as many lines as fit is read whole: the last one counts', async () => {
    // More than the 2000 that Node keeps unless told otherwise.
    const lines = 'a:\r\n'.repeat(2030)
    const answer = await new Client()
      .send(`GET /nothing HTTP/1.1\r\nHost: x\r\n${lines}Host: y\r\n\r\n`)
      .until(/\r\n\r\n./)
    assert.deepEqual([statusesIn(answer), codesIn(answer)], [[400], ['malformed_request']])
  })

  it('of a chunk with a huge extension is refused', async () => {
    const answer = await new Client()
      .send(`${POST}Transfer-Encoding: chunked\r\n\r\n${`1;${'x'.repeat(20_000)}\r\na\r\n`}0\r\n\r\n`)
      .closed()
    assert.deepEqual([statusesIn(answer), codesIn(answer)], [[413], ['too_large']])
  })
})

/** Behind each of these a second request, which a proxy in front might have taken for a part of the first, or for somebody else's. */
describe('a request that could be read in two ways is refused, and what follows it is not read', () => {
  const HIDDEN = 'GET /checkpoint HTTP/1.1\r\nHost: x\r\n\r\n'
  const chunkedBody = '0\r\n\r\n'
  const ambiguous: readonly (readonly [what: string, text: string])[] = [
    ['a length and chunks', `${POST}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n${chunkedBody}`],
    ['chunks and a length', `${POST}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n${chunkedBody}`],
    ['two lengths', `${POST}Content-Length: 0\r\nContent-Length: 40\r\n\r\n`],
    ['two lengths in one', `${POST}Content-Length: 0, 0\r\n\r\n`],
    ['a length with a sign', `${POST}Content-Length: +0\r\n\r\n`],
    ['a length in hex', `${POST}Content-Length: 0x0\r\n\r\n`],
    ['a length past 2⁶⁴', `${POST}Content-Length: 18446744073709551616\r\n\r\n`],
    ['no length', `${POST}Content-Length: \r\n\r\n`],
    ['chunks that are not last', `${POST}Transfer-Encoding: chunked, identity\r\n\r\n${chunkedBody}`],
    ['chunks by another name', `${POST}Transfer-Encoding: xchunked\r\n\r\n${chunkedBody}`],
    ['chunks twice', `${POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n${chunkedBody}`],
    ['a space before the colon', `${POST}Transfer-Encoding : chunked\r\n\r\n${chunkedBody}`],
    ['a folded line', `${POST}Transfer-Encoding:\r\n chunked\r\nContent-Length: 4\r\n\r\n${chunkedBody}`],
    ['a space before the first header', `GET / HTTP/1.1\r\n Host: x\r\n\r\n`],
    ['a bare carriage return', `GET / HTTP/1.1\r\nHost: x\rX: y\r\n\r\n`],
    ['a NUL in a header', `GET / HTTP/1.1\r\nHost: x\0\r\n\r\n`],
    ['a NUL in the path', `GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n`],
    ['a header without a name', `GET / HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n`],
    ['a chunk size with a sign', `${POST}Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n`],
    ['a chunk size past 2⁶⁴', `${POST}Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n`],
    ['a chunk longer than it said', `${POST}Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n`],
    ['HTTP/0.9', 'GET /checkpoint\r\n'],
    ['HTTP/2', 'GET /checkpoint HTTP/2.0\r\nHost: x\r\n\r\n'],
    ['HTTP/1.1 by another name', 'GET /checkpoint HTTP/1.10\r\nHost: x\r\n\r\n'],
    ['a method that nobody knows', 'NOSUCH / HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a method in lower case', 'get / HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a tunnel', 'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n'],
  ]
  for (const [what, text] of ambiguous) {
    it(what, async () => {
      await assertUnchanged(world, async () => {
        const answer = await new Client().send(text + HIDDEN).closed()
        assert.deepEqual([statusesIn(answer), codesIn(answer)], [[400], ['malformed_request']], answer)
      })
    })
  }

  it('bare line feeds end lines for nobody, or for everybody', async () => {
    for (const text of ['GET /healthz HTTP/1.1\nHost: x\n\n', `${POST}Transfer-Encoding: chunked\n\n0\n\n`]) {
      const statuses = statusesIn(await new Client().send(text).send(HIDDEN).closed())
      assert.ok(statuses[0] === 400 ? statuses.length === 1 : statuses.length === 2, statuses.join())
    }
  })
})

describe('a request that says something unusual is answered by what it asks for', () => {
  const odd: readonly (readonly [what: string, text: string, status: number, code?: string])[] = [
    ['no Host', 'GET /healthz HTTP/1.1\r\n\r\n', 400, 'malformed_request'],
    ['two Hosts', `GET /healthz HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n`, 400, 'malformed_request'],
    ['no Host, in HTTP/1.0', 'GET /healthz HTTP/1.0\r\n\r\n', 200],
    [
      'an upgrade to HTTP/2',
      `${GET}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n`,
      200,
    ],
    ['an upgrade to a web socket', `${GET}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`, 200],
    ['an expectation that nobody knows', `${GET}Expect: miracles\r\n\r\n`, 200],
    ['TRACE', 'TRACE /healthz HTTP/1.1\r\nHost: x\r\n\r\n', 405, 'method_not_allowed'],
    ['the whole server', 'OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n', 404, 'not_found'],
    ['an absolute form', 'GET http://other.example/healthz HTTP/1.1\r\nHost: x\r\n\r\n', 200],
    ['an authority form', 'GET example.com:80 HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'malformed_request'],
    ['a body where none is read', `${GET}Content-Length: 3\r\n\r\nabc`, 200],
    ['chunks where none are read', `${GET}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`, 200],
  ]
  for (const [what, text, status, code] of odd) {
    it(`${what}: ${status}`, async () => {
      const answer = await new Client().send(text).until(/\r\n\r\n/)
      assert.deepEqual([statusesIn(answer), codesIn(answer)], [[status], code ? [code] : []], answer)
    })
  }

  it('to a client that waits before it sends the body, it says when', async () => {
    const body = await statement()
    const client = new Client().send(
      `${POST}Expect: 100-continue\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`,
    )
    await client.until(/100 Continue/)
    assert.deepEqual(statusesIn(await client.send(body).closed()), [100, 201])
  })
})
