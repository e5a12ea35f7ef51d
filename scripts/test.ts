/**
 * `npm test`: every `*.test.ts` under `test/`, or those whose path contains one of the arguments.
 *
 * Node 20's `--test` takes no pattern and runs one file at a time; this gives it the files and both cores.
 *
 * @module
 */
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { finished } from 'node:stream/promises'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'

const wanted = process.argv.slice(2)
const files = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.ts'))
  .map((file) => `test/${file}`)
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .sort()
if (files.length === 0) {
  console.error(`no test file matches ${wanted.join(' ')}`)
  process.exit(2)
}

const results = run({ files, concurrency: Math.max(2, availableParallelism()) })
let passed = 0
let failed = 0
let skipped = 0
results.on('test:pass', ({ details, skip }) => {
  // A suite that is skipped hides the tests in it: it counts as one.
  if (skip !== undefined && skip !== false) skipped++
  else if (details.type !== 'suite') passed++
})
results.on('test:fail', ({ details }) => {
  if (details.type !== 'suite') failed++
})

const report = new spec()
results.pipe(report).pipe(process.stdout, { end: false })
await finished(report)
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
process.exitCode = failed === 0 && passed > 0 ? 0 : 1
