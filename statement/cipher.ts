/**
 * The two primitives of sealing, HKDF-SHA256 and AES-256-GCM: the portable half of the `#cipher` import condition.
 *
 * @module
 */
import { hkdf } from '@noble/hashes/hkdf.js'
import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'

/** Bytes of the tag at the end of a ciphertext. */
export const TAG_LENGTH = 16

/** HKDF (RFC 5869) over SHA-256. */
export function hkdfSha256(key: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  return hkdf(sha256, key, salt, info, length)
}

/** HMAC (RFC 2104) over SHA-256. */
export function hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array {
  return hmac(sha256, key, data)
}

/**
 * AES-256-GCM under a nonce of zeros, so `key` must never be used a second time.
 *
 * @returns the ciphertext and its tag
 */
export async function encryptOnce(key: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Promise<Uint8Array> {
  const imported = await importKey(key, 'encrypt')
  return new Uint8Array(await subtle.encrypt(gcm(aad), imported, plaintext as BufferSource))
}

/** The inverse; undefined when the tag is not that of `ciphertext` under `key` and `aad`. */
export async function decryptOnce(
  key: Uint8Array,
  aad: Uint8Array,
  ciphertext: Uint8Array,
): Promise<Uint8Array | undefined> {
  const imported = await importKey(key, 'decrypt')
  // The platform says no more than OperationError, whatever it was.
  return subtle.decrypt(gcm(aad), imported, ciphertext as BufferSource).then(
    (plaintext) => new Uint8Array(plaintext),
    () => undefined,
  )
}

const { subtle } = globalThis.crypto

const gcm = (aad: Uint8Array) => ({ name: 'AES-GCM', iv: new Uint8Array(12), additionalData: aad as BufferSource })

function importKey(key: Uint8Array, usage: 'encrypt' | 'decrypt'): Promise<CryptoKey> {
  return subtle.importKey('raw', key as BufferSource, 'AES-GCM', false, [usage])
}
