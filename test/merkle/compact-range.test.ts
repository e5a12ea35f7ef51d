import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { concatBytes } from '../../merkle/bytes.ts'
import { appendLeaf, appendLeaves, appendSubtree, EMPTY_RANGE, rangeRoot } from '../../merkle/compact-range.ts'
import { EMPTY_ROOT } from '../../merkle/hash.ts'
import { coverRange } from '../../merkle/subtree.ts'
import { leavesOf, mth } from './rfc-tree.ts'

const leaves = leavesOf(300)
const rangeOf = (size: number) => leaves.slice(0, size).reduce(appendLeaf, EMPTY_RANGE)

describe('compact ranges', () => {
  it('have the root that RFC 9162 defines, at every size up to 300', () => {
    let range = EMPTY_RANGE
    assert.deepEqual(rangeRoot(range), EMPTY_ROOT)
    for (const [index, leaf] of leaves.entries()) {
      range = appendLeaf(range, leaf)
      assert.equal(range.size, index + 1)
      assert.deepEqual(rangeRoot(range), mth(leaves.slice(0, index + 1)))
    }
  })

  it('hold one hash for each binary digit 1 of their size, the largest subtree first', () => {
    for (let size = 0; size <= 100; size++) {
      const expected = coverRange(0, size).map(({ level, index }) =>
        mth(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level)),
      )
      assert.deepEqual(rangeOf(size).hashes, expected)
      assert.equal(expected.length, size.toString(2).replaceAll('0', '').length)
    }
  })

  it('are data: appending leaves the old range as it was', () => {
    const before = rangeOf(7)
    const copy = structuredClone(before)
    appendLeaf(before, leaves[7]!)
    assert.deepEqual(before, copy)
    assert.deepEqual(EMPTY_RANGE, { size: 0, hashes: [] })
  })

  it('take many leaves at once as they take them one by one, from every size to every size up to 40', () => {
    for (let from = 0; from <= 40; from++) {
      for (let to = from; to <= 40; to++) {
        assert.deepEqual(appendLeaves(rangeOf(from), concatBytes(...leaves.slice(from, to))), rangeOf(to))
      }
    }
    assert.deepEqual(appendLeaves(rangeOf(3), concatBytes(...leaves.slice(3))), rangeOf(300))
  })

  it('take whole subtrees where they fit, and assert that they do', () => {
    assert.deepEqual(appendSubtree(rangeOf(12), 2, mth(leaves.slice(12, 16))), rangeOf(16))
    assert.throws(() => appendSubtree(rangeOf(6), 2, leaves[0]!), /invariant/)
  })

  it('end at 2⁵³ − 1 leaves (index_out_of_range)', () => {
    const full = { size: 2 ** 53 - 1, hashes: leaves.slice(0, 53) }
    assert.equal(rangeRoot(full).length, 32)
    assert.throws(() => appendLeaf(full, leaves[0]!), { code: 'index_out_of_range' })
    assert.throws(() => appendSubtree(EMPTY_RANGE, 53, leaves[0]!), { code: 'index_out_of_range' })
    const nearly = { size: 2 ** 53 - 2, hashes: leaves.slice(0, 52) }
    assert.deepEqual(appendLeaf(nearly, leaves[99]!).hashes, [...nearly.hashes, leaves[99]!])
  })
})

describe('coverRange', () => {
  it('covers every range up to 40 leaves, in order, with as few perfect subtrees as can be', () => {
    // Fewest, by dynamic programming over all perfect subtrees that start at `at`.
    const fewest = (at: number, end: number): number => {
      if (at === end) return 0
      let best = Number.POSITIVE_INFINITY
      for (let width = 1; at % width === 0 && at + width <= end; width *= 2)
        best = Math.min(best, 1 + fewest(at + width, end))
      return best
    }
    for (let end = 0; end <= 24; end++) {
      for (let start = 0; start <= end; start++) {
        const cover = coverRange(start, end)
        let at = start
        for (const { level, index } of cover) {
          assert.equal(index * 2 ** level, at)
          at += 2 ** level
        }
        assert.equal(at, end)
        assert.equal(cover.length, fewest(start, end))
      }
    }
  })

  it('covers the largest tree with 53 subtrees', () => {
    const cover = coverRange(0, 2 ** 53 - 1)
    assert.deepEqual(cover[0], { level: 52, index: 0 })
    assert.deepEqual(cover[52], { level: 0, index: 2 ** 53 - 2 })
    assert.equal(cover.length, 53)
  })
})
