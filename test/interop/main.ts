/**
 * `npm run interop`: other people's programs against a running log. See README.md.
 *
 *     npm run interop -- [--json] [part…]        parts: go, python, possession, pkits, rotation
 *
 * One line for each check. Exits 0 when nothing failed; what could not run is named and counted, never passed over.
 *
 * @module
 */
import { fixtureOf } from './fixture.ts'
import { runGo, runRotation } from './go.ts'
import { startLog } from './log.ts'
import { runPkits } from './pkits.ts'
import { runPossession } from './possession.ts'
import { runPython } from './python.ts'
import { Report } from './report.ts'

const PARTS = { go: runGo, python: runPython, possession: runPossession, pkits: runPkits, rotation: runRotation }

const args = process.argv.slice(2)
const wanted = args.filter((arg) => arg !== '--json')
const unknown = wanted.find((name) => !Object.hasOwn(PARTS, name))
if (unknown !== undefined) {
  console.error(`no part ${unknown}; there are ${Object.keys(PARTS).join(', ')}`)
  process.exit(2)
}

const report = new Report({ json: args.includes('--json') })
const log = await startLog()
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => void log.close().finally(() => process.exit(130)))
}
try {
  const fixture = await report.step('a log with entries, statements and receipts for the others to judge', () =>
    fixtureOf(log),
  )
  for (const [name, run] of Object.entries(PARTS)) {
    if (fixture !== undefined && (wanted.length === 0 || wanted.includes(name))) await run({ log, fixture, report })
  }
} finally {
  await log.close()
}
process.exitCode = report.end()
