/**
 * GET /entries/… — one entry: its receipt, its statement, and the keys that were wrapped for its readers.
 *
 *     /entries/<id>             the receipt, at the latest tree head (SCRAPI)
 *     /entries/<id>/statement   the statement with that receipt: a Transparent Statement
 *     /v1/entries/<id>/wraps    a CBOR array of byte strings, empty when there are none, or no longer
 *
 * An id is the hex of the entry, or `0.<index>`. There is no third spelling: caches and people see one address for each.
 *
 * @module
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { fromHex } from '../../merkle/bytes.ts'
import { assert } from '../../merkle/error.ts'
import { encodeCbor } from '../../statement/cbor.ts'
import type { Door } from '../access/door.ts'
import { bytes, operation } from '../http/openapi.ts'
import type { PendingRegistrations } from '../http/pending.ts'
import { REGISTRATION_PROBLEMS, RequestError } from '../problem.ts'
import { Snapshot, type SnapshotSource } from '../reading/snapshot.ts'
import type { LogReader } from '../types.ts'
import { coseType, EntryId, integer, octets, RECEIPT_TYPES, RETRY_AFTER, STATEMENT_TYPES } from './http.ts'

export type EntrySource = SnapshotSource & Pick<LogReader, 'locate' | 'meta' | 'wraps'>

const params = Type.Object({ id: EntryId })
const problems = ['invalid_locator', 'not_found'] as const

const getReceipt = operation({
  operationId: 'getReceipt',
  access: 'receipt',
  tags: ['SCITT SCRAPI'],
  summary: 'The receipt of an entry, at the newest tree head.',
  params,
  answers: {
    200: bytes('A receipt (RFC 9942).', ...RECEIPT_TYPES),
    302: {
      description: 'Being registered: ask again.',
      headers: { Location: 'The same.', 'Retry-After': 'Seconds.' },
    },
  },
  // What was refused after its client had been sent here is refused here.
  problems: [...problems, ...REGISTRATION_PROBLEMS],
})

const getTransparentStatement = operation({
  operationId: 'getTransparentStatement',
  access: 'read',
  tags: ['SCITT SCRAPI'],
  summary: 'A statement as registered, with its receipt: a Transparent Statement.',
  params,
  answers: { 200: bytes('A Transparent Statement (RFC 9943).', ...STATEMENT_TYPES) },
  problems: [...problems, 'statement_erased'],
})

const getWraps = operation({
  operationId: 'getWraps',
  access: 'wraps',
  tags: ['provlog'],
  summary: 'The keys of a statement’s sealed sections, wrapped for their readers.',
  params,
  answers: { 200: bytes('A CBOR array of byte strings: JWEs.', 'application/cbor') },
  problems,
})

export interface EntryOptions {
  readonly log: EntrySource
  readonly pending: Pick<PendingRegistrations, 'isUnderWay' | 'refusalOf'>
  readonly door: Door
}

export const entryRoutes: FastifyPluginAsyncTypebox<EntryOptions> = async (app, { log, pending, door }) => {
  app.get('/entries/:id', { schema: getReceipt }, async (request, reply) => {
    const { id } = request.params
    // Asked before the log is: one that is done in between is on the log, or asked about once more.
    const underWay = pending.isUnderWay(id)
    const index = await find(id)
    reply.header('cache-control', 'no-store')
    if (index === undefined) {
      if (underWay)
        return reply
          .code(302)
          .headers({ location: `/entries/${id}`, 'retry-after': RETRY_AFTER })
          .send()
      throw pending.refusalOf(id) ?? nothingThere()
    }
    return reply
      .type(coseType(request, 'application/scitt-receipt+cose'))
      .header('vary', 'accept')
      .send(octets(await new Snapshot(log).receipt(index)))
  })

  app.get('/entries/:id/statement', { schema: getTransparentStatement }, async (request, reply) => {
    const index = await indexOf(request.params.id)
    return reply
      .type(coseType(request, 'application/scitt-statement+cose'))
      .headers({ vary: 'accept', 'cache-control': 'no-store' })
      .send(octets(await new Snapshot(log).transparentStatement(index)))
  })

  app.get('/v1/entries/:id/wraps', { schema: getWraps }, async (request, reply) => {
    const meta = await log.meta(await indexOf(request.params.id))
    assert(meta, 'an index that was found has an entry')
    const wraps = door.wrapsFor(request, await log.wraps(meta.entry), meta.signer)
    // Whoever reads nothing else here is not told either that there is such an entry.
    if (wraps.length === 0 && !door.visitOf(request).grants.has('read:general')) throw nothingThere()
    // Not cacheable: erasing a record is deleting these.
    return reply
      .type('application/cbor')
      .header('cache-control', 'no-store')
      .send(octets(encodeCbor(wraps)))
  })

  async function indexOf(id: string): Promise<number> {
    const index = await find(id)
    if (index === undefined) throw nothingThere()
    return index
  }

  /** Of a published entry. A snapshot taken after this has it: one taken before might be of the tree that it was not in yet. */
  async function find(id: string): Promise<number | undefined> {
    const index = id.startsWith('0.') ? integer(id.slice(2)) : (await log.locate(fromHex(id)))?.index
    return index !== undefined && index < log.treeHead().size ? index : undefined
  }
}

function nothingThere(): RequestError {
  return new RequestError('not_found', 'this log has no such entry')
}
