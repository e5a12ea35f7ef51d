/**
 * Questions to an auditor's database: each is asked, the answers are held against the entries themselves, and what somebody gives as an
 * argument or as SQL does nothing but ask.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { argumentsFor, fillDatabase } from '../../bench/audit-questions.ts'
import { auditedEntry, digestOf, entryAt, START, VERIFIER_KID } from '../../bench/audited-entries.ts'
import type { AuditedEntry } from '../../clients/auditor/audited-entry.ts'
import { versionKey } from '../../clients/auditor/database/version-key.ts'
import { type Cell, completenessText, databasePath, QUESTIONS, Questions } from '../../clients/auditor/index.ts'
import { toHex } from '../../merkle/index.ts'

const SIZE = 3000
/** Halfway: some have begun, and some have ended by then. */
const AT = START + SIZE
const directory = await mkdtemp(join(tmpdir(), 'provlog-questions-'))
const entries: AuditedEntry[] = Array.from({ length: SIZE }, (_, index) => auditedEntry(index))
let questions: Questions

before(async () => {
  await fillDatabase(directory, SIZE)
  questions = await Questions.open(directory)
})
after(async () => {
  questions.close()
  await rm(directory, { recursive: true })
})

async function ask(id: string, given: Record<string, string> = {}): Promise<readonly Cell[][]> {
  const rows: Cell[][] = []
  for await (const row of (await questions.ask(id, new Map(Object.entries(given)), AT)).rows) rows.push([...row])
  return rows
}

const indexesOf = (rows: readonly (readonly Cell[])[]) => rows.map(([index]) => index)

interface Issued {
  readonly index: number
  readonly fields: {
    readonly notBefore: number
    readonly notAfter: number
    readonly delivery: string
    readonly attestation: string
  }
  readonly targets: ReadonlyMap<string, number>
  readonly subject: string
}

const indexOfEntry = new Map(entries.map(({ index }) => [toHex(entryAt(index)), index]))
const issued: readonly Issued[] = entries.flatMap(({ index, record, opened }) =>
  record?.type === 'credential-provenance'
    ? [
        {
          index,
          fields: record.fields,
          targets: new Map(record.links.map(({ rel, entry }) => [rel as string, indexOfEntry.get(toHex(entry))!])),
          subject: opened!.sections.credential!.subject,
        },
      ]
    : [],
)
/** By the definition, credential by credential. */
const live = (at: number): readonly Issued[] =>
  issued.filter(({ index, fields }) => {
    const next = entries[index + 1]?.record
    const status = next?.type === 'credential-status' ? next.fields : undefined
    const ended = status && status.status !== 'superseded' && status.effectiveAt <= at
    return fields.notBefore <= at && at < fields.notAfter && !ended
  })
const named = (each: readonly Issued[]) => each.map(({ index }) => index)

describe('a question', () => {
  for (const { id, arguments: taken } of QUESTIONS) {
    it(`${id} is answered with statements, in an order`, async () => {
      const given = argumentsFor(id, SIZE)
      for (const [name, argument] of Object.entries(taken)) {
        assert.ok(argument.default !== undefined || given[name] !== undefined, name)
      }
      const answer = await questions.ask(id, new Map(Object.entries(given)), AT)
      assert.deepEqual(answer.columns.slice(0, 2), ['index', 'entry'])
      const rows: (readonly Cell[])[] = []
      for await (const row of answer.rows) rows.push(row)
      for (const [index, entry] of rows) assert.deepEqual(entry, new Uint8Array(entryAt(index as number)))
      assert.deepEqual(await ask(id, given), rows)
    })
  }

  it('about what is live counts neither what ended nor what was revoked or suspended by then', async () => {
    for (const at of [START, START + 700, AT, AT + 50_000, START + 90_000, START + 700_000]) {
      assert.deepEqual(indexesOf(await ask('live', { at: String(at) })), named(live(at)), String(at))
    }
    assert.ok(live(AT).length < issued.filter(({ fields }) => fields.notBefore <= AT).length)
  })

  it('about firmware compares versions as numbers, and below is below', async () => {
    const microcode = (index: number) => 200 + (index % 40)
    const below = live(AT).filter(({ targets }) => microcode(targets.get('attestation-result') ?? 39) < 210)
    assert.ok(below.length > 50)
    assert.deepEqual(
      indexesOf(await ask('by-firmware', { name: 'versions.microcode', versions: '<210' })),
      named(below),
    )
    const snp9 = live(AT).filter(
      ({ targets }) => targets.has('attestation-result') && targets.get('attestation-result')! % 16 === 1,
    )
    assert.deepEqual(indexesOf(await ask('by-firmware', { name: 'versions.snp', versions: '9' })), named(snp9))
    // As text, 9 would come after 16.
    const from9 = await ask('by-firmware', { name: 'versions.snp', versions: '>=9 <=16' })
    assert.ok(from9.every(([, , , , , , value]) => Number(value) >= 9 && Number(value) <= 16) && from9.length > 0)
  })

  it('about a component finds it by package and range, in whatever spelling it is asked for', async () => {
    const purls = (workload: number) => entries[workload]!.opened!.sections.workload!.sbom[0]!.components
    const affected = (range: (version: string) => boolean) =>
      live(AT).filter(({ targets }) =>
        purls(targets.get('workload-provenance')!).some((purl) => {
          const [name, version] = purl.split('@')
          return name === 'pkg:npm/package-37' && range(version!)
        }),
      )
    const old = affected(
      (version) => version.startsWith('1.') || version.startsWith('2.0') || version.startsWith('2.1'),
    )
    assert.ok(old.length > 0)
    assert.deepEqual(
      indexesOf(await ask('by-component', { package: 'pkg:npm/package-37', versions: '<2.2' })),
      named(old),
    )
    const spelled = await ask('by-component', { package: 'PKG:NPM/package-37@9?x=y', versions: '<2.2' })
    assert.deepEqual(indexesOf(spelled), named(old))
    assert.deepEqual(await ask('by-component', { package: 'pkg:npm/package-4000', versions: '>=0' }), [])
    // What has no package URL is found by its bare name, and by what vulnerability databases call it.
    const bare = await ask('by-component-name', { name: 'package-37', versions: '=0.9' })
    assert.deepEqual(indexesOf(bare), named(live(AT).filter(({ targets }) => targets.has('workload-provenance'))))
    assert.ok(bare.every((row) => row[7] === null))
    // Each workload has one of five, in some state or none: what is asked for without a state, and what rules it out, are all of them.
    const found: number[] = []
    for (const id of [0, 1, 2, 3, 4]) {
      const open = await ask('by-vulnerability', { vulnerability: `cve-2026-${id}` })
      assert.ok(open.every((row) => row[6] === 'exploitable' || row[6] === 'in_triage' || row[6] === null))
      found.push(...(indexesOf(open) as number[]))
      for (const state of ['resolved', 'resolved_with_pedigree', 'false_positive', 'not_affected']) {
        const ruledOut = await ask('by-vulnerability', { vulnerability: `CVE-2026-${id}`, state })
        assert.ok(ruledOut.every((row) => row[5] === `CVE-2026-${id}` && row[6] === state))
        found.push(...(indexesOf(ruledOut) as number[]))
      }
    }
    assert.deepEqual(
      found.toSorted((a, b) => a - b),
      named(live(AT).filter(({ targets }) => targets.has('workload-provenance'))),
    )
    await assert.rejects(ask('by-vulnerability', { vulnerability: 'CVE-2026-0', state: 'affected' }), {
      code: 'bad_argument',
    })
    const first = await ask('by-cpe', { cpe: 'cpe:2.3:a:vendor-0:' })
    assert.ok(first.length > 0 && first.every((row) => String(row[5]).startsWith('cpe:2.3:a:vendor-0:')))
  })

  it('about grounds, delivery, attestation and lifetime says what the records say', async () => {
    const policies = (max: number) => (index: number | undefined) =>
      index !== undefined && (entries[index]!.record!.fields as { version: number }).version <= max
    const byPolicy = live(AT).filter(({ targets }) => policies(3)(targets.get('issuance-policy')))
    const asked = await ask('by-issuance-policy', { policy: 'main-issuance-policy', up_to: '3' })
    assert.deepEqual(indexesOf(asked), named(byPolicy))
    const env = live(AT).filter(({ fields }) => fields.delivery === 'env')
    assert.deepEqual(indexesOf(await ask('delivered-by', { delivery: 'env' })), named(env))
    const none = live(AT).filter(({ fields }) => fields.attestation === 'none')
    assert.deepEqual(indexesOf(await ask('unattested')), named(none))
    const long = live(AT).filter(({ fields }) => fields.notAfter - fields.notBefore > 86_400)
    assert.deepEqual(indexesOf(await ask('lifetime', { longer_than: '86400' })), named(long))
    const byVerifier = live(AT).filter(({ targets }) => (targets.get('attestation-result') ?? 0) >= 1000)
    const since = { kid: VERIFIER_KID, from: String(START + 1000) }
    assert.deepEqual(indexesOf(await ask('by-verifier-key', since)), named(byVerifier))
    for (const each of [byPolicy, env, none, long, byVerifier]) assert.ok(each.length > 0)
  })

  it('about a blast radius follows links backwards, however many there are between', async () => {
    const reached = new Set([5])
    for (const { index, record } of entries) {
      if (record?.links.some(({ entry }) => reached.has(indexOfEntry.get(toHex(entry))!))) reached.add(index)
    }
    reached.delete(5)
    const byIndex = indexesOf(await ask('blast-radius', { statement: '5' }))
    assert.deepEqual(byIndex, [...reached])
    assert.ok(reached.size > 100)
    assert.deepEqual(indexesOf(await ask('blast-radius', { statement: toHex(entryAt(5)) })), byIndex)
  })

  it('about one identifier shows what changed from one credential to the next, and diff shows what exactly', async () => {
    const own = issued.filter(({ subject }) => subject === 'spiffe://bank.example/service-2')
    const rows = await ask('credentials-of', { subject: 'spiffe://bank.example/service-2' })
    assert.deepEqual(indexesOf(rows), named(own))
    assert.deepEqual(rows[0]!.slice(-2), [null, null])
    assert.match(String(rows[1]!.at(-1)), /attestation-result/)
    const [first, second] = [own[1]!, own[2]!]
    const diff = await ask('diff', {
      first: String(first.index),
      second: toHex(digestOf(`credential ${second.index}`)),
    })
    const results = diff.filter(([, , what]) => what === 'attestation-result').map(([index]) => index)
    assert.deepEqual(new Set(results), new Set([first, second].map(({ targets }) => targets.get('attestation-result'))))
    assert.ok(diff.some(([, , what, before, now]) => what === 'key' && before !== now))
  })

  it('says how much its answer is about, and what nobody could read', () => {
    const words = completenessText(questions.completeness, true)
    assert.match(
      words,
      /^None others: complete up to the replayed checkpoint of bench\.example\/audit with 3000 entries and root [0-9a-f]{64}\.$/,
    )
    const some = completenessText({ ...questions.completeness, unopened: 2 }, true)
    assert.match(some, /What is sealed in 2 records was not opened, and is not in it\.$/)
    assert.doesNotMatch(completenessText({ ...questions.completeness, unopened: 2 }, false), /sealed/)
  })
})

describe('an argument', () => {
  const refused = (given: Record<string, string>, id = 'by-component') =>
    assert.rejects(ask(id, given), { name: 'EvidenceError', code: 'bad_argument' })

  it('is read by its kind, and refused before anything is asked', async () => {
    const sound = { package: 'pkg:npm/lodash', versions: '<4.17.21' }
    await ask('by-component', sound)
    await refused({ package: 'pkg:npm/lodash' })
    for (const versions of ['', '<latest', '<1 <2', '=1 <2', '<', 'x'.repeat(3000)])
      await refused({ ...sound, versions })
    for (const versions of [
      '^4',
      '~4.17',
      '4.x',
      '4.x.1',
      '*',
      '!=4',
      '||',
      '4 || 5',
      '<4 || >5',
      '[4,5)',
      '4<',
      '==4',
      '4.*',
    ])
      await refused({ ...sound, versions })
    for (const versions of ['4.17.21~rc1', '=1.0^git1', '1:2.3-4ubuntu5', 'v1.2.3-0.2024+x', 'zz', 'r1x'])
      await ask('by-component', { ...sound, versions })
    for (const name of ['lodash', 'pkg:', '', '__proto__']) await refused({ ...sound, package: name })
    for (const at of ['yesterday', '-1', '1e9', '2026-02-30', '9'.repeat(13)]) await refused({ ...sound, at })
    for (const name of ['__proto__', 'constructor', 'toString', 'state'])
      await refused({ ...sound, [name]: 'x' } as never)
    await refused({ delivery: "env' OR 1=1 --" }, 'delivered-by')
    for (const statement of ['-1', '1.5', '0x1', 'ab'.repeat(31), 'AB'.repeat(32)])
      await refused({ statement }, 'blast-radius')
    await refused({ statement: 'ab'.repeat(32) }, 'blast-radius')
    await refused({ statement: '3000' }, 'blast-radius')
    // What is on the log and is no credential has no status, which is not to be told as a status that never changed.
    for (const credential of ['5', toHex(entryAt(5)), '3000', 'ab'.repeat(32)])
      await refused({ credential }, 'status-history')
    await assert.rejects(ask('constructor'), { code: 'unknown_question' })
  })

  it('that looks like SQL is a text that nothing is called', async () => {
    for (const subject of ["x'; DROP TABLE records; --", "' OR '1'='1", '$subject', '" OR 1=1', '%', '\u0000']) {
      assert.deepEqual(await ask('credentials-of', { subject }), [])
      assert.deepEqual(await ask('by-attribute', { name: subject, value: subject }), [])
      assert.deepEqual(await ask('by-fact', { name: subject, value: subject }), [])
    }
    assert.equal((await questions.rows('SELECT count(*) FROM records'))[0]![0], SIZE)
  })
})

describe('SQL of one’s own', () => {
  const askSql = async (sql: string) => {
    const rows: (readonly Cell[])[] = []
    for await (const row of (await questions.askSql(sql)).rows) rows.push(row)
    return rows
  }

  it('is a SELECT, with views and macros', async () => {
    assert.deepEqual(await askSql('SELECT count(*) FROM records'), [[SIZE]])
    assert.deepEqual(await askSql(`SELECT count(*) FROM live(${AT})`), [[live(AT).length]])
    assert.deepEqual(await askSql("WITH x AS (SELECT 1 AS a) SELECT a, 2.5::DECIMAL(3,1), [1, 2], NULL, 'é' FROM x"), [
      [1, '2.5', '[1, 2]', null, 'é'],
    ])
  })

  it('reads and writes nothing else', async () => {
    const other = join(directory, 'other.csv')
    await writeFile(other, 'a\n1\n')
    const files = await readdir(join(directory, 'database'))
    const hostile = [
      `SELECT * FROM read_csv('${other}')`,
      `SELECT * FROM '${other}'`,
      `SELECT * FROM read_text('/etc/hostname')`,
      `SELECT * FROM read_blob('/etc/hostname')`,
      `SELECT * FROM glob('/*')`,
      `COPY records TO '${join(directory, 'out.csv')}'`,
      `COPY (SELECT 1) TO '/dev/stdout'`,
      `EXPORT DATABASE '${join(directory, 'out')}'`,
      `ATTACH '${join(directory, 'new.duckdb')}'`,
      `ATTACH ':memory:'`,
      'INSTALL httpfs',
      'LOAD httpfs',
      "LOAD '/tmp/extension.so'",
      'SET enable_external_access = true',
      'SET lock_configuration = false',
      'PRAGMA enable_profiling',
      "SET profiling_output = '/tmp/out'",
      'DELETE FROM records',
      'INSERT INTO audit SELECT * FROM audit',
      'DROP TABLE records',
      'CREATE TABLE x (a INTEGER)',
      'CREATE TEMP TABLE x AS SELECT 1',
      'CHECKPOINT',
      'SELECT 1; SELECT 2',
      'SELECT 1; DROP TABLE records',
      'SELECT $1',
      "SELECT getenv('HOME')",
      'SELECT * FROM duckdb_secrets()',
      'BEGIN',
      'EXPLAIN SELECT 1',
      '',
      ';',
      'SELEC 1',
      'SELECT * FROM nothing',
      "SELECT 'x'::INTEGER",
      `SELECT ${'('.repeat(20_000)}1${')'.repeat(20_000)}`,
      `SELECT ${'NOT '.repeat(20_000)}true`,
    ]
    for (const sql of hostile) {
      await assert.rejects(askSql(sql), { name: 'EvidenceError', code: 'refused_sql' }, sql.slice(0, 80))
    }
    assert.deepEqual((await readdir(directory)).sort(), ['database', 'other.csv'])
    assert.deepEqual(await readdir(join(directory, 'database')), files)
    assert.equal((await questions.rows('SELECT count(*) FROM records'))[0]![0], SIZE)
  })
})

describe('a version', () => {
  it('sorts as those do who number so', () => {
    const ascending = (versions: readonly string[], type?: string) => {
      const keys = versions.map((version) => versionKey(version, type)!)
      assert.deepEqual(keys, keys.toSorted(), String(versions))
      assert.equal(new Set(keys).size, keys.length)
    }
    // SemVer 2.0.0 §11.
    ascending([
      '1.0.0-alpha',
      '1.0.0-alpha.1',
      '1.0.0-alpha.beta',
      '1.0.0-beta',
      '1.0.0-beta.2',
      '1.0.0-beta.11',
      '1.0.0-rc.1',
      '1.0.0',
      '2.0.0',
      '2.1.0',
      '2.1.1',
      '2.10.0',
    ])
    // PEP 440, "Summary of permitted suffixes and relative ordering".
    ascending(
      '1.0.dev456 1.0a1 1.0a2.dev456 1.0a12.dev456 1.0a12 1.0b1.dev456 1.0b2 1.0rc1.dev456 1.0rc1 1.0 1.0.post456 1.1.dev1'.split(
        ' ',
      ),
      'pypi',
    )
    ascending(['1.0-SNAPSHOT', '1.0', '1.0.1', '1.1.RELEASE'], 'maven')
    ascending(['1.0~rc1-1', '1.0-1', '1.0-1ubuntu2', '1.0-2', '1.0-10', '1:0.9-1'], 'deb')
    ascending(['9', '10', '99999999999999999999', '100000000000000000000'])
    for (const [a, b] of [
      ['1.2', '1.2.0'],
      ['v1.2.3', '1.2.3+build.7'],
      ['1.0', '1.0.0.Final'],
      ['01.2', '1.02'],
    ]) {
      assert.equal(versionKey(a!), versionKey(b!), a)
    }
    for (const none of ['latest', '', 'g1a2b3c', '<1', '9'.repeat(200)]) assert.equal(versionKey(none), undefined)
  })
})

async function answerOf(state: string): Promise<readonly (readonly Cell[])[]> {
  const opened = await Questions.open(state)
  try {
    const rows: (readonly Cell[])[] = []
    for (const [id, given] of [
      ['live', {}],
      ['by-firmware', argumentsFor('by-firmware', SIZE)],
    ] as const) {
      for await (const row of (await opened.ask(id, new Map(Object.entries(given)), AT)).rows) rows.push(row)
    }
    return rows
  } finally {
    opened.close()
  }
}

it('questions are for an audit that ended, of this version, in a file of its own', async () => {
  const other = await mkdtemp(join(tmpdir(), 'provlog-questions-'))
  try {
    await assert.rejects(Questions.open(other), { code: 'no_audit' })
    await fillDatabase(other, 400)
    const sound = await readFile(databasePath(other))
    const answered = await answerOf(other)
    let refused = 0
    for (let i = 0; i < 16; i++) {
      // The first blocks say what the file is; the others are of its tables.
      const place = i < 6 ? 100 + 4096 * (i % 3) + i : Math.floor((sound.length * i) / 16) + 1000
      await writeFile(
        databasePath(other),
        sound.map((byte, at) => (at === place ? byte ^ 0x10 : byte)),
      )
      const answer = await answerOf(other).catch((error: unknown) => error)
      if (answer instanceof Error) {
        assert.equal((answer as Error & { code: string }).code, 'damaged_audit')
        refused++
      } else assert.deepEqual(answer, answered)
    }
    assert.ok(refused > 3, `${refused} of 16`)
    await writeFile(databasePath(other), 'not a database')
    await assert.rejects(Questions.open(other), { code: 'damaged_audit' })
  } finally {
    await rm(other, { recursive: true })
  }
})
