/**
 * The server below the application: what a connection may take, and what is answered where HTTP itself was not kept to.
 *
 * Node leaves most bounds open, in the expectation of a proxy in front, and answers by itself, with an empty body, what it does not hand
 * on. There may be no proxy; and every refusal of this server has a code (`problem.ts`), in CBOR on the paths of SCRAPI.
 *
 * @module
 */
import http, { type RequestListener, STATUS_CODES } from 'node:http'
import https from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type Problem, type ProblemCode, problemForm, problemOf, RequestError } from '../problem.ts'
import { BusyError, LogError } from '../types.ts'
import { DEFAULT_MAX_CONNECTIONS, limitConnections } from './connections.ts'
import { pathOf } from './request-path.ts'
import type { TlsSettings } from './tls.ts'

/** How long a client may take, in milliseconds. */
export interface Timeouts {
  /** To the end of the headers, from the first byte of the connection or of the request. */
  readonly headers: number
  /** From the first byte to the last of one request: 256 KiB at 10 KiB/s. A client that drips is cut off. */
  readonly request: number
  /** A socket on which nothing moves, in either direction: longer than the slowest append. */
  readonly connection: number
  /** Between two requests. */
  readonly keepAlive: number
  /** For which an answer may lie unread; after that it must have been taken at 10 KiB/s (`connections.ts`). */
  readonly answer: number
  /** How often the first two are looked at, and unread answers: they are late by up to this much. */
  readonly interval: number
}

const TIMEOUTS: Timeouts = {
  headers: 10_000,
  request: 30_000,
  connection: 60_000,
  keepAlive: 65_000,
  answer: 30_000,
  interval: 2_000,
}

const SERVER_LIMITS = {
  // Enough for a path, an Accept and what browsers send along; four times the paths we have.
  maxHeaderSize: 8 * 1024,
  // Asked for by the application, where the answer says why.
  requireHostHeader: false,
}

const MAX_REQUESTS_PER_SOCKET = 100_000

export interface HttpServerOptions {
  readonly tls?: TlsSettings
  /** Shorter ones, for tests. */
  readonly timeouts?: Partial<Timeouts>
  /** Connections at one time; {@link DEFAULT_MAX_CONNECTIONS} when not said. */
  readonly maxConnections?: number
  /** Told of each that is refused. */
  readonly count?: (code: ProblemCode) => void
}

/** The path of the last POST on a socket. */
const posting = new WeakMap<Duplex, string>()

/** Not listening yet. It listens on one address, also where a name has several: all of a log's connections are under these bounds. */
export function createServer(handler: RequestListener, options: HttpServerOptions): http.Server {
  const { tls, maxConnections: max = DEFAULT_MAX_CONNECTIONS } = options
  const { headers, request, connection, keepAlive, answer, interval } = { ...TIMEOUTS, ...options.timeouts }
  const limits = {
    ...SERVER_LIMITS,
    headersTimeout: headers,
    requestTimeout: request,
    keepAliveTimeout: keepAlive,
    connectionsCheckingInterval: interval,
  }
  const noting: RequestListener = (incoming, response) => {
    // A body may never come to its end, and then there is a socket, and no request, to answer on.
    if (incoming.method === 'POST') posting.set(incoming.socket, pathOf({ raw: incoming }))
    handler(incoming, response)
  }
  // For `httpAllowHalfOpen` below to have its effect: a TLS connection that its client has half closed Node would close.
  const server = tls
    ? https.createServer({ ...limits, ...tls, allowHalfOpen: true }, noting)
    : http.createServer(limits, noting)
  server.setTimeout(connection)
  server.maxRequestsPerSocket = MAX_REQUESTS_PER_SOCKET
  const refuse = (socket: Socket) => {
    options.count?.('too_many_connections')
    // What could be said in clear text nobody would read.
    if (tls) socket.destroy()
    else refuseConnection(socket)
  }
  limitConnections(server, { max, answer, interval, refuse, isTls: tls !== undefined })
  answerAll(server)
  return server
}

/** Has every request answered, and by us: for some of them Node would close the connection or send a status and nothing else. */
function answerAll(server: http.Server & { httpAllowHalfOpen?: boolean }): void {
  // A client that has sent its request may say that it sends no more (RFC 9112 §9.6), and waits for its answer still. Node would close at
  // once, with the statement registered and the receipt lost; this switch of its is old and in no documentation.
  server.httpAllowHalfOpen = true
  // The bytes of headers are bounded. Past a number of lines, 2000 when not said, Node would drop them silently.
  server.maxHeadersCount = 0
  // An expectation that nobody knows may be ignored (RFC 9110 §10.1.1).
  server.on('checkExpectation', (request, response) => server.emit('request', request, response))
  server.on('connect', (_request, socket) => void answerClientError(new Error('this server is no proxy'), socket))
}

/**
 * Answers what Node could not read as HTTP, on the bare socket: there is no request, so no `Accept`, and no path but what the bytes show
 * of it. Returns the code that it was answered with, if it was.
 */
export function answerClientError(
  error: NodeJS.ErrnoException & { rawPacket?: unknown },
  socket: Duplex,
): ProblemCode | undefined {
  const { code = '', rawPacket } = error
  // A handshake that failed: nothing that we could write would be read.
  if (code === 'ECONNRESET' || !socket.writable || /^ERR_(?:SSL|TLS)_/.test(code)) {
    socket.destroy()
    return undefined
  }
  const refusal = refusalOf(code)
  // The packet that broke the grammar, which need not be the first of its request.
  const url =
    /^[A-Z]{3,16} (\S{1,2048}) HTTP\//.exec(
      Buffer.isBuffer(rawPacket) ? rawPacket.toString('latin1', 0, 4096) : '',
    )?.[1] ?? ''
  const problem = problemOf(refusal, '')
  writeProblem(socket, problem, url === '' ? (posting.get(socket) ?? '') : pathOf({ raw: { url } }))
  return problem.code
}

/** By Node's own code. */
function refusalOf(code: string): Error {
  if (code === 'HPE_HEADER_OVERFLOW') return new RequestError('headers_too_large', 'more than 8 KiB of headers')
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new RequestError('request_timeout', 'the request did not come to its end')
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return new LogError('too_large', 'more than 16 KiB of chunk extensions')
  return new RequestError('malformed_request', 'not an HTTP request that this server reads')
}

/** One more than there is room for. Its path is not known, nor will it be. */
function refuseConnection(socket: Socket): void {
  socket.write(tooManyConnections)
  socket.destroySoon()
}

const tooManyConnections = problemAnswer(
  problemOf(new BusyError('too_many_connections', 'as many connections as this server, or one address, may have'), ''),
  '',
)

function writeProblem(socket: Duplex, problem: Problem, path: string): void {
  socket.end(problemAnswer(problem, path))
}

function problemAnswer(problem: Problem, path: string): Buffer {
  const { type, body } = problemForm(problem, path, undefined)
  const retryAfter = problem.retryAfter === undefined ? '' : `retry-after: ${problem.retryAfter}\r\n`
  const head =
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\ncontent-type: ${type}\r\ncache-control: no-store\r\n` +
    `${retryAfter}content-length: ${body.length}\r\nconnection: close\r\n\r\n`
  return Buffer.concat([Buffer.from(head), body])
}
