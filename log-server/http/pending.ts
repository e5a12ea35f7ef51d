/**
 * Registrations whose client was sent away to ask again (SCRAPI's 303): those under way, and those refused since.
 *
 * ```
 *   POST ─ past its deadline ─► 303    under way ─┬─► on the log: forgotten here, readers find it there
 *                                 GET ─► 302      └─► refused:    kept for a while, for the client to hear of
 * ```
 *
 * Memory only, and no promise: a 303 says that somebody is looking, not that the statement is or will be on the log. After a restart,
 * or when many were refused since, nothing is known of it here, and the same statement may be posted again at no risk.
 *
 * @module
 */
import type { Clock } from '../types.ts'

export interface PendingOptions {
  readonly now: Clock
  /** Refusals kept at most; the oldest are forgotten first. */
  readonly maxRefusals?: number
  /** Seconds for which a refusal is kept. */
  readonly keepRefusals?: number
}

interface Refusal {
  readonly error: unknown
  /** Kept until, by the clock. */
  readonly until: number
}

export class PendingRegistrations {
  readonly #now: Clock
  readonly #maxRefusals: number
  readonly #keepRefusals: number
  /** By entry, in hex: how many posts of it are under way. Bounded by what admission takes at one time. */
  readonly #underWay = new Map<string, number>()
  /** In the order in which they were refused. */
  readonly #refusals = new Map<string, Refusal>()

  constructor({ now, maxRefusals = 4096, keepRefusals = 600 }: PendingOptions) {
    this.#now = now
    this.#maxRefusals = maxRefusals
    this.#keepRefusals = keepRefusals
  }

  /** Remembers that `entry` is being registered until `registration` settles, and why it was refused, if it is. Never rejects. */
  async follow(entry: string, registration: Promise<unknown>): Promise<void> {
    this.#underWay.set(entry, (this.#underWay.get(entry) ?? 0) + 1)
    // Whatever was said before is being asked again.
    this.#refusals.delete(entry)
    try {
      await registration
    } catch (error) {
      this.#refuse(entry, error)
    } finally {
      const others = this.#underWay.get(entry)! - 1
      if (others > 0) this.#underWay.set(entry, others)
      else this.#underWay.delete(entry)
    }
  }

  isUnderWay(entry: string): boolean {
    return this.#underWay.has(entry)
  }

  /** What the post of `entry` would have been answered with, had its client waited; undefined when nothing is known. */
  refusalOf(entry: string): unknown {
    this.#forget()
    return this.#refusals.get(entry)?.error
  }

  #refuse(entry: string, error: unknown): void {
    this.#refusals.delete(entry)
    this.#refusals.set(entry, { error, until: this.#now() + this.#keepRefusals })
    this.#forget()
  }

  #forget(): void {
    const now = this.#now()
    for (const [entry, { until }] of this.#refusals) {
      if (until > now && this.#refusals.size <= this.#maxRefusals) return
      this.#refusals.delete(entry)
    }
  }
}
