/**
 * Durable appends over HTTP, against what HTTP alone costs: POST of 1 KiB at 256 connections.
 *
 * Ours answers with the index once the entry is in the tree, signed for and synced; the bound is the same Fastify that reads the body
 * and answers at once. No signatures of submitters are checked: this is the interface that Tessera's load generator speaks.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify, { type FastifyInstance } from 'fastify'
import { initLog } from '../log-server/init.ts'
import { openLog } from '../log-server/log.ts'
import { LoadProcess, type LoadResult } from './load.ts'
import { type BenchOptions, type BenchResult, median } from './result.ts'

const CONNECTIONS = 256
const BODY_BYTES = 1024

export async function benchAppend({ quick }: BenchOptions): Promise<BenchResult[]> {
  const dataDir = await mkdtemp(join(tmpdir(), 'provlog-bench-'))
  const now = () => Math.floor(Date.now() / 1000)
  await initLog({ dataDir, origin: 'bench.example/append', now, random: (n) => new Uint8Array(randomBytes(n)) })
  const log = await openLog({ dataDir, now })
  const [ours, bare] = [
    await server(async (body) => String(await log.sequencer.appendRaw(body))),
    await server(async () => '0'),
  ]
  const load = new LoadProcess()
  try {
    const [rounds, seconds] = quick ? [1, 0.3] : [7, 1]
    const run = async (app: FastifyInstance, duration = seconds) => {
      const { port } = app.server.address() as AddressInfo
      const paths = ['/add']
      const result = await load.run({ port, connections: CONNECTIONS, seconds: duration, paths, bodyBytes: BODY_BYTES })
      if (result.failures > 0) throw new Error(`${result.failures} requests failed`)
      return result
    }
    // Until both are compiled: in its first second the sequencer runs at a third of its speed.
    const warmUp = quick ? 0.3 : 2
    await run(ours, warmUp)
    await run(bare, warmUp)

    const pairs: [ours: LoadResult, bare: LoadResult][] = []
    for (let round = 0; round < rounds; round++) pairs.push([await run(ours), await run(bare)])
    return [
      {
        name: 'durable appends, unverified / bare Fastify POST',
        ours: median(pairs.map(([a]) => a.requestsPerSecond)),
        bound: median(pairs.map(([, b]) => b.requestsPerSecond)),
        unit: '/s',
        ratio: median(pairs.map(([a, b]) => a.requestsPerSecond / b.requestsPerSecond)),
        must: 0.45,
        goal: 0.62,
      },
      {
        name: 'append latency, median / 99th percentile',
        ours: median(pairs.map(([a]) => a.p50)),
        bound: median(pairs.map(([a]) => a.p99)),
        unit: 'ms',
        ratio: median(pairs.map(([a]) => a.p50 / a.p99)),
        must: 0.33,
        goal: 0.5,
      },
    ]
  } finally {
    load.close()
    await Promise.all([ours.close(), bare.close()])
    await log.close()
    await rm(dataDir, { recursive: true })
  }
}

async function server(add: (body: Uint8Array) => Promise<string>): Promise<FastifyInstance> {
  const app = Fastify()
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_request, body, done) =>
    done(null, body),
  )
  app.post<{ Body: Buffer }>('/add', (request) => add(request.body))
  await app.listen({ port: 0, host: '127.0.0.1' })
  return app
}
