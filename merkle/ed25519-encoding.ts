/**
 * What both Ed25519 builds refuse before any curve arithmetic.
 *
 * RFC 8032 leaves room: one message can have several signatures that some libraries accept and others do not, and for a few
 * keys a signature can be made without a private key. In a log that is a way to show two parties two histories, so both builds
 * take exactly the signatures for which all of this holds:
 *
 * ```
 *   A   y < 2²⁵⁵ − 19, and not one of the 8 points of small order
 *   R   the same; what is compared is R's bytes, without the cofactor
 *   S   < L: adding the group order L gives a second signature of the same message (malleability)
 * ```
 *
 * @module
 */
import { toHex } from './bytes.ts'

/** The field prime. */
const p = 2n ** 255n - 19n
const fieldPrime = littleEndian(p)
/** L, the order of the base point. */
const groupOrder = littleEndian(2n ** 252n + 27742317777372353535851937790883648493n)

// The y coordinates of the eight points of small order: 1 (order 1), −1 (order 2), 0 (order 4), and two of order 8 that are
// each other's negative. Each stands for both signs of x; other encodings of them are not canonical.
const order8 = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n
const smallOrderY = [0n, 1n, p - 1n, order8, p - order8].map(littleEndian)
/** The top bit of an encoded point is the sign of x. */
const SIGN = 0x80

/** Whether a public key and a signature have the one form we accept. Says nothing of the signature itself. */
export function isStrictEd25519(publicKey: Uint8Array, signature: Uint8Array): boolean {
  return (
    signature.length === 64 &&
    publicKey.length === 32 &&
    isStrictPoint(publicKey) &&
    isStrictPoint(signature) &&
    isBelow(signature, 32, groupOrder)
  )
}

/**
 * Whether `publicKey` is worth trusting at all: 32 bytes, canonical, a point of the curve, not of small order.
 * Ask when a key is admitted; a verification with a key for which this is false is false as well.
 */
export function isStrongEd25519Key(publicKey: Uint8Array): boolean {
  return publicKey.length === 32 && isStrictPoint(publicKey) && isOnCurve(publicKey)
}

/** Of the first 32 bytes. Makes no copy: it is asked of every signature, and copies took longer than all else of it. */
function isStrictPoint(point: Uint8Array): boolean {
  return isBelow(point, 0, fieldPrime, SIGN) && !smallOrderY.some((weak) => isSameY(point, weak))
}

function isSameY(point: Uint8Array, y: Uint8Array): boolean {
  for (let i = 0; i < 31; i++) if (point[i] !== y[i]) return false
  return (point[31]! & ~SIGN) === y[31]
}

/** Whether x² = (y² − 1) / (d·y² + 1) has a solution, by Euler's criterion: half a millisecond, so what was found of a key is kept. */
function isOnCurve(point: Uint8Array): boolean {
  const name = toHex(point)
  if (onCurve.has(name)) return true
  if (!solvable(point)) return false
  if (onCurve.size === MAX_KNOWN) onCurve.delete(onCurve.values().next().value!)
  onCurve.add(name)
  return true
}

/** Keys of logs, witnesses and signers come back in every bundle, policy and trust file. Those that are no points fill nothing. */
const onCurve = new Set<string>()
const MAX_KNOWN = 1024

function solvable(point: Uint8Array): boolean {
  const d = 37095705934669439343138083508754565189542113879843219016388785533085940283555n
  let y = 0n
  for (let i = 31; i >= 0; i--) y = y * 256n + BigInt(i === 31 ? point[i]! & 0x7f : point[i]!)
  const y2 = (y * y) % p
  let base = ((y2 - 1n) * (d * y2 + 1n)) % p
  let power = 1n
  for (let exponent = (p - 1n) / 2n; exponent > 0n; exponent /= 2n) {
    if (exponent % 2n === 1n) power = (power * base) % p
    base = (base * base) % p
  }
  return power === 1n
}

/**
 * Compares two little-endian numbers of 32 bytes, the first of which begins at `at`. Signatures and keys are public: it need not take constant time.
 *
 * @param ignored - bits of its last byte
 */
function isBelow(bytes: Uint8Array, at: number, bound: Uint8Array, ignored = 0): boolean {
  const top = bytes[at + 31]! & ~ignored
  if (top !== bound[31]) return top < bound[31]!
  for (let i = 30; i >= 0; i--) if (bytes[at + i] !== bound[i]) return bytes[at + i]! < bound[i]!
  return false
}

function littleEndian(number: bigint): Uint8Array {
  const bytes = new Uint8Array(32)
  for (let i = 0; i < 32; i++) bytes[i] = Number((number / 256n ** BigInt(i)) % 256n)
  return bytes
}
