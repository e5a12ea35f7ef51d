/**
 * Signatures over bytes on Node: the native half of the `#signature` import condition.
 *
 * Work goes to the thread pool, off the main thread, and each key is imported once, as JWK: a DER import costs as much as a
 * verification. OpenSSL accepts some Ed25519 signatures that the portable half refuses, so `isStrictEd25519` goes first.
 *
 * @module
 */
import { createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject, sign, verify } from 'node:crypto'
import { fromBase64url } from '../merkle/bytes.ts'
import { isStrictEd25519 } from '../merkle/ed25519-encoding.ts'
import { kidOf, type PrivateJwk, type PublicJwk, publicJwkOf, signingAlgorithmOf } from './cose-key.ts'
import { withLowS } from './ecdsa-malleability.ts'
import { StatementError } from './error.ts'
import type { SigningKey, VerificationKey } from './signature.ts'

export type { SigningKey, VerificationKey } from './signature.ts'

/** As in `signature.ts`. */
export async function importVerificationKey(publicJwk: PublicJwk): Promise<VerificationKey> {
  const jwk = publicJwkOf(publicJwk)
  const algorithm = signingAlgorithmOf(jwk)
  const publicKey = fromBase64url(jwk.x)
  const object = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' })
  const key = { key: object, dsaEncoding: 'ieee-p1363' as const }
  const digest = digestOf(object)
  return {
    kid: kidOf(jwk),
    algorithm,
    jwk,
    verify: (data, signature) =>
      new Promise((resolve, reject) => {
        const wellFormed = algorithm === 'ES256' ? signature.length === 64 : isStrictEd25519(publicKey, signature)
        if (!wellFormed) return resolve(false)
        verify(digest, data, key, signature, (error, valid) => (error ? reject(error) : resolve(valid)))
      }),
  }
}

/** As in `signature.ts`. */
export async function importSigningKey(jwk: PrivateJwk): Promise<SigningKey> {
  const publicJwk = publicJwkOf(jwk)
  const algorithm = signingAlgorithmOf(publicJwk)
  const object = privateKeyObject(jwk)
  const key = { key: object, dsaEncoding: 'ieee-p1363' as const }
  const digest = digestOf(object)
  return {
    kid: kidOf(publicJwk),
    algorithm,
    publicJwk,
    sign: (data) =>
      new Promise((resolve, reject) => {
        sign(digest, data, key, (error, signature) => {
          if (error) return reject(error)
          const bytes = new Uint8Array(signature)
          resolve(algorithm === 'ES256' ? withLowS(bytes) : bytes)
        })
      }),
  }
}

function privateKeyObject(jwk: PrivateJwk): KeyObject {
  let cause: unknown
  try {
    const object = createPrivateKey({ key: jwk as JsonWebKey, format: 'jwk' })
    // OpenSSL takes d at its word: what it computes from d must be the public key that was named.
    const own = createPublicKey(object).export({ format: 'jwk' })
    const probe = new Uint8Array(32)
    const proof = sign(digestOf(object), probe, object)
    const named = createPublicKey({ key: publicJwkOf(jwk) as JsonWebKey, format: 'jwk' })
    if (own.x === jwk.x && verify(digestOf(object), probe, named, proof)) return object
  } catch (error) {
    cause = error
  }
  throw new StatementError('weak_key', 'the private and the public members are not of one key', { cause })
}

/** Ed25519 names no digest: it has its own. */
function digestOf(key: KeyObject): string | null {
  return key.asymmetricKeyType === 'ec' ? 'sha256' : null
}
