/** LevelDB's numbers: seven bits a byte, the lowest first. @module */

export class Varints {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** How many bytes were read. */
  get at(): number {
    return this.#at
  }

  get atEnd(): boolean {
    return this.#at >= this.#bytes.length
  }

  moveTo(at: number): void {
    this.#at = at
  }

  /** Undefined past the end, and for a number that is none of ours: past 2⁵⁶. */
  next(): number | undefined {
    for (let value = 0, scale = 1; !this.atEnd && scale < 2 ** 56; scale *= 128) {
      const byte = this.#bytes[this.#at++]!
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
    return undefined
  }

  /** Bytes behind their length; undefined when they are not all there. */
  slice(): Uint8Array | undefined {
    const length = this.next()
    if (length === undefined || this.#at + length > this.#bytes.length) return undefined
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }
}
