/**
 * When to renew: arithmetic only.
 *
 * ```
 *   issued                    half      two thirds            five sixths      expires
 *   ├──────────────────────────┼────────────┤─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─┼─ ─ ─ ─ ─ ─ ─ ─┤
 *                              │ renewed at │  tried again,       │  and each time  │
 *                              │ a random   │  ever more rarely   │  it is an error │
 *                              │ moment     │                     │  in the logs    │
 * ```
 *
 * The moment is random so that workloads that were started together do not come back together.
 *
 * @module
 */

/** 0 ≤ x < 1, from one byte pair of the caller's randomness. */
export function fraction(random: (length: number) => Uint8Array): number {
  const [high = 0, low = 0] = random(2)
  return (high * 256 + low) / 65_536
}

export interface Validity {
  /** POSIX seconds. */
  readonly notBefore: number
  readonly notAfter: number
}

/** POSIX seconds. @param jitter - 0 ≤ jitter < 1 */
export function renewalTime({ notBefore, notAfter }: Validity, jitter: number): number {
  return notBefore + Math.floor((notAfter - notBefore) * (1 / 2 + jitter / 6))
}

/** Whether a credential that is not renewed now is worth an alarm. */
export function isNearExpiry({ notBefore, notAfter }: Validity, now: number): boolean {
  return now >= notBefore + ((notAfter - notBefore) * 5) / 6
}

const LONGEST_RETRY = 300

/**
 * Seconds until the next attempt: doubling from one second to five minutes, and spread over the half of that.
 *
 * @param failures - how many there were in a row, at least 1
 * @param atLeast - what the other side asked for
 */
export function retryDelay(failures: number, jitter: number, atLeast = 0): number {
  const longest = Math.min(LONGEST_RETRY, 2 ** Math.min(failures - 1, 16))
  return Math.max(1, Math.min(atLeast, LONGEST_RETRY), Math.ceil(longest * (1 / 2 + jitter / 2)))
}
