/**
 * One audit in a process of its own, for `audit-kill.test.ts` to kill: it says how far it is, a line each time.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { replay } from '../../clients/auditor/index.ts'
import { LogClient } from '../../clients/log-client/index.ts'
import { parseTrust } from '../../provenance/index.ts'
import { parsePrivateJwk } from '../../statement/index.ts'

const [url = '', trustPath = '', keyPath = '', stateDir = '', now = ''] = process.argv.slice(2)
const trust = parseTrust(readFileSync(trustPath, 'utf8'))
const [{ origin, vkey }] = trust.logs as [(typeof trust.logs)[number]]
const clock = () => Number(now)
const client = new LogClient({ url, pinned: { origin, vkey }, clock })
const report = await replay({
  client,
  trust,
  stateDir,
  now: clock(),
  key: parsePrivateJwk(JSON.parse(readFileSync(keyPath, 'utf8'))),
  // Each bundle by itself: as many commits as there can be.
  saveEvery: 1,
  onProgress: ({ phase, done }) => process.stdout.write(`${phase} ${done}\n`),
})
client.close()
process.stdout.write(`end ${report.resumedFrom} ${report.findings.length}\n`)
