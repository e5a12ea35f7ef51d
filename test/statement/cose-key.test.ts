import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as jose from 'jose'
import { toHex } from '../../merkle/bytes.ts'
import { type CborValue, decodeCbor, encodeCbor } from '../../statement/cbor.ts'
import {
  coseKeyOf,
  coseKeyThumbprint,
  decodeCoseKeySet,
  encodeCoseKeySet,
  jwkOfCoseKey,
  jwkThumbprint,
  kidOf,
  type PublicJwk,
  parsePrivateJwk,
  parsePublicJwk,
  publicJwkOf,
  signingAlgorithmOf,
} from '../../statement/cose-key.ts'
import { ED25519_JWK, ES256_JWK, hex, OTHER_ES256_JWK, X25519_JWK } from './fixtures.ts'

const b64u = (bytes: Uint8Array | string) =>
  Buffer.from(bytes as string, typeof bytes === 'string' ? 'hex' : undefined).toString('base64url')
const little = (n: bigint) => b64u(hex(n.toString(16).padStart(64, '0')).reverse())

const all = [ES256_JWK, ED25519_JWK, X25519_JWK].map(publicJwkOf)

describe('parsePublicJwk', () => {
  it('accepts the three kinds of key, and drops what only describes them', () => {
    for (const jwk of all) {
      assert.deepEqual(parsePublicJwk({ ...jwk, kid: 'x', use: 'sig', key_ops: ['verify'], ext: true }), jwk)
    }
  })

  it('keeps an algorithm that fits the key', () => {
    assert.equal(parsePublicJwk({ ...all[0], alg: 'ES256' }).alg, 'ES256')
    assert.equal(parsePublicJwk({ ...all[1], alg: 'EdDSA' }).alg, 'EdDSA')
    assert.equal(parsePublicJwk({ ...all[2], alg: 'ECDH-ES+A256KW' }).alg, 'ECDH-ES+A256KW')
  })

  const [ec, ed, x25519] = all as [PublicJwk & { y: string }, PublicJwk, PublicJwk]
  const p256 = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n
  const p25519 = 2n ** 255n - 19n
  const refused: [what: string, code: string, value: unknown][] = [
    ['text', 'malformed_key', 'key'],
    ['null', 'malformed_key', null],
    ['an array', 'malformed_key', [ec]],
    ['a private key', 'malformed_key', ES256_JWK],
    ['an unknown member', 'malformed_key', { ...ec, x5c: [] }],
    ['a y on an OKP key', 'malformed_key', { ...ed, y: ec.y }],
    ['no y on an EC key', 'malformed_key', { kty: 'EC', crv: 'P-256', x: ec.x }],
    ['x in padded base64', 'malformed_key', { ...ec, x: `${ec.x}=` }],
    ['x with stray bits', 'malformed_key', { ...ed, x: `${ed.x.slice(0, -1)}p` }],
    ['x of 31 bytes', 'malformed_key', { ...ed, x: b64u(new Uint8Array(31)) }],
    ['x of 33 bytes', 'malformed_key', { ...ec, x: b64u(new Uint8Array(33)) }],
    ['a number for x', 'malformed_key', { ...ec, x: 5 }],
    ['another curve', 'unsupported_key', { ...ec, crv: 'P-384' }],
    ['another key type', 'unsupported_key', { kty: 'RSA', n: 'AA', e: 'AQAB' }],
    ['a symmetric key', 'unsupported_key', { kty: 'oct', k: 'AA' }],
    ['kty and crv that disagree', 'unsupported_key', { ...ed, kty: 'EC' }],
    ['an algorithm of another key', 'unsupported_key', { ...ec, alg: 'EdDSA' }],
    ['alg none', 'unsupported_key', { ...ec, alg: 'none' }],
    ['a point off P-256', 'weak_key', { ...ec, y: ec.x }],
    ['the point (0, 0)', 'weak_key', { ...ec, x: b64u(new Uint8Array(32)), y: b64u(new Uint8Array(32)) }],
    ['an x of p on P-256', 'weak_key', { ...ec, x: b64u(p256.toString(16)) }],
    ['the identity of Ed25519, under which anything verifies', 'weak_key', { ...ed, x: little(1n) }],
    ['a point of order 4 on Ed25519', 'weak_key', { ...ed, x: little(0n) }],
    ['a y past the prime on Ed25519', 'weak_key', { ...ed, x: little(p25519 + 3n) }],
    ['X25519 zero, which makes every secret zero', 'weak_key', { ...x25519, x: little(0n) }],
    ['X25519 one', 'weak_key', { ...x25519, x: little(1n) }],
    ['X25519 p − 1', 'weak_key', { ...x25519, x: little(p25519 - 1n) }],
    ['X25519 p, another zero', 'weak_key', { ...x25519, x: little(p25519) }],
    ['X25519 p + 1, another one', 'weak_key', { ...x25519, x: little(p25519 + 1n) }],
    [
      'X25519 of order 8',
      'weak_key',
      { ...x25519, x: b64u('e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800') },
    ],
    [
      'X25519 of order 8, the other',
      'weak_key',
      { ...x25519, x: b64u('5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157') },
    ],
    [
      'X25519 with the ignored bit set',
      'weak_key',
      { ...x25519, x: b64u(`${toHex(Buffer.from(x25519.x, 'base64url')).slice(0, -2)}ff`) },
    ],
  ]
  for (const [what, code, value] of refused) {
    it(`refuses ${what} (${code})`, () => assert.throws(() => parsePublicJwk(value), { code }))
  }

  it('quotes no private value when it refuses a private key', () => {
    const secret = ES256_JWK.d
    for (const value of [
      ES256_JWK,
      { ...ES256_JWK, y: 'bad' },
      { ...ES256_JWK, alg: secret },
      { ...ES256_JWK, crv: secret },
    ]) {
      assert.throws(
        () => parsePublicJwk(value),
        (error: Error) => !error.message.includes(secret),
      )
    }
  })
})

describe('parsePrivateJwk', () => {
  it('wants d', () => {
    assert.deepEqual(parsePrivateJwk(ES256_JWK), ES256_JWK)
    assert.throws(() => parsePrivateJwk(publicJwkOf(ES256_JWK)), { code: 'malformed_key' })
  })
})

describe('kidOf', () => {
  it('is 43 characters and the same with and without the private half or an algorithm', () => {
    for (const jwk of all) assert.match(kidOf(jwk), /^[A-Za-z0-9_-]{43}$/)
    assert.equal(kidOf(ES256_JWK), kidOf({ ...publicJwkOf(ES256_JWK), alg: 'ES256' } as PublicJwk))
  })

  it('hashes the required members alone: the COSE example of RFC 9679', () => {
    const x = '65eda5a12577c2bae829437fe338701a10aaa375e1bb5b5de108de439c08551d'
    const y = '1e52ed75701163f7f9e40ddf9f341b3dc9ba860af7e0ca7ca7e9eecd0084d19c'
    const key = new Map<number, CborValue>([
      [1, 2],
      [-1, 1],
      [-2, hex(x)],
      [-3, hex(y)],
      [2, hex('aabb')],
    ])
    assert.equal(
      toHex(coseKeyThumbprint(jwkOfCoseKey(key))),
      '496bd8afadf307e5b08c64b0421bf9dc01528a344a43bda88fadd1669da253ec',
    )
  })
})

describe('jwkThumbprint', () => {
  it('is what jose computes, and for the Ed25519 key what RFC 8037 A.3 prints', async () => {
    for (const jwk of all) assert.equal(jwkThumbprint(jwk), await jose.calculateJwkThumbprint(jwk as jose.JWK))
    assert.equal(jwkThumbprint(ED25519_JWK), 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k')
  })
})

describe('COSE_Key', () => {
  it('carries each kind of key there and back', () => {
    for (const jwk of all) {
      assert.deepEqual(jwkOfCoseKey(decodeCbor(encodeCbor(coseKeyOf(jwk, kidOf(jwk))))), jwk)
    }
    assert.deepEqual(decodeCoseKeySet(encodeCoseKeySet(all)), all)
  })

  it('never holds the private half', () => {
    assert.equal(coseKeyOf(ES256_JWK).has(-4), false)
  })

  it('accepts the fully-specified algorithms of RFC 9864', () => {
    const key = new Map(coseKeyOf(all[0]!)).set(3, -9)
    assert.deepEqual(jwkOfCoseKey(key), all[0])
  })

  it('passes over keys of other kinds in a set, and no broken ones', () => {
    const rsa = new Map<number, CborValue>([
      [1, 3],
      [-1, hex('aa')],
      [-2, hex('010001')],
    ])
    assert.deepEqual(decodeCoseKeySet(encodeCbor([rsa, coseKeyOf(all[1]!)])), [all[1]])
    const broken = new Map(coseKeyOf(all[1]!)).set(-2, new Uint8Array(32))
    assert.throws(() => decodeCoseKeySet(encodeCbor([broken])), { code: 'weak_key' })
  })

  const ec = coseKeyOf(all[0]!)
  const refused: [what: string, code: string, key: CborValue][] = [
    ['a private key', 'malformed_key', new Map(ec).set(-4, hex('01'))],
    ['another curve', 'unsupported_key', new Map(ec).set(-1, 2)],
    ['an algorithm of another key', 'unsupported_key', new Map(ec).set(3, -8)],
    ['a compressed point', 'malformed_cbor', new Map(ec).set(-3, true)],
    ['a short x', 'malformed_cbor', new Map(ec).set(-2, hex('01'))],
    ['a point off the curve', 'weak_key', new Map(ec).set(-3, new Uint8Array(32))],
    ['an array', 'malformed_cbor', []],
  ]
  for (const [what, code, key] of refused) {
    it(`refuses ${what} (${code})`, () => assert.throws(() => jwkOfCoseKey(key), { code }))
  }
})

describe('signingAlgorithmOf', () => {
  it('says what signs, and refuses keys that are there for encryption (unsupported_key)', () => {
    assert.equal(signingAlgorithmOf(OTHER_ES256_JWK), 'ES256')
    assert.equal(signingAlgorithmOf(ED25519_JWK), 'Ed25519')
    assert.throws(() => signingAlgorithmOf(X25519_JWK), { code: 'unsupported_key' })
    const forEncryption = { ...publicJwkOf(ES256_JWK), alg: 'ECDH-ES+A256KW' } as PublicJwk
    assert.throws(() => signingAlgorithmOf(forEncryption), { code: 'unsupported_key' })
  })
})
