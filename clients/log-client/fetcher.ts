/**
 * How requests travel: `node:http(s)` with a few kept-alive connections, a bound on every answer and a deadline on every request.
 *
 * Deliberately not `fetch`: that follows redirects by itself, has no bound on sockets or bytes, and costs three times as much per tile.
 *
 * @module
 */
import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import type { TLSSocket } from 'node:tls'
import { EvidenceError, fromUtf8, UnavailableError } from '../../merkle/index.ts'
import type { FieldLine } from '../../provenance/index.ts'
import { decodeProblem } from '../../statement/index.ts'
import { AnswerError, RefusedError } from './error.ts'
import { Spent } from './spent.ts'
import { type ClientTls, checkShownName, WorkloadAgent } from './tls-agent.ts'
import type { Prover } from './workload-proof.ts'

export interface FetchRequest {
  readonly method?: 'GET' | 'POST'
  /** Below the base URL, without a leading slash: `tile/0/000`. */
  readonly path: string
  readonly accept?: string
  readonly body?: Uint8Array
  readonly contentType?: string
  /** What of the answer is here already, and the validator that came with it: asks for the rest. */
  readonly after?: { readonly length: number; readonly etag: string }
  /** Longer answers are cut off and refused. */
  readonly maxBytes: number
  /** Where the body goes when there is room for it: the answer then has a view of it. For whoever asks for a lot, and would leave it to the collector. */
  readonly into?: Uint8Array
}

export interface FetchAnswer {
  /** 200 to 399, and redirects are not followed. */
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: Uint8Array
}

/** An answer that broke off, of which the rest can be asked for. */
export class BrokenAnswerError extends UnavailableError {
  /** Whether it is the whole that was begun, and not the rest that was asked for. */
  readonly whole: boolean
  readonly received: Uint8Array
  /** Of the whole, strong. */
  readonly etag: string

  constructor(
    message: string,
    part: { readonly whole: boolean; readonly received: Uint8Array; readonly etag: string },
  ) {
    super(message)
    this.whole = part.whole
    this.received = part.received
    this.etag = part.etag
  }
}

/** The one way to a log; a test passes its own. */
export interface Fetcher {
  /**
   * @throws `RefusedError` for a 4xx; `UnavailableError` for a 5xx, a 429, a time-out or a broken connection, as a
   * {@link BrokenAnswerError} where a part of the answer came and the peer sends parts;
   * `AnswerError` `untrusted_certificate`, `certificate_refused`, `answer_too_large`, `malformed_answer`; where the server is known by its
   * identifier, `ProvenanceError` `unexpected_peer`, `server_name_mismatch`, and those of `verifyPeer`
   */
  fetch(request: FetchRequest): Promise<FetchAnswer>
  /** Ends the connections that are idle, and fails the requests under way. */
  close(): void
}

export interface FetcherOptions {
  readonly url: string
  /** Connections at most; further requests wait for one. */
  readonly sockets?: number
  /** From sending the request to the last byte of the answer, in milliseconds. */
  readonly timeout?: number
  /** By which name we know the log's server, and as whom it knows us. */
  readonly tls?: ClientTls
  /** Says with each request who we are. */
  readonly prover?: Prover
  /** POSIX seconds, for certificates: that of this machine, when not given. */
  readonly now?: () => number
}

const DEFAULT_SOCKETS = 8
const DEFAULT_TIMEOUT = 30_000
/** What a refusal may say. */
const MAX_PROBLEM_BYTES = 16_384

/** @throws `AnswerError` `malformed_url`, `insecure_url` */
export function createFetcher(options: FetcherOptions): Fetcher {
  const { url, sockets = DEFAULT_SOCKETS, timeout = DEFAULT_TIMEOUT, prover } = options
  const base = parseBaseUrl(url)
  const secure = base.protocol === 'https:'
  const agent = agentOf(options, secure)
  const open = secure ? https.request : http.request
  const target = { protocol: base.protocol, hostname: unbracket(base.hostname), port: base.port, agent }
  const turns = agent instanceof WorkloadAgent ? new Turns(sockets) : undefined

  // A proof is good once: a request that is repeated has another.
  async function exchange(request: FetchRequest, mayRepeat: boolean): Promise<FetchAnswer> {
    if (agent instanceof WorkloadAgent) await agent.discardStale()
    const headers = headersOf(request, base.host)
    if (prover) headers.push(...(await proofOf(request, headers, base, prover)))
    return send(request, headers, mayRepeat)
  }

  function send(request: FetchRequest, headers: readonly string[], mayRepeat: boolean): Promise<FetchAnswer> {
    return new Promise((resolve, reject) => {
      const { method = 'GET', path, body, maxBytes } = request
      let failed = false
      /** What came of an answer whose rest can be asked for. */
      let partial = (): BrokenAnswerError | undefined => undefined
      const fail = (error: unknown) => {
        failed = true
        clearTimeout(deadline)
        outgoing.destroy()
        const failure = asUnavailable(error, path)
        reject((failure instanceof UnavailableError && partial()) || failure)
      }
      const outgoing = open({ ...target, method, path: base.pathname + path, headers }, (incoming) => {
        const { statusCode: status = 0, headers } = incoming
        const done = (received: Uint8Array) => {
          clearTimeout(deadline)
          const refused = verdict(path, { status, headers, body: received })
          if (refused === undefined) resolve({ status, headers, body: received })
          else reject(refused)
        }
        const limit = status >= 400 ? MAX_PROBLEM_BYTES : maxBytes
        const received = receive(incoming, { limit, into: request.into }, done, fail)
        const { etag = '', 'accept-ranges': ranges } = headers
        if ((status === 200 || status === 206) && ranges === 'bytes' && etag.startsWith('"')) {
          const whole = status === 200
          partial = () => new BrokenAnswerError(`${path}: the answer broke off`, { whole, received: received(), etag })
        }
      })
      // A peer that drips one byte a second is as absent as one that sends none: the deadline is for the whole answer.
      const deadline = setTimeout(
        () => fail(new UnavailableError(`${path}: no complete answer after ${timeout / 1000} s`)),
        timeout,
      )
      const broken = (error: Error) => {
        // Ours: an answer that is given up looks like a connection that broke, and repeating it would ask for it again.
        if (failed) return
        // No repetition makes a certificate better.
        // What OpenSSL thinks is still on the socket where it was not asked (`tls-agent.ts`).
        const distrust = !turns && (outgoing.socket as Partial<TLSSocket> | null)?.authorizationError
        if (distrust) return fail(new AnswerError('untrusted_certificate', `${base.host}: ${error.message}`))
        if (isCertificateAlert(error))
          return fail(new AnswerError('certificate_refused', `${base.host}: ${error.message}`))
        // A kept-alive connection may turn out to have been closed. Repeating is safe: reads change nothing, and the same
        // statement registered twice is one entry.
        if (!mayRepeat || !outgoing.reusedSocket || !isReset(error)) return fail(error)
        clearTimeout(deadline)
        exchange(request, false).then(resolve, reject)
      }
      outgoing.on('error', broken)
      // One that ended between its handshake and the request, which nobody is told of any more.
      outgoing.on('socket', (socket) => {
        if (socket.destroyed) broken(socket.errored ?? new Error('the connection closed'))
      })
      outgoing.end(body)
    })
  }

  return {
    fetch: (request) => (turns ? turns.take(() => exchange(request, true)) : exchange(request, true)),
    close: () => agent.destroy(),
  }
}

function agentOf({ tls, now = systemClock, sockets = DEFAULT_SOCKETS }: FetcherOptions, secure: boolean): http.Agent {
  const settings = { keepAlive: true, maxSockets: sockets, scheduling: 'fifo' as const }
  if (!secure) {
    // Nobody would be asked who they are.
    if (tls?.server)
      throw new AnswerError('insecure_url', 'a server that is to be known by its identifier, without TLS')
    return new http.Agent(settings)
  }
  if (tls?.certificate || tls?.server) return new WorkloadAgent(settings, tls, now)
  return new https.Agent({
    ...settings,
    minVersion: 'TLSv1.2',
    checkServerIdentity: checkShownName,
    ...(tls?.ca !== undefined && { ca: tls.ca }),
  })
}

function systemClock(): number {
  return Math.floor(Date.now() / 1000)
}

/** At most so many at once, the others in order. Node's agents count a connection only once it is made. */
class Turns {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(count: number) {
    this.#free = count
  }

  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#free++
    }
  }
}

/** As a list: Node then writes them as they are, which saves a tenth of what a request costs. */
function headersOf({ accept = '*/*', body, contentType, after }: FetchRequest, host: string): string[] {
  const headers = ['host', host, 'accept', accept, 'accept-encoding', 'identity']
  if (contentType !== undefined) headers.push('content-type', contentType)
  if (body !== undefined) headers.push('content-length', String(body.length))
  if (after !== undefined) headers.push('range', `bytes=${after.length}-`, 'if-range', after.etag)
  return headers
}

async function proofOf(
  { method = 'GET', path, body }: FetchRequest,
  headers: readonly string[],
  base: URL,
  prover: Prover,
): Promise<string[]> {
  const target = base.pathname + path
  const fields = Array.from({ length: headers.length / 2 }, (_, i): FieldLine => [headers[2 * i]!, headers[2 * i + 1]!])
  const url = `${base.origin}${target.replace(/\?.*$/s, '')}`
  const added = await prover({ method, target, url, fields, ...(body !== undefined && { content: body }) })
  return added.flat()
}

function parseBaseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (
    url === undefined ||
    !/^https?:$/.test(url.protocol) ||
    url.search !== '' ||
    url.hash !== '' ||
    url.username !== ''
  ) {
    // Not quoted: it may have a password in it.
    throw new AnswerError(
      'malformed_url',
      'the base URL of a log is http(s)://host/path, without user, query or fragment',
    )
  }
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    throw new AnswerError('insecure_url', `${url.origin}: plain http only to this machine`)
  }
  if (!url.pathname.endsWith('/')) url.pathname += '/'
  return url
}

export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname)
}

function unbracket(hostname: string): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
}

/**
 * Collects a body into one array of its own, sized once when the peer said how long it is. Calls one of `done` and `fail`, or `fail` again.
 * Returns what was collected so far.
 */
function receive(
  incoming: IncomingMessage,
  { limit, into }: { limit: number; into: Uint8Array | undefined },
  done: (body: Uint8Array) => void,
  fail: (error: unknown) => void,
): () => Uint8Array {
  const declared = Number(incoming.headers['content-length'] ?? 0)
  if (declared > limit) {
    fail(new AnswerError('answer_too_large', `${declared} bytes where ${limit} are the most`))
    return () => new Uint8Array(0)
  }
  const size = Number.isSafeInteger(declared) ? declared : 0
  let body = into && into.length >= size ? into.subarray(0, size) : new Uint8Array(size)
  const spent = into && new Spent(incoming)
  let length = 0
  incoming.on('data', (chunk: Uint8Array) => {
    const end = length + chunk.length
    if (end > limit) return fail(new AnswerError('answer_too_large', `more than ${limit} bytes`))
    if (end > body.length) {
      const larger = new Uint8Array(Math.min(limit, Math.max(2 * body.length, end)))
      larger.set(body.subarray(0, length))
      body = larger
    }
    body.set(chunk, length)
    length = end
    spent?.add(chunk)
  })
  incoming.on('end', () => {
    spent?.letGo()
    done(length === body.length ? body : body.slice(0, length))
  })
  incoming.on('error', fail)
  // An answer that breaks off need not be an error to Node. (An Error per answer would cost as much as the request.)
  incoming.on('close', () => {
    spent?.leave()
    if (!incoming.readableEnded) fail(new UnavailableError('the connection closed before the end of the answer'))
  })
  return () => body.subarray(0, length)
}

/** What to throw instead of handing out the answer, if anything. */
function verdict(path: string, answer: FetchAnswer): Error | undefined {
  const { status, headers } = answer
  if (status >= 500 || status === 429) {
    const retryAfter = parseRetryAfter(headers)
    return new UnavailableError(
      `${path}: HTTP ${status}${whyOf(answer)}`,
      retryAfter === undefined ? {} : { retryAfter },
    )
  }
  if (status >= 400) return readRefusal(answer)
  const encoding = headers['content-encoding']
  if (encoding === undefined || encoding === 'identity') return undefined
  return new AnswerError('malformed_answer', `${path}: compressed, and we did not offer that`)
}

/** Seconds of a `Retry-After` header; a date there is ignored, because that would be the peer's clock against ours. */
export function parseRetryAfter(headers: http.IncomingHttpHeaders): number | undefined {
  const text = headers['retry-after']
  return text !== undefined && /^[0-9]{1,6}$/.test(text) ? Number(text) : undefined
}

/** The one word by which a log says why it cannot: of a problem its code, of `/readyz` its reason. */
function whyOf(answer: FetchAnswer): string {
  const { code, reason = code } = readProblem(answer)
  return typeof reason === 'string' && /^[a-z_]{1,64}$/.test(reason) ? ` (${reason})` : ''
}

interface Problem {
  readonly title?: unknown
  readonly detail?: unknown
  readonly code?: unknown
  readonly reason?: unknown
}

/** Problem details of RFC 9290 (CBOR) or RFC 9457 (JSON); of anything else, nothing. */
function readProblem({ headers, body }: FetchAnswer): Problem {
  const type = headers['content-type'] ?? ''
  try {
    if (type.includes('cbor')) return decodeProblem(body)
    if (type.includes('json')) return Object(JSON.parse(fromUtf8(body)))
  } catch {
    // An unreadable refusal is still a refusal.
  }
  return {}
}

function readRefusal(answer: FetchAnswer): RefusedError {
  const { status } = answer
  const problem = readProblem(answer)
  const text = (value: unknown, otherwise: string) => (typeof value === 'string' ? value.slice(0, 1000) : otherwise)
  return new RefusedError({
    status,
    code: text(problem.code, `http_${status}`),
    title: text(problem.title, `HTTP ${status}`),
    detail: text(problem.detail, ''),
  })
}

/** Of a server that judges certificates in the handshake: in TLS 1.3 it says so after ours is done. */
function isCertificateAlert(error: Error): boolean {
  const code = 'code' in error ? String(error.code) : ''
  return /^ERR_SSL_.*ALERT_(?:.*CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/.test(code)
}

function isReset(error: Error): boolean {
  return 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE')
}

/** Our own errors as they are; whatever the network threw as "could not find out". */
function asUnavailable(error: unknown, path: string): Error {
  if (error instanceof UnavailableError || error instanceof RefusedError || error instanceof EvidenceError) return error
  const reason = error instanceof Error ? ('code' in error ? String(error.code) : error.message) : String(error)
  return new UnavailableError(`${path}: ${reason}`, { cause: error })
}
