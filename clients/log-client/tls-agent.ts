/**
 * Connections to a log over TLS: by which name we know it, and as whom it knows us.
 *
 * ```
 *   handshake ──► chain as the log showed it ──► is it the workload that we expect, by its own trust domain's anchors? ──► first request
 *                                           └──► is it for the name that we connected to? (not asked of an address)
 * ```
 *
 * Of draft-ietf-wimse-mutual-tls-02 §3.2.1 both ways: a log that is reached by name must have that name on its certificate (RFC 9525),
 * and the identifier complements it. By an address, the identifier alone says who it is. That some trusted authority issued the certificate is
 * never enough. Not a byte of a request is sent before.
 *
 * @module
 */
import https, { type AgentOptions } from 'node:https'
import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import tls, { type ConnectionOptions, createSecureContext, type PeerCertificate, type TLSSocket } from 'node:tls'
import { equalBytes } from '../../merkle/index.ts'
import {
  chainOf,
  checkServerName,
  decodePem,
  type PeerTrust,
  ProvenanceError,
  parseCertificate,
  parseRevocationLists,
  parseWorkloadIdentifier,
  readTrustBundle,
  verifyPeer,
} from '../../provenance/index.ts'
import { AnswerError } from './error.ts'

/** A certificate of ours with its key, in PEM, and after it those between it and the anchor. */
export interface ClientCertificate {
  readonly cert: string
  readonly key: string
}

/** Who the log's server is. */
export interface ExpectedServer {
  /** Its workload identifier, whole. */
  readonly identifier: string
  /** The bundle of its trust domain, a SPIFFE bundle or PEM. Read again while the client runs. */
  readonly bundle: () => Promise<Uint8Array>
  /** Where they are there, one for each certificate below an anchor. Likewise. */
  readonly crls?: () => Promise<readonly Uint8Array[]>
  /** Seconds that its certificate may be made for. */
  readonly maximumLifetime?: number
}

export interface ClientTls {
  /** PEM: trust these anchors, and not those of this machine. With `server`, both must vouch for it. */
  readonly ca?: string
  /** Shown where the log asks for one. Read again while the client runs. */
  readonly certificate?: () => Promise<ClientCertificate>
  readonly server?: ExpectedServer
}

/** Seconds between two looks at the files, while connections are kept. Each new connection is made with what they say then. */
const LOOK_AGAIN = 5
/** Seconds before the end of our own certificate at which no request is sent under it any more: it may wait on the way. */
const MARGIN = 5
const HANDSHAKE_TIMEOUT = 10_000

/** What a connection rests on. */
interface Grounds {
  readonly until: number
  /** Undefined where the identifier is not asked for. */
  readonly trust: PeerTrust | undefined
  /** Undefined where we showed no certificate. */
  readonly pair: Pair | undefined
}

interface Pair extends ClientCertificate {
  readonly notAfter: number
}

/** Connections with a certificate of ours, to a workload that we expect, or both. */
export class WorkloadAgent extends https.Agent {
  readonly #tls: ClientTls
  readonly #now: () => number
  readonly #grounds = new WeakMap<Duplex, Grounds>()
  #pair: Pair | undefined
  #trust: PeerTrust | undefined
  #files: readonly Uint8Array[] = []
  #reading: Promise<PeerTrust> | undefined
  #looked = Number.NEGATIVE_INFINITY

  /** @param now - POSIX seconds */
  constructor(settings: AgentOptions, ofLog: ClientTls, now: () => number) {
    // What was shown in an earlier handshake is not there to be judged when its session is resumed.
    super({ ...settings, maxCachedSessions: 0 })
    this.#tls = ofLog
    this.#now = now
  }

  /** Before a request: connections that no longer rest on what they began with are not used for it. */
  async discardStale(): Promise<void> {
    if (this.#now() - this.#looked >= LOOK_AGAIN) {
      this.#looked = this.#now()
      // Before the first connection there is nothing to compare with, and its own errors say what is wrong.
      if (this.#trust) await this.#readTrust()
      if (this.#pair) await this.#readPair()
    }
    for (const socket of Object.values(this.freeSockets).flatMap((sockets) => sockets ?? [])) {
      if (this.#isStale(socket)) socket.destroy()
    }
  }

  override createConnection(
    options: ConnectionOptions,
    callback?: (error: Error | null, socket: Duplex) => void,
  ): Duplex {
    this.#connect(options).then(
      (socket) => callback?.(null, socket),
      (error: Error) => callback?.(error, undefined as unknown as Duplex),
    )
    // Node takes nothing for "later, by the callback"; its types have no word for that.
    return undefined as unknown as Duplex
  }

  override keepSocketAlive(socket: Duplex): boolean {
    return !this.#isStale(socket) && (super.keepSocketAlive(socket) as unknown as boolean)
  }

  #isStale(socket: Duplex): boolean {
    const grounds = this.#grounds.get(socket)
    return !grounds || this.#now() > grounds.until || grounds.trust !== this.#trust || grounds.pair !== this.#pair
  }

  async #connect(options: ConnectionOptions): Promise<TLSSocket> {
    const { ca, server } = this.#tls
    const trust = server && (await this.#readTrust())
    const pair = await this.#readPair()
    const socket = await handshake({
      ...options,
      minVersion: 'TLSv1.2',
      ...(pair && { cert: pair.cert, key: pair.key }),
      ...(ca !== undefined && { ca }),
      // By the anchors that OpenSSL knows, unless others are given: those it is never shown.
      rejectUnauthorized: !server || ca !== undefined,
      checkServerIdentity: server ? () => undefined : checkShownName,
    })
    try {
      const peerUntil =
        server && trust ? await this.#checkServer(socket, options.host ?? '', server, trust) : Number.POSITIVE_INFINITY
      // The server may have turned ours down meanwhile.
      if (socket.destroyed) throw socket.errored ?? new Error('the connection closed after the TLS handshake')
      const until = Math.min(peerUntil, pair ? pair.notAfter - MARGIN : Number.POSITIVE_INFINITY)
      this.#grounds.set(socket, { until, trust, pair })
      return socket
    } catch (error) {
      socket.destroy()
      throw error
    }
  }

  /** @returns until when it holds */
  async #checkServer(
    socket: TLSSocket,
    host: string,
    { identifier }: ExpectedServer,
    trust: PeerTrust,
  ): Promise<number> {
    const trustOf = (name: string) => (name === trust.trustDomain ? trust : undefined)
    const peer = await verifyPeer(chainOf(socket.getPeerCertificate(true)), 'server', trustOf, this.#now())
    if (peer.identifier !== identifier) {
      throw new ProvenanceError('unexpected_peer', `${peer.identifier} answered, and not ${identifier}`)
    }
    if (isIP(host) === 0) checkServerName(parseCertificate(peer.chain[0]!), host)
    return peer.notAfter
  }

  /** The anchors that there are now. Once there are some, files that cannot be read or do not hold change nothing. */
  #readTrust(): Promise<PeerTrust> {
    // Once for all connections that begin together: what each of them read would be another's change.
    this.#reading ??= this.#readFiles().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  async #readFiles(): Promise<PeerTrust> {
    const { identifier, bundle, crls, maximumLifetime } = this.#tls.server!
    try {
      const files = [await bundle(), ...((await crls?.()) ?? [])]
      const known = this.#trust
      if (known && files.length === this.#files.length && files.every((file, i) => equalBytes(file, this.#files[i]!))) {
        return known
      }
      const { scheme, trustDomain } = parseWorkloadIdentifier(identifier)
      const anchors = await readTrustBundle(files[0]!, trustDomain)
      if (known?.sequence !== undefined && (anchors.sequence ?? -1n) < known.sequence) return known
      this.#trust = {
        ...anchors,
        scheme,
        ...(maximumLifetime !== undefined && { rules: { maximumLifetime } }),
        ...(crls && { revocationLists: files.slice(1).flatMap(parseRevocationLists) }),
      }
      this.#files = files
      return this.#trust
    } catch (error) {
      if (this.#trust) return this.#trust
      throw error
    }
  }

  /** Our own certificate as it is now; while only one of its files has been renewed, as it was. */
  async #readPair(): Promise<Pair | undefined> {
    const { certificate } = this.#tls
    if (!certificate) return undefined
    try {
      const { cert, key } = await certificate()
      if (cert === this.#pair?.cert && key === this.#pair.key) return this.#pair
      createSecureContext({ cert, key })
      this.#pair = { cert, key, notAfter: parseCertificate(decodePem(cert)[0]!).notAfter }
      return this.#pair
    } catch (error) {
      if (this.#pair) return this.#pair
      const why = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
      throw new AnswerError('unusable_certificate', `our own certificate and its key cannot be used: ${why}`)
    }
  }
}

/** For `tls.connect`, whose own check falls back to the subject's CN where a certificate has no DNS name. */
export function checkShownName(host: string, { raw }: PeerCertificate): Error | undefined {
  try {
    checkServerName(parseCertificate(raw), host)
    return undefined
  } catch (error) {
    return error as Error
  }
}

/** Resolves when the handshake is done. */
function handshake(options: ConnectionOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect(options)
    const timer = setTimeout(() => {
      socket.destroy(new Error(`no TLS handshake within ${HANDSHAKE_TIMEOUT / 1000} s`))
    }, HANDSHAKE_TIMEOUT)
    const settle = () => {
      clearTimeout(timer)
      socket.off('error', fail).off('close', broken)
    }
    const fail = (error: Error) => {
      settle()
      // OpenSSL, or the name: no repetition makes a certificate better.
      const { authorizationError } = socket as { authorizationError?: unknown }
      reject(authorizationError ? new AnswerError('untrusted_certificate', `${options.host}: ${error.message}`) : error)
    }
    const broken = () => fail(new Error('the connection closed during the TLS handshake'))
    socket.on('error', fail).on('close', broken)
    socket.once('secureConnect', () => {
      settle()
      // Node emits it and leaves the socket as if it were whole; there may be no request yet to hear of it.
      socket.on('error', (error) => socket.destroy(error))
      resolve(socket)
    })
  })
}
