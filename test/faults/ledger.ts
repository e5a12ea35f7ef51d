/**
 * What a client keeps who believes nothing: each receipt, each checkpoint, and what it asked for and heard nothing of.
 *
 * It lives in the harness and outlives every server. {@link Ledger.compare} holds it against all that a log has: the tree is computed from the
 * entries, and what was signed for any size must be the root of that many of them.
 *
 * @module
 */
import {
  appendLeaf,
  EMPTY_RANGE,
  equalBytes,
  type Hash,
  hashLeaf,
  type NoteVerifier,
  openCheckpoint,
  rangeRoot,
  toHex,
} from '../../merkle/index.ts'
import { parseReceipt, type VerificationKey, verifyReceipt } from '../../statement/index.ts'
import { Violation } from './violation.ts'

/** What a client of the log pins, from `init`. */
export interface Pinned {
  readonly origin: string
  readonly verifier: NoteVerifier
  readonly receiptKey: VerificationKey
}

interface Kept {
  readonly entry: Hash
  readonly index: number
  readonly receipt: Uint8Array
}

/** All that a log says it has. */
export interface Whole {
  readonly checkpoint: string
  readonly entries: readonly Hash[]
}

export class Ledger {
  readonly pinned: Pinned
  readonly #receipts = new Map<string, Kept>()
  /** Roots by size, of checkpoints and of receipts. */
  readonly #roots = new Map<number, Hash>()
  /** By entry: statements that were sent, and of which nothing is known. */
  readonly #doubtful = new Map<string, Uint8Array>()
  #newest = 0

  constructor(pinned: Pinned) {
    this.pinned = pinned
  }

  /** For another run from the same directory. */
  clone(): Ledger {
    const copy = new Ledger(this.pinned)
    for (const [name, kept] of this.#receipts) copy.#receipts.set(name, kept)
    for (const [size, root] of this.#roots) copy.#roots.set(size, root)
    for (const [name, statement] of this.#doubtful) copy.#doubtful.set(name, statement)
    copy.#newest = this.#newest
    return copy
  }

  /** The largest tree that anybody was shown. Whoever asks from now on must be shown one that is no smaller. */
  get newest(): number {
    return this.#newest
  }

  get acknowledged(): number {
    return this.#receipts.size
  }

  /** Trees of which something signed was seen. */
  get trees(): number {
    return this.#roots.size
  }

  /** Sent, and not answered with a receipt: to be sent again, which must not log it twice. */
  get doubtful(): readonly Uint8Array[] {
    return [...this.#doubtful.values()]
  }

  get receipts(): readonly Kept[] {
    return [...this.#receipts.values()]
  }

  sent(entry: Hash, statement: Uint8Array): void {
    this.#doubtful.set(toHex(entry), statement)
  }

  /** Refused for good: it must not be logged, and needs not be sent again. */
  refused(entry: Hash): void {
    this.#doubtful.delete(toHex(entry))
  }

  /** What the log answered a registration with. @throws {@link Violation} I4, I2, I8 */
  async keep(entry: Hash, receipt: Uint8Array): Promise<void> {
    const { index, size, root } = await this.#verify(entry, receipt)
    const name = toHex(entry)
    const before = this.#receipts.get(name)
    if (before && before.index !== index) {
      throw new Violation('I4', `${name} was at ${before.index}, and is said to be at ${index}`)
    }
    this.#signed(size, root)
    // The first one is kept: it is the oldest promise.
    if (!before) this.#receipts.set(name, { entry, index, receipt })
    this.#doubtful.delete(name)
  }

  /**
   * A checkpoint that somebody was shown.
   *
   * @param atLeast - {@link newest} when it was asked for
   * @throws {@link Violation} I2, I3, I8
   */
  see(note: string, atLeast: number): number {
    const { size, root } = this.#open(note)
    if (size < atLeast) throw new Violation('I3', `a checkpoint of ${size} after one of ${atLeast}`)
    this.#signed(size, root)
    return size
  }

  /** @returns how many receipts were verified again @throws {@link Violation} */
  async compare({ checkpoint, entries }: Whole): Promise<number> {
    const { size } = this.#open(checkpoint)
    if (size !== entries.length) throw new Violation('I8', `${entries.length} entries under a checkpoint of ${size}`)
    if (size < this.#newest) throw new Violation('I3', `the log has ${size} entries, and had shown ${this.#newest}`)
    this.see(checkpoint, this.#newest)

    const places = new Map<string, number>()
    let range = EMPTY_RANGE
    let matched = 0
    for (const [index, entry] of entries.entries()) {
      const before = places.get(toHex(entry))
      if (before !== undefined) throw new Violation('I4', `${toHex(entry)} is at ${before} and at ${index}`)
      places.set(toHex(entry), index)
      range = appendLeaf(range, hashLeaf(entry))
      const signed = this.#roots.get(index + 1)
      if (!signed) continue
      matched++
      if (!equalBytes(signed, rangeRoot(range))) {
        throw new Violation('I6', `what was signed for size ${index + 1} is no beginning of the tree of ${size}`)
      }
    }
    if (matched !== this.#roots.size) throw new Violation('I6', 'a tree was signed that is larger than the newest')

    for (const { entry, index, receipt } of this.#receipts.values()) {
      const at = places.get(toHex(entry))
      if (at === undefined) throw new Violation('I1', `entry ${index}, ${toHex(entry)}, is not in the tree of ${size}`)
      if (at !== index) throw new Violation('I4', `${toHex(entry)} was acknowledged at ${index}, and is at ${at}`)
      const again = await this.#verify(entry, receipt)
      if (again.index !== index) throw new Violation('I5', `a receipt of ${index} says ${again.index} now`)
    }
    return this.#receipts.size
  }

  #signed(size: number, root: Hash): void {
    const before = this.#roots.get(size)
    if (before && !equalBytes(before, root)) throw new Violation('I2', `two roots were signed for size ${size}`)
    this.#roots.set(size, root)
    this.#newest = Math.max(this.#newest, size)
  }

  async #verify(entry: Hash, receipt: Uint8Array) {
    try {
      return await verifyReceipt(parseReceipt(receipt), entry, this.pinned.receiptKey, this.pinned)
    } catch (cause) {
      throw new Violation('I8', `a receipt of ${toHex(entry)} does not verify: ${(cause as Error).message}`, { cause })
    }
  }

  #open(note: string) {
    try {
      return openCheckpoint(note, { origin: this.pinned.origin, verifiers: [this.pinned.verifier] })
    } catch (cause) {
      throw new Violation('I8', `a checkpoint does not verify: ${(cause as Error).message}`, { cause })
    }
  }
}
