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
  /** Proofs remembered at one time. 262,144 take 26 MB, and are 2,900 a second of a minute and a half each. */
  readonly total?: number
  /** Of one sender: one workload that sends without end does not keep the others out. */
  readonly perSender?: number
}

/** Proofs that are forgotten together. */
interface Period {
  size: number
  readonly bySender: Map<string, Set<string>>
}

/** Seconds. Forgetting takes a step for each period and not for each proof; knowing a proof, one for each that is live. */
const PERIOD = 16

/**
 * A bounded memory in one process. When it is full it refuses, and forgets nothing that is still good: who can fill a cache that
 * forgets can have the proof forgotten that he wants to send again.
 *
 * A process that starts knows nothing: what was proven to the one before it can be proven to this one once more, until it ends.
 */
export class MemoryReplayCache implements ReplayCache {
  readonly #limits: Required<ReplayCacheLimits>
  /** By the second at which they are forgotten. As many as fit in the life of a proof: some twenty. */
  readonly #periods = new Map<number, Period>()
  #size = 0
  /** The latest moment that was heard of. What ended before it may be forgotten. */
  #latest = Number.NEGATIVE_INFINITY

  constructor({ total = 262_144, perSender = 65_536 }: ReplayCacheLimits = {}) {
    this.#limits = { total, perSender }
  }

  /** Proofs remembered now. */
  get size(): number {
    return this.#size
  }

  isFirstUse({ sender, id, until, now }: ProofUse): boolean {
    assert(Number.isFinite(until) && Number.isFinite(now), 'a proof ends')
    this.#forget(now)
    // A clock that was set back makes proofs good again that ended, and were forgotten.
    if (until <= this.#latest) throw new UnavailableError('this proof ended, by a clock that has been set back since')

    let known = 0
    for (const { bySender } of this.#periods.values()) {
      const seen = bySender.get(sender)
      if (seen?.has(id)) return false
      known += seen?.size ?? 0
    }
    if (this.#size >= this.#limits.total || known >= this.#limits.perSender) {
      const retryAfter = Math.max(1, Math.ceil(Math.min(...this.#periods.keys()) - now))
      throw new UnavailableError('too many proofs are remembered to take another', { retryAfter })
    }
    this.#remember(Math.ceil(until / PERIOD) * PERIOD, sender, id)
    return true
  }

  #remember(end: number, sender: string, id: string): void {
    const period = this.#periods.get(end) ?? { size: 0, bySender: new Map<string, Set<string>>() }
    this.#periods.set(end, period)
    const seen = period.bySender.get(sender)
    if (seen) seen.add(id)
    else period.bySender.set(sender, new Set([id]))
    period.size++
    this.#size++
  }

  #forget(now: number): void {
    if (now <= this.#latest) return
    this.#latest = now
    for (const [end, { size }] of this.#periods) {
      if (end > now) continue
      this.#periods.delete(end)
      this.#size -= size
    }
  }
}
