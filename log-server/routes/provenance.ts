/**
 * Why credentials were issued: bundles that verify offline.
 *
 *     GET  /v1/provenance/<credential digest>     one
 *     POST /v1/provenance                         a CBOR array of digests for one bundle set: what they share is in it once
 *
 * The second is for issuers, who are asked for many at a time. It changes nothing, and is a POST because no address is that long.
 *
 * @module
 */
import type { IncomingMessage } from 'node:http'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { fromHex } from '../../merkle/bytes.ts'
import { assert, EvidenceError } from '../../merkle/error.ts'
import type { Hash } from '../../merkle/hash.ts'
import { BUNDLE_MEDIA_TYPE, encodeBundle } from '../../provenance/verification/bundle.ts'
import { BUNDLE_SET_MEDIA_TYPE, encodeBundleSet, MAX_BUNDLES } from '../../provenance/verification/bundle-set.ts'
import { asArray, asBytes, decodeCbor } from '../../statement/cbor.ts'
import type { Door } from '../access/door.ts'
import { bytes, operation } from '../http/openapi.ts'
import { encodeConcise, problemOf, RequestError } from '../problem.ts'
import type { SharedRoom } from '../shared-room.ts'
import { readBody } from './body.ts'
import { HexDigest, octets } from './http.ts'
import type { Stories } from './stories.ts'

const getProvenance = operation({
  operationId: 'getProvenance',
  access: 'read:general',
  tags: ['provlog'],
  summary: 'Why a credential was issued: a bundle that verifies offline.',
  params: Type.Object({ digest: HexDigest }),
  answers: { 200: bytes('A bundle, all of it at one tree head.', BUNDLE_MEDIA_TYPE) },
  problems: ['invalid_locator', 'not_found', 'statement_erased', 'bundle_too_large'],
})

const DIGESTS_TYPE = 'application/cbor'
/** Of so many digests, and the heads before them. */
const MAX_BODY_BYTES = 3 + 34 * MAX_BUNDLES

const findProvenance = operation({
  operationId: 'findProvenance',
  access: 'read:general',
  tags: ['provlog'],
  summary: 'Why several credentials were issued.',
  description:
    'Each is answered for itself, in order: by the places of its statements in the set, or by the problem details (RFC 9290) that asking ' +
    'for it alone would have brought. One that is `bundle_too_large` beside the others may have room when asked for alone.',
  requestBody: {
    description: `A CBOR array of 1 to ${MAX_BUNDLES} byte strings: SHA-256 digests of credentials.`,
    mediaTypes: [DIGESTS_TYPE],
  },
  answers: { 200: bytes('A bundle set, all of it at one tree head.', BUNDLE_SET_MEDIA_TYPE) },
  problems: ['malformed_cbor', 'too_large', 'unsupported_media_type'],
})

interface ProvenanceOptions {
  readonly stories: Pick<Stories, 'one' | 'several'>
  readonly door: Door
  /** For bodies on their way in. */
  readonly bodies: SharedRoom
}

export const provenanceRoutes: FastifyPluginAsyncTypebox<ProvenanceOptions> = async (
  app,
  { stories, bodies, door },
) => {
  app.get('/v1/provenance/:digest', { schema: getProvenance }, async (request, reply) => {
    const bundle = await stories.one(fromHex(request.params.digest), request)
    return (
      reply
        .type(BUNDLE_MEDIA_TYPE)
        // A status can be added at any moment, and a bundle from a cache would hide it.
        .header('cache-control', 'no-store')
        .send(octets(encodeBundle(bundle)))
    )
  })

  app.addContentTypeParser(DIGESTS_TYPE, (request: FastifyRequest, payload: IncomingMessage) =>
    readBody(payload, MAX_BODY_BYTES, { room: bodies, caller: door.nameOf(request) }),
  )
  app.post('/v1/provenance', {
    schema: findProvenance,
    // Before the body is read.
    onRequest: async (request) => {
      if (request.headers['content-type']?.toLowerCase() !== DIGESTS_TYPE) {
        throw new RequestError('unsupported_media_type', `digests come as ${DIGESTS_TYPE}`)
      }
    },
    handler: async (request, reply) => {
      const { body } = request
      assert(body instanceof Uint8Array, 'a request with this media type passed its parser')
      const { bundles, ...set } = await stories.several(readDigests(body), request)
      const outcomes = bundles.map((each) =>
        each instanceof EvidenceError ? encodeConcise(problemOf(each, request.id)) : each,
      )
      return reply
        .type(BUNDLE_SET_MEDIA_TYPE)
        .header('cache-control', 'no-store')
        .send(octets(encodeBundleSet({ ...set, bundles: outcomes })))
    },
  })
}

/** @throws {@link RequestError} `malformed_request`; `StatementError` `malformed_cbor` */
function readDigests(body: Uint8Array): Hash[] {
  const digests = asArray(decodeCbor(body), 'digests').map((digest) => asBytes(digest, 'a digest', 32))
  if (digests.length === 0 || digests.length > MAX_BUNDLES) {
    throw new RequestError('malformed_request', `1 to ${MAX_BUNDLES} digests`)
  }
  return digests
}
