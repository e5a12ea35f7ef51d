/**
 * What phase 1 leaves for phase 2: of each bundle of entries 64 bytes, by which statements are held against the tree that was signed.
 *
 * Keeping the bundles would take 34 bytes an entry. The statements give the entries again; only where the log has no statement, or another
 * one, the bundle is asked for a second time, and must be the one that was hashed.
 *
 * @module
 */
import {
  appendLeaves,
  appendSubtree,
  type CompactRange,
  decodeEntryBundle,
  equalBytes,
  HASH_LENGTH,
  type Hash,
  sha256,
  TILE_WIDTH,
  toHex,
  type VerifiedCheckpoint,
} from '../../merkle/index.ts'
import { MisbehaviourError } from '../log-client/index.ts'
import { readBundle } from './replay-hashes.ts'
import type { CheckedBundle } from './signature-threads.ts'

const BUNDLE_LEVEL = 8

export class SeenBundles {
  readonly #checkpoint: VerifiedCheckpoint
  readonly #first: number
  /** SHA-256 of each, and the root over each. */
  readonly #digests: Uint8Array
  readonly #roots: Uint8Array
  /** Leaf hashes of the two that may not be whole. */
  readonly #leaves = new Map<number, Uint8Array>()

  /** @param first - of the bundles that will be seen */
  constructor(checkpoint: VerifiedCheckpoint, first: number) {
    const bundles = Math.ceil(checkpoint.size / TILE_WIDTH) - first
    this.#checkpoint = checkpoint
    this.#first = first
    this.#digests = new Uint8Array(Math.max(0, bundles) * HASH_LENGTH)
    this.#roots = new Uint8Array(this.#digests.length)
  }

  see(index: number, bytes: Uint8Array): void {
    this.#digests.set(sha256(bytes), (index - this.#first) * HASH_LENGTH)
  }

  /** @param hashes one for a whole bundle, otherwise those of its new leaves */
  seeHashes(index: number, hashes: Uint8Array, whole: boolean): void {
    if (whole) this.#roots.set(hashes, (index - this.#first) * HASH_LENGTH)
    else this.#leaves.set(index, hashes)
  }

  /** The tree with the entries of a bundle. */
  append(range: CompactRange, index: number): CompactRange {
    const leaves = this.#leaves.get(index)
    if (leaves) return appendLeaves(range, leaves)
    const at = (index - this.#first) * HASH_LENGTH
    return appendSubtree(range, BUNDLE_LEVEL, this.#roots.slice(at, at + HASH_LENGTH))
  }

  /**
   * All entries of a bundle.
   *
   * @param served - what the log shows for each
   * @throws `MisbehaviourError` `entry_mismatch`, `not_served`
   */
  async entriesOf(
    index: number,
    served: Pick<CheckedBundle, 'count' | 'entryAt' | 'entryBundle'>,
    source: { entryBundle(index: number, width: number): Promise<Uint8Array> },
  ): Promise<readonly Hash[]> {
    const at = (index - this.#first) * HASH_LENGTH
    const digest = this.#digests.subarray(at, at + HASH_LENGTH)
    const { count, entryBundle } = served
    // Where something is gone it has zeros, and so is another bundle, unless the log signed zeros there.
    if (equalBytes(sha256(entryBundle), digest)) return decodeEntryBundle(entryBundle, count)
    const { origin, note } = this.#checkpoint
    const bytes = await readBundle(source, this.#checkpoint, index, count)
    if (!equalBytes(sha256(bytes), digest)) {
      const evidence = { origin, after: note, bundle: String(index), got: toHex(sha256(bytes)) }
      throw new MisbehaviourError(
        'entry_mismatch',
        `the log shows another bundle ${index} than a moment before`,
        evidence,
      )
    }
    const entries = decodeEntryBundle(bytes, count)
    for (const [i, entry] of entries.entries()) {
      const got = served.entryAt(i)
      if (got === undefined || equalBytes(got, entry)) continue
      const place = index * TILE_WIDTH + i
      throw new MisbehaviourError(
        'entry_mismatch',
        `the log serves another statement for entry ${place} than it signed`,
        { origin, after: note, index: String(place), expected: toHex(entry), got: toHex(got) },
      )
    }
    return entries
  }
}
