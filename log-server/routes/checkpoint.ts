/**
 * GET /checkpoint — the last signed tree head, as a signed note (c2sp.org/tlog-checkpoint).
 *
 * @module
 */
import type { FastifyPluginAsync } from 'fastify'
import type { LogReader } from '../types.ts'

export const checkpointRoutes: FastifyPluginAsync<{ log: Pick<LogReader, 'checkpoint'> }> = async (app, { log }) => {
  app.get('/checkpoint', async (_request, reply) => {
    // The specification allows a few seconds of caching. We allow none: whoever registered a moment ago must find the tree
    // that his receipt is of.
    return reply.type('text/plain; charset=utf-8').header('cache-control', 'no-store').send(log.checkpoint())
  })
}
