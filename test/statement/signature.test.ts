import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { ed25519 } from '@noble/curves/ed25519.js'
import { p256 } from '@noble/curves/nist.js'
import { fromBase64url, toBase64url } from '../../merkle/bytes.ts'
import { type PrivateJwk, type PublicJwk, publicJwkOf } from '../../statement/cose-key.ts'
import { isLowS, withLowS, withOtherS } from '../../statement/ecdsa-malleability.ts'
import * as native from '../../statement/signature.node.ts'
import * as portable from '../../statement/signature.ts'
import { ED25519_JWK, ES256_JWK, flipped, hex, OTHER_ES256_JWK, utf8, X25519_JWK } from './fixtures.ts'

const builds = { native, portable }
const data = utf8('what is signed')

const L = 2n ** 252n + 27742317777372353535851937790883648493n
const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
const big = (n: bigint) => hex(n.toString(16).padStart(64, '0'))
const littleOf = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`)
const concat = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts))

const okp = (x: Uint8Array): PublicJwk => ({ kty: 'OKP', crv: 'Ed25519', x: toBase64url(x) })

const ecSigned = await (await native.importSigningKey(ES256_JWK)).sign(data)
const edSigned = await (await native.importSigningKey(ED25519_JWK)).sign(data)
const edPublic = fromBase64url(ED25519_JWK.x)
const edS = littleOf(edSigned.subarray(32))
const identity = big(1n).reverse()

/** A signature with R of order 1, which whoever has the key can make: S = h·a. */
function signedWithSmallR(): Uint8Array {
  const { scalar } = ed25519.utils.getExtendedPublicKey(fromBase64url(ED25519_JWK.d))
  const h = littleOf(sha512(concat(identity, edPublic, data))) % L
  return concat(identity, big((h * scalar) % L).reverse())
}

function sha512(bytes: Uint8Array): Uint8Array {
  return createHash('sha512').update(bytes).digest()
}

const verdicts: [what: string, jwk: PublicJwk, signature: Uint8Array, valid: boolean, message?: Uint8Array][] = [
  ['an ES256 signature', publicJwkOf(ES256_JWK), ecSigned, true],
  ['its twin with the high s', publicJwkOf(ES256_JWK), withOtherS(ecSigned), true],
  ['an ES256 signature of another key', publicJwkOf(OTHER_ES256_JWK), ecSigned, false],
  ['an ES256 signature of another message', publicJwkOf(ES256_JWK), ecSigned, false, utf8('what was not')],
  ['an ES256 signature with a bit turned in r', publicJwkOf(ES256_JWK), flipped(ecSigned, 3), false],
  ['an ES256 signature with a bit turned in s', publicJwkOf(ES256_JWK), flipped(ecSigned, 40), false],
  ['an ES256 signature cut short', publicJwkOf(ES256_JWK), ecSigned.slice(0, 63), false],
  ['an ES256 signature with a byte more', publicJwkOf(ES256_JWK), concat(ecSigned, hex('00')), false],
  [
    'an ES256 signature in DER',
    publicJwkOf(ES256_JWK),
    p256.Signature.fromBytes(ecSigned, 'compact').toBytes('der'),
    false,
  ],
  ['an empty ES256 signature', publicJwkOf(ES256_JWK), new Uint8Array(), false],
  ['r = 0 and s = 0', publicJwkOf(ES256_JWK), new Uint8Array(64), false],
  ['r = 0', publicJwkOf(ES256_JWK), concat(new Uint8Array(32), ecSigned.subarray(32)), false],
  ['s = n', publicJwkOf(ES256_JWK), concat(ecSigned.subarray(0, 32), big(N)), false],
  ['r and s of all ones', publicJwkOf(ES256_JWK), new Uint8Array(64).fill(0xff), false],
  ['a signature over P-384 (96 bytes)', publicJwkOf(ES256_JWK), new Uint8Array(96).fill(1), false],
  ['an Ed25519 signature under a P-256 key', publicJwkOf(ES256_JWK), edSigned, false],
  ['an Ed25519 signature', publicJwkOf(ED25519_JWK), edSigned, true],
  ['an Ed25519 signature of another message', publicJwkOf(ED25519_JWK), edSigned, false, utf8('what was not')],
  ['an Ed25519 signature with a bit turned in R', publicJwkOf(ED25519_JWK), flipped(edSigned, 3), false],
  ['an Ed25519 signature with a bit turned in S', publicJwkOf(ED25519_JWK), flipped(edSigned, 40), false],
  ['an Ed25519 signature cut short', publicJwkOf(ED25519_JWK), edSigned.slice(0, 63), false],
  ['an Ed25519 signature with a byte more', publicJwkOf(ED25519_JWK), concat(edSigned, hex('00')), false],
  ['S + L (malleated)', publicJwkOf(ED25519_JWK), concat(edSigned.subarray(0, 32), big(edS + L).reverse()), false],
  ['R of small order, by the holder of the key', publicJwkOf(ED25519_JWK), signedWithSmallR(), false],
  ['the universal signature of the identity key', okp(identity), concat(identity, new Uint8Array(32)), false],
  ['a key of order 4', okp(new Uint8Array(32)), concat(identity, new Uint8Array(32)), false],
  ['an ES256 signature under an Ed25519 key', publicJwkOf(ED25519_JWK), ecSigned, false],
]

for (const [build, { importSigningKey, importVerificationKey }] of Object.entries(builds)) {
  describe(`signatures, ${build} build`, () => {
    for (const [what, jwk, signature, valid, message = data] of verdicts) {
      it(`${valid ? 'accepts' : 'refuses'} ${what}`, async () => {
        const key = await importVerificationKey(jwk)
        assert.equal(await key.verify(message, signature), valid)
      })
    }

    for (const jwk of [ES256_JWK, ED25519_JWK]) {
      it(`signs with ${jwk.crv} what the other build and noble accept`, async () => {
        const key = await importSigningKey(jwk)
        for (const message of [new Uint8Array(), data, new Uint8Array(100_000)]) {
          const signature = await key.sign(message)
          assert.equal(signature.length, 64)
          for (const other of Object.values(builds)) {
            assert.ok(await (await other.importVerificationKey(key.publicJwk)).verify(message, signature))
          }
          const accepted =
            jwk.crv === 'P-256'
              ? p256.verify(
                  signature,
                  message,
                  concat(hex('04'), fromBase64url(jwk.x), fromBase64url((jwk as { y: string }).y)),
                )
              : ed25519.verify(signature, message, fromBase64url(jwk.x), { zip215: false })
          assert.ok(accepted)
        }
      })
    }

    it('makes ECDSA signatures with the smaller s only', async () => {
      const key = await importSigningKey(ES256_JWK)
      for (let i = 0; i < 40; i++) assert.ok(isLowS(await key.sign(Uint8Array.of(i))))
    })

    it('names a key the same from either half, and keeps the private half to itself', async () => {
      const signing = await importSigningKey(ES256_JWK)
      const verification = await importVerificationKey(publicJwkOf(ES256_JWK))
      assert.equal(signing.kid, verification.kid)
      assert.deepEqual(signing.publicJwk, publicJwkOf(ES256_JWK))
      const careless = await importVerificationKey(ES256_JWK)
      assert.ok(![signing, careless].some((key) => JSON.stringify(key).includes(ES256_JWK.d)))
    })

    const refused: [what: string, code: string, load: () => Promise<unknown>][] = [
      ['an X25519 key for verification', 'unsupported_key', () => importVerificationKey(publicJwkOf(X25519_JWK))],
      ['an X25519 key for signing', 'unsupported_key', () => importSigningKey(X25519_JWK)],
      [
        'a P-256 key that is for encryption',
        'unsupported_key',
        () => importSigningKey({ ...ES256_JWK, alg: 'ECDH-ES+A256KW' } as PrivateJwk),
      ],
      ['the d of another P-256 key', 'weak_key', () => importSigningKey({ ...ES256_JWK, d: OTHER_ES256_JWK.d })],
      ['the d of another Ed25519 key', 'weak_key', () => importSigningKey({ ...ED25519_JWK, d: ES256_JWK.d })],
      ['a d of zero', 'weak_key', () => importSigningKey({ ...ES256_JWK, d: toBase64url(new Uint8Array(32)) })],
    ]
    for (const [what, code, load] of refused) {
      it(`refuses ${what} (${code})`, () => assert.rejects(load, { code }))
    }
  })
}

describe('the twin of an ECDSA signature', () => {
  it('is its own twin’s twin, and one of the two is low', () => {
    const high = withOtherS(ecSigned)
    assert.ok(isLowS(ecSigned) && !isLowS(high))
    assert.deepEqual(withOtherS(high), ecSigned)
    assert.deepEqual(withLowS(high), ecSigned)
    assert.deepEqual(withLowS(ecSigned), ecSigned)
  })
})
