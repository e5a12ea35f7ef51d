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
import { toBase64url, utf8 } from '../../merkle/bytes.ts'
import type { Authorities } from '../../provenance/rules/authorities.ts'
import { encodeCbor } from '../../statement/cbor.ts'
import { coseKeyOf, encodeCoseKeySet } from '../../statement/cose-key.ts'
import { bytes, operation } from '../http/openapi.ts'
import { RequestError } from '../problem.ts'
import { octets } from './http.ts'

/** Receipts stay good when their key is retired, so every key that any log-policy named is here; those in use come first. */
type KeySource = Pick<Authorities, 'receiptKeys'>

// Of any form: whoever resolves receipts of many logs asks for kids of many forms, and is told that this is none of ours.
const Params = Type.Object({ kid: Type.String({ description: 'A key id, or the base64url of it.' }) })

const getKeys = operation({
  operationId: 'getReceiptKeys',
  access: 'receipt',
  tags: ['SCITT SCRAPI'],
  summary: 'The keys that receipts are signed with.',
  answers: { 200: bytes('A COSE_KeySet (RFC 9052 §7).', 'application/cbor') },
})

const getKey = operation({
  operationId: 'getReceiptKey',
  access: 'receipt',
  tags: ['SCITT SCRAPI'],
  summary: 'One of them.',
  params: Params,
  answers: { 200: bytes('A COSE_Key (RFC 9052 §7).', 'application/cbor') },
  problems: ['unknown_kid'],
})

export const keyRoutes: FastifyPluginAsyncTypebox<{ authorities: KeySource }> = async (app, { authorities }) => {
  app.get('/.well-known/scitt-keys', { schema: getKeys }, async (_request, reply) => {
    return (
      reply
        .type('application/cbor')
        // A new key signs from the moment that the log has it.
        .header('cache-control', 'public, max-age=60')
        .send(octets(encodeCoseKeySet(Array.from(authorities.receiptKeys().values()))))
    )
  })

  app.get('/.well-known/scitt-keys/:kid', { schema: getKey }, async (request, reply) => {
    const { kid } = request.params
    const keys = authorities.receiptKeys()
    // SCRAPI wants base64url accepted where a kid is not URL-safe, and clients that do not look whether it is send it for every kid.
    const [wanted, key] = Array.from(keys).find(([each]) => each === kid || toBase64url(utf8(each)) === kid) ?? []
    if (!wanted || !key) throw new RequestError('unknown_kid', 'no receipt key of this log has that key id')
    return (
      reply
        .type('application/cbor')
        // A kid is the hash of its key.
        .header('cache-control', 'public, max-age=31536000, immutable')
        .send(octets(encodeCbor(coseKeyOf(key, wanted))))
    )
  })
}
