/**
 * Inclusion proofs: one leaf is in a tree of a stated size.
 *
 * A proof lists the sibling hashes met on the walk from leaf to root, lowest first. With 3 leaves, the proof for leaf 0 is
 * [h(1), h(2)]; for leaf 2 it is [h(0,1)] alone, because leaf 2 has no sibling on the bottom level:
 *
 * ```
 *       root
 *      /    \
 *   h(0,1)   \
 *   /   \     \
 *  0     1     2
 * ```
 *
 * @module
 */
import { equalBytes } from './bytes.ts'
import { MerkleError } from './error.ts'
import { checkHash, type Hash, hashNode } from './hash.ts'
import { coverRange, foldCover, hashSiblings, type NodeId, type NodeLookup, siblingsAbove } from './subtree.ts'

export type { NodeId, NodeLookup }

/** What a log claims about one leaf, before anyone has checked it. */
export interface InclusionClaim {
  /** Position of the leaf, counted from 0. Must be below `size`. */
  readonly index: number
  /** Number of leaves in the tree, taken from a checkpoint. At most 2⁵³ − 1. */
  readonly size: number
  /** `hashLeaf` of the entry. */
  readonly leafHash: Hash
  /** Sibling hashes, lowest level first; at most ⌈log₂ size⌉ of them. */
  readonly proof: readonly Hash[]
}

/**
 * Checks that the leaf is where the claim says in the tree with this root.
 *
 * The root must come out of a checkpoint or receipt that was verified: against a root of the claimant's own choosing, anything is included.
 *
 * @throws {@link MerkleError} `index_out_of_range`, `proof_wrong_length`, `root_mismatch`, `malformed_encoding` (a hash that is not 32 bytes)
 */
export function checkInclusion(claim: InclusionClaim, root: Hash): void {
  if (!equalBytes(impliedRoot(claim), root)) {
    throw new MerkleError('root_mismatch', `leaf ${claim.index} of ${claim.size}: the path leads to another root`)
  }
}

/**
 * Returns the root hash that `claim` implies, by the algorithm of RFC 9162 §2.1.3.2.
 *
 * Trust nothing until the result equals a root that you verified; {@link checkInclusion} does both.
 *
 * @throws {@link MerkleError} `index_out_of_range`, `proof_wrong_length`, `malformed_encoding`
 */
export function impliedRoot({ index, size, leafHash, proof }: InclusionClaim): Hash {
  checkIndex(index, size)
  checkHash(leafHash, 'a leaf hash')

  // `node` and `last` are positions on one level of the tree: of the node whose hash we hold, and of the level's rightmost node.
  // We halve them to climb.
  let node = index
  let last = size - 1
  let hash = leafHash
  for (const sibling of proof) {
    if (last === 0) throw new MerkleError('proof_wrong_length', `too many hashes for leaf ${index} of ${size}`)
    checkHash(sibling, 'a proof hash')
    if (node % 2 === 1 || node === last) {
      hash = hashNode(sibling, hash)
      // A rightmost node without a sibling rises unhashed to where it has one.
      while (node % 2 === 0 && node !== 0) {
        node /= 2
        last = Math.floor(last / 2)
      }
    } else {
      hash = hashNode(hash, sibling)
    }
    node = Math.floor(node / 2)
    last = Math.floor(last / 2)
  }
  if (last !== 0) throw new MerkleError('proof_wrong_length', `too few hashes for leaf ${index} of ${size}`)
  return hash
}

/** The proof that leaf `index` is in the first `size` leaves, PATH of RFC 9162 §2.1.3.1, out of perfect subtrees that `node` knows. */
export function buildInclusionProof(index: number, size: number, node: NodeLookup): Hash[] {
  return hashSiblings(inclusionPath(index, size), node)
}

/**
 * {@link buildInclusionProof} for many leaves of one tree: the ragged subtrees along its right edge, of which there is one a level, are
 * hashed once for all of them.
 */
export class InclusionProver {
  readonly #size: number
  readonly #node: NodeLookup
  /** By level. */
  readonly #ragged: Hash[] = []
  /** The sibling last met on each level: of leaves in order, 2^level have the same. */
  readonly #last: { readonly index: number; readonly hash: Hash }[] = []

  constructor(size: number, node: NodeLookup) {
    this.#size = size
    this.#node = node
  }

  /** @throws {@link MerkleError} `index_out_of_range` */
  proof(index: number): Hash[] {
    checkIndex(index, this.#size)
    const proof: Hash[] = []
    let node = index
    let last = this.#size - 1
    let width = 1
    for (let level = 0; last > 0; level++) {
      if (node % 2 === 1) proof.push(this.#sibling(level, node - 1))
      // A rightmost node on an even place has no sibling here and rises as it is.
      else if (node < last) {
        proof.push(
          (node + 2) * width <= this.#size ? this.#sibling(level, node + 1) : this.#raggedOn(level, (node + 1) * width),
        )
      }
      node = Math.floor(node / 2)
      last = Math.floor(last / 2)
      width *= 2
    }
    return proof
  }

  #sibling(level: number, index: number): Hash {
    const last = this.#last[level]
    if (last?.index === index) return last.hash
    const hash = this.#node(level, index)
    this.#last[level] = { index, hash }
    return hash
  }

  /** The hash over leaves [start, size), fewer than 2^level. */
  #raggedOn(level: number, start: number): Hash {
    const known = this.#ragged[level]
    if (known) return known
    const hash = foldCover(coverRange(start, this.#size).map((id) => this.#node(id.level, id.index)))
    this.#ragged[level] = hash
    return hash
  }
}

/** The perfect subtrees that {@link buildInclusionProof} will ask for, in that order. */
export function inclusionNodes(index: number, size: number): NodeId[] {
  return inclusionPath(index, size).flat()
}

function inclusionPath(index: number, size: number): NodeId[][] {
  checkIndex(index, size)
  return siblingsAbove({ level: 0, index }, size)
}

function checkIndex(index: number, size: number): void {
  if (!Number.isSafeInteger(size) || !Number.isSafeInteger(index) || index < 0 || index >= size) {
    throw new MerkleError('index_out_of_range', `leaf ${index} is not in a tree of ${size}`)
  }
}
