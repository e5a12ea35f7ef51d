/**
 * SIGKILL during an audit, again and again: it goes on from where it was, and in the end the database is the one that an audit makes which
 * nobody killed, row for row.
 *
 * `PROVLOG_AUDIT_KILLS` sets how often; the moments differ from round to round and are the same in every run, as far as a process's own
 * speed is.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { it } from 'node:test'
import { Database } from '../../clients/auditor/database/duckdb.ts'
import { TABLES } from '../../clients/auditor/database/schema.ts'
import { databasePath, Questions } from '../../clients/auditor/index.ts'
import { generateKey } from '../../clients/cli/key-files.ts'
import { sha256, toHex, utf8 } from '../../merkle/index.ts'
import { type Author, buildRecordStatement, type NewRecord } from '../../provenance/index.ts'
import { attachWraps, type PublicJwk, publicJwkOf } from '../../statement/index.ts'
import { NOW, ORIGIN, policyOf, serveLog } from '../clients/served-log.ts'

const KILLS = Number(process.env['PROVLOG_AUDIT_KILLS'] ?? 4)
const RECORDS = 1500

it(`an audit that is killed ${KILLS} times leaves what one leaves that is not`, { timeout: 600_000 }, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'provlog-audit-kill-'))
  t.after(() => rm(directory, { recursive: true }))
  const log = await serveLog(t)
  const auditor = generateKey('X25519')
  const reader = publicJwkOf(auditor) as PublicJwk
  const author = await log.authorize('issuer')
  for (let i = 0; i < RECORDS; i += 250) {
    const some = Array.from({ length: 250 }, (_, j) => statementOf(i + j, author, reader))
    for (const answer of await log.client.registerAll(await Promise.all(some))) assert.ok(!(answer instanceof Error))
  }
  const trust = {
    logs: [{ origin: ORIGIN, vkey: log.vkey }],
    trustDomains: {},
    issuers: [],
    verifiers: [],
    minimumTier: 'affirming',
  }
  await writeFile(join(directory, 'trust.json'), JSON.stringify(trust))
  await writeFile(join(directory, 'key.jwk'), JSON.stringify(auditor))
  const audit = (state: string) => {
    const words = [
      log.url,
      join(directory, 'trust.json'),
      join(directory, 'key.jwk'),
      join(directory, state),
      String(NOW),
    ]
    return spawn(
      process.execPath,
      ['--conditions=provlog-source', '--import', 'tsx', 'test/faults/audit-child.ts', ...words],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
  }

  // Whoever asks meanwhile is told so, and whoever asks of what a kill left, too.
  const running = audit('killed')
  for await (const line of createInterface({ input: running.stdout! })) if (line.startsWith('statements')) break
  running.kill('SIGSTOP')
  await assert.rejects(Questions.open(join(directory, 'killed')), { name: 'UnavailableError' })
  const gone = once(running, 'close')
  running.kill('SIGKILL')
  await gone
  await assert.rejects(Questions.open(join(directory, 'killed')), { code: 'unfinished_audit' })

  const whole = await linesOf(audit('whole'))
  assert.match(whole.at(-1)!, /^end 0 /)
  for (let round = 0; round < KILLS; round++) {
    // Around the first commit of that run or the second, before, within or after it: up to 20 ms after it has spoken.
    await linesOf(audit('killed'), 1 + (round % 2), (round * 7) % 20)
  }
  const last = await linesOf(audit('killed'))
  const resumedFrom = Number(last.at(-1)!.split(' ')[1])
  assert.ok(resumedFrom > 0, 'none of the kills came after a commit')
  t.diagnostic(`${KILLS} kills; the last audit went on from entry ${resumedFrom} of ${RECORDS + 2}`)
  assert.deepEqual(await exported(join(directory, 'killed')), await exported(join(directory, 'whole')))
  assert.deepEqual(await readdir(join(directory, 'killed', 'database')), ['audit.duckdb'])
})

/** What a child says of statements until it ends, or until it is killed some milliseconds after so many lines. */
async function linesOf(child: ChildProcess, killAfter?: number, delay = 0): Promise<string[]> {
  const lines: string[] = []
  const ended = once(child, 'close')
  for await (const line of createInterface({ input: child.stdout! })) {
    // Before the statements nothing is written.
    if (line.startsWith('hashes')) continue
    lines.push(line)
    if (lines.length !== killAfter) continue
    await new Promise((resolve) => setTimeout(resolve, delay))
    child.kill('SIGKILL')
  }
  await ended
  if (killAfter === undefined) assert.equal(child.exitCode, 0)
  return lines
}

/** Every table, every row, in one order. */
async function exported(state: string): Promise<Record<string, string[]>> {
  const database = await Database.open(databasePath(state), { readOnly: true })
  const tables: Record<string, string[]> = {}
  for (const table of Object.keys(TABLES)) {
    const rows = await database.rows(`SELECT * FROM ${table} ORDER BY ALL`)
    tables[table] = rows.map((row) =>
      JSON.stringify(row.map((cell) => (cell instanceof Uint8Array ? toHex(cell) : cell))),
    )
  }
  database.close()
  assert.equal(tables['records']!.length, RECORDS + 2)
  assert.ok(tables['components']!.length > RECORDS / 2)
  return tables
}

/** In turns a policy, and a workload with some components that the auditor can read; some of the latter say the same twice. */
async function statementOf(i: number, author: Author, reader: PublicJwk): Promise<Uint8Array> {
  if (i % 2 === 0)
    return (await buildRecordStatement(policyOf('permit', { policyId: `p${i}` }), author)).statement.bytes
  const workload: NewRecord<'workload-provenance'> = {
    type: 'workload-provenance',
    fields: { subject: sha256(utf8(`image ${i}`)), subjectKind: 'measurement' },
    sections: {
      workload: {
        sbom: [
          {
            format: 'CycloneDX',
            specVersion: '1.6',
            digest: sha256(utf8(`sbom ${i}`)),
            components: [`pkg:npm/a@1.${i}.0`, 'pkg:npm/b@2.0.0'],
          },
        ],
        build: [],
        compliance: [],
      },
    },
    recipients: [reader],
  }
  const { statement, wraps } = await buildRecordStatement(workload, author)
  return attachWraps(statement.bytes, wraps)
}
