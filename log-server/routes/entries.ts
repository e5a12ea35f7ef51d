/**
 * GET /entries/… — one entry: its receipt, its statement, and the keys that were wrapped for its readers.
 *
 *     /entries/<id>             the receipt, at the latest tree head (SCRAPI)
 *     /entries/<id>/statement   the statement with that receipt: a Transparent Statement
 *     /v1/entries/<id>/wraps    a CBOR array of byte strings, empty when there are none, or no longer
 *
 * An id is the hex of the entry, or `0.<index>`.
 *
 * @module
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { fromHex } from '../../merkle/bytes.ts'
import { assert } from '../../merkle/error.ts'
import { encodeCbor } from '../../statement/cbor.ts'
import { bytes, operation } from '../openapi.ts'
import { RequestError } from '../problem.ts'
import { Snapshot, type SnapshotSource } from '../snapshot.ts'
import type { LogReader } from '../types.ts'
import { coseType, EntryId, integer, octets, RECEIPT_TYPES, STATEMENT_TYPES } from './http.ts'

export type EntrySource = SnapshotSource & Pick<LogReader, 'locate' | 'entryAt' | 'wraps'>

const params = Type.Object({ id: EntryId })
const problems = ['invalid_locator', 'not_found'] as const

const getReceipt = operation({
  operationId: 'getReceipt',
  tags: ['SCITT SCRAPI'],
  summary: 'The receipt of an entry, at the newest tree head.',
  params,
  answers: { 200: bytes('A receipt (RFC 9942).', ...RECEIPT_TYPES) },
  problems,
})

const getTransparentStatement = operation({
  operationId: 'getTransparentStatement',
  tags: ['SCITT SCRAPI'],
  summary: 'A statement as registered, with its receipt: a Transparent Statement.',
  params,
  answers: { 200: bytes('A Transparent Statement (RFC 9943).', ...STATEMENT_TYPES) },
  problems,
})

const getWraps = operation({
  operationId: 'getWraps',
  tags: ['provlog'],
  summary: 'The keys of a statement’s sealed sections, wrapped for their readers.',
  params,
  answers: { 200: bytes('A CBOR array of byte strings: JWEs.', 'application/cbor') },
  problems,
})

export const entryRoutes: FastifyPluginAsyncTypebox<{ log: EntrySource }> = async (app, { log }) => {
  app.get('/entries/:id', { schema: getReceipt }, async (request, reply) => {
    const snapshot = new Snapshot(log)
    const receipt = await snapshot.receipt(await indexOf(request.params.id, snapshot))
    return reply
      .type(coseType(request, 'application/scitt-receipt+cose'))
      .headers({ vary: 'accept', 'cache-control': 'no-store' })
      .send(octets(receipt))
  })

  app.get('/entries/:id/statement', { schema: getTransparentStatement }, async (request, reply) => {
    const snapshot = new Snapshot(log)
    const statement = await snapshot.transparentStatement(await indexOf(request.params.id, snapshot))
    return reply
      .type(coseType(request, 'application/scitt-statement+cose'))
      .headers({ vary: 'accept', 'cache-control': 'no-store' })
      .send(octets(statement))
  })

  app.get('/v1/entries/:id/wraps', { schema: getWraps }, async (request, reply) => {
    const entry = await log.entryAt(await indexOf(request.params.id, new Snapshot(log)))
    assert(entry, 'an index that was found has an entry')
    // Not cacheable: erasing a record is deleting these.
    return reply
      .type('application/cbor')
      .header('cache-control', 'no-store')
      .send(octets(encodeCbor(await log.wraps(entry))))
  })

  async function indexOf(id: string, snapshot: Snapshot): Promise<number> {
    const index = id.startsWith('0.') ? integer(id.slice(2)) : (await log.locate(fromHex(id)))?.index
    if (!snapshot.has(index)) throw new RequestError('not_found', 'this log has no such entry')
    return index
  }
}
