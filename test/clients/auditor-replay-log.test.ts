/**
 * A replay without a database: what it finds is what an audit finds of signatures and signers, it goes on where it ended, and a log that lies ends it.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { type Finding, type ReplayKind, replay, replayLog } from '../../clients/auditor/index.ts'
import { UnavailableError, utf8 } from '../../merkle/index.ts'
import type { NewRecord } from '../../provenance/index.ts'
import { admin, digestOf, FIELDS, issuer, type Party, stranger, verifier } from '../provenance/small-log.ts'
import { MadeUpLog, TRUST } from './made-up-log.ts'

const NOW = 1000

/** Who may write: the admin from 0 on, the issuer from 1 on. */
async function founded(): Promise<MadeUpLog> {
  const log = new MadeUpLog()
  await log.add({ type: 'log-policy', fields: FIELDS['log-policy'] }, admin, 100)
  await log.add(ISSUER_KEY, admin, 101)
  return log
}

const ISSUER_KEY: NewRecord<'key-authorization'> = {
  type: 'key-authorization',
  fields: { ...FIELDS['key-authorization'], notBefore: 50, notAfter: 500 },
}

async function write(log: MadeUpLog, party: Party = issuer, at = 105): Promise<Uint8Array> {
  const fields = { ...FIELDS['workload-provenance'], subject: digestOf(`workload ${log.size}`) }
  return log.add({ type: 'workload-provenance', fields }, party, at)
}

async function directory(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'provlog-replay-'))
  t.after(() => rm(path, { recursive: true }))
  return path
}

const inputOf = async (t: TestContext, client: MadeUpLog, kind: ReplayKind = 'signatures') => {
  return { client, trust: TRUST, stateDir: await directory(t), now: NOW, kind }
}

const told = (findings: readonly Finding[]) => findings.map(({ index, check }) => [index, check])

describe('a replay of signatures', () => {
  it('finds nothing on an honest log, and says what nobody has looked at', async (t) => {
    const log = await founded()
    for (let i = 0; i < 5; i++) await write(log)
    const report = await replayLog(await inputOf(t, log))
    assert.deepEqual([report.size, report.records, report.foreign, report.findings], [7, 7, 0, []])
    assert.ok(report.notChecked.includes('what records say, and whether it was said before'))
  })

  const wrong: [what: string, check: string, make: (log: MadeUpLog) => Promise<unknown>][] = [
    ['by nobody who is known', 'signer-unauthorized', (log) => write(log, stranger)],
    ['by a key before its time', 'signer-unauthorized', (log) => write(log, issuer, 40)],
    ['by a key after its time', 'signer-unauthorized', (log) => write(log, issuer, 500)],
    ['in the name of another', 'signer-unauthorized', (log) => write(log, { ...issuer, issuer: stranger.issuer })],
    ['by the admin, who may not', 'signer-unauthorized', (log) => write(log, admin)],
    [
      'under a signature that does not hold',
      'signature-invalid',
      async (log) => {
        const entry = await write(log)
        const bytes = log.statements.pop()!
        log.entries.pop()
        return log.put(bytes.with(bytes.length - 40, bytes.at(-40)! ^ 1)) ?? entry
      },
    ],
    ['that is none', 'statement-malformed', async (log) => log.put(utf8('no statement'))],
    [
      'that the log has no longer',
      'statement-erased',
      async (log) => {
        await write(log)
        log.statements[log.size - 1] = new Uint8Array()
      },
    ],
    [
      'by which somebody is authorized, and who signed it may not',
      'signer-unauthorized',
      (log) => log.add({ type: 'key-authorization', fields: FIELDS['key-authorization'] }, issuer, 106),
    ],
  ]
  for (const [what, check, make] of wrong) {
    it(`finds a statement ${what} (${check}), as an audit does`, async (t) => {
      const log = await founded()
      await write(log)
      await make(log)
      await write(log)
      const input = await inputOf(t, log)
      const { findings } = await replayLog(input)
      assert.deepEqual(told(findings), [[3, check]])
      const audited = (await replay(input)).findings.filter(({ index }) => index === 3)
      assert.deepEqual(findings, audited)
    })
  }

  it('asks who was authorized at each place: before, after, and after it was withdrawn', async (t) => {
    const log = new MadeUpLog()
    await log.add({ type: 'log-policy', fields: FIELDS['log-policy'] }, admin, 100)
    await write(log, issuer, 101)
    const key = await log.add(ISSUER_KEY, admin, 102)
    await write(log, issuer, 105)
    const fields = { effectiveAt: 110, reason: 'key-compromise' as const }
    await log.add(
      { type: 'retraction', fields: { ...FIELDS.retraction, ...fields }, links: retracting(key) },
      admin,
      111,
    )
    await write(log, issuer, 109)
    await write(log, issuer, 110)
    const { findings } = await replayLog(await inputOf(t, log))
    assert.deepEqual(
      findings.map(({ index, detail }) => [index, detail.split(':')[0]]),
      [
        [1, 'unknown_key'],
        [5, 'key_retracted'],
        [6, 'key_retracted'],
      ],
    )
  })

  it('takes a hole for explained when a record that may says so, and for a hole when one may not', async (t) => {
    for (const [party, expected] of [
      [admin, [[2, 'erased-by-record']]],
      [
        verifier,
        [
          [2, 'statement-erased'],
          [4, 'signer-unauthorized'],
        ],
      ],
    ] as const) {
      const log = await founded()
      const entry = await write(log)
      log.statements[2] = new Uint8Array()
      await write(log)
      const links = [{ rel: 'erases' as const, entry }]
      const input = await inputOf(t, log)
      assert.deepEqual(told((await replayLog(input)).findings), [[2, 'statement-erased']])
      await log.add({ type: 'erasure', fields: { scope: 'statement' }, links }, party, 110)
      assert.deepEqual(told((await replayLog(input)).findings), expected)
    }
  })
})

describe('a replay that goes on', () => {
  it('remembers who may sign and what was wrong, wherever it ended', async (t) => {
    const log = await founded()
    const input = await inputOf(t, log)
    await write(log)
    await write(log, stranger)
    assert.deepEqual(told((await replayLog(input)).findings), [[3, 'signer-unauthorized']])
    await write(log)
    await write(log, issuer, 700)
    const { resumedFrom, records, findings } = await replayLog(input)
    assert.deepEqual([resumedFrom, records], [4, 5])
    assert.deepEqual(told(findings), [
      [3, 'signer-unauthorized'],
      [5, 'signer-unauthorized'],
    ])
    // Of the other kind there is nothing here.
    assert.equal((await replayLog({ ...input, kind: 'hashes' })).resumedFrom, 0)
  })

  it('comes to the same when it was interrupted, and reads nothing twice', async (t) => {
    const log = await founded()
    for (let i = 0; i < 640; i++) await (i % 100 === 50 ? write(log, stranger) : write(log))
    const whole = await replayLog(await inputOf(t, log))
    const input = await inputOf(t, log)
    const asked: number[] = []
    const serve = log.packedStatements.bind(log)
    const breakAt = (at: number) => {
      log.packedStatements = async (index, width) => {
        asked.push(index)
        if (index === at) throw new UnavailableError('down')
        return serve(index, width)
      }
    }
    for (const at of [1, 2]) {
      breakAt(at)
      await assert.rejects(replayLog(input), { name: 'UnavailableError' })
    }
    breakAt(-1)
    const { resumedFrom, ...rest } = await replayLog(input)
    assert.equal(resumedFrom, 512)
    assert.deepEqual(asked, [0, 1, 2, 1, 2, 2])
    assert.deepEqual({ ...rest, resumedFrom: 0 }, whole)
  })

  it('refuses what is not as it was written, and what is of another log', async (t) => {
    const log = await founded()
    const input = await inputOf(t, log)
    await replayLog(input)
    const path = join(input.stateDir, 'signatures.json')
    const text = await readFile(path, 'utf8')
    for (const [changed, code] of [
      [text.replace('"records":2', '"records":3'), 'damaged_audit'],
      [text.slice(0, -9), 'damaged_audit'],
      ['null', 'damaged_audit'],
      [text.replace('"version":1', '"version":2'), 'other_version'],
    ] as const) {
      await writeFile(path, changed)
      await assert.rejects(replayLog(input), { code })
    }
  })
})

describe('a replay of a log that lies', () => {
  it('ends where a statement is not that of its entry (entry_mismatch), and a replay of hashes asks for none', async (t) => {
    const log = await founded()
    await write(log)
    await write(log)
    log.statements[3] = log.statements[2]!
    await assert.rejects(replayLog(await inputOf(t, log)), { code: 'entry_mismatch' })
    assert.deepEqual((await replayLog(await inputOf(t, log, 'hashes'))).findings, [])
  })

  it('ends where the past has changed, whatever it showed before', async (t) => {
    for (const kind of ['hashes', 'signatures'] as const) {
      const log = await founded()
      await write(log)
      const input = await inputOf(t, log, kind)
      await replayLog(input)
      log.entries.splice(0, 3)
      log.statements.splice(0, 3)
      for (let i = 0; i < 5; i++) await write(log)
      await assert.rejects(replayLog(input), { code: 'entry_mismatch' })
    }
  })

  it('ends at a log that nobody trusts', async (t) => {
    const input = await inputOf(t, await founded())
    await assert.rejects(replayLog({ ...input, trust: { ...TRUST, logs: [] } }), { code: 'untrusted_log' })
  })
})

function retracting(entry: Uint8Array) {
  return [{ rel: 'retracts' as const, entry }]
}
