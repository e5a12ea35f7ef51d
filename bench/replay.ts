/**
 * How fast an audit reads a log: its entries from a log server in another process, over loopback HTTP, hashed up to the root; beside
 * the same bytes hashed in memory by one thread. What is lost is the price of the network, of HTTP and of the log's storage.
 *
 * And a whole audit, without a key: every record read, judged and written to the database; beside its signatures, checked on both cores and
 * nothing else.
 *
 * @module
 */
import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { replay, replayHashes } from '../clients/auditor/index.ts'
import { LogClient } from '../clients/log-client/index.ts'
import { initLog } from '../log-server/init.ts'
import { openLog } from '../log-server/log.ts'
import { startServer } from '../log-server/main.ts'
import { hashEntryBundle, hashPairs, TILE_WIDTH, tileWidth } from '../merkle/index.ts'
import { decodePublicKey, parseTrust, recordOfStatement } from '../provenance/index.ts'
import { makeLog } from '../scripts/make-log/make.ts'
import { kidOf, type PublicJwk, parseSignedStatement, sigStructure } from '../statement/index.ts'
import { type BenchOptions, type BenchResult, median } from './result.ts'
import { type Signed, VerifyBound } from './verify-bound.ts'

interface Served {
  readonly url: string
  readonly origin: string
  readonly vkey: string
}

const now = () => Math.floor(Date.now() / 1000)

export async function benchReplay(options: BenchOptions): Promise<BenchResult[]> {
  return [...(await benchHashes(options)), ...(await benchAudit(options))]
}

async function benchHashes({ quick }: BenchOptions): Promise<BenchResult[]> {
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
        must: 0.7,
        goal: 0.85,
      },
    ]
  } finally {
    child.kill()
  }
}

async function benchAudit({ quick }: BenchOptions): Promise<BenchResult[]> {
  const [entries, rounds] = quick ? [600, 1] : [8192, 5]
  const directory = await mkdtemp(join(tmpdir(), 'provlog-bench-'))
  const dataDir = join(directory, 'log')
  const made = await makeLog({ dataDir, entries, seed: 'bench', faults: false, wrapEvery: 0, jobs: quick ? 0 : 2 })
  const child = fork(new URL(import.meta.url), ['--serve-made', dataDir])
  let signatures: VerifyBound | undefined
  try {
    const [served] = (await once(child, 'message')) as [Served]
    const client = new LogClient({ url: served.url, pinned: served, clock: () => made.now })
    const trust = parseTrust(await readFile(join(dataDir, 'TRUST.json'), 'utf8'))
    signatures = await VerifyBound.start(await signedOf(client, made.size))
    const verifyAll = () => signatures!.run()
    let audits = 0
    const audit = async () => {
      const stateDir = join(directory, `audit ${audits++}`)
      const { findings } = await replay({ client, trust, stateDir, now: made.now })
      if (findings.length > 0) throw new Error('an audit of an honest log found something')
    }
    if (!quick) for (const run of [verifyAll, audit]) await run()
    const pairs: { ours: number; bound: number }[] = []
    for (let round = 0; round < rounds; round++) {
      const bound = await rate(made.size, verifyAll)
      pairs.push({ bound, ours: await rate(made.size, audit) })
    }
    client.close()
    return [
      {
        name: 'a whole audit, Ed25519 / its signatures checked on both cores and nothing else',
        ours: median(pairs.map(({ ours }) => ours)),
        bound: median(pairs.map(({ bound }) => bound)),
        unit: '/s',
        ratio: median(pairs.map(({ ours, bound }) => ours / bound)),
        must: 0.9,
      },
    ]
  } finally {
    signatures?.close()
    child.kill()
    await rm(directory, { recursive: true })
  }
}

/** Every statement with the key that it names. */
async function signedOf(client: LogClient, size: number): Promise<Signed[]> {
  const keys = new Map<string, PublicJwk>()
  const signed: Signed[] = []
  for (let n = 0; n * TILE_WIDTH < size; n++) {
    for (const bytes of await client.statementBundle(n, tileWidth(0, n, size))) {
      const statement = parseSignedStatement(bytes)
      const record = recordOfStatement(statement)
      const named = record.type === 'log-policy' ? record.fields.adminKeys : []
      const authorized = record.type === 'key-authorization' ? [record.fields.key] : []
      for (const jwk of [...named, ...authorized].map(decodePublicKey)) keys.set(kidOf(jwk), jwk)
      const { sign1, payload, header } = statement
      const content = sigStructure(sign1.protectedBytes, payload)
      signed.push({ content, signature: sign1.signature, jwk: keys.get(header.kid ?? '')! })
    }
  }
  return signed
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

/** The child: a log that was made before. */
async function serveMade(dataDir: string): Promise<void> {
  const { url, origin, vkey } = await startServer({ dataDir, listen: { host: '127.0.0.1', port: 0 } })
  process.send?.({ url, origin, vkey })
}

if (process.argv.includes('--serve-made') && process.send) await serveMade(process.argv.at(-1)!)
if (process.argv.includes('--serve') && process.send) await serve(Number(process.argv.at(-1)))
