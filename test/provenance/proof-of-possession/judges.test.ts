// Programs of others on the same messages: npm's http-message-signatures (RFC 9421), structured-headers (RFC 9651) and jose (RFC 7519)
// take what we sign, and we take what they sign, also by algorithms that we verify and do not sign with.
import assert from 'node:assert/strict'
import { createPublicKey, sign as nodeSign, verify as nodeVerify } from 'node:crypto'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { httpbis } from 'http-message-signatures'
import * as jose from 'jose'
import * as theirs from 'structured-headers'
import { toBase64url, utf8 } from '../../../merkle/bytes.ts'
import { sha256 } from '../../../merkle/hash.ts'
import { parseCredential } from '../../../provenance/credential.ts'
import {
  authenticateRequest,
  type FieldLine,
  type HttpRequest,
  signHttpRequest,
  signHttpResponse,
  signWpt,
  verifyHttpResponse,
} from '../../../provenance/proof-of-possession/index.ts'
import { parseDictionary, serializeDictionary } from '../../../provenance/proof-of-possession/structured-field.ts'
import { publicJwkOf } from '../../../statement/cose-key.ts'
import { parseVerificationJwk } from '../../../statement/verification-jwk.ts'
import { newKeyPair } from '../../key-pairs.ts'
import {
  AUDIENCE,
  changed,
  expectations,
  issueWit,
  issueWitFor,
  newKey,
  nonce,
  ORIGIN,
  TARGET,
  trustDomains,
} from './caller.ts'

// Their verifier asks the clock of this machine.
const NOW = Math.floor(Date.now() / 1000)
const LIVE = { exp: NOW + 3600 }
const times = { created: NOW, expires: NOW + 60 }
const now = () => expectations({ at: NOW })
const content = utf8('{"pay":1}')

/** A message as their library wants it. */
const headersOf = (fields: readonly FieldLine[]) => Object.fromEntries(fields)
const theirRequest = ({ method, target, fields }: HttpRequest) => ({
  method,
  url: `${ORIGIN}${target}`,
  headers: headersOf(fields),
})
/** The parameters of the profile, and the one that is for requests or responses only. */
const profile = (own: string, value: string) => ({
  params: ['created', 'expires', 'nonce', 'tag', own],
  paramValues: {
    created: new Date(times.created * 1000),
    expires: new Date(times.expires * 1000),
    nonce: nonce(),
    tag: 'wimse-workload-to-workload',
    [own]: value,
  },
})
const ieee = { dsaEncoding: 'ieee-p1363' as const }

describe('http-message-signatures', () => {
  for (const curve of ['P-256', 'Ed25519'] as const) {
    const digest = curve === 'P-256' ? 'sha256' : null
    const lookup = (key: ReturnType<typeof newKey>) => ({
      // The parameter is there for keys that are named, and ours must not be.
      keyLookup: async () => ({
        verify: async (data: Buffer, signature: Buffer) =>
          nodeVerify(
            digest,
            data,
            { key: createPublicKey({ key: publicJwkOf(key) as never, format: 'jwk' }), ...ieee },
            signature,
          ),
      }),
      notAfter: NOW + 60,
    })

    it(`verifies our requests and responses by ${curve}, and not when they are changed`, async () => {
      const key = newKey(curve)
      const wit = await issueWit(key, LIVE)
      const unsigned = { method: 'POST', target: TARGET, fields: [['Content-Type', 'a/b']] as const, content }
      const added = await signHttpRequest(unsigned, { wit, audience: AUDIENCE, nonce: nonce(), ...times }, key)
      const request = { ...unsigned, fields: [...unsigned.fields, ...added] }
      assert.equal(await httpbis.verifyMessage(lookup(key), theirRequest(request)), true)
      const other = changed(request, 'content-type', () => 'a/c')
      assert.equal(await httpbis.verifyMessage(lookup(key), theirRequest(other)), false)

      const answer = { status: 201, fields: [], content }
      const about = { request, requestNonce: 'n' }
      const fields = await signHttpResponse(answer, about, { wit, nonce: nonce(), ...times }, key)
      const response = { status: 201, headers: headersOf(fields) }
      assert.equal(await httpbis.verifyMessage(lookup(key), response, theirRequest(request)), true)
      const another = { ...response, status: 200 }
      assert.equal(await httpbis.verifyMessage(lookup(key), another, theirRequest(request)), false)
    })
  }

  /** What their library signs for the profile, with any key. */
  const byThem = async (jwk: object, sign: (data: Buffer) => Buffer) => {
    const wit = await issueWitFor(jwk, LIVE)
    const message = { method: 'POST', url: `${ORIGIN}${TARGET}`, headers: { 'Workload-Identity-Token': wit } }
    const config = {
      key: { sign: async (data: Buffer) => sign(data) },
      name: 'wimse',
      fields: ['@method', '@request-target', 'workload-identity-token'],
      ...profile('wimse-aud', AUDIENCE),
    }
    const { headers } = await httpbis.signMessage(config, message)
    const fields = Object.entries(headers).map(([name, value]): FieldLine => [name, String(value)])
    return { wit, request: { method: 'POST', target: TARGET, fields } }
  }

  const ec = (namedCurve: string) => newKeyPair('ec', { namedCurve })
  const rsa = newKeyPair('rsa', { modulusLength: 2048 })
  const pss = { padding: 6, saltLength: -1 }
  const signers = {
    ES256: [ec('P-256'), 'sha256', ieee],
    ES384: [ec('P-384'), 'sha384', ieee],
    ES512: [ec('P-521'), 'sha512', ieee],
    EdDSA: [newKeyPair('ed25519'), null, {}],
    RS256: [rsa, 'sha256', {}],
    PS512: [rsa, 'sha512', pss],
  } as const
  for (const [alg, [keys, digest, how]] of Object.entries(signers)) {
    const jwk = { ...keys.publicKey.export({ format: 'jwk' }), alg }
    const sign = (data: Uint8Array) => nodeSign(digest, data, { key: keys.privateKey, ...how })

    it(`signs requests by ${alg} that we take, and not when they are changed`, async () => {
      const { request } = await byThem(jwk, sign)
      const { possession } = await authenticateRequest(request, trustDomains, now())
      assert.deepEqual(possession.ways, ['httpsig'])
      const moved = authenticateRequest({ ...request, target: '/' }, trustDomains, now())
      await assert.rejects(moved, { code: 'bad_signature' })
    })

    it(`a signer of one's own proves by ${alg}, and jose takes its tokens`, async () => {
      const wit = await issueWitFor(jwk, LIVE)
      const signer = {
        publicJwk: parseVerificationJwk(jwk),
        sign: async (data: Uint8Array) => new Uint8Array(sign(data)),
      }
      const wpt = await signWpt({ wit, audience: AUDIENCE, expiresAt: times.expires, jti: nonce() }, signer)
      await jose.jwtVerify(wpt, keys.publicKey, { typ: 'wpt+jwt', audience: AUDIENCE, algorithms: [alg] })
      const unsigned = { method: 'POST', target: TARGET, fields: [['Workload-Proof-Token', wpt]] as const }
      const added = await signHttpRequest(unsigned, { wit, audience: AUDIENCE, nonce: nonce(), ...times }, signer)
      const request = { ...unsigned, fields: [...unsigned.fields, ...added] }
      const { possession } = await authenticateRequest(request, trustDomains, now())
      assert.deepEqual(possession.ways, ['wpt', 'httpsig'])
    })

    it(`jose makes proof tokens by ${alg} that we take`, async () => {
      const wit = await issueWitFor(jwk, LIVE)
      const wpt = await new jose.SignJWT({ wth: toBase64url(sha256(utf8(wit))) })
        .setProtectedHeader({ alg, typ: 'wpt+jwt' })
        .setAudience(AUDIENCE)
        .setExpirationTime(times.expires)
        .setJti(nonce())
        .sign(keys.privateKey)
      const fields = [['Workload-Identity-Token', wit] as const, ['Workload-Proof-Token', wpt] as const]
      const request = { method: 'POST', target: TARGET, fields }
      assert.deepEqual((await authenticateRequest(request, trustDomains, now())).possession.ways, ['wpt'])
      // The same key, and a WIT that says another algorithm.
      const alike = { RS256: 'PS256', PS512: 'RS512' }[alg]
      if (alike === undefined) return
      const other = await issueWitFor({ ...jwk, alg: alike }, LIVE)
      const confused = { ...request, fields: [['Workload-Identity-Token', other] as const, fields[1]!] }
      await assert.rejects(authenticateRequest(confused, trustDomains, now()), { code: 'algorithm_mismatch' })
    })
  }

  it('answers requests with responses that we take', async () => {
    const request = { method: 'POST', target: TARGET, fields: [] }
    const { privateKey, publicKey } = ec('P-256')
    const wit = await issueWitFor({ ...publicKey.export({ format: 'jwk' }), alg: 'ES256' }, LIVE)
    const message = { status: 200, headers: { 'Workload-Identity-Token': wit } }
    const config = {
      key: { sign: async (data: Buffer) => nodeSign('sha256', data, { key: privateKey, ...ieee }) },
      name: 'wimse',
      fields: ['@status', '"@method";req', '"@request-target";req', 'workload-identity-token'],
      ...profile('wimse-req-nonce', 'theirs'),
    }
    const { headers } = await httpbis.signMessage(config, message, theirRequest(request))
    const fields = Object.entries(headers).map(([name, value]): FieldLine => [name, String(value)])
    const sent = { request, nonce: 'theirs' }
    await verifyHttpResponse({ status: 200, fields }, sent, parseCredential(utf8(wit)), now())
  })
})

describe('jose', () => {
  it('takes our proof tokens', async () => {
    for (const curve of ['P-256', 'Ed25519'] as const) {
      const key = newKey(curve)
      const wit = await issueWit(key, LIVE)
      const wpt = await signWpt({ wit, audience: AUDIENCE, expiresAt: times.expires, jti: nonce() }, key)
      const options = { typ: 'wpt+jwt', audience: AUDIENCE, requiredClaims: ['jti', 'exp'] }
      const { payload } = await jose.jwtVerify(
        wpt,
        await jose.importJWK(publicJwkOf(key), curve === 'P-256' ? 'ES256' : 'EdDSA'),
        options,
      )
      assert.equal(payload['wth'], toBase64url(sha256(utf8(wit))))
    }
  })
})

describe('structured-headers', () => {
  const key = fc.stringMatching(/^[a-z*][a-z0-9_.*-]{0,8}$/)
  const bare = fc.oneof(
    fc.integer({ min: -999_999_999_999_999, max: 999_999_999_999_999 }),
    fc.boolean(),
    fc.stringMatching(/^[ -~]{0,12}$/),
    fc.uint8Array({ maxLength: 12 }),
  )
  const parameters = fc.array(fc.tuple(key, bare), { maxLength: 3 }).map((entries) => new Map(entries))
  const item = fc.record({ value: bare, parameters })
  const list = fc.record({ items: fc.array(item, { maxLength: 4 }), parameters })
  const dictionary = fc.array(fc.tuple(key, fc.oneof(item, list)), { maxLength: 4 }).map((entries) => new Map(entries))

  it('reads and writes dictionaries as we do', () => {
    fc.assert(
      fc.property(dictionary, (value) => {
        const text = serializeDictionary(value)
        assert.equal(theirs.serializeDictionary(theirs.parseDictionary(text)), text)
        assert.equal(serializeDictionary(parseDictionary(text)), text)
      }),
    )
  })
})
