/**
 * GET /v1/statements/<index>[.p/<width>] — the statements under an entry bundle, for replay.
 *
 * The path has the grammar of a tile's. The body is each statement after its length: u32 big-endian, bytes, up to 256 times.
 * An entry bundle proves each of them: its entry is the statement's SHA-256.
 *
 * @module
 */
import { Readable } from 'node:stream'
import type { FastifyPluginAsync } from 'fastify'
import { parseTileIndex } from '../../merkle/tile.ts'
import { bytes, operation } from '../openapi.ts'
import { RequestError } from '../problem.ts'
import { pathOf } from '../request-path.ts'
import type { LogReader } from '../types.ts'
import { IMMUTABLE } from './http.ts'

const PREFIX = '/v1/statements/'

const schema = operation({
  operationId: 'getStatements',
  tags: ['provlog'],
  summary: 'The statements under an entry bundle.',
  wildcard: { name: 'bundle', description: '`<index>` of a full bundle, or `<index>.p/<width>`, as in a tile’s path.' },
  answers: { 200: bytes('Each statement after its length, u32 big-endian.', 'application/octet-stream') },
  problems: ['malformed_tile_path', 'not_found'],
})

export const statementRoutes: FastifyPluginAsync<{ log: Pick<LogReader, 'statementBundle'> }> = async (
  app,
  { log },
) => {
  app.get(`${PREFIX}*`, { schema }, async (request, reply) => {
    const { index, width } = parseTileIndex(pathOf(request).slice(PREFIX.length))
    const bundle = await log.statementBundle(index, width)
    if (!bundle) throw new RequestError('not_found', 'this log has no such bundle, or not of that width')
    return reply
      .type('application/octet-stream')
      .header('cache-control', IMMUTABLE)
      .send(Readable.from(bundle.read(0, bundle.length)))
  })
}
