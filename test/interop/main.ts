/**
 * `npm run interop`: other people's programs against a running log. See README.md.
 *
 *     npm run interop -- [--json] [--with-spire] [part…]        parts: pkits, bettertls, prometheus, access, go, python, possession, rotation
 *
 * One line for each check. Exits 0 when nothing failed; what could not run is named and counted, never passed over.
 *
 * @module
 */
import { runAccess } from './access.ts'
import { runBetterTls } from './bettertls.ts'
import { fixtureOf } from './fixture.ts'
import { runGo, runRotation } from './go.ts'
import { startLog } from './log.ts'
import { runPkits } from './pkits.ts'
import { runPossession } from './possession.ts'
import { runPrometheus } from './prometheus.ts'
import { runPython } from './python.ts'
import { Report } from './report.ts'

const ALONE = { pkits: runPkits, bettertls: runBetterTls, prometheus: runPrometheus, access: runAccess }
/** All before one log. The last leaves it with other keys. */
const BEFORE_A_LOG = { go: runGo, python: runPython, possession: runPossession, rotation: runRotation }
const PARTS = { ...ALONE, ...BEFORE_A_LOG }

const args = process.argv.slice(2)
const wanted = args.filter((arg) => arg !== '--json' && arg !== '--with-spire')
const unknown = wanted.find((name) => !Object.hasOwn(PARTS, name))
if (unknown !== undefined) {
  console.error(`no part ${unknown}; there are ${Object.keys(PARTS).join(', ')}`)
  process.exit(2)
}
const isWanted = ([name]: readonly [string, unknown]) => wanted.length === 0 || wanted.includes(name)

const report = new Report({ json: args.includes('--json') })
for (const [, run] of Object.entries(ALONE).filter(isWanted)) {
  await run({ report, withSpire: args.includes('--with-spire') })
}
const parts = Object.entries(BEFORE_A_LOG).filter(isWanted)
if (parts.length > 0) {
  const log = await startLog()
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => void log.close().finally(() => process.exit(130)))
  }
  try {
    const fixture = await report.step('a log with entries, statements and receipts for the others to judge', () =>
      fixtureOf(log),
    )
    if (fixture !== undefined) for (const [, run] of parts) await run({ log, fixture, report })
  } finally {
    await log.close()
  }
}
process.exitCode = report.end()
