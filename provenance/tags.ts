/**
 * Keyed tags: how the log keeps a serial number or `jti` unique without seeing it.
 *
 * A serial number, a jti or a workload identifier can be guessed, so its plain hash would tell anybody who guesses right.
 * A tag is an HMAC under a key of the issuer's. Equal values have equal tags under one key, which is all that the log
 * needs to refuse the second use, and nobody else can test a guess.
 *
 * @module
 */
import { hkdfSha256, hmacSha256 } from '#cipher'
import { fromBase64url, utf8 } from '../merkle/bytes.ts'
import { assert } from '../merkle/error.ts'
import { encodeCbor } from '../statement/cbor.ts'
import { kidOf, type PrivateJwk, publicJwkOf } from '../statement/cose-key.ts'

export const TAG_KEY_LENGTH = 32
export const TAG_LENGTH = 16

/**
 * The tag key that goes with a signing key: HKDF-SHA256 of the private scalar.
 *
 * Derived rather than stored, so that an issuer is stateless: every instance that can sign makes the same tags, and none
 * starts over with a fresh key under which old serial numbers would pass again. It is per issuer: two issuers' tags of one
 * value have nothing in common. It gives nothing of the signing key away, so an auditor may have it, sealed in the `tags`
 * section of the record, and recompute every tag of that issuer.
 */
export function deriveTagKey(privateJwk: PrivateJwk): Uint8Array {
  const known = tagKeys.get(privateJwk)
  if (known) return known.slice()
  const kid = utf8(kidOf(publicJwkOf(privateJwk)))
  const key = hkdfSha256(fromBase64url(privateJwk.d), kid, utf8('provlog/tag/v1'), TAG_KEY_LENGTH)
  tagKeys.set(privateJwk, key)
  return key.slice()
}

/** By identity, and no longer than whoever holds the private key. */
const tagKeys = new WeakMap<PrivateJwk, Uint8Array>()

/**
 * The tag of `value`: HMAC-SHA256 over CBOR `[kind, scope, value]`, the first 16 bytes.
 *
 * @param scope where the value must be unique: a trust domain ({@link credentialTag})
 */
export function uniqueTag(key: Uint8Array, kind: 'serial' | 'jti', scope: string, value: string): Uint8Array {
  assert(key.length === TAG_KEY_LENGTH, 'a tag key has 32 bytes')
  return hmacSha256(key, encodeCbor([kind, scope, value])).slice(0, TAG_LENGTH)
}

/**
 * The tag that keeps a credential's own name, its `jti` or serial number, from being used twice. The scope is the trust
 * domain for both: the tag key goes with one issuing key already.
 */
export function credentialTag(
  key: Uint8Array,
  credential: { readonly kind: 'wit' | 'wic'; readonly trustDomain: string; readonly identifier: string },
): Uint8Array {
  return uniqueTag(key, credential.kind === 'wit' ? 'jti' : 'serial', credential.trustDomain, credential.identifier)
}
