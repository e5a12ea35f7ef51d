/**
 * What came over a connection and was copied to where it belongs.
 *
 * Each piece is an array of its own, twice: as the socket read it, and as the parser of HTTP gave it out. Left to the collector they have it look through
 * all of the heap for every eight megabytes that come, for it counts what arrays have outside of the heap.
 *
 * @module
 */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { MessageChannel } from 'node:worker_threads'

/** For one answer. */
export class Spent {
  readonly #socket: Socket
  readonly #buffers = new Set<ArrayBufferLike>()

  constructor(incoming: IncomingMessage) {
    // Of the message it is gone when the connection is free for another request.
    this.#socket = incoming.socket
    // After the parser, which has read it by then.
    this.#socket.on('data', this.add)
  }

  readonly add = ({ buffer, byteLength }: Uint8Array): void => {
    if (byteLength === buffer.byteLength) this.#buffers.add(buffer)
  }

  /** At the end of the answer, and not of a piece of it: until then the parser may be at work on that. */
  letGo(): void {
    this.leave()
    nowhere.postMessage(undefined, [...this.#buffers] as ArrayBuffer[])
  }

  /** Leaves it to the collector. */
  leave(): void {
    this.#socket.off('data', this.add)
  }
}

/** Whoever transfers an array to a port that is closed has it no more, and nor has anybody else. */
const { port1: nowhere } = new MessageChannel()
nowhere.close()
