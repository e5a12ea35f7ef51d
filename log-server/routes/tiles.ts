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
import { bytes, operation } from '../http/openapi.ts'
import { pathOf } from '../http/request-path.ts'
import { RequestError } from '../problem.ts'
import type { LogReader } from '../types.ts'
import { IMMUTABLE } from './http.ts'
import { GZIP_DIGESTS, inMemory, sendRepresentation } from './representation.ts'

const OCTETS = 'application/octet-stream'
const ENTRIES = 'tile/entries/'

const schema = operation({
  operationId: 'getTile',
  access: 'read:general',
  tags: ['C2SP tlog-tiles'],
  summary: 'A tile or an entry bundle.',
  description:
    'Full, or of a width that some published checkpoint implied. Entry bundles are compressed with gzip for whoever takes that; tiles never are.',
  wildcard: { name: 'tile', description: '`<level>/<index>[.p/<width>]` or `entries/<index>[.p/<width>]`.' },
  requestHeaders: { 'If-None-Match': 'Entity tags of what is there already.', 'Accept-Encoding': 'May name gzip.' },
  answers: {
    200: bytes('Hashes side by side, or entries each after its length, u16 big-endian.', OCTETS),
    304: { description: 'One of the entity tags is still right.' },
  },
  problems: ['malformed_tile_path', 'not_found'],
})

type Options = { readonly log: Pick<LogReader, 'tile' | 'entryBundle'> }

export const tileRoutes: FastifyPluginAsync<Options> = async (app, { log }) => {
  app.route({
    method: ['GET', 'HEAD'],
    url: '/tile/*',
    schema,
    handler: async (request, reply) => {
      // The path as it was sent, not as the router decoded it: the grammar then admits no escape, no dot segment and no
      // second spelling of a tile, and caches see one address for each.
      const path = pathOf(request).slice(1)
      const entries = path.startsWith(ENTRIES)
      const bytes = await (entries ? readEntries(path) : log.tile(parseTilePath(path)))
      if (!bytes) throw new RequestError('not_found', 'this log has no such tile, or not of that width')
      const about = { type: OCTETS, cacheControl: IMMUTABLE, ...(entries && { gzip: GZIP_DIGESTS }) }
      return sendRepresentation(request, reply, inMemory(bytes, about))
    },
  })

  function readEntries(path: string): Promise<Uint8Array | undefined> {
    const { index, width } = parseEntriesPath(path)
    return log.entryBundle(index, width)
  }
}
