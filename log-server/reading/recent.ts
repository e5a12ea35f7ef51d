/**
 * The values that were asked for last, up to so many bytes. For tiles and bundles, which never change once they are full.
 *
 * @module
 */

export class Recent {
  readonly #maxBytes: number
  #bytes = 0
  /** Least recently used first: a Map keeps the order of insertion. */
  readonly #values = new Map<string, Uint8Array>()

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** The value of `key`, from here or from `load`; what `load` does not find is not remembered. */
  async get(key: string, load: () => Promise<Uint8Array | undefined>): Promise<Uint8Array | undefined> {
    const value = this.#values.get(key) ?? (await load())
    if (value) this.#use(key, value)
    return value
  }

  #use(key: string, value: Uint8Array): void {
    // Two may have loaded the same at one time.
    if (!this.#values.delete(key)) this.#bytes += value.length
    this.#values.set(key, value)
    for (const [oldest, { length }] of this.#values) {
      if (this.#bytes <= this.#maxBytes) break
      this.#values.delete(oldest)
      this.#bytes -= length
    }
  }
}
