/**
 * Many seeds, on as many cores as there are.
 *
 * @module
 */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { Outcome } from './simulation.ts'
import type { Reply, Request } from './thread.ts'

/** Of a mutant the first seeds find something mostly, and nobody waits for the others. */
const AT_ONCE = { mutants: 4, log: 25 }

/** Threads that simulate. They must be {@link Threads.close}d. */
export class Threads {
  readonly #idle: Worker[]

  constructor(count = availableParallelism()) {
    this.#idle = Array.from({ length: count }, newThread)
  }

  /** Outcomes as they come, in any order. Ends early when the caller does. */
  async *run(from: number, until: number, options: Omit<Request, 'from' | 'until'> = {}): AsyncGenerator<Outcome> {
    let next = from
    const running = new Map<Worker, Promise<[Worker, readonly Outcome[]]>>()
    const give = (thread: Worker) => {
      if (next >= until) {
        this.#idle.push(thread)
        return
      }
      const request = {
        ...options,
        from: next,
        until: Math.min(next + (options.mutant === undefined ? AT_ONCE.log : AT_ONCE.mutants), until),
      }
      next = request.until
      running.set(
        thread,
        ask(thread, request).then((outcomes) => [thread, outcomes]),
      )
    }
    try {
      for (const thread of this.#idle.splice(0)) give(thread)
      while (running.size > 0) {
        const [thread, outcomes] = await Promise.race(running.values())
        running.delete(thread)
        give(thread)
        yield* outcomes
      }
    } finally {
      next = until
      for (const [thread] of await Promise.all(running.values())) this.#idle.push(thread)
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#idle.map((thread) => thread.terminate()))
  }
}

function ask(thread: Worker, request: Request): Promise<readonly Outcome[]> {
  return new Promise((resolve, reject) => {
    thread.once('error', reject)
    thread.once('message', ({ outcomes }: Reply) => {
      thread.off('error', reject)
      resolve(outcomes)
    })
    thread.postMessage(request)
  })
}

/** Node hands the loader that reads TypeScript on to no thread. */
function newThread(): Worker {
  const [loader, thread] = [import.meta.resolve('tsx/esm/api'), import.meta.resolve('./thread.ts')].map((url) =>
    JSON.stringify(url),
  )
  return new Worker(`import(${loader}).then(({ register }) => { register(); return import(${thread}) })`, {
    eval: true,
  })
}
