/**
 * The kinds of values that records have in common.
 *
 * @module
 */
import { parseVkey } from '../../merkle/note.ts'
import { decodeCbor, encodeCbor } from '../../statement/cbor.ts'
import { coseKeyOf, jwkOfCoseKey, type PublicJwk, signingAlgorithmOf } from '../../statement/cose-key.ts'
import { StatementError } from '../../statement/error.ts'
import { MAX_IDENTIFIER_BYTES, parseTrustDomain, parseWorkloadIdentifier } from '../identifier.ts'
import { bytes, refine, type Schema, text, uint } from '../schema.ts'

/** POSIX seconds. */
export const time: Schema<number> = uint()

/** A SHA-256 value. */
export const digest: Schema<Uint8Array> = bytes(32)

/** A `spiffe://` or `wimse://` URI. */
export const workloadIdentifier: Schema<string> = refine(text({ max: MAX_IDENTIFIER_BYTES }), parseWorkloadIdentifier)

export const trustDomain: Schema<string> = refine(text(), parseTrustDomain)

/** A C2SP verifier key: `name+hash+base64`. */
export const vkey: Schema<string> = refine(text({ max: 512 }), parseVkey)

/** A name of a signing key: 43 characters of base64url. */
export const kid: Schema<string> = refine(text(), (value) => {
  if (!/^[A-Za-z0-9_-]{43}$/.test(value)) throw new StatementError('malformed_key', 'not a key name')
})

/** An encoded COSE_Key: {@link encodePublicKey}. */
const publicKey: Schema<Uint8Array> = bytes({ max: 512 })

/** One that signs. Weak keys and those with a private member are refused. */
export const signingKey: Schema<Uint8Array> = refine(publicKey, (key) => {
  signingAlgorithmOf(decodePublicKey(key))
})

/** One that receives wrapped keys: X25519 or P-256. */
export const encryptionKey: Schema<Uint8Array> = refine(publicKey, (key) => {
  if (decodePublicKey(key).crv === 'Ed25519') throw new StatementError('unsupported_key', 'Ed25519 receives no wraps')
})

/** `jwk` as the COSE_Key bytes that records carry. */
export function encodePublicKey(jwk: PublicJwk): Uint8Array {
  return encodeCbor(coseKeyOf(jwk))
}

/**
 * The inverse.
 *
 * @throws {@link StatementError} `malformed_cbor`, `malformed_key`, `unsupported_key`, `weak_key`
 */
export function decodePublicKey(key: Uint8Array): PublicJwk {
  return jwkOfCoseKey(decodeCbor(key))
}
