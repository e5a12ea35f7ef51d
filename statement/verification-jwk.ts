/**
 * Public keys of others, which we verify with and never sign with: besides our own kinds P-384, P-521 and RSA.
 *
 *     {"kty":"EC","crv":"P-384","x":…,"y":…}     {"kty":"RSA","n":…,"e":"AQAB"}
 *
 * They come in SPIFFE bundles, certificates, `cnf.jwk` of tokens and keys of Verifiers. Such JWKs carry members that mean nothing to us,
 * and RFC 7517 §4 has them ignored; a private member is refused all the same. `cose-key.ts` has the kinds that records are signed
 * with, and the strict reader of those.
 *
 * @module
 */
import { fromBase64url } from '../merkle/bytes.ts'
import type { SignatureScheme, VerificationAlgorithm } from './algorithm.ts'
import { parsePublicJwk, type RsaJwk, type VerificationJwk, type WideEcJwk } from './cose-key.ts'
import { StatementError } from './error.ts'
import { COORDINATE_LENGTH, isOnCurve } from './point.ts'
import { isRocaModulus } from './roca.ts'

/**
 * Bits of an RSA modulus. Below, factoring is within reach of states (NIST SP 800-131A); above, one verification with a key that
 * an attacker chose costs milliseconds.
 */
const RSA_BITS = { least: 2048, most: 8192 }

/**
 * The key in `value`, which must be one that verifies signatures.
 *
 * @throws {@link StatementError} `malformed_key`, `unsupported_key`, `weak_key`
 */
export function parseVerificationJwk(value: unknown): VerificationJwk {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new StatementError('malformed_key', 'a JWK must be an object')
  }
  const members = value as Record<string, unknown>
  const secret = PRIVATE_MEMBERS.find((name) => Object.hasOwn(members, name))
  if (secret !== undefined)
    throw new StatementError(
      'malformed_key',
      `a private key, where the public one belongs: a JWK with ${JSON.stringify(secret)}`,
    )
  // RFC 7517 §4.2, §4.3: whose holder says that it is for something else did not say what was signed with it.
  if (members['use'] === 'enc') throw new StatementError('unsupported_key', 'this key is for encryption')
  const { key_ops: operations } = members
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) {
    throw new StatementError('unsupported_key', 'this key is not for verifying, by its key_ops')
  }
  const jwk = readMembers(members)
  algorithmsOf(jwk)
  return jwk
}

/**
 * What `jwk` verifies: by its curve; of RSA, by its `alg` or anything.
 *
 * @throws {@link StatementError} `unsupported_key` for a key that is there to receive wrapped keys
 */
export function algorithmsOf(jwk: VerificationJwk): readonly VerificationAlgorithm[] {
  if (jwk.alg === 'ECDH-ES+A256KW' || (jwk.kty === 'OKP' && jwk.crv === 'X25519')) {
    throw new StatementError('unsupported_key', 'this key is for encryption and cannot sign')
  }
  if (jwk.kty === 'OKP') return ['Ed25519']
  if (jwk.kty === 'EC') return [EC_ALGORITHM[jwk.crv]]
  return jwk.alg === undefined ? RSA_ALGORITHMS : [jwk.alg]
}

/**
 * The algorithm to use `jwk` with: `wanted`, or the only one there is.
 *
 * @throws {@link StatementError} `unsupported_key` when it cannot sign or leaves a choice, `algorithm_mismatch` when it is for another
 */
export function algorithmOfKey(jwk: VerificationJwk, wanted?: VerificationAlgorithm): VerificationAlgorithm {
  const possible = algorithmsOf(jwk)
  if (wanted !== undefined) {
    if (possible.includes(wanted)) return wanted
    throw new StatementError('algorithm_mismatch', `a key for ${possible.join(' or ')}, and not ${wanted}`)
  }
  if (possible.length > 1)
    throw new StatementError('unsupported_key', 'an RSA key that does not say for which algorithm')
  return possible[0]!
}

/** Whether a key is of the kind that `scheme` needs. X.509 lets any hash go with any curve; names of algorithms do not. */
export function fitsScheme(jwk: VerificationJwk, { kind }: SignatureScheme): boolean {
  if (jwk.kty === 'RSA') return kind === 'RSASSA-PKCS1-v1_5' || kind === 'RSA-PSS'
  if (jwk.kty === 'EC') return kind === 'ECDSA' && jwk.alg !== 'ECDH-ES+A256KW'
  return kind === 'Ed25519' && jwk.crv === 'Ed25519'
}

/** Bytes of a signature by `jwk`. */
export function signatureLength(jwk: VerificationJwk): number {
  if (jwk.kty === 'OKP') return 64
  return jwk.kty === 'EC' ? 2 * COORDINATE_LENGTH[jwk.crv] : fromBase64url(jwk.n).length
}

const EC_ALGORITHM = { 'P-256': 'ES256', 'P-384': 'ES384', 'P-521': 'ES512' } as const
const RSA_ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const
/** Characters; twice the longest modulus, so that one too long is told so. */
const MAX_NUMBER_LENGTH = 4096
const NOTHING = new Uint8Array()
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

function readMembers(members: Record<string, unknown>): VerificationJwk {
  const { kty, crv, x, y, n, e, alg } = members
  const named = alg === undefined ? {} : { alg }
  if (kty === 'RSA') return readRsa(n, e, alg)
  if (kty === 'EC' && (crv === 'P-384' || crv === 'P-521')) return readWideEc(crv, x, y, alg)
  return parsePublicJwk(kty === 'EC' ? { kty, crv, x, y, ...named } : { kty, crv, x, ...named })
}

function readWideEc(crv: WideEcJwk['crv'], x: unknown, y: unknown, alg: unknown): WideEcJwk {
  const natural = EC_ALGORITHM[crv]
  if (alg !== undefined && alg !== natural) {
    throw new StatementError('unsupported_key', `a ${crv} key for another algorithm`)
  }
  const [first, second] = [x, y].map((value, i) => {
    const bytes = readNumber(value, 'xy'[i]!)
    if (bytes.length === COORDINATE_LENGTH[crv]) return bytes
    throw new StatementError('malformed_key', `${'xy'[i]} of a ${crv} key must be ${COORDINATE_LENGTH[crv]} bytes`)
  })
  if (!isOnCurve(crv, first!, second!)) throw new StatementError('weak_key', `not a sound ${crv} public key`)
  return { kty: 'EC', crv, x: x as string, y: y as string, ...(alg === undefined ? {} : { alg: natural }) }
}

function readRsa(n: unknown, e: unknown, alg: unknown): RsaJwk {
  const algorithm = RSA_ALGORITHMS.find((name) => name === alg)
  if (alg !== undefined && !algorithm) throw new StatementError('unsupported_key', 'an RSA key for another algorithm')
  const [modulus, exponent] = [readNumber(n, 'n'), readNumber(e, 'e')]
  // RFC 7518 §6.3.1.1: as few bytes as it takes, so that one key has one name.
  if (modulus[0] === 0 || exponent[0] === 0)
    throw new StatementError('malformed_key', 'an RSA number with zeros in front')
  const bits = 8 * modulus.length - Math.clz32(modulus[0]!) + 24
  if (bits < RSA_BITS.least || bits > RSA_BITS.most) {
    throw new StatementError('weak_key', `an RSA key of ${bits} bits, and not ${RSA_BITS.least} to ${RSA_BITS.most}`)
  }
  // FIPS 186-5 §A.1.1 has 2¹⁶ < e and odd; browsers take 32 bits of it, and no honest key has more.
  const value = exponent.length > 4 ? 0 : exponent.reduce((sum, byte) => sum * 256 + byte, 0)
  if (value < 65_537 || value % 2 === 0 || modulus.at(-1)! % 2 === 0) {
    throw new StatementError('weak_key', 'an RSA key whose numbers are not those of one')
  }
  if (isRocaModulus(modulus))
    throw new StatementError('weak_key', 'an RSA key whose private one can be worked out (ROCA)')
  return { kty: 'RSA', n: n as string, e: e as string, ...(algorithm ? { alg: algorithm } : {}) }
}

function readNumber(value: unknown, name: string): Uint8Array {
  try {
    const bytes = typeof value === 'string' && value.length <= MAX_NUMBER_LENGTH ? fromBase64url(value) : NOTHING
    if (bytes.length > 0) return bytes
  } catch {
    // The reason would quote nothing useful, and naming the member is enough.
  }
  throw new StatementError('malformed_key', `${name} of a JWK must be a number in canonical base64url`)
}
