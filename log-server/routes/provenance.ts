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
import { bytes, operation } from '../openapi.ts'
import { HexDigest, octets } from './http.ts'

const schema = operation({
  operationId: 'getProvenance',
  tags: ['provlog'],
  summary: 'Why a credential was issued: a bundle that verifies offline.',
  params: Type.Object({ digest: HexDigest }),
  answers: { 200: bytes('A bundle, all of it at one tree head.', 'application/vnd.provlog.bundle+cbor') },
  problems: ['invalid_locator', 'not_found', 'statement_erased', 'bundle_too_large'],
})

export const provenanceRoutes: FastifyPluginAsyncTypebox<BundleSource> = async (app, source) => {
  app.get('/v1/provenance/:digest', { schema }, async (request, reply) => {
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
