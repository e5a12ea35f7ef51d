// SCRAPI: receipts, transparent statements, keys, and what every refusal on its paths must look like.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { equalBytes, toBase64url, toHex, utf8 } from '../../merkle/index.ts'
import {
  decodeCbor,
  decodeCoseKeySet,
  importVerificationKey,
  jwkOfCoseKey,
  kidOf,
  parseReceipt,
  parseTransparentStatement,
  verifyReceipt,
} from '../../statement/index.ts'
import { ORIGIN } from '../provenance/small-log.ts'
import { assertRefused, assertUnchanged, JSON_PROBLEM, type ServedLog, serveLog } from './served-log.ts'

let world: ServedLog
before(async () => {
  world = await serveLog()
})
after(() => world.close())

const receiptKey = async () => importVerificationKey(world.log.authorities.policy().receiptKeys[0]!)

describe('GET /entries/{id}', () => {
  it('is a receipt that verifies, by hex and by index', async () => {
    for (const [index, { entry }] of world.statements.entries()) {
      for (const id of [toHex(entry), `0.${index}`]) {
        const answer = await world.get(`/entries/${id}`)
        assert.equal(answer.statusCode, 200)
        assert.equal(answer.headers['content-type'], 'application/cose')
        const receipt = parseReceipt(new Uint8Array(answer.rawPayload))
        await verifyReceipt(receipt, entry, await receiptKey(), { origin: ORIGIN })
      }
    }
  })

  it('is named by the media type that the client prefers', async () => {
    const answer = await world.get('/entries/0.1', { accept: 'application/scitt-receipt+cose, application/cose' })
    assert.equal(answer.headers['content-type'], 'application/scitt-receipt+cose')
    assert.equal(answer.headers['vary'], 'accept')
  })
})

describe('GET /entries/{id}/statement', () => {
  it('is the statement as registered, with a receipt for it', async () => {
    for (const [index, { bytes, entry }] of world.statements.entries()) {
      const answer = await world.get(`/entries/0.${index}/statement`, { accept: 'application/scitt-statement+cose' })
      assert.equal(answer.headers['content-type'], 'application/scitt-statement+cose')
      const { statement, receipts } = parseTransparentStatement(new Uint8Array(answer.rawPayload))
      assert.ok(equalBytes(statement.bytes, bytes))
      assert.equal(receipts.length, 1)
      await verifyReceipt(parseReceipt(receipts[0]!), entry, await receiptKey(), { origin: ORIGIN })
    }
  })

  it('is accepted by POST /entries as what it was made of', async () => {
    const { rawPayload } = await world.get('/entries/0.3/statement')
    await assertUnchanged(world, async () => {
      const answer = await world.post(new Uint8Array(rawPayload))
      assert.equal(answer.headers['location'], '/entries/0.3')
    })
  })
})

describe('GET /v1/entries/{id}/wraps', () => {
  it('is the wraps that came with the statement, none for most', async () => {
    const answer = await world.get('/v1/entries/0.8/wraps')
    assert.equal(answer.headers['content-type'], 'application/cbor')
    assert.deepEqual(decodeCbor(new Uint8Array(answer.rawPayload)), [])
  })
})

describe('an entry id is refused', () => {
  const hex = 'ab'.repeat(32)
  const cases: readonly (readonly [what: string, id: string, status: number, code: string])[] = [
    ['of no entry', hex, 404, 'not_found'],
    ['at the end of the log', '0.9', 404, 'not_found'],
    ['far past the end of the log', '0.9007199254740991', 404, 'not_found'],
    ['past 2⁵³', '0.9007199254740992', 400, 'invalid_locator'],
    ['in upper case', hex.toUpperCase(), 400, 'invalid_locator'],
    ['short of a digit', hex.slice(1), 400, 'invalid_locator'],
    ['in base64', 'q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s', 400, 'invalid_locator'],
    ['of another view', '1.0', 400, 'invalid_locator'],
    ['with a leading zero', '0.01', 400, 'invalid_locator'],
    ['with a sign', '0.-1', 400, 'invalid_locator'],
    ['that is nothing', '', 400, 'invalid_locator'],
    ['with a NUL', `${hex}%00`, 400, 'invalid_locator'],
    ['with a line feed', `${hex}%0a`, 400, 'invalid_locator'],
    ['with escaped dots', '%2e%2e%2f%2e%2e%2fconfig.json', 400, 'invalid_locator'],
    ['with half an escape', '%e', 400, 'invalid_locator'],
    ['with an overlong escape', '%c0%ae%c0%ae', 400, 'invalid_locator'],
    ['that does not end', 'a'.repeat(4000), 414, 'uri_too_long'],
  ]
  for (const [what, id, status, code] of cases) {
    it(`${what} (${code})`, async () => {
      assertRefused(await world.get(`/entries/${id}`), { status, code })
      if (id !== '') assertRefused(await world.get(`/v1/entries/${id}/wraps`), { status, code, type: JSON_PROBLEM })
    })
  }
})

describe('GET /.well-known/scitt-keys', () => {
  it('is the set of receipt keys, and each key under its kid in both spellings', async () => {
    const answer = await world.get('/.well-known/scitt-keys')
    assert.equal(answer.headers['content-type'], 'application/cbor')
    const keys = decodeCoseKeySet(new Uint8Array(answer.rawPayload))
    assert.deepEqual(keys.map(kidOf), [world.log.kid])

    for (const kid of [world.log.kid, toBase64url(utf8(world.log.kid))]) {
      const one = await world.get(`/.well-known/scitt-keys/${kid}`)
      assert.equal(one.headers['content-type'], 'application/cbor')
      assert.equal(kidOf(jwkOfCoseKey(decodeCbor(new Uint8Array(one.rawPayload)))), world.log.kid)
    }
  })

  it('knows no other key, of whatever form its id is (unknown_kid, 404 in SCRAPI)', async () => {
    const { kid } = world.log
    const others = [world.admin.kid, '', 'x', 'ab'.repeat(32), `${kid}=`, `${kid}%00`, '__proto__', '..%2fcheckpoint']
    for (const other of others) {
      assertRefused(await world.get(`/.well-known/scitt-keys/${other}`), { status: 404, code: 'unknown_kid' })
    }
  })
})

describe('POST /entries refuses', () => {
  const types = [
    undefined,
    '',
    'application/json',
    'application/cbor',
    'text/plain',
    'application/octet-stream',
    'multipart/form-data; boundary=x',
    'application/cose2',
    'application/cose; cose-type="cose-sign"',
    'application/cose; charset=utf-8',
    'application/cose, application/json',
    'application/cose\t;x',
    ' application/cose;',
    'application/json; application/cose',
    'application/scitt-receipt+cose',
    'application/COSE/../json',
  ]
  for (const type of types) {
    it(`a body of type ${JSON.stringify(type)} (unsupported_media_type)`, async () => {
      const { submission } = await world.build('credential-status')
      await assertUnchanged(world, async () => {
        const answer = await world.app.inject({
          method: 'POST',
          url: '/entries',
          headers: type === undefined ? {} : { 'content-type': type },
          payload: Buffer.from(submission),
        })
        assertRefused(answer, { status: 415, code: 'unsupported_media_type' })
      })
    })
  }

  it('a body past the limit, before reading it (too_large)', async () => {
    const body = new Uint8Array(world.log.authorities.policy().fields.maxStatementBytes + 128 * 1024)
    await assertUnchanged(world, async () => assertRefused(await world.post(body), { status: 413, code: 'too_large' }))
  })

  it('no body past what the policy in force allows, as soon as it is in force', async () => {
    const log = await serveLog(1)
    try {
      const { fields, entry } = log.log.authorities.policy()
      const body = new Uint8Array(fields.maxStatementBytes + 128 * 1024)
      assertRefused(await log.post(body), { status: 413, code: 'too_large' })
      const larger = { ...fields, maxStatementBytes: 2 * fields.maxStatementBytes }
      const { submission } = await log.build('log-policy', { fields: larger, links: [{ rel: 'previous', entry }] })
      assert.equal((await log.post(submission)).statusCode, 201)
      assertRefused(await log.post(body), { status: 400, code: 'malformed_cbor' })
    } finally {
      await log.close()
    }
  })

  it('no body (malformed_request)', async () => {
    const answer = await world.app.inject({
      method: 'POST',
      url: '/entries',
      headers: { 'content-type': 'application/cose' },
    })
    assert.equal(answer.statusCode, 400)
    assertRefused(answer, { status: 400, code: 'malformed_cbor' })
  })

  it('in JSON when the client asks for JSON', async () => {
    const answer = await world.post(Uint8Array.of(0), { accept: 'application/problem+json' })
    assertRefused(answer, { status: 400, code: 'malformed_cose', type: JSON_PROBLEM })
  })

  it('to let other pages post', async () => {
    const answer = await world.post(Uint8Array.of(0))
    assert.equal(answer.headers['access-control-allow-origin'], undefined)
  })
})

describe('other methods', () => {
  const paths = [
    ['/entries', 'POST', undefined],
    ['/entries/0.1', 'GET, HEAD', undefined],
    ['/checkpoint', 'GET, HEAD', JSON_PROBLEM],
    ['/tile/0/000', 'GET, HEAD', JSON_PROBLEM],
  ] as const
  for (const [url, allow, type] of paths) {
    it(`of ${url} are refused with those that it has (method_not_allowed)`, async () => {
      for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'] as const) {
        if (allow.includes(method)) continue
        await assertUnchanged(world, async () => {
          const answer = await world.app.inject({ method, url, ...(method !== 'GET' && { payload: 'x' }) })
          assertRefused(answer, { status: 405, code: 'method_not_allowed', ...(type && { type }) })
          assert.equal(answer.headers['allow'], allow)
        })
      }
    })
  }

  it('of paths that do not exist are refused as the path is (not_found)', async () => {
    const answer = await world.app.inject({
      method: 'POST',
      url: '/nowhere',
      payload: 'x',
      headers: { 'content-type': 'text/plain' },
    })
    assertRefused(answer, { status: 404, code: 'not_found', type: JSON_PROBLEM })
  })
})

describe('a path', () => {
  it('is what it says: no other case, no slash more, nothing escaped into it', async () => {
    for (const url of [
      '/Entries/0.1',
      '/entries/0.1/',
      '//entries/0.1',
      '/entries//0.1',
      '/checkpoint/',
      '/CHECKPOINT',
      '/entries/0.1/statement/x',
      '/entries/0.1;x',
    ]) {
      const { statusCode } = await world.get(url)
      assert.ok(statusCode === 404 || statusCode === 400, `${url}: ${statusCode}`)
    }
  })
})
