/**
 * Honest clients beside others who take what they can: how long an append takes then, and what becomes of the rest.
 *
 *     forged      256 connections that post statements with a signature that does not hold, each another one
 *     batches     16 connections that post 100 good statements at a time, and again
 *     limited     64 connections of an address that may post 200 statements a second, and posts as fast as it is answered
 *     slow        10,000 connections that say nothing, or little, or do not read (`slow-clients.ts`)
 *
 * The honest are 4 connections that post one statement after another, from an address of their own; the log is in a process of its own.
 * Nobody waits as `Retry-After` says. Each figure is beside the one that the same clients had alone, just before.
 *
 * @module
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeCborSequence } from '../statement/index.ts'
import { type Load, LoadProcess, type LoadResult, preparedBodies } from './load.ts'
import type { BenchOptions, BenchResult } from './result.ts'
import { ServerProcess } from './server-process.ts'
import { createSignedLog, type SignedLog } from './signed-log.ts'
import { SlowProcess } from './slow-clients.ts'

const [HONEST, ABUSER, ANOTHER] = ['127.0.0.1', '127.0.0.2', '127.0.0.3']
const LIMIT = 200
const ENTRIES = { paths: ['/entries'], type: 'application/cose' }
const BATCHES = { paths: ['/v1/entries'], type: 'application/cbor-seq' }

export async function benchOverload({ quick }: BenchOptions): Promise<BenchResult[]> {
  const directory = await mkdtemp(join(tmpdir(), 'provlog-bench-'))
  const world = await World.create(directory, quick)
  try {
    const { forged, batches } = world
    return [
      await world.beside('forged', {}, (load) => load(forged, { ...ENTRIES, connections: 256, vary: true })),
      await world.beside('batches', {}, (load) => load(batches, { ...BATCHES, connections: 16 })),
      await world.beside('limited', { callerLimit: { requestsPerSecond: LIMIT } }, (load) =>
        load(forged, { ...ENTRIES, connections: 64, vary: true }),
      ),
      await world.besideSlow(),
    ]
  } finally {
    world.close()
    await rm(directory, { recursive: true })
  }
}

type Abuse = (file: string, how: { type: string } & Pick<Load, 'paths' | 'connections' | 'vary'>) => Promise<LoadResult>

class World {
  readonly forged: string
  readonly batches: string
  readonly #directory: string
  readonly #signed: SignedLog
  readonly #quick: boolean
  readonly #honest = new LoadProcess()
  readonly #abuser = new LoadProcess()

  private constructor(directory: string, signed: SignedLog, quick: boolean) {
    this.#directory = directory
    this.#signed = signed
    this.#quick = quick
    this.forged = join(directory, 'forged')
    this.batches = join(directory, 'batches')
  }

  static async create(directory: string, quick: boolean): Promise<World> {
    const signed = await createSignedLog(join(directory, 'log'), 'ES256')
    await signed.log.close()
    const world = new World(directory, signed, quick)
    await writeFile(world.forged, preparedBodies(await world.#statements(100)))
    const statements = await world.#statements(quick ? 1000 : 10_000)
    const batches: Uint8Array[] = []
    for (let at = 0; at < statements.length; at += 100) {
      batches.push(encodeCborSequence(statements.slice(at, at + 100)))
    }
    await writeFile(world.batches, preparedBodies(batches))
    return world
  }

  close(): void {
    this.#honest.close()
    this.#abuser.close()
  }

  beside(name: string, server: object, abuse: (load: Abuse) => Promise<LoadResult>): Promise<BenchResult> {
    return this.#served(name, server, async (port, honest) => {
      const seconds = this.#seconds + 1
      const abused = abuse((file, { type, ...how }) =>
        this.#abuser.run({ ...how, port, from: ABUSER, seconds, bodyBytes: 0, bodies: { file, type, again: true } }),
      )
      const result = await honest()
      const { statuses, requestsPerSecond } = await abused
      return { result, notes: `the others: ${Math.round(requestsPerSecond)}/s, ${countsOf(statuses)}` }
    })
  }

  besideSlow(): Promise<BenchResult> {
    const connections = this.#quick ? 500 : 10_000
    return this.#served('slow', {}, async (port, honest) => {
      const addresses = [ABUSER, ANOTHER]
      const slow = await SlowProcess.start({ port, connections, addresses, path: '/openapi.json' })
      const result = await honest()
      const { opened, refused } = await slow.end()
      return { result, notes: `${opened} connections opened, ${refused} of them answered with 503` }
    })
  }

  get #seconds(): number {
    return this.#quick ? 1 : 4
  }

  async #served(
    name: string,
    config: object,
    overloaded: (port: number, honest: () => Promise<LoadResult>) => Promise<{ result: LoadResult; notes: string }>,
  ): Promise<BenchResult> {
    const dataDir = join(this.#directory, 'log')
    const path = join(dataDir, 'config.json')
    const { server: _before, ...log } = JSON.parse(await readFile(path, 'utf8')) as { server?: object }
    await writeFile(path, JSON.stringify({ ...log, server: config }))
    const server = await ServerProcess.start(dataDir)
    try {
      const port = Number(new URL(server.url).port)
      const honest = () => this.#honestly(port, 'limited' === name ? LIMIT / 2 : undefined)
      await honest()
      const alone = await honest()
      const before = await server.rss()
      let most = before
      const looking = setInterval(() => void server.rss().then((rss) => (most = Math.max(most, rss))), 200)
      const { result, notes } = await overloaded(port, honest)
      clearInterval(looking)
      if (result.failures > 0) throw new Error(`${result.failures} honest requests were refused`)
      return {
        name: `append of an honest client, alone / beside ${name}: 99th percentile`,
        ours: result.p99,
        bound: alone.p99,
        unit: 'ms',
        ratio: alone.p99 / result.p99,
        notes: [
          `p50 ${alone.p50.toFixed(1)} ms alone, ${result.p50.toFixed(1)} ms beside them`,
          notes,
          `memory ${megabytes(before)}, at most ${megabytes(most)}`,
        ].join('; '),
      }
    } finally {
      await server.close()
    }
  }

  /** @param rate - requests a second at most, for whoever has a limit to keep to */
  async #honestly(port: number, rate?: number): Promise<LoadResult> {
    const file = join(this.#directory, 'honest')
    const count = (rate ?? 500) * this.#seconds
    await writeFile(file, preparedBodies(await this.#statements(count)))
    const bodies = { file, type: ENTRIES.type }
    const load = { port, from: HONEST, connections: 4, seconds: this.#seconds, paths: ENTRIES.paths, bodyBytes: 0 }
    return this.#honest.run({ ...load, bodies, ...(rate !== undefined && { rate }) })
  }

  async #statements(count: number): Promise<Uint8Array[]> {
    const statements: Uint8Array[] = []
    while (statements.length < count) statements.push((await this.#signed.policy()).bytes)
    return statements
  }
}

function countsOf(statuses: LoadResult['statuses']): string {
  return Object.entries(statuses)
    .map(([status, count]) => `${status} × ${count}`)
    .join(', ')
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`
}
