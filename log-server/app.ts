/**
 * The HTTP application: which routes there are, and how much of anybody's time and memory a request may take.
 *
 * Knows no sockets, signals or files, so that a test can ask it things with `inject`; `main.ts` makes a server of it.
 *
 * @module
 */
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import fastify, { type FastifyInstance, type FastifyLoggerOptions, type FastifyRequest, LogController } from 'fastify'
import type { Authorities } from '../provenance/authorities.ts'
import { Admission, type AdmissionLimits, type AdmissionLog } from './admission.ts'
import type { DescribedRoute, Operation } from './openapi.ts'
import { answerClientError, RequestError, registerProblems, sendProblem } from './problem.ts'
import { batchRoutes } from './routes/batch.ts'
import { checkpointRoutes } from './routes/checkpoint.ts'
import { docsRoutes } from './routes/docs.ts'
import { entryRoutes } from './routes/entries.ts'
import { healthRoutes } from './routes/health.ts'
import { keyRoutes } from './routes/keys.ts'
import { latestRoutes } from './routes/latest.ts'
import { proofRoutes } from './routes/proofs.ts'
import { provenanceRoutes } from './routes/provenance.ts'
import { registerRoutes } from './routes/register.ts'
import { statementRoutes } from './routes/statements.ts'
import { tileRoutes } from './routes/tiles.ts'
import type { TlsSettings } from './tls.ts'
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
  readonly notReady?: () => string | undefined
  readonly stage?: () => Stage
  readonly limits?: Partial<AdmissionLimits>
  /** Shorter ones, for tests. */
  readonly timeouts?: Partial<Timeouts>
  /** Clear text when not given. */
  readonly tls?: TlsSettings
  /** Silent when not given. Requests are never logged, only our own failures: the hot path has no time for it, and paths name entries. */
  readonly logger?: FastifyLoggerOptions
}

/** The application over `log`, not listening yet. */
export function buildApp(options: AppOptions): FastifyInstance {
  const { log, now, limits, notReady, stage = () => 'serving' } = options
  const { reader, authorities } = log
  const admission = new Admission({ log, now, ...(limits && { limits }) })
  const app = createApp(options)
  answerAll(app.server)

  // Nothing is parsed that a route does not ask to have parsed: not JSON, not text.
  app.removeAllContentTypeParsers()
  registerProblems(app)
  const { routes, refuseOtherMethods } = watchRoutes(app)

  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-content-type-options', 'nosniff')
    checkHost(request)
    if (request.method === 'GET' || request.method === 'HEAD') {
      // What is read here is public and the same for everybody: any page may check it in its visitor's browser.
      reply.header('access-control-allow-origin', '*')
    } else if (stage() === 'closing') {
      throw new BusyError('shutting_down', 'this server is shutting down')
    }
  })

  // A client that keeps its connection must not send its next request into the moment that we drop it.
  app.addHook('onSend', async (_request, reply) => {
    if (stage() === 'closing') reply.header('connection', 'close')
  })

  // c2sp.org/tlog-tiles
  app.register(checkpointRoutes, { log: reader })
  app.register(tileRoutes, { log: reader })
  // SCRAPI
  app.register(registerRoutes, { admission, bodyLimit: admission.maxBytes })
  app.register(entryRoutes, { log: reader })
  app.register(keyRoutes, { authorities })
  // Our own
  app.register(batchRoutes, { admission })
  app.register(provenanceRoutes, { log: reader, authorities })
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

  app.register(docsRoutes, { routes })

  app.register(refuseOtherMethods)
  return app
}

function createApp({ logger, tls, timeouts }: AppOptions): FastifyInstance {
  const { headers, request, connection, keepAlive, interval } = { ...TIMEOUTS, ...timeouts }
  const general = {
    ...HTTP_LIMITS,
    requestTimeout: request,
    connectionTimeout: connection,
    keepAliveTimeout: keepAlive,
    ...(logger && { logger }),
  }
  const server = { ...SERVER_LIMITS, headersTimeout: headers, connectionsCheckingInterval: interval }
  if (!tls) return fastify({ ...general, http: server })
  // The two kinds of server are two types to Fastify, and one to every route.
  return fastify({ ...general, https: { ...server, ...tls } }) as unknown as FastifyInstance
}

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
  /** How often the first two are looked at: they are late by up to this much. */
  readonly interval: number
}

// Fastify and Node leave most of these open, in the expectation of a proxy in front. There may be none.
const TIMEOUTS: Timeouts = {
  headers: 10_000,
  request: 30_000,
  connection: 60_000,
  keepAlive: 65_000,
  interval: 2_000,
}

const SERVER_LIMITS = {
  // Enough for a path, an Accept and what browsers send along; four times the paths we have.
  maxHeaderSize: 8 * 1024,
  // Asked for below, where the answer says why.
  requireHostHeader: false,
}

const HTTP_LIMITS = {
  maxRequestsPerSocket: 100_000,
  // For routes that say nothing; the one that reads a body has its own.
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
  frameworkErrors: sendProblem,
  clientErrorHandler: answerClientError,
} as const

/** Has every request answered, and by us: for some of them Node would close the connection or send a status and nothing else. */
function answerAll(server: Server & { httpAllowHalfOpen?: boolean }): void {
  // A client that has sent its request may say that it sends no more (RFC 9112 §9.6), and waits for its answer still. Node would close at
  // once, with the statement registered and the receipt lost; this switch of its is old and in no documentation.
  server.httpAllowHalfOpen = true
  // The bytes of headers are bounded. Past a number of lines, 2000 when not said, Node would drop them silently.
  server.maxHeadersCount = 0
  // An expectation that nobody knows may be ignored (RFC 9110 §10.1.1).
  server.on('checkExpectation', (request, response) => server.emit('request', request, response))
  server.on('connect', (_request, socket) => {
    answerClientError(new Error('this server is no proxy'), socket as Socket)
  })
}

/** RFC 9112 §3.2: with two hosts a proxy may have gone by the other one. */
function checkHost({ raw }: FastifyRequest): void {
  let hosts = 0
  for (let i = 0; i < raw.rawHeaders.length; i += 2) if (raw.rawHeaders[i]!.toLowerCase() === 'host') hosts++
  if (hosts > 1 || (hosts === 0 && raw.httpVersion === '1.1')) {
    throw new RequestError('malformed_request', `${hosts} Host headers`)
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
    routes.push(...[method].flat().map((each) => ({ method: each, url, operation })))
  })

  async function refuseOtherMethods(last: FastifyInstance): Promise<void> {
    watching = false
    for (const url of new Set(routes.map((route) => route.url))) {
      const allow = routes.filter((route) => route.url === url).map(({ method }) => method)
      const refuse = async (): Promise<never> => {
        throw new RequestError('method_not_allowed', `only ${allow.join(', ')}`, { allow })
      }
      const others = last.supportedMethods.filter((method) => !allow.includes(method))
      last.route({ url, method: others, onRequest: refuse, handler: refuse })
    }
  }
  return { routes: () => routes, refuseOtherMethods }
}
