/**
 * A log, served: opens it, listens, and goes down without losing an answer.
 *
 * ```
 *   serving ──close()──► draining ─────────► closing ──────────────────────────► closed
 *                        /readyz says 503    no new connection, no new statement;
 *                        (time for load      what is under way gets its receipt;
 *                         balancers to see)  then the log is flushed and closed
 * ```
 *
 * @module
 */
import { type AddressInfo, isIP } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { type AppOptions, buildApp, type Stage } from './app.ts'
import { type ListenAddress, type ServerConfig, type ServerLimits, serverConfig } from './config.ts'
import { openLog } from './log.ts'
import { readTls, type TlsFiles } from './tls.ts'
import { type Clock, LogError } from './types.ts'

export interface ServerOptions {
  readonly dataDir: string
  /** Port 0 takes any free one. What the configuration says, when not given; 127.0.0.1:8787, when that says nothing. */
  readonly listen?: ListenAddress
  /** Listens elsewhere than on the loopback interface, in clear text. */
  readonly insecureListen?: boolean
  /** PEM files: TLS 1.2 or newer. */
  readonly tls?: TlsFiles
  readonly limits?: ServerLimits
  /** How long `/readyz` says 503 before connections are refused, in milliseconds; 0 when nothing polls it. */
  readonly drainDelay?: number
  /** Where our own failures are written. JSON lines on stderr when not given. */
  readonly logger?: AppOptions['logger']
  readonly now?: Clock
}

export interface RunningServer {
  /** Where it answers, without a slash at the end. */
  readonly url: string
  readonly origin: string
  /** The first of those that sign checkpoints now: a rotation changes it. */
  readonly vkey: string
  /** Resolves when every accepted request has its answer and the log is closed. May be called again, to wait. */
  close(): Promise<void>
}

/** What a connection may take, in milliseconds, to finish the request that it is in when we close. */
const CLOSE_DEADLINE = 15_000
const IDLE_SWEEP = 50

/**
 * Resolves when the log answers.
 *
 * @throws LogError of `openLog`, and `malformed_config`; whatever the system says to listening
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { dataDir, now = systemClock, logger = { level: 'error', stream: process.stderr } } = options
  const config = await serverConfig(dataDir, options)
  const tls = config.tls && (await readTls(config.tls))
  if (config.access) throw new LogError('malformed_config', 'server.access: this version does not serve by rules')
  const log = await openLog({ dataDir, now })

  let stage: Stage = 'serving'
  const app = buildApp({
    log,
    now,
    logger,
    limits: config.limits,
    ...(config.registrationDeadline !== undefined && { registrationDeadline: config.registrationDeadline }),
    ...(tls && { tls }),
    stage: () => stage,
    notReady: () => (log.sequencer.accepting ? undefined : 'log_stopped'),
  })
  try {
    // A copy: Fastify writes into what it is given.
    await app.listen({ ...config.listen })
  } catch (error) {
    await log.close()
    throw error
  }

  let closed: Promise<void> | undefined
  async function close(): Promise<void> {
    stage = 'draining'
    await delay(options.drainDelay ?? 0)
    stage = 'closing'
    // Closing waits for requests under way for as long as they take, and then for their connections to time out: those are
    // idle only now. A reader who stopped reading would keep us up for good.
    const sweep = setInterval(() => app.server.closeIdleConnections(), IDLE_SWEEP)
    const deadline = setTimeout(() => app.server.closeAllConnections(), CLOSE_DEADLINE)
    await app.close()
    clearInterval(sweep)
    clearTimeout(deadline)
    await log.close()
  }
  return {
    url: urlOf(app, config),
    origin: log.origin,
    get vkey() {
      return log.vkey
    },
    close: () => (closed ??= close()),
  }
}

function urlOf(app: FastifyInstance, { listen, tls }: ServerConfig): string {
  const { address, family, port } = app.server.address() as AddressInfo
  // A certificate is for the name, not for the address that it happens to have.
  const host = tls && !isIP(listen.host) ? listen.host : family === 'IPv6' ? `[${address}]` : address
  return `${tls ? 'https' : 'http'}://${host}:${port}`
}

function systemClock(): number {
  return Math.floor(Date.now() / 1000)
}
