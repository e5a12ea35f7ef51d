/**
 * ECDSA of P-256 with SHA-256, as endorsers and logs sign, and what their keys are known by.
 *
 * @module
 */
import { type KeyObject, verify } from 'node:crypto'
import { sha256, toHex } from '../../../../../merkle/index.ts'

/** SHA-256 of the SubjectPublicKeyInfo, hex: what reference values name a key by, and a log's `logID`. */
export function keyId(key: KeyObject): string {
  return toHex(sha256(key.export({ format: 'der', type: 'spki' })))
}

/** @param signature - DER */
export function isSignedBy(key: KeyObject, content: Uint8Array, signature: Uint8Array): boolean {
  return key.asymmetricKeyDetails?.namedCurve === 'prime256v1' && verify('sha256', content, key, signature)
}
