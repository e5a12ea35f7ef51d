/**
 * A workload's credential over time: the newest good one, whatever becomes of the attempts to get a newer one.
 *
 * ```ts
 * const source = await CredentialSource.open({ load: () => loadFromDirectory(dir, { now: now() }), timer, onProblem })
 * source.current.text       // at any time: whole, and never half of another
 * ```
 *
 * It asks again every few seconds rather than watching the directory: watches are lost on network file systems and when directories are
 * replaced, and one readlink(2) costs nothing.
 *
 * @module
 */
import type { OwnCredential } from './credential.ts'

/** Calls `then` once, after at least so many milliseconds, unless the function that it returns is called before. */
export type Timer = (milliseconds: number, then: () => void) => () => void

export const systemTimer: Timer = (milliseconds, then) => {
  const timer = setTimeout(then, milliseconds)
  return () => clearTimeout(timer)
}

export interface SourceOptions<T extends OwnCredential> {
  /** The credential there is now, checked; the same object, or an equal one, while it has not changed. */
  readonly load: () => Promise<T>
  /** Milliseconds between two looks; 5 s when not given. */
  readonly interval?: number
  readonly timer?: Timer
  /** Called after {@link CredentialSource.current} has become another credential. */
  readonly onChange?: (credential: T) => void
  /** A look that failed: the credential from before is kept. */
  readonly onProblem?: (error: unknown) => void
}

export class CredentialSource<T extends OwnCredential> {
  readonly #options: SourceOptions<T>
  readonly #timer: Timer
  #current: T
  #looking: Promise<void> | undefined
  #cancel: (() => void) | undefined
  #closed = false

  private constructor(options: SourceOptions<T>, first: T) {
    this.#options = options
    this.#timer = options.timer ?? systemTimer
    this.#current = first
    this.#wait()
  }

  /** @throws whatever the first `load` throws: a workload without any credential does not start */
  static async open<T extends OwnCredential>(options: SourceOptions<T>): Promise<CredentialSource<T>> {
    return new CredentialSource(options, await options.load())
  }

  /** The last good one. It may have expired since: `credential.notAfter` says when it does. */
  get current(): T {
    return this.#current
  }

  /** Looks now. One look at a time: whoever asks meanwhile waits for the same. */
  refresh(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  /** Looks no more. */
  close(): void {
    this.#closed = true
    this.#cancel?.()
  }

  async #look(): Promise<void> {
    let found: T
    try {
      found = await this.#options.load()
    } catch (error) {
      this.#options.onProblem?.(error)
      return
    }
    if (this.#closed || found.text === this.#current.text) return
    this.#current = found
    this.#options.onChange?.(found)
  }

  #wait(): void {
    if (this.#closed) return
    this.#cancel = this.#timer(this.#options.interval ?? 5_000, () => {
      void this.refresh().then(() => this.#wait())
    })
  }
}
