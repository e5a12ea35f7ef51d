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
import { randomBytes } from 'node:crypto'
import type https from 'node:https'
import { type AddressInfo, isIP } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { Limits, type RateLimit } from './access/limits.ts'
import { type Doors, openDoors } from './access/open-door.ts'
import { TrustDomains } from './access/trust-domains.ts'
import { type AppOptions, buildApp, type Stage } from './app.ts'
import { type ListenAddress, type ServerConfig, type ServerLimits, serverConfig } from './config.ts'
import { openControl } from './control.ts'
import { connectionsFor, DEFAULT_MAX_CONNECTIONS } from './http/connections.ts'
import { lookAt, type NotReady, Storage } from './http/readiness.ts'
import { requestIds } from './http/request-id.ts'
import { ServerTls, type TlsFiles } from './http/tls.ts'
import type { FileNotice, Report } from './http/watched-files.ts'
import { openLog } from './log.ts'
import { registerLogGauges } from './metrics/log-metrics.ts'
import { ServerMetrics, servesMetrics } from './metrics/server-metrics.ts'
import type { Clock } from './types.ts'

export interface ServerOptions {
  readonly dataDir: string
  /** Port 0 takes any free one. What the configuration says, when not given; 127.0.0.1:8787, when that says nothing. */
  readonly listen?: ListenAddress
  /** Listens elsewhere than on the loopback interface, in clear text. */
  readonly insecureListen?: boolean
  /** PEM files: TLS 1.2 or newer. */
  readonly tls?: TlsFiles
  readonly limits?: ServerLimits
  /** How long `/readyz` says 503 before connections are refused, in milliseconds. What the configuration says, when not given; 0, when that says nothing. */
  readonly drainDelay?: number
  /** Where our own failures are written. JSON lines on stderr when not given. */
  readonly logger?: AppOptions['logger']
  readonly now?: Clock
}

export interface RunningServer {
  /** Where it answers, without a slash at the end. */
  readonly url: string
  /** Likewise for admins, where they have an address of their own. */
  readonly adminUrl?: string
  readonly origin: string
  /** The first of those that sign checkpoints now: a rotation changes it. */
  readonly vkey: string
  /** Looks at certificates, keys and anchors now: new ones are served from then on. It is done every two seconds anyway. */
  reload(): Promise<void>
  /** Resolves when every accepted request has its answer and the log is closed. May be called again, to wait. */
  close(): Promise<void>
}

/** What a connection may take, in milliseconds, to finish the request that it is in when we close. */
const CLOSE_DEADLINE = 15_000
const IDLE_SWEEP = 50
/** How often files are looked at that may be replaced while we run, in milliseconds. */
const RELOAD_INTERVAL = 2_000

/**
 * Resolves when the log answers.
 *
 * @throws LogError of `openLog`, and `malformed_config`; whatever the system says to listening
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { dataDir, now = systemClock, logger = { level: 'error', stream: process.stderr } } = options
  const config = await serverConfig(dataDir, options)
  const live = await openLiveFiles(config, (notice) => report(notice))
  const { tls } = live
  const { entriesPerSecond } = config.scrub ?? {}
  const metrics = new ServerMetrics()
  const log = await openLog({ dataDir, now, observer: metrics.log, entriesPerSecond }).catch((error: unknown) => {
    metrics.close()
    throw error
  })
  const storage = new Storage({
    look: () => lookAt(dataDir),
    longestWait: () => log.sequencer.longestWait,
    minFreeBytes: config.readiness?.minFreeBytes,
    maxWait: config.readiness?.maxCommitSeconds && config.readiness.maxCommitSeconds * 1000,
  })
  await storage.start()

  let stage: Stage = 'serving'
  let doors: Doors | undefined
  const settings: AppOptions = {
    log,
    now,
    logger,
    limits: config.limits,
    ...(config.callerLimit && { callerLimits: callerLimits(config.callerLimit) }),
    ...(config.registrationDeadline !== undefined && { registrationDeadline: config.registrationDeadline }),
    maxConnections: await connectionsFor(config.maxConnections ?? DEFAULT_MAX_CONNECTIONS),
    stage: () => stage,
    notReady,
    storage,
    requestIds: requestIds((length) => new Uint8Array(randomBytes(length))),
  }
  function notReady(): NotReady | undefined {
    if (stage !== 'serving') return 'shutting_down'
    if (log.sequencer.frozen) return 'log_frozen'
    return log.sequencer.accepting ? (doors?.notReady() ?? storage.failure()) : 'log_stopped'
  }
  const { registry } = metrics
  const { reader, sequencer, scrub } = log
  registerLogGauges(registry, { reader, sequencer, scrub, storage, notReady, storeSizes: () => log.storeSizes() })
  const counted = { http: metrics.http, admission: metrics.log }
  const apps: FastifyInstance[] = []
  async function serve(app: FastifyInstance, listen: ListenAddress, isTls: boolean): Promise<FastifyInstance> {
    apps.push(app)
    // A copy: Fastify writes into what it is given.
    await app.listen({ ...listen })
    if (isTls) tls?.serve(app.server as https.Server)
    return app
  }
  async function closeAll(): Promise<void> {
    await Promise.all(apps.map((each) => each.close()))
    await log.close()
    storage.close()
    metrics.close()
    // Last: what became of registrations under way is written down, too.
    await doors?.close()
  }

  const withTls = tls && { tls: tls.settings }
  let app: FastifyInstance
  let adminUrl: string | undefined
  try {
    if (config.access && live.trust) {
      const { authorities } = log
      doors = await openDoors(config.access, { authorities, trust: live.trust, now, report: reportAudit })
    }
    const main = { ...counted, listener: 'main', ...(servesMetrics(config) && { registry }) } as const
    const options = { ...settings, ...withTls, metrics: main, ...(doors && { door: doors.main }) }
    app = await serve(buildApp(options), config.listen, true)
    if (config.access?.admin && doors?.admin) {
      const { listen, tls: isTls } = config.access.admin
      const counting = { ...counted, listener: 'admin', registry } as const
      const options = { ...settings, ...(isTls && withTls), metrics: counting, door: doors.admin }
      const admin = await serve(buildApp(options), listen, isTls)
      adminUrl = urlOf(admin, listen, isTls)
    }
  } catch (error) {
    await closeAll()
    throw error
  }

  function reportAudit(err: unknown): void {
    metrics.auditFailures.add()
    app.log.error({ err }, 'the audit line cannot be written, and nothing is appended until it can')
  }
  function report({ event, ...notice }: FileNotice): void {
    if (event === 'kept') app.log.error(notice, 'changed files were refused, and what they held before is kept')
    else app.log.info(notice, 'changed files are in force')
  }
  log.scrub.start()
  const control = await openControl({
    ...{ dataDir, log, now },
    report: (err) => app.log.error({ err }, 'a command on this machine was not answered'),
  }).catch(async (error: unknown) => {
    await closeAll()
    throw error
  })
  const reloading = setInterval(() => void live.reload(), RELOAD_INTERVAL)
  reloading.unref()

  let closed: Promise<void> | undefined
  async function close(): Promise<void> {
    clearInterval(reloading)
    await control?.close()
    stage = 'draining'
    await delay(options.drainDelay ?? (config.readiness?.drainSeconds ?? 0) * 1000)
    stage = 'closing'
    // Closing waits for requests under way for as long as they take, and then for their connections to time out: those are
    // idle only now. A reader who stopped reading would keep us up for good.
    const sweep = setInterval(() => {
      for (const each of apps) each.server.closeIdleConnections()
    }, IDLE_SWEEP)
    const deadline = setTimeout(() => {
      for (const each of apps) each.server.closeAllConnections()
    }, CLOSE_DEADLINE)
    await closeAll()
    clearInterval(sweep)
    clearTimeout(deadline)
  }
  return {
    url: urlOf(app, config.listen, tls !== undefined),
    ...(adminUrl !== undefined && { adminUrl }),
    origin: log.origin,
    get vkey() {
      return log.vkey
    },
    reload: live.reload,
    close: () => (closed ??= close()),
  }
}

/** Certificates, keys and anchors: what is read again when it is replaced, while the server runs. */
async function openLiveFiles(
  { access, tls: files }: Pick<ServerConfig, 'access' | 'tls'>,
  report: Report,
): Promise<{ readonly tls?: ServerTls; readonly trust?: TrustDomains; readonly reload: () => Promise<void> }> {
  const trust = access && (await TrustDomains.load(access.trustDomains, report))
  const tls = files && (await ServerTls.open(files, { requestCert: trust !== undefined, report }))
  return {
    ...(trust && { trust }),
    ...(tls && { tls }),
    reload: async () => {
      await trust?.reload()
      await tls?.refresh()
    },
  }
}

/** Of a log that is open, where nobody is known: by address. */
function callerLimits(limit: RateLimit): Limits {
  return new Limits({ limits: new Map([['anonymous', limit]]), now: () => performance.now() / 1000, trustDomains: 0 })
}

function urlOf(app: FastifyInstance, listen: ListenAddress, tls: boolean): string {
  const { address, family, port } = app.server.address() as AddressInfo
  // A certificate is for the name, not for the address that it happens to have.
  const host = tls && !isIP(listen.host) ? listen.host : family === 'IPv6' ? `[${address}]` : address
  return `${tls ? 'https' : 'http'}://${host}:${port}`
}

function systemClock(): number {
  return Math.floor(Date.now() / 1000)
}
