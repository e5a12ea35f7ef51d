/**
 * What is counted of the server in front of the log: requests, refusals, connections and handshakes.
 *
 * Of a request the route is a label, as the application wrote it down (`/v1/provenance/:digest`), and never what was asked for. Where no route was
 * found it is `none`, and a method that no route has is `other`.
 *
 * @module
 */
import type http from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type ProblemCode, problemTable } from '../problem.ts'
import type { Counter, Histogram, Registry } from './registry.ts'

const SECONDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const STATUSES = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'] as const
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'OPTIONS'])
const LISTENERS = ['main', 'admin'] as const

export type Listener = (typeof LISTENERS)[number]

export class HttpMetrics {
  readonly #routes = new Set(['none'])
  readonly #requests: (route: string, method: string, status: string) => Counter
  readonly #seconds: (route: string) => Histogram
  readonly #refusals: (code: string) => Counter
  readonly #opened: (listener: string) => Counter
  readonly #handshakes: (listener: string, result: string) => Counter
  /** Open sockets. */
  readonly #open: Record<Listener, number> = { main: 0, admin: 0 }

  constructor(registry: Registry) {
    const listener = new Set(LISTENERS)
    this.#requests = registry.counters(
      'provlog_http_requests_total',
      'Requests that were answered, by class of the status.',
      {
        route: this.#routes,
        method: new Set([...METHODS, 'other']),
        status: new Set(STATUSES),
      },
    )
    this.#seconds = registry.histograms(
      'provlog_http_request_seconds',
      'From the headers of a request to the end of its answer; of POST /entries the wait for the commit is in it.',
      SECONDS,
      { route: this.#routes },
    )
    this.#refusals = registry.counters(
      'provlog_refusals_total',
      'Requests, and statements of batches, that were refused, by the stable code they were refused with (docs/errors.md).',
      { code: new Set(problemTable().map(({ code }) => code)) },
    )
    registry.gauge(
      'provlog_http_connections',
      'Open connections.',
      () => LISTENERS.map((each) => [[each], this.#open[each]] as const),
      ['listener'],
    )
    this.#opened = registry.counters('provlog_http_accepted_total', 'Connections that were accepted.', { listener })
    this.#handshakes = registry.counters(
      'provlog_tls_handshakes_total',
      'TLS handshakes that were done, and those that failed. Whether a client certificate holds is judged after them: see the refusals.',
      { listener, result: new Set(['done', 'failed']) },
    )
  }

  /** To be called before any route is registered. */
  attachTo(app: FastifyInstance, listener: Listener): void {
    app.addHook('onRoute', (options) => {
      const { url: route, onResponse = [] } = options
      this.#routes.add(route)
      let seconds: Histogram | undefined
      // Of its own route each request knows without asking the framework, which makes an object for that.
      options.onResponse = [
        ...[onResponse].flat(),
        (request, reply, done) => {
          this.#answered(route, request, reply)
          seconds ??= this.#seconds(route)
          seconds.observe(reply.elapsedTime / 1000)
          done()
        },
      ]
    })
    this.#watch(app.server, listener)
  }

  /** A request to no route. */
  answeredByNone(request: FastifyRequest, reply: FastifyReply): void {
    this.#answered('none', request, reply)
  }

  refused(code: ProblemCode): void {
    this.#refusals(code).add()
  }

  #answered(route: string, { method }: FastifyRequest, { statusCode }: FastifyReply): void {
    const status = STATUSES[Math.floor(statusCode / 100)] ?? 'none'
    this.#requests(route, METHODS.has(method) ? method : 'other', status).add()
  }

  #watch(server: http.Server, listener: Listener): void {
    const opened = this.#opened(listener)
    server.on('connection', (socket) => {
      opened.add()
      this.#open[listener]++
      socket.once('close', () => this.#open[listener]--)
    })
    server.on('secureConnection', () => this.#handshakes(listener, 'done').add())
    server.on('tlsClientError', () => this.#handshakes(listener, 'failed').add())
  }
}
