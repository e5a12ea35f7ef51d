import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { concatBytes, utf8 } from '../../merkle/bytes.ts'
import { decodeEntryBundle, encodeEntryBundle, hashEntryBundle } from '../../merkle/entry-bundle.ts'
import { MerkleError } from '../../merkle/error.ts'
import { leafOf } from './rfc-tree.ts'

const malformed = { name: 'EvidenceError', code: 'malformed_entry_bundle' }
const entries = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 256 })

describe('entry bundles', () => {
  it('are entries behind their lengths', () => {
    assert.deepEqual([...encodeEntryBundle([utf8('one'), utf8('')])], [0, 3, ...utf8('one'), 0, 0])
  })

  it('come back as they went, and hash to their leaves', () => {
    fc.assert(
      fc.property(entries, (some) => {
        const bundle = encodeEntryBundle(some)
        assert.deepEqual(decodeEntryBundle(bundle, some.length), some)
        assert.deepEqual(hashEntryBundle(bundle, some.length), concatBytes(...some.map(leafOf)))
        assert.deepEqual(bundle, encodeEntryBundle(some), 'hashing leaves the bundle as it was')
      }),
      { numRuns: 50 },
    )
  })

  it('take entries of up to 65,535 bytes', () => {
    const longest = new Uint8Array(0xffff).fill(7)
    assert.deepEqual(decodeEntryBundle(encodeEntryBundle([longest, longest]), 2), [longest, longest])
    assert.throws(() => encodeEntryBundle([new Uint8Array(0x10000)]), /invariant/)
  })

  const honest = encodeEntryBundle([utf8('one'), utf8('two'), utf8('three')])
  const refused: [what: string, bytes: Uint8Array, count: number][] = [
    ['an entry fewer than asked for', honest, 4],
    ['an entry more than asked for', honest, 2],
    ['a truncated entry', honest.slice(0, -1), 3],
    ['a truncated length', honest.slice(0, 11), 3],
    ['trailing bytes', concatBytes(honest, Uint8Array.of(0)), 3],
    ['a length that leads past the end', honest.with(0, 0xff), 3],
    ['bytes where there should be none', honest, 0],
  ]
  for (const [what, bytes, count] of refused) {
    it(`refuses ${what} (malformed_entry_bundle)`, () => {
      assert.throws(() => decodeEntryBundle(bytes, count), malformed)
      assert.throws(() => hashEntryBundle(bytes, count), malformed)
    })
  }

  it('are refused or decode to what encodes to them, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ max: 3, maxLength: 20 }), fc.nat({ max: 8 }), (bytes, count) => {
        try {
          assert.deepEqual(encodeEntryBundle(decodeEntryBundle(bytes, count)), bytes)
        } catch (error) {
          assert.ok(error instanceof MerkleError && error.code === 'malformed_entry_bundle', String(error))
        }
      }),
      { numRuns: 500 },
    )
  })
})
