/**
 * The root of the tree at any size that it ever had, out of its entries.
 *
 * Perfect subtrees of 256 entries and more are remembered: a log without audit reports costs nothing, and one with many of them
 * one hash for each entry, and for each report some hundreds.
 *
 * @module
 */
import { assert, coverRange, foldCover, type Hash, hashLeaf, hashNode } from '../../merkle/index.ts'

/** 2^8 entries. */
const BUNDLE_LEVEL = 8

export class Roots {
  readonly #entryAt: (index: number) => Hash
  /** Subtrees of {@link BUNDLE_LEVEL} and above, by index · 64 + level. */
  readonly #kept = new Map<number, Hash>()

  constructor(entryAt: (index: number) => Hash) {
    this.#entryAt = entryAt
  }

  /** @param size - at least 1, and no more than there are entries */
  of(size: number): Hash {
    assert(size > 0, 'the root of an empty tree is nobody’s question')
    return foldCover(coverRange(0, size).map(({ level, index }) => this.#node(level, index)))
  }

  #node(level: number, index: number): Hash {
    if (level === 0) return hashLeaf(this.#entryAt(index))
    const key = 64 * index + level
    const known = this.#kept.get(key)
    if (known) return known
    const hash = hashNode(this.#node(level - 1, 2 * index), this.#node(level - 1, 2 * index + 1))
    if (level >= BUNDLE_LEVEL) this.#kept.set(key, hash)
    return hash
  }
}
