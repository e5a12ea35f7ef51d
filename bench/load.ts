/**
 * A load generator in a process of its own, so that it takes no time from the thread it measures.
 *
 * Closed loop over keep-alive connections: each sends its next request when it has the answer to the last. It writes and
 * reads HTTP/1.1 by hand, because on two cores a full client would be the bottleneck of what it measures.
 *
 * @module
 */
import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import tls from 'node:tls'

export interface Load {
  readonly port: number
  readonly connections: number
  readonly seconds: number
  /** Ends before that, with so many requests. */
  readonly requests?: number
  /** Asked for in turn. */
  readonly paths: readonly string[]
  /** POST entries of that many bytes, different each time; GET when 0. */
  readonly bodyBytes: number
  /** So many entries to a POST, as a CBOR sequence of byte strings. Without it, one, as it is. */
  readonly batch?: number
  /** POST the bodies in this file instead, each once, and end with the last, or begin again: u32 length ‖ body, of `type`. */
  readonly bodies?: { readonly file: string; readonly type: string; readonly again?: boolean }
  /** Each body ends otherwise than it did: of a signed statement, with another signature. */
  readonly vary?: boolean
  /** Requests a second at most. */
  readonly rate?: number
  /** The address to come from. */
  readonly from?: string
  /** Over TLS, with this certificate of the client, in PEM. Whose certificate the server has is not asked. */
  readonly tls?: { readonly cert: string; readonly key: string }
  /** Every request on a connection of its own. */
  readonly reconnect?: boolean
}

export interface LoadResult {
  readonly requests: number
  readonly requestsPerSecond: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
  /** Answers other than 200 and 201. */
  readonly failures: number
  /** How many of each. */
  readonly statuses: Readonly<Record<number, number>>
}

const STARTED = 'started'

/** The generator's process; call `close` when done. */
export class LoadProcess {
  readonly #child: ChildProcess = fork(new URL(import.meta.url), ['--generate'])

  /** @param started - called when all connections are there and have had an answer, and the load begins */
  run(load: Load, started?: () => void): Promise<LoadResult> {
    return new Promise((resolve, reject) => {
      const died = (code: number | null) => reject(new Error(`the load generator ended with ${code}`))
      this.#child.once('exit', died)
      const hear = (message: unknown) => {
        if (message === STARTED) return started?.()
        this.#child.off('exit', died).off('message', hear)
        resolve(message as LoadResult)
      }
      this.#child.on('message', hear)
      this.#child.send(load)
    })
  }

  close(): void {
    this.#child.disconnect()
  }
}

if (process.argv.includes('--generate') && process.send) {
  process.on('message', (load) => {
    generate(load as Load).then(
      (result) => process.send?.(result),
      (error: unknown) => {
        console.error(error)
        process.exit(1)
      },
    )
  })
}

async function generate(load: Load): Promise<LoadResult> {
  const open = connector(load)
  const sockets = await Promise.all(Array.from({ length: load.connections }, open))
  const readers = sockets.map(answers)
  // Of a server that asks who is there before it answers, the first answer on a connection costs more than all others.
  if (load.tls && !load.reconnect) {
    const [path = '/'] = load.paths
    await Promise.all(
      sockets.map((socket, i) => {
        socket.write(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`)
        return readers[i]!()
      }),
    )
  }
  process.send?.(STARTED)
  const latencies: number[] = []
  let failures = 0
  const statuses: Record<number, number> = {}
  const started = performance.now()
  const end = started + load.seconds * 1000
  const make = load.bodies ? preparedRequests(load.paths[0]!, load.bodies, load.vary) : requests(load)
  let left = load.requests ?? Number.POSITIVE_INFINITY
  const next = () => (left-- > 0 ? make() : undefined)
  await Promise.all(
    sockets.map(async (first, i) => {
      let socket = first
      let answered = readers[i]!
      for (let at = performance.now(); at < end; ) {
        const request = next()
        if (!request) break
        socket.write(request)
        const status = await answered()
        const now = performance.now()
        latencies.push(now - at)
        if (status !== 200 && status !== 201) failures++
        statuses[status] = (statuses[status] ?? 0) + 1
        at = now
        if (load.rate !== undefined) {
          const early = started + (1000 * latencies.length) / load.rate - now
          if (early > 0) await delay(early)
          at = performance.now()
        }
        if (load.reconnect) {
          socket.destroy()
          socket = await open()
          answered = answers(socket)
        }
      }
      socket.destroy()
    }),
  )
  const seconds = (performance.now() - started) / 1000
  latencies.sort((a, b) => a - b)
  const quantile = (q: number) => latencies[Math.floor((latencies.length - 1) * q)] ?? Number.NaN
  const count = latencies.length
  return {
    requests: count,
    requestsPerSecond: count / seconds,
    p50: quantile(0.5),
    p99: quantile(0.99),
    failures,
    statuses,
  }
}

/** Makes the next request: one buffer each, made of a prepared head and, for POST, a body of entries that are unlike all others. */
function requests({ paths, bodyBytes, batch }: Load): () => Buffer {
  if (bodyBytes === 0) {
    const heads = paths.map((path) => Buffer.from(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`))
    let count = 0
    return () => heads[count++ % heads.length]!
  }
  const head = batch === undefined ? Buffer.alloc(0) : Buffer.from(byteStringHead(bodyBytes))
  const entry = head.length + bodyBytes
  const body = randomBytes(entry * (batch ?? 1))
  for (let at = 0; at < body.length; at += entry) head.copy(body, at)
  const type = batch === undefined ? 'application/octet-stream' : 'application/cbor-seq'
  const start = postHead(paths[0]!, type, body.length)
  let count = 0
  return () => {
    for (let at = head.length; at < body.length; at += entry) body.writeUInt32BE(count++, at)
    return Buffer.concat([start, body])
  }
}

function preparedRequests(
  path: string,
  { file, type, again = false }: NonNullable<Load['bodies']>,
  vary = false,
): () => Buffer | undefined {
  const all = readFileSync(file)
  let [at, count] = [0, 0]
  return () => {
    if (at === all.length && again) at = 0
    if (at === all.length) return undefined
    const body = all.subarray(at + 4, at + 4 + all.readUInt32BE(at))
    at += 4 + body.length
    if (vary) body.writeUInt32BE(count++, body.length - 4)
    return Buffer.concat([postHead(path, type, body.length), body])
  }
}

/** The contents of the file of {@link Load.bodies}. */
export function preparedBodies(bodies: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    bodies.flatMap((body) => {
      const length = Buffer.alloc(4)
      length.writeUInt32BE(body.length)
      return [length, body]
    }),
  )
}

function postHead(path: string, type: string, length: number): Buffer {
  return Buffer.from(
    `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: ${type}\r\ncontent-length: ${length}\r\n\r\n`,
  )
}

/** The head of a CBOR byte string of 256 to 65 535 bytes. */
function byteStringHead(length: number): Uint8Array {
  return Uint8Array.of(0x59, length >> 8, length & 0xff)
}

/** Reads whole responses: each call resolves with the status of the next one. */
function answers(socket: Socket): () => Promise<number> {
  let resolveNext: ((status: number) => void) | undefined
  let rejectNext: ((error: Error) => void) | undefined
  let status = 0
  let missing = 0
  let head = ''
  socket.on('data', (chunk: Buffer) => {
    let from = 0
    if (missing === 0) {
      const end = chunk.indexOf('\r\n\r\n')
      head += chunk.toString('latin1', 0, end < 0 ? chunk.length : end)
      if (end < 0) return
      status = Number(head.slice(9, 12))
      missing = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1])
      if (Number.isNaN(missing)) rejectNext?.(new Error(`an answer without content-length: ${head}`))
      head = ''
      from = end + 4
    }
    missing -= chunk.length - from
    if (missing === 0) resolveNext?.(status)
  })
  socket.on('close', () => rejectNext?.(new Error('the server closed a connection')))
  return () =>
    new Promise((resolve, reject) => {
      resolveNext = resolve
      rejectNext = reject
    })
}

function connector({ port, tls: pair, from: localAddress }: Load): () => Promise<Socket> {
  const to = { port, host: '127.0.0.1', noDelay: true, ...(localAddress !== undefined && { localAddress }) }
  if (!pair) return () => connected((done) => connect(to, done))
  const secureContext = tls.createSecureContext(pair)
  const options = { port, host: '127.0.0.1', secureContext, rejectUnauthorized: false }
  return () => connected((done) => tls.connect(options, done).setNoDelay(true))
}

function connected(open: (done: () => void) => Socket): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = open(() => resolve(socket))
    socket.once('error', reject)
  })
}
