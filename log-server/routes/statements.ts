/**
 * GET /v1/statements/<index>[.p/<width>] — the statements under an entry bundle, for replay.
 *
 * The path has the grammar of a tile's. The body is each statement after its length: u32 big-endian, bytes, up to 256 times.
 * An entry bundle proves each of them: its entry is the statement's SHA-256. One of length 0 was erased.
 *
 * A bundle may be 64 MiB: it is sent as it is read, and whoever lost the connection asks for the rest (`Range`, with `If-Range`).
 *
 * An erasure changes a bundle, and with it the entity tag, in the moment that the record of it is published. A cache that has the bundle
 * asks again after a day at most, so for that long it may show what was erased, and whoever runs one in front of a log can
 * purge the one path.
 *
 * @module
 */
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { parseTileIndex } from '../../merkle/tile.ts'
import { bytes, operation } from '../http/openapi.ts'
import { pathOf } from '../http/request-path.ts'
import { RequestError } from '../problem.ts'
import type { LogReader } from '../types.ts'
import { IMMUTABLE_FOR_A_DAY } from './http.ts'
import { GZIP_STATEMENTS, sendRepresentation } from './representation.ts'

const PREFIX = '/v1/statements/'
const ABOUT = {
  type: 'application/octet-stream',
  cacheControl: IMMUTABLE_FOR_A_DAY,
  gzip: GZIP_STATEMENTS,
  ranges: true,
} as const

const requestHeaders = {
  'If-None-Match': 'Entity tags of what is there already.',
  'Accept-Encoding': 'May name gzip.',
  Range: 'One range of bytes, without gzip.',
  'If-Range': 'The entity tag of what was received before the range.',
}
const answers = {
  200: bytes('Each statement after its length, u32 big-endian. Length 0: it was erased.', ABOUT.type),
  206: bytes('The part that was asked for.', ABOUT.type),
  304: { description: 'One of the entity tags is still right.' },
}

const getStatements = operation({
  operationId: 'getStatements',
  access: 'audit',
  tags: ['provlog'],
  summary: 'The statements under an entry bundle.',
  description: 'Up to 64 MiB, of which a part can be asked for. Compressed with gzip for whoever takes that.',
  wildcard: { name: 'bundle', description: '`<index>` of a full bundle, or `<index>.p/<width>`, as in a tile’s path.' },
  requestHeaders,
  answers,
  problems: ['malformed_tile_path', 'not_found', 'range_not_satisfiable', 'unavailable'],
})

/** Of all statements the one that every client begins with: it has a path of its own for those who may not replay the log. */
const getFoundingPolicy = operation({
  operationId: 'getFoundingPolicy',
  access: 'receipt',
  tags: ['provlog'],
  summary: 'Entry 0, by which the log says whose it is, and which keys sign for it.',
  requestHeaders,
  answers,
  problems: ['range_not_satisfiable'],
})

export const statementRoutes: FastifyPluginAsync<{ log: Pick<LogReader, 'statementBundle'> }> = async (
  app,
  { log },
) => {
  const method = ['GET', 'HEAD']
  const handler = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const { index, width } = parseTileIndex(pathOf(request).slice(PREFIX.length))
    const bundle = await log.statementBundle(index, width)
    if (!bundle) throw new RequestError('not_found', 'this log has no such bundle, or not of that width')
    return sendRepresentation(request, reply, { ...bundle, ...ABOUT })
  }
  app.route({ method, url: `${PREFIX}000.p/1`, schema: getFoundingPolicy, handler })
  app.route({ method, url: `${PREFIX}*`, schema: getStatements, handler })
}
