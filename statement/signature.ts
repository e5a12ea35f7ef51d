/**
 * Signatures over bytes where there is no Node: the portable half of the `#signature` import condition.
 *
 * ECDSA and RSA by WebCrypto, Ed25519 by `#ed25519`. ECDSA signatures are r ‖ s, each as long as a coordinate. Those we make have the
 * smaller of the two values of s; others' may have either (RFC 9053 §2.1 demands nothing), which is why a log also compares what was signed.
 *
 * @module
 */
import { ed25519PublicKey, ed25519Sign, ed25519Verify } from '#ed25519'
import { equalBytes, fromBase64url } from '../merkle/bytes.ts'
import { type SignatureScheme, type SigningAlgorithm, schemeOf, type VerificationAlgorithm } from './algorithm.ts'
import {
  kidOf,
  type PrivateJwk,
  type PublicJwk,
  publicJwkOf,
  signingAlgorithmOf,
  type VerificationJwk,
} from './cose-key.ts'
import { withLowS } from './ecdsa-malleability.ts'
import { StatementError } from './error.ts'
import { algorithmOfKey, fitsScheme, signatureLength } from './verification-jwk.ts'

/** A public key, ready to verify many signatures by one algorithm. */
export interface VerificationKey {
  /** 43 characters, see `kidOf`. */
  readonly kid: string
  readonly algorithm: VerificationAlgorithm
  readonly jwk: VerificationJwk
  readonly verify: Verify
  /** The same at once, on Node: for a thread that has thousands to check, and that a promise for each would take longer; and for clients. */
  readonly holds?: (data: Uint8Array, signature: Uint8Array) => boolean
}

/** Whether `signature` is one over `data`. Anything malformed is `false`. */
export type Verify = (data: Uint8Array, signature: Uint8Array) => Promise<boolean>

/** A private key, ready to sign. It cannot be read back. */
export interface SigningKey {
  readonly kid: string
  readonly algorithm: SigningAlgorithm
  readonly publicJwk: PublicJwk
  /** 64 bytes: r ‖ s with the smaller s, or R ‖ S. */
  sign(data: Uint8Array): Promise<Uint8Array>
  /** The same at once, on Node: the way through the thread pool takes as long as the signature. */
  readonly signNow?: (data: Uint8Array) => Uint8Array
}

/**
 * Imports a public key, which is what costs; keep the result.
 *
 * @param algorithm - the one that the key is to be used with; only an RSA key without `alg` leaves a choice, and then it must be named
 * @throws {@link StatementError} `unsupported_key` when it cannot sign, `algorithm_mismatch` when it is for another algorithm
 */
export async function importVerificationKey(
  publicJwk: VerificationJwk,
  algorithm?: VerificationAlgorithm,
): Promise<VerificationKey> {
  // A private key fits the type, and must not live on in a key that is passed around.
  const jwk = publicJwkOf(publicJwk)
  const name = algorithmOfKey(jwk, algorithm)
  return { kid: kidOf(jwk), algorithm: name, jwk, verify: await importVerifier(jwk, schemeOf(name)) }
}

/**
 * As {@link importVerificationKey} for a scheme that may have no name, which X.509 has.
 *
 * @throws {@link StatementError} `algorithm_mismatch` when the key is of another kind
 */
export async function importVerifier(publicJwk: VerificationJwk, scheme: SignatureScheme): Promise<Verify> {
  const jwk = publicJwkOf(publicJwk)
  if (!fitsScheme(jwk, scheme)) throw new StatementError('algorithm_mismatch', `a ${jwk.kty} key for ${scheme.kind}`)
  if (scheme.kind === 'Ed25519') {
    const publicKey = fromBase64url((jwk as PublicJwk).x)
    return async (data, signature) => ed25519Verify(publicKey, data, signature)
  }
  const length = signatureLength(jwk)
  const importedAs = { name: scheme.kind, hash: scheme.hash, ...(jwk.kty === 'EC' ? { namedCurve: jwk.crv } : {}) }
  const key = await subtle.importKey('jwk', webCryptoJwk(jwk), importedAs, false, ['verify'])
  return async (data, signature) => {
    if (signature.length !== length) return false
    // Each algorithm reads its own members: hash ECDSA, saltLength PSS.
    const parameters = { ...scheme, name: scheme.kind }
    return subtle.verify(parameters, key, signature as BufferSource, data as BufferSource)
  }
}

/**
 * Imports a private key.
 *
 * @throws {@link StatementError} `unsupported_key` when it cannot sign, `weak_key` when its public members belong to another key
 */
export async function importSigningKey(jwk: PrivateJwk): Promise<SigningKey> {
  const publicJwk = publicJwkOf(jwk)
  const algorithm = signingAlgorithmOf(publicJwk)
  const named = { kid: kidOf(publicJwk), algorithm, publicJwk }
  if (algorithm === 'Ed25519') {
    const seed = fromBase64url(jwk.d)
    if (!equalBytes(ed25519PublicKey(seed), fromBase64url(jwk.x))) throw mismatched()
    return { ...named, sign: async (data) => ed25519Sign(seed, data) }
  }

  const key = await subtle.importKey('jwk', webCryptoJwk(jwk), P256, false, ['sign']).catch((cause: unknown) => {
    throw mismatched(cause)
  })
  const sign = async (data: Uint8Array) => withLowS(new Uint8Array(await subtle.sign(ES256, key, data as BufferSource)))
  // Not every WebCrypto checks that d belongs to x and y. A probe does.
  const probe = new Uint8Array(32)
  if (!(await (await importVerificationKey(publicJwk)).verify(probe, await sign(probe)))) throw mismatched()
  return { ...named, sign }
}

const { subtle } = globalThis.crypto
const P256 = { name: 'ECDSA', namedCurve: 'P-256' }
const ES256 = { name: 'ECDSA', hash: 'SHA-256' }

/** Without `alg`: WebCrypto compares it with its own names. */
function webCryptoJwk(jwk: VerificationJwk | PrivateJwk): JsonWebKey {
  const { alg: _alg, ...members } = jwk
  return members
}

function mismatched(cause?: unknown): StatementError {
  return new StatementError('weak_key', 'the private and the public members are not of one key', { cause })
}
