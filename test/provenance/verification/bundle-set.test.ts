import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { toHex } from '../../../merkle/index.ts'
import {
  type BundleSet,
  bundleIn,
  decodeBundleSet,
  encodeBundleSet,
  MAX_BUNDLE_STATEMENTS,
  MAX_BUNDLES,
} from '../../../provenance/index.ts'
import { type CborValue, decodeCbor, decodeProblem, encodeCbor, encodeProblem } from '../../../statement/index.ts'
import { createSmallLog, digestOf } from '../small-log.ts'

const log = await createSmallLog()
const problem = encodeProblem({ title: 'Not Found', detail: 'no such credential', code: 'not_found', status: 404 })
const honest: BundleSet = {
  origin: 'log.example',
  checkpoint: 'log.example\n9\nO3SvLbrnfQSbYf3p5zGGqGQ1GbyXRnMtWKBvC1DUPZs=\n\n— log.example abcd\n',
  statements: log.records.map(({ statement, entry }, i) => ({
    entry,
    statement: statement.bytes,
    wraps: i === 8 ? [Uint8Array.of(1), Uint8Array.of(2)] : [],
  })),
  bundles: [[8, 0, 1], problem, [8, 2]],
}
const encoded = encodeBundleSet(honest)

describe('a bundle set', () => {
  it('reads back what was written, and writes the same bytes again', () => {
    assert.deepEqual(decodeBundleSet(encoded), honest)
    assert.deepEqual(encodeBundleSet(decodeBundleSet(encoded)), encoded)
    assert.equal(decodeProblem(decodeBundleSet(encoded).bundles[1] as Uint8Array).code, 'not_found')
  })

  it('gives each credential its statements in their order, and the wraps of these alone', () => {
    const [record, first] = [honest.statements[8]!, honest.statements[0]!]
    const bundle = bundleIn(honest, [8, 0], digestOf('credential'))
    assert.deepEqual(bundle.statements, [record.statement, first.statement])
    assert.deepEqual([...bundle.wraps], [[toHex(record.entry), record.wraps]])
    assert.deepEqual([...bundleIn(honest, [0], digestOf('credential')).wraps], [])
  })

  it('has room for as many credentials and statements as there may be', () => {
    const places = Array.from({ length: MAX_BUNDLE_STATEMENTS }, (_, i) => i % honest.statements.length)
    const full = { ...honest, bundles: Array.from({ length: MAX_BUNDLES }, () => places) }
    assert.equal(decodeBundleSet(encodeBundleSet(full)).bundles.length, MAX_BUNDLES)
    assert.throws(() => decodeBundleSet(encodeBundleSet({ ...full, bundles: [...full.bundles, places] })), {
      code: 'malformed_bundle',
    })
  })

  function changed(key: string, value: CborValue): Uint8Array {
    return encodeCbor(new Map(decodeCbor(encoded) as ReadonlyMap<string, CborValue>).set(key, value))
  }
  const statement = (fields: Record<string, CborValue>) => changed('statements', [new Map(Object.entries(fields))])
  const [bytes, entry] = [Uint8Array.of(1), digestOf('entry')]
  const refused: [what: string, bytes: Uint8Array][] = [
    ['no bytes', new Uint8Array()],
    ['bytes after the end', Uint8Array.of(...encoded, 0)],
    ['a truncated one', encoded.slice(0, -1)],
    ['another version', changed('v', 2)],
    ['a key that is unknown', changed('__proto__', 'me')],
    ['a statement that is not there', changed('bundles', [[9]])],
    ['a place that is no number', changed('bundles', [['length']])],
    ['a negative place', changed('bundles', [[-1]])],
    ['a bundle of nothing', changed('bundles', [[]])],
    ['no bundles', changed('bundles', [])],
    ['an outcome that is neither', changed('bundles', [bytes])],
    ['more statements than a bundle has', changed('bundles', [Array(MAX_BUNDLE_STATEMENTS + 1).fill(0)])],
    ['a statement without its entry', statement({ statement: bytes })],
    ['an entry of another length', statement({ statement: bytes, entry: bytes })],
    ['an empty list of wraps', statement({ statement: bytes, entry, wraps: [] })],
    ['a statement of no bytes', statement({ statement: new Uint8Array(), entry })],
  ]
  for (const [what, lie] of refused) {
    it(`refuses ${what} (malformed_bundle)`, () => {
      assert.throws(() => decodeBundleSet(lie), { code: 'malformed_bundle' })
    })
  }
})
