import assert from 'node:assert/strict'
import { createHmac, hkdfSync } from 'node:crypto'
import { describe, it } from 'node:test'
import { equalBytes, fromBase64url, toHex } from '../../merkle/index.ts'
import { deriveTagKey, uniqueTag } from '../../provenance/index.ts'
import { encodeCbor, type PrivateJwk } from '../../statement/index.ts'
import { issuer, verifier } from './small-log.ts'

const key = deriveTagKey(issuer.jwk)

describe('deriveTagKey', () => {
  it('is HKDF of the private scalar, salted with the kid, as Node computes it', () => {
    const derived = hkdfSync('sha256', fromBase64url(issuer.jwk.d), issuer.kid, 'provlog/tag/v1', 32)
    assert.deepEqual(key, new Uint8Array(derived))
  })

  it('is the same each time, whatever else the JWK says, and another for another issuer', () => {
    assert.deepEqual(deriveTagKey({ ...issuer.jwk, alg: 'EdDSA' } as PrivateJwk), key)
    assert.ok(!equalBytes(deriveTagKey(verifier.jwk), key))
  })
})

describe('uniqueTag', () => {
  it('is an HMAC cut to 16 bytes, as Node computes it', () => {
    const mac = createHmac('sha256', key)
      .update(encodeCbor(['serial', 'bank.example', '7b1f']))
      .digest()
    assert.deepEqual(uniqueTag(key, 'serial', 'bank.example', '7b1f'), new Uint8Array(mac.subarray(0, 16)))
  })

  it('differs with each of its inputs, and with where one ends and the next begins', () => {
    const tags = [
      uniqueTag(key, 'jti', 'bank.example', '7b1f'),
      uniqueTag(key, 'serial', 'bank.example', '7b1f'),
      uniqueTag(key, 'jti', 'bank.exampl', 'e7b1f'),
      uniqueTag(key, 'jti', 'bank.example', '7b1e'),
      uniqueTag(deriveTagKey(verifier.jwk), 'jti', 'bank.example', '7b1f'),
    ]
    assert.equal(new Set(tags.map(toHex)).size, tags.length)
  })

  it('takes a key of another length for a bug of ours', () => {
    assert.throws(() => uniqueTag(new Uint8Array(16), 'jti', 'a', 'b'), /invariant/)
  })
})
