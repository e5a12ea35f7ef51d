/**
 * Answers that prove themselves, from a real log to a machine that has nothing but a trust file; and what a second source shows.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { toHex, utf8 } from '../../merkle/index.ts'
import { NOW, ORIGIN, policyOf, type ServedLog, serveLog } from './served-log.ts'
import { TestCommand } from './test-io.ts'

const cleanups: (() => unknown)[] = []
const cli = new TestCommand()
cli.skew = NOW - Math.floor(Date.now() / 1000)
let log: ServedLog
let entries: Uint8Array[]

/** Everything that the other machine has. */
let trustFile: string

before(async () => {
  log = await serveLog({ after: (cleanup) => void cleanups.push(cleanup as () => unknown) })
  const author = await log.authorize('issuer')
  entries = []
  for (let i = 0; i < 5; i++) {
    entries.push((await log.client.registerRecord(policyOf('permit', { policyId: `p${i}` }), author)).entry)
  }
  trustFile = cli.path('TRUST.json')
  const trust = {
    logs: [{ origin: ORIGIN, vkey: log.vkey, url: log.url }],
    trustDomains: {},
    issuers: [],
    verifiers: [],
    minimumTier: 'affirming',
  }
  await writeFile(trustFile, JSON.stringify(trust))
  assert.equal((await cli.run('audit', 'run', '--log', log.url, '--trust', '@TRUST.json', '--state', '@state')).exit, 0)
  // What comes later is not in the audit, and changes no answer of it.
  await log.client.registerRecord(policyOf('permit', { policyId: 'later' }), author)
})
after(async () => {
  for (const cleanup of cleanups) await cleanup()
  cli.remove()
})

const prove = (to: string, ...words: string[]) =>
  cli.run('audit', 'query', ...words, '--state', '@state', '--prove', to, '--log', log.url, '--trust', '@TRUST.json')

describe('an answer with proofs', () => {
  it('is verified elsewhere, with nothing but the trust file', async () => {
    const { exit, err } = await prove('@answer', 'blast-radius', 'statement=1')
    assert.equal(exit, 0, err)
    assert.match(
      err,
      /^None others: complete up to the replayed checkpoint of log\.example\/test with 7 entries and root/,
    )
    // Another machine: the directory moved, and the state of the audit and the log out of its reach.
    const elsewhere = await mkdtemp(join(tmpdir(), 'provlog-elsewhere-'))
    cleanups.push(() => rm(elsewhere, { recursive: true }))
    await cp(cli.path('answer'), join(elsewhere, 'answer'), { recursive: true })
    await cp(trustFile, join(elsewhere, 'TRUST.json'))
    const other = new TestCommand()
    cleanups.push(() => other.remove())
    const verified = await other.json(
      'verify-answer',
      join(elsewhere, 'answer'),
      '--trust',
      join(elsewhere, 'TRUST.json'),
    )
    assert.equal((verified['complete'] as { size: number }).size, 7)
  })

  it('has every row’s statement, its place and who signed it, and each proof stands alone', async () => {
    const { exit } = await prove(
      '@policies',
      '--sql',
      'SELECT p.index, r.entry, policy_id FROM policies p JOIN records r USING (index) ORDER BY 1',
    )
    assert.equal(exit, 0)
    const verified = await cli.json('verify-answer', '@policies', '--trust', '@TRUST.json')
    const rows = verified['rows'] as { index: number; entry: string; type: string; signer: string }[]
    assert.deepEqual(
      rows.map(({ entry }) => entry),
      entries.map(toHex),
    )
    assert.deepEqual(
      [...new Set(rows.map(({ type, signer }) => `${type} ${signer}`))],
      ['issuance-policy spiffe://bank.example/issuer'],
    )
    // By the command for any proof file, and so by programs of others.
    const [index] = rows.map((row) => row.index)
    const alone = ['verify-proof', `@policies/entries/${index}.tlog-proof`, '--vkey', log.vkey]
    assert.equal((await cli.run(...alone, '--statement', `@policies/entries/${index}.cose`)).exit, 0)
    const modes = await Promise.all(
      ['', 'answer.json', `entries/${index}.cose`].map(
        async (name) => (await stat(cli.path(`policies/${name}`))).mode & 0o777,
      ),
    )
    assert.deepEqual(modes, [0o700, 0o600, 0o600])
  })

  const changes: [what: string, code: string, change: (directory: string) => Promise<unknown>][] = [
    [
      'a row about another entry',
      'root_mismatch',
      (dir) => edit(dir, (text) => text.replace(toHex(entries[0]!), toHex(entries[1]!))),
    ],
    [
      'a row at another index',
      'malformed_proof',
      (dir) => rename(join(dir, 'entries/3.tlog-proof'), join(dir, 'entries/2.tlog-proof')),
    ],
    [
      'another checkpoint size',
      'malformed_answer_file',
      (dir) => edit(dir, (text) => text.replace('"size": 7', '"size": 8')),
    ],
    [
      'a forged checkpoint',
      'bad_signature',
      (dir) => edit(dir, (text) => text.replace(`${ORIGIN}\\n7\\n`, `${ORIGIN}\\n9\\n`)),
    ],
    [
      'another log’s name',
      'untrusted_answer',
      (dir) => edit(dir, (text) => text.replaceAll(`"origin": "${ORIGIN}"`, '"origin": "evil.example"')),
    ],
    [
      'a statement exchanged',
      'malformed_answer_file',
      (dir) => cp(join(dir, 'entries/3.cose'), join(dir, 'entries/2.cose')),
    ],
    [
      'no authorities',
      'untrusted_answer',
      (dir) => edit(dir, (text) => text.replace(/"authorities": \[[^\]]*\]/, '"authorities": []')),
    ],
    [
      'authorities that are none',
      'untrusted_answer',
      (dir) => edit(dir, (text) => text.replace(/"authorities": \[[^\]]*\]/, '"authorities": [2]')),
    ],
    ['a missing proof', 'malformed_answer_file', (dir) => rm(join(dir, 'entries/3.tlog-proof'))],
    ['a truncated answer', 'malformed_answer_file', (dir) => edit(dir, (text) => text.slice(0, -20))],
    ['an index outside', 'malformed_answer_file', (dir) => edit(dir, (text) => text.replace('"2"', '"../../2"'))],
    ['deep nesting', 'malformed_answer_file', (dir) => writeFile(join(dir, 'answer.json'), '['.repeat(100_000))],
    [
      'a prototype’s name',
      'malformed_answer_file',
      (dir) => writeFile(join(dir, 'answer.json'), '{"v":1,"__proto__":{"rows":[]}}'),
    ],
    ['nothing', 'malformed_answer_file', (dir) => writeFile(join(dir, 'answer.json'), '')],
  ]
  for (const [i, [what, code, change]] of changes.entries()) {
    it(`is refused with ${what} (${code})`, async () => {
      const name = `changed-${i}`
      await cp(cli.path('policies'), cli.path(name), { recursive: true })
      await change(cli.path(name))
      const { exit, err } = await cli.run('verify-answer', `@${name}`, '--trust', '@TRUST.json')
      assert.equal(exit, 1, err)
      assert.ok(err.includes(code), err)
    })
  }

  it('goes to a new directory, and through no link', async () => {
    await mkdir(cli.path('taken'))
    await symlink(cli.path('nowhere'), cli.path('link'))
    for (const to of ['@taken', '@link', '@no/parent', '@answer']) {
      const { exit, err } = await prove(to, 'live')
      assert.equal(exit, 1)
      assert.match(err, /output_exists/)
    }
    assert.deepEqual(await readdir(cli.path('taken')), [])
  })

  it('is for rows about statements, and needs a log that is trusted', async () => {
    const counted = await prove('@counted', '--sql', 'SELECT count(*) FROM records')
    assert.match(counted.err, /malformed_answer_file/)
    await writeFile(
      cli.path('other.json'),
      (await readFile(trustFile, 'utf8'))
        .replace(ORIGIN, 'other.example')
        .replace(`"${log.vkey.slice(0, 8)}`, '"other.ex'),
    )
    const query = ['audit', 'query', 'live', '--state', '@state', '--prove', '@untrusted', '--log', log.url]
    assert.notEqual((await cli.run(...query, '--trust', '@other.json')).exit, 0)
    assert.equal((await cli.run(...query)).exit, 2)
  })
})

describe('audit query', () => {
  const query = (...words: string[]) => cli.run('audit', 'query', ...words, '--state', '@state')

  it('prints a table, CSV or JSON, and that there are no others', async () => {
    const sql = "SELECT index, entry, policy_id FROM policies JOIN records USING (index) WHERE policy_id = 'p1'"
    const hex = toHex(entries[1]!)
    const table = await query('--sql', sql)
    assert.deepEqual(
      table.out.split('\n').map((line) => line.split(/ {2,}/)),
      [
        ['index', 'entry', 'policy_id'],
        ['3', hex, 'p1'],
      ],
    )
    assert.equal((await query('--sql', sql, '--csv')).out, `index,entry,policy_id\n3,${hex},p1`)
    const [row, last] = (await query('--sql', sql, '--json')).out.split('\n').map((line) => JSON.parse(line))
    assert.deepEqual(row, { index: 3, entry: hex, policy_id: 'p1' })
    assert.deepEqual([last.ok, last.complete.size], [true, 7])
    assert.match(last.complete.words, /^None others/)
    const none = await query('denied')
    assert.deepEqual([none.exit, none.out.split('\n').length], [0, 1])
    assert.match(none.err, /^None others: complete up to/)
  })

  it('lets no cell move the cursor or be a formula', async () => {
    const sql = `SELECT index, entry, chr(27) || '[2J' AS escape, '=1+1' AS formula, 'a"b,c' || chr(10) AS quoted, '@x' AS at, -1 AS number FROM records LIMIT 1`
    const table = await query('--sql', sql)
    assert.ok(!/[^\P{Cc}\n]/u.test(table.out) && table.out.includes('\\u001b[2J'))
    const csv = await query('--sql', sql, '--csv')
    assert.ok(csv.out.includes(`,'=1+1,"a""b,c\n",'@x,-1`))
  })

  it('lists what can be asked, and refuses the rest as usage or by code', async () => {
    const { out } = await query('--list')
    assert.match(out, /by-component .*\n {4}package=PACKAGE/)
    for (const words of [
      [],
      ['live', '--sql', 'SELECT 1'],
      ['live', 'at'],
      ['live', 'at=1', 'at=2'],
      ['live', '--csv', '--json'],
    ]) {
      assert.equal((await query(...words)).exit, 2, words.join(' '))
    }
    for (const [code, ...words] of [
      ['unknown_question', 'lives'],
      ['bad_argument', 'live', 'at=never'],
      ['refused_sql', '--sql', 'DROP TABLE records'],
    ]) {
      const { exit, err } = await query(...words)
      assert.ok(exit === 1 && err.includes(code!), err)
    }
    assert.match((await cli.run('audit', 'query', 'live', '--state', '@nothing')).err, /no_audit/)
  })
})

describe('audit cross-check', () => {
  const check = (...words: string[]) => cli.run('audit', 'cross-check', '--state', '@state', ...words)

  it('lists what the ledger has and the log does not, and says what that can show', async () => {
    await writeFile(
      cli.path('ledger.csv'),
      `issued,digest\r\n2026-11-22,${'ab'.repeat(32)}\r\n"22,11",${'AB'.repeat(32)}\r\n`,
    )
    const { exit, out } = await check('--ledger', '@ledger.csv')
    assert.equal(exit, 1)
    assert.match(out, new RegExp(`^unlogged line 2: ${'ab'.repeat(32)}\nunlogged line 3:`))
    assert.match(out, /2 seen elsewhere, 2 of them not among the 7 entries/)
    assert.match(out, /only a second source/)
    await writeFile(cli.path('empty.csv'), 'digest\n')
    assert.equal((await check('--ledger', '@empty.csv')).exit, 0)
  })

  it('refuses what is no ledger and no credential', async () => {
    for (const [i, text] of [
      '',
      'name\nx\n',
      'digest\nxyz\n',
      'digest\n"a',
      'serial,x\nnot hex,1\n',
      'jti,x\n,1\n',
    ].entries()) {
      await writeFile(cli.path(`bad-${i}.csv`), text)
      const { exit, err } = await check('--ledger', `@bad-${i}.csv`)
      assert.ok(exit === 1 && err.includes('malformed_ledger'), `${JSON.stringify(text)}: ${err}`)
    }
    await mkdir(cli.path('certificates'))
    await writeFile(cli.path('certificates/x.pem'), utf8('no certificate'))
    assert.match((await check('--certificates', '@certificates')).err, /malformed_ledger/)
    assert.equal((await check('--certificates', '@nowhere')).exit, 2)
    assert.equal((await check()).exit, 2)
  })
})

async function edit(directory: string, change: (text: string) => string): Promise<void> {
  const path = join(directory, 'answer.json')
  const text = await readFile(path, 'utf8')
  const changed = change(text)
  assert.notEqual(changed, text)
  await writeFile(path, changed)
}
