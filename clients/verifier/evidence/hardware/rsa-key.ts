/**
 * What an RSA key must be, so that what it signed was signed by whoever has the private one.
 *
 * @module
 */
import type { KeyObject } from 'node:crypto'
import { fromBase64url } from '../../../../merkle/index.ts'
import { isRocaModulus } from '../../../../statement/index.ts'

/** Whether `key` is RSA of 2048 bits on, of an exponent that hides something, and none of those that Infineon's TPMs of 2012 to 2017 made. */
export function isSoundRsa(key: KeyObject): boolean {
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType !== 'rsa' || modulusLength < 2048 || publicExponent < 3n) return false
  return !isRocaModulus(fromBase64url(key.export({ format: 'jwk' }).n ?? ''))
}
