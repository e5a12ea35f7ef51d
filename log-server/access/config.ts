/**
 * Who may come in: the member `access` of `server` in `config.json`.
 *
 *     "access": {
 *       "clientCertificate": "optional",
 *       "trustDomains": { "bank.example": { "bundle": "trust/bank.json", "profile": "spiffe", "maxLifetime": 86400 } },
 *       "audience": ["https://log.bank.example"],
 *       "proxies": [{ "who": "spiffe://bank.example/edge", "header": "client-cert" }],
 *       "rules": [{ "who": ["spiffe://bank.example/issuer"], "may": ["append:issuer", "read"] },
 *                 { "trustDomain": "partner.example", "may": ["read:general"] },
 *                 { "who": ["anonymous"], "may": ["read:general"] }],
 *       "audit": { "file": "audit.jsonl" } }
 *
 * Read strictly: a restriction that is misspelt, or about somebody who can never come, would silently not be there. What
 * comes out has maps where the file has objects, so that no name of a trust domain or workload is the name of something else.
 *
 * @module
 */
import { resolve } from 'node:path'
import { type Static, Type } from 'typebox'
import { EvidenceError } from '../../merkle/error.ts'
import { parseTrustDomain, parseWorkloadIdentifier } from '../../provenance/identifier.ts'
import { LogError } from '../types.ts'
import { RIGHTS, type Right } from './rights.ts'

const strict = { additionalProperties: false }
const text = (maxLength: number) => Type.String({ minLength: 1, maxLength })
const filePath = text(4096)
const name = text(2048)
const oneOf = <const T extends readonly string[]>(values: T) =>
  Type.Union(values.map((value) => Type.Literal(value as T[number])))

const Listen = Type.Object({ host: text(255), port: Type.Integer({ minimum: 0, maximum: 65_535 }) }, strict)

const TrustDomain = Type.Object(
  {
    /** A SPIFFE bundle: the anchors of this trust domain, and of no other. */
    bundle: filePath,
    profile: Type.Optional(oneOf(['spiffe', 'wimse'])),
    /** Seconds that a credential may be made for. */
    maxLifetime: Type.Optional(Type.Integer({ minimum: 1, maximum: 10 * 366 * 86_400 })),
    crls: Type.Optional(Type.Array(filePath, { maxItems: 64 })),
  },
  strict,
)

/** The header in which a proxy says whose certificate it saw. Of one that sets the one, its clients may send the other. */
export const PROXY_HEADERS = ['client-cert', 'x-forwarded-client-cert'] as const
export type ProxyHeader = (typeof PROXY_HEADERS)[number]

const TrustedProxy = Type.Object(
  { who: name, header: oneOf(PROXY_HEADERS), trustDomains: Type.Optional(Type.Array(name, { maxItems: 256 })) },
  strict,
)

const Rule = Type.Object(
  {
    /** Whole identifiers, or `anonymous`. */
    who: Type.Optional(Type.Array(name, { minItems: 1, maxItems: 4096 })),
    trustDomain: Type.Optional(name),
    may: Type.Array(oneOf(RIGHTS), { minItems: 1, maxItems: RIGHTS.length }),
    /** Thumbprints of keys of theirs that wraps are for, where the log has no key-authorization that says so. */
    recipientKeys: Type.Optional(Type.Array(Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' }), { maxItems: 256 })),
  },
  strict,
)

/** How much a caller may take (`limits.ts`). */
export const Limit = Type.Object(
  {
    requestsPerSecond: Type.Optional(Type.Number({ minimum: 0.001, maximum: 1e6 })),
    burst: Type.Optional(Type.Integer({ minimum: 1, maximum: 1e6 })),
    bytesPerSecond: Type.Optional(Type.Integer({ minimum: 1, maximum: 2 ** 40 })),
    concurrent: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_536 })),
  },
  strict,
)

export const AccessSection = Type.Object(
  {
    clientCertificate: Type.Optional(oneOf(['required', 'optional'])),
    trustDomains: Type.Record(Type.String(), TrustDomain, { maxProperties: 1024 }),
    audience: Type.Optional(Type.Array(name, { minItems: 1, maxItems: 64 })),
    proxies: Type.Optional(Type.Array(TrustedProxy, { maxItems: 64 })),
    rules: Type.Array(Rule, { maxItems: 4096 }),
    limits: Type.Optional(Type.Record(Type.String(), Limit, { maxProperties: 4096 })),
    admin: Type.Optional(Type.Object({ listen: Listen, tls: Type.Optional(Type.Boolean()) }, strict)),
    audit: Type.Optional(Type.Object({ file: filePath, sync: Type.Optional(Type.Boolean()) }, strict)),
  },
  strict,
)

export type TrustDomainConfig = Readonly<Static<typeof TrustDomain>>
export type LimitConfig = Readonly<Static<typeof Limit>>

export interface ProxyConfig {
  readonly header: ProxyHeader
  /** Of whom the proxy may speak by identifier alone; of others only with their certificate, which is verified. */
  readonly trustDomains: ReadonlySet<string>
}

export interface RuleConfig {
  /** Whole identifiers, and `anonymous`. */
  readonly who: readonly string[]
  readonly trustDomain?: string
  readonly may: readonly Right[]
  readonly recipientKeys: readonly string[]
}

export interface AccessConfig {
  readonly clientCertificate: 'required' | 'optional'
  /** Files are absolute. */
  readonly trustDomains: ReadonlyMap<string, TrustDomainConfig>
  /** Who we are, for those who prove possession of a WIT to us. None: tokens are refused. */
  readonly audience: readonly string[]
  /** By the identifier of the proxy. */
  readonly proxies: ReadonlyMap<string, ProxyConfig>
  readonly rules: readonly RuleConfig[]
  /** By identifier, and `default`. */
  readonly limits: ReadonlyMap<string, LimitConfig>
  readonly admin?: { readonly listen: Readonly<Static<typeof Listen>>; readonly tls: boolean }
  /** `stdout`, `stderr` or an absolute path. */
  readonly audit: { readonly file: string; readonly sync: boolean }
}

export const ANONYMOUS = 'anonymous'

/**
 * What the section means. Its form was checked.
 *
 * @param dataDir - where relative paths start
 * @throws {@link LogError} `malformed_config`, naming the member
 */
export function accessConfig(section: Static<typeof AccessSection>, dataDir: string, path: string): AccessConfig {
  const trustDomains = new Map<string, TrustDomainConfig>()
  for (const [domain, about] of Object.entries(section.trustDomains)) {
    readAs(`${path}.trustDomains`, () => parseTrustDomain(domain))
    const crls = about.crls?.map((file) => resolve(dataDir, file))
    trustDomains.set(domain, { ...about, bundle: resolve(dataDir, about.bundle), ...(crls && { crls }) })
  }

  function known(domain: string, where: string): string {
    if (!trustDomains.has(domain)) throw refuse(where, `${JSON.stringify(domain)} is not among trustDomains`)
    return domain
  }
  function identifier(uri: string, where: string): string {
    const { scheme, trustDomain } = readAs(where, () => parseWorkloadIdentifier(uri))
    const { profile = 'spiffe' } = trustDomains.get(known(trustDomain, where))!
    if (scheme !== profile) throw refuse(where, `${JSON.stringify(trustDomain)} has identifiers of ${profile}://`)
    return uri
  }

  const proxies = new Map<string, ProxyConfig>()
  for (const [i, { who, header, trustDomains: speaksFor }] of (section.proxies ?? []).entries()) {
    const where = `${path}.proxies[${i}]`
    if (proxies.has(identifier(who, where))) throw refuse(where, 'a proxy that is there already')
    proxies.set(who, { header, trustDomains: new Set(speaksFor?.map((domain) => known(domain, where))) })
  }

  const rules = section.rules.map(({ who = [], trustDomain, may, recipientKeys = [] }, i) => {
    const where = `${path}.rules[${i}]`
    if (who.length === 0 && trustDomain === undefined) throw refuse(where, 'is about nobody: no who and no trustDomain')
    for (const uri of who) if (uri !== ANONYMOUS) identifier(uri, where)
    if (trustDomain !== undefined) known(trustDomain, where)
    // A key is somebody's, and wraps for it are for nobody else.
    if (recipientKeys.length > 0 && (who.length !== 1 || who[0] === ANONYMOUS || trustDomain !== undefined)) {
      throw refuse(where, 'recipientKeys are of one workload')
    }
    return { who, may, recipientKeys, ...(trustDomain !== undefined && { trustDomain }) }
  })

  const limits = new Map<string, LimitConfig>()
  for (const [uri, limit] of Object.entries(section.limits ?? {})) {
    if (uri !== 'default' && uri !== ANONYMOUS) identifier(uri, `${path}.limits`)
    checkLimit(limit, `${path}.limits`)
    limits.set(uri, limit)
  }

  for (const [i, uri] of (section.audience ?? []).entries()) {
    if (!/^[!-~]+$/.test(uri) || /[?#]/.test(uri) || uri.endsWith('/')) {
      throw refuse(`${path}.audience[${i}]`, 'is an origin without a slash at its end, or a name')
    }
  }
  const { file = 'stderr', sync = false } = section.audit ?? {}
  return {
    clientCertificate: section.clientCertificate ?? 'optional',
    trustDomains,
    audience: section.audience ?? [],
    proxies,
    rules,
    limits,
    ...(section.admin && { admin: { listen: section.admin.listen, tls: section.admin.tls ?? false } }),
    audit: { file: isStream(file) ? file : resolve(dataDir, file), sync },
  }
}

export function isStream(file: string): file is 'stdout' | 'stderr' {
  return file === 'stdout' || file === 'stderr'
}

/**
 * A bucket can be forgotten when it is full again, and must be soon: whoever comes under many names would fill the memory.
 *
 * @throws {@link LogError} `malformed_config`
 */
export function checkLimit({ requestsPerSecond, burst }: LimitConfig, where: string): void {
  if (burst === undefined) return
  if (requestsPerSecond === undefined) throw refuse(where, 'burst is of requestsPerSecond, and there is none')
  if (burst > 1000 * requestsPerSecond) throw refuse(where, 'burst is more than comes in 1000 seconds')
}

function readAs<T>(where: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error
    throw refuse(where, error.message)
  }
}

function refuse(where: string, why: string): LogError {
  return new LogError('malformed_config', `${where}: ${why}`)
}
