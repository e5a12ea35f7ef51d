import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  assertBytes,
  compareBytes,
  concatBytes,
  equalBytes,
  equalSecretBytes,
  fromBase64,
  fromBase64url,
  fromHex,
  fromUtf8,
  toBase64,
  toBase64url,
  toHex,
  utf8,
} from '../../merkle/bytes.ts'

const malformed = { name: 'EvidenceError', code: 'malformed_encoding' }

describe('text encodings of bytes', () => {
  it('remembers the text of a hash and not of its neighbour, nor of what the array held before', () => {
    const hash = new Uint8Array(32).fill(7)
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
    for (let at = 0; at < 32; at++) {
      const neighbour = hash.slice()
      neighbour[at]! ^= 0x80
      for (const bytes of [hash, neighbour, hash, hash, neighbour]) assert.equal(toHex(bytes), hex(bytes))
      neighbour[at]! ^= 1
      assert.equal(toHex(neighbour), hex(neighbour))
    }
  })

  it('come back as they went, and agree with Node', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        assert.equal(toHex(bytes), Buffer.from(bytes).toString('hex'))
        assert.equal(toBase64(bytes), Buffer.from(bytes).toString('base64'))
        assert.equal(toBase64url(bytes), Buffer.from(bytes).toString('base64url'))
        assert.deepEqual(fromHex(toHex(bytes)), bytes)
        assert.deepEqual(fromBase64(toBase64(bytes)), bytes)
        assert.deepEqual(fromBase64url(toBase64url(bytes)), bytes)
      }),
    )
  })

  it('encode a megabyte without overflowing the stack', () => {
    const bytes = new Uint8Array(1 << 20).fill(0xa5)
    assert.equal(fromBase64(toBase64(bytes)).length, bytes.length)
  })

  it('agree with Node on both sides of the length that is written at once', () => {
    for (const length of [3071, 3072, 3073, 3074, 6143, 6144, 6145]) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 167) ^ (i >> 4))
      assert.equal(toBase64(bytes), Buffer.from(bytes).toString('base64'))
      assert.equal(toBase64url(bytes), Buffer.from(bytes).toString('base64url'))
    }
  })

  it('take one text for each byte string, whatever else decodes to the same bytes (malformed_encoding)', () => {
    for (const text of ['0', 'AB', '0g', ' 00', '00\n', '0x00']) assert.throws(() => fromHex(text), malformed, text)
    for (const text of ['AA', 'AA=', 'AB==', 'A A=', 'AA==\n', ' AA==', 'AA==AA==', '_-A=', 'é', 'AAA', '====']) {
      assert.throws(() => fromBase64(text), malformed, text)
    }
    for (const text of ['AA==', 'AB', 'A', 'A+A', 'AA ', 'AAA\n', 'A/'])
      assert.throws(() => fromBase64url(text), malformed, text)
  })

  it('take UTF-8 that is well formed, and keep a byte-order mark', () => {
    assert.equal(fromUtf8(utf8('— ﻿ø')), '— ﻿ø')
    assert.deepEqual([...utf8(fromUtf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61)))], [0xef, 0xbb, 0xbf, 0x61])
    for (const bytes of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xe2, 0x80], [0xf4, 0x90, 0x80, 0x80]]) {
      assert.throws(() => fromUtf8(Uint8Array.from(bytes)), malformed)
    }
  })
})

describe('comparing and joining bytes', () => {
  it('agrees with Node for all pairs', () => {
    const some = fc.uint8Array({ maxLength: 4, max: 3 })
    fc.assert(
      fc.property(some, some, (a, b) => {
        assert.equal(equalBytes(a, b), Buffer.compare(a, b) === 0)
        assert.equal(equalSecretBytes(a, b), Buffer.compare(a, b) === 0)
        assert.equal(Math.sign(compareBytes(a, b)), Buffer.compare(a, b))
        assert.deepEqual(concatBytes(a, b, a), new Uint8Array(Buffer.concat([a, b, a])))
      }),
    )
  })

  it('asserts type and length of bytes by title', () => {
    assertBytes(new Uint8Array(3), 3, 'a key')
    assertBytes(new Uint8Array(3), undefined, 'a key')
    assert.throws(() => assertBytes([1, 2, 3], 3, 'a key'), TypeError)
    assert.throws(() => assertBytes(new Uint8Array(2), 3, 'a key'), RangeError)
  })
})
