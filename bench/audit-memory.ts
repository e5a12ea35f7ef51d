/**
 * What memory an audit takes: a whole one, without a key, of a million entries and of a tenth of them, each in a process of its own that does nothing
 * else, with the log in another. The figure is the most that the process ever had in memory (`maxrss`, as the kernel counts it), with
 * everything: Node, its threads, the tables by which records are judged, and the database's engine.
 *
 * @module
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { replay } from '../clients/auditor/index.ts'
import { LogClient } from '../clients/log-client/index.ts'
import { parseTrust } from '../provenance/index.ts'
import { makeLog } from '../scripts/make-log/make.ts'
import type { BenchResult } from './result.ts'

interface Order {
  readonly dataDir: string
  readonly stateDir: string
  readonly url: string
  readonly origin: string
  readonly vkey: string
  /** POSIX seconds: long after everything on the log has ended. */
  readonly now: number
}

export async function benchAuditMemory({ entries }: { entries: number }): Promise<BenchResult[]> {
  const directory = await mkdtemp(join(tmpdir(), 'provlog-bench-'))
  try {
    const some = await peakOf(join(directory, 'some'), Math.ceil(entries / 10))
    const all = await peakOf(join(directory, 'all'), entries)
    return [
      {
        name: `memory of an audit (peak RSS), ${entries} entries / a tenth of them`,
        ours: all / 1e6,
        bound: some / 1e6,
        unit: 'MB',
        ratio: some / all,
        must: 1 / 1.3,
      },
    ]
  } finally {
    await rm(directory, { recursive: true })
  }
}

/** Bytes. */
async function peakOf(directory: string, entries: number): Promise<number> {
  const dataDir = join(directory, 'log')
  const { now } = await makeLog({ dataDir, entries, seed: 'bench', faults: false, wrapEvery: 0, jobs: 2 })
  const server = fork(new URL(`replay${extname(import.meta.url)}`, import.meta.url), ['--serve-made', dataDir])
  const auditor = fork(new URL(import.meta.url), [AUDITS])
  try {
    const [served] = (await once(server, 'message')) as [Pick<Order, 'url' | 'origin' | 'vkey'>]
    auditor.send({ ...served, dataDir, stateDir: join(directory, 'audit'), now } satisfies Order)
    const [peak] = (await once(auditor, 'message')) as [number | string]
    if (typeof peak === 'string') throw new Error(peak)
    return peak
  } finally {
    server.kill()
    auditor.kill()
  }
}

const AUDITS = '--audit-for-memory'

/** The child. */
async function audit({ dataDir, stateDir, now, ...served }: Order): Promise<number> {
  const client = new LogClient({ url: served.url, pinned: served, clock: () => now })
  const trust = parseTrust(await readFile(join(dataDir, 'TRUST.json'), 'utf8'))
  const { findings } = await replay({ client, trust, stateDir, now })
  client.close()
  if (findings.length > 0) throw new Error('an audit of an honest log found something')
  return process.resourceUsage().maxRSS * 1024
}

if (process.argv.includes(AUDITS) && process.send) {
  process.once('message', (order: Order) => {
    audit(order)
      .catch((error: unknown) => String(error))
      .then((outcome) => process.send!(outcome))
      .catch(() => process.exit(1))
  })
}
