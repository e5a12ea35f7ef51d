/**
 * GET of a full tile out of the store, against GET of 8 KiB out of memory, by the same server: 64 connections.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify from 'fastify'
import { initLog } from '../log-server/init.ts'
import { openLog } from '../log-server/log.ts'
import { parseTilePath } from '../merkle/tile.ts'
import { LoadProcess } from './load.ts'
import { type BenchOptions, type BenchResult, median } from './result.ts'

const CONNECTIONS = 64
/** Large enough that the tiles are not all in one block cache. */
const TILES = 512

export async function benchTiles({ quick }: BenchOptions): Promise<BenchResult[]> {
  const dataDir = await mkdtemp(join(tmpdir(), 'provlog-bench-'))
  const now = () => Math.floor(Date.now() / 1000)
  await initLog({ dataDir, origin: 'bench.example/tiles', now, random: (n) => new Uint8Array(randomBytes(n)) })
  const log = await openLog({ dataDir, now })
  const tiles = quick ? 32 : TILES
  for (let i = 0; i < tiles; i++) {
    await Promise.all(Array.from({ length: 256 }, (_, j) => log.sequencer.appendRaw(Uint8Array.of(i >> 8, i, j))))
  }

  const app = Fastify()
  const memory = randomBytes(8192)
  app.get('/memory/*', (_request, reply) => reply.type('application/octet-stream').send(memory))
  app.get<{ Params: { '*': string } }>('/tile/*', async (request, reply) => {
    const tile = await log.reader.tile(parseTilePath(`tile/${request.params['*']}`))
    if (!tile) throw new Error('no such tile')
    return reply.type('application/octet-stream').send(Buffer.from(tile.buffer, tile.byteOffset, tile.byteLength))
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.addresses()[0]!
  const load = new LoadProcess()
  try {
    const [rounds, seconds] = quick ? [1, 0.2] : [5, 0.7]
    const numbers = Array.from({ length: tiles }, (_, i) => String(i).padStart(3, '0'))
    const run = async (kind: 'tile' | 'memory') => {
      const paths = numbers.map((number) => `/${kind}/0/${number}`)
      const result = await load.run({ port, connections: CONNECTIONS, seconds, paths, bodyBytes: 0 })
      if (result.failures > 0) throw new Error(`${result.failures} requests failed`)
      return result.requestsPerSecond
    }
    await run('tile')
    await run('memory')

    const pairs: [number, number][] = []
    for (let round = 0; round < rounds; round++) pairs.push([await run('tile'), await run('memory')])
    return [
      {
        name: 'GET tile from the store / GET 8 KiB from memory',
        ours: median(pairs.map(([a]) => a)),
        bound: median(pairs.map(([, b]) => b)),
        unit: '/s',
        ratio: median(pairs.map(([a, b]) => a / b)),
        must: 0.6,
        goal: 0.75,
      },
    ]
  } finally {
    load.close()
    await app.close()
    await log.close()
    await rm(dataDir, { recursive: true })
  }
}
