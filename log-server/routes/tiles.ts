/**
 * GET /tile/… — hash tiles and entry bundles (c2sp.org/tlog-tiles).
 *
 *     /tile/<level>/<index>[.p/<width>]     packed hashes
 *     /tile/entries/<index>[.p/<width>]     the entries under a tile of level 0
 *
 * @module
 */
import type { FastifyPluginAsync } from 'fastify'
import { parseEntriesPath, parseTilePath } from '../../merkle/tile.ts'
import { bytes, operation } from '../openapi.ts'
import { RequestError } from '../problem.ts'
import { pathOf } from '../request-path.ts'
import type { LogReader } from '../types.ts'
import { IMMUTABLE, octets } from './http.ts'

const schema = operation({
  operationId: 'getTile',
  tags: ['C2SP tlog-tiles'],
  summary: 'A tile or an entry bundle.',
  wildcard: { name: 'tile', description: '`<level>/<index>[.p/<width>]` or `entries/<index>[.p/<width>]`.' },
  answers: {
    200: bytes('Hashes side by side, or entries each after its length, u16 big-endian.', 'application/octet-stream'),
  },
  problems: ['malformed_tile_path', 'not_found'],
})

export const tileRoutes: FastifyPluginAsync<{ log: Pick<LogReader, 'tile' | 'entryBundle'> }> = async (
  app,
  { log },
) => {
  app.get('/tile/*', { schema }, async (request, reply) => {
    // The path as it was sent, not as the router decoded it: the grammar then admits no escape, no dot segment and no
    // second spelling of a tile, and caches see one address for each.
    const path = pathOf(request).slice(1)
    const bytes = await read(path)
    if (!bytes) throw new RequestError('not_found', 'this log has no such tile, or not of that width')
    return reply.type('application/octet-stream').header('cache-control', IMMUTABLE).send(octets(bytes))
  })

  async function read(path: string): Promise<Uint8Array | undefined> {
    if (!path.startsWith('tile/entries/')) return log.tile(parseTilePath(path))
    const { index, width } = parseEntriesPath(path)
    return log.entryBundle(index, width)
  }
}
