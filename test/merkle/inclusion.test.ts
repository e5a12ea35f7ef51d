import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { EMPTY_ROOT, type Hash, hashNode } from '../../merkle/hash.ts'
import {
  buildInclusionProof,
  checkInclusion,
  type InclusionClaim,
  InclusionProver,
  impliedRoot,
  inclusionNodes,
} from '../../merkle/inclusion.ts'
import { leavesOf, lookupIn, mth, path } from './rfc-tree.ts'

const leaves = leavesOf(70)
const node = lookupIn(leaves)
const claim = (index: number, size: number): InclusionClaim => ({
  index,
  size,
  leafHash: leaves[index]!,
  proof: path(index, leaves.slice(0, size)),
})

describe('buildInclusionProof', () => {
  it('builds PATH of RFC 9162 for every leaf of every tree up to 70 leaves', () => {
    for (let size = 1; size <= 70; size++) {
      for (let index = 0; index < size; index++) {
        assert.deepEqual(buildInclusionProof(index, size, node), claim(index, size).proof, `${index} of ${size}`)
      }
    }
  })

  it('asks for the nodes that inclusionNodes names, in that order, all of them inside the tree', () => {
    for (let size = 1; size <= 70; size++) {
      for (let index = 0; index < size; index++) {
        const asked: unknown[] = []
        buildInclusionProof(index, size, (level, at) => {
          asked.push({ level, index: at })
          assert.ok((at + 1) * 2 ** level <= size)
          return EMPTY_ROOT
        })
        assert.deepEqual(asked, inclusionNodes(index, size))
      }
    }
  })

  it('refuses a leaf outside the tree (index_out_of_range)', () => {
    for (const [index, size] of [
      [0, 0],
      [5, 5],
      [-1, 5],
      [0.5, 5],
      [0, 2 ** 53],
      [Number.NaN, 5],
    ] as const) {
      assert.throws(() => buildInclusionProof(index, size, node), { code: 'index_out_of_range' })
    }
  })
})

describe('InclusionProver', () => {
  it('builds what buildInclusionProof builds, in whatever order it is asked', () => {
    for (let size = 1; size <= 70; size++) {
      const prover = new InclusionProver(size, node)
      for (let i = 0; i < size; i++) {
        const index = (i * 37) % size
        assert.deepEqual(prover.proof(index), buildInclusionProof(index, size, node), `${index} of ${size}`)
      }
    }
  })

  it('refuses a leaf outside the tree (index_out_of_range)', () => {
    for (const [index, size] of [
      [0, 0],
      [5, 5],
      [-1, 5],
      [0.5, 5],
    ] as const) {
      assert.throws(() => new InclusionProver(size, node).proof(index), { code: 'index_out_of_range' })
    }
  })
})

describe('checkInclusion', () => {
  it('accepts every leaf of every tree up to 70 leaves', () => {
    for (let size = 1; size <= 70; size++) {
      const root = mth(leaves.slice(0, size))
      for (let index = 0; index < size; index++) checkInclusion(claim(index, size), root)
    }
  })

  it('accepts a proof for one index only, in every tree up to 20 leaves', () => {
    for (let size = 1; size <= 20; size++) {
      const root = mth(leaves.slice(0, size))
      for (let index = 0; index < size; index++) {
        for (let other = 0; other < size; other++) {
          if (other !== index) assert.throws(() => checkInclusion({ ...claim(index, size), index: other }, root))
        }
      }
    }
  })

  // Each case is a true claim changed in exactly one place.
  const honest = claim(5, 11)
  const refused: [what: string, code: string, lie: Partial<InclusionClaim>][] = [
    ['another leaf', 'root_mismatch', { leafHash: leaves[6]! }],
    ['another index', 'root_mismatch', { index: 4 }],
    ['an index past the end', 'index_out_of_range', { index: 11 }],
    ['a negative index', 'index_out_of_range', { index: -1 }],
    ['a fractional index', 'index_out_of_range', { index: 5.5 }],
    ['an index that is 5 modulo 2³²', 'index_out_of_range', { index: 2 ** 32 + 5 }],
    ['a size past 2⁵³ − 1', 'index_out_of_range', { size: 2 ** 53 }],
    ['an empty tree', 'index_out_of_range', { index: 0, size: 0 }],
    ['a missing hash', 'proof_wrong_length', { proof: honest.proof.slice(1) }],
    ['no hash', 'proof_wrong_length', { proof: [] }],
    ['an extra hash', 'proof_wrong_length', { proof: [...honest.proof, leaves[0]!] }],
    ['hashes in reverse', 'root_mismatch', { proof: honest.proof.toReversed() }],
    ['a size that is 11 modulo 2³²', 'proof_wrong_length', { size: 2 ** 32 + 11 }],
    ['a short hash', 'malformed_encoding', { proof: [new Uint8Array(31), ...honest.proof.slice(1)] }],
    ['a long leaf hash', 'malformed_encoding', { leafHash: new Uint8Array(33) }],
  ]
  for (const [what, code, lie] of refused) {
    it(`refuses ${what} (${code})`, () => {
      assert.throws(() => checkInclusion({ ...honest, ...lie }, mth(leaves.slice(0, 11))), {
        name: 'EvidenceError',
        code,
      })
    })
  }

  it('refuses a node passed off as a leaf: the leaf of a tree half as large (proof_wrong_length)', () => {
    const root = mth(leaves.slice(0, 8))
    const lie = { index: 0, size: 8, leafHash: mth(leaves.slice(0, 2)), proof: path(0, leaves.slice(0, 8)).slice(1) }
    assert.throws(() => checkInclusion(lie, root), { code: 'proof_wrong_length' })
  })

  // A tree in which all leaves are the same has one hash per level, so its largest sizes can be walked.
  it('climbs trees of up to 2⁵³ − 1 leaves', () => {
    const levels: Hash[] = [leaves[0]!]
    for (let level = 1; level < 53; level++) levels.push(hashNode(levels[level - 1]!, levels[level - 1]!))
    const same = (level: number) => levels[level]!
    const rootOf = (size: number) => {
      let rest = size
      let root: Hash | undefined
      for (let level = 0; rest > 0; level++, rest = Math.floor(rest / 2)) {
        if (rest % 2 === 1) root = root ? hashNode(same(level), root) : same(level)
      }
      return root!
    }
    for (const size of [2 ** 53 - 1, 2 ** 52, 2 ** 52 + 1, 2 ** 32, 2 ** 32 + 1, 2 ** 31 - 1, 2 ** 40 + 12345]) {
      for (const index of [0, 1, size - 1, size - 2, Math.floor(size / 2), Math.floor(size / 3)]) {
        const proof = buildInclusionProof(index, size, same)
        checkInclusion({ index, size, leafHash: same(0), proof }, rootOf(size))
        assert.throws(() => impliedRoot({ index, size, leafHash: same(0), proof: proof.slice(1) }), {
          code: 'proof_wrong_length',
        })
      }
    }
  })
})
