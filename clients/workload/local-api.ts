/**
 * Asking an issuer on this machine for our credential, over its Unix socket (`delivery/local-api.ts` has the routes).
 *
 * The socket's path is looked at before anything is sent: what we submit is no secret, but whoever answers decides who we are.
 *
 * @module
 */
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { concatBytes, UnavailableError, utf8 } from '../../merkle/index.ts'
import type { PublicJwk } from '../../statement/index.ts'
import {
  API_HEADER,
  type CredentialAnswer,
  checkSocket,
  DeliveryError,
  isCode,
  MAX_ANSWER_BYTES,
  PATHS,
  parseAnswer,
  readCredentialAnswer,
  type SubmissionBody,
} from '../delivery/index.ts'
import { type Arrived, checkArrived, type Expected, type OwnCredential } from './credential.ts'

export interface LocalIssuer {
  /** Path of the socket. */
  readonly socket: string
  /** Users whose sockets are believed, besides root and ourselves. */
  readonly owners?: readonly number[]
  /** Milliseconds without an answer, what it is asked to wait not counted; 30 s when not given. */
  readonly timeout?: number
}

/** The issuer said no; `reason` is its code. */
export class IssuerRefusal extends DeliveryError {
  readonly reason: string
  readonly status: number

  constructor(status: number, reason: string, detail: string) {
    super('refused_by_issuer', `${reason}: ${detail}`)
    this.reason = reason
    this.status = status
  }
}

export interface FromIssuer extends OwnCredential {
  /** POSIX seconds. */
  readonly renewAt: number
  readonly renewal: CredentialAnswer['renewal']
  /** What to give as `known` to hear of another one only. */
  readonly etag: string
}

export interface Question {
  readonly subject?: string
  /** RFC 7638 thumbprint of the key, where several instances have one each. */
  readonly keyThumbprint?: string
  /** The `etag` of the credential that we have; with `wait` the answer comes when there is another. */
  readonly known?: string
  /** Seconds. */
  readonly wait?: number
}

/**
 * The credential there is for us, checked; undefined when it is still the one that we know.
 *
 * @throws {@link IssuerRefusal}; DeliveryError about the socket, `malformed_answer`, and those of `checkArrived`; `UnavailableError`
 */
export async function fetchCredential(
  issuer: LocalIssuer,
  { subject, keyThumbprint, known, wait = 0 }: Question,
  expected: Expected,
): Promise<FromIssuer | undefined> {
  const query = new URLSearchParams()
  if (subject !== undefined) query.set('subject', subject)
  if (keyThumbprint !== undefined) query.set('key', keyThumbprint)
  const search = query.size > 0 ? `?${query}` : ''
  const headers = {
    ...(known !== undefined && { 'if-none-match': known }),
    ...(wait > 0 && { prefer: `wait=${wait}` }),
  }
  const answer = await ask(issuer, { path: `${PATHS.credential}${search}`, headers, wait })
  return answer.status === 304 ? undefined : readCredential(answer, expected)
}

/**
 * Submits what we were attested by, and gets the credential for it.
 *
 * @throws as {@link fetchCredential}
 */
export async function submitResults(
  issuer: LocalIssuer,
  submission: Omit<SubmissionBody, 'workloadKey'> & { readonly workloadKey: PublicJwk },
  expected: Expected,
): Promise<FromIssuer> {
  const body = utf8(JSON.stringify(submission))
  return readCredential(await ask(issuer, { path: PATHS.credential, headers: {}, wait: 0, body }), expected)
}

/** The SPIFFE bundle that the issuer gives out: as good as the socket that it came by. */
export async function fetchTrustBundle(issuer: LocalIssuer): Promise<string> {
  const { body } = await ask(issuer, { path: PATHS.trustBundle, headers: {}, wait: 0 })
  return JSON.stringify(parseAnswer(body))
}

interface Answer {
  readonly status: number
  readonly etag: string
  readonly body: Uint8Array
}

async function readCredential({ body, etag }: Answer, expected: Expected): Promise<FromIssuer> {
  const { credential, bundleBytes, trustBundle, renewAt, renewal } = readCredentialAnswer(body)
  const arrived: Arrived = { text: credential, bundle: bundleBytes, trustBundle: JSON.stringify(trustBundle) }
  return { ...(await checkArrived(arrived, expected)), renewAt, renewal, etag }
}

interface Asked {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly wait: number
  /** Makes it a POST. */
  readonly body?: Uint8Array
}

async function ask({ socket, owners, timeout = 30_000 }: LocalIssuer, asked: Asked): Promise<Answer> {
  await checkSocket(socket, owners)
  const { path, headers, wait, body } = asked
  const signal = AbortSignal.timeout(timeout + wait * 1000)
  let answer: Answer
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = httpRequest(
        {
          socketPath: socket,
          path,
          method: body ? 'POST' : 'GET',
          headers: {
            host: 'localhost',
            [API_HEADER]: 'true',
            connection: 'close',
            ...(body && { 'content-type': 'application/json', 'content-length': body.length }),
            ...headers,
          },
          signal,
        },
        resolve,
      )
      request.once('error', reject)
      request.end(body)
    })
    answer = { status: response.statusCode ?? 0, etag: response.headers.etag ?? '', body: await readBody(response) }
  } catch (cause) {
    if (cause instanceof DeliveryError) throw cause
    const why = isCode(cause, 'ECONNREFUSED') ? 'nobody listens there' : 'it broke off'
    throw new UnavailableError(`no answer from ${socket}: ${why}`, { cause })
  }
  if (answer.status === 200 || answer.status === 304) return answer
  throw refusalOf(answer)
}

async function readBody(response: IncomingMessage): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response as AsyncIterable<Uint8Array>) {
    length += chunk.length
    if (length > MAX_ANSWER_BYTES) throw new DeliveryError('malformed_answer', `more than ${MAX_ANSWER_BYTES} bytes`)
    chunks.push(chunk)
  }
  return concatBytes(...chunks)
}

function refusalOf({ status, body }: Answer): Error {
  const { code, detail } = parseAnswer(body)
  if (typeof code !== 'string' || typeof detail !== 'string') {
    return new DeliveryError('malformed_answer', `status ${status}, and no reason`)
  }
  if (status === 503 || status === 429) return new UnavailableError(`the issuer says ${code}: ${detail}`)
  return new IssuerRefusal(status, code, detail)
}
