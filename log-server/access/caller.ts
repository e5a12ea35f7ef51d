/**
 * Who calls: by what was proven, and never by what was said.
 *
 * ```
 *   TLS peer, its certificate verified ──┬── is no proxy of ours ───────────────► mtls
 *                                        └── is one: its one header ────────────► proxy
 *   a WIT, and proof of its key, to us ─────────────────────────────────────────► wit+wpt, wit+httpsig
 *   nothing ────────────────────────────────────────────────────────────────────► none
 *
 *   two of them that differ ─────────────────────────────────────────────────────► identity_conflict
 *   one that does not hold ─────────────────────────────────────────────────────► refused: never taken for nobody
 * ```
 *
 * What else a header says about who is calling is `asserted`: it stands in the audit line, and has no say (mutual-tls §5).
 *
 * @module
 */

import { toHex, utf8 } from '../../merkle/bytes.ts'
import { EvidenceError, UnavailableError } from '../../merkle/error.ts'
import { sha256 } from '../../merkle/hash.ts'
import { parseCertificate } from '../../provenance/certificates/certificate.ts'
import { subjectOfCertificate } from '../../provenance/certificates/workload-certificate.ts'
import { parseCredential, type TrustDomainAnchors } from '../../provenance/credential.ts'
import { ProvenanceError } from '../../provenance/error.ts'
import { parseWorkloadIdentifier, type WorkloadIdentifier } from '../../provenance/identifier.ts'
import { authenticateRequest } from '../../provenance/proof-of-possession/authenticate.ts'
import type { Audience } from '../../provenance/proof-of-possession/expectations.ts'
import { fieldLinesOf, type HttpRequest, readFields } from '../../provenance/proof-of-possession/http-message.ts'
import type { Possession } from '../../provenance/proof-of-possession/possession.ts'
import type { ReplayCache } from '../../provenance/proof-of-possession/replay-cache.ts'
import { RequestError } from '../problem.ts'
import type { Clock } from '../types.ts'
import { PROXY_HEADERS, type ProxyConfig } from './config.ts'
import { IDENTITY_HEADERS, readForwarded } from './proxy-headers.ts'

export interface Caller {
  readonly by: 'mtls' | 'wit+wpt' | 'wit+httpsig' | 'proxy' | 'none'
  /** The whole identifier, validated. Absent for nobody. */
  readonly identifier?: string
  readonly trustDomain?: string
  /** SHA-256 of the WIT or of the certificate, in hex. */
  readonly credential?: string
  /** The proxy, itself authenticated, that the request came through. It is not who calls. */
  readonly via?: string
  /** What was claimed and nobody vouches for. Never an identity. */
  readonly asserted?: string
}

/** What is known of a caller, and why that is not enough, when it is not. */
export interface Identified {
  readonly caller: Caller
  readonly refusal?: Error
  /** Whether it is the connection that does not hold: whatever else is asked on it comes to the same. */
  readonly peerRefused?: boolean
  /** The content was signed for, and has still to be held against this (`checkContentDigest`). */
  readonly contentToCheck?: { readonly digest: string | undefined }
}

/** Who is at the other end of a connection: a certificate that holds. */
export interface TlsPeer {
  readonly identifier: string
  readonly trustDomain: string
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[]
}

/** A request as it came. */
export interface CallingRequest<Socket> {
  readonly method: string
  /** Of the request line. */
  readonly target: string
  /** Names and values in turn. */
  readonly rawHeaders: readonly string[]
  readonly socket: Socket
}

/** What a trust domain vouches with, and for identifiers of which scheme: of the same name in another it is another trust domain. */
export type Trusted = TrustDomainAnchors & { readonly scheme: WorkloadIdentifier['scheme'] }

export interface CallersOptions<Socket> {
  /** Undefined where no certificate was shown. At once where it is known. Rejects with EvidenceError for one that does not hold. */
  readonly peerOf: (socket: Socket) => TlsPeer | undefined | Promise<TlsPeer | undefined>
  /** The peer that a proxy saw. @throws EvidenceError */
  readonly peerOfChain: (chain: readonly Uint8Array[]) => Promise<TlsPeer>
  /** Undefined for a trust domain that is not configured. */
  readonly trustOf: (trustDomain: string) => Trusted | undefined
  readonly audience: Audience
  /** One for the process, however many applications it has. */
  readonly replay: ReplayCache
  readonly proxies: ReadonlyMap<string, ProxyConfig>
  readonly now: Clock
}

/** Where a WIT and what proves it would be. */
const PROOF_HEADERS: ReadonlySet<string> = new Set(['workload-identity-token', 'workload-proof-token', 'authorization'])
/** Of what is claimed, as much as an identifier of a sensible length. */
const MAX_ASSERTED = 256

const NOBODY: Identified = { caller: { by: 'none' } }

export class Callers<Socket> {
  readonly #options: CallersOptions<Socket>
  readonly #known = new WeakMap<TlsPeer, Identified>()

  constructor(options: CallersOptions<Socket>) {
    this.#options = options
  }

  /**
   * Who sends a request. Its content may be on its way still. Whatever is refused is said, and this throws or rejects only for a fault of
   * ours. At once where nothing but a connection says who it is, and that is known already.
   */
  identify(request: CallingRequest<Socket>): Identified | Promise<Identified> {
    const seen = lookAt(request.rawHeaders)
    const asking = this.#options.peerOf(request.socket)
    if (seen.proof || seen.claims.length > 0 || asking instanceof Promise) return this.#identify(request, seen, asking)
    if (!asking) return NOBODY
    return this.#options.proxies.has(asking.identifier)
      ? this.#identify(request, seen, asking)
      : this.#ofConnection(asking)
  }

  /** Of a connection's peer, which is one object for as long as it is believed. */
  #ofConnection(peer: TlsPeer): Identified {
    const known = this.#known.get(peer)
    if (known) return known
    const identified = { caller: callerOf(peer, 'mtls') }
    this.#known.set(peer, identified)
    return identified
  }

  async #identify(
    request: CallingRequest<Socket>,
    seen: Seen,
    asking: ReturnType<CallersOptions<Socket>['peerOf']>,
  ): Promise<Identified> {
    let { caller } = NOBODY
    let peerRefused = true
    try {
      const peer = await asking
      peerRefused = false
      const proxy = peer && this.#options.proxies.get(peer.identifier)
      if (peer && proxy) caller = { by: 'none', via: peer.identifier }
      else if (peer) caller = this.#ofConnection(peer).caller
      if (proxy) caller = { ...caller, ...(await this.#forwarded(request.rawHeaders, proxy)) }
      else if (seen.claims.length > 0) {
        const named = seen.claims.flatMap(([name, value]) => claimedIn(name, value))
        caller = { ...caller, asserted: (named[0] ?? seen.claims[0]![0]).slice(0, MAX_ASSERTED) }
        // One that says another than who is known to call is no misunderstanding.
        if (caller.identifier !== undefined && named.some((uri) => uri !== caller.identifier)) throw conflict()
      }
      if (!seen.proof) return { caller }

      const proven = await this.#proven(request)
      if (!proven) return { caller }
      if (caller.identifier !== undefined && caller.identifier !== proven.caller.identifier) {
        caller = { ...caller, asserted: proven.caller.identifier! }
        throw conflict()
      }
      // Of two ways to the same workload the connection is the stronger: it covers all that is said on it.
      return caller.identifier === undefined
        ? { ...proven, caller: { ...caller, ...proven.caller } }
        : { ...proven, caller }
    } catch (error) {
      if (!(error instanceof EvidenceError || error instanceof UnavailableError)) throw error
      return { caller: refused(caller, request.rawHeaders), refusal: error, peerRefused }
    }
  }

  /** By the header that this proxy sets and no other. Without it the proxy's client showed nothing, and is nobody: not the proxy. */
  async #forwarded(rawHeaders: readonly string[], { header, trustDomains }: ProxyConfig): Promise<Partial<Caller>> {
    const fields = readFields({ fields: fieldLinesOf(rawHeaders) }, [...IDENTITY_HEADERS])
    const forwarded = readForwarded(fields, header)
    if (!forwarded) return {}
    if (forwarded.chain) {
      const peer = await this.#options.peerOfChain(forwarded.chain)
      if (forwarded.uri !== undefined && forwarded.uri !== peer.identifier) throw conflict()
      return callerOf(peer, 'proxy')
    }
    const identifier = parseWorkloadIdentifier(forwarded.uri)
    const { uri, trustDomain } = identifier
    this.#checkScheme(identifier)
    if (!trustDomains.has(trustDomain)) {
      throw new ProvenanceError('trust_domain_mismatch', 'this proxy does not speak for that trust domain')
    }
    return { by: 'proxy', identifier: uri, trustDomain }
  }

  #checkScheme({ scheme, trustDomain }: WorkloadIdentifier): void {
    if (this.#options.trustOf(trustDomain)?.scheme === scheme) return
    throw new ProvenanceError('unknown_trust_domain', `no anchors for ${scheme}://${trustDomain}`)
  }

  /** By a WIT and proof of its key. Undefined where `Authorization` is all there is, and something else than a WIT: it has no say here. */
  async #proven({ method, target, rawHeaders }: CallingRequest<Socket>): Promise<Identified | undefined> {
    const { trustOf, audience, replay, now } = this.#options
    const request: HttpRequest = { method, target, fields: fieldLinesOf(rawHeaders) }
    const expectations = { at: now(), audience, replay, content: 'to-come' } as const
    try {
      const { credential, possession } = await authenticateRequest(request, { get: trustOf }, expectations)
      this.#checkScheme(credential.subject)
      if (possession.signResponse) {
        throw new RequestError('not_implemented', 'a signed response was demanded, and this server signs none')
      }
      const { subject, digest } = credential
      const caller = { by: wayOf(possession), identifier: subject.uri, trustDomain: subject.trustDomain } as const
      const { contentToCheck } = possession
      return { caller: { ...caller, credential: toHex(digest) }, ...(contentToCheck && { contentToCheck }) }
    } catch (error) {
      const isMissing = error instanceof ProvenanceError && error.code === 'credential_missing'
      if (isMissing && !rawHeaders.some((name, i) => i % 2 === 0 && nameOf(name) === 'workload-proof-token'))
        return undefined
      throw error
    }
  }
}

function callerOf({ identifier, trustDomain, chain }: TlsPeer, by: 'mtls' | 'proxy'): Caller {
  return { by, identifier, trustDomain, credential: toHex(sha256(chain[0]!)) }
}

function wayOf({ ways }: Possession): 'wit+wpt' | 'wit+httpsig' {
  // Of the two the signature covers more.
  return ways.includes('httpsig') ? 'wit+httpsig' : 'wit+wpt'
}

interface Seen {
  readonly proof: boolean
  /** Names and values, the names as {@link nameOf} has them. */
  readonly claims: readonly (readonly [name: string, value: string])[]
}

/** One look at the names: most requests have none of these, and pay for no more. */
function lookAt(rawHeaders: readonly string[]): Seen {
  let proof = false
  const claims: [string, string][] = []
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = nameOf(rawHeaders[i]!)
    if (PROOF_HEADERS.has(name)) proof = true
    else if (IDENTITY_HEADERS.has(name)) claims.push([name, rawHeaders[i + 1]!])
  }
  return { proof, claims }
}

/** As the most careless reader has it: in any case, and with `_` for `-`. */
function nameOf(name: string): string {
  return name.toLowerCase().replaceAll('_', '-')
}

/** The identifier in a header that nobody vouches for; none where it cannot be read, and only the header's name is then told. */
function claimedIn(name: string, value: string): string[] {
  try {
    const header = PROXY_HEADERS.find((each) => each === name)
    if (!header) return [parseWorkloadIdentifier(value.trim()).uri]
    const forwarded = readForwarded(new Map([[header, value.trim()]]), header)
    if (!forwarded) return []
    if (!forwarded.chain) return [parseWorkloadIdentifier(forwarded.uri).uri]
    return [subjectOfCertificate(parseCertificate(forwarded.chain[0]!)).uri]
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error
    return []
  }
}

/** For the audit line alone: whose the WIT says that it is, when that is what was refused. */
function refused(caller: Caller, rawHeaders: readonly string[]): Caller {
  if (caller.asserted !== undefined) return caller
  const at = rawHeaders.findIndex((name, i) => i % 2 === 0 && nameOf(name) === 'workload-identity-token')
  if (at < 0) return caller
  try {
    const { uri } = parseCredential(utf8(rawHeaders[at + 1]!)).subject
    return { ...caller, asserted: uri.slice(0, MAX_ASSERTED) }
  } catch (unread) {
    if (!(unread instanceof EvidenceError)) throw unread
    return { ...caller, asserted: 'workload-identity-token' }
  }
}

function conflict(): RequestError {
  return new RequestError('identity_conflict', 'the connection is of one workload and the request of another')
}
