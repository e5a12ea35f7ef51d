/**
 * `npm run fuzz`: every reader on inputs that are nearly right, for as long as one likes.
 *
 *     npm run fuzz -- --minutes 10 [--seed N] [--target NAME]… [--runs N] [--grow] [--json]
 *
 * The same seed gives the same inputs. What fails is written to `test/fuzz/corpus/<target>/failed-…`, in its smallest form: with the
 * defect mended it stays there, and is read again by each `npm test`. `--grow` also keeps what came to something new.
 *
 * @module
 */
import { parseArgs } from 'node:util'
import { keep, MAX_GROWN_BYTES, readCorpus, roomToGrow } from '../test/fuzz/corpus.ts'
import { fuzz } from '../test/fuzz/engine.ts'
import { Random } from '../test/fuzz/random.ts'
import { openTargets } from '../test/fuzz/targets/index.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    runs: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    target: { type: 'string', multiple: true, default: [] },
    grow: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
})
const seed = Number(values.seed)
const runs = values.runs === undefined ? Number.POSITIVE_INFINITY : Number(values.runs)
const budget = Number(values.minutes) * 60_000
if (!Number.isSafeInteger(seed) || !(budget > 0) || !(runs > 0)) {
  console.error('usage: npm run fuzz -- [--minutes N] [--seed N] [--target NAME]… [--runs N] [--grow] [--json]')
  process.exit(2)
}

// An exception that nobody awaits would be a crash of whoever calls the reader.
process.on('unhandledRejection', (error) => {
  console.error(`seed ${seed}: an unhandled rejection`, error)
  process.exit(1)
})

const targets = await openTargets(values.target)
const start = performance.now()
let failures = 0
for (const [i, target] of targets.entries()) {
  // What the targets before did not use is for those that follow.
  const deadline = performance.now() + (start + budget - performance.now()) / (targets.length - i)
  const report = await fuzz(target, {
    random: new Random(seed, target.name),
    corpus: readCorpus(target.name),
    done: (count) => count >= runs || performance.now() >= deadline,
    ...(values.grow && { grow: roomToGrow(target.name) }),
  })
  await target.close?.()
  failures += report.failures.length
  const kept = report.found
    .filter((input) => input.length <= MAX_GROWN_BYTES)
    .map((input) => keep(target.name, 'new', input))
  const failed = report.failures.map(({ shape, message, input }) => ({
    shape,
    message,
    path: keep(target.name, 'failed', input),
  }))
  if (values.json) {
    const { target: name, accepted, refused, shapes } = report
    console.log(
      JSON.stringify({
        target: name,
        seed,
        runs: report.runs,
        accepted,
        refused,
        shapes,
        kept: kept.length,
        failures: failed,
      }),
    )
    continue
  }
  const counts = `${report.accepted} accepted, ${report.refused} refused, ${report.shapes} kinds`
  console.log(
    `${failed.length === 0 ? 'ok    ' : 'FAILED'}  ${target.name}: ${report.runs} runs, ${counts}${kept.length > 0 ? `, ${kept.length} kept` : ''}`,
  )
  for (const { shape, message, path } of failed)
    console.log(`        seed ${seed}, ${shape}\n        ${path}\n        ${message}`)
}
if (!values.json)
  console.log(`seed ${seed}, ${((performance.now() - start) / 60_000).toFixed(1)} minutes, ${failures} failures`)
process.exitCode = failures === 0 ? 0 : 1
