/**
 * GET /v1/proof/… and /v1/receipts/consistency/… — proofs for those who would rather ask than read tiles. A client that reads tiles learns the same without
 * telling the log which entry it cares about.
 *
 *     /v1/proof/inclusion/<index>/<size>      {"index", "size", "entry": hex, "proof": [base64]}
 *     /v1/proof/consistency/<from>/<to>       {"from", "to", "proof": [base64]}
 *
 *     /v1/receipts/consistency/<from>         a receipt (RFC 9942 §5.3) that the tree of now starts with that of <from> leaves
 *
 * The arguments are in the path, never in a query: the first two answers hold for good, and caches may keep them. The third is the only
 * one that is signed, and ends at the newest tree head: no other was kept.
 *
 * @module
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { toBase64, toHex } from '../../merkle/bytes.ts'
import { assert } from '../../merkle/error.ts'
import { buildConsistencyReceipt } from '../../statement/receipt.ts'
import { bytes, json, operation } from '../http/openapi.ts'
import { RequestError } from '../problem.ts'
import type { LogReader } from '../types.ts'
import { coseType, Decimal, HexDigest, IMMUTABLE, integer, octets, RECEIPT_TYPES } from './http.ts'

export type ProofSource = Pick<LogReader, 'treeHead' | 'entryAt' | 'inclusionProof' | 'consistencyProof'>

const Size = Type.Integer({ minimum: 0 })
const Path = Type.Array(Type.String({ description: 'A hash in base64.' }))
const problems = ['invalid_locator', 'not_found'] as const

const getInclusionProof = operation({
  operationId: 'getInclusionProof',
  access: 'read:general',
  tags: ['provlog'],
  summary: 'The path from one entry to the root of a tree size (RFC 9162 §2.1.3).',
  params: Type.Object({ index: Decimal, size: Decimal }),
  answers: { 200: json('Holds for good.', Type.Object({ index: Size, size: Size, entry: HexDigest, proof: Path })) },
  problems,
})

const getConsistencyProof = operation({
  operationId: 'getConsistencyProof',
  access: 'read:general',
  tags: ['provlog'],
  summary: 'That one tree is the beginning of another (RFC 9162 §2.1.4).',
  params: Type.Object({ from: Decimal, to: Decimal }),
  answers: { 200: json('Holds for good.', Type.Object({ from: Size, to: Size, proof: Path })) },
  problems,
})

const getConsistencyReceipt = operation({
  operationId: 'getConsistencyReceipt',
  access: 'read:general',
  tags: ['provlog'],
  summary: 'That the newest tree starts with an older one, as a receipt (RFC 9942).',
  params: Type.Object({ from: Decimal }),
  answers: { 200: bytes('A receipt with a consistency proof.', ...RECEIPT_TYPES) },
  problems,
})

export const proofRoutes: FastifyPluginAsyncTypebox<{ log: ProofSource }> = async (app, { log }) => {
  app.get('/v1/proof/inclusion/:index/:size', { schema: getInclusionProof }, async (request, reply) => {
    const index = integer(request.params.index)
    const size = publishedSize(request.params.size)
    if (index >= size) throw new RequestError('invalid_locator', `leaf ${index} is not in a tree of ${size}`)
    const [entry, proof] = await Promise.all([log.entryAt(index), log.inclusionProof(index, size)])
    assert(entry, `entry ${index} is below the size and not stored`)
    return reply
      .header('cache-control', IMMUTABLE)
      .send({ index, size, entry: toHex(entry), proof: proof.map(toBase64) })
  })

  app.get('/v1/proof/consistency/:from/:to', { schema: getConsistencyProof }, async (request, reply) => {
    const from = integer(request.params.from)
    const to = publishedSize(request.params.to)
    if (from > to) throw new RequestError('invalid_locator', `a tree of ${from} is not older than one of ${to}`)
    const proof = await log.consistencyProof(from, to)
    return reply.header('cache-control', IMMUTABLE).send({ from, to, proof: proof.map(toBase64) })
  })

  app.get('/v1/receipts/consistency/:from', { schema: getConsistencyReceipt }, async (request, reply) => {
    const size1 = integer(request.params.from)
    // Of the empty tree there is nothing to prove, and no path to prove it by.
    if (size1 === 0) throw new RequestError('invalid_locator', 'every tree starts with the empty one')
    const head = log.treeHead()
    if (size1 >= head.size) throw new RequestError('not_found', `this log has not grown past size ${size1}`)
    const proof = await log.consistencyProof(size1, head.size)
    return reply
      .type(coseType(request, 'application/scitt-receipt+cose'))
      .headers({ vary: 'accept', 'cache-control': 'no-store' })
      .send(octets(buildConsistencyReceipt(head, { size1, proof })))
  })

  function publishedSize(decimal: string): number {
    const size = integer(decimal)
    if (size > log.treeHead().size) throw new RequestError('not_found', `this log has not reached size ${size}`)
    return size
  }
}
