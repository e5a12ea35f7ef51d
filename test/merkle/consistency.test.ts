import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  buildConsistencyProof,
  type ConsistencyClaim,
  checkConsistency,
  consistencyNodes,
  impliedRoots,
} from '../../merkle/consistency.ts'
import { EMPTY_ROOT } from '../../merkle/hash.ts'
import { leavesOf, lookupIn, mth, proof } from './rfc-tree.ts'

const leaves = leavesOf(50)
const node = lookupIn(leaves)
const roots = Array.from({ length: 51 }, (_, size) => mth(leaves.slice(0, size)))
const claim = (size1: number, size2: number): ConsistencyClaim => ({
  size1,
  root1: roots[size1]!,
  size2,
  root2: roots[size2]!,
  proof: size1 === 0 ? [] : proof(size1, leaves.slice(0, size2)),
})

describe('buildConsistencyProof', () => {
  it('builds PROOF of RFC 9162 between all sizes up to 50', () => {
    for (let size2 = 0; size2 <= 50; size2++) {
      for (let size1 = 0; size1 <= size2; size1++) {
        assert.deepEqual(buildConsistencyProof(size1, size2, node), claim(size1, size2).proof, `${size1} to ${size2}`)
      }
    }
  })

  it('asks for the nodes that consistencyNodes names, all of them inside the tree', () => {
    for (let size2 = 1; size2 <= 50; size2++) {
      for (let size1 = 0; size1 <= size2; size1++) {
        const asked: unknown[] = []
        buildConsistencyProof(size1, size2, (level, index) => {
          asked.push({ level, index })
          assert.ok((index + 1) * 2 ** level <= size2)
          return EMPTY_ROOT
        })
        assert.deepEqual(asked, consistencyNodes(size1, size2))
      }
    }
  })

  it('refuses a tree that shrinks, and sizes that are none (index_out_of_range)', () => {
    for (const [size1, size2] of [
      [6, 5],
      [-1, 5],
      [1.5, 5],
      [1, 2 ** 53],
    ] as const) {
      assert.throws(() => buildConsistencyProof(size1, size2, node), { code: 'index_out_of_range' })
    }
  })
})

describe('checkConsistency', () => {
  it('accepts the growth between all sizes up to 50', () => {
    for (let size2 = 0; size2 <= 50; size2++) {
      for (let size1 = 0; size1 <= size2; size1++) checkConsistency(claim(size1, size2))
    }
  })

  // The sizes and roots are those that the log signed: a proof says nothing of them by itself. (That of 1 → 2 holds as one
  // of 2 → 3 for somebody who believes that the root of 2 leaves is a leaf hash.)
  it('refuses every proof under the tree heads of another pair of sizes, in trees up to 12 leaves', () => {
    for (let size2 = 2; size2 <= 12; size2++) {
      for (let size1 = 1; size1 < size2; size1++) {
        for (let other2 = 2; other2 <= 12; other2++) {
          for (let other1 = 1; other1 < other2; other1++) {
            if (other1 === size1 && other2 === size2) continue
            const lie = { ...claim(other1, other2), proof: claim(size1, size2).proof }
            assert.throws(
              () => checkConsistency(lie),
              { name: 'EvidenceError' },
              `${size1}:${size2} as ${other1}:${other2}`,
            )
          }
        }
      }
    }
  })

  it('refuses a rewritten history: the old root of other leaves (root_mismatch)', () => {
    const forked = leaves.with(2, leaves[40]!)
    for (let size1 = 3; size1 < 20; size1++) {
      const lie = { ...claim(size1, 20), root1: mth(forked.slice(0, size1)) }
      assert.throws(() => checkConsistency(lie), { code: 'root_mismatch' })
    }
  })

  const honest = claim(6, 11)
  const refused: [what: string, code: string, lie: Partial<ConsistencyClaim>][] = [
    ['another old root', 'root_mismatch', { root1: roots[5]! }],
    ['another new root', 'root_mismatch', { root2: roots[10]! }],
    ['the roots exchanged', 'root_mismatch', { root1: honest.root2, root2: honest.root1 }],
    ['a shrinking tree', 'index_out_of_range', { size1: 11, size2: 6 }],
    ['a negative size', 'index_out_of_range', { size1: -1 }],
    ['a size past 2⁵³ − 1', 'index_out_of_range', { size2: 2 ** 53 }],
    ['a missing hash', 'proof_wrong_length', { proof: honest.proof.slice(1) }],
    ['no hash', 'proof_wrong_length', { proof: [] }],
    ['an extra hash', 'proof_wrong_length', { proof: [...honest.proof, leaves[0]!] }],
    ['hashes in reverse', 'root_mismatch', { proof: honest.proof.toReversed() }],
    ['a proof where sizes are equal', 'proof_wrong_length', { size1: 11, root1: honest.root2 }],
    ['two roots of one size', 'root_mismatch', { size1: 11, proof: [] }],
    ['a proof from the empty tree', 'proof_wrong_length', { size1: 0, root1: EMPTY_ROOT }],
    ['an empty tree under a root of its own', 'root_mismatch', { size1: 0, proof: [] }],
    ['a short hash', 'malformed_encoding', { proof: honest.proof.with(1, new Uint8Array(31)) }],
    ['a short root', 'malformed_encoding', { root1: new Uint8Array(12) }],
  ]
  for (const [what, code, lie] of refused) {
    it(`refuses ${what} (${code})`, () => {
      assert.throws(() => checkConsistency({ ...honest, ...lie }), { name: 'EvidenceError', code })
    })
  }

  it('refuses two empty trees under one root that is not the empty one (root_mismatch)', () => {
    const lie = { size1: 0, size2: 0, root1: roots[1]!, root2: roots[1]!, proof: [] }
    assert.throws(() => checkConsistency(lie), { code: 'root_mismatch' })
  })
})

describe('impliedRoots', () => {
  it('leads to both roots, for all sizes up to 50', () => {
    for (let size2 = 2; size2 <= 50; size2++) {
      for (let size1 = 1; size1 < size2; size1++) {
        assert.deepEqual(impliedRoots(claim(size1, size2)), { root1: roots[size1], root2: roots[size2] })
      }
    }
  })

  it('has nothing to say where there is no proof (index_out_of_range)', () => {
    for (const [size1, size2] of [
      [0, 5],
      [5, 5],
      [6, 5],
    ] as const) {
      const nothing = { size1, size2, root1: roots[size1]!, proof: [] }
      assert.throws(() => impliedRoots(nothing), { name: 'EvidenceError', code: 'index_out_of_range' })
    }
  })
})
