/**
 * Consistency proofs: a tree only grew. The first `size1` leaves of a tree of `size2` are those of the tree seen before.
 *
 * From 3 leaves to 7, the proof is [h(2), h(3), h(0,2), h(4,7)]: what rebuilds the old root out of nodes that both trees share,
 * and then the new root out of the same nodes and those added.
 *
 * ```
 *                 root₇
 *              /         \
 *         h(0,4)          \            root₃ = H(h(0,2), h(2))
 *         /     \          \           root₇ = H(H(h(0,2), H(h(2), h(3))), h(4,7))
 *     h(0,2)   h(2,4)    h(4,7)
 *             /     \
 *           h(2)   h(3)
 * ```
 *
 * @module
 */
import { equalBytes } from './bytes.ts'
import { MerkleError } from './error.ts'
import { checkHash, EMPTY_ROOT, type Hash, hashNode } from './hash.ts'
import { hashSiblings, type NodeId, type NodeLookup, siblingsAbove } from './subtree.ts'

/** That two tree heads are of one growing tree, before anyone has checked it. */
export interface ConsistencyClaim {
  /** Leaves in the earlier tree: 0 to `size2`. */
  readonly size1: number
  readonly root1: Hash
  /** Leaves in the later tree, at most 2⁵³ − 1. */
  readonly size2: number
  readonly root2: Hash
  readonly proof: readonly Hash[]
}

/**
 * Checks a consistency proof by the algorithm of RFC 9162 §2.1.4.2.
 *
 * The RFC leaves two cases open. Trees of one size are consistent when their roots are equal and the proof is empty. The empty
 * tree is consistent with every tree (c2sp.org/tlog-witness), with an empty proof: then nothing is learnt of `root2`, except that
 * neither size is 0 under another root than the empty one.
 *
 * @throws {@link MerkleError} `index_out_of_range` (a shrinking tree too), `proof_wrong_length`, `root_mismatch`,
 *   `malformed_encoding` (a hash that is not 32 bytes)
 */
export function checkConsistency({ size1, root1, size2, root2, proof }: ConsistencyClaim): void {
  checkOrder(size1, size2)
  for (const hash of [root1, root2]) checkHash(hash, 'a root')
  const mismatch = (size: number) =>
    new MerkleError('root_mismatch', `from ${size1} to ${size2}: the path leads to another root of ${size}`)

  if (size1 === 0 || size1 === size2) {
    if (proof.length !== 0) throw wrongProofLength(proof, size1, size2)
    if (size1 === 0 && !equalBytes(root1, EMPTY_ROOT)) throw mismatch(0)
    if (size1 === size2 && !equalBytes(root1, root2)) throw mismatch(size2)
    return
  }

  const implied = impliedRoots({ size1, root1, size2, proof })
  if (!equalBytes(implied.root1, root1)) throw mismatch(size1)
  if (!equalBytes(implied.root2, root2)) throw mismatch(size2)
}

/**
 * Both roots that a proof leads to, for 0 < `size1` < `size2`: for who holds a signature over the later root and not the root itself.
 * Proves nothing before `root1` is found to be the earlier root and `root2` the signed one; {@link checkConsistency} does both.
 *
 * @throws {@link MerkleError} as {@link checkConsistency}, but `root_mismatch`
 */
export function impliedRoots({ size1, root1, size2, proof }: Omit<ConsistencyClaim, 'root2'>): {
  root1: Hash
  root2: Hash
} {
  checkOrder(size1, size2)
  if (size1 === 0 || size1 === size2)
    throw new MerkleError('index_out_of_range', `${size1} to ${size2} leaves needs no proof`)
  checkHash(root1, 'a root')
  for (const hash of proof) checkHash(hash, 'a proof hash')
  const wrongLength = () => wrongProofLength(proof, size1, size2)

  // `node` is the right edge of the old tree, `last` that of the new one, on one level. Below where the old edge is a left
  // child, the two trees are the same and nothing needs proof.
  let { node, last } = oldEdge(size1, size2)

  // An old tree that is itself one perfect subtree of the new one starts from its own root, which the proof need not repeat.
  const start = node === 0 ? root1 : proof[0]
  const path = node === 0 ? proof : proof.slice(1)
  if (!start) throw wrongLength()

  let hash1 = start
  let hash2 = start
  for (const sibling of path) {
    if (last === 0) throw wrongLength()
    if (node % 2 === 1 || node === last) {
      hash1 = hashNode(sibling, hash1)
      hash2 = hashNode(sibling, hash2)
      while (node % 2 === 0 && node !== 0) {
        node /= 2
        last = Math.floor(last / 2)
      }
    } else {
      hash2 = hashNode(hash2, sibling)
    }
    node = Math.floor(node / 2)
    last = Math.floor(last / 2)
  }
  if (last !== 0) throw wrongLength()
  return { root1: hash1, root2: hash2 }
}

/** The proof that leads from `size1` to `size2` leaves, PROOF of RFC 9162 §2.1.4.1; empty where {@link checkConsistency} wants it so. */
export function buildConsistencyProof(size1: number, size2: number, node: NodeLookup): Hash[] {
  return hashSiblings(consistencyPath(size1, size2), node)
}

/** The perfect subtrees that {@link buildConsistencyProof} will ask for, in that order. */
export function consistencyNodes(size1: number, size2: number): NodeId[] {
  return consistencyPath(size1, size2).flat()
}

function consistencyPath(size1: number, size2: number): NodeId[][] {
  checkOrder(size1, size2)
  if (size1 === 0 || size1 === size2) return []
  const { level, node } = oldEdge(size1, size2)
  const edge = { level, index: node }
  const path = siblingsAbove(edge, size2)
  return node === 0 ? path : [[edge], ...path]
}

/** The largest perfect subtree that ends the old tree: step 4 of RFC 9162 §2.1.4.2. It is at index 0 if `size1` is a power of two. */
function oldEdge(size1: number, size2: number): { level: number; node: number; last: number } {
  let level = 0
  let node = size1 - 1
  let last = size2 - 1
  while (node % 2 === 1) {
    node = (node - 1) / 2
    last = Math.floor(last / 2)
    level++
  }
  return { level, node, last }
}

function wrongProofLength(proof: readonly Hash[], size1: number, size2: number): MerkleError {
  return new MerkleError('proof_wrong_length', `${proof.length} hashes do not lead from ${size1} to ${size2}`)
}

function checkOrder(size1: number, size2: number): void {
  if (!Number.isSafeInteger(size1) || !Number.isSafeInteger(size2) || size1 < 0 || size1 > size2) {
    throw new MerkleError('index_out_of_range', `a tree does not grow from ${size1} to ${size2}`)
  }
}
