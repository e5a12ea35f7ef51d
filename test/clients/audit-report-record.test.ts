/**
 * The signed report of an audit: the command that logs it, and what another auditor makes of it.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import {
  type AuditReport,
  CATALOGUE,
  type Finding,
  findingsDigest,
  isSettled,
  replay,
} from '../../clients/auditor/index.ts'
import { Roots } from '../../clients/auditor/roots.ts'
import {
  appendLeaves,
  EMPTY_RANGE,
  fromHex,
  HASH_LENGTH,
  hashLeaf,
  rangeRoot,
  sha256,
  toHex,
  utf8,
} from '../../merkle/index.ts'
import { encodePublicKey, type FieldsOf, type Link } from '../../provenance/index.ts'
import { line } from '../../scripts/line.ts'
import { importSigningKey } from '../../statement/index.ts'
import { admin, auditor, FIELDS, issuer } from '../provenance/small-log.ts'
import { MadeUpLog, TRUST } from './made-up-log.ts'
import { ISSUER, NOW, newKey, ORIGIN, policyOf, type ServedLog, serveLog } from './served-log.ts'
import { TestCommand } from './test-io.ts'

const AUDITOR = 'spiffe://bank.example/auditor'

async function served(t: TestContext): Promise<{ log: ServedLog; cli: TestCommand }> {
  const log = await serveLog(t)
  const cli = new TestCommand()
  cli.skew = NOW - Math.floor(Date.now() / 1000)
  t.after(() => cli.remove())
  const jwk = newKey()
  await writeFile(cli.path('auditor.jwk'), JSON.stringify(jwk), { mode: 0o600 })
  await writeFile(cli.path('other.jwk'), JSON.stringify(newKey()), { mode: 0o600 })
  await log.authorize('auditor', AUDITOR, { key: await importSigningKey(jwk) })
  const trust = { logs: [{ origin: ORIGIN, vkey: log.vkey }], trustDomains: {}, issuers: [ISSUER], verifiers: [] }
  await writeFile(cli.path('TRUST.json'), JSON.stringify({ ...trust, minimumTier: 'affirming' }))
  return { log, cli }
}

const auditRun = (cli: TestCommand, { url }: ServedLog, state = '@state') =>
  cli.run('audit', 'run', '--log', url, '--trust', '@TRUST.json', '--state', state)
const sign = (cli: TestCommand, { url }: ServedLog, ...more: readonly string[]) =>
  cli.json('audit', 'report', '--state', '@state', '--sign', '--key', '@auditor.jwk', '--log', url, ...more)
type Signed = {
  entry: string
  index: number
  from: number
  size: number
  verdict: string
  unchanged: boolean
  receipt: string
}

describe('audit report --sign', () => {
  it('logs what was found, once until something else comes to the log, and each report follows the one before', async (t) => {
    const { log, cli } = await served(t)
    assert.equal((await auditRun(cli, log)).exit, 0)
    const first = (await sign(cli, log, '--out', '@page.html', '--receipt', '@receipt'))['signed'] as Signed
    assert.deepEqual([first.verdict, first.from, first.size, first.index, first.unchanged], ['passed', 0, 2, 2, false])
    assert.match(await readFile(cli.path('page.html'), 'utf8'), new RegExp(`as entry 2: <code>${first.entry}`))
    assert.equal((await readFile(cli.path('receipt'))).toString('base64'), first.receipt)
    assert.equal((await log.client.receipt(fromHex(first.entry))).index, 2)

    const again = (await sign(cli, log))['signed'] as Signed
    assert.deepEqual([again.entry, again.unchanged], [first.entry, true])
    // The report itself is all that is new.
    assert.equal((await auditRun(cli, log)).exit, 0)
    assert.equal(((await sign(cli, log))['signed'] as Signed).unchanged, true)

    const writer = await log.authorize('issuer')
    await log.client.registerRecord(policyOf('permit'), writer)
    const { exit, out } = await auditRun(cli, log)
    assert.equal(exit, 0, out)
    const second = (await sign(cli, log))['signed'] as Signed
    assert.deepEqual([second.from, second.size, second.index, second.unchanged], [2, 5, 5, false])
    const { record } = await log.client.record(fromHex(second.entry))
    assert.deepEqual(
      record.links.filter(({ rel }) => rel === 'previous').map(({ entry }) => toHex(entry)),
      [first.entry],
    )

    // Whoever audits all of it afterwards finds the same.
    assert.equal((await auditRun(cli, log, '@afresh')).exit, 0)
    const asked = await cli.run('audit', 'query', 'audits', '--state', '@afresh', '--csv')
    const rows = asked.out.split('\n').filter((line) => line.includes(AUDITOR))
    assert.equal(rows.length, 2)
    assert.ok(
      rows.every((row) => /,passed,0,0,,,false\r?$/.test(row)),
      asked.out,
    )
    await cli.run('audit', 'report', '--state', '@afresh', '--out', '@afresh.html')
    const page = await readFile(cli.path('afresh.html'), 'utf8')
    assert.match(page, /This page is signed by nobody/)
    assert.match(page, /nothing that differs/)
  })

  it('is refused without authority, to a log that was not audited, and of fewer entries than were reported on', async (t) => {
    const { log, cli } = await served(t)
    await auditRun(cli, log)
    const report = ['audit', 'report', '--state', '@state', '--sign', '--log']
    const other = await cli.run(...report, log.url, '--key', '@other.jwk')
    assert.deepEqual([other.exit, /not_authorized/.test(other.err)], [1, true])
    const elsewhere = await serveLog(t)
    const { exit } = await cli.run(...report, elsewhere.url, '--key', '@auditor.jwk')
    assert.notEqual(exit, 0)
    assert.equal((await elsewhere.client.checkpoint()).size, 1)

    // By a key that opens sections, so that it says something else; and from before the last report.
    await cli.json('keygen', '--alg', 'X25519', '--out', '@opening.jwk')
    await cli.run(...line`audit run --log ${log.url} --trust @TRUST.json --state @old --key @opening.jwk`)
    await log.authorize('issuer')
    await auditRun(cli, log)
    await sign(cli, log)
    const behind = await cli.run(...line`audit report --state @old --sign --log ${log.url} --key @auditor.jwk`)
    assert.deepEqual([behind.exit, /behind_report/.test(behind.err)], [1, true], behind.err)
  })

  it('is nothing that a log takes on entries which it does not have (audit_out_of_range)', async (t) => {
    const { log } = await served(t)
    const party = await log.authorize('auditor', 'spiffe://bank.example/hasty')
    const links: Link[] = [{ rel: 'key-authorization', entry: party.entry }]
    const fields = { ...FIELDS['audit-report'], auditedAt: NOW }
    const report = (size: number) =>
      log.client.registerRecord({ type: 'audit-report', fields: { ...fields, size }, links }, party)
    await assert.rejects(report(4), { name: 'RefusedError', code: 'audit_out_of_range' })
    assert.equal((await report(3)).index, 3)
  })

  it('has to be told what to do', async (t) => {
    const { cli } = await served(t)
    assert.equal((await cli.run('audit', 'report', '--state', '@state')).exit, 2)
    assert.equal((await cli.run('audit', 'report', '--state', '@state', '--out', '@x', '--receipt', '@r')).exit, 2)
  })
})

/** A log with a finding that follows from its entries (a record dated before an earlier one), and an authorized auditor. */
async function flawedLog(): Promise<{ log: MadeUpLog; links: Link[] }> {
  const log = new MadeUpLog()
  await log.add({ type: 'log-policy', fields: FIELDS['log-policy'] }, admin, 1000)
  await log.add({ type: 'key-authorization', fields: FIELDS['key-authorization'] }, admin, 1001)
  const key = encodePublicKey(auditor.publicJwk)
  const fields = { role: 'auditor' as const, trustDomain: 'bank.example', subject: auditor.issuer, key, notBefore: 0 }
  const authorization = await log.add({ type: 'key-authorization', fields }, admin, 1002)
  await log.add({ type: 'workload-provenance', fields: FIELDS['workload-provenance'] }, issuer, 100)
  return { log, links: [{ rel: 'key-authorization', entry: authorization }] }
}

async function audit(t: TestContext, log: MadeUpLog, now = 2000): Promise<AuditReport> {
  const stateDir = await mkdtemp(join(tmpdir(), 'provlog-report-'))
  t.after(() => rm(stateDir, { recursive: true }))
  return replay({ client: log, trust: TRUST, stateDir, now })
}

function fieldsOf({ size, root, findings }: AuditReport): FieldsOf<'audit-report'> {
  const counts = { error: 0, warning: 0, info: 0 }
  for (const { severity } of findings) counts[severity]++
  return {
    from: 0,
    size,
    root: fromHex(root),
    verdict: counts.error + counts.warning === 0 ? 'passed' : 'refused',
    counts,
    findings: findingsDigest(findings),
    settled: findingsDigest(findings.filter(({ check }) => isSettled(check))),
    catalogue: CATALOGUE,
    auditedAt: 1500,
  }
}

const differing = ({ findings }: AuditReport) => findings.filter(({ check }) => check === 'audit-report-differs')

describe('a report on the log', () => {
  it('that is right is nothing to be found, as often as it is there', async (t) => {
    const { log, links } = await flawedLog()
    const honest = await audit(t, log)
    assert.deepEqual(
      honest.findings.map(({ check }) => check),
      ['back-dated'],
    )
    const previous = await log.add({ type: 'audit-report', fields: fieldsOf(honest), links }, auditor, 1500)
    const next = fieldsOf(await audit(t, log))
    const following: Link[] = [{ rel: 'previous', entry: previous }, ...links]
    await log.add({ type: 'audit-report', fields: { ...next, from: honest.size }, links: following }, auditor, 1501)
    assert.deepEqual(differing(await audit(t, log)), [])
  })

  const none = findingsDigest([])
  const lies: [what: string, change: Partial<FieldsOf<'audit-report'>>, detail: RegExp | undefined][] = [
    ['of another root', { root: sha256(utf8('another')) }, /^its root is/],
    ['of a smaller tree, under the root of this one', { size: 3, settled: none }, /^its root is/],
    ['without what follows from the entries', { settled: none }, /^the digest of its settled findings/],
    ['without it, by another catalogue', { settled: none, catalogue: none }, undefined],
    ['without it, from before a record was dated', { settled: none, auditedAt: 600 }, undefined],
    ['with other findings that depend on time and keys', { findings: none }, undefined],
  ]
  for (const [what, change, detail] of lies) {
    it(`${what} ${detail ? 'is found' : 'cannot be compared, or need not be the same'}`, async (t) => {
      const { log, links } = await flawedLog()
      const fields = { ...fieldsOf(await audit(t, log)), ...change }
      await log.add({ type: 'audit-report', fields, links }, auditor, 1500)
      const found = differing(await audit(t, log))
      assert.equal(found.length, detail ? 1 : 0)
      if (detail) assert.match(found[0]!.detail, detail)
    })
  }

  it('that leaves entries out between itself and the one before is found', async (t) => {
    const { log, links } = await flawedLog()
    const fields = fieldsOf(await audit(t, log))
    const previous = await log.add({ type: 'audit-report', fields: { ...fields, size: 4 }, links }, auditor, 1500)
    const following: Link[] = [{ rel: 'previous', entry: previous }, ...links]
    await log.add({ type: 'audit-report', fields: { ...fields, from: 3 }, links: following }, auditor, 1501)
    const [found, ...more] = differing(await audit(t, log))
    assert.match(found!.detail, /^it is about entries from 3 on, and the report before it ended at 4/)
    assert.deepEqual(more, [])
  })

  it('on what was erased since is compared by its root alone', async (t) => {
    const { log, links } = await flawedLog()
    const fields = fieldsOf(await audit(t, log))
    await log.add({ type: 'audit-report', fields, links }, auditor, 1500)
    log.statements[3] = new Uint8Array()
    const report = await audit(t, log)
    assert.deepEqual(
      report.findings.map(({ check }) => check),
      ['statement-erased'],
    )
  })
})

describe('the digest of findings', () => {
  const found = (index: number, check: Finding['check'], about?: string) => ({ index, check, ...(about && { about }) })

  it('is that of the lines that are described, in their one order', () => {
    const findings = [found(10, 'duplicate'), found(9, 'back-dated', 'ab'), found(9, 'back-dated')]
    const lines = '9 back-dated -\n9 back-dated ab\n10 duplicate -\n'
    assert.deepEqual(findingsDigest(findings), sha256(utf8(lines)))
    assert.deepEqual(findingsDigest(findings.toReversed()), sha256(utf8(lines)))
    assert.deepEqual(findingsDigest([]), sha256(utf8('')))
  })
})

describe('the root of a tree as it was', () => {
  it('is the one of the standard, in any order of sizes', () => {
    const entries = Array.from({ length: 1400 }, (_, i) => sha256(utf8(String(i))))
    const roots = new Roots((index) => entries[index]!)
    for (const size of [1400, 1, 255, 256, 257, 1024, 3, 1025, 511, 768]) {
      const leaves = new Uint8Array(size * HASH_LENGTH)
      for (let i = 0; i < size; i++) leaves.set(hashLeaf(entries[i]!), i * HASH_LENGTH)
      assert.deepEqual(roots.of(size), rangeRoot(appendLeaves(EMPTY_RANGE, leaves)))
    }
  })
})
