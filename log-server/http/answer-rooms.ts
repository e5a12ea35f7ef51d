/**
 * Memory that large answers are in until they are sent, used again for others. Made anew for each it would be the collector's to find, at the price of
 * sending the answer.
 *
 * @module
 */
import type { ServerResponse } from 'node:http'

/** As many as one client has connections. */
const MAX_SPARE = 8

export class AnswerRooms {
  /** The ones that were needed last, last. */
  readonly #spare: Uint8Array[] = []

  /** So many bytes, written by others before, for what `response` is going to send. */
  take(length: number, response: ServerResponse): Uint8Array {
    const found = this.#spare.findIndex((room) => room.length >= length && room.length <= 2 * length)
    // The next answer is hardly longer, and has room in it.
    const room = this.#spare.splice(found, found < 0 ? 0 : 1)[0] ?? new Uint8Array(Math.ceil(length * 1.125))
    // Every byte is with the kernel then. Where a connection broke before, some may be on their way still: that room is nobody's any more.
    response.once('finish', () => {
      this.#spare.push(room)
      if (this.#spare.length > MAX_SPARE) this.#spare.shift()
    })
    return room.subarray(0, length)
  }
}
