/**
 * Entries in batches of 100 to a POST, each figure beside what bounds it.
 *
 *     unverified   bytes of 1 KiB through `Sequencer.appendRawAll`, against LevelDB that writes the same bytes packed
 *     verified     records signed with ES256 and with Ed25519 through POST /v1/entries, against checking the same signatures and nothing else
 *
 * Both over HTTP, from another process, on connections that always have a request under way.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify, { type FastifyInstance } from 'fastify'
import { Level } from 'level'
import { importVerificationKey } from '#signature'
import { buildApp } from '../log-server/app.ts'
import { initLog } from '../log-server/init.ts'
import { type Log, openLog } from '../log-server/log.ts'
import {
  encodeCborSequence,
  type SignedStatement,
  sigStructure,
  splitByteStrings,
  type VerificationKey,
} from '../statement/index.ts'
import { LoadProcess, preparedBodies } from './load.ts'
import { type BenchOptions, type BenchResult, median } from './result.ts'
import { type BenchAlgorithm, createSignedLog, now, type SignedLog } from './signed-log.ts'
import { VerifyBound } from './verify-bound.ts'

const PER_POST = 100
const ENTRY_BYTES = 1024

export async function benchBatch(options: BenchOptions): Promise<BenchResult[]> {
  const directory = await mkdtemp(join(tmpdir(), 'provlog-bench-'))
  const load = new LoadProcess()
  try {
    const unverified = await benchUnverified(directory, load, options)
    const verified: BenchResult[] = []
    for (const algorithm of ['ES256', 'Ed25519'] as const) {
      const signed = await createSignedLog(join(directory, algorithm), algorithm)
      try {
        const how = { algorithm, signed, directory, load, options }
        verified.push(await benchVerified('issuance policies', () => signed.policy(), how))
        verified.push(await benchVerified('sealed provenance', () => signed.provenance(), how))
      } finally {
        await signed.log.close()
      }
    }
    return [unverified, ...verified]
  } finally {
    load.close()
    await rm(directory, { recursive: true })
  }
}

async function benchUnverified(directory: string, load: LoadProcess, { quick }: BenchOptions): Promise<BenchResult> {
  const dataDir = join(directory, 'raw')
  await initLog({ dataDir, origin: 'bench.example/batch', now, random: (n) => new Uint8Array(randomBytes(n)) })
  const log = await openLog({ dataDir, now })
  const app = await rawServer(log)
  const db = await PackedLevel.open(join(directory, 'packed'))
  try {
    const [rounds, seconds] = quick ? [1, 0.3] : [7, 1]
    const { port } = app.server.address() as AddressInfo
    const ours = async (duration = seconds) => {
      const what = { paths: ['/add'], bodyBytes: ENTRY_BYTES, batch: PER_POST }
      const result = await load.run({ port, connections: 32, seconds: duration, ...what })
      if (result.failures > 0) throw new Error(`${result.failures} requests failed`)
      return result.requestsPerSecond * PER_POST
    }
    // Until it is compiled.
    await ours(quick ? 0.3 : 3)
    await db.rate(seconds)
    const pairs: [number, number][] = []
    for (let round = 0; round < rounds; round++) pairs.push([await ours(), await db.rate(seconds)])
    return resultOf('unverified appends, 100 to a POST / packed LevelDB', pairs, { must: 0.35, goal: 0.5 })
  } finally {
    await app.close()
    await log.close()
    await db.close()
  }
}

/** The interface that Tessera's load generator speaks, for batches: answers with the indexes. */
export async function rawServer(log: Log): Promise<FastifyInstance> {
  const app = Fastify()
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/cbor-seq', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.post<{ Body: Buffer }>('/add', async (request) => {
    const indexes = await log.sequencer.appendRawAll(splitByteStrings(request.body, PER_POST))
    return indexes.join()
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  return app
}

/** LevelDB writing 256 entries as one value, synced: the least that keeping them can cost. */
class PackedLevel {
  static readonly BATCH = 256
  readonly #db: Level<number, Uint8Array>
  readonly #value = new Uint8Array(randomBytes(PackedLevel.BATCH * ENTRY_BYTES))
  #key = 0

  private constructor(db: Level<number, Uint8Array>) {
    this.#db = db
  }

  static async open(location: string): Promise<PackedLevel> {
    const db = new Level<number, Uint8Array>(location, {
      keyEncoding: 'json',
      valueEncoding: 'view',
      compression: false,
      writeBufferSize: 16 * 1024 * 1024,
    })
    await db.open()
    return new PackedLevel(db)
  }

  /** Entries a second. */
  async rate(seconds: number): Promise<number> {
    const started = performance.now()
    const end = started + seconds * 1000
    let batches = 0
    for (; performance.now() < end; batches++) {
      await this.#db.batch([{ type: 'put', key: this.#key++, value: this.#value }], { sync: true })
    }
    return (batches * PackedLevel.BATCH * 1000) / (performance.now() - started)
  }

  close(): Promise<void> {
    return this.#db.close()
  }
}

async function benchVerified(
  what: string,
  build: () => Promise<SignedStatement>,
  {
    algorithm,
    signed,
    directory,
    load,
    options,
  }: { algorithm: BenchAlgorithm; signed: SignedLog; directory: string; load: LoadProcess; options: BenchOptions },
): Promise<BenchResult> {
  const [rounds, perRound] = options.quick ? [1, 800] : [7, 6400]
  const app = buildApp({ log: signed.log, now })
  try {
    await app.listen({ port: 0, host: '127.0.0.1' })
    const { port } = app.server.address() as AddressInfo
    const file = join(directory, 'bodies')
    const ours = async (statements: readonly SignedStatement[]) => {
      await writeFile(file, bodiesOf(statements))
      const bodies = { file, type: 'application/cbor-seq' }
      const result = await load.run({
        port,
        connections: 16,
        seconds: 60,
        paths: ['/v1/entries'],
        bodyBytes: 0,
        bodies,
      })
      if (result.failures > 0) throw new Error(`${result.failures} requests failed`)
      return result.requestsPerSecond * PER_POST
    }
    const { size } = signed.log.reader.treeHead()
    let posted = 0
    const pairs: [number, number][] = []
    let last: readonly SignedStatement[] = []
    // The first round is for the compiler.
    for (let round = 0; round <= rounds; round++) {
      const statements: SignedStatement[] = []
      last = statements
      while (statements.length < perRound) statements.push(await build())
      pairs.push([await ours(statements), await verificationRate(statements, signed)])
      posted += perRound
    }
    if (signed.log.reader.treeHead().size !== size + posted) throw new Error('not every statement was registered')
    const name = `verified appends (${what}), 100 to a POST / ${algorithm}`
    // What it must reach was set for Ed25519. A record costs as much beside a signature that takes a third less.
    if (algorithm !== 'Ed25519') return resultOf(name, pairs.slice(1))
    const result = resultOf(name, pairs.slice(1), { must: 0.75, goal: 0.9 })
    const threads = await threadsRate(last, signed, rounds)
    return {
      ...result,
      notes: `as the log's threads check them, alone: ${(threads / 1000).toFixed(0)}k /s`,
    }
  } finally {
    await app.close()
  }
}

function bodiesOf(statements: readonly SignedStatement[]): Buffer {
  const bodies: Uint8Array[] = []
  for (let at = 0; at < statements.length; at += PER_POST) {
    bodies.push(encodeCborSequence(statements.slice(at, at + PER_POST).map(({ bytes }) => bytes)))
  }
  return preparedBodies(bodies)
}

/** Signatures a second when nothing else is done: all of the thread pool, and always work for it. */
async function verificationRate(statements: readonly SignedStatement[], { log }: SignedLog): Promise<number> {
  const kid = statements[0]!.header.kid!
  const key: VerificationKey = await importVerificationKey(log.authorities.keyOf(kid)!)
  const signatures = statements.map(({ sign1, payload }) => ({
    data: sigStructure(sign1.protectedBytes, payload),
    signature: sign1.signature,
  }))
  const started = performance.now()
  const verdicts = await Promise.all(signatures.map(({ data, signature }) => key.verify(data, signature)))
  const seconds = (performance.now() - started) / 1000
  if (!verdicts.every(Boolean)) throw new Error('a signature does not verify')
  return statements.length / seconds
}

/** The same, as threads of ours check it. */
async function threadsRate(statements: readonly SignedStatement[], { log }: SignedLog, rounds: number) {
  const jwk = log.authorities.keyOf(statements[0]!.header.kid!)!
  const bound = await VerifyBound.start(
    statements.map(({ sign1, payload }) => ({
      content: sigStructure(sign1.protectedBytes, payload),
      signature: sign1.signature,
      jwk,
    })),
  )
  try {
    const rates: number[] = []
    for (let round = 0; round < rounds; round++) {
      const started = performance.now()
      await bound.run('our threads')
      rates.push((statements.length * 1000) / (performance.now() - started))
    }
    return median(rates)
  } finally {
    bound.close()
  }
}

function resultOf(
  name: string,
  pairs: readonly (readonly [ours: number, bound: number])[],
  held?: { must: number; goal: number },
): BenchResult {
  return {
    name,
    ours: median(pairs.map(([ours]) => ours)),
    bound: median(pairs.map(([, bound]) => bound)),
    unit: '/s',
    ratio: median(pairs.map(([ours, bound]) => ours / bound)),
    ...held,
  }
}
