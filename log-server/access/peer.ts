/**
 * Who is at the other end of a connection, by its client certificate; and that this is asked anew whenever the answer may have changed.
 *
 *   connection ──► chain as it was shown ──► verdict ──► each request on it
 *                                              ▲
 *                 anchors or revocation lists changed, or the certificate ended
 *
 * The handshake asks for a certificate and judges none, so that whoever is refused hears why. What OpenSSL thinks of it is never looked
 * at: it would take a certificate of one trust domain's authority for a workload of another. Nothing is kept from one
 * connection to the next. Sessions are not resumed where certificates are asked for (`tls.ts`); on a connection that were one all the
 * same, what it shows is judged as on any other, and showing nothing is no certificate.
 *
 * @module
 */
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { ProvenanceError } from '../../provenance/error.ts'
import { chainOf, type Peer, verifyPeer } from '../../provenance/peer-certificate.ts'
import type { Clock } from '../types.ts'
import type { TrustDomains } from './trust-domains.ts'

export type { Peer }

/** @throws as `verifyPeer`, with a code for each case */
export async function peerOf(socket: TLSSocket, trust: TrustDomains, at: number): Promise<Peer> {
  return verifyPeer(chainOf(socket.getPeerCertificate(true)), 'client', (name) => trust.anchorsOf(name), at)
}

interface Verdict {
  readonly generation: number
  /** What it was, once it is known. */
  peer?: Peer
  readonly settled: Promise<Peer>
}

export interface PeersOptions {
  readonly trust: TrustDomains
  readonly now: Clock
}

/** The peers of all connections of a server. */
export class Peers {
  readonly #trust: TrustDomains
  readonly #now: Clock
  readonly #verdicts = new WeakMap<Socket, Verdict>()

  constructor({ trust, now }: PeersOptions) {
    this.#trust = trust
    this.#now = now
  }

  /**
   * The peer of a connection: at once where it is known, so that a request on a connection that is kept costs nothing.
   *
   * @throws (or rejects) as {@link peerOf}; `credential_missing` on a connection without TLS
   */
  of(socket: Socket): Peer | Promise<Peer> {
    const verdict = this.#verdicts.get(socket)
    if (verdict?.generation !== this.#trust.generation) return this.#judge(socket)
    const { peer } = verdict
    if (peer === undefined) return verdict.settled
    // Of one whose end has come it is asked again, and answered why not.
    return this.#now() <= peer.notAfter ? peer : this.#judge(socket)
  }

  #judge(socket: Socket): Promise<Peer> {
    const { generation } = this.#trust
    const settled =
      socket instanceof TLSSocket
        ? peerOf(socket, this.#trust, this.#now())
        : Promise.reject(new ProvenanceError('credential_missing', 'a connection without TLS'))
    const verdict: Verdict = { generation, settled }
    this.#verdicts.set(socket, verdict)
    settled.then(
      (peer) => {
        verdict.peer = peer
      },
      // It is whoever asked that is told.
      () => {},
    )
    return settled
  }
}
