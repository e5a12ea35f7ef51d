/**
 * `npm run flips`: bits flipped, ends cut off and sectors zeroed, in everything that a log has on its disk.
 *
 *     npm run flips -- [--flips N] [--seed S] [--minutes M] [--jobs N] [--only PART_OF_A_KIND]      so many bits of each kind of thing
 *     npm run flips -- --all                                                                       every bit there is: days
 *
 * Exit code 1 when fsck did not find one, or somebody was shown something false.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { type Counts, lines, nameOf, runFlips } from '../test/flips/run.ts'

const { values } = parseArgs({
  options: {
    all: { type: 'boolean', default: false },
    flips: { type: 'string', default: '100' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    minutes: { type: 'string', default: '1000000' },
    jobs: { type: 'string', default: String(availableParallelism()) },
    only: { type: 'string' },
  },
})
const [each, seed, minutes, jobs] = [values.flips, values.seed, values.minutes, values.jobs].map(Number) as [
  number,
  number,
  number,
  number,
]
if (!(each >= 1) || !Number.isSafeInteger(seed) || !(minutes > 0) || !(jobs >= 1)) {
  console.error(
    'usage: npm run flips -- [--all | --flips N] [--seed N] [--minutes N] [--jobs N] [--only PART_OF_A_KIND]',
  )
  process.exit(2)
}

const start = performance.now()
const { planned, counts, violations } = await runFlips({
  ...{ each: values.all ? Number.POSITIVE_INFINITY : each, seed, jobs, only: values.only },
  deadline: start + minutes * 60_000,
  say: (line) => console.error(line),
})
for (const line of lines(counts)) console.log(line)
const all = [...counts.values()]
const total = (of: (each: Counts) => number) => all.reduce((sum, each) => sum + of(each), 0)
const refused = total((each) => [...each.refused.values()].reduce((sum, times) => sum + times, 0))
console.log(`\n${((performance.now() - start) / 60_000).toFixed(1)} minutes, seed ${seed}, commit ${commit()}`)
console.log(
  `${total(({ done }) => done)} of ${planned}: found by fsck ${total(({ found }) => found)}, not opened ${refused}, ended by LevelDB ${total(({ ended }) => ended)}, ` +
    `shown as true ${total(({ shown }) => shown)}, left out ${total(({ absent }) => absent)}`,
)
console.log(`${violations.length} violations`)
for (const { piece, why } of violations) console.log(`  ${nameOf(piece)}: ${why}`)
process.exitCode = violations.length === 0 ? 0 : 1

function commit(): string {
  const { status, stdout } = spawnSync('git', ['rev-parse', '--short', 'HEAD'])
  return status === 0 ? String(stdout).trim() : 'unknown'
}
