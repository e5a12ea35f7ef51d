/**
 * Runs one reader on many inputs that are nearly right, and says what came out that should not have.
 *
 *     accepted    the value passed the target's own checks: the oracles agree, and writing it gives the same bytes
 *     refused     by an `EvidenceError` with a code that the reader's documentation names
 *     failed      anything else: another exception, an input that was written to, an oracle that says no, or more than its time
 *
 * Which pieces of code an input reached is not looked at: what the reader said about it, without numbers and names, tells inputs
 * apart well enough here, because these readers say precisely what is wrong.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { concatBytes, equalBytes } from '../../merkle/bytes.ts'
import { EvidenceError } from '../../merkle/error.ts'
import { amplifier, type Mutator } from './mutate.ts'
import type { Random } from './random.ts'

/** One reader under test. */
export interface Target<T = unknown> {
  /** As in `--target`, and the folder of its corpus. */
  readonly name: string
  /** Valid inputs, made by our own code. What stands in the corpus comes on top. */
  readonly seeds: readonly Uint8Array[]
  readonly mutators: readonly Mutator[]
  /** The longest input for which {@link TIME_LIMIT} is promised. */
  readonly maxBytes: number
  /** What a refusal may be called: the `@throws` of the reader. */
  readonly codes: readonly string[]
  /** Milliseconds, where {@link TIME_LIMIT} is not the promise; say why. */
  readonly timeLimit?: number
  /** The code under test. Its time counts. */
  read(input: Uint8Array): T | Promise<T>
  /** Throws {@link Difference} when `value` is not what `input` says. Returns what kind of value it is. */
  check(value: T, input: Uint8Array): string | Promise<string>
  /** Throws {@link Difference} when another reader would not have refused `input` with this code. */
  checkRefusal?(code: string, input: Uint8Array): void
  close?(): Promise<void>
}

/** What an oracle objects to. */
export class Difference extends Error {
  override readonly name = 'Difference'
}

export function demand(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Difference(what)
}

/** Writing what was read must give what was read: the format has one text for one thing. */
export function demandSame(input: Uint8Array, again: Uint8Array): void {
  demand(equalBytes(input, again), 'writes other bytes than it read')
}

/** Milliseconds of the main thread that one call may take: ARCHITECTURE, invariant 5. */
export const TIME_LIMIT = 5
/** As often as a slow call is repeated: the least counts, since compiling and collecting garbage come and go. */
const REPEATS = 40

export type Outcome =
  | { readonly kind: 'accepted' | 'refused'; readonly shape: string }
  | { readonly kind: 'failed'; readonly shape: string; readonly message: string }

/**
 * What one input comes to.
 *
 * @param slack how many times slower this machine may be than those that the promise is for
 */
export async function outcomeOf(target: Target, input: Uint8Array, slack = 1): Promise<Outcome> {
  const before = input.slice()
  const start = performance.now()
  const attempt = await attemptOf(target, input)
  const elapsed = performance.now() - start
  if (!equalBytes(before, input)) return failed('input changed', 'the reader wrote into its input')
  const limit = slack * (target.timeLimit ?? TIME_LIMIT)
  if (elapsed > limit) {
    const least = await leastTime(target, input, limit)
    if (least > limit) return failed('slow', `${least.toFixed(1)} ms for ${input.length} bytes`)
  }
  if ('error' in attempt) {
    const { error } = attempt
    if (!(error instanceof EvidenceError)) return failed(`threw ${nameOf(error)}`, describe(error))
    if (!target.codes.includes(error.code))
      return failed(`code ${error.code}`, `refused with ${error.code}: ${error.message}`)
    const difference = refusalDifference(target, error.code, input)
    if (difference) return failed(`difference ${withoutParticulars(difference.message)}`, difference.message)
    return { kind: 'refused', shape: `${error.code} ${withoutParticulars(error.message)}` }
  }
  try {
    return { kind: 'accepted', shape: `accepted ${await target.check(attempt.value, input)}` }
  } catch (error) {
    if (error instanceof Difference) return failed(`difference ${withoutParticulars(error.message)}`, error.message)
    return failed(`check threw ${nameOf(error)}`, describe(error))
  }
}

function refusalDifference(target: Target, code: string, input: Uint8Array): Difference | undefined {
  try {
    target.checkRefusal?.(code, input)
    return undefined
  } catch (error) {
    if (error instanceof Difference) return error
    throw error
  }
}

async function attemptOf(target: Target, input: Uint8Array): Promise<{ value: unknown } | { error: unknown }> {
  try {
    const value = target.read(input)
    return { value: value instanceof Promise ? await value : value }
  } catch (error) {
    return { error }
  }
}

async function leastTime(target: Target, input: Uint8Array, limit: number): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let i = 0; i < REPEATS && least > limit; i++) {
    const start = mainThreadTime()
    await attemptOf(target, input)
    least = Math.min(least, mainThreadTime() - start)
  }
  return least
}

const SCHEDULER_STATISTICS = `/proc/self/task/${process.pid}/schedstat`
let hasStatistics = true

/** Milliseconds that the main thread has computed; where the system does not say, those of all threads. */
export function mainThreadTime(): number {
  // Asking for this makes Linux bring its books up to date.
  const { user, system } = process.cpuUsage()
  if (hasStatistics) {
    try {
      return Number(readFileSync(SCHEDULER_STATISTICS, 'latin1').split(' ')[0]) / 1e6
    } catch {
      hasStatistics = false
    }
  }
  return (user + system) / 1000
}

function failed(shape: string, message: string): Outcome {
  return { kind: 'failed', shape, message }
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message).split('\n').slice(0, 6).join('\n') : String(error)
}

/** A message without what it quotes and counts. */
function withoutParticulars(message: string): string {
  return message
    .slice(0, 400)
    .replaceAll(/"(?:[^"\\]|\\.)*"?/gs, '""')
    .replaceAll(/[0-9A-Fa-f]*[0-9][0-9A-Fa-f]*/g, '#')
    .slice(0, 160)
}

export interface Failure {
  readonly target: string
  readonly shape: string
  readonly message: string
  /** Minimised. */
  readonly input: Uint8Array
}

export interface Report {
  readonly target: string
  readonly runs: number
  readonly accepted: number
  readonly refused: number
  readonly shapes: number
  readonly failures: readonly Failure[]
  /** Inputs that came to something new, smallest form. Only when asked to grow. */
  readonly found: readonly Uint8Array[]
}

export interface Plan {
  readonly random: Random
  readonly corpus: readonly Uint8Array[]
  /** Asked before each run. */
  readonly done: (runs: number) => boolean
  /** Keep up to so many inputs that come to something new. */
  readonly grow?: number
  /** As in {@link outcomeOf}. */
  readonly slack?: number
}

/** Different failures of one target after which it is enough. */
const MAX_FAILURES = 8
const MAX_POOL = 2000
/** Longer inputs are tried and not built upon. */
const MAX_POOLED_BYTES = 16_384

export async function fuzz(target: Target, { random, corpus, done, grow = 0, slack = 1 }: Plan): Promise<Report> {
  const pool = [...target.seeds, ...corpus]
  const shapes = new Set<string>()
  const failures = new Map<string, Failure>()
  const found: Uint8Array[] = []
  const counts = { accepted: 0, refused: 0 }
  const amplify = amplifier(target.maxBytes)
  let runs = 0

  const run = async (input: Uint8Array, isNew: boolean) => {
    runs++
    const outcome = await outcomeOf(target, input, slack)
    if (outcome.kind === 'failed') {
      if (failures.has(outcome.shape)) return
      const smallest = await minimise(target, input, outcome.shape, slack)
      failures.set(outcome.shape, { target: target.name, ...outcome, input: smallest })
      return
    }
    counts[outcome.kind]++
    if (shapes.has(outcome.shape)) return
    shapes.add(outcome.shape)
    if (!isNew) return
    if (pool.length < MAX_POOL && input.length <= MAX_POOLED_BYTES) pool.push(input)
    if (found.length < grow) found.push(await minimise(target, input, outcome.shape, slack))
  }

  for (const input of [...pool]) await run(input, false)
  while (!done(runs) && failures.size < MAX_FAILURES) {
    // What is valid has most to lose; of the rest, what was found last leads furthest.
    const recent = random.chance(0.3) ? Math.max(0, pool.length - 50) : 0
    const at = random.chance(0.4) ? random.below(target.seeds.length) : recent + random.below(pool.length - recent)
    let input = pool[at] ?? new Uint8Array()
    for (let edits = 1 + random.below(random.chance(0.2) ? 8 : 3); edits > 0; edits--) {
      input = random.pick(target.mutators)(input, random, pool)
    }
    if (random.chance(0.004)) input = amplify(input, random, pool)
    await run(input.slice(0, target.maxBytes), true)
  }
  return { target: target.name, runs, ...counts, shapes: shapes.size, failures: [...failures.values()], found }
}

/** The shortest input with the same outcome that leaving out pieces leads to. */
async function minimise(target: Target, input: Uint8Array, shape: string, slack: number): Promise<Uint8Array> {
  let smallest = input
  let tries = 0
  // A slow call is repeated often; such an input need not be the very smallest.
  const most = shape === 'slow' ? 60 : 600
  for (let piece = Math.ceil(input.length / 2); piece >= 1; piece = piece === 1 ? 0 : Math.ceil(piece / 2)) {
    for (let at = 0; at < smallest.length && tries < most; ) {
      const shorter = concatBytes(smallest.subarray(0, at), smallest.subarray(at + piece))
      tries++
      if ((await outcomeOf(target, shorter, slack)).shape === shape) smallest = shorter
      else at += piece
    }
  }
  return smallest
}
