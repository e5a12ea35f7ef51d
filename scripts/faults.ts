/**
 * `npm run faults`: a real server, and everything that may befall it, for as long as one likes.
 *
 *     npm run faults -- --minutes 30 [--seed N] [--jobs N] [--only PART_OF_A_NAME]
 *
 * Exit code 1 when an invariant did not hold, or a run could not be made; what there is to look at is kept, and how to have it again is said.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { runFaults } from '../test/faults/run.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    jobs: { type: 'string', default: String(availableParallelism()) },
    only: { type: 'string' },
  },
})
const [minutes, seed, jobs] = [values.minutes, values.seed, values.jobs].map(Number) as [number, number, number]
if (!(minutes > 0) || !Number.isSafeInteger(seed) || !(jobs >= 1)) {
  console.error('usage: npm run faults -- [--minutes N] [--seed N] [--jobs N] [--only PART_OF_A_NAME]')
  process.exit(2)
}

const start = performance.now()
const { only } = values
const { report, findings, kept } = await runFaults({
  ...{ seed, jobs, deadline: start + minutes * 60_000, say: (line) => console.log(line) },
  ...(only !== undefined && { only }),
})
console.log(`\n${((performance.now() - start) / 60_000).toFixed(1)} minutes, seed ${seed}, commit ${commit()}`)
for (const line of report.lines()) console.log(line)
console.log(`${findings.length} violations`)
for (const { run, error } of findings) {
  console.log(`\n${run}\n${error instanceof Error ? error.stack : String(error)}`)
  console.log(`again: npm run faults -- --minutes 1 --seed ${seed} --only '${run}'`)
}
if (findings.length > 0) console.log(`kept: ${kept}`)
process.exitCode = findings.length === 0 ? 0 : 1

function commit(): string {
  const { status, stdout } = spawnSync('git', ['rev-parse', '--short', 'HEAD'])
  return status === 0 ? String(stdout).trim() : 'unknown'
}
