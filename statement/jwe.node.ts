/**
 * JWE encryption on Node: the native half of the `#jwe` import condition.
 *
 *     ephemeral key ─┐
 *                    ├─ ECDH ─ Z ─ Concat KDF ─ KEK ─ AES key wrap ─ encrypted_key        RFC 7518 §4.6, RFC 3394
 *     recipient's ───┘                          CEK ─ AES-256-GCM ── ciphertext, tag      RFC 7518 §5.3
 *
 * Every step by WebCrypto goes to the thread pool and back: a wrap costs 0.8 ms of processor time by the portable half, and a sixth of
 * that by this one. Ephemeral keys are made for one wrap each (RFC 7518 §4.6), whoever it is for.
 *
 * @module
 */
import {
  createCipheriv,
  createECDH,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  randomFillSync,
} from 'node:crypto'
import { concatBytes, fromBase64url, utf8 } from '../merkle/bytes.ts'
import { sha256 } from '../merkle/hash.ts'
import { type PublicJwk, publicJwkOf } from './cose-key.ts'
import { CONTENT_ENCRYPTION, checkRecipient, type Jwe, type JweNames, KEY_AGREEMENT } from './jwe.ts'

export { checkRecipient, decryptJwe, type Jwe, type JweNames } from './jwe.ts'

/** As in `jwe.ts`. */
export async function encryptJwe(plaintext: Uint8Array, recipient: PublicJwk, { typ, kid }: JweNames): Promise<Jwe> {
  const { epk, secret } = agreementWith(recipient)()
  // Of one draw, which costs as much for few bytes as for many.
  const drawn = randomFillSync(Buffer.allocUnsafeSlow(32 + 12))
  const [cek, iv] = [drawn.subarray(0, 32), drawn.subarray(32)]
  const protectedHeader = base64url(utf8(JSON.stringify({ enc: CONTENT_ENCRYPTION, typ, epk })))
  const cipher = createCipheriv('aes-256-gcm', cek, iv).setAAD(utf8(protectedHeader))
  const ciphertext = cipher.update(plaintext)
  cipher.final()
  const encryptedKey = wrapKey(deriveKey(secret, { algorithm: KEY_AGREEMENT, bits: 256 }), cek)
  return {
    protected: protectedHeader,
    iv: base64url(iv),
    ciphertext: base64url(ciphertext),
    tag: base64url(cipher.getAuthTag()),
    recipients: [{ header: { alg: KEY_AGREEMENT, kid }, encrypted_key: base64url(encryptedKey) }],
  }
}

/**
 * The Concat KDF (RFC 7518 §4.6.2), whose first round of SHA-256 gives all that is asked for.
 *
 * @param parties - `apu` and `apv`, which nobody has in a wrap
 */
export function deriveKey(
  secret: Uint8Array,
  { algorithm, bits, parties: [apu, apv] = [NOTHING, NOTHING] }: Derivation,
): Uint8Array {
  const info = concatBytes(prefixed(utf8(algorithm)), prefixed(apu), prefixed(apv), u32(bits))
  return sha256(concatBytes(u32(1), secret, info)).subarray(0, bits / 8)
}

export interface Derivation {
  readonly algorithm: string
  readonly bits: 128 | 256
  readonly parties?: readonly [apu: Uint8Array, apv: Uint8Array]
}

/** AES key wrap (RFC 3394) with a key of 256 bits. */
export function wrapKey(kek: Uint8Array, key: Uint8Array): Uint8Array {
  const cipher = createCipheriv('id-aes256-wrap', kek, RFC3394_IV)
  return concatBytes(cipher.update(key), cipher.final())
}

/** Makes an ephemeral key and agrees on a secret by it. Anew at each call. */
type Agreement = () => { readonly epk: object; readonly secret: Uint8Array }

/** By identity, and as long as whoever holds the key: importing it costs as much as agreeing. */
const agreements = new WeakMap<PublicJwk, Agreement>()

function agreementWith(jwk: PublicJwk): Agreement {
  const known = agreements.get(jwk)
  if (known) return known
  checkRecipient(jwk)
  const agreement = jwk.crv === 'P-256' ? byP256(jwk) : byX25519(jwk)
  agreements.set(jwk, agreement)
  return agreement
}

function byX25519(jwk: PublicJwk): Agreement {
  const publicKey: KeyObject = createPublicKey({ key: publicJwkOf(jwk) as JsonWebKey, format: 'jwk' })
  return () => {
    const { publicKey: x, privateKey } = ephemeralX25519()
    // Of a public key of small order OpenSSL makes no secret, and throws.
    return { epk: { crv: 'X25519', kty: 'OKP', x }, secret: diffieHellman({ privateKey, publicKey }) }
  }
}

/**
 * The public key is written where it is made. To export it afterwards stops the process for good, once in a hundred thousand wraps: Node 20 holds the
 * key's lock meanwhile, and when the collector comes by just then, it takes what made the pair away, which waits for the same lock.
 */
function ephemeralX25519(): { readonly publicKey: string; readonly privateKey: KeyObject } {
  const generate = generateKeyPairSync as unknown as (type: 'x25519', options: object) => Generated
  const { publicKey, privateKey } = generate('x25519', { publicKeyEncoding: { format: 'jwk' } })
  return { publicKey: publicKey.x, privateKey }
}

interface Generated {
  readonly publicKey: { readonly x: string }
  readonly privateKey: KeyObject
}

function byP256({ x, y }: PublicJwk & { readonly crv: 'P-256' }): Agreement {
  const point = concatBytes(UNCOMPRESSED, fromBase64url(x), fromBase64url(y))
  return () => {
    const ephemeral = createECDH('prime256v1')
    const own = ephemeral.generateKeys()
    const epk = { crv: 'P-256', kty: 'EC', x: base64url(own.subarray(1, 33)), y: base64url(own.subarray(33)) }
    // Checks that the point is on the curve.
    return { epk, secret: ephemeral.computeSecret(point) }
  }
}

const UNCOMPRESSED = Uint8Array.of(4)
const RFC3394_IV = new Uint8Array(8).fill(0xa6)
const NOTHING = new Uint8Array()

function prefixed(bytes: Uint8Array): Uint8Array {
  return concatBytes(u32(bytes.length), bytes)
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value)
  return bytes
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64url')
}
