/**
 * How fast an audit reads a log: its entries from a log server in another process, over loopback HTTP, hashed up to the root; beside
 * the same bytes hashed in memory by one thread. What is lost is the price of the network, of HTTP and of the log's storage.
 *
 * @module
 */
import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { replayHashes } from '../clients/auditor/index.ts'
import { LogClient } from '../clients/log-client/index.ts'
import { initLog } from '../log-server/init.ts'
import { openLog } from '../log-server/log.ts'
import { startServer } from '../log-server/main.ts'
import { hashEntryBundle, hashPairs, TILE_WIDTH } from '../merkle/index.ts'
import { type BenchOptions, type BenchResult, median } from './result.ts'

interface Served {
  readonly url: string
  readonly origin: string
  readonly vkey: string
}

const now = () => Math.floor(Date.now() / 1000)

export async function benchReplay({ quick }: BenchOptions): Promise<BenchResult[]> {
  const [bundles, rounds] = quick ? [64, 1] : [768, 7]
  const child = fork(new URL(import.meta.url), ['--serve', String(bundles * TILE_WIDTH)])
  try {
    const [served] = (await once(child, 'message')) as [Served]
    const client = new LogClient({ url: served.url, pinned: served, clock: now })
    const checkpoint = await client.checkpoint()
    const inMemory: { bytes: Uint8Array; width: number }[] = []
    await replayHashes(client, checkpoint, { onBundle: (_, bytes, width) => inMemory.push({ bytes, width }) })

    // Warm both, and the server, so that nothing is compiled while it is measured.
    for (let i = 0; i < 2 && !quick; i++) {
      hashAll(inMemory)
      await replayHashes(client, checkpoint)
    }
    const pairs: { ours: number; bound: number }[] = []
    for (let round = 0; round < rounds; round++) {
      const bound = await rate(checkpoint.size, async () => hashAll(inMemory))
      pairs.push({ bound, ours: await rate(checkpoint.size, () => replayHashes(client, checkpoint)) })
    }
    client.close()
    return [
      {
        name: 'audit replay of entries over HTTP / hashed in memory',
        ours: median(pairs.map(({ ours }) => ours)),
        bound: median(pairs.map(({ bound }) => bound)),
        unit: '/s',
        ratio: median(pairs.map(({ ours, bound }) => ours / bound)),
        must: 0.6,
        goal: 0.85,
      },
    ]
  } finally {
    child.kill()
  }
}

/** The bound: leaves and the pairs above them, up to one hash per bundle. */
function hashAll(bundles: readonly { bytes: Uint8Array; width: number }[]): void {
  for (const { bytes, width } of bundles) {
    let row = hashEntryBundle(bytes, width)
    while (row.length > 32 && row.length % 64 === 0) row = hashPairs(row)
  }
}

/** Entries per second. */
async function rate(entries: number, run: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await run()
  return (entries * 1000) / (performance.now() - started)
}

/** The child: a log of `size` random entries, served until the parent ends it. */
async function serve(size: number): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'provlog-bench-'))
  process.once('SIGTERM', () => {
    void rm(dataDir, { recursive: true }).finally(() => process.exit(0))
  })
  await initLog({ dataDir, origin: 'bench.example/replay', now, random: (n) => new Uint8Array(randomBytes(n)) })
  const log = await openLog({ dataDir, now })
  for (let at = 0; at < size; at += 4096) {
    const batch = Math.min(4096, size - at)
    await Promise.all(Array.from({ length: batch }, () => log.sequencer.appendRaw(randomBytes(64))))
  }
  await log.close()
  const { url, origin, vkey } = await startServer({ dataDir, listen: { host: '127.0.0.1', port: 0 } })
  process.send?.({ url, origin, vkey })
}

if (process.argv.includes('--serve') && process.send) await serve(Number(process.argv.at(-1)))
