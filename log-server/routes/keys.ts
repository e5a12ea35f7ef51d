/**
 * GET /.well-known/scitt-keys[/<kid>] — the keys that receipts are signed with (SCRAPI), as COSE_Keys.
 *
 * For finding a key, not for trusting it: the keys that count are in the log's own policy, under a checkpoint whose key the
 * reader pinned.
 *
 * @module
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { fromBase64url, fromUtf8 } from '../../merkle/bytes.ts'
import { encodeCbor } from '../../statement/cbor.ts'
import { coseKeyOf, encodeCoseKeySet, kidOf, type PublicJwk } from '../../statement/cose-key.ts'
import { bytes, operation } from '../openapi.ts'
import { RequestError } from '../problem.ts'
import { octets } from './http.ts'

export interface KeySource {
  /** The receipt keys of the policy in force. */
  receiptKeys(): readonly PublicJwk[]
}

// 43 characters, or the base64url of those: SCRAPI wants that form accepted where a kid is not URL-safe, and clients
// that do not look whether it is send it for every kid.
const Params = Type.Object({
  kid: Type.String({
    pattern: '^[A-Za-z0-9_-]{43}(?:[A-Za-z0-9_-]{15})?$',
    description: 'A key id, or the base64url of it.',
  }),
})

const getKeys = operation({
  operationId: 'getReceiptKeys',
  tags: ['SCITT SCRAPI'],
  summary: 'The keys that receipts are signed with.',
  answers: { 200: bytes('A COSE_KeySet (RFC 9052 §7).', 'application/cbor') },
})

const getKey = operation({
  operationId: 'getReceiptKey',
  tags: ['SCITT SCRAPI'],
  summary: 'One of them.',
  params: Params,
  answers: { 200: bytes('A COSE_Key (RFC 9052 §7).', 'application/cbor') },
  problems: ['invalid_locator', 'unknown_kid'],
})

export const keyRoutes: FastifyPluginAsyncTypebox<{ keys: KeySource }> = async (app, { keys }) => {
  app.get('/.well-known/scitt-keys', { schema: getKeys }, async (_request, reply) => {
    return reply
      .type('application/cbor')
      .header('cache-control', 'public, max-age=300')
      .send(octets(encodeCoseKeySet(keys.receiptKeys())))
  })

  app.get('/.well-known/scitt-keys/:kid', { schema: getKey }, async (request, reply) => {
    const { kid } = request.params
    const wanted = kid.length === 43 ? kid : fromUtf8(fromBase64url(kid))
    const key = keys.receiptKeys().find((candidate) => kidOf(candidate) === wanted)
    if (!key) throw new RequestError('unknown_kid', 'no receipt key of this log has that key id')
    return reply
      .type('application/cbor')
      .header('cache-control', 'public, max-age=300')
      .send(octets(encodeCbor(coseKeyOf(key, wanted))))
  })
}
