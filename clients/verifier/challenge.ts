/**
 * The challenge that evidence is to answer, as text.
 *
 * @module
 */
import { isNonce } from '../../provenance/index.ts'
import { VerifierError } from './error.ts'

/** @throws {@link VerifierError} `wrong_nonce` for one that no EAT may carry */
export function checkNonce(nonce: string): string {
  if (!isNonce(nonce)) throw new VerifierError('wrong_nonce', 'a nonce has 8 to 88 bytes (RFC 9711 §4.1)')
  return nonce
}
