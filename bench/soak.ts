/**
 * Ten million entries in one log: does anything grow with them that should not?
 *
 * A server in a process of its own is filled in batches, one entry in two hundred of them a signed record, and looked at where it has a tenth of
 * the entries and where it has all:
 *
 *     memory    of the process while it appended the last fiftieth, the median of many looks
 *     latency   of single appends on 256 connections, while nothing else runs
 *     opening   from the start of the process to its first answer, after SIGKILL in the midst of appends; what was acknowledged is there
 *     disk      bytes an entry
 *
 * Not among what `npm run bench` runs: `npm run bench -- soak [--entries 10000000]`. It needs Linux, and some 1.3 KiB of disk an entry in `TMPDIR`.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { encodeCborSequence } from '../statement/index.ts'
import { LoadProcess, preparedBodies } from './load.ts'
import { type BenchResult, median } from './result.ts'
import { createSignedLog, type SignedLog } from './signed-log.ts'
import { type Memory, SoakServer } from './soak-server.ts'

export interface SoakOptions {
  readonly entries: number
}

const ENTRY_BYTES = 1024
const PER_POST = 500
const CONNECTIONS = 8
/** One record signed by an issuer to so many entries. */
const RAW_TO_SIGNED = 199
const SIGNED_PER_POST = 100
const LATENCY_CONNECTIONS = 256
const LATENCY_SECONDS = 10
const KILLS = 3

/** What a log of so many entries is like. */
interface Mark {
  readonly entries: number
  readonly rss: number
  readonly anonymous: number
  readonly p50: number
  readonly p99: number
  /** Milliseconds: the whole start, and of that opening the log. */
  readonly answeredIn: number
  readonly openedIn: number
  readonly diskBytes: number
}

export async function benchSoak({ entries }: SoakOptions): Promise<BenchResult[]> {
  const directory = await mkdtemp(join(tmpdir(), 'provlog-soak-'))
  // Whoever has not the patience should not be left with what there is of it.
  const breakOff = () => {
    rmSync(directory, { recursive: true, force: true })
    process.exit(130)
  }
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, breakOff)
  try {
    const soak = await Soak.start(directory)
    try {
      const round = Math.max(PER_POST * CONNECTIONS, Math.round(entries / 200))
      const before = await soak.markAt(Math.round(entries / 10), round)
      return resultsOf(before, await soak.markAt(entries, round))
    } finally {
      await soak.close()
    }
  } finally {
    await rm(directory, { recursive: true, force: true })
    for (const signal of ['SIGINT', 'SIGTERM']) process.removeListener(signal, breakOff)
  }
}

class Soak {
  readonly #directory: string
  readonly #signed: SignedLog
  readonly #load = new LoadProcess()
  readonly #started = performance.now()
  #server: SoakServer
  /** In each of the last rounds. */
  #memory: Memory[][] = []

  private constructor(directory: string, signed: SignedLog, server: SoakServer) {
    this.#directory = directory
    this.#signed = signed
    this.#server = server
  }

  static async start(directory: string): Promise<Soak> {
    const signed = await createSignedLog(join(directory, 'log'), 'ES256')
    await signed.log.close()
    return new Soak(directory, signed, await SoakServer.start(join(directory, 'log')))
  }

  /** Fills the log up to so many entries, so many in a round, and looks at it. */
  async markAt(entries: number, round: number): Promise<Mark> {
    for (let size = await this.#server.size(); size < entries; size = await this.#server.size()) {
      const began = performance.now()
      const seen = await this.#append(Math.min(round, entries - size))
      this.#memory = [...this.#memory.slice(1 - ROUNDS_LOOKED_AT), seen]
      const rate = (1000 * ((await this.#server.size()) - size)) / (performance.now() - began)
      const { rss, anonymous } = medianOf(seen)
      const memory = `${megabytes(rss)}, without files ${megabytes(anonymous)}`
      this.#say(`${size} of ${entries} entries, ${Math.round(rate)}/s, ${memory}`)
    }
    const { rss, anonymous } = medianOf(this.#memory.flat())
    const { p50, p99 } = await this.#latency()
    this.#say(`appends alone: p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`)
    const diskBytes = await bytesIn(join(this.#directory, 'log'))
    const size = await this.#server.size()
    const starts = await this.#killed()
    const slowest = starts.reduce((a, b) => (a.answeredIn > b.answeredIn ? a : b))
    const { answeredIn, openedIn } = slowest
    return { entries, rss, anonymous, p50, p99, answeredIn, openedIn, diskBytes: diskBytes / size }
  }

  async close(): Promise<void> {
    this.#load.close()
    await this.#server.end('SIGTERM')
  }

  /** What memory it had meanwhile. */
  async #append(count: number): Promise<Memory[]> {
    const records = Math.floor(count / (RAW_TO_SIGNED + 1))
    const statements: Uint8Array[] = []
    while (statements.length < records) statements.push((await this.#signed.provenance()).bytes)
    const watching = this.#watch()
    await this.#fill(Math.max(PER_POST, count - records))
    if (records > 0) await this.#post(statements)
    return watching.end()
  }

  async #fill(count: number): Promise<void> {
    const { rawPort: port } = this.#server
    const requests = Math.ceil(count / PER_POST)
    const what = { paths: ['/add'], bodyBytes: ENTRY_BYTES, batch: PER_POST, requests }
    await this.#run({ port, connections: CONNECTIONS, seconds: 3600, ...what })
  }

  async #post(statements: readonly Uint8Array[]): Promise<void> {
    const bodies: Uint8Array[] = []
    for (let at = 0; at < statements.length; at += SIGNED_PER_POST) {
      bodies.push(encodeCborSequence(statements.slice(at, at + SIGNED_PER_POST)))
    }
    const file = join(this.#directory, 'bodies')
    await writeFile(file, preparedBodies(bodies))
    const what = { paths: ['/v1/entries'], bodyBytes: 0, bodies: { file, type: 'application/cbor-seq' } }
    await this.#run({ port: this.#server.port, connections: CONNECTIONS, seconds: 3600, ...what })
  }

  /** Of appends one by one, when what was written before has been sorted. */
  async #latency(): Promise<{ p50: number; p99: number }> {
    const { rawPort: port } = this.#server
    await delay(QUIET)
    const what = { port, connections: LATENCY_CONNECTIONS, paths: ['/add'], bodyBytes: ENTRY_BYTES }
    await this.#run({ ...what, seconds: 2 })
    return this.#run({ ...what, seconds: LATENCY_SECONDS })
  }

  async #run(load: Parameters<LoadProcess['run']>[0]) {
    const result = await this.#load.run(load)
    if (result.failures > 0) throw new Error(`${result.failures} requests failed`)
    return result
  }

  /** Kills the process while it appends and starts it again, several times. */
  async #killed(): Promise<SoakServer[]> {
    const starts: SoakServer[] = []
    for (let i = 0; i < KILLS; i++) {
      await this.#fill(20_000)
      const acknowledged = await this.#killInTheMidst()
      this.#server = await SoakServer.start(join(this.#directory, 'log'))
      const size = await this.#server.size()
      if (size <= acknowledged) throw new Error(`entry ${acknowledged} was acknowledged, and there are ${size}`)
      const { answeredIn, openedIn } = this.#server
      this.#say(`killed; answers after ${Math.round(answeredIn)} ms, of which opening ${Math.round(openedIn)}`)
      starts.push(this.#server)
    }
    return starts
  }

  /** The highest index that anybody was answered with. */
  async #killInTheMidst(): Promise<number> {
    const url = `http://127.0.0.1:${this.#server.rawPort}/add`
    const headers = { 'content-type': 'application/octet-stream' }
    let [acknowledged, answers] = [-1, 0]
    let killed: Promise<void> | undefined
    const client = async () => {
      try {
        for (;;) {
          const answer = await fetch(url, { method: 'POST', headers, body: randomBytes(ENTRY_BYTES) })
          acknowledged = Math.max(acknowledged, Number(await answer.text()))
          if (++answers === ANSWERS_BEFORE_KILL) killed = this.#server.end('SIGKILL')
        }
      } catch (error) {
        if (!killed) throw error
      }
    }
    await Promise.all(Array.from({ length: 32 }, client))
    await killed
    return acknowledged
  }

  #watch(): { end(): Promise<Memory[]> } {
    const ended = new AbortController()
    const looking = (async () => {
      const seen = [await this.#server.memory()]
      while (!ended.signal.aborted) {
        await delay(100, undefined, { signal: ended.signal }).catch(() => undefined)
        seen.push(await this.#server.memory())
      }
      return seen
    })()
    return {
      end: () => {
        ended.abort()
        return looking
      },
    }
  }

  #say(what: string): void {
    process.stderr.write(`soak ${Math.round((performance.now() - this.#started) / 1000)} s: ${what}\n`)
  }
}

/** In milliseconds: until LevelDB has compacted what there is to compact. */
const QUIET = 10_000
const ANSWERS_BEFORE_KILL = 1000
const ROUNDS_LOOKED_AT = 4

function medianOf(seen: readonly Memory[]): Memory {
  return { rss: median(seen.map(({ rss }) => rss)), anonymous: median(seen.map(({ anonymous }) => anonymous)) }
}

function resultsOf(before: Mark, after: Mark): BenchResult[] {
  const [some, all] = [before, after].map(({ entries }) => `${entries / 1e6}M`)
  const grown = (name: string, what: keyof Mark, unit: string, scale: number) => ({
    name: `${name}, at ${some} / at ${all} entries`,
    ours: after[what] / scale,
    bound: before[what] / scale,
    unit,
    ratio: before[what] / after[what],
  })
  const latencies = [before, after].map((mark) => ({
    name: `append latency at ${mark.entries / 1e6}M entries, median / 99th percentile`,
    ours: mark.p50,
    bound: mark.p99,
    unit: 'ms',
    ratio: mark.p50 / mark.p99,
    must: 0.33,
    goal: 0.5,
  }))
  const openings = [before, after].map((mark) => ({
    name: `start after SIGKILL at ${mark.entries / 1e6}M entries: a second / to the first answer`,
    ours: mark.answeredIn,
    bound: 1000,
    unit: 'ms',
    ratio: 1000 / mark.answeredIn,
    must: 1,
  }))
  return [
    { ...grown('memory (RSS)', 'rss', 'MB', 1e6), must: 1 / 1.3, goal: 1 / 1.15 },
    grown('memory without views of files', 'anonymous', 'MB', 1e6),
    ...latencies,
    grown('99th percentile of appends', 'p99', 'ms', 1),
    ...openings,
    grown('opening the log after SIGKILL', 'openedIn', 'ms', 1),
    grown('bytes on the disk for an entry', 'diskBytes', 'B', 1),
  ]
}

async function bytesIn(directory: string): Promise<number> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true })
  const sizes = found.map(async (entry) => {
    // LevelDB may be done with a file by now.
    const { blocks } = await stat(join(entry.parentPath, entry.name)).catch(() => ({ blocks: 0 }))
    return blocks * 512
  })
  return (await Promise.all(sizes)).reduce((sum, bytes) => sum + bytes, 0)
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`
}
