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
import { RequestError } from '../problem.ts'
import type { LogReader } from '../types.ts'
import { Decimal, IMMUTABLE, integer } from './http.ts'

export type ProofSource = Pick<LogReader, 'treeHead' | 'entryAt' | 'inclusionProof' | 'consistencyProof'>

const InclusionParams = Type.Object({ index: Decimal, size: Decimal })
const ConsistencyParams = Type.Object({ from: Decimal, to: Decimal })

export const proofRoutes: FastifyPluginAsyncTypebox<{ log: ProofSource }> = async (app, { log }) => {
  app.get('/v1/proof/inclusion/:index/:size', { schema: { params: InclusionParams } }, async (request, reply) => {
    const index = integer(request.params.index)
    const size = publishedSize(request.params.size)
    if (index >= size) throw new RequestError('invalid_locator', `leaf ${index} is not in a tree of ${size}`)
    const [entry, proof] = await Promise.all([log.entryAt(index), log.inclusionProof(index, size)])
    assert(entry, `entry ${index} is below the size and not stored`)
    return reply
      .header('cache-control', IMMUTABLE)
      .send({ index, size, entry: toHex(entry), proof: proof.map(toBase64) })
  })

  app.get('/v1/proof/consistency/:from/:to', { schema: { params: ConsistencyParams } }, async (request, reply) => {
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
