/**
 * GET /checkpoint — the last signed tree head, as a signed note (c2sp.org/tlog-checkpoint).
 *
 * @module
 */
import type { FastifyPluginAsync } from 'fastify'
import { bytes, operation } from '../openapi.ts'
import type { LogReader } from '../types.ts'

const schema = operation({
  operationId: 'getCheckpoint',
  tags: ['C2SP tlog-tiles'],
  summary: 'The newest tree head, as a signed note.',
  answers: { 200: bytes('A checkpoint (c2sp.org/tlog-checkpoint).', 'text/plain') },
})

export const checkpointRoutes: FastifyPluginAsync<{ log: Pick<LogReader, 'checkpoint'> }> = async (app, { log }) => {
  app.get('/checkpoint', { schema }, async (_request, reply) => {
    // The specification allows a few seconds of caching. We allow none: whoever registered a moment ago must find the tree
    // that his receipt is of.
    return reply.type('text/plain; charset=utf-8').header('cache-control', 'no-store').send(log.checkpoint())
  })
}
