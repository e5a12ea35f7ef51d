/**
 * Signatures over bytes on Node: the native half of the `#signature` import condition.
 *
 * Work goes to the thread pool, off the main thread; a caller who is off it already waits where it is, since the way through the pool
 * takes 10 to 40 µs, and so may one who keeps nobody waiting: `holds`, `signNow`. Each key is imported once, as JWK: a DER import costs as
 * much as a verification. OpenSSL accepts some Ed25519 signatures that the portable half refuses, so `isStrictEd25519` goes first.
 *
 * @module
 */
import {
  constants,
  createPrivateKey,
  createPublicKey,
  type JsonWebKey,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto'
import { isMainThread } from 'node:worker_threads'
import { fromBase64url } from '../merkle/bytes.ts'
import { isStrictEd25519 } from '../merkle/ed25519-encoding.ts'
import { libsodium } from '../merkle/libsodium.node.ts'
import { type SignatureScheme, schemeOf, type VerificationAlgorithm } from './algorithm.ts'
import { kidOf, type PrivateJwk, publicJwkOf, signingAlgorithmOf, type VerificationJwk } from './cose-key.ts'
import { withLowS } from './ecdsa-malleability.ts'
import { StatementError } from './error.ts'
import type { SigningKey, VerificationKey, Verify } from './signature.ts'
import { algorithmOfKey, fitsScheme, signatureLength } from './verification-jwk.ts'

export type { SigningKey, VerificationKey, Verify } from './signature.ts'

/** As in `signature.ts`. */
export async function importVerificationKey(
  publicJwk: VerificationJwk,
  algorithm?: VerificationAlgorithm,
): Promise<VerificationKey> {
  const jwk = publicJwkOf(publicJwk)
  const name = algorithmOfKey(jwk, algorithm)
  // First, for it says what is wrong with members that OpenSSL would only call invalid.
  const kid = kidOf(jwk)
  const check = checkFor(jwk, schemeOf(name))
  return { kid, algorithm: name, jwk, verify: verifierOf(check), holds: check.holds }
}

/** As in `signature.ts`. */
export async function importVerifier(publicJwk: VerificationJwk, scheme: SignatureScheme): Promise<Verify> {
  return verifierOf(checkFor(publicJwkOf(publicJwk), scheme))
}

interface Check {
  readonly isWellFormed: (signature: Uint8Array) => boolean
  readonly holds: (data: Uint8Array, signature: Uint8Array) => boolean
  readonly inThreadPool: (data: Uint8Array, signature: Uint8Array) => Promise<boolean>
}

function checkFor(jwk: VerificationJwk, scheme: SignatureScheme): Check {
  if (!fitsScheme(jwk, scheme)) throw new StatementError('algorithm_mismatch', `a ${jwk.kty} key for ${scheme.kind}`)
  const key = withParameters(createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' }), scheme)
  const digest = scheme.kind === 'Ed25519' ? null : scheme.hash.replace('-', '').toLowerCase()
  const length = signatureLength(jwk)
  const publicKey = jwk.kty === 'OKP' ? fromBase64url(jwk.x) : undefined
  const isWellFormed = (signature: Uint8Array) =>
    publicKey ? isStrictEd25519(publicKey, signature) : signature.length === length
  const holdsByOpenssl = (data: Uint8Array, signature: Uint8Array) =>
    isWellFormed(signature) && verify(digest, data, key, signature)
  return {
    isWellFormed,
    holds: publicKey ? holdsByLibsodium(publicKey, holdsByOpenssl) : holdsByOpenssl,
    inThreadPool: (data, signature) =>
      new Promise((resolve, reject) => {
        verify(digest, data, key, signature, (error, valid) => (error ? reject(error) : resolve(valid)))
      }),
  }
}

/** Loads libsodium for whoever checks many: a command that checks three signatures is done before that is there. */
function holdsByLibsodium(publicKey: Uint8Array, otherwise: Check['holds']): Check['holds'] {
  // Memory that other threads share is not libsodium's to read.
  const own = new Uint8Array(64)
  return (data, signature) => {
    const few = checked < MANY
    if (few) checked++
    const check = few ? undefined : libsodium()
    if (!check || data.buffer instanceof SharedArrayBuffer) return otherwise(data, signature)
    if (!isStrictEd25519(publicKey, signature)) return false
    own.set(signature)
    return check(publicKey, data, own)
  }
}

/** Ed25519 signatures of this thread. */
let checked = 0
const MANY = 256

function verifierOf({ isWellFormed, holds, inThreadPool }: Check): Verify {
  if (!isMainThread) return async (data, signature) => holds(data, signature)
  return async (data, signature) => isWellFormed(signature) && inThreadPool(data, signature)
}

/** Ed25519 has none, and goes without the object in which Node would look for them: that is 2 µs of 110. */
function withParameters(key: KeyObject, scheme: SignatureScheme) {
  switch (scheme.kind) {
    case 'Ed25519':
      return key
    case 'ECDSA':
      return { key, dsaEncoding: 'ieee-p1363' as const }
    case 'RSASSA-PKCS1-v1_5':
      return { key, padding: constants.RSA_PKCS1_PADDING }
    case 'RSA-PSS':
      return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: scheme.saltLength }
  }
}

/** As in `signature.ts`. */
export async function importSigningKey(jwk: PrivateJwk): Promise<SigningKey> {
  const publicJwk = publicJwkOf(jwk)
  const algorithm = signingAlgorithmOf(publicJwk)
  const object = privateKeyObject(jwk)
  const key = { key: object, dsaEncoding: 'ieee-p1363' as const }
  const digest = digestOf(object)
  const finished = (signature: Uint8Array) => {
    const bytes = new Uint8Array(signature)
    return algorithm === 'ES256' ? withLowS(bytes) : bytes
  }
  return {
    kid: kidOf(publicJwk),
    algorithm,
    publicJwk,
    sign: (data) =>
      new Promise((resolve, reject) => {
        sign(digest, data, key, (error, signature) => (error ? reject(error) : resolve(finished(signature))))
      }),
    signNow: (data) => finished(sign(digest, data, key)),
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
