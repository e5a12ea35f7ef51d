/**
 * Which public keys are points worth computing with, for the curves whose libraries do not all check it by themselves.
 *
 * @module
 */

/** Whether (x, y), big-endian, is on P-256: y² = x³ − 3x + b. The group has prime order, so there is nothing else to check. */
export function isOnP256(x: Uint8Array, y: Uint8Array): boolean {
  const [a, b] = [bigEndian(x), bigEndian(y)]
  // Both must be reduced: x and x + p are one point with two names.
  return a < P256_PRIME && b < P256_PRIME && (b * b - (a * a * a - 3n * a + P256_B)) % P256_PRIME === 0n
}

/**
 * Whether u, little-endian, is a canonical X25519 public key that does not force the shared secret to a constant:
 * not one of the points of small order (RFC 7748 §6.1, on the curve or its twist).
 */
export function isStrongX25519Key(u: Uint8Array): boolean {
  const value = bigEndian(u.slice().reverse())
  return value < X25519_PRIME && !X25519_SMALL_ORDER.includes(value)
}

const P256_PRIME = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn
const P256_B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn

const X25519_PRIME = 2n ** 255n - 19n
const X25519_SMALL_ORDER = [
  0n,
  1n,
  X25519_PRIME - 1n,
  325606250916557431795983626356110631294008115727848805560023387167927233504n, // order 8
  39382357235489614581723060781553021112529911719440698176882885853963445705823n, // order 8
]

function bigEndian(bytes: Uint8Array): bigint {
  let value = 0n
  for (const byte of bytes) value = value * 256n + BigInt(byte)
  return value
}
