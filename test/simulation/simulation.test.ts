/**
 * Seeds by the thousand, none of which may find anything. `PROVLOG_SEEDS` sets how many, `PROVLOG_FIRST_SEED` where they begin.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import type { Outcome } from './simulation.ts'
import { Threads } from './threads.ts'

const SEEDS = Number(process.env['PROVLOG_SEEDS'] ?? 1000)
const FIRST = Number(process.env['PROVLOG_FIRST_SEED'] ?? 0)

describe('a simulated log', () => {
  const threads = new Threads()
  after(() => threads.close())

  it(`keeps its promises in ${SEEDS} worlds`, async (t) => {
    const counts = new Map<string, number>()
    for await (const { seed, violation, steps, counts: some } of threads.run(FIRST, FIRST + SEEDS)) {
      assert.equal(violation, undefined, `npm run simulate -- --seed ${seed} --trace`)
      for (const [what, times] of Object.entries({ ...some, steps })) counts.set(what, (counts.get(what) ?? 0) + times)
    }
    t.diagnostic([...counts].map(([what, times]) => `${times} ${what}`).join(', '))
    if (SEEDS < 500) return
    // A simulation in which these do not happen would find nothing either.
    const happenings = [
      'acknowledged',
      'killed',
      'power cut',
      'closed',
      'stopped',
      'restored',
      'flipped',
      'repeated',
      'conflicting',
    ]
    const refusals = ['EIO', 'log_behind_guard', 'log_damaged', 'guard_damaged'].map((code) => `refused: ${code}`)
    for (const what of [...happenings, ...refusals]) assert.ok((counts.get(what) ?? 0) > 0, what)
  })

  it('is the same for the same seed, in another thread', async () => {
    const one = await digests(new Threads(1))
    const other = await digests(new Threads(1))
    assert.deepEqual(one, other)
    assert.equal(new Set(one).size, one.length)
  })
})

async function digests(threads: Threads): Promise<string[]> {
  const outcomes: Outcome[] = []
  for await (const outcome of threads.run(FIRST, FIRST + 50)) outcomes.push(outcome)
  await threads.close()
  return outcomes.sort((a, b) => a.seed - b.seed).map(({ digest }) => digest)
}
