/**
 * Which proofs were seen before: a proof that is good once is good again until it ends, for whoever copied it.
 *
 * @module
 */
import { assert, UnavailableError } from '../../merkle/error.ts'

/** One use of a proof. */
export interface ProofUse {
  /** The workload whose proof it is, by identifier: what the bounds are counted by. */
  readonly sender: string
  /** Distinguishes this proof from all others of its sender: short, whatever was sent. */
  readonly id: string
  /** POSIX seconds. From then on the proof is refused without this cache. */
  readonly until: number
  /** POSIX seconds. */
  readonly now: number
}

/** A memory of proofs, of one process or shared by several. */
export interface ReplayCache {
  /**
   * Whether this is the first use; remembers it if so. One step: of two concurrent uses, one is the first.
   *
   * @throws UnavailableError when it cannot tell
   */
  isFirstUse(use: ProofUse): boolean | Promise<boolean>
}

export interface ReplayCacheLimits {
  /** Proofs remembered at one time. 65,536 take about 10 MB. */
  readonly total?: number
  /** Of one sender: one workload that sends without end does not keep the others out. */
  readonly perSender?: number
}

/**
 * A bounded memory in one process. When it is full it refuses, and forgets nothing that is still good: who can fill a cache that
 * forgets can have the proof forgotten that he wants to send again.
 *
 * A process that starts knows nothing: what was proven to the one before it can be proven to this one once more, until it ends.
 */
export class MemoryReplayCache implements ReplayCache {
  readonly #limits: Required<ReplayCacheLimits>
  /** By second in which they end. There are only as many seconds as a proof may live. */
  readonly #ending = new Map<number, ProofUse[]>()
  readonly #bySender = new Map<string, Set<string>>()
  #size = 0
  /** The latest moment that was heard of. What ended before it is forgotten. */
  #latest = Number.NEGATIVE_INFINITY

  constructor({ total = 65_536, perSender = 4096 }: ReplayCacheLimits = {}) {
    this.#limits = { total, perSender }
  }

  /** Proofs remembered now. */
  get size(): number {
    return this.#size
  }

  isFirstUse(use: ProofUse): boolean {
    const { sender, id, until, now } = use
    assert(Number.isSafeInteger(until) && Number.isFinite(now), 'a proof ends in whole seconds')
    this.#forget(now)
    // A clock that was set back makes proofs good again that ended, and were forgotten.
    if (until <= this.#latest) throw new UnavailableError('this proof ended, by a clock that has been set back since')

    const seen = this.#bySender.get(sender)
    if (seen?.has(id)) return false
    if (this.#size >= this.#limits.total || (seen?.size ?? 0) >= this.#limits.perSender) {
      const retryAfter = Math.max(1, Math.ceil(Math.min(...this.#ending.keys()) - now))
      throw new UnavailableError('too many proofs are remembered to take another', { retryAfter })
    }
    if (seen) seen.add(id)
    else this.#bySender.set(sender, new Set([id]))
    const ending = this.#ending.get(until)
    if (ending) ending.push(use)
    else this.#ending.set(until, [use])
    this.#size++
    return true
  }

  #forget(now: number): void {
    if (now <= this.#latest) return
    this.#latest = now
    for (const [until, uses] of this.#ending) {
      if (until > now) continue
      this.#ending.delete(until)
      this.#size -= uses.length
      for (const { sender, id } of uses) {
        const seen = this.#bySender.get(sender)
        seen?.delete(id)
        if (seen?.size === 0) this.#bySender.delete(sender)
      }
    }
  }
}
