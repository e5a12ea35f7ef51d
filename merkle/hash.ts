/**
 * The hashes of RFC 9162 §2.1.1: leaves and nodes are told apart by their first byte, so that no
 * leaf can be passed off as a node or the reverse.
 *
 * @module
 */
import { sha256, sha256Into } from '#sha256'
import { fromHex } from './bytes.ts'
import { assert, MerkleError } from './error.ts'

export { sha256, sha256Into }

/** A SHA-256 value: 32 bytes. */
export type Hash = Uint8Array

export const HASH_LENGTH = 32

/** The root of a tree without leaves: SHA-256 of nothing. */
export const EMPTY_ROOT: Hash = fromHex('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')

/** @throws {@link MerkleError} `malformed_encoding` unless a hash that came from outside is 32 bytes. */
export function checkHash(hash: Uint8Array, title: string): void {
  if (hash.length !== HASH_LENGTH) throw new MerkleError('malformed_encoding', `${title} of ${hash.length} bytes`)
}

/** SHA-256(0x00 ‖ entry). */
export function hashLeaf(entry: Uint8Array): Hash {
  const input = new Uint8Array(1 + entry.length)
  input.set(entry, 1)
  return sha256(input)
}

// One scratch input for all node hashes: hashing never yields to other code, so nobody sees it half written.
const nodeInput = new Uint8Array(1 + 2 * HASH_LENGTH)
nodeInput[0] = 0x01

/** SHA-256(0x01 ‖ left ‖ right). */
export function hashNode(left: Hash, right: Hash): Hash {
  assert(left.length === HASH_LENGTH && right.length === HASH_LENGTH, 'a node is made of two hashes')
  nodeInput.set(left, 1)
  nodeInput.set(right, 1 + HASH_LENGTH)
  return sha256(nodeInput)
}

/**
 * The next level up of a row of nodes: hashes pairs 0+1, 2+3, … of `row`, a packed array of an even number of hashes.
 * Returns half as many, packed.
 *
 * @param parents - where they go: it may be the first half of `row`
 */
export function hashPairs(row: Uint8Array, parents: Uint8Array = new Uint8Array(row.length / 2)): Uint8Array {
  assert(row.length % (2 * HASH_LENGTH) === 0, 'pairs of whole hashes')
  for (let at = 0; at < row.length; at += 2 * HASH_LENGTH) {
    nodeInput.set(row.subarray(at, at + 2 * HASH_LENGTH), 1)
    sha256Into(nodeInput, parents, at / 2)
  }
  return parents
}
