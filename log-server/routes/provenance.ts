/**
 * GET /v1/provenance/<credential digest> — why a credential was issued, as one bundle that verifies offline.
 *
 * @module
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { fromHex } from '../../merkle/bytes.ts'
import { encodeBundle } from '../../provenance/bundle.ts'
import { type BundleSource, collectBundle } from '../collect.ts'
import { HexDigest, octets } from './http.ts'

const Params = Type.Object({ digest: HexDigest })

export const provenanceRoutes: FastifyPluginAsyncTypebox<BundleSource> = async (app, source) => {
  app.get('/v1/provenance/:digest', { schema: { params: Params } }, async (request, reply) => {
    const bundle = await collectBundle(fromHex(request.params.digest), source)
    return (
      reply
        .type('application/vnd.provlog.bundle+cbor')
        // A status can be added at any moment, and a bundle from a cache would hide it.
        .header('cache-control', 'no-store')
        .send(octets(encodeBundle(bundle)))
    )
  })
}
