/**
 * `npm run simulate`: the log in worlds where everything that may go wrong does, one world for each seed.
 *
 *     npm run simulate -- --seeds 10000 [--from 0] [--mutant NAME [--blind]] [--threads N] [--json]
 *     npm run simulate -- --seed 4711 --trace
 *
 * The same seed is the same story. Exit code 1 when an invariant does not hold.
 *
 * @module
 */
import { parseArgs } from 'node:util'
import { MUTANTS } from '../test/simulation/mutants.ts'
import { Threads } from '../test/simulation/threads.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '0' },
    seed: { type: 'string' },
    threads: { type: 'string' },
    mutant: { type: 'string' },
    blind: { type: 'boolean', default: false },
    trace: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
})
const from = Number(values.seed ?? values.from)
const count = values.seed === undefined ? Number(values.seeds) : 1
const { mutant, blind, trace } = values
if (!Number.isSafeInteger(from) || !(count > 0) || (mutant !== undefined && !(mutant in MUTANTS))) {
  console.error(
    'usage: npm run simulate -- [--seeds N] [--from S] [--seed S] [--trace] [--threads N] [--mutant NAME [--blind]]',
  )
  console.error(`mutants: ${Object.keys(MUTANTS).join(', ')}`)
  process.exit(2)
}

const start = performance.now()
const threads = new Threads(values.threads === undefined ? undefined : Number(values.threads))
const counts = new Map<string, number>()
let seeds = 0
let violations = 0
for await (const outcome of threads.run(from, from + count, {
  blind,
  trace,
  ...(mutant !== undefined && { mutant }),
})) {
  seeds++
  for (const [what, times] of Object.entries({ steps: outcome.steps, ...outcome.counts })) {
    counts.set(what, (counts.get(what) ?? 0) + times)
  }
  if (trace) for (const line of outcome.trace) console.log(line)
  if (trace) console.log(`trace ${outcome.digest}`)
  if (outcome.violation === undefined) continue
  violations++
  console.error(`seed ${outcome.seed}: ${outcome.violation}`)
  if (violations === 20) break
}
await threads.close()
const seconds = (performance.now() - start) / 1000
const sorted = Object.fromEntries([...counts].sort(([, a], [, b]) => b - a))
if (values.json) console.log(JSON.stringify({ from, seeds, violations, seconds, counts: sorted }))
else {
  console.log(`${seeds} seeds from ${from}, ${violations} violations, ${seconds.toFixed(1)} s`)
  for (const [what, times] of Object.entries(sorted)) console.log(`${String(times).padStart(10)}  ${what}`)
}
process.exitCode = violations > 0 ? 1 : 0
