// What each caller may do at each path; that whoever may not learns nothing; and that an append is what its sender may send.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { InjectOptions, LightMyRequestResponse } from 'fastify'
import { grantsOf, maySend, RIGHTS, type Right, typeOf } from '../../../log-server/access/rights.ts'
import { toHex } from '../../../merkle/bytes.ts'
import {
  encodePublicKey,
  type HttpRequest,
  ProvenanceError,
  RECORD_TYPES,
  type RecordType,
} from '../../../provenance/index.ts'
import {
  asArray,
  asBytes,
  decodeCbor,
  decodeProblem,
  encodeCbor,
  encodeCborSequence,
  kidOf,
  publicJwkOf,
  type SignedStatement,
  splitCborSequence,
  wrapRecipientKid,
} from '../../../statement/index.ts'
import { AT, added, changed, newCaller, SUBJECT, signed, withWpt } from '../../provenance/proof-of-possession/caller.ts'
import { createParty, digestOf, ISSUER, SECTIONS } from '../../provenance/small-log.ts'
import { OTHER_X25519_JWK, X25519_JWK } from '../../statement/fixtures.ts'
import { type Built, problemIn, type ServedLog, serveLog } from '../served-log.ts'
import { guard, may, PROXY, written } from './guarded-log.ts'

const AUDITOR = 'spiffe://bank.example/auditor'
const SHOP = 'spiffe://shop.example/till'
const ABSENT = '0'.repeat(64)

let world: ServedLog
let sealed: Built
let kid: string
before(async () => {
  world = await serveLog()
  // 9: the auditor, and the key that wraps are for.
  const auditor = await createParty(9, AUDITOR)
  const authorization = await world.build('key-authorization', {
    fields: {
      role: 'auditor',
      trustDomain: 'bank.example',
      subject: AUDITOR,
      key: encodePublicKey(auditor.publicJwk),
      encryptionKey: encodePublicKey(publicJwkOf(X25519_JWK)),
      notBefore: 0,
    },
  })
  assert.equal((await world.post(authorization.submission)).statusCode, 201)
  // 10: for the auditor and for somebody else.
  sealed = await world.build('workload-provenance', {
    fields: { subject: digestOf('another image'), subjectKind: 'measurement' },
    sections: SECTIONS['workload-provenance'],
    recipients: [X25519_JWK, OTHER_X25519_JWK].map(publicJwkOf),
  })
  assert.equal((await world.post(sealed.submission)).statusCode, 201)
  kid = world.statements[3]!.header.kid!
})
after(() => world.close())

const codeIn = (answer: LightMyRequestResponse) => (answer.statusCode >= 400 ? problemIn(answer).code : undefined)

/** Rights that are enough, one by one; and a request about what is there, and one about what is not. */
type Path = readonly [
  operation: string,
  enough: readonly Right[],
  there: () => string,
  absent?: string | undefined,
  method?: 'POST',
]

const PUBLIC: readonly Right[] = ['read:general', 'read', 'audit', 'admin']
const READ: readonly Right[] = ['read', 'audit', 'admin']
const APPENDERS: readonly Right[] = [
  'append:issuer',
  'append:verifier',
  'append:vendor',
  'append:gateway',
  'append:auditor',
  'append:foreign',
  'append:any',
  'admin',
]
const PATHS: readonly Path[] = [
  ['getCheckpoint', PUBLIC, () => '/checkpoint'],
  ['getTile', PUBLIC, () => '/tile/0/000.p/9', '/tile/0/000.p/99'],
  ['getReceipt', [...APPENDERS, ...PUBLIC], () => '/entries/0.3', `/entries/${ABSENT}`],
  ['getTransparentStatement', READ, () => '/entries/0.3/statement', `/entries/${ABSENT}/statement`],
  ['getReceiptKeys', [...APPENDERS, ...PUBLIC], () => '/.well-known/scitt-keys'],
  [
    'getReceiptKey',
    [...APPENDERS, ...PUBLIC],
    () => `/.well-known/scitt-keys/${keyName()}`,
    '/.well-known/scitt-keys/x',
  ],
  ['getProvenance', PUBLIC, () => `/v1/provenance/${toHex(digestOf('credential'))}`, `/v1/provenance/${ABSENT}`],
  ['findProvenance', PUBLIC, () => '/v1/provenance', undefined, 'POST'],
  [
    'getLatest',
    READ,
    () => `/v1/latest/issuance-policy/${kid}/payments`,
    `/v1/latest/issuance-policy/${'A'.repeat(43)}/x`,
  ],
  ['listLatest', READ, () => `/v1/latest/issuance-policy/${kid}`, `/v1/latest/issuance-policy/${'A'.repeat(43)}`],
  ['listAuthorizations', READ, () => `/v1/authorizations/${kid}`, `/v1/authorizations/${'A'.repeat(43)}`],
  ['listPolicies', READ, () => '/v1/policies'],
  ['getFoundingPolicy', [...APPENDERS, ...PUBLIC], () => '/v1/statements/000.p/1'],
  ['getStatements', ['audit'], () => '/v1/statements/000.p/9', '/v1/statements/000.p/99'],
  ['getInclusionProof', PUBLIC, () => '/v1/proof/inclusion/0/9', '/v1/proof/inclusion/0/9999'],
  ['getConsistencyProof', PUBLIC, () => '/v1/proof/consistency/1/9', '/v1/proof/consistency/1/9999'],
  ['getConsistencyReceipt', PUBLIC, () => '/v1/receipts/consistency/9', '/v1/receipts/consistency/9999'],
  ['register', APPENDERS, () => '/entries', undefined, 'POST'],
  ['registerAll', APPENDERS, () => '/v1/entries', undefined, 'POST'],
  [
    'getWraps',
    ['wraps', 'audit'],
    () => `/v1/entries/${toHex(sealed.statement.entry)}/wraps`,
    `/v1/entries/${ABSENT}/wraps`,
  ],
  ['getHealth', RIGHTS, () => '/healthz'],
  ['getReadiness', RIGHTS, () => '/readyz'],
  ['getOpenApi', RIGHTS, () => '/openapi.json'],
  ['getDocs', RIGHTS, () => '/docs'],
  ['getDocsFile', RIGHTS, () => '/docs/start.js', '/docs/x'],
]
const ANYONE = new Set(['getHealth', 'getReadiness', 'getOpenApi', 'getDocs', 'getDocsFile'])

const keyName = () => world.log.authorities.policy().receiptKids[0]!
const bodies: Readonly<Record<string, { type: string; payload: () => Uint8Array }>> = {
  register: { type: 'application/cose', payload: () => world.statements[3]!.bytes },
  registerAll: { type: 'application/cbor-seq', payload: () => encodeCborSequence([world.statements[3]!.bytes]) },
  findProvenance: { type: 'application/cbor', payload: () => encodeCbor([digestOf('credential')]) },
}

function requestOf([operation, , there, , post]: Path, url = there()): InjectOptions {
  const method = post ?? 'GET'
  const body = bodies[operation]
  return {
    method,
    url,
    ...(body && { headers: { 'content-type': body.type }, payload: Buffer.from(body.payload()) }),
  }
}

const nameOf = (right: Right) => `spiffe://bank.example/${right.replace(':', '-')}`
const each = RIGHTS.map((right) => may(nameOf(right), right))

describe('a path', () => {
  it('is in the table below, whichever it is', async () => {
    const { paths } = (await world.get('/openapi.json')).json() as {
      paths: Record<string, Record<string, { operationId: string; security: readonly object[] }>>
    }
    const operations = Object.values(paths).flatMap((item) =>
      Object.entries(item).flatMap(([method, about]) => (method === 'head' ? [] : [about])),
    )
    assert.deepEqual(new Set(operations.map(({ operationId }) => operationId)), new Set(PATHS.map(([name]) => name)))
    for (const { operationId, security } of operations) assert.equal(security.length === 0, ANYONE.has(operationId))
  })

  for (const path of PATHS) {
    const [operation, enough] = path
    it(`is for whom it is: ${operation}`, async () => {
      const guarded = guard(world, each)
      for (const right of RIGHTS) {
        guarded.peer = nameOf(right)
        const answer = await guarded.app.inject(requestOf(path))
        // That of one statement is not of the right type is another refusal: below.
        const denied = answer.statusCode === 403 && !(operation === 'register' && enough.includes(right))
        assert.equal(denied, !enough.includes(right), `${right}: ${answer.statusCode}`)
        if (denied) assert.equal(codeIn(answer), 'access_denied')
        // Of wraps none is for these callers, and whoever reads nothing else is not told of what.
        else if (operation === 'getWraps' && right === 'wraps') assert.equal(answer.statusCode, 404)
        else if (operation !== 'register') assert.ok(answer.statusCode < 400, `${right}: ${answer.statusCode}`)
      }
      await guarded.app.close()
    })
  }

  it('is closed to whom no rule names, and to nobody', async () => {
    const guarded = guard(world, each)
    for (const peer of [
      undefined,
      'spiffe://bank.example/new',
      'spiffe://bank.example/read/more',
      'spiffe://partner.example/read',
    ]) {
      guarded.peer = peer
      for (const path of PATHS) {
        const answer = await guarded.app.inject(requestOf(path))
        if (ANYONE.has(path[0])) assert.ok(answer.statusCode < 400, path[0])
        else assert.deepEqual([answer.statusCode, codeIn(answer)], [403, 'access_denied'], path[0])
      }
    }
    await guarded.app.close()
  })

  it('says the same about what is there, what is not, and what cannot be', async () => {
    const guarded = guard(world, [])
    for (const path of PATHS) {
      const [operation, , there, absent] = path
      if (ANYONE.has(operation) || absent === undefined) continue
      const answers = await Promise.all(
        [there(), absent, there().replace(/0\.3|[0-9a-f]{64}|[0-9]+$/, '%25..')].map((url) =>
          guarded.app.inject(requestOf(path, url)),
        ),
      )
      const said = answers.map(
        ({ statusCode, headers: { date: _date, 'x-request-id': _id, ...headers }, rawPayload }) => ({
          statusCode,
          headers,
          body: rawPayload.toString('latin1'),
        }),
      )
      assert.deepEqual(said[1], said[0], operation)
      assert.deepEqual(said[2], said[0], operation)
    }
    await guarded.app.close()
  })

  it('is read by everybody where everybody may, and by a whole trust domain where it is said so', async () => {
    const guarded = guard(world, [
      { who: ['anonymous'], may: ['read:general'] },
      { trustDomain: 'partner.example', may: ['read'] },
    ])
    const ask = async (peer: string | undefined, url: string) => {
      guarded.peer = peer
      return (await guarded.app.inject(url)).statusCode
    }
    assert.equal(await ask(undefined, '/checkpoint'), 200)
    assert.equal(await ask(undefined, '/v1/policies'), 403)
    assert.equal(await ask('spiffe://bank.example/x', '/checkpoint'), 200)
    assert.equal(await ask('spiffe://bank.example/x', '/v1/policies'), 403)
    assert.equal(await ask('spiffe://partner.example/x', '/v1/policies'), 200)
    assert.equal(await ask('spiffe://partner.example.evil.example/x', '/v1/policies'), 403)
    await guarded.app.close()
  })

  it('that is for some is kept by no shared cache', async () => {
    const guarded = guard(world, [may(SUBJECT, 'read')])
    guarded.peer = SUBJECT
    const answer = await guarded.app.inject('/tile/0/000.p/9')
    assert.equal(answer.headers['cache-control'], 'private, max-age=31536000, immutable')
    const open = guard(world, [may('anonymous', 'read:general')])
    assert.match(String((await open.app.inject('/tile/0/000.p/9')).headers['cache-control']), /^public/)
    await Promise.all([guarded.app.close(), open.app.close()])
  })

  it('that is none says so, as to everybody', async () => {
    const guarded = guard(world, [])
    assert.equal(codeIn(await guarded.app.inject('/v1/nothing')), 'not_found')
    assert.equal(codeIn(await guarded.app.inject({ method: 'PUT', url: '/checkpoint' })), 'method_not_allowed')
    await guarded.app.close()
  })
})

describe('an append', () => {
  /** By hand: which rights let which types pass. */
  const SENDERS: Readonly<Record<RecordType, readonly Right[]>> = {
    'log-policy': ['admin'],
    'key-authorization': ['admin'],
    'issuance-policy': ['append:issuer', 'append:any'],
    'appraisal-policy': ['append:verifier', 'append:any'],
    'reference-values': ['append:verifier', 'append:any'],
    'workload-provenance': ['append:issuer', 'append:vendor', 'append:any'],
    'attestation-result': ['append:verifier', 'append:any'],
    'issuance-intent': ['append:issuer', 'append:any'],
    'credential-provenance': ['append:issuer', 'append:any'],
    'issuance-denied': ['append:issuer', 'append:any'],
    'credential-status': ['append:issuer', 'append:any'],
    'identity-generalization': ['append:gateway', 'append:any'],
    retraction: ['admin', 'append:issuer', 'append:verifier', 'append:any'],
    erasure: ['admin', 'append:issuer', 'append:any'],
    'audit-report': ['append:auditor', 'append:any'],
  }

  it('is of a type that its sender may send', () => {
    for (const type of RECORD_TYPES) {
      const allowed = RIGHTS.filter((right) => maySend(grantsOf(right), type))
      assert.deepEqual(new Set(allowed), new Set(SENDERS[type]), type)
    }
    const foreign = RIGHTS.filter((right) => maySend(grantsOf(right), 'foreign'))
    assert.deepEqual(foreign, ['append:foreign', 'append:any'])
  })

  it('has the type that admission reads', () => {
    for (const [i, type] of ['log-policy', 'key-authorization', 'key-authorization', 'issuance-policy'].entries()) {
      assert.equal(typeOf(world.statements[i]!), type)
    }
    const header = (change: object) => ({ header: { ...world.statements[3]!.header, ...change } }) as SignedStatement
    assert.equal(typeOf(header({ contentType: 'text/plain' })), 'foreign')
    for (const typ of ['application/vnd.provlog.constructor+cose', 'application/vnd.provlog.x+cose', 7, undefined]) {
      assert.equal(typeOf(header({ typ })), undefined)
    }
  })

  it('is refused before anything is said of what the log has', async () => {
    const guarded = guard(world, each)
    const post = (statement: Uint8Array) =>
      guarded.app.inject({
        method: 'POST',
        url: '/entries',
        headers: { 'content-type': 'application/cose' },
        payload: Buffer.from(statement),
      })
    for (const [i, type] of (
      [
        'log-policy',
        'key-authorization',
        'key-authorization',
        'issuance-policy',
        'appraisal-policy',
        'reference-values',
        'workload-provenance',
        'attestation-result',
        'credential-provenance',
      ] as const
    ).entries()) {
      for (const right of RIGHTS) {
        guarded.peer = nameOf(right)
        const answer = await post(world.statements[i]!.bytes)
        // It is on the log: whoever may send it has its receipt.
        assert.equal(answer.statusCode, SENDERS[type].includes(right) ? 201 : 403, `${right} ${type}`)
        if (answer.statusCode === 403) assert.equal(codeIn(answer), 'access_denied')
      }
    }
    await guarded.app.close()
  })

  it('of several is judged one by one', async () => {
    const guarded = guard(world, [may(ISSUER, 'append:issuer')])
    guarded.peer = ISSUER
    const answer = await guarded.app.inject({
      method: 'POST',
      url: '/v1/entries',
      headers: { 'content-type': 'application/cbor-seq' },
      payload: Buffer.from(encodeCborSequence([3, 4, 6, 0].map((i) => world.statements[i]!.bytes))),
    })
    assert.equal(answer.statusCode, 200)
    const outcomes = splitCborSequence(new Uint8Array(answer.rawPayload), 1000)
    const codes = outcomes.map((outcome) =>
      decodeCbor(outcome) instanceof Map ? decodeProblem(outcome).code : 'receipt',
    )
    assert.deepEqual(codes, ['receipt', 'access_denied', 'receipt', 'access_denied'])
    const [line] = guarded.sink.lines
    assert.deepEqual([line?.operation, line?.indexes, line?.refused], ['registerAll', '3,6', { access_denied: 2 }])
    await guarded.app.close()
  })

  it('of the admin is taken at the address for admins, where there is one, and nowhere else', async () => {
    const rules = [may(SUBJECT, 'admin', 'append:any')]
    const post = { method: 'POST', url: '/entries', headers: { 'content-type': 'application/cose' } } as const
    const send = (i: number) => ({ ...post, payload: Buffer.from(world.statements[i]!.bytes) })

    const main = guard(world, rules, { adminElsewhere: true })
    main.peer = SUBJECT
    for (const i of [0, 1]) assert.equal(codeIn(await main.app.inject(send(i))), 'access_denied')
    assert.equal((await main.app.inject(send(3))).statusCode, 201)

    const admin = guard(world, rules, { admin: 'by-rules' })
    assert.equal(codeIn(await admin.app.inject(send(1))), 'access_denied')
    admin.peer = SUBJECT
    assert.equal((await admin.app.inject(send(1))).statusCode, 201)
    await written()
    assert.equal(admin.sink.lines.at(-1)?.listener, 'admin')
    // An address for admins is for nobody else, whatever they may elsewhere.
    const reader = guard(world, [may(SUBJECT, 'audit', 'append:any')], { admin: 'by-rules' })
    reader.peer = SUBJECT
    for (const url of ['/v1/policies', '/checkpoint'])
      assert.equal(codeIn(await reader.app.inject(url)), 'access_denied')
    assert.equal(codeIn(await reader.app.inject(send(3))), 'access_denied')
    assert.equal((await reader.app.inject('/healthz')).statusCode, 200)
    // In clear text on this machine: whoever is here.
    const local = guard(world, [], { admin: 'local' })
    assert.equal((await local.app.inject(send(1))).statusCode, 201)
    assert.equal((await local.app.inject('/v1/policies')).statusCode, 200)
    const wraps = await local.app.inject('/v1/entries/0.10/wraps')
    assert.deepEqual(decodeCbor(new Uint8Array(wraps.rawPayload)), [])
    for (const { app } of [main, admin, reader, local]) await app.close()
  })
})

describe('the address for admins in clear text', () => {
  it('is for programs of this machine, and for no page that is looked at there', async () => {
    const { app } = guard(world, [], { admin: 'local' })
    const ask = (headers: Record<string, string>, host = '127.0.0.1:8788') =>
      app.inject({ url: '/v1/policies', headers: { host, ...headers } })
    for (const host of ['127.0.0.1:8788', 'localhost', '[::1]:8788'])
      assert.equal((await ask({}, host)).statusCode, 200)
    assert.equal((await ask({ 'sec-fetch-site': 'same-origin' })).statusCode, 200)
    for (const [headers, host] of [
      [{ origin: 'https://evil.example' }],
      [{ origin: 'null' }],
      [{ 'sec-fetch-site': 'cross-site' }],
      [{ 'sec-fetch-site': 'same-site' }],
      [{}, 'evil.example:8788'],
      [{}, '127.0.0.1.evil.example'],
    ] as const) {
      assert.equal(codeIn(await ask(headers, host)), 'access_denied', `${JSON.stringify(headers)} ${host}`)
    }
    await app.close()
  })
})

describe('content', () => {
  const send = (
    app: ReturnType<typeof guard>['app'],
    request: HttpRequest,
    payload: Uint8Array,
    method = request.method,
  ) =>
    app.inject({
      method: method as 'POST',
      url: request.target,
      headers: Object.fromEntries(request.fields),
      payload: Buffer.from(payload),
    })
  const type = ['Content-Type', 'application/cose'] as const

  it('that was signed is what is registered, and other content is not', async () => {
    const guarded = guard(world, [may(SUBJECT, 'append:issuer')])
    const caller = await newCaller()
    const [content, other] = [world.statements[3]!.bytes, world.statements[6]!.bytes]
    const honest = await send(guarded.app, await signed(caller, { fields: [type], content }), content)
    assert.equal(honest.statusCode, 201, honest.payload)
    const swapped = await send(guarded.app, await signed(caller, { fields: [type], content }), other)
    assert.equal(codeIn(swapped), 'content_digest_mismatch')
    const emptied = await send(guarded.app, await signed(caller, { fields: [type], content }), new Uint8Array())
    assert.equal(codeIn(emptied), 'content_digest_mismatch')
    const given = await send(guarded.app, await signed(caller, { fields: [type] }), content)
    assert.equal(codeIn(given), 'content_digest_missing')
    await written()
    assert.deepEqual(
      guarded.sink.lines.map(({ who, by, status, code }) => [who, by, status, code]),
      [
        [SUBJECT, 'wit+httpsig', 201, undefined],
        ...[0, 1].map(() => [SUBJECT, 'wit+httpsig', 400, 'content_digest_mismatch']),
        [SUBJECT, 'wit+httpsig', 400, 'content_digest_missing'],
      ],
    )
    await guarded.app.close()
  })

  it('is no way past a proof: a WIT alone, or its proof a second time, registers nothing', async () => {
    const guarded = guard(world, [may(SUBJECT, 'append:issuer')])
    const caller = await newCaller()
    const content = world.statements[3]!.bytes
    const request = added(await withWpt(caller), type)
    assert.equal((await send(guarded.app, request, content)).statusCode, 201)
    assert.equal(codeIn(await send(guarded.app, request, content)), 'proof_replayed')
    const stolen = changed(added(await withWpt(caller), type), 'Workload-Proof-Token', () => undefined)
    assert.equal(codeIn(await send(guarded.app, stolen, content)), 'proof_missing')
    // None of it is in what is written down.
    await written()
    assert.equal(guarded.sink.lines.length, 3)
    for (const secret of [
      caller.wit,
      caller.wit.split('.')[1]!,
      ...request.fields.map(([, value]) => value).filter((value) => value.includes('.')),
    ]) {
      assert.ok(!guarded.sink.text.includes(secret))
    }
    await guarded.app.close()
  })
})

describe('wraps', () => {
  const wrapsAt = async (guarded: ReturnType<typeof guard>, peer: string | undefined, id = '0.10') => {
    guarded.peer = peer
    const answer = await guarded.app.inject(`/v1/entries/${id}/wraps`)
    if (answer.statusCode !== 200) return codeIn(answer)
    const wraps = asArray(decodeCbor(new Uint8Array(answer.rawPayload)), 'wraps').map((wrap) => asBytes(wrap, 'a wrap'))
    return new Set(wraps.map((wrap) => wrapRecipientKid(wrap)))
  }
  const [auditors, others] = [X25519_JWK, OTHER_X25519_JWK].map((jwk) => kidOf(publicJwkOf(jwk))) as [string, string]

  it('are shown to whom they are for, by the log or by the rules, and to who signed the record', async () => {
    const guarded = guard(world, [
      may(AUDITOR, 'audit'),
      may(ISSUER, 'wraps'),
      { who: [SHOP], may: ['wraps'], recipientKeys: [others] },
      may(SUBJECT, 'audit'),
      may('anonymous', 'wraps', 'read'),
    ])
    assert.deepEqual(await wrapsAt(guarded, AUDITOR), new Set([auditors]))
    assert.deepEqual(await wrapsAt(guarded, SHOP), new Set([others]))
    assert.deepEqual(await wrapsAt(guarded, ISSUER), new Set([auditors, others]))
    assert.deepEqual(await wrapsAt(guarded, SUBJECT), new Set())
    assert.deepEqual(await wrapsAt(guarded, undefined), new Set())
    await guarded.app.close()
  })

  it('of others are to whoever reads nothing else as if there were no such entry', async () => {
    const guarded = guard(world, [may(SUBJECT, 'wraps')])
    for (const id of ['0.10', '0.3', ABSENT, toHex(sealed.statement.entry), '0.999']) {
      assert.equal(await wrapsAt(guarded, SUBJECT, id), 'not_found')
    }
    await guarded.app.close()
  })
})

describe('a connection whose certificate does not hold', () => {
  it('is refused on every path, with its code, and written down', async () => {
    const guarded = guard(world, [may('anonymous', 'read')])
    guarded.peer = new ProvenanceError('credential_expired', 'ended')
    for (const url of ['/checkpoint', '/healthz', '/v1/nothing']) {
      assert.equal(codeIn(await guarded.app.inject(url)), 'credential_expired')
    }
    await written()
    assert.deepEqual(
      guarded.sink.lines.map(({ at, who, by, operation, status, code }) => [at, who, by, operation, status, code]),
      [
        [AT, null, 'none', 'getCheckpoint', 400, 'credential_expired'],
        [AT, null, 'none', 'getHealth', 400, 'credential_expired'],
        [AT, null, 'none', null, 400, 'credential_expired'],
      ],
    )
    await guarded.app.close()
  })

  it('is not rescued by a proxy’s header or a proof', async () => {
    const guarded = guard(world, [may(SUBJECT, 'read')])
    guarded.peer = new Error('ours')
    assert.equal((await guarded.app.inject('/checkpoint')).statusCode, 500)
    guarded.peer = PROXY
    const answer = await guarded.app.inject({
      url: '/v1/policies',
      headers: { 'x-forwarded-client-cert': `URI=${SUBJECT}` },
    })
    assert.equal(codeIn(answer), 'access_denied')
    await guarded.app.close()
  })
})
