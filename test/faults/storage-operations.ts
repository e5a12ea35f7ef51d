/**
 * A fault at every storage operation of a cycle: of starting on what a crash left, of registering, and of LevelDB's beginning another log and
 * writing and merging tables.
 *
 * First the cycle runs and `strace` writes down its operations. Then, for each of them and each fault, it runs again from the same bytes, and the
 * process is killed before that operation, or the operation fails.
 *
 * @module
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { within } from './child.ts'
import { Client } from './client.ts'
import { checkLoudEnd, type Served, type Site, type Sites } from './site.ts'
import { type Call, callsIn, type Fault, nameOf, type Operation, operationsOf, Strace } from './strace.ts'
import { Violation } from './violation.ts'

export type CycleName = 'start' | 'append' | 'tables'

/** A fault at one operation. */
export interface Point {
  readonly cycle: CycleName
  readonly operation: Operation
  readonly fault: Fault
  /** It fails from then on, as a disk that is gone. */
  readonly again: boolean
}

export const namePoint = ({ operation, fault, again }: Point): string =>
  `${fault}${again ? ' and on' : ''} ${nameOf(operation)}`

const ONE_THREAD = { oneThread: true }
/** LevelDB's least. A batch of 60 small statements fills it. */
const SMALL = { writeBufferSize: 64 * 1024 }

export class StorageOperations {
  readonly #sites: Sites
  /** Signed once: each run registers the same. */
  readonly #single: Uint8Array
  readonly #batches: readonly Uint8Array[][]

  private constructor(sites: Sites, single: Uint8Array, batches: readonly Uint8Array[][]) {
    this.#sites = sites
    this.#single = single
    this.#batches = batches
  }

  static async prepare(sites: Sites): Promise<StorageOperations> {
    const batches: Uint8Array[][] = []
    for (let i = 0; i < 4; i++) batches.push(await sites.writer.statements(60))
    return new StorageOperations(sites, await sites.writer.statement(), batches)
  }

  /** For another run of the same cycles. */
  over(sites: Sites): StorageOperations {
    return new StorageOperations(sites, this.#single, this.#batches)
  }

  /** Every fault that there is in a cycle. @throws {@link Violation} I7 when the order of its operations is not the one that makes it durable */
  async points(cycle: CycleName): Promise<Point[]> {
    const site = await this.#sites.site()
    const child = await this.#sites.children.take(ONE_THREAD)
    const output = `${site.dataDir}.strace`
    let strace: Strace | undefined
    if (cycle === 'start') strace = await Strace.trace(child.pid, output)
    const started = await child.serve(site.dataDir, cycle === 'tables' ? SMALL : {})
    if (!('url' in started)) throw new Error(`${cycle}: ${child.complaint}`)
    strace ??= await Strace.trace(child.pid, output)
    const client = new Client(started.url, site.ledger)
    await this.#run(cycle, client)
    client.close()
    const calls = callsIn(await strace.end(), site.dataDir)
    await child.kill()
    checkOrder(cycle, calls)
    await this.#sites.discard(site)
    await rm(output)
    const points = operationsOf(calls).flatMap((operation) => [...faultsAt(cycle, operation)])
    this.#sites.report.possible(cycle, points.map(namePoint))
    return points
  }

  /** @returns whether it came to the fault @throws {@link Violation} */
  async inject(point: Point): Promise<boolean> {
    return this.injectAll([point])
  }

  /** One fault after another, each on what the one before left. */
  async injectAll(points: readonly Point[]): Promise<boolean> {
    const { report } = this.#sites
    const site = await this.#sites.site()
    let hits = 0
    for (const point of points) {
      if (!(await this.#fault(site, point))) continue
      hits++
      report.covered(point.cycle, namePoint(point))
    }
    await this.#sites.check(site)
    await this.#sites.discard(site)
    return hits === points.length
  }

  /** Runs a cycle into its fault; afterwards no server runs. @returns whether it came to it */
  async #fault(site: Site, point: Point): Promise<boolean> {
    const { cycle, operation, fault, again } = point
    const { children, report } = this.#sites
    const child = await children.take(ONE_THREAD)
    const output = `${site.dataDir}.strace`
    const injection = { operation, fault, again, path: join(site.dataDir, operation.path) }
    let strace: Strace | undefined
    if (cycle === 'start') strace = await Strace.inject(child.pid, output, injection)
    const started = await child.serve(site.dataDir, cycle === 'tables' ? SMALL : {})
    let served: Served | undefined
    if ('url' in started) {
      strace ??= await Strace.inject(child.pid, output, injection)
      served = { child, url: started.url, client: new Client(started.url, site.ledger) }
      await this.#run(cycle, served.client)
      // An error of LevelDB's own thread may be on its way.
      await within(100, child.ended)
    }
    const injected = (await strace!.end()).split('(INJECTED)').length - 1
    await rm(output)
    if (fault === 'KILL') {
      // Where the operation did not come, in this order or by this name, the kill comes now.
      const hit = !child.alive
      await child.kill()
      report.kills++
      served?.client.close()
      return hit
    }
    report.injectedErrors += injected
    if (!child.alive) {
      served?.client.close()
      checkLoudEnd(await child.ended, child)
    } else if (injected === 0) {
      served?.client.close()
      await child.kill()
    } else await this.#survived(site, served!, point)
    return injected > 0
  }

  async #run(cycle: CycleName, client: Served['client']): Promise<void> {
    if (cycle === 'start') return
    await client.register([this.#single])
    const batches = cycle === 'tables' ? this.#batches : this.#batches.slice(0, 1)
    for (const batch of batches) if ((await client.register(batch)) === 'broken') return
  }

  /** It lives on: it may only where nothing depends on that operation, and else must end before it acknowledges anything. */
  async #survived(site: Site, served: Served, { operation, fault, cycle }: Point): Promise<void> {
    const { child, client } = served
    if (mayFail(operation)) {
      await this.#sites.checkServed(site, served)
      await this.#sites.stop(served)
      return
    }
    // LevelDB tells of an error of its own thread with the next write.
    for (let i = 0; i < 3 && child.alive; i++) await client.register([await this.#sites.writer.statement()])
    if ((await within(2000, child.ended)) === 'late') {
      throw new Violation('I7', `${cycle}: the log goes on after ${fault} of ${nameOf(operation)}`)
    }
    checkLoudEnd(await child.ended, child)
    client.close()
  }
}

/** What a log may live on without: files that are to go, directories that are there already. */
function mayFail({ call }: Operation): boolean {
  return call.startsWith('unlink') || call.startsWith('mkdir')
}

function* faultsAt(cycle: CycleName, operation: Operation): Generator<Point> {
  const at = { cycle, operation }
  if (operation.reads) {
    // A file that cannot be read. What was read once is in memory, and no disk is asked again.
    if (operation.nth === 1) yield { ...at, fault: 'EIO', again: true }
    return
  }
  yield { ...at, fault: 'KILL', again: false }
  yield { ...at, fault: 'EIO', again: false }
  if (/sync/.test(operation.call)) yield { ...at, fault: 'EIO', again: true }
  if (/^(write|pwrite|open|creat|rename|mkdir|ftruncate|fallocate|fdatasync|fsync)/.test(operation.call)) {
    yield { ...at, fault: 'ENOSPC', again: false }
  }
}

/**
 * No answer leaves before what it says is on the disk: the log that was written is synced, then the guard is written (through `O_DSYNC`), and
 * nothing is written through a mapping of a file, where no call would be seen to fail.
 */
function checkOrder(cycle: CycleName, calls: readonly Call[]): void {
  const lasting = calls.find(({ call, path, text }) => call === 'mmap' && path && /PROT_WRITE.*MAP_SHARED/.test(text))
  if (lasting) throw new Violation('I7', `a file is written through a mapping: ${lasting.text}`)
  let unsynced: Call | undefined
  let unguarded: Call | undefined
  for (const each of calls) {
    const { call, path = '', text } = each
    if (/^store\/\d+\.log$/.test(path)) {
      if (call === 'write') unsynced = unguarded = each
      if (call === 'fdatasync') unsynced = undefined
    }
    if (path === 'guard' && call === 'pwrite64') {
      if (unsynced) throw new Violation('I7', `the guard is written before ${unsynced.text} is synced`)
      unguarded = undefined
    }
    const answers = /^(write|writev|sendto)$/.test(call) && /HTTP\/1\.1 20/.test(text)
    if (cycle !== 'start' && answers && (unsynced || unguarded)) {
      throw new Violation('I7', `an answer leaves before ${(unsynced ?? unguarded)!.text} is durable`)
    }
  }
}

/** The same operation of a start that comes so many starts later: each start of LevelDB takes three numbers of files. */
export function later(point: Point, starts: number): Point {
  const path = point.operation.path.replace(/\d{6}/, (number) => String(Number(number) + 3 * starts).padStart(6, '0'))
  return { ...point, operation: { ...point.operation, path } }
}
