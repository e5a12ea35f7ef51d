/**
 * How fast a log is read again, by how much is asked of it. Each from a log server in another process, over loopback HTTP:
 *
 *     hashes       the entries, hashed up to the root; beside the same bytes hashed in memory by one thread
 *     signatures   the statements too, each held against its entry, verified, and its signer looked up; beside the same signatures, checked on
 *                  both cores and nothing else
 *     an audit     and every record read, judged and written to the database, without a key; beside the same
 *
 * What is lost is the price of the network, of HTTP, of the log's storage, and of whatever else is asked.
 *
 * @module
 */
import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { replay, replayHashes, replayLog } from '../clients/auditor/index.ts'
import { LogClient } from '../clients/log-client/index.ts'
import { initLog } from '../log-server/init.ts'
import { openLog } from '../log-server/log.ts'
import { startServer } from '../log-server/main.ts'
import { hashEntryBundle, hashPairs, TILE_WIDTH, tileWidth } from '../merkle/index.ts'
import { decodePublicKey, parseTrust, recordOfStatement } from '../provenance/index.ts'
import { type MadeLog, makeLog } from '../scripts/make-log/make.ts'
import { kidOf, type PublicJwk, parseSignedStatement, sigStructure } from '../statement/index.ts'
import { type BenchOptions, type BenchResult, median } from './result.ts'
import { type CheckedBy, type Signed, VerifyBound } from './verify-bound.ts'

interface Served {
  readonly url: string
  readonly origin: string
  readonly vkey: string
}

const now = () => Math.floor(Date.now() / 1000)

interface Size {
  /** Of 256 entries: of the log of which hashes are asked. */
  readonly bundles: number
  /** Of the log that is made. */
  readonly entries: number
  readonly rounds: number
}

export async function* benchReplay({ quick }: BenchOptions): AsyncGenerator<BenchResult> {
  if (quick) return yield* replayed({ bundles: 64, entries: 600, rounds: 1 })
  // Of fewer entries, starting the threads and compiling what they run is what is measured: 0.4 s of processor time, however long the log.
  yield* benchHashes({ bundles: 768, rounds: 7 })
  yield* benchMade({ entries: 65_536, rounds: 3 })
}

/** A log of a million entries: half an hour, a third of which it takes to make it, and 8 GB of disk. */
export function benchReplayMillion({ quick, entries = 1_000_000 }: BenchOptions): AsyncGenerator<BenchResult> {
  const many = quick ? 8192 : entries
  return replayed({ bundles: Math.ceil(many / TILE_WIDTH), entries: many, rounds: quick ? 1 : 3 })
}

async function* replayed(size: Size): AsyncGenerator<BenchResult> {
  yield* benchHashes(size)
  yield* benchMade(size)
}

async function* benchHashes({ bundles, rounds }: Omit<Size, 'entries'>): AsyncGenerator<BenchResult> {
  const child = fork(new URL(import.meta.url), ['--serve', String(bundles * TILE_WIDTH)])
  try {
    const [served] = (await once(child, 'message')) as [Served]
    const client = new LogClient({ url: served.url, pinned: served, clock: now })
    const checkpoint = await client.checkpoint()
    const inMemory: { bytes: Uint8Array; width: number }[] = []
    await replayHashes(client, checkpoint, {
      onBundle: (_, bytes, width) => inMemory.push({ bytes: bytes.slice(), width }),
    })

    // Warm both, and the server, so that nothing is compiled while it is measured.
    for (let i = 0; i < 2 && rounds > 1; i++) {
      hashAll(inMemory)
      await replayHashes(client, checkpoint)
    }
    const pairs: { ours: number; bound: number }[] = []
    for (let round = 0; round < rounds; round++) {
      const bound = await rate(checkpoint.size, async () => hashAll(inMemory))
      pairs.push({ bound, ours: await rate(checkpoint.size, () => replayHashes(client, checkpoint)) })
    }
    client.close()
    yield {
      name: 'audit replay of entries over HTTP / hashed in memory',
      ours: median(pairs.map(({ ours }) => ours)),
      bound: median(pairs.map(({ bound }) => bound)),
      unit: '/s',
      ratio: median(pairs.map(({ ours, bound }) => ours / bound)),
      must: 0.7,
      goal: 0.85,
    }
  } finally {
    child.kill()
  }
}

async function* benchMade({ entries, rounds }: Omit<Size, 'bundles'>): AsyncGenerator<BenchResult> {
  const directory = await mkdtemp(join(tmpdir(), 'provlog-bench-'))
  const dataDir = join(directory, 'log')
  const jobs = rounds > 1 ? 2 : 0
  try {
    const made = await makeLog({ dataDir, entries, seed: 'bench', faults: false, wrapEvery: 0, jobs })
    yield* benchAudits(directory, made, rounds)
  } finally {
    await rm(directory, { recursive: true })
  }
}

async function* benchAudits(directory: string, made: MadeLog, rounds: number): AsyncGenerator<BenchResult> {
  const dataDir = join(directory, 'log')
  const child = fork(new URL(import.meta.url), ['--serve-made', dataDir])
  let signatures: VerifyBound | undefined
  try {
    const [served] = (await once(child, 'message')) as [Served]
    const client = new LogClient({ url: served.url, pinned: served, clock: () => made.now })
    const trust = parseTrust(await readFile(join(dataDir, 'TRUST.json'), 'utf8'))
    const checked = Math.min(made.size, BOUND_SIGNATURES)
    // Nobody holds on to them here: a collector that has more to look through is none of the audit's.
    signatures = await VerifyBound.start(await signedOf(client, checked))
    /** Microseconds a signature. */
    const boundProcessor: Record<CheckedBy, number[]> = { 'crypto.verify': [], 'our threads': [] }
    const bound = async (by: CheckedBy = 'crypto.verify') => {
      // As long as a replay of few entries takes, of many: what is compared should have had the same machine.
      const times = Math.ceil(Math.min(made.size, BOUND_SIGNATURES * 4) / checked)
      const before = process.cpuUsage()
      const perSecond = await rate(checked * times, async () => {
        for (let i = 0; i < times; i++) await signatures!.run(by)
      })
      const { user, system } = process.cpuUsage(before)
      boundProcessor[by].push((user + system) / (checked * times))
      return perSecond
    }
    let runs = 0
    const run = async (ask: (stateDir: string) => Promise<{ findings: readonly object[] }>) => {
      const stateDir = join(directory, `replay ${runs++}`)
      const before = await processorTime(child)
      const perSecond = await rate(made.size, async () => {
        const { findings } = await ask(stateDir)
        if (findings.length > 0) throw new Error('a replay of an honest log found something')
      })
      const processor = ((await processorTime(child)) - before) / made.size
      await rm(stateDir, { recursive: true })
      return { perSecond, processor }
    }
    const input = { client, trust, now: made.now }
    const asked: readonly [
      name: string,
      ask: (stateDir: string) => Promise<{ findings: readonly object[] }>,
      must?: number,
    ][] = [
      ['a replay of signatures', (stateDir) => replayLog({ ...input, stateDir, kind: 'signatures' }), 0.9],
      ['a whole audit', (stateDir) => replay({ ...input, stateDir })],
    ]
    for (const [name, ask, must] of asked) {
      if (rounds > 1) for (const warm of [() => bound(), () => run(ask)]) await warm()
      const pairs: { ours: number; bound: number; processor: number }[] = []
      let before = await bound()
      for (let round = 0; round < rounds; round++) {
        const { perSecond, processor } = await run(ask)
        // On both sides of what takes minutes of a large log: a shared machine is another one by then.
        const after = await bound()
        pairs.push({ bound: (before + after) / 2, ours: perSecond, processor })
        before = after
      }
      await bound('our threads')
      const [node, threads] = Object.values(boundProcessor).map((each) => median(each).toFixed(0))
      yield {
        name: `${name}, Ed25519 / its signatures checked on both cores and nothing else`,
        ours: median(pairs.map(({ ours }) => ours)),
        bound: median(pairs.map((each) => each.bound)),
        unit: '/s',
        ratio: median(pairs.map((each) => each.ours / each.bound)),
        ...(must !== undefined && { must }),
        notes: `${median(pairs.map(({ processor }) => processor)).toFixed(0)} µs of processor time an entry, log and auditor together; its signature alone ${node} by crypto.verify, which is the bound, ${threads} as our threads check it`,
      }
    }
    client.close()
  } finally {
    signatures?.close()
    child.kill()
  }
}

/** Of a large log, those of its first entries: one takes as long as another, and a million of them are three gigabytes. */
const BOUND_SIGNATURES = 16_384

/** Of the log and of this process with all its threads, microseconds. */
async function processorTime(child: ChildProcess): Promise<number> {
  child.send('cpu')
  const [served] = (await once(child, 'message')) as [NodeJS.CpuUsage]
  const own = process.cpuUsage()
  return own.user + own.system + served.user + served.system
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
  process.on('message', () => process.send?.(process.cpuUsage()))
}

if (process.argv.includes('--serve-made') && process.send) await serveMade(process.argv.at(-1)!)
if (process.argv.includes('--serve') && process.send) await serve(Number(process.argv.at(-1)))
