/**
 * Serves a log on whose disk a bit is flipped, to a reader who knows what it was: prints `{"shown", "absent"}`, the answers that are false and those that leave
 * something out; without `shown` when the log refuses to open.
 *
 *     flip-child.ts FILE DIR       what was served before, by `v8.serialize`; the directory
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { deserialize } from 'node:v8'
import { openLog } from '../../log-server/log.ts'
import { AT } from '../provenance/signers.ts'
import { judgeAll, keysOf, type PublicKeys, type Served } from './flipped-log.ts'

const [described, dataDir] = process.argv.slice(2) as [string, string]
const before = deserialize(readFileSync(described)) as { readonly log: Served; readonly publicKeys: PublicKeys }
const served = await openLog({ dataDir, now: () => AT }).catch(() => undefined)
const verdict = served ? await judgeAll(served, before.log, await keysOf(before.publicKeys)) : { absent: 0 }
await served?.close()
console.log(JSON.stringify(verdict))
