/**
 * Holds a request against the limits of whoever sent it, and counts what it took when its connection has its answer.
 *
 * What says whether the server is alive costs less than to refuse it, and is asked by whoever would take the server out of service: it is not
 * counted.
 *
 * @module
 */
import type { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { operationOf } from '../http/openapi.ts'
import type { Caller } from './caller.ts'
import type { Limits } from './limits.ts'

/** What was counted of a connection: its requests come one after another, and what was between two of them counts for the next. */
const counted = new WeakMap<Socket, number>()

/**
 * @param caller - as far as known; whoever is not counts by address
 * @throws RequestError `too_many_requests`
 */
export function limitRequest(
  limits: Limits,
  request: Pick<FastifyRequest, 'raw' | 'routeOptions'>,
  { raw: response }: Pick<FastifyReply, 'raw'>,
  caller?: Pick<Caller, 'identifier' | 'trustDomain'>,
): void {
  if (operationOf(request)?.tags[0] === 'operations') return
  const { socket } = request.raw
  const { identifier, trustDomain } = caller ?? {}
  const pass = limits.enter(
    identifier === undefined || trustDomain === undefined
      ? { address: socket.remoteAddress }
      : { identifier, trustDomain },
  )
  // Of an answer that nobody waited for, too.
  response.once('close', () => {
    const taken = socket.bytesRead + socket.bytesWritten
    pass.leave(taken - (counted.get(socket) ?? 0))
    counted.set(socket, taken)
  })
}
