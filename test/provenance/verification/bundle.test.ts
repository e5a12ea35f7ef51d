import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { toHex } from '../../../merkle/index.ts'
import {
  type Bundle,
  decodeBundle,
  encodeBundle,
  MAX_BUNDLE_BYTES,
  MAX_BUNDLE_STATEMENTS,
} from '../../../provenance/index.ts'
import { type CborValue, decodeCbor, encodeCbor } from '../../../statement/index.ts'
import { createSmallLog, digestOf } from '../small-log.ts'

const log = await createSmallLog()
const honest: Bundle = {
  origin: 'log.example',
  checkpoint: 'log.example\n9\nO3SvLbrnfQSbYf3p5zGGqGQ1GbyXRnMtWKBvC1DUPZs=\n\n— log.example abcd\n',
  statements: log.records.map(({ statement }) => statement.bytes).toReversed(),
  wraps: new Map([[toHex(log.records[8]!.entry), [Uint8Array.of(1), Uint8Array.of(2)]]]),
  credentialDigest: digestOf('credential'),
}
const encoded = encodeBundle(honest)

describe('a bundle', () => {
  it('reads back what was written, and writes the same bytes again', () => {
    assert.deepEqual(decodeBundle(encoded), honest)
    assert.deepEqual(encodeBundle(decodeBundle(encoded)), encoded)
  })

  it('refuses any byte changed, in what nothing signs as well (damaged_bundle)', () => {
    const wraps = new Map([[toHex(log.records[8]!.entry), [Uint8Array.of(1), Uint8Array.of(3)]]])
    const other = new Map(decodeCbor(encodeBundle({ ...honest, wraps })) as ReadonlyMap<string, CborValue>)
    const sum = (decodeCbor(encoded) as ReadonlyMap<string, CborValue>).get('sum')
    assert.throws(() => decodeBundle(encodeCbor(other.set('sum', sum ?? null))), { code: 'damaged_bundle' })
  })

  it('may have no wraps', () => {
    const bare = { ...honest, wraps: new Map() }
    assert.deepEqual(decodeBundle(encodeBundle(bare)), bare)
  })

  function changed(key: string, value: CborValue | undefined): Uint8Array {
    const map = new Map(decodeCbor(encoded) as ReadonlyMap<string, CborValue>)
    if (value === undefined) map.delete(key)
    else map.set(key, value)
    return encodeCbor(map)
  }
  const bytes = Uint8Array.of(1)
  const refused: [what: string, bytes: () => Uint8Array][] = [
    ['no bytes', () => new Uint8Array()],
    ['bytes after the end', () => Uint8Array.of(...encoded, 0)],
    ['a truncated one', () => encoded.slice(0, -1)],
    ['something that is no map', () => encodeCbor([1])],
    ['another version', () => changed('v', 2)],
    ['no version', () => changed('v', undefined)],
    ['a key that is unknown', () => changed('trust', 'me')],
    ['a digest of another length', () => changed('credential', bytes)],
    ['an empty origin', () => changed('origin', '')],
    ['no checkpoint', () => changed('checkpoint', undefined)],
    ['no statements', () => changed('statements', [])],
    ['too many statements', () => changed('statements', Array(MAX_BUNDLE_STATEMENTS + 1).fill(bytes))],
    ['a statement of no bytes', () => changed('statements', [new Uint8Array()])],
    ['wraps under what is no entry', () => changed('wraps', new Map([['0.8', [bytes]]]))],
    ['wraps under an entry in upper case', () => changed('wraps', new Map([['A'.repeat(64), [bytes]]]))],
    ['an entry without wraps', () => changed('wraps', new Map([['a'.repeat(64), []]]))],
    ['more bytes than anybody should read', () => changed('statements', [new Uint8Array(MAX_BUNDLE_BYTES)])],
  ]
  for (const [what, bytes] of refused) {
    it(`refuses ${what} (malformed_bundle)`, () => {
      assert.throws(() => decodeBundle(bytes()), { code: 'malformed_bundle' })
    })
  }

  it('is not written when it could not be read', () => {
    assert.throws(() => encodeBundle({ ...honest, statements: [] }), { code: 'malformed_bundle' })
  })

  it('refuses every bundle with one bit changed, as malformed or damaged', () => {
    for (let at = 0; at < encoded.length; at++) {
      const bent = encoded.slice()
      bent[at]! ^= 1 << (at % 8)
      assert.throws(
        () => decodeBundle(bent),
        { name: 'EvidenceError', code: /^(malformed|damaged)_bundle$/ },
        `byte ${at}`,
      )
    }
  })
})
