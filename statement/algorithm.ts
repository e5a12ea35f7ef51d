/**
 * How bytes are signed, by the names that JOSE and COSE share (RFC 7518, RFC 8037, RFC 9864).
 *
 *     ES256  Ed25519                       what we sign with, and what records on a log are signed with
 *     ES384  ES512  RS256…512  PS256…512   what others sign with besides: credentials, certificates, results, foreign statements
 *
 * A name fixes everything: the kind of key, its curve, the hash, the padding. `none` and MACs have no name here, so nothing can ask for
 * them. X.509 knows more pairs of curve and hash than have names; those are a {@link SignatureScheme} without one.
 *
 * @module
 */

export type SigningAlgorithm = 'ES256' | 'Ed25519'

export type VerificationAlgorithm =
  | SigningAlgorithm
  | 'ES384'
  | 'ES512'
  | 'RS256'
  | 'RS384'
  | 'RS512'
  | 'PS256'
  | 'PS384'
  | 'PS512'

export type HashName = 'SHA-256' | 'SHA-384' | 'SHA-512'

/** What a signature is made of, whatever its name. The mask of RSA-PSS is MGF1 with the same hash. */
export type SignatureScheme =
  | { readonly kind: 'Ed25519' }
  | { readonly kind: 'ECDSA'; readonly hash: HashName }
  | { readonly kind: 'RSASSA-PKCS1-v1_5'; readonly hash: HashName }
  | { readonly kind: 'RSA-PSS'; readonly hash: HashName; readonly saltLength: number }

/** Bytes. */
export const HASH_LENGTH: Record<HashName, number> = { 'SHA-256': 32, 'SHA-384': 48, 'SHA-512': 64 }

export function schemeOf(algorithm: VerificationAlgorithm): SignatureScheme {
  if (algorithm === 'Ed25519') return { kind: 'Ed25519' }
  const hash = `SHA-${algorithm.slice(2)}` as HashName
  if (algorithm.startsWith('ES')) return { kind: 'ECDSA', hash }
  if (algorithm.startsWith('RS')) return { kind: 'RSASSA-PKCS1-v1_5', hash }
  // RFC 7518 §3.5: the salt is as long as the hash.
  return { kind: 'RSA-PSS', hash, saltLength: HASH_LENGTH[hash] }
}

/** By the `alg` of JOSE. `Ed25519` is the fully specified name; `EdDSA` is what everybody sends. */
export const JOSE_ALGORITHMS: ReadonlyMap<string, VerificationAlgorithm> = new Map([
  ['ES256', 'ES256'],
  ['ES384', 'ES384'],
  ['ES512', 'ES512'],
  ['RS256', 'RS256'],
  ['RS384', 'RS384'],
  ['RS512', 'RS512'],
  ['PS256', 'PS256'],
  ['PS384', 'PS384'],
  ['PS512', 'PS512'],
  ['EdDSA', 'Ed25519'],
  ['Ed25519', 'Ed25519'],
])

/**
 * By the `alg` of COSE: RFC 9053's polymorphic identifiers, which deployed verifiers know, with the curve that everybody pairs them with;
 * the fully-specified ones of RFC 9864; and RSA with PSS (RFC 8230). PKCS #1 v1.5 is registered for WebAuthn alone (RFC 8812).
 */
export const COSE_ALGORITHMS: ReadonlyMap<number | string, VerificationAlgorithm> = new Map([
  [-7, 'ES256'],
  [-9, 'ES256'],
  [-35, 'ES384'],
  [-51, 'ES384'],
  [-36, 'ES512'],
  [-52, 'ES512'],
  [-8, 'Ed25519'],
  [-19, 'Ed25519'],
  [-37, 'PS256'],
  [-38, 'PS384'],
  [-39, 'PS512'],
])
