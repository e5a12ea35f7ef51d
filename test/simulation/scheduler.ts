/**
 * Who decides what happens next.
 *
 * Everything that a running program waits for is a task here: a read, a write, the next turn of the event loop. {@link Scheduler.step} lets one of
 * them happen, picked by the seed, and returns when the program has done all that it can do without another. Between two steps there is
 * nothing of it but promises, so that a crash may come there, and the same seed leads to the same place.
 *
 * `setImmediate` is Node's only door to time that the log server uses on this way, in three spellings. {@link takeOverTurns} puts a task behind each
 * of them, for good: it is called in a thread that does nothing else. What would come from elsewhere (a timer, the thread pool) has no
 * place in the order of things: in a thread of its own the server verifies signatures where it is, and timers throw.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import timers from 'node:timers'
import promises from 'node:timers/promises'
import { Random } from '../fuzz/random.ts'

const realTurn = globalThis.setImmediate

/** Something that will happen, unless the process ends first. */
interface Task {
  readonly what: string
  readonly run: () => void
}

export class Scheduler {
  readonly random: Random
  /** One line for each thing that happened. The same seed gives the same. */
  readonly trace: string[] = []
  /** How often what happened. */
  readonly counts: Record<string, number> = {}
  #tasks: Task[] = []
  /** What waits for the next turn of the event loop: in order, as Node does it. */
  #turns: (() => void)[] = []
  steps = 0

  constructor(seed: number) {
    this.random = new Random(seed, 'scheduler')
  }

  /** `run` happens at some step from now on, in any order with what else is to happen. */
  later(what: string, run: () => void): void {
    this.#tasks.push({ what, run })
  }

  /** `run` happens in the next turn of the event loop. */
  turn(run: () => void): void {
    this.#turns.push(run)
  }

  /** Whether there is anything to happen. */
  get busy(): boolean {
    return this.#tasks.length > 0 || this.#turns.length > 0
  }

  /** Lets one thing happen, and the program go on from there as far as it comes. */
  async step(): Promise<void> {
    const choices = this.#tasks.length + (this.#turns.length > 0 ? 1 : 0)
    const chosen = this.random.below(choices)
    const [task] = chosen < this.#tasks.length ? this.#tasks.splice(chosen, 1) : []
    if (task) {
      this.note(task.what)
      task.run()
      await this.settle()
      return
    }
    this.note('turn')
    const turns = this.#turns
    this.#turns = []
    for (const run of turns) {
      run()
      await this.settle()
    }
  }

  /** Resolves when no promise is left that could go on by itself. */
  async settle(): Promise<void> {
    this.steps++
    await new Promise<void>((resolve) => realTurn(resolve))
  }

  /** The process is gone, and with it everybody who was waiting in it. */
  forget(): void {
    this.#tasks = []
    this.#turns = []
  }

  note(line: string): void {
    this.trace.push(line)
  }

  count(what: string, by = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + by
  }

  /** Of the whole trace, in hex. */
  digest(): string {
    return createHash('sha256').update(this.trace.join('\n')).digest('hex')
  }
}

let current: Scheduler | undefined

/** From here on, a turn of the event loop is what the scheduler makes of it that was named last. */
export function inCharge(scheduler: Scheduler): Scheduler {
  current = scheduler
  return scheduler
}

/** For good. */
export function takeOverTurns(): void {
  const inTurn = (callback: (...args: unknown[]) => void, ...args: unknown[]) => {
    if (!current) throw new Error('a turn outside of any simulation')
    current.turn(() => callback(...args))
  }
  const noTimer = () => {
    throw new Error('a timer: time is a parameter here')
  }
  Object.assign(globalThis, { setImmediate: inTurn, setTimeout: noTimer, setInterval: noTimer })
  Object.assign(timers, { setImmediate: inTurn, setTimeout: noTimer, setInterval: noTimer })
  Object.assign(promises, {
    setImmediate: (value: unknown) => new Promise((resolve) => inTurn(() => resolve(value))),
    setTimeout: noTimer,
  })
  // What modules have imported by name follows.
  syncBuiltinESMExports()
}
