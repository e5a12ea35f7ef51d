/**
 * SHA-256 where there is no Node: the portable half of the `#sha256` import condition.
 *
 * @module
 */
import { sha256 as noble } from '@noble/hashes/sha2.js'

/** The 32-byte digest, as a new array. */
export function sha256(data: Uint8Array): Uint8Array {
  return noble(data)
}

/** Writes the 32-byte digest of `data` at `target[offset]`: no array per hash on the hot path. */
export function sha256Into(data: Uint8Array, target: Uint8Array, offset: number): void {
  target.set(noble(data), offset)
}
