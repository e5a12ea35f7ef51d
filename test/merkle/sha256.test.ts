import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { EMPTY_ROOT, hashLeaf, hashNode, hashPairs } from '../../merkle/hash.ts'
import * as native from '../../merkle/sha256.node.ts'
import * as portable from '../../merkle/sha256.ts'
import { leafOf } from './rfc-tree.ts'

// Around the lengths at which SHA-256 pads into another block, and one long.
const lengths = [0, 1, 33, 55, 56, 63, 64, 65, 119, 120, 128, 1000, 100_000]
const inputs = lengths.map((length) => Uint8Array.from({ length }, (_, i) => (i * 7 + length) % 256))
const builds = [
  ['native', native],
  ['portable', portable],
] as const

for (const [name, { sha256, sha256Into }] of builds) {
  describe(`sha256, ${name} build`, () => {
    it('agrees with createHash on inputs around every block boundary', () => {
      for (const input of inputs) {
        assert.deepEqual(sha256(input), new Uint8Array(createHash('sha256').update(input).digest()))
      }
    })

    it('returns a plain Uint8Array of its own', () => {
      const digest = sha256(inputs[1]!)
      assert.equal(Object.getPrototypeOf(digest), Uint8Array.prototype)
      assert.equal(digest.buffer.byteLength, 32)
    })

    it('hashes a view, not what surrounds it', () => {
      assert.deepEqual(sha256(inputs[11]!.subarray(100, 133)), sha256(inputs[11]!.slice(100, 133)))
    })

    it('writes where it is told and nowhere else', () => {
      const target = new Uint8Array(96).fill(9)
      sha256Into(inputs[2]!, target, 32)
      assert.deepEqual(target.slice(32, 64), sha256(inputs[2]!))
      assert.ok([...target.slice(0, 32), ...target.slice(64)].every((byte) => byte === 9))
    })
  })
}

describe('hashes of the tree', () => {
  it('tells leaves from nodes: a node is not the leaf of its two hashes', () => {
    const [left, right] = [leafOf(inputs[1]!), leafOf(inputs[2]!)]
    assert.notDeepEqual(hashNode(left, right), hashLeaf(new Uint8Array([...left, ...right])))
  })

  it('hashes leaves as RFC 9162 §2.1.1 says, and no leaves as nothing', () => {
    for (const input of inputs) assert.deepEqual(hashLeaf(input), leafOf(input))
    assert.deepEqual(EMPTY_ROOT, native.sha256(new Uint8Array(0)))
  })

  it('hashes a row in pairs as it hashes them one by one', () => {
    const row = inputs.slice(0, 6).map(leafOf)
    const parents = hashPairs(new Uint8Array(row.flatMap((hash) => [...hash])))
    for (let i = 0; i < 3; i++) {
      assert.deepEqual(parents.slice(32 * i, 32 * i + 32), hashNode(row[2 * i]!, row[2 * i + 1]!))
    }
  })
})
