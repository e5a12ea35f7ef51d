// Requests with a WPT: the honest ones, and every attack on them that we know of.
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, it } from 'node:test'
import { toBase64url, utf8 } from '../../../merkle/bytes.ts'
import { spkiOfJwk } from '../../../provenance/certificates/certificate-key.ts'
import { authenticateRequest, type HttpRequest, signWpt } from '../../../provenance/proof-of-possession/index.ts'
import { publicJwkOf } from '../../../statement/cose-key.ts'
import { importSigningKey } from '../../../statement/signature.node.ts'
import {
  AT,
  type Attack,
  AUDIENCE,
  added,
  changed,
  expectations,
  fieldOf,
  issueWit,
  newCaller,
  newKey,
  nonce,
  ORIGIN,
  refuseEach,
  SUBJECT,
  trustDomains,
  withWpt,
} from './caller.ts'

const caller = await newCaller()
const stranger = await newCaller()

/** A compact JWS with any header and claims, signed by the caller's key whatever the header says. */
async function forge(header: object, claims: object, sign?: (input: string) => Uint8Array): Promise<string> {
  const input = [header, claims].map((part) => toBase64url(utf8(JSON.stringify(part)))).join('.')
  const signature = sign ? sign(input) : await (await importSigningKey(caller.key)).sign(utf8(input))
  return `${input}.${toBase64url(signature)}`
}
const honest = await withWpt(caller)
const claimsOf = (request: HttpRequest) =>
  JSON.parse(Buffer.from(fieldOf(request, 'workload-proof-token').split('.')[1]!, 'base64url').toString())
const header = { alg: 'ES256', typ: 'wpt+jwt' }
const forged = async (change: object, head: object = header, sign?: (input: string) => Uint8Array) => {
  const token = await forge(head, { ...claimsOf(honest), jti: nonce(), ...change }, sign)
  return changed(honest, 'workload-proof-token', () => token)
}

describe('a request with a WPT', () => {
  it('is from the workload that the WIT names', async () => {
    for (const curve of ['P-256', 'Ed25519'] as const) {
      const request = await withWpt(await newCaller(curve))
      const { credential, possession } = await authenticateRequest(request, trustDomains, expectations())
      assert.equal(credential.subject.uri, SUBJECT)
      assert.deepEqual(possession, { ways: ['wpt'], replay: 'first-use' })
    }
  })

  it('binds access token, Txn-Token, other authorization and configured fields', async () => {
    const tokens = {
      accessToken: 'abc',
      transactionToken: 'def',
      otherTokens: { 'X-User': 'ghi' },
      fields: [
        ['authorization', 'bearer abc'],
        ['Txn-Token', 'def'],
        ['X-User', ' ghi '],
      ] as const,
    }
    const tokenFields = ['x-user']
    await authenticateRequest(await withWpt(caller, tokens), trustDomains, expectations({ tokenFields }))
    const basic = { otherTokens: { Authorization: 'Basic eA==' }, fields: [['Authorization', 'Basic eA==']] as const }
    await authenticateRequest(await withWpt(caller, basic), trustDomains, expectations())
  })

  it('may be for an alias of the recipient, whatever the path is, or name the query too', async () => {
    const aliases = expectations({ audience: { aliases: ['the log'] } })
    await authenticateRequest(await withWpt(caller, { audience: 'the log' }), trustDomains, aliases)
    await authenticateRequest(await withWpt(caller, { audience: `${AUDIENCE}?wait=1` }), trustDomains, expectations())
    const absolute = { ...(await withWpt(caller)), target: 'https://anybody.example/entries' }
    await authenticateRequest(absolute, trustDomains, expectations())
  })

  it('may be late by the skew of the clocks, and no later', async () => {
    await authenticateRequest(await withWpt(caller), trustDomains, expectations({ at: AT + 60 + 29 }))
    const late = authenticateRequest(await withWpt(caller), trustDomains, expectations({ at: AT + 60 + 30 }))
    await assert.rejects(late, { code: 'proof_expired' })
  })
})

const hs256 = (input: string) =>
  new Uint8Array(
    createHmac('sha256', spkiOfJwk(publicJwkOf(caller.key)))
      .update(input)
      .digest(),
  )
const field = (name: string, value: string) => added(honest, [name, value])
const WIT = 'workload-identity-token'
const WPT = 'workload-proof-token'

const attacks: readonly Attack[] = [
  [
    'a stolen WIT, with the proof of another key',
    'bad_signature',
    async () => {
      const own = await signWpt(
        { wit: stranger.wit, audience: AUDIENCE, expiresAt: AT + 60, jti: nonce() },
        stranger.key,
      )
      return changed(honest, WPT, () => own)
    },
  ],
  ['a stolen WIT alone', 'proof_missing', () => changed(honest, WPT, () => undefined)],
  [
    'a WIT as a bearer token',
    'credential_as_bearer',
    () => ({
      ...honest,
      fields: [['Authorization', `Bearer ${caller.wit}`]],
    }),
  ],
  [
    'a WIT as a bearer token besides',
    'credential_as_bearer',
    () => field('authorization', `WIT token="${caller.wit}"`),
  ],
  ['no credential', 'credential_missing', () => changed(honest, WIT, () => undefined)],
  ['a proof for another recipient', 'wrong_audience', () => withWpt(caller, { audience: 'https://b.example/entries' })],
  ['a proof for another path', 'wrong_audience', () => withWpt(caller, { audience: `${ORIGIN}/other` })],
  [
    'a proof for the recipient that Host names',
    'wrong_audience',
    async () =>
      added(
        await withWpt(caller, { audience: 'https://b.example/entries' }),
        ['Host', 'b.example'],
        ['X-Forwarded-Host', 'b.example'],
      ),
  ],
  [
    'a proof for a longer name',
    'wrong_audience',
    () => withWpt(caller, { audience: `${ORIGIN}.evil.example/entries` }),
  ],
  ['a proof for several recipients', 'malformed_proof_token', () => forged({ aud: [AUDIENCE, 'https://b.example/'] })],
  ['alg none', 'unsupported_algorithm', () => forged({}, { ...header, alg: 'none' }, () => new Uint8Array())],
  [
    'HS256 with the public key as secret',
    'unsupported_algorithm',
    () => forged({}, { ...header, alg: 'HS256' }, hs256),
  ],
  ['another algorithm than the WIT says', 'algorithm_mismatch', () => forged({}, { ...header, alg: 'EdDSA' })],
  [
    'a key in the header',
    'bad_signature',
    async () => {
      const signer = await importSigningKey(stranger.key)
      const parts = [{ ...header, jwk: publicJwkOf(stranger.key) }, claimsOf(honest)]
      const input = parts.map((part) => toBase64url(utf8(JSON.stringify(part)))).join('.')
      const token = `${input}.${toBase64url(await signer.sign(utf8(input)))}`
      return changed(honest, WPT, () => token)
    },
  ],
  ['a WIT in place of the proof', 'malformed_jws', () => changed(honest, WPT, () => caller.wit)],
  ['a JWT of another type', 'malformed_jws', () => forged({}, { ...header, typ: 'JWT' })],
  ['a critical header', 'unknown_critical_extension', () => forged({}, { ...header, crit: ['b64'], b64: false })],
  ['a proof that has ended', 'proof_expired', () => withWpt(caller, { expiresAt: AT - 30 })],
  ['a proof until far in the future', 'proof_lifetime_too_long', () => withWpt(caller, { expiresAt: AT + 331 })],
  ['a proof without an end', 'malformed_proof_token', () => forged({ exp: undefined })],
  ['an end that is no integer', 'malformed_proof_token', () => forged({ exp: 1_800_000_060.5 })],
  ['a proof from the future', 'proof_not_yet_valid', () => forged({ nbf: AT + 31 })],
  ['no jti', 'malformed_proof_token', () => forged({ jti: undefined })],
  ['an endless jti', 'malformed_proof_token', () => forged({ jti: 'x'.repeat(257) })],
  ['an oversized proof', 'malformed_proof_token', () => forged({ more: 'x'.repeat(8192) })],
  ['an oversized header', 'malformed_message', () => field('x', 'x'.repeat(65_536))],
  [
    'very many fields',
    'malformed_message',
    () => added(honest, ...Array.from({ length: 256 }, (_, i) => [`x${i}`, ''] as const)),
  ],
  ['no wth', 'token_binding_mismatch', () => forged({ wth: undefined })],
  [
    'the wth of another WIT',
    'token_binding_mismatch',
    async () => {
      // The same key in a WIT with another end: the signature holds, and the proof was made for the other.
      const other = await issueWit(caller.key, { exp: AT + 7200 })
      return changed(honest, WIT, () => other)
    },
  ],
  ['an access token that is not bound', 'token_binding_mismatch', () => field('Authorization', 'Bearer abc')],
  ['an authorization that is not bound', 'token_binding_mismatch', () => field('Authorization', 'Basic eA==')],
  ['a Txn-Token that is not bound', 'token_binding_mismatch', () => field('Txn-Token', 'abc')],
  [
    'a configured token that is not bound',
    'token_binding_mismatch',
    () => field('X-User', 'abc'),
    { tokenFields: ['x-user'] },
  ],
  ['a bound token that was taken away', 'token_binding_mismatch', () => withWpt(caller, { accessToken: 'abc' })],
  [
    'a bound field that was taken away',
    'token_binding_mismatch',
    () => withWpt(caller, { otherTokens: { authorization: 'x' } }),
  ],
  ['an oth that nobody knows', 'unknown_bound_token', () => forged({ oth: { 'x-other': 'abc' } })],
  [
    'an oth named like a method of objects',
    'unknown_bound_token',
    () => forged({ oth: { ['__proto__']: 'abc', constructor: 'abc' } }),
  ],
  ['an oth that is a list', 'malformed_proof_token', () => forged({ oth: ['abc'] })],
  ['two proofs', 'duplicate_field', () => field('workload-proof-token', fieldOf(honest, WPT))],
  ['two proofs in one field', 'malformed_jws', () => changed(honest, WPT, (value) => `${value}, ${value}`)],
  ['two WITs', 'duplicate_field', () => field('WORKLOAD-IDENTITY-TOKEN', stranger.wit)],
  ['two WITs to a gateway', 'duplicate_field', () => field('Workload_Identity_Token', stranger.wit)],
  [
    'two user tokens',
    'duplicate_field',
    () => added(honest, ['X-User', 'a'], ['X-User', 'b']),
    { tokenFields: ['x-user'] },
  ],
  ['a line break in a field', 'malformed_message', () => field('X', 'a\r\nWorkload-Identity-Token: b')],
  ['a field name with a space', 'malformed_message', () => field('Workload-Identity-Token ', stranger.wit)],
  [
    'a WIT that has ended',
    'credential_expired',
    async () => withWpt({ ...caller, wit: await issueWit(caller.key, { exp: AT }) }),
  ],
  [
    'a WIT of a trust domain without anchors',
    'unknown_trust_domain',
    async () => withWpt({ ...caller, wit: await issueWit(caller.key, { sub: 'spiffe://other.example/x' }) }),
  ],
  [
    'a WIT that is signed by its own key',
    'bad_signature',
    async () => {
      const [head = '', claims = ''] = caller.wit.split('.')
      const signer = await importSigningKey(caller.key)
      const wit = `${head}.${claims}.${toBase64url(await signer.sign(utf8(`${head}.${claims}`)))}`
      return withWpt({ ...caller, wit })
    },
  ],
  ['a WPT where a signed request is demanded', 'proof_missing', () => withWpt(caller), { ways: ['httpsig'] }],
]

describe('a WPT is refused', () => {
  refuseEach(attacks)

  it('the second time, from whomever (proof_replayed)', async () => {
    const request = await withWpt(caller)
    const same = expectations()
    await authenticateRequest(request, trustDomains, same)
    await assert.rejects(authenticateRequest(request, trustDomains, same), { code: 'proof_replayed' })
    const later = authenticateRequest(request, trustDomains, { ...same, at: AT + 89 })
    await assert.rejects(later, { code: 'proof_replayed' })
  })

  it('with its key of another WIT, before it is sent (wrong_proof_key)', async () => {
    const made = signWpt({ wit: caller.wit, audience: AUDIENCE, expiresAt: AT + 60, jti: nonce() }, newKey())
    await assert.rejects(made, { code: 'wrong_proof_key' })
  })
})
