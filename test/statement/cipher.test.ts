import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as native from '../../statement/cipher.node.ts'
import * as portable from '../../statement/cipher.ts'
import { flipped, hex, utf8 } from './fixtures.ts'

const builds = [
  ['native', native, portable],
  ['portable', portable, native],
] as const
const key = new Uint8Array(32).fill(7)
const aad = utf8('what it is bound to')

describe('hkdfSha256', () => {
  // RFC 5869 appendix A.1.
  const [ikm, salt, info] = [hex('0b'.repeat(22)), hex('000102030405060708090a0b0c'), hex('f0f1f2f3f4f5f6f7f8f9')]
  const okm = '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865'
  for (const [name, build] of builds) {
    it(`gives what RFC 5869 prints (${name})`, () => {
      assert.deepEqual(build.hkdfSha256(ikm, salt, info, 42), hex(okm))
    })
  }
})

describe('encryptOnce and decryptOnce', () => {
  it('are AES-256-GCM: the tag of nothing under a key of zeros, as McGrew and Viega have it in test case 13', async () => {
    for (const [, build] of builds) {
      const tag = await build.encryptOnce(new Uint8Array(32), new Uint8Array(), new Uint8Array())
      assert.deepEqual(tag, hex('530f8afbc74536b9a963b4f1c4cb738b'))
    }
  })

  for (const [name, build, other] of builds) {
    it(`what ${name} encrypts, the other build decrypts`, async () => {
      for (const length of [0, 1, 15, 16, 17, 1000, 70_000]) {
        const plaintext = new Uint8Array(length).fill(length)
        const ciphertext = await build.encryptOnce(key, aad, plaintext)
        assert.equal(ciphertext.length, length + build.TAG_LENGTH)
        assert.deepEqual(await other.decryptOnce(key, aad, ciphertext), plaintext)
      }
    })

    it(`nothing that was changed or cut off comes out (${name})`, async () => {
      const ciphertext = await build.encryptOnce(key, aad, utf8('secret'))
      const changed = Array.from(ciphertext, (_, at) => flipped(ciphertext, at))
      assert.equal(changed.length, 22)
      const cut = [0, 1, 15, 16, 21].map((length) => ciphertext.subarray(0, length))
      // A tag of 4 bytes is one in four milliards; Node takes shorter ones when nobody says how long they are.
      const shortTag = ciphertext.subarray(0, ciphertext.length - 12)
      for (const lie of [...changed, ...cut, shortTag]) assert.equal(await build.decryptOnce(key, aad, lie), undefined)
      assert.equal(await build.decryptOnce(flipped(key, 0), aad, ciphertext), undefined)
      assert.equal(await build.decryptOnce(key, flipped(aad, 0), ciphertext), undefined)
    })
  }
})
