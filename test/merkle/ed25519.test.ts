import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { ed25519 as noble } from '@noble/curves/ed25519.js'
import fc from 'fast-check'
import { concatBytes, fromHex } from '../../merkle/bytes.ts'
import * as native from '../../merkle/ed25519.node.ts'
import * as portable from '../../merkle/ed25519.ts'
import { isStrictEd25519 } from '../../merkle/ed25519-encoding.ts'
import { libsodium } from '../../merkle/libsodium.node.ts'

const seed = Uint8Array.from({ length: 32 }, (_, i) => i)
const message = new TextEncoder().encode('a checkpoint')
const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 })
const L = 2n ** 252n + 27742317777372353535851937790883648493n

const toNumber = (bytes: Uint8Array) => bytes.reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n)
const toBytes = (number: bigint) => Uint8Array.from({ length: 32 }, (_, i) => Number((number >> BigInt(8 * i)) & 255n))

/** The eight points of small order, and the non-canonical encodings of them and of y = 2²⁵⁵ − 1 and the like. */
const smallOrder = [
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0000000000000000000000000000000000000000000000000000000000000080',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
].map(fromHex)
const nonCanonical = [
  '0100000000000000000000000000000000000000000000000000000000000080', // y = 1 with a sign that x = 0 cannot have
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f', // y = p
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
  'f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f', // y = p + 3, whose canonical form is a good point
  'ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
].map(fromHex)

/** As threads that check many ask it. */
const libsodiumVerify = (publicKey: Uint8Array, text: Uint8Array, signature: Uint8Array) =>
  isStrictEd25519(publicKey, signature) && libsodium()!(publicKey, text, signature)
const skip = libsodium() === undefined && 'sodium-native is not installed, or does not run here'

for (const [name, build, options] of [
  ['native build', native, {}],
  ['portable build', portable, {}],
  ['by libsodium', { ...native, ed25519Verify: libsodiumVerify }, { skip }],
] as const) {
  const { ed25519PublicKey, ed25519Sign, ed25519Verify, isStrongEd25519Key } = build
  describe(`Ed25519, ${name}`, options, () => {
    const publicKey = ed25519PublicKey(seed)
    const signature = ed25519Sign(seed, message)

    it('signs as RFC 8032 §7.1 test 2 does', () => {
      const secret = fromHex('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb')
      const expected =
        '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00'
      assert.deepEqual(
        ed25519PublicKey(secret),
        fromHex('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c'),
      )
      assert.deepEqual(ed25519Sign(secret, Uint8Array.of(0x72)), fromHex(expected))
    })

    it('accepts what it signed, and refuses it after any bit of key, message or signature changes', () => {
      assert.equal(ed25519Verify(publicKey, message, signature), true)
      const flipped = (bytes: Uint8Array, bit: number) => bytes.with(bit >> 3, bytes[bit >> 3]! ^ (1 << (bit & 7)))
      for (let bit = 0; bit < 512; bit += 7)
        assert.equal(ed25519Verify(publicKey, message, flipped(signature, bit)), false)
      for (let bit = 0; bit < 256; bit += 5)
        assert.equal(ed25519Verify(flipped(publicKey, bit), message, signature), false)
      for (let bit = 0; bit < 96; bit++) assert.equal(ed25519Verify(publicKey, flipped(message, bit), signature), false)
    })

    it('refuses S + L, a second signature of the same message (malleability)', () => {
      const s = toNumber(signature.slice(32))
      const malleated = concatBytes(signature.slice(0, 32), toBytes(s + L))
      assert.equal(ed25519Verify(publicKey, message, malleated), false)
    })

    it('refuses a signature that anybody can make for a key of small order', () => {
      const forged = concatBytes(smallOrder[0]!, new Uint8Array(32))
      for (const key of [...smallOrder, ...nonCanonical]) assert.equal(ed25519Verify(key, message, forged), false)
    })

    it('refuses wrong lengths without throwing, and wrong seeds by throwing', () => {
      assert.equal(ed25519Verify(publicKey.slice(1), message, signature), false)
      assert.equal(ed25519Verify(publicKey, message, signature.slice(1)), false)
      assert.equal(ed25519Verify(publicKey, message, concatBytes(signature, Uint8Array.of(0))), false)
      assert.equal(ed25519Verify(new Uint8Array(0), message, new Uint8Array(0)), false)
      assert.throws(() => ed25519Sign(seed.slice(1), message), RangeError)
      assert.throws(() => ed25519PublicKey(new Uint8Array(33)), RangeError)
    })

    it('does not remember a key that its owner overwrites', () => {
      const [mine, theirs] = [seed.slice(), ed25519PublicKey(seed)]
      assert.equal(ed25519Verify(theirs, message, ed25519Sign(mine, message)), true)
      mine.fill(3)
      theirs.set(ed25519PublicKey(mine))
      assert.equal(ed25519Verify(theirs, message, signature), false)
      assert.equal(ed25519Verify(theirs, message, ed25519Sign(mine, message)), true)
    })

    it('returns plain arrays that nobody else holds', () => {
      for (const bytes of [ed25519PublicKey(seed), ed25519Sign(seed, message)]) {
        assert.equal(Object.getPrototypeOf(bytes), Uint8Array.prototype)
        assert.equal(bytes.buffer.byteLength, bytes.length)
      }
    })

    it('knows strong keys: not of small order, canonical, on the curve', () => {
      assert.equal(isStrongEd25519Key(publicKey), true)
      for (const key of [...smallOrder, ...nonCanonical]) assert.equal(isStrongEd25519Key(key), false)
      assert.equal(isStrongEd25519Key(publicKey.slice(1)), false)
      // Half of all y are of no point: the oracle says which.
      for (let y = 2; y < 60; y++) {
        const key = toBytes(BigInt(y))
        assert.equal(isStrongEd25519Key(key), noble.utils.isValidPublicKey(key, false), `y = ${y}`)
      }
    })
  })
}

describe('the builds of Ed25519', () => {
  it('derive the same keys and signatures, as @noble/curves does', () => {
    fc.assert(
      fc.property(bytes32, fc.uint8Array({ maxLength: 200 }), (secret, text) => {
        assert.deepEqual(native.ed25519PublicKey(secret), portable.ed25519PublicKey(secret))
        assert.deepEqual(native.ed25519Sign(secret, text), portable.ed25519Sign(secret, text))
        assert.deepEqual(native.ed25519Sign(secret, text), noble.sign(text, secret))
      }),
      { numRuns: 10 },
    )
  })

  it('give one verdict on anything', () => {
    const key = native.ed25519PublicKey(seed)
    const signature = native.ed25519Sign(seed, message)
    const keys = fc.oneof(bytes32, fc.constantFrom(key, ...smallOrder, ...nonCanonical))
    const halves = fc.oneof(bytes32, fc.constantFrom(signature.slice(0, 32), ...smallOrder, ...nonCanonical))
    const scalars = fc.oneof(
      bytes32,
      fc.constantFrom(signature.slice(32), toBytes(0n), toBytes(L - 1n), toBytes(L), toBytes(2n ** 256n - 1n)),
    )
    fc.assert(
      fc.property(keys, halves, scalars, (A, R, S) => {
        const verdict = native.ed25519Verify(A, message, concatBytes(R, S))
        assert.equal(portable.ed25519Verify(A, message, concatBytes(R, S)), verdict)
        if (!skip) assert.equal(libsodiumVerify(A, message, concatBytes(R, S)), verdict)
        assert.equal(noble.verify(concatBytes(R, S), message, A, { zip215: false }) || !verdict, true)
      }),
      { numRuns: 100 },
    )
  })

  it('compare R without the cofactor: of what the holder of a key can make with points of small order, all take the same', () => {
    const { Point } = noble
    const order8 = Point.fromBytes(smallOrder[6]!)
    const verdicts = new Set<string>()
    for (let i = 0; i < 64; i++) {
      const [a, r] = [BigInt(1000 + i), BigInt(2000 + i)]
      const A = Point.BASE.multiply(a)
        .add(multiple(order8, i % 8))
        .toBytes()
      const R = Point.BASE.multiply(r)
        .add(multiple(order8, i >> 3))
        .toBytes()
      const k = toNumber(new Uint8Array(createHash('sha512').update(R).update(A).update(message).digest())) % L
      const signature = concatBytes(R, toBytes((r + k * a) % L))
      const verdict = native.ed25519Verify(A, message, signature)
      assert.equal(portable.ed25519Verify(A, message, signature), verdict)
      if (!skip) assert.equal(libsodiumVerify(A, message, signature), verdict)
      // With the cofactor every one of them holds.
      assert.equal(noble.verify(signature, message, A, { zip215: true }), true)
      verdicts.add(`${verdict}, R ${i >> 3 === 0 ? 'clean' : 'mixed'}`)
    }
    assert.deepEqual([...verdicts].sort(), ['false, R clean', 'false, R mixed', 'true, R clean', 'true, R mixed'])
  })
})

describe('libsodium', { skip }, () => {
  it('says nothing of memory that threads share, which is an error and no refusal', () => {
    const [key, signature] = [native.ed25519PublicKey(seed), native.ed25519Sign(seed, message)]
    const shared = new Uint8Array(new SharedArrayBuffer(message.length))
    shared.set(message)
    assert.throws(() => libsodium()!(key, shared, signature), TypeError)
  })
})

function multiple(point: InstanceType<typeof noble.Point>, times: number): InstanceType<typeof noble.Point> {
  return Array.from({ length: times }, () => point).reduce((sum, each) => sum.add(each), noble.Point.ZERO)
}
