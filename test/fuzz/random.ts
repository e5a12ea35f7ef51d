/**
 * Numbers that look random and are the same for the same seed: a failure can be had again.
 *
 * @module
 */

/** mulberry32: 32 bits of state, which is enough to choose where to put a byte. Nothing here is a secret. */
export class Random {
  #state: number

  /** @param stream what it is for: two streams of one seed have nothing to do with each other */
  constructor(seed: number, stream = '') {
    let state = seed | 0
    for (const char of stream) state = Math.imul(state ^ char.codePointAt(0)!, 0x01000193)
    this.#state = state
  }

  /** 0 to below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }

  /** An integer from 0 to below `n`; 0 when there is nothing below. */
  below(n: number): number {
    return Math.floor(this.next() * n)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256))
  }
}
