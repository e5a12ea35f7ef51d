/**
 * GET of a full tile, against GET of 8 KiB out of memory, by the same server: 64 connections.
 *
 * Once as the log serves it, when the tile is among those asked for lately, and once past that memory, each time out of LevelDB.
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
import { openLog, paths } from '../log-server/log.ts'
import { Recent } from '../log-server/reading/recent.ts'
import { Store } from '../log-server/storage/store.ts'
import { parseTilePath, type TileId } from '../merkle/tile.ts'
import { LoadProcess } from './load.ts'
import { type BenchOptions, type BenchResult, median } from './result.ts'

const CONNECTIONS = 64
const TILES = 256

export async function benchTiles({ quick }: BenchOptions): Promise<BenchResult[]> {
  const dataDir = await mkdtemp(join(tmpdir(), 'provlog-bench-'))
  const now = () => Math.floor(Date.now() / 1000)
  await initLog({ dataDir, origin: 'bench.example/tiles', now, random: (n) => new Uint8Array(randomBytes(n)) })
  const log = await openLog({ dataDir, now })
  const tiles = quick ? 32 : TILES
  for (let i = 0; i < tiles; i++) {
    await Promise.all(Array.from({ length: 256 }, (_, j) => log.sequencer.appendRaw(Uint8Array.of(i >> 8, i, j))))
  }

  await log.close()
  const store = await Store.open(paths(dataDir).store)
  const memory = new Uint8Array(randomBytes(8192))
  const recent = new Recent(tiles * memory.length)
  const fromStore = ({ level, index }: TileId) => store.tile(level, index)
  const [app, load] = [Fastify(), new LoadProcess()]
  serve(app, 'memory', async () => memory)
  serve(app, 'recent', (tile) => recent.get(`${tile.level}/${tile.index}`, () => fromStore(tile)))
  serve(app, 'store', fromStore)
  try {
    await app.listen({ port: 0, host: '127.0.0.1' })
    const { port } = app.server.address() as AddressInfo
    const [rounds, seconds] = quick ? [1, 0.2] : [5, 0.4]
    const numbers = Array.from({ length: tiles }, (_, i) => String(i).padStart(3, '0'))
    const run = async (from: string) => {
      const paths = numbers.map((number) => `/${from}/0/${number}`)
      const result = await load.run({ port, connections: CONNECTIONS, seconds, paths, bodyBytes: 0 })
      if (result.failures > 0) throw new Error(`${result.failures} requests failed`)
      return result.requestsPerSecond
    }
    for (const from of ['memory', 'recent', 'store']) await run(from)

    const all: { memory: number; recent: number; store: number }[] = []
    for (let round = 0; round < rounds; round++) {
      all.push({ memory: await run('memory'), recent: await run('recent'), store: await run('store') })
    }
    const result = (name: string, from: 'recent' | 'store'): BenchResult => ({
      name,
      ours: median(all.map((round) => round[from])),
      bound: median(all.map(({ memory }) => memory)),
      unit: '/s',
      ratio: median(all.map((round) => round[from] / round.memory)),
      must: 0.6,
      goal: 0.75,
    })
    return [
      result('GET tile, asked for lately / GET 8 KiB from memory', 'recent'),
      result('GET tile, each time from LevelDB / from memory', 'store'),
    ]
  } finally {
    load.close()
    await app.close()
    await store.close()
    await rm(dataDir, { recursive: true })
  }
}

/** The same route for each source, so that the ratio is of the sources. */
function serve(app: FastifyInstance, name: string, read: (tile: TileId) => Promise<Uint8Array | undefined>): void {
  app.get<{ Params: { '*': string } }>(`/${name}/*`, async (request, reply) => {
    const bytes = await read(parseTilePath(`tile/${request.params['*']}`))
    if (!bytes) throw new Error('no such tile')
    return reply.type('application/octet-stream').send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  })
}
