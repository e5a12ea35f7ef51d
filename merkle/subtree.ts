/**
 * Perfect subtrees: the nodes whose hashes never change once their leaves are there.
 *
 * Node `index` of `level` covers leaves [index·2^level, (index+1)·2^level). A tree of 7 leaves holds 11 of them; the root and
 * h(4,7) are not, and are hashed anew for each size:
 *
 * ```
 *   level 2         ______(2,0)______          ·
 *                  /                 \        / \
 *   level 1     (1,0)             (1,1)    (1,2)  \
 *              /     \           /     \   /   \   \
 *   level 0  (0,0) (0,1)     (0,2) (0,3) (0,4)(0,5) (0,6)
 * ```
 *
 * Positions go up to 2⁵³ − 1, so there is no bit operator in this folder's arithmetic on them: those cut to 32 bits.
 *
 * @module
 */
import { assert } from './error.ts'
import { type Hash, hashNode } from './hash.ts'

/** A perfect subtree by its place. */
export interface NodeId {
  /** 0 for leaves; at most 52. */
  readonly level: number
  /** Counted from 0 on its level. */
  readonly index: number
}

/** The hash of the perfect subtree over leaves [index·2^level, (index+1)·2^level). */
export type NodeLookup = (level: number, index: number) => Hash

/**
 * The fewest perfect subtrees that make up leaves [start, end), left to right. From start 0 these are the binary digits of
 * `end`, largest first.
 */
export function coverRange(start: number, end: number): NodeId[] {
  assert(Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && start <= end, `[${start}, ${end})`)
  const cover: NodeId[] = []
  for (let at = start; at < end; ) {
    let level = 0
    let width = 1
    while (at % (2 * width) === 0 && at + 2 * width <= end) {
      width *= 2
      level++
    }
    cover.push({ level, index: at / width })
    at += width
  }
  return cover
}

/** The hash over a whole range from those of its {@link coverRange}: MTH of RFC 9162 §2.1.1, folded from the right. */
export function foldCover(hashes: readonly Hash[]): Hash {
  assert(hashes.length > 0, 'an empty range has no hash')
  let hash = hashes[hashes.length - 1]!
  for (let i = hashes.length - 2; i >= 0; i--) hash = hashNode(hashes[i]!, hash)
  return hash
}

/**
 * The siblings met on the way from `node` up to the root of a tree of `size`, lowest first, each as the perfect subtrees it
 * is made of. A left sibling is always one; a right one may be the ragged right edge, and then nothing follows to its right.
 */
export function siblingsAbove(node: NodeId, size: number): NodeId[][] {
  const path: NodeId[][] = []
  let { level, index } = node
  let width = 2 ** level
  let last = Math.ceil(size / width) - 1
  while (last > 0) {
    if (index % 2 === 1) path.push([{ level, index: index - 1 }])
    // A rightmost node on an even place has no sibling here and rises as it is.
    else if (index < last) {
      const end = (index + 2) * width
      path.push(end <= size ? [{ level, index: index + 1 }] : coverRange((index + 1) * width, size))
    }
    index = Math.floor(index / 2)
    last = Math.floor(last / 2)
    width *= 2
    level++
  }
  return path
}

/** Hashes of {@link siblingsAbove}, each folded into one. */
export function hashSiblings(path: readonly (readonly NodeId[])[], node: NodeLookup): Hash[] {
  return path.map((cover) => foldCover(cover.map(({ level, index }) => node(level, index))))
}
