/**
 * POST /v1/entries — registers many statements in one request.
 *
 *     request    application/cbor-seq (RFC 8742): byte strings, each one statement as POST /entries takes it
 *     answer     application/cbor-seq: for each, in the same order, a byte string with its receipt
 *                or a map, the concise problem details (RFC 9290) that it would have been refused with
 *            or, for whoever accepts it and may read, a bundle set: the bundle of each credential whose record was registered
 *
 * What is wrong with the sequence (not byte strings, cut short, too many, none) refuses the whole request before anything is
 * admitted, and so does a log that has no room for all of it (503). After that each statement stands for itself, and all is as if they had
 * been sent one after another: one may link to another before it, or be signed by a key that one before it authorized.
 *
 * @module
 */
import type { IncomingMessage } from 'node:http'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { assert, EvidenceError } from '../../merkle/error.ts'
import { BUNDLE_SET_MEDIA_TYPE, encodeBundleSet, MAX_BUNDLES } from '../../provenance/verification/bundle-set.ts'
import { splitByteStrings } from '../../statement/cbor-sequence.ts'
import { headLength, MAJOR, writeHead } from '../../statement/cbor-write.ts'
import type { Door } from '../access/door.ts'
import type { Admission } from '../admission/admission.ts'
import type { Admitted } from '../admission/admission-batch.ts'
import { bytes, operation } from '../http/openapi.ts'
import type { Storage } from '../http/readiness.ts'
import { encodeConcise, type ProblemCode, problemOf, RequestError } from '../problem.ts'
import type { Collected } from '../reading/collect.ts'
import type { SharedRoom } from '../shared-room.ts'
import { inPieces } from '../turns.ts'
import { announcedBytes, readBody } from './body.ts'
import { octets } from './http.ts'
import type { Stories } from './stories.ts'

const MEDIA_TYPE = 'application/cbor-seq'

/** As many as the largest batch that the sequencer commits at once. */
export const MAX_STATEMENTS = 1000
/** A thousand statements of 4 KiB, or a dozen of the largest with all their wraps. */
export const MAX_BODY_BYTES = 4 * 1024 * 1024

const schema = operation({
  operationId: 'registerAll',
  access: 'append',
  tags: ['provlog'],
  summary: 'Register many signed statements.',
  description:
    'Each is admitted for itself, in order, as if they had been sent one after another. Only what is wrong with the sequence as ' +
    'such, or having no room for all of it, refuses the whole request, and then before anything is admitted. ' +
    `Whoever accepts ${BUNDLE_SET_MEDIA_TYPE} gets for up to ${MAX_BUNDLES} statements a bundle set, all of it at one tree head: for each, in ` +
    'order, the problem details, or the places of its statements, itself with its receipt first; of a credential-provenance all that its bundle ' +
    'has, and of all else nothing more, nor of a credential that cannot be told of. It is receipts all the same for whoever may not read, and ' +
    'where there is no room.',
  requestHeaders: { accept: `${BUNDLE_SET_MEDIA_TYPE}, to be told more than receipts.` },
  requestBody: {
    description: `A CBOR sequence (RFC 8742) of 1 to ${MAX_STATEMENTS} byte strings in their shortest form, each a Signed Statement (RFC 9943); ${MAX_BODY_BYTES / 2 ** 20} MiB at most.`,
    mediaTypes: [MEDIA_TYPE],
  },
  answers: {
    200: bytes(
      'A CBOR sequence: for each statement, in order, a byte string with its receipt (RFC 9942), or the concise problem details (RFC 9290) that it was refused with. Or a bundle set.',
      MEDIA_TYPE,
      BUNDLE_SET_MEDIA_TYPE,
    ),
  },
  problems: [
    ...([
      'malformed_cbor',
      'too_large',
      'unsupported_media_type',
      'queue_full',
      'shutting_down',
      'log_stopped',
    ] as const),
    ...(['disk_full', 'storage_unwritable', 'commit_stalled'] as const),
  ],
})

interface BatchOptions {
  readonly admission: Pick<Admission, 'admitAll' | 'expect'>
  /** For bodies on their way in. */
  readonly bodies: SharedRoom
  readonly door: Door
  readonly stories: Pick<Stories, 'registered'>
  /** Asked before a body is read. */
  readonly storage?: Pick<Storage, 'demand'> | undefined
  /** Told the code of each statement that is refused. */
  readonly count: (code: ProblemCode) => void
}

export const batchRoutes: FastifyPluginAsync<BatchOptions> = async (
  app,
  { admission, bodies, door, stories, storage, count },
) => {
  app.addContentTypeParser(MEDIA_TYPE, (request: FastifyRequest, payload: IncomingMessage) =>
    readBody(payload, MAX_BODY_BYTES, { room: bodies, caller: door.nameOf(request) }),
  )

  app.post('/v1/entries', {
    schema,
    // Before the body is read, as in register.ts.
    onRequest: async (request) => {
      storage?.demand()
      if (request.headers['content-type']?.toLowerCase() !== MEDIA_TYPE) {
        throw new RequestError('unsupported_media_type', `statements come as ${MEDIA_TYPE}`)
      }
      admission.expect(door.nameOf(request), announcedBytes(request, MAX_BODY_BYTES))
    },
    handler: async (request, reply) => {
      const { body } = request
      assert(body instanceof Uint8Array, 'a request with this media type passed its parser')
      const statements = splitByteStrings(body, MAX_STATEMENTS)
      if (statements.length === 0) throw new RequestError('malformed_request', 'a batch of no statements')
      const outcomes = await admission.admitAll(statements, door.senderOf(request))
      await door.recordAppends(request, outcomes)
      reply.header('cache-control', 'no-store')
      const told = mayTell(request, outcomes) && (await stories.registered(indexesOf(outcomes), request))
      if (told) {
        // As many as were admitted, in their order.
        const bundles = [...told.bundles]
        const answers = outcomes.map((outcome) =>
          outcome instanceof Error ? encodeRefusal(outcome, request, count) : placesIn(bundles.shift()),
        )
        return reply.type(BUNDLE_SET_MEDIA_TYPE).send(octets(encodeBundleSet({ ...told, bundles: answers })))
      }
      return reply.type(MEDIA_TYPE).send(octets(await encodeAnswer(outcomes, request, count)))
    },
  })
}

function mayTell({ headers: { accept = '' } }: FastifyRequest, outcomes: readonly unknown[]): boolean {
  return accept.includes(BUNDLE_SET_MEDIA_TYPE) && outcomes.length <= MAX_BUNDLES
}

function indexesOf(outcomes: readonly (Admitted | Error)[]): number[] {
  return outcomes.flatMap((outcome) => (outcome instanceof Error ? [] : [outcome.index]))
}

function placesIn(story: Collected['bundles'][number] | undefined): readonly number[] {
  assert(story && !(story instanceof EvidenceError), 'of what was registered there is the statement at least')
  return story
}

/** All outcomes, written into one array: a byte string for each receipt, and refusals as they encode. */
async function encodeAnswer(
  outcomes: readonly (Admitted | Error)[],
  request: FastifyRequest,
  count: BatchOptions['count'],
): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  await inPieces(outcomes.length, (i) => {
    const outcome = outcomes[i]!
    parts.push(outcome instanceof Error ? encodeRefusal(outcome, request, count) : outcome.receipt)
  })
  let length = 0
  for (const [i, part] of parts.entries()) {
    length += part.length + (outcomes[i] instanceof Error ? 0 : headLength(part.length))
  }
  const answer = new Uint8Array(length)
  let at = 0
  for (const [i, part] of parts.entries()) {
    if (!(outcomes[i] instanceof Error)) at = writeHead(answer, at, MAJOR.bytes, part.length)
    answer.set(part, at)
    at += part.length
  }
  return answer
}

function encodeRefusal(refusal: Error, request: FastifyRequest, count: BatchOptions['count']): Uint8Array {
  const problem = problemOf(refusal, request.id)
  count(problem.code)
  if (problem.status === 500) request.log.error({ reqId: request.id, err: refusal }, 'a statement of a batch failed')
  return encodeConcise(problem)
}
