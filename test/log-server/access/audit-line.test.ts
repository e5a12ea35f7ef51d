// The audit line: one for each request of whoever is known, whatever came of it; and nothing appended that is not written down.
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type AuditLine, lineText, rangesOf } from '../../../log-server/access/audit-line.ts'
import { AuditLog, type AuditSink } from '../../../log-server/access/audit-log.ts'
import { openSink } from '../../../log-server/access/audit-sink.ts'
import { initLog } from '../../../log-server/init.ts'
import { startServer } from '../../../log-server/main.ts'
import { toHex } from '../../../merkle/bytes.ts'
import { encodeCborSequence } from '../../../statement/index.ts'
import { AT, SUBJECT } from '../../provenance/proof-of-possession/caller.ts'
import { digestOf, ISSUER, notRandom, ORIGIN } from '../../provenance/small-log.ts'
import { problemIn, type ServedLog, serveLog } from '../served-log.ts'
import { ENVOY, guard, KeptLines, may, readLines, written } from './guarded-log.ts'

let world: ServedLog
let dir: string
before(async () => {
  world = await serveLog()
  dir = await mkdtemp(join(tmpdir(), 'provlog-audit-'))
})
after(async () => {
  await world.close()
  await rm(dir, { recursive: true })
})

const register = (payload: Uint8Array) =>
  ({
    method: 'POST',
    url: '/entries',
    headers: { 'content-type': 'application/cose' },
    payload: Buffer.from(payload),
  }) as const
const anyLine: AuditLine = {
  at: 1,
  request: 'r',
  caller: { by: 'none' },
  operation: null,
  listener: undefined,
  status: 200,
  code: undefined,
  appended: undefined,
}
const freshRecord = (subject: string) =>
  world.build('workload-provenance', { fields: { subject: digestOf(subject), subjectKind: 'measurement' } })

describe('the audit line', () => {
  it('says who did what, and what came of it', async () => {
    const guarded = guard(world, [may(ISSUER, 'append:issuer', 'read:general')])
    guarded.peer = ISSUER
    const { submission, statement } = await freshRecord('one')
    await guarded.app.inject(register(submission))
    await guarded.app.inject('/checkpoint')
    await guarded.app.inject('/v1/policies')
    await guarded.app.inject(`/v1/provenance/${'0'.repeat(64)}`)
    await guarded.app.inject(register(Buffer.from('nonsense')))
    await written()
    const { index } = (await world.log.reader.locate(statement.entry))!
    const said = guarded.sink.lines.map(({ credential, request, ...line }) => {
      assert.match(credential ?? '', /^[0-9a-f]{64}$/)
      assert.match(request, /^req-/)
      return line
    })
    const who = { type: 'provlog-access/1', at: AT, who: ISSUER, by: 'mtls', trustDomain: 'bank.example' }
    assert.deepEqual(said, [
      { ...who, operation: 'register', status: 201, index, entry: toHex(statement.entry) },
      { ...who, operation: 'getCheckpoint', status: 200 },
      { ...who, operation: 'listPolicies', status: 403, code: 'access_denied' },
      { ...who, operation: 'getProvenance', status: 404, code: 'not_found' },
      { ...who, operation: 'register', status: 400, code: 'malformed_cbor' },
    ])
    await guarded.app.close()
  })

  it('has no line for nobody, but for what nobody claims, and for whom we were told the wrong name of', async () => {
    const guarded = guard(world, [may('anonymous', 'read:general')])
    await guarded.app.inject('/checkpoint')
    await written()
    assert.equal(guarded.sink.text, '')
    await guarded.app.inject({ url: '/checkpoint', headers: { 'x-forwarded-client-cert': `URI=${SUBJECT}` } })
    guarded.peer = ISSUER
    await guarded.app.inject({ url: '/checkpoint', headers: { 'x-forwarded-client-cert': `URI=${SUBJECT}` } })
    await written()
    assert.deepEqual(
      guarded.sink.lines.map(({ who, by, asserted, status, code }) => [who, by, asserted, status, code]),
      [
        [null, 'none', SUBJECT, 200, undefined],
        [ISSUER, 'mtls', SUBJECT, 403, 'identity_conflict'],
      ],
    )
    await guarded.app.close()
  })

  it('is one line, whatever is claimed', async () => {
    const guarded = guard(world, [])
    for (const value of [`${SUBJECT}\u0085{"type":1}`, '\u2028', '"},{"who":"x"', 'a'.repeat(5000)]) {
      await guarded.app.inject({
        url: '/checkpoint',
        headers: { 'x-spiffe-id': Buffer.from(value).toString('latin1') },
      })
    }
    await written()
    assert.ok(guarded.sink.text.length < 4 * 400)
    assert.deepEqual(
      guarded.sink.lines.map(({ asserted }) => asserted),
      new Array(4).fill('x-spiffe-id'),
    )
    await guarded.app.close()
  })

  it('says of a registration that was not waited for what became of it', async () => {
    const guarded = guard(world, [may(ISSUER, 'append:issuer')])
    guarded.peer = ISSUER
    const { submission, statement } = await freshRecord('two')
    const request = register(submission)
    const answer = await guarded.app.inject({ ...request, headers: { ...request.headers, prefer: 'respond-async' } })
    assert.equal(answer.statusCode, 303)
    const { index } = await located(statement.entry)
    await written()
    await written()
    const [answered, appended] = guarded.sink.lines
    assert.deepEqual([answered?.status, answered?.index], [303, undefined])
    assert.deepEqual([appended?.status, appended?.index, appended?.request], [201, index, answered?.request])
    await guarded.app.close()
  })

  async function located(entry: Uint8Array): Promise<{ index: number }> {
    for (;;) {
      const found = await world.log.reader.locate(entry)
      if (found) return found
      await new Promise(setImmediate)
    }
  }
})

describe('the text of a line', () => {
  it('is the JSON of what it says, with what is said of the caller first', () => {
    const caller = {
      identifier: 'spiffe://bank.example/"quoted"\\',
      by: 'proxy',
      via: ENVOY,
      trustDomain: 'bank.example',
      credential: '5e3f',
      asserted: 'a"\n\u2028',
    } as const
    const appended = { index: 8, entry: '77ab', duplicate: true, indexes: '8-250,252', refused: { bad_signature: 2 } }
    const [listener, status, code] = ['admin', 400, 'bad_signature'] as const
    const line = { ...anyLine, caller, operation: 'registerAll', listener, status, code, appended }
    const { identifier, ...how } = caller
    const [type, at, request] = ['provlog-access/1', 1, 'r']
    const said = { type, at, request, who: identifier, ...how, operation: 'registerAll', listener, status, code }
    assert.equal(lineText(line), `${JSON.stringify({ ...said, ...appended })}\n`)
    const nobody = { type, at, request, who: null, by: 'none', operation: null, status: 200 }
    // The second time it is remembered who the caller was, and nothing of the line.
    for (const more of [{ appended: { index: 0 } }, { appended: undefined }]) {
      assert.equal(lineText({ ...anyLine, ...more }), `${JSON.stringify({ ...nobody, ...more.appended })}\n`)
    }
  })
})

describe('where it cannot be written', () => {
  it('nothing more is appended, what was is not answered for, and reads go on', async () => {
    const guarded = guard(world, [may(ISSUER, 'append:issuer', 'read')])
    guarded.peer = ISSUER
    guarded.sink.failure = new Error('no space left')
    const [first, second] = [await freshRecord('three'), await freshRecord('four')]
    const { size } = world.log.reader.treeHead()

    // The one that finds out: it is on the log, and its sender hears nothing of it but to come again.
    const found = await guarded.app.inject(register(first.submission))
    assert.deepEqual([found.statusCode, problemIn(found).code], [503, 'audit_unavailable'])
    assert.equal(found.headers['retry-after'], '1')
    assert.equal(world.log.reader.treeHead().size, size + 1)
    assert.equal(guarded.reports.length, 1)

    const refused = await guarded.app.inject(register(second.submission))
    assert.equal(problemIn(refused).code, 'audit_unavailable')
    const batch = await guarded.app.inject({
      method: 'POST',
      url: '/v1/entries',
      headers: { 'content-type': 'application/cbor-seq' },
      payload: Buffer.from(encodeCborSequence([second.submission])),
    })
    assert.equal(problemIn(batch).code, 'audit_unavailable')
    assert.equal(world.log.reader.treeHead().size, size + 1)
    assert.equal((await guarded.app.inject('/v1/policies')).statusCode, 200)
    // Tried once in a second, and complained about once.
    assert.equal(guarded.reports.length, 1)
    const { writes } = guarded.sink
    await guarded.app.inject('/v1/policies')
    assert.equal(guarded.sink.writes, writes)

    guarded.sink.failure = undefined
    guarded.at = AT + 1
    await guarded.app.inject('/v1/policies')
    await written()
    const again = await guarded.app.inject(register(first.submission))
    assert.equal(again.statusCode, 201)
    const { lines } = guarded.sink
    assert.deepEqual(
      lines.map(({ operation, status, code }) => [operation, status, code]),
      [
        ['register', 503, 'audit_unavailable'],
        ['register', 503, 'audit_unavailable'],
        ['registerAll', 503, 'audit_unavailable'],
        ['listPolicies', 200, undefined],
        ['listPolicies', 200, undefined],
        ['listPolicies', 200, undefined],
        ['register', 201, undefined],
      ],
    )
    // What was appended unanswered stands in the line of its refusal, and with its repetition.
    assert.equal(lines[0]?.index, size)
    assert.deepEqual([lines.at(-1)?.index, lines.at(-1)?.duplicate], [size, true])
    await guarded.app.close()
  })

  it('keeps lines as far as there is room, and counts the others', async () => {
    const sink = new KeptLines()
    sink.failure = new Error('no space left')
    const audit = new AuditLog(sink, () => {})
    const line = (at: number): AuditLine => ({ ...anyLine, at, caller: { by: 'none', asserted: 'a'.repeat(1000) } })
    for (let i = 0; i < 9000; i++) audit.note(line(1))
    await written()
    sink.failure = undefined
    audit.note(line(2))
    await audit.record({ ...line(3), status: 201 })
    const lost = sink.lines.find((each) => each.lost !== undefined)?.lost ?? 0
    assert.ok(lost > 0)
    assert.equal(sink.lines.filter((each) => each.lost === undefined).length + lost, 9002)
  })

  it('is slow, whoever comes next waits', async () => {
    const guarded = guard(world, [may(ISSUER, 'read')])
    guarded.peer = ISSUER
    let finish = () => {}
    const slow = new Promise<void>((resolve) => {
      finish = resolve
    })
    guarded.sink.slow = slow
    const asked = { url: '/checkpoint', headers: { 'x-spiffe-id': ISSUER } }
    await guarded.app.inject(asked)
    guarded.audit.record({ ...anyLine, caller: { by: 'none', asserted: 'a'.repeat(9 * 1024 * 1024) } }).catch(() => {})
    let isAnswered = false
    const waiting = guarded.app.inject(asked).then(() => {
      isAnswered = true
    })
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
    assert.equal(isAnswered, false)
    finish()
    await waiting
    await guarded.app.close()
  })
})

describe('a server whose disk is full', { skip: process.platform !== 'linux' && 'no /dev/full' }, () => {
  it('registers nothing, is not ready, and says why', async () => {
    const dataDir = join(dir, 'full')
    await initLog({ dataDir, origin: ORIGIN, now: () => 100, random: notRandom('full') })
    const config = JSON.parse(await readFile(join(dataDir, 'config.json'), 'utf8')) as object
    const rules = [{ who: ['anonymous'], may: ['admin'] }]
    const access = { trustDomains: {}, rules, audit: { file: '/dev/full' } }
    await writeFile(join(dataDir, 'config.json'), JSON.stringify({ ...config, server: { access } }))
    const logged: string[] = []
    const logger = { level: 'error', stream: { write: (line: string) => logged.push(line) } }
    const server = await startServer({ dataDir, listen: { host: '127.0.0.1', port: 0 }, now: () => AT, logger })
    const readiness = async () => {
      const answer = await fetch(`${server.url}/readyz`)
      return [answer.status, ((await answer.json()) as { reason?: string }).reason]
    }
    try {
      assert.deepEqual(await readiness(), [200, undefined])
      const body = Buffer.from(world.statements[0]!.bytes)
      const headers = { 'content-type': 'application/cose', accept: 'application/json' }
      const bundle = new Uint8Array(await (await fetch(`${server.url}/v1/statements/000.p/1`)).arrayBuffer())
      for (const payload of [bundle.subarray(4), body]) {
        const answer = await fetch(`${server.url}/entries`, { method: 'POST', headers, body: payload })
        assert.deepEqual([answer.status, ((await answer.json()) as { code: string }).code], [503, 'audit_unavailable'])
      }
      assert.deepEqual(await readiness(), [503, 'audit_unavailable'])
      assert.equal(logged.length, 1)
      assert.match(logged[0]!, /ENOSPC/)
    } finally {
      await server.close()
    }
  })
})

describe('AuditLog', () => {
  it('writes together what comes while it writes, in order', async () => {
    const texts: string[] = []
    let finish = () => {}
    const sink: AuditSink = {
      write: (text) =>
        new Promise((resolve) => {
          texts.push(text)
          finish = resolve
        }),
      close: async () => {},
    }
    const audit = new AuditLog(sink, () => {})
    const line = (request: string): AuditLine => ({ ...anyLine, request })
    const first = audit.record(line('1'))
    await written()
    const others = ['2', '3', '4'].map((request) => audit.record(line(request)))
    assert.equal(texts.length, 1)
    finish()
    await first
    await written()
    finish()
    await Promise.all(others)
    assert.deepEqual(
      texts.map((text) => readLines(text).map(({ request }) => request)),
      [['1'], ['2', '3', '4']],
    )
    await audit.close()
  })
})

describe('the audit file', () => {
  it('is for its owner, is appended to, and is another one when it was renamed', async () => {
    const path = join(dir, 'audit.jsonl')
    const sink = await openSink({ file: path, sync: true })
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    await sink.write('one\n')
    await sink.write('two\n')
    await rename(path, `${path}.1`)
    await sink.write('three\n')
    await sink.close()
    const again = await openSink({ file: path, sync: false })
    await again.write('four\n')
    await again.close()
    assert.equal(await readFile(`${path}.1`, 'utf8'), 'one\ntwo\n')
    assert.equal(await readFile(path, 'utf8'), 'three\nfour\n')
  })

  it('that cannot be opened keeps the server from starting (malformed_config)', async () => {
    await assert.rejects(openSink({ file: join(dir, 'nowhere', 'audit.jsonl'), sync: false }), {
      code: 'malformed_config',
    })
  })

  it('that is full says so', { skip: process.platform !== 'linux' && 'no /dev/full' }, async () => {
    const sink = await openSink({ file: '/dev/full', sync: false })
    await assert.rejects(sink.write('one\n'), { code: 'ENOSPC' })
    await sink.close()
  })
})

it('ranges of indexes', () => {
  assert.equal(rangesOf([]), '')
  assert.equal(rangesOf([3, 1, 2, 7, 9, 8, 20]), '1-3,7-9,20')
})
