/**
 * Public keys, in the two dresses the standards give them, and the name that is the same in both:
 *
 *     JWK (RFC 7517)   {"kty":"EC","crv":"P-256","x":…,"y":…}      files, HTTP, trust configuration
 *     COSE_Key         {1: 2, 2: kid, 3: -7, -1: 1, -2: x, -3: y}  statements, /.well-known/scitt-keys
 *     kid              base64url(SHA-256 of COSE's required members), 43 characters (RFC 9679)
 *
 * Three kinds are ours: P-256 and Ed25519 sign; P-256 and X25519 receive wrapped keys. Keys are checked on the way in
 * (on the curve, not of small order, one encoding), so that past this file a key is a sound key. What others sign with besides is
 * read by `verification-jwk.ts`; it is named here in the same ways.
 *
 * @module
 */
import { isStrongEd25519Key } from '#ed25519'
import { fromBase64url, toBase64url, utf8 } from '../merkle/bytes.ts'
import { type Hash, sha256 } from '../merkle/hash.ts'
import type { SigningAlgorithm } from './algorithm.ts'
import { asArray, asBytes, asInt, asMap, type CborMap, type CborValue, decodeCbor, encodeCbor } from './cbor.ts'
import { StatementError } from './error.ts'
import { isOnCurve, isStrongX25519Key } from './point.ts'

export type { SigningAlgorithm } from './algorithm.ts'

export interface EcPublicJwk {
  readonly kty: 'EC'
  readonly crv: 'P-256'
  /** 32 bytes, base64url, as are `y` and `d`. */
  readonly x: string
  readonly y: string
  readonly alg?: 'ES256' | 'ESP256' | 'ECDH-ES+A256KW'
}

export interface OkpPublicJwk {
  readonly kty: 'OKP'
  readonly crv: 'Ed25519' | 'X25519'
  readonly x: string
  readonly alg?: 'EdDSA' | 'Ed25519' | 'ECDH-ES+A256KW'
}

export type PublicJwk = EcPublicJwk | OkpPublicJwk
export type PrivateJwk = PublicJwk & { readonly d: string }

/** Keys of others. */
export interface WideEcJwk {
  readonly kty: 'EC'
  readonly crv: 'P-384' | 'P-521'
  /** 48 or 66 bytes, base64url, as is `y`. */
  readonly x: string
  readonly y: string
  readonly alg?: 'ES384' | 'ES512'
}

export interface RsaJwk {
  readonly kty: 'RSA'
  /** 2048 to 8192 bits, base64url. */
  readonly n: string
  /** An odd number of 17 to 32 bits, base64url. */
  readonly e: string
  /** The one algorithm it is for; any of the six when absent. */
  readonly alg?: 'RS256' | 'RS384' | 'RS512' | 'PS256' | 'PS384' | 'PS512'
}

/** What signatures of others are verified with: keys of our kinds, and those that only others have. */
export type VerificationJwk = PublicJwk | WideEcJwk | RsaJwk

/**
 * The key in `value`, with exactly the members above. `kid`, `use`, `key_ops` and `ext` may be there and are left out: names
 * are computed, and what a key may do is for policy to say. Anything else is refused, a private member above all.
 *
 * @throws {@link StatementError} `malformed_key`, `unsupported_key`, `weak_key`
 */
export function parsePublicJwk(value: unknown): PublicJwk {
  return parseJwk(value, false)
}

/**
 * As {@link parsePublicJwk}, with the private `d`. That `d` and the public members belong together is checked when the
 * key is imported for use.
 *
 * @throws {@link StatementError} `malformed_key`, `unsupported_key`, `weak_key`
 */
export function parsePrivateJwk(value: unknown): PrivateJwk {
  return parseJwk(value, true) as PrivateJwk
}

/** The public half. */
export function publicJwkOf<Jwk extends VerificationJwk>(jwk: Jwk): Jwk extends PublicJwk ? PublicJwk : Jwk {
  const { d: _private, ...rest } = jwk as { d?: unknown }
  return rest as ReturnType<typeof publicJwkOf<Jwk>>
}

/**
 * What the key signs with.
 *
 * @throws {@link StatementError} `unsupported_key` for a key that is there to receive wrapped keys
 */
export function signingAlgorithmOf(jwk: PublicJwk): SigningAlgorithm {
  if (jwk.alg === 'ECDH-ES+A256KW' || jwk.crv === 'X25519') {
    throw new StatementError('unsupported_key', 'this key is for encryption and cannot sign')
  }
  return jwk.crv === 'P-256' ? 'ES256' : 'Ed25519'
}

/** The COSE Key Thumbprint of RFC 9679 §3: SHA-256 over the deterministic encoding of the required members alone. */
export function coseKeyThumbprint(jwk: VerificationJwk): Hash {
  return sha256(encodeCbor(requiredMembers(jwk)))
}

/** {@link coseKeyThumbprint} as 43 base64url characters. As a `kid` header these are its ASCII bytes, so it is safe in a URL as it is. */
export function kidOf(jwk: VerificationJwk): string {
  const known = kids.get(jwk)
  if (known !== undefined) return known
  const kid = toBase64url(coseKeyThumbprint(jwk))
  kids.set(jwk, kid)
  return kid
}

/** By identity: whoever writes with a key names it in each record, and a JWK does not change. */
const kids = new WeakMap<VerificationJwk, string>()

/** The JWK Thumbprint of RFC 7638 with SHA-256, base64url: the name JOSE gives the same key (`cnf.jkt`, DPoP). */
export function jwkThumbprint(jwk: VerificationJwk): string {
  const known = thumbprints.get(jwk)
  if (known !== undefined) return known
  const thumbprint = toBase64url(sha256(utf8(JSON.stringify(requiredJwkMembers(jwk)))))
  thumbprints.set(jwk, thumbprint)
  return thumbprint
}

/** As {@link kids}. */
const thumbprints = new WeakMap<VerificationJwk, string>()

/** A COSE_Key (RFC 9052 §7), public members only. */
export function coseKeyOf(jwk: PublicJwk, kid?: string): CborMap {
  const key = new Map(requiredMembers(jwk))
  if (kid !== undefined) key.set(KID, utf8(kid))
  if (jwk.crv === 'Ed25519') key.set(ALG, -8)
  else if (jwk.crv === 'P-256' && jwk.alg !== 'ECDH-ES+A256KW') key.set(ALG, -7)
  return key
}

/**
 * The key of a COSE_Key map. Its own `kid` is not looked at: see {@link kidOf}.
 *
 * @throws {@link StatementError} `malformed_key`, `unsupported_key`, `weak_key`, `malformed_cbor` for members of wrong types
 */
export function jwkOfCoseKey(value: CborValue): PublicJwk {
  const key = asMap(value, 'a COSE_Key')
  if (key.has(D)) throw new StatementError('malformed_key', 'a private key where a public one belongs')
  const kind = KINDS.find(({ kty, crv }) => key.get(KTY) === kty && key.get(CRV) === crv)
  if (!kind) throw new StatementError('unsupported_key', 'a COSE_Key that is not P-256, Ed25519 or X25519')
  const alg = key.has(ALG) ? asInt(key.get(ALG), 'the algorithm of a COSE_Key') : undefined
  if (alg !== undefined && !kind.algs.includes(alg)) {
    throw new StatementError('unsupported_key', `a ${kind.jwk.crv} key for algorithm ${alg}`)
  }
  const x = toBase64url(asBytes(key.get(X), 'x of a COSE_Key', 32))
  // Point compression (a boolean y) exists in COSE and not in JWK; nobody publishes log keys so.
  const y = kind.kty === 2 ? { y: toBase64url(asBytes(key.get(Y), 'y of a COSE_Key', 32)) } : {}
  return parsePublicJwk({ ...kind.jwk, x, ...y })
}

/** A COSE_KeySet: what `/.well-known/scitt-keys` serves. Each key carries {@link kidOf} as its `kid`. */
export function encodeCoseKeySet(keys: readonly PublicJwk[]): Uint8Array {
  return encodeCbor(keys.map((key) => coseKeyOf(key, kidOf(key))))
}

/**
 * The keys in a COSE_KeySet that are of kinds known here; the others are left out, so that a service may publish them.
 *
 * @throws {@link StatementError} `malformed_cbor`, `malformed_key`, `weak_key`
 */
export function decodeCoseKeySet(bytes: Uint8Array): PublicJwk[] {
  const keys = asArray(decodeCbor(bytes, { sortedKeys: false }), 'a COSE_KeySet')
  return keys.flatMap((key) => {
    try {
      return [jwkOfCoseKey(key)]
    } catch (error) {
      if (error instanceof StatementError && error.code === 'unsupported_key') return []
      throw error
    }
  })
}

// Labels of RFC 9052 §7.1 and RFC 9053 §7.
const [KTY, KID, ALG, CRV, X, Y, D] = [1, 2, 3, -1, -2, -3, -4]

interface Kind {
  readonly kty: number
  readonly crv: number
  readonly algs: readonly number[]
  readonly jwk: { readonly kty: PublicJwk['kty']; readonly crv: PublicJwk['crv'] }
}

const KINDS: readonly Kind[] = [
  { kty: 2, crv: 1, algs: [-7, -9], jwk: { kty: 'EC', crv: 'P-256' } },
  { kty: 1, crv: 6, algs: [-8, -19], jwk: { kty: 'OKP', crv: 'Ed25519' } },
  { kty: 1, crv: 4, algs: [], jwk: { kty: 'OKP', crv: 'X25519' } },
]

const JWK_ALGORITHMS: Record<PublicJwk['crv'], readonly string[]> = {
  'P-256': ['ES256', 'ESP256', 'ECDH-ES+A256KW'],
  Ed25519: ['EdDSA', 'Ed25519'],
  X25519: ['ECDH-ES+A256KW'],
}

/** COSE's numbers of curves. */
const CURVES = { 'P-256': 1, 'P-384': 2, 'P-521': 3, X25519: 4, Ed25519: 6 }

function requiredMembers(jwk: VerificationJwk): Map<number, CborValue> {
  if (jwk.kty === 'RSA') {
    // RFC 8230 §4.
    return new Map<number, CborValue>([
      [KTY, 3],
      [-1, fromBase64url(jwk.n)],
      [-2, fromBase64url(jwk.e)],
    ])
  }
  const members = new Map<number, CborValue>([
    [KTY, jwk.kty === 'EC' ? 2 : 1],
    [CRV, CURVES[jwk.crv]],
    [X, fromBase64url(jwk.x)],
  ])
  if (jwk.kty === 'EC') members.set(Y, fromBase64url(jwk.y))
  return members
}

/** RFC 7638 §3.2, in its order. */
function requiredJwkMembers(jwk: VerificationJwk): object {
  const { kty } = jwk
  if (kty === 'RSA') return { e: jwk.e, kty, n: jwk.n }
  return kty === 'EC' ? { crv: jwk.crv, kty, x: jwk.x, y: jwk.y } : { crv: jwk.crv, kty, x: jwk.x }
}

function parseJwk(value: unknown, isPrivate: boolean): PublicJwk | PrivateJwk {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new StatementError('malformed_key', 'a JWK must be an object')
  }
  const { kid: _kid, use: _use, key_ops: _ops, ext: _ext, kty, crv, alg, ...numbers } = value as Record<string, unknown>
  const kind = KINDS.find(({ jwk }) => jwk.kty === kty && jwk.crv === crv)
  if (!kind) throw new StatementError('unsupported_key', 'a JWK that is not P-256, Ed25519 or X25519')
  const { jwk } = kind
  if (alg !== undefined && !(typeof alg === 'string' && JWK_ALGORITHMS[jwk.crv].includes(alg))) {
    throw new StatementError('unsupported_key', `a ${jwk.crv} key for another algorithm`)
  }

  const names = ['x', ...(jwk.kty === 'EC' ? ['y'] : []), ...(isPrivate ? ['d'] : [])]
  // No value is quoted in these messages: one of them may be a private key.
  const unexpected = Object.keys(numbers).find((name) => !names.includes(name))
  if (unexpected === 'd') throw new StatementError('malformed_key', 'a private key, where the public one belongs')
  if (unexpected !== undefined) throw new StatementError('malformed_key', `a JWK with ${JSON.stringify(unexpected)}`)
  const [x, y] = names.map((name) => coordinate(numbers[name], name))
  const strong =
    jwk.crv === 'P-256'
      ? isOnCurve(jwk.crv, x!, y!)
      : jwk.crv === 'Ed25519'
        ? isStrongEd25519Key(x!)
        : isStrongX25519Key(x!)
  if (!strong) throw new StatementError('weak_key', `not a sound ${jwk.crv} public key`)
  return { ...jwk, ...numbers, ...(alg === undefined ? {} : { alg }) } as PublicJwk | PrivateJwk
}

function coordinate(value: unknown, name: string): Uint8Array {
  try {
    const bytes = fromBase64url(value as string)
    if (bytes.length === 32) return bytes
  } catch {
    // The reason would quote nothing useful, and naming the member is enough.
  }
  throw new StatementError('malformed_key', `${name} of a JWK must be 32 bytes of canonical base64url`)
}
