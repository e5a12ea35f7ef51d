/**
 * Runs the faults: each of the table once for a start, then in turns with faults at storage operations until the time is over or, in the short
 * form, with a few of them.
 *
 * Whatever is chosen comes from the seed and the name of the run, whatever ran before it or beside it. So one that found something can be had
 * again alone.
 *
 * @module
 */
import { Random } from '../fuzz/random.ts'
import { buildChild } from './build.ts'
import { failRepairs, nameRepair, type RepairPoint, repairPoints } from './repairs.ts'
import { Report } from './report.ts'
import { Sites } from './site.ts'
import { type CycleName, later, namePoint, type Point, StorageOperations } from './storage-operations.ts'
import { straceMissing } from './strace.ts'
import { FAULTS } from './table.ts'

export interface RunOptions {
  readonly seed: number
  /** Until then, in milliseconds of `performance.now()`; without it each fault once, and some operations. */
  readonly deadline?: number
  /** At a time. */
  readonly jobs: number
  /** Only what has this in its name. */
  readonly only?: string
  readonly say: (line: string) => void
}

export interface Finding {
  readonly run: string
  readonly error: unknown
}

export interface Outcome {
  readonly report: Report
  readonly findings: readonly Finding[]
  /** Where the directories are that something was found in. */
  readonly kept: string
}

interface Run {
  readonly name: string
  readonly run: (sites: Sites) => Promise<unknown>
}

const CYCLES: readonly CycleName[] = ['append', 'start', 'tables']
/** In the short form, of each cycle. */
const FEW = 4
/** Of two faults in a row. */
const PAIRS = 60
const FEW_PAIRS = 2
/** Findings after which no more are looked for: what breaks every run is seen in these. */
const ENOUGH = 20

export async function runFaults({ seed, deadline, jobs, only, say }: RunOptions): Promise<Outcome> {
  const report = new Report()
  const script = await buildChild('.', 'server')
  const sites = await Sites.create(script, new Random(seed), report)
  const findings: Finding[] = []
  try {
    const runs = await planned(sites, { seed, only, long: deadline !== undefined, say })
    const work = async () => {
      for (let run = runs.next(); !run.done; run = runs.next()) {
        const { name } = run.value
        const start = performance.now()
        try {
          await run.value.run(sites.with(new Random(seed, name)))
          report.ran(name.split(':')[0]!)
          say(`ok      ${name}  ${Math.round(performance.now() - start)} ms`)
        } catch (error) {
          findings.push({ run: name, error })
          say(`FAILED  ${name}\n        ${error instanceof Error ? error.message : String(error)}`)
        }
        if (findings.length >= ENOUGH || (deadline !== undefined && performance.now() >= deadline)) return
      }
    }
    await Promise.all(Array.from({ length: jobs }, work))
  } finally {
    await sites.close(findings.length > 0)
  }
  return { report, findings, kept: sites.scratch }
}

async function planned(
  sites: Sites,
  options: { seed: number; only: string | undefined; long: boolean; say: (line: string) => void },
): Promise<Iterator<Run>> {
  const { seed, only, long } = options
  const faults = FAULTS.filter((fault) => {
    const why = fault.missing?.()
    if (why !== undefined) skip(sites, options.say, fault.id, why)
    return why === undefined
  })
  const table = (round: number): Run[] => faults.map(({ id, run }) => ({ name: `${id}:${round}`, run }))
  const operations = await operationRuns(sites, options)
  const wanted = ({ name }: Run) => only === undefined || name.includes(only)
  const [, round] = only?.split(':') ?? []
  const first = [...table(Number(round) || 0), ...operations].filter(wanted)
  if (first.length === 0) throw new Error(`no run is named ${only}`)
  // One by its whole name, as a finding tells it, is had once.
  if (!long || round !== undefined) return first[Symbol.iterator]()
  return endless(table, operations, new Random(seed, 'order'), wanted)
}

/** Operations for as long as there are some, a kill for each three of them, and the rest of the table from time to time. */
function* endless(
  table: (round: number) => Run[],
  operations: Run[],
  random: Random,
  wanted: (run: Run) => boolean,
): Generator<Run> {
  yield* table(0).filter(wanted)
  for (let round = 1; ; round++) {
    const [kill, ...others] = table(round)
    const some = [...operations.splice(0, 3), kill!, ...(round % 4 === 0 ? [random.pick(others)] : [])].filter(wanted)
    if (some.length === 0 && operations.length === 0) some.push(...table(round).filter(wanted))
    yield* some
  }
}

/** In an order of the seed, but that of a row of writes to one file the inner ones, of which one is like the other, come last. */
async function operationRuns(
  sites: Sites,
  { seed, long, say }: { seed: number; long: boolean; say: (line: string) => void },
): Promise<Run[]> {
  const why = straceMissing()
  if (why !== undefined) {
    skip(sites, say, 'storage operations', why)
    return []
  }
  const storage = await StorageOperations.prepare(sites)
  const random = new Random(seed, 'points')
  const [outer, inner]: [Point[], Point[]] = [[], []]
  const all: Record<CycleName, Point[]> = { append: [], start: [], tables: [] }
  for (const cycle of CYCLES) {
    try {
      all[cycle] = shuffled(await storage.points(cycle), random)
    } catch (error) {
      // Found before there was a fault: in the order of the operations.
      return [{ name: `${cycle}:order`, run: () => Promise.reject(error) }]
    }
    const isInner = innerAmong(all[cycle])
    inner.push(...all[cycle].filter(isInner))
    outer.push(...all[cycle].filter((point) => !isInner(point)).slice(0, long ? undefined : FEW))
  }
  const pairs = Array.from({ length: long ? PAIRS : FEW_PAIRS }, () => [
    random.pick(all.append),
    later(random.pick(all.start), 1),
  ])
  const repairs = shuffled(await repairPoints(sites), random)
  const repairPairs = Array.from({ length: long ? PAIRS / 2 : 1 }, () => [random.pick(repairs), random.pick(repairs)])
  const ofRepair = [...(long ? repairs : repairs.slice(0, FEW_PAIRS)).map((point) => [point]), ...repairPairs].map(
    repairOf,
  )
  const runs = (some: readonly Point[][]) => some.map((points) => runOf(storage, points))
  const first = shuffled([...runs(outer.map((point) => [point])), ...runs(pairs), ...ofRepair], random)
  return long ? [...first, ...runs(shuffled(inner, random).map((point) => [point]))] : first
}

/** Whether there is a write to the same file before it and one after it. */
function innerAmong(points: readonly Point[]): (point: Point) => boolean {
  const name = ({ operation: { call, path } }: Point, nth: number) => `${call} ${path} ${nth}`
  const all = new Set(points.map((point) => name(point, point.operation.nth)))
  return (point) => {
    const { call, nth } = point.operation
    return call === 'write' && all.has(name(point, nth - 1)) && all.has(name(point, nth + 1))
  }
}

function runOf(storage: StorageOperations, points: readonly Point[]): Run {
  const name = points.map((point) => `${point.cycle} ${namePoint(point)}`).join(', then ')
  const group = points.length === 1 ? points[0]!.cycle : 'two faults'
  return { name: `${group}:${name}`, run: (sites) => storage.over(sites).injectAll(points) }
}

function repairOf(points: readonly RepairPoint[]): Run {
  return { name: `repair:${points.map(nameRepair).join(', then ')}`, run: (sites) => failRepairs(sites, points) }
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const left = [...items]
  return items.map(() => left.splice(random.below(left.length), 1)[0]!)
}

function skip(sites: Sites, say: (line: string) => void, id: string, why: string): void {
  sites.report.skipped.set(id, why)
  say(`SKIPPED ${id}: ${why}`)
}
