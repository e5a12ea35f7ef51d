/**
 * Many clients at once: they register, singly and in batches, look at checkpoints, and ask again for what they were given.
 *
 * @module
 */
import type { Random } from '../fuzz/random.ts'
import type { Client, Outcome } from './client.ts'
import type { Ledger } from './ledger.ts'
import type { Writer } from './writer.ts'

export interface LoadOptions {
  readonly random: Random
  readonly writer: Writer
  readonly ledger: Ledger
  readonly writers?: number
  readonly readers?: number
}

export interface LoadResult {
  acknowledged: number
  unavailable: number
  broken: number
}

/** A load that goes on until it is told to stop, or nobody answers any more. */
export class Load {
  readonly result: LoadResult = { acknowledged: 0, unavailable: 0, broken: 0 }
  readonly #done: Promise<unknown>
  readonly #client: Client
  readonly #options: LoadOptions
  #stopped = false
  #wanted: { readonly outcome: Outcome; readonly count: number; readonly reached: () => void }[] = []

  constructor(client: Client, options: LoadOptions) {
    this.#client = client
    this.#options = options
    const { writers = 12, readers = 2 } = options
    this.#done = Promise.all([
      ...Array.from({ length: writers }, (_, i) => this.#write(i % 4 === 3)),
      ...Array.from({ length: readers }, () => this.#read()),
    ]).finally(() => this.#wake(true))
    // It is awaited when the load is stopped.
    this.#done.catch(() => {})
  }

  /** Resolves when so many requests had this outcome, or the load has ended. */
  async reached(count: number, outcome: Outcome = 'acknowledged'): Promise<void> {
    await Promise.race([
      this.#done,
      new Promise<void>((reached) => {
        this.#wanted.push({ outcome, count, reached })
        this.#wake(this.#stopped)
      }),
    ])
  }

  /** Resolves when nobody waits for an answer. @throws what one of the clients found */
  async stop(): Promise<LoadResult> {
    this.#stopped = true
    await this.#done
    return this.result
  }

  /** Resolves when there is nobody left who answers. @throws as {@link stop} */
  async end(): Promise<LoadResult> {
    await this.#done
    return this.result
  }

  async #write(batches: boolean): Promise<void> {
    const { writer, random } = this.#options
    while (!this.#stopped) {
      const statements = await writer.statements(batches ? 2 + random.below(60) : 1)
      const outcome = await this.#client.register(statements)
      this.result[outcome]++
      this.#wake(false)
      if (outcome === 'broken') this.#stopped = true
    }
  }

  async #read(): Promise<void> {
    const { random, ledger } = this.#options
    while (!this.#stopped) {
      if (random.chance(0.5)) await this.#client.look()
      else await this.#client.lookUp(random.pick(ledger.receipts).entry)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  #wake(all: boolean): void {
    const due = this.#wanted.filter(({ outcome, count }) => all || this.result[outcome] >= count)
    this.#wanted = this.#wanted.filter((wanted) => !due.includes(wanted))
    for (const { reached } of due) reached()
  }
}
