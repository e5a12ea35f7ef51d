/**
 * Taking turns on the one thread: long work is done in pieces, and never more of it is under way than its share.
 *
 * @module
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { FairQueue } from './sequencing/fair-queue.ts'

/**
 * How many entries are worked on in one turn of the event loop. At some 10 µs a step a whole batch would hold up everybody else, and several
 * such loops (puts, receipts, lookups, the next request) have their piece in the same turn.
 */
export const PIECE = 64

/** `work` for 0 to `length` − 1, in order, with a turn for others after each piece. */
export async function inPieces(length: number, work: (i: number) => void, piece = PIECE): Promise<void> {
  for (let i = 0; i < length; i++) {
    if (i > 0 && i % piece === 0) await nextTurn()
    work(i)
  }
}

/** At most so many at one time; of the others each caller's wait in the order in which they came, and the callers take turns. */
export class Slots {
  #free: number
  readonly #waiting = new FairQueue<() => void>()

  constructor(count: number) {
    this.#free = count
  }

  /** Whether nobody would wait. */
  get areFree(): boolean {
    return this.#free > 0
  }

  async run<T>(work: () => Promise<T>, caller = ''): Promise<T> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => this.#waiting.push(caller, resolve))
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      // Handed on, so that nobody who comes now gets in between.
      if (next) next()
      else this.#free++
    }
  }
}
