/**
 * The HTTP application: which routes there are, and how much of anybody's time and memory a request may take.
 *
 * Knows no sockets, signals or files, so that a test can ask it things with `inject`; `main.ts` makes a server of it.
 *
 * @module
 */
import type { IncomingHttpHeaders } from 'node:http'
import fastify, {
  type FastifyInstance,
  type FastifyLoggerOptions,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify'
import { assert } from '../merkle/error.ts'
import type { Authorities } from '../provenance/rules/authorities.ts'
import { type Door, OPEN } from './access/door.ts'
import { limitRequest } from './access/limit-request.ts'
import type { Limits } from './access/limits.ts'
import { Admission, type AdmissionLimits, type AdmissionLog, type AdmissionObserver } from './admission/admission.ts'
import { answerPreflight, isPreflight, isRead, letPagesRead } from './http/cors.ts'
import { answerClientError, createServer, type Timeouts } from './http/http-server.ts'
import { redactingLogger } from './http/logger.ts'
import type { DescribedRoute, Operation } from './http/openapi.ts'
import { PendingRegistrations } from './http/pending.ts'
import type { NotReady, Storage } from './http/readiness.ts'
import { REQUEST_ID } from './http/request-id.ts'
import type { TlsSettings } from './http/tls.ts'
import type { HttpMetrics, Listener } from './metrics/http-metrics.ts'
import type { Registry } from './metrics/registry.ts'
import { type ProblemCode, problemSender, RequestError, registerProblems } from './problem.ts'
import { batchRoutes } from './routes/batch.ts'
import { roomForBodies } from './routes/body.ts'
import { checkpointRoutes } from './routes/checkpoint.ts'
import { docsRoutes } from './routes/docs.ts'
import { entryRoutes } from './routes/entries.ts'
import { healthRoutes } from './routes/health.ts'
import { keyRoutes } from './routes/keys.ts'
import { latestRoutes } from './routes/latest.ts'
import { metricsRoutes } from './routes/metrics.ts'
import { proofRoutes } from './routes/proofs.ts'
import { provenanceRoutes } from './routes/provenance.ts'
import { registerRoutes, systemTimer, type Timer } from './routes/register.ts'
import { statementRoutes } from './routes/statements.ts'
import { Stories } from './routes/stories.ts'
import { tileRoutes } from './routes/tiles.ts'
import { SharedRoom } from './shared-room.ts'
import { BusyError, type Clock, type LogReader } from './types.ts'

/** What the application needs of a log. */
export interface AppLog extends AdmissionLog {
  readonly reader: LogReader
  readonly authorities: Authorities
}

/** Where the server is in its life. `main.ts` moves it on; it never goes back. */
export type Stage = 'serving' | 'draining' | 'closing'

export interface AppOptions {
  readonly log: AppLog
  readonly now: Clock
  /** Why nothing can be appended, when that is so. */
  readonly notReady?: () => NotReady | undefined
  /** Asked before a statement is read. */
  readonly storage?: Pick<Storage, 'demand'>
  /** What is counted. Served on this listener where `registry` is given: who may see it then is the door's to say. */
  readonly metrics?: {
    readonly http: HttpMetrics
    readonly admission: AdmissionObserver
    readonly listener: Listener
    readonly registry?: Registry
  }
  /** The framework's own, which are alike in every process, when not given. */
  readonly requestIds?: () => string
  readonly stage?: () => Stage
  readonly limits?: Partial<AdmissionLimits>
  /** Shorter ones, for tests. */
  readonly timeouts?: Partial<Timeouts>
  /** Connections at one time, of which one address has no more than it leaves to others. */
  readonly maxConnections?: number
  /** Seconds after which a client that registers something is sent away to ask again; {@link DEFAULT_REGISTRATION_DEADLINE}. */
  readonly registrationDeadline?: number
  readonly timer?: Timer
  /** Clear text when not given. */
  readonly tls?: TlsSettings
  /** How much one address may take, of a log that is open. A door has limits of its own. */
  readonly callerLimits?: Limits
  /** Open to everybody when not given. */
  readonly door?: Door
  /** Silent when not given. Requests are never logged, only our own failures: the hot path has no time for it, and paths name entries. */
  readonly logger?: FastifyLoggerOptions
}

/** A thousand times what a batch takes, and less than clients wait for an answer. */
export const DEFAULT_REGISTRATION_DEADLINE = 5

/** The application over `log`, not listening yet. */
export function buildApp(options: AppOptions): FastifyInstance {
  const { log, now, limits, callerLimits, logger, notReady, stage = () => 'serving', door = OPEN } = options
  const { storage, metrics, requestIds } = options
  const { registrationDeadline: deadline = DEFAULT_REGISTRATION_DEADLINE, timer = systemTimer } = options
  const { reader, authorities } = log
  const pending = new PendingRegistrations({ now })
  const admission = new Admission({ log, now, ...(limits && { limits }), observer: metrics?.admission })
  const bodies = roomForBodies()
  const count = (code: ProblemCode) => metrics?.http.refused(code)
  const sendProblem = problemSender((code, request, reply) => {
    count(code)
    // What has a route is counted there, when its answer has been sent.
    if (request.is404) metrics?.http.answeredByNone(request, reply)
  })
  const app = fastify({
    ...HTTP_LIMITS,
    frameworkErrors: (error, request, reply) => {
      void door.refuseUnrouted(request, reply, error).then((refusal) => sendProblem(refusal, request, reply))
    },
    clientErrorHandler: (error, socket) => {
      const code = answerClientError(error, socket)
      if (code !== undefined) count(code)
    },
    ...(requestIds && { genReqId: requestIds }),
    ...(logger && { logger: redactingLogger(logger) }),
    serverFactory: (handler) => createServer(handler, { ...options, count }),
  })

  // Nothing is parsed that a route does not ask to have parsed: not JSON, not text.
  app.removeAllContentTypeParsers()
  registerProblems(app, sendProblem)
  const { routes, refuseOtherMethods } = watchRoutes(app)
  metrics?.http.attachTo(app, metrics.listener)

  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-content-type-options', 'nosniff').header(REQUEST_ID, request.id)
    checkHost(request)
    if (isRead(request)) letPagesRead(reply)
    else {
      if (stage() === 'closing') throw new BusyError('shutting_down', 'this server is shutting down')
      checkCodings(request.headers)
    }
  })
  if (callerLimits) {
    app.addHook('onRequest', async (request, reply) => limitRequest(callerLimits, request, reply))
  }
  door.attachTo(app)

  const answers = new SharedRoom({ count: Number.POSITIVE_INFINITY, bytes: MAX_ANSWERS_BYTES })
  app.addHook('onSend', (request, reply, payload, done) => {
    const refusal = holdAnswer(answers, door, request, reply, payload)
    if (refusal) done(refusal)
    else done(null, payload)
  })
  // A client that keeps its connection must not send its next request into the moment that we drop it.
  app.addHook('onSend', async (_request, reply) => {
    if (stage() === 'closing') reply.header('connection', 'close')
  })

  // c2sp.org/tlog-tiles
  app.register(checkpointRoutes, { log: reader })
  app.register(tileRoutes, { log: reader })
  // SCRAPI
  app.register(registerRoutes, { admission, bodies, storage, pending, door, deadline, timer })
  app.register(entryRoutes, { log: reader, pending, door })
  app.register(keyRoutes, { authorities })
  // Our own
  const stories = new Stories({ log: reader, authorities, door })
  app.register(batchRoutes, { admission, bodies, door, stories, storage, count })
  app.register(provenanceRoutes, { stories, bodies, door })
  app.register(latestRoutes, { log: reader, authorities })
  app.register(statementRoutes, { log: reader })
  app.register(proofRoutes, { log: reader })
  app.register(healthRoutes, {
    health: {
      notReady: () => (stage() === 'serving' ? notReady?.() : 'shutting_down'),
      size: () => reader.treeHead().size,
      checkpointAge: () => Math.max(0, now() - reader.treeHead().issuedAt),
    },
  })
  if (metrics?.registry) app.register(metricsRoutes, { registry: metrics.registry })
  app.register(docsRoutes, { routes })

  app.register(refuseOtherMethods)
  return app
}

/** Answers that are whole in memory until their clients have read them. */
const MAX_ANSWERS_BYTES = 128 * 1024 * 1024
/** Below this the connection costs about as much. */
const LARGE_ANSWER = 32 * 1024

/** What one caller leaves unread may be half of what there is room for: whoever reads gets an answer still. */
function holdAnswer(
  room: SharedRoom,
  door: Door,
  request: FastifyRequest,
  { raw: response }: FastifyReply,
  payload: unknown,
): BusyError | undefined {
  if (!(payload instanceof Uint8Array) || payload.length < LARGE_ANSWER) return undefined
  const [caller, { length }] = [door.nameOf(request), payload]
  if (!room.take(caller, 0, length)) return new BusyError('queue_full', 'too many answers have not been read')
  response.once('close', () => room.giveBack(caller, 0, length))
  return undefined
}

const HTTP_LIMITS = {
  // For routes that say nothing; those that read a body count it themselves (`routes/body.ts`).
  bodyLimit: 1024,
  onProtoPoisoning: 'error',
  onConstructorPoisoning: 'error',
  // A path is what it says: `/Checkpoint`, `/checkpoint/` and `//checkpoint` are not `/checkpoint`.
  routerOptions: {
    maxParamLength: 1024,
    caseSensitive: true,
    ignoreTrailingSlash: false,
    ignoreDuplicateSlashes: false,
    useSemicolonDelimiter: false,
  },
  exposeHeadRoutes: true,
  // No header of a proxy is believed, and nobody but us names a request.
  trustProxy: false,
  requestIdHeader: false,
  // Its 503 is JSON of a form of its own. Requests that come while we close are answered, or refused by the hook above.
  return503OnClosing: false,
  // Sockets that idle do not hold up closing; one with a request on it is let finish.
  forceCloseConnections: 'idle',
  logController: new LogController({ disableRequestLogging: true }),
} as const

/** RFC 9112 §3.2: with two hosts a proxy may have gone by the other one. */
function checkHost({ raw }: FastifyRequest): void {
  let hosts = 0
  for (let i = 0; i < raw.rawHeaders.length; i += 2) if (raw.rawHeaders[i]!.toLowerCase() === 'host') hosts++
  if (hosts > 1 || (hosts === 0 && raw.httpVersion === '1.1')) {
    throw new RequestError('malformed_request', `${hosts} Host headers`)
  }
}

/**
 * Nothing is decompressed here: a body that says it is compressed is refused, and not read as if it were not. Of transfer codings only
 * Node's own is taken apart; one under it (`gzip, chunked`) would reach us as it is.
 */
function checkCodings(headers: IncomingHttpHeaders): void {
  const content = headers['content-encoding']
  if (content !== undefined && content.toLowerCase() !== 'identity') {
    throw new RequestError('unsupported_media_type', 'a body with a content coding')
  }
  const transfer = headers['transfer-encoding']
  if (transfer !== undefined && transfer.toLowerCase() !== 'chunked') {
    throw new RequestError('not_implemented', 'no transfer coding but chunked')
  }
}

/**
 * Sees each route as it is registered, for the API's description; and returns a plugin, to be registered last, that answers all other
 * methods on those paths with 405 and `Allow` (RFC 9110 §15.5.6), before a body is looked at. Fastify's own answer is 404.
 */
function watchRoutes(app: FastifyInstance): {
  readonly routes: () => readonly DescribedRoute[]
  readonly refuseOtherMethods: (app: FastifyInstance) => Promise<void>
} {
  const routes: DescribedRoute[] = []
  let watching = true
  app.addHook('onRoute', ({ url, method, schema }) => {
    if (!watching) return
    const operation = schema && 'operationId' in schema ? (schema as unknown as Operation) : undefined
    // It says what a caller needs: one that said nothing would be open to everybody.
    assert(operation, `${url} is described`)
    routes.push(...[method].flat().map((each) => ({ method: each, url, operation })))
  })

  async function refuseOtherMethods(last: FastifyInstance): Promise<void> {
    watching = false
    for (const url of new Set(routes.map((route) => route.url))) {
      const allow = routes.filter((route) => route.url === url).map(({ method }) => method)
      const refuse = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
        if (isPreflight(request) && allow.includes('GET')) return answerPreflight(reply)
        throw new RequestError('method_not_allowed', `only ${allow.join(', ')}`, { allow })
      }
      const others = last.supportedMethods.filter((method) => !allow.includes(method))
      last.route({ url, method: others, onRequest: refuse, handler: refuse })
    }
  }
  return { routes: () => routes, refuseOtherMethods }
}
