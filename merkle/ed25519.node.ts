/**
 * Ed25519 on Node: the native half of the `#ed25519` import condition, a hundred times as fast as the portable one.
 *
 * OpenSSL refuses S ≥ L by itself and accepts keys of small order and non-canonical keys; `ed25519-encoding.ts` refuses those first.
 *
 * @module
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { assertBytes } from './bytes.ts'
import { isStrictEd25519 } from './ed25519-encoding.ts'

export { isStrongEd25519Key } from './ed25519-encoding.ts'

/** Whether `signature` (64 bytes, R ‖ S) over `message` is by the holder of `publicKey` (32 bytes). Wrong lengths are `false`. */
export function ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  return isStrictEd25519(publicKey, signature) && verify(null, message, publicKeyObject(publicKey), signature)
}

/** The 64-byte signature of `message` under the private key that RFC 8032 §5.1.5 derives from a 32-byte seed. Deterministic. */
export function ed25519Sign(seed: Uint8Array, message: Uint8Array): Uint8Array {
  return new Uint8Array(sign(null, message, privateKeyObject(seed)))
}

/** The 32-byte public key of a seed. */
export function ed25519PublicKey(seed: Uint8Array): Uint8Array {
  const { x } = createPublicKey(privateKeyObject(seed)).export({ format: 'jwk' })
  return new Uint8Array(Buffer.from(x!, 'base64url'))
}

// Importing costs a tenth of a verification as JWK, and several signatures as PKCS #8: each key is imported once. Both caches
// are bounded, because whose signatures we are asked to check is up to others; the key that came first leaves first.
const publicKeys = new Map<string, KeyObject>()
const privateKeys = new Map<string, KeyObject>()

function publicKeyObject(publicKey: Uint8Array): KeyObject {
  const x = Buffer.from(publicKey).toString('base64url')
  return remember(publicKeys, 1024, x, () => createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' }))
}

/** The DER of an RFC 8410 §7 private key, up to the seed. A JWK would want the public key as well, which we do not have yet. */
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex')

function privateKeyObject(seed: Uint8Array): KeyObject {
  assertBytes(seed, 32, 'an Ed25519 seed')
  return remember(privateKeys, 16, Buffer.from(seed).toString('base64url'), () =>
    createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: 'der', type: 'pkcs8' }),
  )
}

function remember(cache: Map<string, KeyObject>, limit: number, name: string, load: () => KeyObject): KeyObject {
  const known = cache.get(name)
  if (known) return known
  const key = load()
  if (cache.size >= limit) cache.delete(cache.keys().next().value!)
  cache.set(name, key)
  return key
}
