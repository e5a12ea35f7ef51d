/**
 * The local API, served: `delivery/local-api.ts` has its routes. A thin skin: who is it, what is asked, the service's answer.
 *
 * Any user of the machine may connect, so a connection costs little and is soon over: bounded in number, for each user and in all, in
 * bytes and in time. The kernel's word on the peer is taken once, when it connects; a peer that it says nothing about is hung up on.
 *
 * @module
 */
import { chmod, unlink } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { EvidenceError, toBase64, UnavailableError } from '../../../merkle/index.ts'
import { redact } from '../../../provenance/index.ts'
import {
  API_HEADER,
  type CredentialAnswer,
  checkSocketDirectory,
  inspect,
  isCode,
  PATHS,
} from '../../delivery/index.ts'
import { MisbehaviourError, RefusedError } from '../../log-client/index.ts'
import { IssuerError } from '../error.ts'
import { ServiceError, statusOf } from './error.ts'
import type { PeerUid } from './peer.ts'
import { readEtag, readSubmission, readTarget, readWait, readWanted } from './requests.ts'
import type { Held, IssuerService } from './service.ts'

export interface LocalApiOptions {
  /** Of the socket. Its directory is there, and nobody but root and we may change it. */
  readonly path: string
  readonly service: Pick<IssuerService, 'allowed' | 'find' | 'notReady' | 'submit' | 'trustBundle' | 'states'>
  readonly peerUid: PeerUid
  /** What is no refusal. The peer hears nothing of it. */
  readonly onFatal: (error: unknown) => void
  readonly limits?: Partial<ConnectionLimits>
}

export interface ConnectionLimits {
  readonly connections: number
  readonly connectionsPerUser: number
  /** Milliseconds to the end of a request's headers. */
  readonly headers: number
  /** Milliseconds to the end of a request. */
  readonly request: number
  /** How often the two are looked at. */
  readonly interval: number
}

const LIMITS: ConnectionLimits = {
  connections: 512,
  connectionsPerUser: 64,
  headers: 5_000,
  request: 15_000,
  interval: 1_000,
}

export interface LocalApi {
  /** Takes no more connections and lets answers under way end. The socket goes with it. */
  close(): Promise<void>
}

/**
 * Resolves when the API answers, and the peer check has named us to ourselves.
 *
 * @throws {@link ServiceError} `socket_in_use`, `socket_path_taken`, `peer_check_unavailable`; DeliveryError about the directory
 */
export async function serveLocally(options: LocalApiOptions): Promise<LocalApi> {
  const { path } = options
  await checkSocketDirectory(path)
  await clearPath(path)
  const limits = { ...LIMITS, ...options.limits }
  const server = createServer(
    {
      maxHeaderSize: 8 * 1024,
      headersTimeout: limits.headers,
      requestTimeout: limits.request,
      keepAliveTimeout: 5_000,
      connectionsCheckingInterval: limits.interval,
    },
    (request, response) => void answer(request, response, options),
  )
  server.maxConnections = limits.connections
  server.maxRequestsPerSocket = 1000
  admitPeers(server, options.peerUid, limits.connectionsPerUser)
  // What Node cannot read as HTTP gets no answer: there is nobody to explain it to.
  server.on('clientError', (_error, socket) => socket.destroy())

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => resolve())
  })
  async function close(): Promise<void> {
    const closed = new Promise((resolve) => server.close(resolve))
    server.closeIdleConnections()
    const sweep = setInterval(() => server.closeIdleConnections(), 50)
    const deadline = setTimeout(() => server.closeAllConnections(), limits.request)
    await closed
    clearInterval(sweep)
    clearTimeout(deadline)
  }
  try {
    await checkOnOurselves(path)
    // Everybody may connect: who it is decides. The system has made it as our umask says.
    await chmod(path, 0o666)
  } catch (error) {
    await close()
    throw error
  }
  return { close }
}

/** A socket that a process left that is no more is removed; anything else is left where it is. */
async function clearPath(path: string): Promise<void> {
  const found = await inspect(path)
  if (!found) return
  if (!found.isSocket() || found.uid !== process.geteuid?.()) {
    throw new ServiceError('socket_path_taken', `${path} is there, and is not a socket of ours`)
  }
  const answered = await new Promise<boolean>((resolve, reject) => {
    const socket = connect(path)
    socket.once('connect', () => resolve(true))
    socket.once('error', (error) => {
      if (isCode(error, 'ECONNREFUSED', 'ENOENT')) resolve(false)
      else reject(error)
    })
    socket.once('connect', () => socket.destroy())
  })
  if (answered) throw new ServiceError('socket_in_use', `somebody answers at ${path} already`)
  await unlink(path).catch((error: unknown) => {
    if (!isCode(error, 'ENOENT')) throw error
  })
}

const uids = new WeakMap<Socket, number>()

/** Takes the kernel's word on each peer, and hangs up on those that it says nothing about, or that have too many connections. */
function admitPeers(server: Server, peerUid: PeerUid, most: number): void {
  const open = new Map<number, number>()
  server.prependListener('connection', (socket: Socket) => {
    const uid = peerUid(socket)
    const count = uid === undefined ? 0 : (open.get(uid) ?? 0)
    if (uid === undefined || count >= most) {
      socket.destroy()
      return
    }
    uids.set(socket, uid)
    open.set(uid, count + 1)
    socket.once('close', () => {
      const left = open.get(uid)! - 1
      if (left > 0) open.set(uid, left)
      else open.delete(uid)
    })
  })
}

/** A peer check that does not know us would know nobody else. */
async function checkOnOurselves(path: string): Promise<void> {
  const answered = await new Promise<boolean>((resolve) => {
    const socket = connect(path, () =>
      socket.write('GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n'),
    )
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
    })
    socket.once('close', () => resolve(text.includes(`\r\nx-peer-uid: ${process.geteuid?.()}\r\n`)))
    socket.once('error', () => resolve(false))
  })
  if (!answered) throw new ServiceError('peer_check_unavailable', 'the peer check does not say who we are ourselves')
}

async function answer(request: IncomingMessage, response: ServerResponse, options: LocalApiOptions): Promise<void> {
  const uid = uids.get(request.socket)
  if (uid === undefined) {
    request.socket.destroy()
    return
  }
  response.setHeader('x-peer-uid', uid)
  try {
    await route(request, response, uid, options)
  } catch (error) {
    sendProblem(response, error, options)
  }
}

async function route(
  request: IncomingMessage,
  response: ServerResponse,
  uid: number,
  { service }: LocalApiOptions,
): Promise<void> {
  const { path, query } = readTarget(request.url ?? '')
  const { method = '' } = request
  if (!Object.values<string>(PATHS).includes(path)) throw new ServiceError('not_found', 'no such path')
  if (method !== 'GET' && !(method === 'POST' && path === PATHS.credential)) {
    throw new ServiceError('method_not_allowed', 'not on this path')
  }
  if (path === PATHS.health) return send(response, 200, { ok: true })
  if (path === PATHS.ready) {
    const reason = service.notReady()
    return send(response, reason === undefined ? 200 : 503, reason === undefined ? { ok: true } : { ok: false, reason })
  }

  if (request.headers[API_HEADER] !== 'true') {
    throw new ServiceError('missing_header', `${API_HEADER}: true is missing`)
  }
  if (path === PATHS.trustBundle) return send(response, 200, JSON.parse(service.trustBundle) as object)
  if (path === PATHS.identities) return send(response, 200, { identities: service.states(uid) })
  if (method === 'POST') {
    return sendCredential(response, await service.submit(uid, await readSubmission(request)), service)
  }
  const wanted = readWanted(query)
  const held = await service.find(uid, wanted)
  const known = readEtag(request.headers['if-none-match'])
  const wait = readWait(request.headers['prefer'])
  if (wait === 0) return sendCredential(response, held, service, known)
  await held.holding.changed(known, wait * 1000, untilClosed(request.socket))
  // Anew: other results may have been submitted meanwhile, and what waited was told to.
  return sendCredential(response, await service.find(uid, wanted), service, known)
}

/** Aborts when the client is gone: who hangs up and comes again must not leave anything behind that waits. */
function untilClosed(socket: Socket): AbortSignal {
  const controller = new AbortController()
  socket.once('close', () => controller.abort())
  return controller.signal
}

function sendCredential(
  response: ServerResponse,
  { workload, keyThumbprint, submission, holding }: Held,
  service: Pick<IssuerService, 'trustBundle'>,
  known?: string,
): void {
  const { issued } = holding
  if (!issued) throw new ServiceError('not_issued', 'there is none now', { retryAfter: 5 })
  const digest = Buffer.from(issued.digest).toString('hex')
  response.setHeader('etag', `"${digest}"`)
  if (known === digest) {
    response.writeHead(304, { 'cache-control': 'no-store' }).end()
    return
  }
  const { text: credential, bundle, notBefore, notAfter } = issued
  send(response, 200, {
    subject: workload.subject,
    kind: workload.kind,
    credential,
    bundle: toBase64(bundle),
    trustBundle: JSON.parse(service.trustBundle),
    key: keyThumbprint,
    notBefore,
    notAfter,
    renewAt: holding.renewAt,
    renewal: submission ? 'submit' : 'automatic',
  } satisfies CredentialAnswer)
}

function send(response: ServerResponse, status: number, body: object, type = 'application/json'): void {
  const bytes = Buffer.from(JSON.stringify(body))
  response.writeHead(status, { 'content-type': type, 'content-length': bytes.length, 'cache-control': 'no-store' })
  response.end(bytes)
}

function sendProblem(response: ServerResponse, error: unknown, { onFatal }: LocalApiOptions): void {
  if (response.headersSent || response.destroyed) {
    response.destroy()
    return
  }
  const { status, code, detail, retryAfter } = problemOf(error, onFatal)
  if (retryAfter !== undefined) response.setHeader('retry-after', Math.ceil(retryAfter))
  // A body that was not read to its end would be taken for the next request.
  response.setHeader('connection', 'close')
  send(response, status, { type: 'about:blank', status, code, detail: redact(detail) }, 'application/problem+json')
}

function problemOf(error: unknown, onFatal: (error: unknown) => void) {
  if (error instanceof ServiceError) {
    return { status: statusOf(error.code), code: error.code, detail: error.message, retryAfter: error.retryAfter }
  }
  if (error instanceof UnavailableError) {
    return { status: 503, code: 'unavailable', detail: 'the log did not answer', retryAfter: error.retryAfter ?? 1 }
  }
  if (error instanceof IssuerError) return { status: 403, code: error.code, detail: error.message }
  if (error instanceof RefusedError || (error instanceof EvidenceError && !(error instanceof MisbehaviourError))) {
    return { status: 422, code: error.code, detail: 'not with what was submitted' }
  }
  onFatal(error)
  return { status: 500, code: 'internal_error', detail: 'the issuer has failed' }
}
