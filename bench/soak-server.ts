/**
 * A log in a process of its own that takes entries as they are, beside its application: what the soak fills, kills and opens again.
 *
 *     POST /add    application/cbor-seq: a batch; application/octet-stream: one. Answers with indexes, once they are durable
 *     POST /v1/entries, GET /checkpoint, …    as every log, on a port of their own
 *
 * @module
 */
import { type ChildProcess, fork } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import { buildApp } from '../log-server/app.ts'
import { type Log, openLog } from '../log-server/log.ts'
import { splitByteStrings } from '../statement/cbor-sequence.ts'

/** Entries in one POST at most. */
const MAX_PER_POST = 1000
const MAX_BODY_BYTES = 4 * 1024 * 1024

// Nothing is imported that a log does not need: what starting takes is measured.
const now = (): number => Math.floor(Date.now() / 1000)

interface Ports {
  readonly port: number
  readonly rawPort: number
  /** Milliseconds that opening the log took. */
  readonly openedIn: number
}

/** Of a process, in bytes: all of its memory in RAM, and which of that is no view of a file. */
export interface Memory {
  readonly rss: number
  readonly anonymous: number
}

export class SoakServer {
  readonly port: number
  readonly rawPort: number
  readonly openedIn: number
  /** Milliseconds from the start of the process to its first answer. */
  readonly answeredIn: number
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, { port, rawPort, openedIn }: Ports, answeredIn: number) {
    this.#child = child
    this.port = port
    this.rawPort = rawPort
    this.openedIn = openedIn
    this.answeredIn = answeredIn
  }

  static async start(dataDir: string): Promise<SoakServer> {
    const started = performance.now()
    const child = fork(new URL(import.meta.url), ['--soak', dataDir])
    const ports = await new Promise<Ports>((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`the log ended with ${code}`)))
      child.once('message', (message) => resolve(message as Ports))
    })
    await (await fetch(`http://127.0.0.1:${ports.port}/checkpoint`)).text()
    return new SoakServer(child, ports, performance.now() - started)
  }

  /** Size of the tree that it shows. */
  async size(): Promise<number> {
    const checkpoint = await (await fetch(`http://127.0.0.1:${this.port}/checkpoint`)).text()
    return Number(checkpoint.split('\n')[1])
  }

  /** Of Linux alone. */
  async memory(): Promise<Memory> {
    const status = await readFile(`/proc/${this.#child.pid}/status`, 'utf8')
    const bytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024
    return { rss: bytes('VmRSS'), anonymous: bytes('RssAnon') }
  }

  /** Resolves when the process is gone. */
  end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    return new Promise((resolve) => {
      this.#child.removeAllListeners('exit').once('exit', () => resolve())
      this.#child.kill(signal)
    })
  }
}

const at = process.argv.indexOf('--soak')
if (at > 0 && process.send) {
  const started = performance.now()
  const log = await openLog({ dataDir: process.argv[at + 1]!, now })
  const openedIn = performance.now() - started
  const apps = [buildApp({ log, now }), rawApp(log)]
  for (const app of apps) await app.listen({ port: 0, host: '127.0.0.1' })
  const [port, rawPort] = apps.map((app) => (app.server.address() as AddressInfo).port)
  const close = async () => {
    await Promise.all(apps.map((app) => app.close()))
    await log.close()
    process.exit()
  }
  process.once('SIGTERM', () => void close())
  // Whoever started it is gone.
  process.once('disconnect', () => void close())
  process.send({ port, rawPort, openedIn })
}

function rawApp(log: Log): FastifyInstance {
  const app = Fastify({ bodyLimit: MAX_BODY_BYTES, forceCloseConnections: true })
  app.removeAllContentTypeParsers()
  const types = ['application/cbor-seq', 'application/octet-stream']
  app.addContentTypeParser(types, { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.post<{ Body: Buffer }>('/add', async (request) => {
    if (request.headers['content-type'] !== 'application/cbor-seq')
      return String(await log.sequencer.appendRaw(request.body))
    return (await log.sequencer.appendRawAll(splitByteStrings(request.body, MAX_PER_POST))).join()
  })
  return app
}
