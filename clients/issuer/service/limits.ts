/**
 * How much of the issuer one user may take, and how much is done at a time.
 *
 * @module
 */
import { UnavailableError } from '../../../merkle/index.ts'
import { ServiceError } from './error.ts'

/** As many as the bucket holds at once, and from then on one each so many seconds. */
const BUCKET = 10
const SECONDS_A_TOKEN = 2
/** What is forgotten then is at worst a full bucket. */
const MAX_USERS = 1024

/** A bucket of requests for each user. */
export class RequestRate {
  readonly #now: () => number
  readonly #full = new Map<number, { tokens: number; at: number }>()

  constructor(now: () => number) {
    this.#now = now
  }

  /** @throws {@link ServiceError} `too_many_requests` */
  take(uid: number): void {
    const now = this.#now()
    const { tokens, at } = this.#full.get(uid) ?? { tokens: BUCKET, at: now }
    const filled = Math.min(BUCKET, tokens + Math.max(0, now - at) / SECONDS_A_TOKEN)
    if (filled < 1) {
      throw new ServiceError('too_many_requests', `user ${uid} asks too often`, { retryAfter: SECONDS_A_TOKEN })
    }
    // The one that asked last goes to the end, so that the first is the one that was silent for longest.
    this.#full.delete(uid)
    this.#full.set(uid, { tokens: filled - 1, at: now })
    const [oldest] = this.#full.keys()
    if (this.#full.size > MAX_USERS && oldest !== undefined) this.#full.delete(oldest)
  }
}

/** Runs at most `width` at a time, and lets at most `queue` more wait. */
export class Turnstile {
  readonly #width: number
  readonly #queue: number
  #running = 0
  readonly #waiting: (() => void)[] = []

  constructor({ width, queue }: { width: number; queue: number }) {
    this.#width = width
    this.#queue = queue
  }

  /** @throws `UnavailableError` when too many wait */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#width) {
      if (this.#waiting.length >= this.#queue) {
        throw new UnavailableError('the issuer has more to do than it can', { retryAfter: 5 })
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    } else this.#running++
    try {
      return await task()
    } finally {
      // The turn is handed on: somebody who comes just now does not get in between.
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }
}
