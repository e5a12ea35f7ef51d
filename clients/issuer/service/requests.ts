/**
 * What is asked over the local API, read: bounded, strict, and nothing taken that was not asked for.
 *
 * @module
 */
import type { IncomingMessage } from 'node:http'
import { EvidenceError } from '../../../merkle/error.ts'
import { concatBytes, fromUtf8 } from '../../../merkle/index.ts'
import { isJsonObject, type Json, parseJson } from '../../../provenance/index.ts'
import { type PublicJwk, parsePublicJwk } from '../../../statement/index.ts'
import { LONGEST_WAIT, MAX_SUBMISSION_BYTES } from '../../delivery/index.ts'
import { ServiceError } from './error.ts'
import type { Submission, Wanted } from './service.ts'

const MAX_URL = 4096

/** The path and the query of a request, each parameter at most once. */
export function readTarget(url: string): { path: string; query: ReadonlyMap<string, string> } {
  const [path = '', search = '', ...more] = url.length > MAX_URL ? [] : url.split('?')
  if (more.length > 0 || !path.startsWith('/')) throw new ServiceError('malformed_request', 'not a path with a query')
  const query = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(search)) {
    if (query.has(name)) throw new ServiceError('malformed_request', `${name.slice(0, 32)} twice`)
    query.set(name, value)
  }
  return { path, query }
}

export function readWanted(query: ReadonlyMap<string, string>): Wanted {
  const unknown = [...query.keys()].find((name) => name !== 'subject' && name !== 'key')
  if (unknown !== undefined) throw new ServiceError('malformed_request', 'only subject and key can be asked for')
  const [subject, keyThumbprint] = [query.get('subject'), query.get('key')]
  return { ...(subject !== undefined && { subject }), ...(keyThumbprint !== undefined && { keyThumbprint }) }
}

/** Seconds that the client would wait (RFC 7240 §4.3); 0 when it says nothing of it, or nothing that we understand. */
export function readWait(prefer: string | readonly string[] | undefined): number {
  const seconds = /(?:^|[,;\s])wait=([0-9]{1,5})(?:$|[,;\s])/.exec([prefer ?? ''].flat().join().slice(0, 256))?.[1]
  return Math.min(Number(seconds ?? 0), LONGEST_WAIT)
}

/** The digest in `If-None-Match`, lower-case hex; undefined when there is none that we ever gave. */
export function readEtag(header: string | undefined): string | undefined {
  return /^"([0-9a-f]{64})"$/.exec(header ?? '')?.[1]
}

/** @throws {@link ServiceError} `unsupported_media_type`, `request_too_large`, `malformed_request` */
export async function readSubmission(request: IncomingMessage): Promise<Submission> {
  if (request.headers['content-type'] !== 'application/json' || request.headers['content-encoding'] !== undefined) {
    throw new ServiceError('unsupported_media_type', 'a body of application/json, without a coding')
  }
  const body = parse(await readBody(request))
  if (!isJsonObject(body)) throw malformed('an object')
  const { subject, workloadKey, results, delivery, ...rest } = body
  if (Object.keys(rest).length > 0) throw malformed('subject, workloadKey, results and delivery, and nothing else')
  if (typeof subject !== 'string' || subject.length > 2048) throw malformed('subject: a workload identifier')
  if (!Array.isArray(results)) throw malformed('results: a list')
  if (delivery !== undefined && delivery !== 'local-api' && delivery !== 'env')
    throw malformed('delivery: local-api or env')
  return {
    subject,
    workloadKey: readKey(workloadKey),
    results: results.map((result: Json) => {
      if (typeof result !== 'string') throw malformed('results: compact JWS')
      return result
    }),
    ...(delivery !== undefined && { delivery }),
  }
}

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const announced = Number(request.headers['content-length'] ?? 0)
  const chunks: Uint8Array[] = []
  let length = 0
  if (announced <= MAX_SUBMISSION_BYTES) {
    // Breaking off must leave the connection, for the refusal.
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>) {
      length += chunk.length
      if (length > MAX_SUBMISSION_BYTES) break
      chunks.push(chunk)
    }
  }
  if (announced > MAX_SUBMISSION_BYTES || length > MAX_SUBMISSION_BYTES) {
    throw new ServiceError('request_too_large', `more than ${MAX_SUBMISSION_BYTES} bytes`)
  }
  return concatBytes(...chunks)
}

function parse(bytes: Uint8Array): Json {
  try {
    return parseJson(fromUtf8(bytes))
  } catch (cause) {
    // Without the parser's words: they would quote what was sent.
    if (cause instanceof EvidenceError || cause instanceof TypeError) throw malformed('JSON')
    throw cause
  }
}

/** The public half alone is taken: a private key that is sent by mistake is refused, not kept. */
function readKey(value: Json | undefined): PublicJwk {
  try {
    return parsePublicJwk(value)
  } catch (cause) {
    if (!(cause instanceof EvidenceError)) throw cause
    throw malformed(`workloadKey: a public key (${cause.code})`)
  }
}

function malformed(expected: string): ServiceError {
  return new ServiceError('malformed_request', `expected ${expected}`)
}
