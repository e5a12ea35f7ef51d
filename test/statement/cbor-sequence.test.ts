import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { encodeCbor } from '../../statement/cbor.ts'
import { encodeCborSequence, splitByteStrings, splitCborSequence } from '../../statement/cbor-sequence.ts'
import { hex } from './fixtures.ts'

const contents = [0, 1, 23, 24, 255, 256, 65_535, 65_536].map((length) => new Uint8Array(length).fill(length))

describe('a sequence', () => {
  it('of byte strings gives back their contents, as views', () => {
    const sequence = encodeCborSequence(contents)
    const split = splitByteStrings(sequence, contents.length)
    assert.deepEqual(split, contents)
    for (const content of split) assert.equal(content.buffer, sequence.buffer)
  })

  it('of anything gives back its items as they were', () => {
    const items = [1, 'two', Uint8Array.of(3), new Map([['four', 5]]), [6, [7]], null]
    assert.deepEqual(splitCborSequence(encodeCborSequence(items), 6), items.map(encodeCbor))
  })

  it('may be empty', () => {
    assert.deepEqual(splitByteStrings(new Uint8Array(), 1), [])
    assert.deepEqual(splitCborSequence(new Uint8Array(), 1), [])
  })

  const refused: readonly (readonly [what: string, bytes: string])[] = [
    ['a length past the end', '43 01 02'],
    ['a length past the end, after a good item', '41 01 58 ff 00'],
    ['a length of 2⁵³ and nothing behind it', '5b 0020000000000000'],
    ['a length of 4 GiB and nothing behind it', '5a ffffffff'],
    ['a head cut short', '59 01'],
    ['a length that is longer than it need be', '58 01 00'],
    ['an indefinite length', '5f 41 00 ff'],
    ['a reserved head', '5c'],
    ['a break', 'ff'],
    ['a break after a good item', '41 01 ff'],
  ]
  for (const [what, bytes] of refused) {
    it(`with ${what} is refused (malformed_cbor)`, () => {
      assert.throws(() => splitByteStrings(hex(bytes), 10), { code: 'malformed_cbor' })
      assert.throws(() => splitCborSequence(hex(bytes), 10), { code: 'malformed_cbor' })
    })
  }

  for (const [what, bytes] of [
    ['text', '61 61'],
    ['an integer', '41 01 00'],
    ['an array of a byte string', '81 41 01'],
    ['a tagged byte string', 'c2 41 01'],
    ['a map', 'a0'],
    ['null', 'f6'],
  ] as const) {
    it(`with ${what} where a byte string should be is refused (malformed_cbor)`, () => {
      assert.throws(() => splitByteStrings(hex(bytes), 10), { code: 'malformed_cbor' })
    })
  }

  it('of more items than are wanted is refused (too_large), and what follows is not looked at', () => {
    const sequence = encodeCborSequence([Uint8Array.of(1), Uint8Array.of(2)])
    assert.equal(splitByteStrings(sequence, 2).length, 2)
    assert.throws(() => splitByteStrings(sequence, 1), { code: 'too_large' })
    assert.throws(() => splitCborSequence(sequence, 1), { code: 'too_large' })
    assert.throws(() => splitByteStrings(hex('41 01 ff'), 1), { code: 'too_large' })
  })
})
