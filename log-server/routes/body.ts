/**
 * Request bodies, counted as they arrive.
 *
 * What a client says it will send bounds nothing: a few connections that claim much and send nothing would take the room of everybody
 * else. What has arrived is memory, and whoever fills it had to send it. Of that each caller has a share (`shared-room.ts`).
 *
 * @module
 */
import type { IncomingMessage } from 'node:http'
import type { FastifyRequest } from 'fastify'
import { RequestError } from '../problem.ts'
import { SharedRoom } from '../shared-room.ts'
import { BusyError, LogError } from '../types.ts'

/** Room for bodies on their way in, of one caller. A body that is whole is admission's to count. */
export interface BodyRoom {
  readonly room: SharedRoom
  readonly caller: string
}

/** Of one application, for all of its routes. */
export function roomForBodies(): SharedRoom {
  return new SharedRoom({ count: Number.POSITIVE_INFINITY, bytes: MAX_BODIES_BYTES })
}

const MAX_BODIES_BYTES = 64 * 1024 * 1024

/**
 * A body of at most `limit` bytes, whole.
 *
 * @throws {@link LogError} `too_large`, as soon as it is known; {@link BusyError} `queue_full`; {@link RequestError} `malformed_request`
 */
export function readBody(payload: IncomingMessage, limit: number, { room, caller }: BodyRoom): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    let done = false
    function end(error?: unknown): void {
      if (done) return
      done = true
      if (length > 0) room.giveBack(caller, 0, length)
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
      if (!room.take(caller, 0, chunk.length)) {
        end(new BusyError('queue_full', 'too many bodies are on their way'))
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

/** What a client says it will send, up to what it may: enough to be refused for, and no more than that. */
export function announcedBytes({ headers }: Pick<FastifyRequest, 'headers'>, limit: number): number {
  return Math.min(Number(headers['content-length'] ?? 0), limit)
}

function brokenOff(): RequestError {
  return new RequestError('malformed_request', 'the connection ended within the body')
}

/** A copy: a chunk may be a view of what the socket reads into. */
function wholeOf(chunks: readonly Buffer[], length: number): Uint8Array {
  const { buffer, byteOffset } = Buffer.concat(chunks, length)
  return new Uint8Array(buffer, byteOffset, length)
}
