/**
 * Every check of the catalogue finds what was planted for it on a log of a real server, and nothing else is found, nor anything on a log
 * without.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type AuditReport, CHECKS, type CheckId, replay, replayLog } from '../../clients/auditor/index.ts'
import { LogClient } from '../../clients/log-client/index.ts'
import { startServer } from '../../log-server/index.ts'
import { parseTrust, type Trust } from '../../provenance/index.ts'
import { FAULTS } from '../../scripts/make-log/faults.ts'
import { type MadeLog, makeLog } from '../../scripts/make-log/make.ts'
import { parsePrivateJwk } from '../../statement/index.ts'

const HONEST = 400

describe('a made log with one fault of each kind', () => {
  let directory: string
  let made: MadeLog
  let report: AuditReport
  let withoutKey: AuditReport

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'provlog-planted-'))
    made = await makeLog({ ...SMALL, dataDir: join(directory, 'log'), faults: true })
    report = await audit(directory, made, { withKey: true })
    withoutKey = await audit(directory, made, { withKey: false })
  })
  after(() => rm(directory, { recursive: true }))

  it('has a fault for every check, and a check for every fault', () => {
    assert.deepEqual(Object.keys(FAULTS).toSorted(), Object.keys(CHECKS).toSorted())
  })

  for (const check of Object.keys(CHECKS) as CheckId[]) {
    it(`${check}: is found where it was planted`, () => {
      const { from, to, also } = made.planted.find((each) => each.check === check)!
      const found = report.findings.filter(({ index }) => index >= from && index < to).map((each) => each.check)
      assert.ok(found.includes(check), `found ${found.join(', ') || 'nothing'}`)
      const expected = new Set<CheckId>([check, ...also])
      assert.deepEqual(
        found.filter((each) => !expected.has(each)),
        [],
      )
    })
  }

  it('finds nothing before the first fault', () => {
    assert.deepEqual(
      report.findings.filter(({ index }) => index < HONEST),
      [],
    )
  })

  it('finds without a database, by headers alone, what an audit finds of signatures', async () => {
    const { findings, records } = await serving(directory, made, ({ client, trust }) =>
      replayLog({ client, trust, stateDir: directory, now: made.now, kind: 'signatures' }),
    )
    const expected = withoutKey.findings.filter(({ check }) => OF_SIGNATURES.includes(check))
    assert.deepEqual(new Set(findings.map(({ check }) => check)), new Set(OF_SIGNATURES))
    assert.deepEqual(findings, expected)
    assert.ok(records >= withoutKey.records)
  })

  it('finds without a key what takes none', () => {
    const found = new Set(withoutKey.findings.map(({ check }) => check))
    for (const [check, { needs }] of Object.entries(CHECKS)) {
      assert.equal(found.has(check as CheckId), needs !== 'key', check)
    }
  })
})

/** What a replay finds that reads no records: of signatures, signers and holes, all that an audit finds. */
const OF_SIGNATURES: readonly CheckId[] = [
  'erased-by-record',
  'foreign-refused',
  'signature-invalid',
  'signer-unauthorized',
  'statement-erased',
  'statement-malformed',
]

describe('a made log', () => {
  it('has nothing to be found, and opens for the auditor', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'provlog-made-'))
    t.after(() => rm(directory, { recursive: true }))
    const made = await makeLog({ ...SMALL, dataDir: join(directory, 'log'), faults: false })
    const { size, findings, records, opened } = await audit(directory, made, { withKey: true })
    assert.deepEqual([size, findings, records], [HONEST, [], HONEST])
    assert.ok(opened > HONEST / 2)
  })

  it('is the same for the same seed, but for its first signature', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'provlog-made-'))
    t.after(() => rm(directory, { recursive: true }))
    const bundles: string[] = []
    for (const [name, jobs] of [
      ['one', 0],
      ['two', 2],
    ] as const) {
      const dataDir = join(directory, name)
      const { now } = await makeLog({ ...SMALL, entries: 120, dataDir, faults: false, jobs })
      const server = await startServer({ dataDir, listen: { host: '127.0.0.1', port: 0 }, now: () => now })
      const answer = await fetch(`${server.url}/tile/entries/000.p/120`)
      bundles.push(
        Buffer.from(await answer.arrayBuffer())
          .subarray(34)
          .toString('hex'),
      )
      await server.close()
    }
    assert.equal(bundles[0], bundles[1])
    assert.equal(bundles[0]!.length, 2 * 34 * 119)
  })
})

const SMALL = { entries: HONEST, seed: 'test', wrapEvery: 1, jobs: 0 }

async function audit(directory: string, made: MadeLog, { withKey }: { withKey: boolean }) {
  const key = parsePrivateJwk(JSON.parse(await readFile(join(directory, 'log', 'auditor.jwk'), 'utf8')))
  const stateDir = join(directory, withKey ? 'with a key' : 'without')
  return serving(directory, made, ({ client, trust }) =>
    replay({ client, trust, stateDir, now: made.now, ...(withKey && { key }) }),
  )
}

async function serving<T>(
  directory: string,
  { origin, vkey, now }: MadeLog,
  work: (log: { client: LogClient; trust: Trust }) => Promise<T>,
): Promise<T> {
  const dataDir = join(directory, 'log')
  const server = await startServer({ dataDir, listen: { host: '127.0.0.1', port: 0 }, now: () => now })
  const client = new LogClient({ url: server.url, pinned: { origin, vkey }, clock: () => now })
  const trust = parseTrust(await readFile(join(dataDir, 'TRUST.json'), 'utf8'))
  try {
    return await work({ client, trust })
  } finally {
    client.close()
    await server.close()
  }
}
