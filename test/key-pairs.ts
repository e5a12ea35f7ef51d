/**
 * New keys that may be written as JWK.
 *
 * Node 20 stands still for good when the key of a pair, just made, is exported as a JWK while the garbage collector takes what made the pair: both
 * want the lock of that one key, and are one thread. What is read from DER is a key of its own.
 *
 * @module
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'

export interface KeyPair {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

export function newKeyPair(
  type: string,
  options: { readonly namedCurve?: string; readonly modulusLength?: number } = {},
): KeyPair {
  const made = generateKeyPairSync(type as 'ec', {
    ...(options as { namedCurve: string }),
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'der' },
  })
  return {
    publicKey: createPublicKey({ key: made.publicKey, type: 'spki', format: 'der' }),
    privateKey: createPrivateKey({ key: made.privateKey, type: 'pkcs8', format: 'der' }),
  }
}
