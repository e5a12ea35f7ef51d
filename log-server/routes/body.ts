/**
 * Request bodies, counted as they arrive.
 *
 * What a client says it will send bounds nothing: a few connections that claim much and send nothing would take the room of everybody
 * else. What has arrived is memory, and whoever fills it had to send it.
 *
 * @module
 */
import type { IncomingMessage } from 'node:http'
import { RequestError } from '../problem.ts'
import { BusyError, LogError } from '../types.ts'

/** Room for bodies on their way in. A body that is whole is admission's to count. */
export class BodyRoom {
  readonly #maxBytes: number
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** @throws {@link BusyError} `queue_full` */
  take(bytes: number): void {
    if (this.#bytes + bytes > this.#maxBytes) throw new BusyError('queue_full', 'too many bodies are on their way')
    this.#bytes += bytes
  }

  giveBack(bytes: number): void {
    this.#bytes -= bytes
  }
}

/**
 * A body of at most `limit` bytes, whole.
 *
 * @throws {@link LogError} `too_large`, as soon as it is known; {@link BusyError} `queue_full`; {@link RequestError} `malformed_request`
 */
export function readBody(payload: IncomingMessage, limit: number, room?: BodyRoom): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    let done = false
    function end(error?: unknown): void {
      if (done) return
      done = true
      room?.giveBack(length)
      if (error === undefined) resolve(wholeOf(chunks, length))
      else reject(error as Error)
      chunks.length = 0
    }
    const tooLarge = () => new LogError('too_large', `a body of more than ${limit} bytes`)
    if (Number(payload.headers['content-length']) > limit) end(tooLarge())
    payload.on('data', (chunk: Buffer) => {
      // What comes after a refusal is dropped: the connection ends with the answer.
      if (done) return
      if (length + chunk.length > limit) {
        end(tooLarge())
        return
      }
      try {
        room?.take(chunk.length)
      } catch (error) {
        end(error)
        return
      }
      length += chunk.length
      chunks.push(chunk)
    })
    payload.on('end', () => end())
    payload.on('error', () => end(brokenOff()))
    // After every request, and an error that nobody hears of takes 10 µs to make.
    payload.on('close', () => {
      if (!done) end(brokenOff())
    })
  })
}

function brokenOff(): RequestError {
  return new RequestError('malformed_request', 'the connection ended within the body')
}

/** A copy: a chunk may be a view of what the socket reads into. */
function wholeOf(chunks: readonly Buffer[], length: number): Uint8Array {
  const { buffer, byteOffset } = Buffer.concat(chunks, length)
  return new Uint8Array(buffer, byteOffset, length)
}
