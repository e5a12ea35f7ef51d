/**
 * The short form of `npm run faults`: each fault of the table once, and some at storage operations, the same in every run.
 *
 * `PROVLOG_FAULTS_SEED` chooses others.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { runFaults } from './run.ts'

const SEED = Number(process.env['PROVLOG_FAULTS_SEED'] ?? 7)

it('whatever befalls a server, nothing acknowledged is lost and no failure is quiet', {
  timeout: 900_000,
}, async (t) => {
  const say = (line: string) => t.diagnostic(line)
  const { report, findings, kept } = await runFaults({ seed: SEED, jobs: 2, say })
  for (const line of report.lines()) say(line)
  for (const [id, why] of report.skipped) console.log(`SKIPPED, and not seen to hold: ${id}: ${why}`)
  const told = findings.map(({ run, error }) => `${run}: ${error instanceof Error ? error.stack : String(error)}`)
  const again = `npm run faults -- --seed ${SEED} --only NAME; kept in ${kept}`
  assert.equal(findings.length, 0, `${told.join('\n')}\nagain: ${again}`)
})
