/**
 * One credential, kept fresh: issued, renewed before it expires, kept while it is valid however often that fails.
 *
 * @module
 */
import { EvidenceError, toHex, UnavailableError } from '../../../merkle/index.ts'
import { MisbehaviourError } from '../../log-client/index.ts'
import type { Issued } from '../request.ts'
import type { ServiceLog } from './log-lines.ts'
import { fraction, isNearExpiry, renewalTime, retryDelay } from './renewal.ts'

/** Calls `then` once, after at least so many milliseconds, unless the function that it returns is called before. */
export type Timer = (milliseconds: number, then: () => void) => () => void

export interface HoldingOptions {
  readonly subject: string
  /** Decides, issues and logs. */
  readonly issue: () => Promise<Issued>
  /** Brings what was issued to where it is used; tried again without issuing again. */
  readonly deliver?: (issued: Issued) => Promise<void>
  /** POSIX seconds after which `issue` cannot succeed any more, however often it is tried: then it is not. */
  readonly worthTryingUntil?: () => number
  /** Whether a refusal may become a yes by itself, as when files are read anew. Otherwise somebody has to bring something else. */
  readonly retryRefusals: boolean
  /** POSIX seconds. */
  readonly now: () => number
  readonly random: (length: number) => Uint8Array
  readonly timer: Timer
  readonly log: ServiceLog
  /** What no retry mends: a bug of ours, or a log that was caught. */
  readonly onFatal: (error: unknown) => void
}

/** Seconds; a timer cannot be set for longer than 24 days, and clocks are set anew. */
const LONGEST_WAIT = 3600

export class Holding {
  readonly #options: HoldingOptions
  #issued: Issued | undefined
  /** Issued and on the log, and not where it is used yet. */
  #undelivered: Issued | undefined
  #renewAt = 0
  #failures = 0
  #exhausted = false
  #attempting: Promise<void> | undefined
  #cancel: (() => void) | undefined
  #stopped = false
  readonly #waiters = new Set<() => void>()

  constructor(options: HoldingOptions) {
    this.#options = options
  }

  /** The newest credential, while it is valid. */
  get issued(): Issued | undefined {
    return this.#issued && this.#options.now() < this.#issued.notAfter ? this.#issued : undefined
  }

  /** POSIX seconds: when a new one will be made, or was to be. */
  get renewAt(): number {
    return this.#renewAt
  }

  /** New results are needed before another can be issued. */
  get exhausted(): boolean {
    return this.#exhausted
  }

  /** The first credential. @throws as `issue` and `deliver`; then nothing is scheduled */
  async first(): Promise<Issued> {
    await this.#once()
    this.#schedule(this.#renewAt - this.#options.now())
    return this.#issued!
  }

  /** Begins, and goes on until it succeeds. */
  start(): void {
    void this.#attempt()
  }

  /** Resolves when there is another credential than the one of `digest`, when the time is up, or when there is nothing to wait for any more. */
  changed(digest: string | undefined, milliseconds: number, gone?: AbortSignal): Promise<void> {
    const { issued } = this
    if (this.#stopped || gone?.aborted || (issued && toHex(issued.digest) !== digest)) return Promise.resolve()
    return new Promise((resolve) => {
      const done = () => {
        cancel()
        gone?.removeEventListener('abort', done)
        this.#waiters.delete(done)
        resolve()
      }
      const cancel = this.#options.timer(milliseconds, done)
      gone?.addEventListener('abort', done)
      this.#waiters.add(done)
    })
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiters.size
  }

  /** Ends what waits, and resolves when what was under way is done. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel?.()
    this.#wake()
    await this.#attempting
  }

  #attempt(): Promise<void> {
    this.#attempting ??= this.#try().finally(() => {
      this.#attempting = undefined
    })
    return this.#attempting
  }

  async #try(): Promise<void> {
    const { now, worthTryingUntil } = this.#options
    if (worthTryingUntil && now() >= worthTryingUntil()) {
      this.#exhaust()
      return
    }
    try {
      await this.#once()
      this.#schedule(this.#renewAt - now())
    } catch (error) {
      this.#failed(error)
    }
  }

  async #once(): Promise<void> {
    const { issue, deliver, now, random, log, subject } = this.#options
    this.#undelivered ??= await issue()
    const issued = this.#undelivered
    await deliver?.(issued)
    this.#undelivered = undefined
    this.#issued = issued
    this.#failures = 0
    // Seen from now: what was delivered late is not renewed at once for that.
    this.#renewAt = Math.max(now() + 1, renewalTime(issued, fraction(random)))
    const { digest, index, notAfter } = issued
    log({ level: 'info', event: 'issued', subject, digest: toHex(digest), index, notAfter })
    this.#wake()
  }

  #failed(error: unknown): void {
    const { now, random, log, subject, onFatal, retryRefusals } = this.#options
    const known = error instanceof EvidenceError || error instanceof UnavailableError
    if (!known || error instanceof MisbehaviourError) {
      onFatal(error)
      return
    }
    if (error instanceof EvidenceError && !retryRefusals) {
      log({ level: 'warn', event: 'renewal_refused', subject, code: error.code, message: error.message })
      this.#exhaust()
      return
    }
    if (this.#undelivered && now() >= this.#undelivered.notAfter) this.#undelivered = undefined
    this.#failures++
    // A refusal is a record on the log each time, and nobody changes a policy within seconds.
    const slower = error instanceof EvidenceError ? 5 : 0
    const atLeast = error instanceof UnavailableError ? error.retryAfter : undefined
    const retryIn = retryDelay(this.#failures + slower, fraction(random), atLeast)
    const event = error instanceof EvidenceError ? 'renewal_refused' : 'renewal_failed'
    const code = error instanceof EvidenceError ? error.code : 'unavailable'
    log({ level: 'warn', event, subject, code, message: error.message, retryIn })
    this.#sound(retryIn)
    this.#schedule(retryIn)
  }

  /** Tries no more, and tells whoever waits. */
  #exhaust(): void {
    const { log, subject } = this.#options
    this.#exhausted = true
    log({ level: 'info', event: 'results_needed', subject })
    this.#wake()
  }

  /** Says loudly what becomes of a workload whose credential is not renewed: in time, as the next attempt may only come after its end. */
  #sound(retryIn: number): void {
    const { now, log, subject } = this.#options
    if (!this.#issued) return
    const { notAfter } = this.#issued
    if (now() >= notAfter) log({ level: 'error', event: 'expired', subject, notAfter })
    else if (isNearExpiry(this.#issued, now() + retryIn))
      log({ level: 'error', event: 'near_expiry', subject, notAfter })
  }

  #schedule(seconds: number): void {
    if (this.#stopped) return
    this.#cancel?.()
    const wait = Math.min(Math.max(seconds, 0), LONGEST_WAIT)
    this.#cancel = this.#options.timer(wait * 1000, () => {
      // It was further off than a timer is set for, or the clock was set back.
      if (wait < seconds) this.#schedule(this.#renewAt - this.#options.now())
      else void this.#attempt()
    })
  }

  #wake(): void {
    for (const done of [...this.#waiters]) done()
  }
}
