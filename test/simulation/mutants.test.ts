/**
 * Each mutant is found: soon, where the model may look at the disk, and in the end by what it leads to. For that some of them need many seeds:
 * `PROVLOG_SEEDS=5000` or more has these, too.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { MUTANTS } from './mutants.ts'
import { Threads } from './threads.ts'

const SOON = 100
const IN_THE_END = 2000
const PATIENT = Number(process.env['PROVLOG_SEEDS'] ?? 0) >= 5000

describe('a log is found out that', () => {
  const threads = new Threads()
  after(() => threads.close())

  for (const [mutant, { rarelyHarms }] of Object.entries(MUTANTS)) {
    it(mutant, async (t) => {
      for (const [blind, seeds] of [
        [false, SOON],
        [true, IN_THE_END],
      ] as const) {
        if (blind && rarelyHarms && !PATIENT) continue
        t.diagnostic(`${blind ? 'blind' : 'seeing'}: ${await firstViolation(mutant, blind, seeds)}`)
      }
    })
  }

  async function firstViolation(mutant: string, blind: boolean, seeds: number): Promise<string> {
    for await (const { seed, violation } of threads.run(0, seeds, { mutant, blind })) {
      if (violation !== undefined) return `seed ${seed}, ${violation}`
    }
    assert.fail(`none of ${seeds} seeds found it${blind ? ' without looking at the disk' : ''}`)
  }
})
