/**
 * Compact ranges: all of a tree that is needed to go on appending to it, ⌈log₂ size⌉ hashes.
 *
 * They are the roots of the perfect subtrees that the leaves fall into, one for each binary digit 1 of the size, largest first.
 * Appending is counting: each carry joins two subtrees.
 *
 * ```
 *   6 leaves = 110₂  [ h(0,4), h(4,6) ]
 *   7 leaves = 111₂  [ h(0,4), h(4,6), h(6) ]
 *   8 leaves = 1000₂ [ h(0,8) ]
 * ```
 *
 * @module
 */
import { assert, MerkleError } from './error.ts'
import { EMPTY_ROOT, HASH_LENGTH, type Hash, hashNode, hashPairs } from './hash.ts'
import { coverRange, foldCover } from './subtree.ts'

/** A tree of `size` leaves, as its perfect subtrees. Data: appending makes a new one. */
export interface CompactRange {
  readonly size: number
  /** As many as `size` has binary digits 1, the largest subtree first. */
  readonly hashes: readonly Hash[]
}

/** A tree without leaves. */
export const EMPTY_RANGE: CompactRange = { size: 0, hashes: [] }

/** The range with one leaf more. */
export function appendLeaf(range: CompactRange, leafHash: Hash): CompactRange {
  return appendSubtree(range, 0, leafHash)
}

/**
 * The range with `packed` appended: leaf hashes one after another, 32 bytes each. What replaying uses, because it hashes
 * in rows and not leaf by leaf.
 */
export function appendLeaves(range: CompactRange, packed: Uint8Array): CompactRange {
  assert(packed.length % HASH_LENGTH === 0, 'packed leaf hashes')
  const count = packed.length / HASH_LENGTH
  let grown = range
  for (const { level } of coverRange(range.size, checkedSum(range.size, count))) {
    const from = (grown.size - range.size) * HASH_LENGTH
    let row: Uint8Array = packed.slice(from, from + 2 ** level * HASH_LENGTH)
    for (let i = 0; i < level; i++) row = hashPairs(row)
    grown = appendSubtree(grown, level, row)
  }
  return grown
}

/** The range with a perfect subtree of 2^level leaves appended. `range.size` must be a multiple of 2^level. */
export function appendSubtree(range: CompactRange, level: number, hash: Hash): CompactRange {
  const width = 2 ** level
  const size = checkedSum(range.size, width)
  assert(range.size % width === 0, `a subtree of ${width} leaves cannot start at ${range.size}`)
  const hashes = range.hashes.slice()
  let carried = hash
  for (let index = range.size / width; index % 2 === 1; index = (index - 1) / 2) {
    carried = hashNode(hashes.pop()!, carried)
  }
  hashes.push(carried)
  return { size, hashes }
}

/** The root of the tree: MTH of RFC 9162 §2.1.1. */
export function rangeRoot(range: CompactRange): Hash {
  return range.size === 0 ? EMPTY_ROOT : foldCover(range.hashes)
}

function checkedSum(size: number, added: number): number {
  if (!Number.isSafeInteger(size + added))
    throw new MerkleError('index_out_of_range', 'a tree holds at most 2⁵³ − 1 leaves')
  return size + added
}
