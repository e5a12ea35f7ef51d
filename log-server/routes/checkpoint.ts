/**
 * GET /checkpoint — the last signed tree head, as a signed note (c2sp.org/tlog-checkpoint).
 *
 * @module
 */
import type { FastifyPluginAsync } from 'fastify'
import { utf8 } from '../../merkle/bytes.ts'
import { bytes, operation } from '../http/openapi.ts'
import type { LogReader } from '../types.ts'
import { inMemory, sendRepresentation } from './representation.ts'

const schema = operation({
  operationId: 'getCheckpoint',
  access: 'read:general',
  tags: ['C2SP tlog-tiles'],
  summary: 'The newest tree head, as a signed note.',
  requestHeaders: { 'If-None-Match': 'The entity tag of the checkpoint that is known.' },
  answers: {
    200: bytes('A checkpoint (c2sp.org/tlog-checkpoint).', 'text/plain'),
    304: { description: 'There is no newer one.' },
  },
})

/**
 * The specification allows a few seconds of caching. We allow none unasked: whoever registered a moment ago must find the tree that his
 * receipt is of. But `no-cache`, which keeps and asks, not `no-store`, which forgets: followers ask every few seconds, and what they have
 * is most often the newest still.
 */
const ABOUT = { type: 'text/plain; charset=utf-8', cacheControl: 'no-cache' }

export const checkpointRoutes: FastifyPluginAsync<{ log: Pick<LogReader, 'checkpoint'> }> = async (app, { log }) => {
  app.route({
    method: ['GET', 'HEAD'],
    url: '/checkpoint',
    schema,
    handler: (request, reply) => sendRepresentation(request, reply, inMemory(utf8(log.checkpoint()), ABOUT)),
  })
}
