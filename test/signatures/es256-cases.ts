/**
 * ECDSA signatures over P-256 and SHA-256 that a careless verifier gets wrong, made by construction: for any R and s there is a key under
 * which they are a signature of the message, Q = r⁻¹(s·R − e·G).
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { p256, p384 } from '@noble/curves/nist.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { concatBytes } from '../../merkle/bytes.ts'
import { withOtherS } from '../../statement/ecdsa-malleability.ts'
import type { SignatureCase } from './ed25519-cases.ts'

const { Point } = p256
type Point = InstanceType<typeof Point>
const N = Point.Fn.ORDER
const P = Point.Fp.ORDER

export const secret = Uint8Array.from({ length: 32 }, (_, i) => 5 * i + 2)
const big = (number: bigint): Uint8Array => new Uint8Array(Buffer.from(number.toString(16).padStart(64, '0'), 'hex'))
const numberOf = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
const coordinates = (point: Point): Uint8Array => point.toBytes(false).slice(1)

/** x ‖ y */
export const publicKey = coordinates(Point.BASE.multiply(Point.Fn.fromBytes(secret)))

/** A point whose x is past the group order, one of about 2¹²⁸ among 2²⁵⁶: nobody meets one by chance. */
const beyond = (() => {
  for (let x = N; ; x++) {
    try {
      return { x, point: Point.fromBytes(concatBytes(Uint8Array.of(2), big(x))) }
    } catch {
      // Half of all x are of no point.
    }
  }
})()

export function es256Cases(message: Uint8Array): readonly SignatureCase[] {
  const honest = p256.sign(message, secret)
  const [r, s] = [honest.slice(0, 32), honest.slice(32)]
  const e = numberOf(createHash('sha256').update(message).digest()) % N
  const other = p256.sign(concatBytes(message, Uint8Array.of(0)), secret)
  const { Fn } = Point
  /** The key under which (R.x mod n, s) signs the message. */
  const keyFor = (R: Point, x: bigint, scalarS: bigint) => {
    const inverse = Fn.inv(x % N)
    const first = R.multiply(Fn.mul(scalarS, inverse))
    return coordinates(first.add(Point.BASE.multiply(Fn.mul(N - e, inverse))))
  }

  const cases: SignatureCase[] = []
  const accept = (what: string, signature: Uint8Array, key: Uint8Array = publicKey) =>
    cases.push({ what, key, signature, valid: true })
  const refuse = (what: string, signature: Uint8Array, key: Uint8Array = publicKey) =>
    cases.push({ what, key, signature, valid: false })

  accept('honest', honest)
  // Not issued by us, and others may: RFC 9053 §2.1 asks for neither.
  accept('with the other s', withOtherS(honest))
  for (const d of [1n, 2n, N - 1n])
    accept(
      `by the key d = ${d === N - 1n ? 'n − 1' : d}`,
      p256.sign(message, big(d)),
      coordinates(Point.BASE.multiply(d)),
    )
  const someR = Point.BASE.multiply(987_654_321n)
  const someX = someR.toAffine().x
  for (const [what, value] of [
    ['s = 1', 1n],
    ['s = n − 1', N - 1n],
    ['s = (n − 1) / 2', (N - 1n) / 2n],
    ['s = (n + 1) / 2', (N + 1n) / 2n],
  ] as const) {
    accept(what, concatBytes(big(someX % N), big(value)), keyFor(someR, someX, value))
  }
  const strange = keyFor(beyond.point, beyond.x, 7n)
  accept('with R.x past n, reduced', concatBytes(big(beyond.x - N), big(7n)), strange)
  refuse('with R.x past n, not reduced', concatBytes(big(beyond.x), big(7n)), strange)
  refuse('with s + n', concatBytes(big(beyond.x - N), big(7n + N)), strange)

  const edges = [
    ['0', 0n],
    ['1', 1n],
    ['n − 1', N - 1n],
    ['n', N],
    ['n + 1', N + 1n],
    ['p', P],
    ['p − n', P - N],
    ['2²⁵⁶ − 1', 2n ** 256n - 1n],
  ] as const
  for (const [what, value] of edges) {
    refuse(`r = ${what}`, concatBytes(big(value), s))
    refuse(`s = ${what}, under the honest key`, concatBytes(r, big(value)))
    for (const [whatElse, second] of edges) refuse(`r = ${what}, s = ${whatElse}`, concatBytes(big(value), big(second)))
  }
  refuse('−r', concatBytes(big(N - numberOf(r)), s))
  refuse('r and s exchanged', concatBytes(s, r))
  refuse('r in the other byte order', concatBytes(r.toReversed(), s))
  refuse('of another message', other)
  refuse('r of another message', concatBytes(other.slice(0, 32), s))
  refuse('cut short by one', honest.slice(0, 63))
  refuse('r alone', r)
  refuse('empty', new Uint8Array())
  refuse('one byte longer', concatBytes(honest, Uint8Array.of(0)))
  refuse('with a byte in front', concatBytes(Uint8Array.of(0), honest))
  refuse('with a zero before each number', concatBytes(Uint8Array.of(0), r, Uint8Array.of(0), s))
  refuse('in DER', p256.Signature.fromBytes(honest, 'compact').toBytes('der'))
  refuse(
    'in DER, filled up to 64 bytes',
    concatBytes(p256.Signature.fromBytes(honest, 'compact').toBytes('der'), new Uint8Array(64)).slice(0, 64),
  )
  refuse('over P-384', p384.sign(message, concatBytes(new Uint8Array(16), secret)))
  refuse('over secp256k1', secp256k1.sign(message, secret))
  refuse('of the hash, hashed again', p256.sign(new Uint8Array(createHash('sha256').update(message).digest()), secret))
  refuse(
    'of the message as if it were the hash',
    p256.sign(concatBytes(message, new Uint8Array(32)).slice(0, 32), secret, { prehash: false }),
  )
  refuse(
    'under the key with the other y',
    honest,
    coordinates(Point.fromAffine({ x: numberOf(publicKey.slice(0, 32)), y: numberOf(publicKey.slice(32)) }).negate()),
  )
  // u₁·G + u₂·Q is the point at infinity, which has no x to compare with r.
  for (const value of [1n, 12_345n, numberOf(r)]) {
    const key = coordinates(Point.BASE.multiply(Fn.mul(N - e, Fn.inv(value))))
    refuse('whose sum is the point at infinity', concatBytes(big(value), s), key)
  }
  for (const bit of [0, 7, 128, 255, 256, 263, 400, 504, 511]) {
    const flipped = honest.slice()
    flipped[bit >> 3]! ^= 1 << (bit & 7)
    refuse(`with bit ${bit} turned`, flipped)
  }
  return cases
}

/** What is no P-256 key, as x ‖ y. */
export const NO_KEYS: readonly (readonly [what: string, key: Uint8Array])[] = [
  ['the origin', new Uint8Array(64)],
  ['a point off the curve', concatBytes(publicKey.slice(0, 63), Uint8Array.of(publicKey[63]! ^ 1))],
  ['x and y exchanged', concatBytes(publicKey.slice(32), publicKey.slice(0, 32))],
  ['a point of secp256k1', secp256k1.getPublicKey(secret, false).slice(1)],
  ['x = p', concatBytes(big(P), publicKey.slice(32))],
  ['y = p', concatBytes(publicKey.slice(0, 32), big(P))],
  ['all ones', new Uint8Array(64).fill(0xff)],
  // On the curve, with a name that is not its canonical one: 5 is the x of a point, and 5 + p is below 2²⁵⁶.
  [
    'x that is not reduced',
    concatBytes(big(5n + P), coordinates(Point.fromBytes(concatBytes(Uint8Array.of(2), big(5n)))).slice(32)),
  ],
  ['31 bytes of x', concatBytes(publicKey.slice(1, 32), publicKey.slice(32))],
  ['a point of P-384', p384.getPublicKey(concatBytes(new Uint8Array(16), secret), false).slice(1)],
]
