/**
 * The two primitives of sealing on Node: the native half of the `#cipher` import condition.
 *
 * WebCrypto sends each import and each encryption to the thread pool and back, which costs several times what a section of a kilobyte
 * does: sealing three sections takes 300 µs of processor time by the portable half, and a third of that by this one.
 *
 * @module
 */
import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto'
import { TAG_LENGTH } from './cipher.ts'

export { TAG_LENGTH } from './cipher.ts'

/** As in `cipher.ts`. */
export function hkdfSha256(key: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  const extracted = hmac(salt, key)
  const expanded = new Uint8Array(HASH_LENGTH * Math.ceil(length / HASH_LENGTH))
  let last = NOTHING
  for (let round = 1; (round - 1) * HASH_LENGTH < length; round++) {
    last = hmac(extracted, last, info, Uint8Array.of(round))
    expanded.set(last, (round - 1) * HASH_LENGTH)
  }
  return expanded.subarray(0, length)
}

/** As in `cipher.ts`. */
export function hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array {
  return new Uint8Array(hmac(key, data))
}

/** As in `cipher.ts`. */
export async function encryptOnce(key: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Promise<Uint8Array> {
  const cipher = createCipheriv(ALGORITHM, key, NONCE).setAAD(aad)
  const ciphertext = new Uint8Array(plaintext.length + TAG_LENGTH)
  // GCM is a stream: all comes out of `update`, and `final` has nothing left but the tag.
  ciphertext.set(cipher.update(plaintext))
  cipher.final()
  ciphertext.set(cipher.getAuthTag(), plaintext.length)
  return ciphertext
}

/** As in `cipher.ts`. */
export async function decryptOnce(
  key: Uint8Array,
  aad: Uint8Array,
  ciphertext: Uint8Array,
): Promise<Uint8Array | undefined> {
  const end = ciphertext.length - TAG_LENGTH
  if (end < 0) return undefined
  // With the length named, no shorter tag is taken.
  const decipher = createDecipheriv(ALGORITHM, key, NONCE, { authTagLength: TAG_LENGTH }).setAAD(aad)
  decipher.setAuthTag(ciphertext.subarray(end))
  const plaintext = new Uint8Array(decipher.update(ciphertext.subarray(0, end)))
  try {
    decipher.final()
  } catch {
    return undefined
  }
  return plaintext
}

/** `hkdfSync` makes a key object for each call, which costs as much again as the three hashes. */
function hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const mac = createHmac('sha256', key)
  for (const part of parts) mac.update(part)
  return mac.digest()
}

const HASH_LENGTH = 32
const NOTHING: Uint8Array = new Uint8Array()
const ALGORITHM = 'aes-256-gcm'
const NONCE = new Uint8Array(12)
