/**
 * How a log is served: `DIR/config.json`, which `initLog` writes, under what the caller says, over defaults.
 *
 *     { "origin": "log.example/2026", …                        `initLog`'s own, read by `openLog`
 *       "server": { "listen": { "host": "127.0.0.1", "port": 8787 },
 *                   "tls": { "cert": "tls/chain.pem", "key": "tls/key.pem" },
 *                   "insecureListen": false,
 *                   "access": { … },                            who may come in (access/config.ts)
 *                   "callerLimit": { … },                       of a log that is open: what one address may take (access/limits.ts)
 *                   "registrationDeadline": 5,
 *                   "readiness": { "minFreeBytes": 1073741824, "maxCommitSeconds": 10, "drainSeconds": 5 },
 *                   "maxConnections": 16384,                    fewer where the process may not have so many files (connections.ts)
 *                   "scrub": { "entriesPerSecond": 2000 },      how fast what is stored is looked at again (scrub.ts)
 *                   "limits": { "maxClockSkew": 300 } } }      ours, all of it optional
 *
 * What may be on the log is no configuration: it is in the log's policy, where auditors see it.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { isIPv4, isIPv6 } from 'node:net'
import { join, resolve } from 'node:path'
import { type Static, Type } from 'typebox'
import { Value } from 'typebox/value'
import { type AccessConfig, AccessSection, accessConfig, checkLimit, Limit, type LimitConfig } from './access/config.ts'
import type { TlsFiles } from './http/tls.ts'
import { LogError } from './types.ts'

const strict = { additionalProperties: false }

const Listen = Type.Object(
  {
    host: Type.String({ minLength: 1, maxLength: 255 }),
    port: Type.Integer({ minimum: 0, maximum: 65_535 }),
  },
  strict,
)

const count = (maximum: number) => Type.Optional(Type.Integer({ minimum: 1, maximum }))

/** Of admission; see there what each bounds. */
const Limits = Type.Object(
  {
    maxClockSkew: Type.Optional(Type.Integer({ minimum: 0, maximum: 86_400 })),
    maxWrapBytes: count(2 ** 20),
    maxPending: count(2 ** 20),
    maxPendingBytes: count(2 ** 32),
  },
  strict,
)

const filePath = Type.String({ minLength: 1, maxLength: 4096 })

/** PEM files; a relative path starts where `config.json` is. */
const Tls = Type.Object({ cert: filePath, key: filePath }, strict)

/** When nothing is appended (`readiness.ts`). */
const Readiness = Type.Object(
  {
    minFreeBytes: Type.Optional(Type.Integer({ minimum: 0, maximum: 2 ** 50 })),
    maxCommitSeconds: Type.Optional(Type.Number({ minimum: 0.1, maximum: 3600 })),
    // How long it says that it goes down before it does.
    drainSeconds: Type.Optional(Type.Number({ minimum: 0, maximum: 300 })),
  },
  strict,
)

const ServerSection = Type.Object(
  {
    listen: Type.Optional(Listen),
    tls: Type.Optional(Tls),
    // For a log behind a proxy that speaks TLS on another machine.
    insecureListen: Type.Optional(Type.Boolean()),
    access: Type.Optional(AccessSection),
    limits: Type.Optional(Limits),
    callerLimit: Type.Optional(Limit),
    registrationDeadline: Type.Optional(Type.Number({ minimum: 0, maximum: 30 })),
    readiness: Type.Optional(Readiness),
    maxConnections: count(2 ** 20),
    scrub: Type.Optional(Type.Object({ entriesPerSecond: Type.Integer({ minimum: 1, maximum: 1_000_000 }) }, strict)),
  },
  strict,
)

export type ListenAddress = Readonly<Static<typeof Listen>>
export type ServerLimits = Readonly<Static<typeof Limits>>

export interface ServerConfig {
  readonly listen: ListenAddress
  /** Absent: clear text. */
  readonly tls?: TlsFiles
  /** Absent: open to everybody who reaches it. */
  readonly access?: AccessConfig
  readonly limits: ServerLimits
  /** Of a log that is open: how much one address may take. */
  readonly callerLimit?: LimitConfig
  /** Seconds after which a registration is answered with a redirect. */
  readonly registrationDeadline?: number
  readonly readiness?: Readonly<Static<typeof Readiness>>
  readonly maxConnections?: number
  readonly scrub?: { readonly entriesPerSecond: number }
}

/** What the caller says instead of the file. */
export interface ConfigOverrides {
  readonly listen?: ListenAddress
  readonly insecureListen?: boolean
  readonly tls?: TlsFiles
  readonly limits?: ServerLimits
}

export const DEFAULT_LISTEN: ListenAddress = { host: '127.0.0.1', port: 8787 }

/**
 * The configuration of the server of the log in `dataDir`.
 *
 * @throws {@link LogError} `malformed_config`, naming the member; `log_missing` without a file
 */
export async function serverConfig(dataDir: string, overrides: ConfigOverrides = {}): Promise<ServerConfig> {
  const path = join(dataDir, 'config.json')
  const section = serverSection(await readText(path), path)
  const { insecureListen = section.insecureListen ?? false, ...given } = overrides
  const tls = given.tls ?? (section.tls && inDirectory(dataDir, section.tls))
  const merged = {
    listen: given.listen ?? section.listen ?? DEFAULT_LISTEN,
    ...(tls && { tls }),
    ...(section.registrationDeadline !== undefined && { registrationDeadline: section.registrationDeadline }),
    ...(section.readiness && { readiness: section.readiness }),
    ...(section.maxConnections !== undefined && { maxConnections: section.maxConnections }),
    ...(section.scrub && { scrub: section.scrub }),
    limits: { ...section.limits, ...given.limits },
    ...(section.callerLimit && { callerLimit: section.callerLimit }),
  }
  check(ServerSection, merged, 'the server options')
  if (!tls && !insecureListen) refuseClearText(merged.listen)
  const access = section.access && accessConfig(section.access, dataDir, `${path}: server.access`)
  if (section.callerLimit) {
    checkLimit(section.callerLimit, `${path}: server.callerLimit`)
    if (access)
      throw new LogError('malformed_config', `${path}: server.callerLimit: with access it is in access.limits`)
  }
  if (access?.clientCertificate === 'required' && !tls) {
    throw new LogError('malformed_config', `${path}: server.access.clientCertificate: without tls there are none`)
  }
  if (access?.admin) checkAdmin(access.admin, tls !== undefined, `${path}: server.access.admin`)
  return { ...merged, ...(access && { access }) }
}

function refuseClearText({ host }: ListenAddress): void {
  if (isLoopback(host)) return
  throw new LogError(
    'malformed_config',
    `${host} is not a loopback address: statements would travel in clear text, and anybody who reaches the port ` +
      'could change them on the way. Give a certificate and its key (tls), or have config.json say "insecureListen": true in "server" if that is what you want.',
  )
}

/** `insecureListen` is not for this one: an admin who is reached from elsewhere is known by certificate, or there is none. */
function checkAdmin({ listen, tls }: NonNullable<AccessConfig['admin']>, hasTls: boolean, where: string): void {
  if (tls && !hasTls)
    throw new LogError('malformed_config', `${where}.tls: there is no certificate (tls) to speak it with`)
  if (tls || isLoopback(listen.host)) return
  throw new LogError('malformed_config', `${where}: ${listen.host} is not a loopback address, and tls is not said`)
}

/** Whether only this machine reaches a server that listens there. */
export function isLoopback(host: string): boolean {
  if (isIPv4(host)) return host.startsWith('127.')
  // An IPv4 address in IPv6 notation is not in the list: nobody needs that spelling.
  return isIPv6(host) ? host === '::1' : host === 'localhost'
}

function inDirectory(dataDir: string, { cert, key }: TlsFiles): TlsFiles {
  return { cert: resolve(dataDir, cert), key: resolve(dataDir, key) }
}

function serverSection(text: string, path: string): Static<typeof ServerSection> {
  let file: unknown
  try {
    file = JSON.parse(text)
  } catch (cause) {
    throw new LogError('malformed_config', `${path} is not JSON`, { cause })
  }
  if (typeof file !== 'object' || file === null) throw new LogError('malformed_config', `${path} is not an object`)
  const section: unknown = (file as { server?: unknown }).server ?? {}
  check(ServerSection, section, `${path}: server`)
  return section
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new LogError('log_missing', `no log here: ${path} cannot be read`, { cause })
  }
}

function check<T extends typeof ServerSection>(schema: T, value: unknown, title: string): asserts value is Static<T> {
  if (Value.Check(schema, value)) return
  const [first] = Value.Errors(schema, value)
  throw new LogError('malformed_config', `${title}${first?.instancePath ?? ''}: ${first?.message ?? 'is not valid'}`)
}
