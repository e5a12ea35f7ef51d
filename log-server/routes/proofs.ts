/**
 * GET /v1/proof/… — proofs for those who would rather ask than read tiles. A client that reads tiles learns the same without
 * telling the log which entry it cares about.
 *
 *     /v1/proof/inclusion/<index>/<size>      {"index", "size", "entry": hex, "proof": [base64]}
 *     /v1/proof/consistency/<from>/<to>       {"from", "to", "proof": [base64]}
 *
 * The arguments are in the path, never in a query: both answers hold for good, and caches may keep them.
 *
 * @module
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { toBase64, toHex } from '../../merkle/bytes.ts'
import { assert } from '../../merkle/error.ts'
import { json, operation } from '../openapi.ts'
import { RequestError } from '../problem.ts'
import type { LogReader } from '../types.ts'
import { Decimal, HexDigest, IMMUTABLE, integer } from './http.ts'

export type ProofSource = Pick<LogReader, 'treeHead' | 'entryAt' | 'inclusionProof' | 'consistencyProof'>

const Size = Type.Integer({ minimum: 0 })
const Path = Type.Array(Type.String({ description: 'A hash in base64.' }))
const problems = ['invalid_locator', 'not_found'] as const

const getInclusionProof = operation({
  operationId: 'getInclusionProof',
  tags: ['provlog'],
  summary: 'The path from one entry to the root of a tree size (RFC 9162 §2.1.3).',
  params: Type.Object({ index: Decimal, size: Decimal }),
  answers: { 200: json('Holds for good.', Type.Object({ index: Size, size: Size, entry: HexDigest, proof: Path })) },
  problems,
})

const getConsistencyProof = operation({
  operationId: 'getConsistencyProof',
  tags: ['provlog'],
  summary: 'That one tree is the beginning of another (RFC 9162 §2.1.4).',
  params: Type.Object({ from: Decimal, to: Decimal }),
  answers: { 200: json('Holds for good.', Type.Object({ from: Size, to: Size, proof: Path })) },
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

  function publishedSize(decimal: string): number {
    const size = integer(decimal)
    if (size > log.treeHead().size) throw new RequestError('not_found', `this log has not reached size ${size}`)
    return size
  }
}
