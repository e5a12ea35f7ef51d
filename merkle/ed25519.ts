/**
 * Ed25519 where there is no Node: the portable half of the `#ed25519` import condition, and the only importer of tweetnacl.
 *
 * tweetnacl alone accepts S + L and signatures under keys of small order; `ed25519-encoding.ts` refuses those first, so that
 * this build and `ed25519.node.ts` give the same verdict on every input.
 *
 * @module
 */
import nacl from 'tweetnacl'
import { assertBytes } from './bytes.ts'
import { isStrictEd25519 } from './ed25519-encoding.ts'

export { isStrongEd25519Key } from './ed25519-encoding.ts'

/** Whether `signature` (64 bytes, R ‖ S) over `message` is by the holder of `publicKey` (32 bytes). Wrong lengths are `false`. */
export function ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  return isStrictEd25519(publicKey, signature) && nacl.sign.detached.verify(message, signature, publicKey)
}

/** The 64-byte signature of `message` under the private key that RFC 8032 §5.1.5 derives from a 32-byte seed. Deterministic. */
export function ed25519Sign(seed: Uint8Array, message: Uint8Array): Uint8Array {
  assertBytes(seed, 32, 'an Ed25519 seed')
  return nacl.sign.detached(message, nacl.sign.keyPair.fromSeed(seed).secretKey)
}

/** The 32-byte public key of a seed. */
export function ed25519PublicKey(seed: Uint8Array): Uint8Array {
  assertBytes(seed, 32, 'an Ed25519 seed')
  return nacl.sign.keyPair.fromSeed(seed).publicKey
}
