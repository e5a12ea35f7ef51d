/**
 * POST /entries — registers one signed statement (SCRAPI).
 *
 *     201, its receipt     once its batch is durable and published: a few milliseconds, and for most clients the only answer
 *     303, to the entry    when that takes longer than the client, or we, want to wait (`prefer.ts`); or when it asked for that form
 *
 * A 303 acknowledges nothing. Registration goes on, and `GET` of its `Location` answers 302 until there is a receipt, or the refusal
 * that this request would have got. The same statement again is answered alike.
 *
 * @module
 */
import type { IncomingMessage } from 'node:http'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { toHex } from '../../merkle/bytes.ts'
import { assert } from '../../merkle/error.ts'
import { parseSignedStatement } from '../../statement/signed-statement.ts'
import type { Door } from '../access/door.ts'
import type { Admission } from '../admission/admission.ts'
import { bytes, operation } from '../http/openapi.ts'
import type { PendingRegistrations } from '../http/pending.ts'
import { appliedOf, type Wishes, wishesOf } from '../http/prefer.ts'
import type { Storage } from '../http/readiness.ts'
import { REGISTRATION_PROBLEMS, RequestError } from '../problem.ts'
import type { SharedRoom } from '../shared-room.ts'
import { announcedBytes, readBody } from './body.ts'
import { coseType, octets, RECEIPT_TYPES, RETRY_AFTER } from './http.ts'

const MEDIA_TYPES = ['application/cose', 'application/scitt-statement+cose']

// The one parameter that application/cose has (RFC 9052 §11.3.1), with the one value that a statement can have, as RFC 9110 lets it be
// written: in any case, and quoted or, as Go writes it, not.
const EXACT =
  /^(?:application\/cose(?: *; *cose-type=(?:"cose-sign1"|cose-sign1))?|application\/scitt-statement\+cose)$/i

const schema = operation({
  operationId: 'register',
  access: 'append',
  tags: ['SCITT SCRAPI'],
  summary: 'Register a signed statement.',
  description:
    'The same statement again gets the same answer. Neither headers nor the query have a say in what is registered; they choose the form of the answer.',
  queries: {
    waitForCommit: '`true`: never answer 303, as clients of CCF ask for it.',
    'api-version': 'Any value: answer 303 once the entry has its index, as clients of CCF expect.',
  },
  requestHeaders: { Prefer: '`respond-async`, `wait=<seconds>` (RFC 7240).' },
  requestBody: { description: 'A Signed Statement (RFC 9943).', mediaTypes: MEDIA_TYPES },
  answers: {
    201: {
      ...bytes('Registered, now or before: its receipt (RFC 9942).', ...RECEIPT_TYPES),
      headers: {
        Location: 'Of the receipt.',
        'Preference-Applied': 'RFC 7240 §3.',
        'x-ms-ccf-transaction-id': 'The id, for clients of CCF: with `waitForCommit` or `api-version`.',
      },
    },
    303: {
      description: 'Ask there. Nothing is promised.',
      headers: { Location: 'Of the entry.', 'Retry-After': 'Seconds.', 'Preference-Applied': 'RFC 7240 §3.' },
    },
  },
  problems: REGISTRATION_PROBLEMS,
})

/** Calls `callback` after so many milliseconds, unless cancelled by what it returns. */
export type Timer = (callback: () => void, milliseconds: number) => () => void

export interface RegisterOptions {
  readonly admission: Pick<Admission, 'admit' | 'expect' | 'maxBytes'>
  /** For bodies on their way in. */
  readonly bodies: SharedRoom
  readonly pending: PendingRegistrations
  readonly door: Door
  /** Asked before a body is read. */
  readonly storage?: Pick<Storage, 'demand'> | undefined
  /** Seconds after which a client that said nothing is sent away. */
  readonly deadline: number
  readonly timer: Timer
}

export const registerRoutes: FastifyPluginAsync<RegisterOptions> = async (app, options) => {
  const { admission, bodies, storage, pending, door, deadline, timer } = options
  // As large as the policy in force allows, which may change at any time.
  app.addContentTypeParser(MEDIA_TYPES, (request: FastifyRequest, payload: IncomingMessage) =>
    readBody(payload, admission.maxBytes, { room: bodies, caller: door.nameOf(request) }),
  )

  app.post('/entries', {
    schema,
    // Before the body is read. The framework picks a parser by the media type alone and has been talked past that check
    // more than once (CVE-2025-32442, CVE-2026-25223): the header is one of a few texts or it is refused.
    onRequest: async (request) => {
      storage?.demand()
      const type = request.headers['content-type'] ?? ''
      if (!EXACT.test(type))
        throw new RequestError('unsupported_media_type', `a statement is ${MEDIA_TYPES.join(' or ')}`)
      admission.expect(door.nameOf(request), announcedBytes(request, admission.maxBytes))
    },
    handler: async (request, reply) => {
      const { body } = request
      assert(body instanceof Uint8Array, 'a request with one of these media types passed its parser')
      const wishes = wishesOf(request.raw.url ?? '', request.headers['prefer']?.toString())
      const registration = admission.admit(body, door.senderOf(request))
      const admitted = await within(registration, wishes)

      reply.header('cache-control', 'no-store')
      const applied = appliedOf(wishes.preferred, admitted !== undefined)
      if (applied !== undefined) reply.header('preference-applied', applied)
      if (!admitted) {
        // Only now: a client that waits needs no second look at its statement. What could not be read was refused at once.
        const entry = toHex(parseSignedStatement(body, { maxBytes: body.length }).entry)
        void pending.follow(entry, registration)
        void door.followAppend(request, entry, registration)
        return reply
          .code(303)
          .headers({ location: `/entries/${entry}`, 'retry-after': RETRY_AFTER })
          .send()
      }
      await door.recordAppend(request, wishes.redirect ? 303 : 201, admitted)
      const id = `0.${admitted.index}`
      reply.header('location', `/entries/${id}`)
      // What pyscitt looks for in place of a Location.
      if (wishes.redirect || wishes.wait === Number.POSITIVE_INFINITY) reply.header('x-ms-ccf-transaction-id', id)
      if (wishes.redirect) return reply.code(303).send()
      return reply.code(201).type(coseType(request, 'application/scitt-receipt+cose')).send(octets(admitted.receipt))
    },
  })

  /** What `work` comes to, or undefined when the client is to be told to ask again. */
  function within<T>(work: Promise<T>, { wait = deadline }: Wishes): Promise<T | undefined> {
    if (wait === Number.POSITIVE_INFINITY) return work
    return new Promise((resolve, reject) => {
      const cancel = timer(() => resolve(undefined), wait * 1000)
      work.then(resolve, reject).finally(cancel)
    })
  }
}

export function systemTimer(callback: () => void, milliseconds: number): () => void {
  const timeout = setTimeout(callback, milliseconds)
  return () => clearTimeout(timeout)
}
