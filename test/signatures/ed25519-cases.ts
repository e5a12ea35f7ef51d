/**
 * Ed25519 signatures over a given message that libraries disagree about, made by construction: with the private key at hand, every one of
 * them can be computed, and what it should come to follows from `merkle/ed25519-encoding.ts`.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { ed25519, ed25519ph } from '@noble/curves/ed25519.js'
import { concatBytes, fromHex } from '../../merkle/bytes.ts'

export interface SignatureCase {
  readonly what: string
  /** 32 bytes; for ES256 x ‖ y. */
  readonly key: Uint8Array
  readonly signature: Uint8Array
  readonly valid: boolean
  /** Other libraries may accept it: the cofactor, or forms that they do not look at. */
  readonly lenient?: true
}

const { Point } = ed25519
const L = Point.Fn.ORDER
const P = Point.Fp.ORDER

export const seed = Uint8Array.from({ length: 32 }, (_, i) => 3 * i + 1)
const { scalar, pointBytes: publicKey } = ed25519.utils.getExtendedPublicKey(seed)
const A = Point.fromBytes(publicKey)

export { publicKey }

const little = (number: bigint): Uint8Array =>
  Uint8Array.from({ length: 32 }, (_, i) => Number((number >> BigInt(8 * i)) & 255n))
const numberOf = (bytes: Uint8Array): bigint => bytes.reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n)

/** A point of order 8: what is left of a point of the whole curve once its part of prime order is taken away. */
const T8 = (() => {
  for (let y = 3; ; y++) {
    try {
      const torsion = Point.fromBytes(little(BigInt(y)))
        .multiplyUnsafe(L - 1n)
        .add(Point.fromBytes(little(BigInt(y))))
      if (!torsion.multiplyUnsafe(4n).equals(Point.ZERO)) return torsion
    } catch {
      // Half of all y are of no point.
    }
  }
})()
const torsion = Array.from({ length: 8 }, (_, i) => (i === 0 ? Point.ZERO : T8.multiplyUnsafe(BigInt(i))))

/** h of RFC 8032 §5.1.7. */
function challenge(R: Uint8Array, key: Uint8Array, message: Uint8Array): bigint {
  return numberOf(createHash('sha512').update(R).update(key).update(message).digest()) % L
}

export function ed25519Cases(message: Uint8Array): readonly SignatureCase[] {
  const honest = ed25519.sign(message, seed)
  const [R, S] = [honest.slice(0, 32), honest.slice(32)]
  const other = ed25519.sign(concatBytes(message, Uint8Array.of(0)), seed)
  const cases: SignatureCase[] = [{ what: 'honest', key: publicKey, signature: honest, valid: true }]
  const refuse = (what: string, signature: Uint8Array, key: Uint8Array = publicKey) =>
    cases.push({ what, key, signature, valid: false })
  const refuseWhatOthersMayTake = (what: string, signature: Uint8Array, key: Uint8Array = publicKey) =>
    cases.push({ what, key, signature, valid: false, lenient: true })

  for (let k = 1n; numberOf(S) + k * L < 2n ** 256n; k++)
    refuse(`S + ${k}L`, concatBytes(R, little(numberOf(S) + k * L)))
  for (const [what, s] of [
    ['S = 0', 0n],
    ['S = 1', 1n],
    ['S = L − 1', L - 1n],
    ['S = L', L],
    ['S = L + 1', L + 1n],
    ['S = 2²⁵² ', 2n ** 252n],
    ['S = 2²⁵⁶ − 1', 2n ** 256n - 1n],
    ['−S', L - numberOf(S)],
  ] as const) {
    refuse(what, concatBytes(R, little(s)))
  }
  refuse('S in the other byte order', concatBytes(R, S.toReversed()))
  refuse('S and R exchanged', concatBytes(S, R))
  refuse('−R', concatBytes(Point.fromBytes(R).negate().toBytes(), S))
  refuse('R of another message', concatBytes(other.slice(0, 32), S))
  refuse('S of another message', concatBytes(R, other.slice(32)))
  refuse('of another message', other)
  refuse('all zero', new Uint8Array(64))
  refuse('all ones', new Uint8Array(64).fill(0xff))
  refuse('cut short by one', honest.slice(0, 63))
  refuse('R alone', R)
  refuse('empty', new Uint8Array())
  refuse('one byte longer', concatBytes(honest, Uint8Array.of(0)))
  refuse('twice', concatBytes(honest, honest))
  refuse('with a byte in front', concatBytes(Uint8Array.of(0), honest))
  refuse('of the hash of the message (Ed25519ph)', ed25519ph.sign(message, seed))
  refuse('under the key with the other x', honest, A.negate().toBytes())
  refuse('under the seed as a key', honest, seed)
  refuse('under a key of 31 bytes', honest, publicKey.slice(1))
  refuse('under a key of 33 bytes', honest, concatBytes(publicKey, Uint8Array.of(0)))
  for (const bit of [0, 7, 128, 254, 255, 256, 263, 400, 503, 508, 511]) {
    const flipped = honest.slice()
    flipped[bit >> 3]! ^= 1 << (bit & 7)
    refuse(`with bit ${bit} turned`, flipped)
  }

  for (const [i, point] of torsion.entries()) {
    const bytes = point.toBytes()
    // For whoever has no private key: S·B = R + h·A holds up to the cofactor.
    refuseWhatOthersMayTake(`under torsion point ${i}, by nobody`, concatBytes(Point.BASE.toBytes(), little(1n)), bytes)
    refuseWhatOthersMayTake(`under torsion point ${i}, all zero`, concatBytes(Point.ZERO.toBytes(), little(0n)), bytes)
    // By the holder of the key, who could later say that anything was signed.
    const s = (challenge(bytes, publicKey, message) * scalar) % L
    refuseWhatOthersMayTake(`with R = torsion point ${i}`, concatBytes(bytes, little(s)))
  }
  for (const [what, encoding] of NON_CANONICAL) {
    refuseWhatOthersMayTake(`under ${what}`, concatBytes(Point.ZERO.toBytes(), little(0n)), encoding)
    const s = (challenge(encoding, publicKey, message) * scalar) % L
    refuseWhatOthersMayTake(`with R = ${what}`, concatBytes(encoding, little(s)))
  }

  // R with a part of small order: true times the cofactor, and false without it, which is how we compare.
  for (const i of [1, 2, 4]) {
    const mixedR = Point.BASE.multiply(12_345n).add(torsion[i]!).toBytes()
    const s = (12_345n + challenge(mixedR, publicKey, message) * scalar) % L
    refuseWhatOthersMayTake(`with a part of order ${8 / i} in R`, concatBytes(mixedR, little(s)))
  }
  // A key with one: the equation holds without the cofactor when the challenge takes that part away, and binds the signer still.
  const mixedA = A.add(T8).toBytes()
  for (let nonce = 1n, found = new Set<boolean>(); found.size < 2; nonce++) {
    const nonceBytes = Point.BASE.multiply(nonce).toBytes()
    const h = challenge(nonceBytes, mixedA, message)
    const valid = h % 8n === 0n
    if (found.has(valid)) continue
    found = new Set([...found, valid])
    const signature = concatBytes(nonceBytes, little((nonce + h * scalar) % L))
    const what = `under a key with a part of order 8, challenge ${valid ? '' : 'not '}a multiple of 8`
    cases.push({ what, key: mixedA, signature, valid, lenient: true })
  }
  return cases
}

/** Encodings of points that have another one, which is canonical (RFC 8032 §5.1.3 refuses them). */
const NON_CANONICAL: readonly (readonly [what: string, encoding: Uint8Array])[] = [
  ['y = p', little(P)],
  ['y = p + 1', little(P + 1n)],
  ['y = p + 3', little(P + 3n)],
  ['y = 2²⁵⁵ − 1', little(2n ** 255n - 1n)],
  ['y = p with a sign', little(P + 2n ** 255n)],
  ['the neutral element with a sign', fromHex('0100000000000000000000000000000000000000000000000000000000000080')],
  ['the point of order 2 with a sign', little(P - 1n + 2n ** 255n)],
]
