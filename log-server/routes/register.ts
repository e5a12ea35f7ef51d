/**
 * POST /entries — registers one signed statement (SCRAPI) and answers with its receipt.
 *
 * The answer waits for the batch to be durable and published, a few milliseconds: there is no 303, and no promise before
 * inclusion. The same statement again is answered alike.
 *
 * @module
 */
import type { FastifyPluginAsync } from 'fastify'
import { toHex } from '../../merkle/bytes.ts'
import { assert } from '../../merkle/error.ts'
import type { Admission } from '../admission.ts'
import { bytes, operation } from '../openapi.ts'
import { RequestError } from '../problem.ts'
import { coseType, octets, RECEIPT_TYPES } from './http.ts'

const MEDIA_TYPES = ['application/cose', 'application/scitt-statement+cose']

// The one parameter that application/cose has (RFC 9052 §11.3.1), with the one value that a statement can have.
const EXACT = /^(?:application\/cose(?:; ?cose-type="cose-sign1")?|application\/scitt-statement\+cose)$/

const schema = operation({
  operationId: 'register',
  tags: ['SCITT SCRAPI'],
  summary: 'Register a signed statement.',
  requestBody: { description: 'A Signed Statement (RFC 9943).', mediaTypes: MEDIA_TYPES },
  answers: { 201: bytes('Registered, now or before: its receipt (RFC 9942).', ...RECEIPT_TYPES) },
})

export interface RegisterOptions {
  readonly admission: Pick<Admission, 'admit'>
  /** Largest body, in bytes: the statement, and the wraps that travel in its unprotected header. */
  readonly bodyLimit: number
}

export const registerRoutes: FastifyPluginAsync<RegisterOptions> = async (app, { admission, bodyLimit }) => {
  app.addContentTypeParser(MEDIA_TYPES, { parseAs: 'buffer', bodyLimit }, (_request, body: Buffer, done) => {
    done(null, new Uint8Array(body.buffer, body.byteOffset, body.byteLength))
  })

  app.post('/entries', {
    schema,
    bodyLimit,
    // Before the body is read. The framework picks a parser by the media type alone and has been talked past that check
    // more than once (CVE-2025-32442, CVE-2026-25223): the header is one of three texts or it is refused.
    onRequest: async (request) => {
      const type = request.headers['content-type'] ?? ''
      if (!EXACT.test(type))
        throw new RequestError('unsupported_media_type', `a statement is ${MEDIA_TYPES.join(' or ')}`)
    },
    handler: async (request, reply) => {
      const { body } = request
      assert(body instanceof Uint8Array, 'a request with one of these media types passed its parser')
      const { entry, receipt } = await admission.admit(body)
      return reply
        .code(201)
        .type(coseType(request, 'application/scitt-receipt+cose'))
        .header('location', `/entries/${toHex(entry)}`)
        .header('cache-control', 'no-store')
        .send(octets(receipt))
    },
  })
}
