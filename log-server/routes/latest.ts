/**
 * GET /v1/latest/…, /v1/authorizations/… and /v1/policies — the newest statement of a series, found by who signed it and what about.
 *
 *     /v1/latest/<type>/<kid>/<id>     one Transparent Statement: the newest version of a policy, a result, …
 *     /v1/latest/<type>/<kid>          a CBOR array of them: the newest of each series of that signer, at most 100
 *     /v1/authorizations/<kid>         a CBOR array: every key-authorization of that key, oldest first
 *     /v1/policies                     a CBOR array: every version of the log's own policy, oldest first
 *
 * A convenience, and no proof that nothing newer exists: an auditor who replays the log knows that.
 *
 * @module
 */
import { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import type { Authorities } from '../../provenance/rules/authorities.ts'
import { isRecordType } from '../../provenance/rules/link-rules.ts'
import { encodeCbor } from '../../statement/cbor.ts'
import { bytes, operation } from '../http/openapi.ts'
import { RequestError } from '../problem.ts'
import { Snapshot, type SnapshotSource } from '../reading/snapshot.ts'
import type { LogReader } from '../types.ts'
import { coseType, Kid, octets, STATEMENT_TYPES } from './http.ts'

export interface LatestOptions {
  readonly log: SnapshotSource & Pick<LogReader, 'erasure' | 'latest' | 'latestAll'>
  readonly authorities: Pick<Authorities, 'authorizations' | 'policies'>
}

/** Statements in one answer. */
const MAX_STATEMENTS = 100

const RecordName = Type.String({ pattern: '^[a-z-]{1,64}$', description: 'A type of record.' })
const SeriesId = Type.String({ minLength: 1, maxLength: 256, description: 'What its signer calls the series.' })
const list = bytes('A CBOR array of Transparent Statements, each a byte string; at most 100.', 'application/cbor')

const getLatest = operation({
  operationId: 'getLatest',
  access: 'read',
  tags: ['provlog'],
  summary: 'The newest statement of a series.',
  params: Type.Object({ type: RecordName, kid: Kid, id: SeriesId }),
  answers: { 200: bytes('A Transparent Statement.', ...STATEMENT_TYPES) },
  problems: ['invalid_locator', 'not_found', 'statement_erased'],
})

const listLatest = operation({
  operationId: 'listLatest',
  access: 'read',
  tags: ['provlog'],
  summary: 'The newest statement of each series of one signer.',
  params: Type.Object({ type: RecordName, kid: Kid }),
  answers: { 200: list },
  problems: ['invalid_locator'],
})

const listAuthorizations = operation({
  operationId: 'listAuthorizations',
  access: 'read',
  tags: ['provlog'],
  summary: 'What a key was authorized for, oldest first.',
  params: Type.Object({ kid: Kid }),
  answers: { 200: list },
  problems: ['invalid_locator'],
})

const listPolicies = operation({
  operationId: 'listPolicies',
  access: 'read',
  tags: ['provlog'],
  summary: 'Every version of the log’s own policy, oldest first.',
  description:
    'What the log registers, and by which keys it is known. Each version is signed by an admin of the one before; an entry is under the last version before it.',
  answers: { 200: bytes('A CBOR array of Transparent Statements, each a byte string.', 'application/cbor') },
})

export const latestRoutes: FastifyPluginAsyncTypebox<LatestOptions> = async (app, { log, authorities }) => {
  app.get('/v1/latest/:type/:kid/:id', { schema: getLatest }, async (request, reply) => {
    const { type, kid, id } = request.params
    // The id is whatever the signer called his policy. It is the last part of the key, so nothing in it can reach another series.
    const index = await log.latest(`${prefixOf(type, kid)}${id}`)
    const snapshot = new Snapshot(log)
    if (!snapshot.has(index)) throw new RequestError('not_found', `no ${type} of that name by that key`)
    return reply
      .type(coseType(request, 'application/scitt-statement+cose'))
      .headers({ vary: 'accept', 'cache-control': 'no-store' })
      .send(octets(await snapshot.transparentStatement(index)))
  })

  app.get('/v1/latest/:type/:kid', { schema: listLatest }, async (request, reply) => {
    const { type, kid } = request.params
    return sendAll(reply, await log.latestAll(prefixOf(type, kid), MAX_STATEMENTS))
  })

  app.get('/v1/authorizations/:kid', { schema: listAuthorizations }, async (request, reply) => {
    const found = authorities.authorizations(request.params.kid)
    // The newest, when an admin has authorized one key that often: those are in force.
    return sendAll(
      reply,
      found.slice(-MAX_STATEMENTS).map(({ index }) => index),
    )
  })

  app.get('/v1/policies', { schema: listPolicies }, async (_request, reply) => {
    return sendAll(
      reply,
      authorities.policies.map(({ index }) => index),
    )
  })

  async function sendAll(reply: FastifyReply, indexes: readonly number[]): Promise<FastifyReply> {
    const snapshot = new Snapshot(log)
    const erasures = await Promise.all(indexes.map((index) => log.erasure(index)))
    // What was erased is the newest of its series still, and there is nothing to show of it.
    const published = indexes.filter((index, i) => snapshot.has(index) && erasures[i]?.scope !== 'statement')
    return reply
      .type('application/cbor')
      .header('cache-control', 'no-store')
      .send(Readable.from(statementsAt(published, snapshot)))
  }
}

/** A CBOR array, one statement at a time: a hundred of the largest, made at once, would hold up everybody else for half a second. */
async function* statementsAt(indexes: readonly number[], snapshot: Snapshot): AsyncGenerator<Uint8Array> {
  const placeholders = encodeCbor(indexes.map(() => 0))
  // The head of the array: each placeholder is one byte.
  yield placeholders.subarray(0, placeholders.length - indexes.length)
  for (const index of indexes) yield encodeCbor(await snapshot.transparentStatement(index))
}

function prefixOf(type: string, kid: string): string {
  if (!isRecordType(type)) throw new RequestError('invalid_locator', 'no such type of record')
  return `${type}/${kid}/`
}
