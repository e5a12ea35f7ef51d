/**
 * One thread that simulates: seeds come, outcomes go.
 *
 * @module
 */
import { parentPort } from 'node:worker_threads'
import { layFoundation } from './foundation.ts'
import { MUTANTS } from './mutants.ts'
import { takeOverTurns } from './scheduler.ts'
import { type Outcome, simulate } from './simulation.ts'

/** Seeds from `from` on and before `until`. */
export interface Request {
  readonly from: number
  readonly until: number
  /** Of {@link MUTANTS}. */
  readonly mutant?: string
  readonly blind?: boolean
  /** Sends the trace along. */
  readonly trace?: boolean
}

export interface Reply {
  readonly outcomes: readonly Outcome[]
}

const port = parentPort
if (port) {
  takeOverTurns()
  let stray: string | undefined
  process.on('unhandledRejection', (error) => {
    stray = `nobody awaits an error: ${String(error)}`
  })
  const foundation = await layFoundation()
  port.on('message', ({ from, until, mutant = '', trace = false, blind = false }: Request) => {
    void (async () => {
      const outcomes: Outcome[] = []
      for (let seed = from; seed < until; seed++) {
        const outcome = await simulate(seed, foundation, { mutant: MUTANTS[mutant] ?? {}, blind })
        const violation = outcome.violation ?? stray
        stray = undefined
        outcomes.push({ ...outcome, trace: trace ? outcome.trace : [], ...(violation !== undefined && { violation }) })
        // A mutant that was found needs no more.
        if (mutant !== '' && violation !== undefined) break
      }
      port.postMessage({ outcomes } satisfies Reply)
    })()
  })
}
