/**
 * The log client against a real log, and against liars in front of it.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import {
  createFetcher,
  LogClient,
  MisbehaviourError,
  memoryInFile,
  memoryInProcess,
  publishLogPolicy,
  RefusedError,
} from '../../clients/log-client/index.ts'
import {
  checkInclusion,
  concatBytes,
  createNoteSigner,
  hashLeaf,
  signCheckpoint,
  UnavailableError,
} from '../../merkle/index.ts'
import { buildRecordStatement } from '../../provenance/index.ts'
import { attachReceipts, encodeProblem, importSigningKey, splitCborSequence } from '../../statement/index.ts'
import { listen, NOW, newKey, ORIGIN, policyOf, random, serveLies, serveLog } from './served-log.ts'

describe('registering', () => {
  it('returns the place of a statement with a receipt that verified', async (t) => {
    const log = await serveLog(t)
    const issuer = await log.authorize('issuer')
    const { entry, index } = await log.client.registerRecord(policyOf('permit'), issuer)
    assert.equal(index, 2)

    const { size, root } = await log.client.checkpoint()
    const proof = await log.client.inclusionProof(index, size)
    checkInclusion({ index, size, leafHash: hashLeaf(entry), proof }, root)
  })

  it('gives a statement that is registered twice one place', async (t) => {
    const log = await serveLog(t)
    const { statement } = await buildRecordStatement(policyOf('permit'), await log.authorize('issuer'))
    const first = await log.client.register(statement.bytes)
    assert.deepEqual((await log.client.register(statement.bytes)).index, first.index)
  })

  it('passes on the log’s own code when it refuses', async (t) => {
    const log = await serveLog(t)
    const stranger = { ...log.admin, key: await importSigningKey(newKey()) }
    await assert.rejects(log.client.registerRecord(policyOf('permit'), stranger), (error) => {
      assert.ok(error instanceof RefusedError)
      assert.equal(error.code, 'unknown_key')
      assert.ok(error.status >= 400 && error.status < 500)
      return true
    })
  })

  it('tries again when the log is busy, as long after as it says, and gives up after six times', async (t) => {
    const log = await serveLog(t)
    const issuer = await log.authorize('issuer')
    const waits: number[] = []
    let busy = 2
    const url = await serveLies(t, log.url, (path) => {
      if (path !== 'entries' || busy-- <= 0) return undefined
      return { status: 503, headers: { 'retry-after': '7' }, body: new Uint8Array() }
    })
    const client = log.clientAt(url, { sleep: async (milliseconds) => void waits.push(milliseconds) })
    await client.registerRecord(policyOf('permit'), issuer)
    assert.deepEqual(waits, [7000, 7000])

    busy = Number.POSITIVE_INFINITY
    await assert.rejects(client.registerRecord(policyOf('another'), issuer), (error) => {
      assert.ok(error instanceof UnavailableError)
      assert.equal(error.retryAfter, 7)
      return true
    })
    assert.equal(waits.length, 7)
  })

  it('asks an asynchronous log until the receipt is there, and only at that log', async (t) => {
    const log = await serveLog(t)
    const issuer = await log.authorize('issuer')
    let polls = 0
    let location = ''
    const url = await serveLies(t, log.url, (path, { headers }) => {
      if (path === 'entries') return { status: 303, headers: { location }, body: new Uint8Array() }
      if (/^entries\/0\.\d+$/.test(path) && polls++ < 3) return { status: 302, headers: { ...headers, location } }
      return undefined
    })
    const client = log.clientAt(url)
    location = '/entries/0.2'
    const { index } = await client.registerRecord(policyOf('permit'), issuer)
    assert.equal(index, 2)
    assert.equal(polls, 4)

    location = 'https://elsewhere.example/entries/'
    await assert.rejects(client.registerRecord(policyOf('another'), issuer), { code: 'malformed_answer' })
  })

  it('refuses a receipt for another statement (bad_signature)', async (t) => {
    const log = await serveLog(t)
    const issuer = await log.authorize('issuer')
    const { receipt } = await log.client.registerRecord(policyOf('permit'), issuer)
    const url = await serveLies(t, log.url, (path) => (path === 'entries' ? { body: receipt } : undefined))
    await assert.rejects(log.clientAt(url).registerRecord(policyOf('another'), issuer), { code: 'bad_signature' })
  })

  it('refuses a receipt by a key that the log policy does not name (unknown_receipt_key)', async (t) => {
    const [log, other] = [await serveLog(t), await serveLog(t)]
    const { receipt } = await other.client.registerRecord(policyOf('permit'), await other.authorize('issuer'))
    const issuer = await log.authorize('issuer')
    const url = await serveLies(t, log.url, (path) => (path === 'entries' ? { body: receipt } : undefined))
    await assert.rejects(log.clientAt(url).registerRecord(policyOf('permit'), issuer), { code: 'unknown_receipt_key' })
  })
})

describe('registering many at a time', () => {
  /** Issuance policies, each linking to the one before it. */
  const chain = async (issuer: Parameters<typeof buildRecordStatement>[1], count: number) => {
    const statements: Uint8Array[] = []
    let links: { rel: 'previous'; entry: Uint8Array }[] = []
    for (let i = 0; i < count; i++) {
      const { statement } = await buildRecordStatement({ ...policyOf(`permit ${i}`), links }, issuer)
      statements.push(statement.bytes)
      links = [{ rel: 'previous', entry: statement.entry }]
    }
    return statements
  }

  it('returns the place of each, in few requests, and why the others were refused', async (t) => {
    const log = await serveLog(t)
    const issuer = await log.authorize('issuer')
    const stranger = { ...issuer, key: await importSigningKey(newKey()) }
    const many = await Promise.all(
      Array.from({ length: 300 }, async (_, i) => {
        const by = i === 7 ? stranger : issuer
        return (await buildRecordStatement(policyOf(`permit ${i}`), by)).statement.bytes
      }),
    )
    let requests = 0
    const url = await serveLies(t, log.url, (path) => {
      if (path === 'v1/entries') requests++
      return undefined
    })
    const outcomes = await log.clientAt(url).registerAll([...(await chain(issuer, 3)), ...many])
    for (const [i, outcome] of outcomes.entries()) {
      if (i === 10)
        assert.ok(outcome instanceof RefusedError && outcome.code === 'unknown_key' && outcome.status === 403)
      else assert.equal((outcome as { index: number }).index, 2 + i - (i > 10 ? 1 : 0))
    }
    assert.equal(requests, 2)
    assert.deepEqual(await log.client.registerAll([]), [])
  })

  it('asks a log that takes them singly for one after another', async (t) => {
    const log = await serveLog(t)
    const issuer = await log.authorize('issuer')
    const url = await serveLies(t, log.url, (path) =>
      path === 'v1/entries' ? { status: 404, headers: {}, body: new Uint8Array() } : undefined,
    )
    const [broken] = await chain(issuer, 1)
    broken![broken!.length - 1]! ^= 1
    const outcomes = await log.clientAt(url).registerAll([broken!, ...(await chain(issuer, 2))])
    assert.ok(outcomes[0] instanceof RefusedError && outcomes[0].code === 'bad_signature')
    assert.deepEqual(
      outcomes.slice(1).map((outcome) => (outcome as { index: number }).index),
      [2, 3],
    )
  })

  it('believes no receipt that is for another statement, and no answer that is not one each', async (t) => {
    const log = await serveLog(t)
    const issuer = await log.authorize('issuer')
    const statements = await chain(issuer, 2)
    const answers: Uint8Array[] = []
    const swapping = await serveLies(t, log.url, (path, honest) => {
      if (path !== 'v1/entries') return undefined
      const items = splitCborSequence(honest.body, 2)
      answers.push(honest.body)
      return { body: concatBytes(...items.toReversed()) }
    })
    for (const outcome of await log.clientAt(swapping).registerAll(statements)) {
      assert.ok(outcome instanceof Error && 'code' in outcome && outcome.code === 'bad_signature')
    }
    const [answer] = answers
    for (const [body, code] of [
      [concatBytes(answer!, answer!), 'too_large'],
      [splitCborSequence(answer!, 2)[0]!, 'malformed_answer'],
      [new Uint8Array(), 'malformed_answer'],
      [concatBytes(answer!, Uint8Array.of(0x5f)), 'too_large'],
      [Uint8Array.of(0x40, 0x01), 'malformed_problem'],
    ] as const) {
      const url = await serveLies(t, log.url, (path) => (path === 'v1/entries' ? { body } : undefined))
      await assert.rejects(log.clientAt(url).registerAll(statements), { code })
    }
  })

  it('says of one that the log had no room for that it was not taken', async (t) => {
    const log = await serveLog(t)
    const statements = await chain(await log.authorize('issuer'), 2)
    const busy = encodeProblem({ title: 'Service Unavailable', detail: 'full', code: 'queue_full', status: 503 })
    const url = await serveLies(t, log.url, (path, honest) =>
      path === 'v1/entries' ? { body: concatBytes(splitCborSequence(honest.body, 2)[0]!, busy) } : undefined,
    )
    const [first, second] = await log.clientAt(url).registerAll(statements)
    assert.ok(!(first instanceof Error))
    assert.ok(second instanceof UnavailableError)
  })
})

describe('looking things up', () => {
  it('finds the newest of a series, all series of a signer, and what a key may do', async (t) => {
    const log = await serveLog(t)
    const issuer = await log.authorize('issuer')
    const { kid } = issuer.key
    const first = await log.client.registerRecord(policyOf('one'), issuer)
    const second = policyOf('two', { version: 2 })
    await log.client.registerRecord({ ...second, links: [{ rel: 'previous', entry: first.entry }] }, issuer)
    await log.client.registerRecord(policyOf('three', { policyId: 'cards / debit' }), issuer)

    const latest = await log.client.latest('issuance-policy', kid, 'payments')
    assert.equal(latest?.record.fields.version, 2)
    assert.equal(latest?.index, 3)
    assert.equal(await log.client.latest('issuance-policy', kid, 'unheard of'), undefined)
    assert.equal((await log.client.latest('issuance-policy', kid, 'cards / debit'))?.index, 4)
    const all = await log.client.latestAll('issuance-policy', kid)
    assert.deepEqual(
      all.map(({ record }) => record.fields.policyId),
      ['cards / debit', 'payments'],
    )

    const [authorization, ...more] = await log.client.authorizations(kid)
    assert.equal(authorization?.role, 'issuer')
    assert.equal(more.length, 0)
    assert.deepEqual(await log.client.authorizations('A'.repeat(43)), [])
    assert.equal((await log.client.record(first.entry)).record.type, 'issuance-policy')
    await assert.rejects(log.client.statement(random(32)), { name: 'RefusedError', status: 404 })
  })

  it('proves an answer by the tiles when the tree has grown since', async (t) => {
    const log = await serveLog(t)
    const issuer = await log.authorize('issuer')
    const { entry } = await log.client.registerRecord(policyOf('permit'), issuer)
    const reader = log.clientAt(log.url)
    await reader.checkpoint()
    const old = await reader.statement(entry)
    for (let i = 0; i < 3; i++) await log.client.registerRecord(policyOf(`${i}`, { policyId: `p${i}` }), issuer)
    await reader.checkpoint()

    // The receipt of before, for a tree smaller than the one that the reader knows now.
    const stale = attachReceipts(old.statement.bytes, [old.receipt])
    const url = await serveLies(t, log.url, (path) => (path.endsWith('/statement') ? { body: stale } : undefined))
    const client = log.clientAt(url)
    await client.checkpoint()
    assert.equal((await client.statement(entry)).index, old.index)
  })

  it('refuses another statement than the one asked for (wrong_record)', async (t) => {
    const log = await serveLog(t)
    const issuer = await log.authorize('issuer')
    const { entry } = await log.client.registerRecord(policyOf('permit'), issuer)
    const authorization = await log.client.statement(issuer.entry)
    const body = attachReceipts(authorization.statement.bytes, [authorization.receipt])
    const url = await serveLies(t, log.url, (path) => (/statement$|latest/.test(path) ? { body } : undefined))
    const client = log.clientAt(url)
    await assert.rejects(client.statement(entry), { code: 'wrong_record' })
    await assert.rejects(client.latest('issuance-policy', issuer.key.kid, 'payments'), { code: 'wrong_record' })
  })

  it('refuses a record whose signer the log never authorized for it (not_authorized)', async (t) => {
    const log = await serveLog(t)
    const issuer = await log.authorize('issuer')
    const { entry } = await log.client.registerRecord(policyOf('permit'), issuer)
    const url = await serveLies(t, log.url, (path) =>
      path.startsWith('v1/authorizations/') ? { body: Uint8Array.of(0x80) } : undefined,
    )
    await assert.rejects(log.clientAt(url).record(entry), { code: 'not_authorized' })
  })

  it('refuses an authorization of somebody else', async (t) => {
    const log = await serveLog(t)
    const [issuer, other] = [await log.authorize('issuer'), await log.authorize('issuer', 'spiffe://bank.example/b')]
    const honest = await fetch(`${log.url}/v1/authorizations/${other.key.kid}`)
    const body = new Uint8Array(await honest.arrayBuffer())
    const url = await serveLies(t, log.url, (path) => (path.startsWith('v1/authorizations/') ? { body } : undefined))
    await assert.rejects(log.clientAt(url).authorizations(issuer.key.kid), { code: 'wrong_record' })
  })
})

describe('the view of a log', () => {
  it('is consistent with what was remembered in an earlier run', async (t) => {
    const log = await serveLog(t)
    const remembered = memoryInFile(join(log.scratch, 'memory', 'checkpoint'))
    const first = await log.clientAt(log.url, { remembered }).checkpoint()
    await log.authorize('issuer')
    const second = await log.clientAt(log.url, { remembered }).checkpoint()
    assert.deepEqual([first.size, second.size], [1, 2])
    assert.equal(await remembered.load(), second.note)
  })

  it('is shown to have grown by one receipt, and from no other tree (bad_signature)', async (t) => {
    const log = await serveLog(t)
    const from = await log.client.checkpoint()
    await assert.rejects(log.client.growth(from), { status: 404, code: 'not_found' })
    await log.authorize('issuer')
    await log.authorize('verifier')
    const { head } = await log.client.growth(from)
    const now = await log.client.checkpoint()
    assert.deepEqual([head.size, head.root, head.origin], [3, now.root, now.origin])
    const other = { size: from.size, root: new Uint8Array(32) }
    // Where the older size is a power of two its root is the first hash of the path: another leads to a root that nobody signed.
    await assert.rejects(log.client.growth(other), { code: 'bad_signature' })
    await assert.rejects(log.client.growth({ size: 0, root: from.root }), { status: 400, code: 'invalid_locator' })
  })

  it('refuses a second root of one size, and carries both notes (checkpoint_fork)', async (t) => {
    const log = await serveLog(t)
    const honest = await log.client.checkpoint()
    const forked = signCheckpoint({ ...honest, root: random(32) }, [log.noteSigner])
    await refusesCheckpoint(t, log, forked, 'checkpoint_fork', honest.note)
  })

  it('refuses a larger tree that does not start with the one seen (checkpoint_fork)', async (t) => {
    const log = await serveLog(t)
    const honest = await log.client.checkpoint()
    await log.authorize('issuer')
    const forked = signCheckpoint({ origin: ORIGIN, size: 2, root: random(32) }, [log.noteSigner])
    await refusesCheckpoint(t, log, forked, 'checkpoint_fork', honest.note)
  })

  it('refuses a checkpoint of before (checkpoint_rollback)', async (t) => {
    const log = await serveLog(t)
    const old = await log.client.checkpoint()
    await log.authorize('issuer')
    const honest = await log.client.checkpoint()
    await refusesCheckpoint(t, log, old.note, 'checkpoint_rollback', honest.note)
  })

  it('refuses a checkpoint by another key (unknown_signer), and one of another log (wrong_origin)', async (t) => {
    const log = await serveLog(t)
    const { size, root } = await log.client.checkpoint()
    const stranger = createNoteSigner(ORIGIN, random(32))
    const cases = [
      [signCheckpoint({ origin: ORIGIN, size, root }, [stranger]), 'unknown_signer'],
      [signCheckpoint({ origin: 'other.example', size, root }, [log.noteSigner]), 'wrong_origin'],
    ] as const
    for (const [note, code] of cases) {
      const url = await serveLies(t, log.url, (path) =>
        path === 'checkpoint' ? { body: Buffer.from(note) } : undefined,
      )
      await assert.rejects(log.clientAt(url).checkpoint(), { code })
    }
  })

  it('asks a log without key for its own, and says that it did', async (t) => {
    const log = await serveLog(t)
    const client = new LogClient({ url: log.url, clock: () => NOW })
    t.after(() => client.close())
    assert.equal(client.pinned, false)
    assert.equal(await client.origin(), ORIGIN)
    assert.equal(await client.vkey(), log.vkey)
    assert.equal((await client.policy()).fields.origin, ORIGIN)
    assert.equal(log.client.pinned, true)
  })

  it('finds the log policy in force behind the first one, and takes receipts by its keys', async (t) => {
    const log = await serveLog(t)
    for (const maxStatementBytes of [12_345, 23_456]) {
      await publishLogPolicy(log.client, log.admin, (fields) => ({ ...fields, maxStatementBytes }))
    }
    const policy = await log.clientAt(log.url).policy()
    assert.equal(policy.fields.maxStatementBytes, 23_456)
    assert.equal(policy.index, 2)
  })

  it('asks for the log policy in force each time', async (t) => {
    const log = await serveLog(t)
    const reader = log.clientAt(log.url)
    assert.equal((await reader.policy()).index, 0)
    await publishLogPolicy(log.client, log.admin, (fields) => ({ ...fields, maxStatementBytes: 12_345 }))
    assert.equal((await reader.policy()).index, 1)
  })

  it('logs no policy that says what the one in force says', async (t) => {
    const log = await serveLog(t)
    const { unchanged, index } = await publishLogPolicy(log.client, log.admin, (fields) => ({ ...fields }))
    assert.equal(unchanged, true)
    assert.equal(index, 0)
    assert.equal((await log.client.checkpoint()).size, 1)
  })

  it('lets one of two admins through who change the policy at once (not_a_successor)', async (t) => {
    const log = await serveLog(t)
    const both = await Promise.allSettled(
      [12_345, 23_456].map((maxStatementBytes) =>
        publishLogPolicy(log.clientAt(log.url), log.admin, (fields) => ({ ...fields, maxStatementBytes })),
      ),
    )
    const refused = both.flatMap((each) => (each.status === 'rejected' ? [each.reason as RefusedError] : []))
    assert.deepEqual(
      refused.map(({ code }) => code),
      ['not_a_successor'],
    )
  })

  it('refuses a first entry that is not in the tree (not_included)', async (t) => {
    const [log, other] = [await serveLog(t), await serveLog(t)]
    const honest = await fetch(`${other.url}/v1/statements/000.p/1`)
    const body = new Uint8Array(await honest.arrayBuffer())
    const url = await serveLies(t, log.url, (path) => (path.startsWith('v1/statements/') ? { body } : undefined))
    await assert.rejects(log.clientAt(url).policy(), { code: 'not_included' })
  })

  it('refuses tiles that do not lead to the signed root (not_included)', async (t) => {
    const log = await serveLog(t)
    const issuer = await log.authorize('issuer')
    const url = await serveLies(t, log.url, (path, { body }) =>
      path.startsWith('tile/0/') ? { body: body.map((byte) => byte ^ 1) } : undefined,
    )
    await assert.rejects(log.clientAt(url).record(issuer.entry), { code: 'not_included' })
  })
})

describe('a request', () => {
  it('goes in clear text to this machine only', () => {
    assert.throws(() => createFetcher({ url: 'http://log.example' }), { code: 'insecure_url' })
    assert.throws(() => createFetcher({ url: 'http://127.0.0.1.log.example' }), { code: 'insecure_url' })
    for (const url of ['ftp://127.0.0.1', 'no url', 'https://log.example/?a=b', 'https://me@log.example']) {
      assert.throws(() => createFetcher({ url }), { code: 'malformed_url' })
    }
    for (const url of ['https://log.example/prov', 'http://127.0.0.1:1', 'http://[::1]:1', 'http://localhost:1']) {
      createFetcher({ url }).close()
    }
  })

  const answers: [what: string, status: number, headers: Record<string, string>, body: string, expected: object][] = [
    [
      'a refusal in JSON',
      409,
      { 'content-type': 'application/problem+json' },
      '{"title":"T","detail":"D","code":"C"}',
      { name: 'RefusedError', status: 409, code: 'C', message: 'T: D' },
    ],
    [
      'a refusal in anything else',
      404,
      { 'content-type': 'text/html' },
      '<h1>',
      { name: 'RefusedError', status: 404, code: 'http_404' },
    ],
    ['a server that is down', 502, { 'retry-after': '3' }, '', { name: 'UnavailableError', retryAfter: 3 }],
    [
      'a server that wants fewer requests',
      429,
      { 'retry-after': '5' },
      '',
      { name: 'UnavailableError', retryAfter: 5 },
    ],
    ['an answer that is too long', 200, {}, 'x'.repeat(101), { code: 'answer_too_large' }],
    ['an answer that says it is too long', 200, { 'content-length': '1000000' }, '', { code: 'answer_too_large' }],
    ['a compressed answer', 200, { 'content-encoding': 'gzip' }, 'x', { code: 'malformed_answer' }],
  ]
  for (const [what, status, headers, body, expected] of answers) {
    it(`makes something of ${what}`, async (t) => {
      const url = await listen(
        t,
        createServer((_request, response) => {
          response.writeHead(status, headers)
          response.write(body)
          response.end()
        }),
      )
      const fetcher = createFetcher({ url })
      t.after(() => fetcher.close())
      await assert.rejects(fetcher.fetch({ path: 'x', maxBytes: 100 }), expected)
    })
  }

  it('is unavailable when nobody answers, when the answer breaks off, and when it never ends', async (t) => {
    const url = await listen(
      t,
      createServer((request, response) => {
        response.writeHead(200, { 'content-length': '10' })
        response.write('x')
        if (request.url === '/breaks') setImmediate(() => response.destroy())
      }),
    )
    const fetcher = createFetcher({ url, timeout: 50 })
    t.after(() => fetcher.close())
    for (const path of ['breaks', 'hangs']) {
      await assert.rejects(fetcher.fetch({ path, maxBytes: 100 }), { name: 'UnavailableError' })
    }
    const nobody = createFetcher({ url: 'http://127.0.0.1:1' })
    await assert.rejects(nobody.fetch({ path: 'x', maxBytes: 1 }), { name: 'UnavailableError' })
  })

  it('is gone on with where it broke off, when it is a statement bundle, and begun anew when that has changed', async (t) => {
    const log = await serveLog(t)
    const whole = new Uint8Array(await (await fetch(`${log.url}/v1/statements/000.p/1`)).arrayBuffer())
    for (const changes of [false, true]) {
      const asked: (string | undefined)[] = []
      const url = await listen(
        t,
        createServer((request, response) => {
          if (!request.url?.startsWith('/v1/statements/')) return void response.writeHead(404).end()
          asked.push(request.headers.range)
          const etag = changes && asked.length > 1 ? '"new"' : '"old"'
          const start = request.headers['if-range'] === etag ? Number(request.headers.range?.slice(6, -1)) : 0
          const length = String(whole.length - start)
          const part = start > 0 && { 'content-range': `bytes ${start}-${whole.length - 1}/${whole.length}` }
          response.writeHead(part ? 206 : 200, { etag, 'accept-ranges': 'bytes', 'content-length': length, ...part })
          if (asked.length > 3) return void response.end(whole.subarray(start))
          // A hundred bytes at a time, then the line goes dead.
          response.write(whole.subarray(start, start + 100), () => setImmediate(() => response.destroy()))
        }),
      )
      const [statement] = await log.clientAt(url).statementBundle(0, 1)
      assert.deepEqual(statement, whole.subarray(4))
      assert.deepEqual(
        asked,
        changes
          ? [undefined, 'bytes=100-', 'bytes=100-', 'bytes=200-']
          : [undefined, 'bytes=100-', 'bytes=200-', 'bytes=300-'],
      )
    }
  })

  it('is unavailable when nothing more of it comes', async (t) => {
    const log = await serveLog(t)
    let asked = 0
    const url = await listen(
      t,
      createServer((_request, response) => {
        asked++
        response.writeHead(200, { etag: '"a"', 'accept-ranges': 'bytes', 'content-length': '1000' })
        response.flushHeaders()
        setImmediate(() => response.destroy())
      }),
    )
    await assert.rejects(log.clientAt(url).statementBundle(0, 1), { name: 'UnavailableError' })
    assert.equal(asked, 1)
  })

  it('follows no redirect', async (t) => {
    const log = await serveLog(t)
    const url = await listen(
      t,
      createServer((request, response) => void response.writeHead(302, { location: `${log.url}${request.url}` }).end()),
    )
    await assert.rejects(log.clientAt(url).checkpoint(), { name: 'EvidenceError', code: 'malformed_answer' })
  })

  it('is answered over a connection that was closed meanwhile', async (t) => {
    const server = createServer((_request, response) => void response.end('ok'))
    const url = await listen(t, server)
    const fetcher = createFetcher({ url, sockets: 1 })
    t.after(() => fetcher.close())
    await fetcher.fetch({ path: 'x', maxBytes: 10 })
    server.closeIdleConnections()
    assert.equal((await fetcher.fetch({ path: 'x', maxBytes: 10 })).status, 200)
  })
})

describe('a request that was given up', () => {
  it('is not sent again, on a connection that answered before', async (t) => {
    let requests = 0
    const url = await listen(
      t,
      createServer((_request, response) => {
        if (++requests === 1) response.end('ok')
      }),
    )
    const fetcher = createFetcher({ url, timeout: 50 })
    t.after(() => fetcher.close())
    await fetcher.fetch({ path: 'x', maxBytes: 10 })
    await assert.rejects(fetcher.fetch({ path: 'x', maxBytes: 10 }), { name: 'UnavailableError' })
    await delay(100)
    assert.equal(requests, 2)
  })
})

async function refusesCheckpoint(
  t: Parameters<typeof serveLog>[0],
  log: Awaited<ReturnType<typeof serveLog>>,
  note: string,
  code: string,
  before: string,
): Promise<void> {
  const remembered = memoryInProcess()
  await remembered.save(before)
  const url = await serveLies(t, log.url, (path) => (path === 'checkpoint' ? { body: Buffer.from(note) } : undefined))
  const client = log.clientAt(url, { remembered })
  await assert.rejects(client.checkpoint(), (error) => {
    assert.ok(error instanceof MisbehaviourError)
    assert.equal(error.code, code)
    assert.deepEqual(error.evidence, { origin: ORIGIN, before, after: note })
    return true
  })
  assert.equal(await remembered.load(), before)
}
