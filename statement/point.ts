/**
 * Which public keys are points worth computing with, for the curves whose libraries do not all check it by themselves.
 *
 * @module
 */
import { toHex } from '../merkle/bytes.ts'

/** Bytes of a coordinate. */
export const COORDINATE_LENGTH = { 'P-256': 32, 'P-384': 48, 'P-521': 66 }

export type Curve = keyof typeof COORDINATE_LENGTH

/** Whether (x, y), big-endian, is on a curve of NIST: y² = x³ − 3x + b. Their groups have prime order, so there is nothing else to check. */
export function isOnCurve(curve: Curve, x: Uint8Array, y: Uint8Array): boolean {
  const { prime, b } = CURVES[curve]
  const [u, v] = [bigEndian(x), bigEndian(y)]
  // Both must be reduced: x and x + p are one point with two names.
  return u < prime && v < prime && (v * v - (u * u * u - 3n * u + b)) % prime === 0n
}

/**
 * Whether u, little-endian, is a canonical X25519 public key that does not force the shared secret to a constant:
 * not one of the points of small order (RFC 7748 §6.1, on the curve or its twist).
 */
export function isStrongX25519Key(u: Uint8Array): boolean {
  const value = bigEndian(u.slice().reverse())
  return value < X25519_PRIME && !X25519_SMALL_ORDER.includes(value)
}

/** SP 800-186 §3.2.1. */
const CURVES: Record<Curve, { readonly prime: bigint; readonly b: bigint }> = {
  'P-256': {
    prime: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
    b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
  },
  'P-384': {
    prime: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
    b: 0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aefn,
  },
  'P-521': {
    prime: 2n ** 521n - 1n,
    b: 0x0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00n,
  },
}

const X25519_PRIME = 2n ** 255n - 19n
const X25519_SMALL_ORDER = [
  0n,
  1n,
  X25519_PRIME - 1n,
  325606250916557431795983626356110631294008115727848805560023387167927233504n, // order 8
  39382357235489614581723060781553021112529911719440698176882885853963445705823n, // order 8
]

function bigEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${toHex(bytes) || '0'}`)
}
