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
import { chainOf, type Peer, verifyPeer } from '../../provenance/certificates/peer-certificate.ts'
import { ProvenanceError } from '../../provenance/error.ts'
import type { Clock } from '../types.ts'
import type { TrustDomains } from './trust-domains.ts'

export type { Peer }

/**
 * The client that showed these certificates: to us, or to a proxy that is believed about it.
 *
 * @param chain - DER, the leaf first
 * @throws as `verifyPeer`, with a code for each case
 */
export async function peerOfChain(chain: readonly Uint8Array[], trust: TrustDomains, at: number): Promise<Peer> {
  return verifyPeer(chain, 'client', (name) => trust.anchorsOf(name), at)
}

/**
 * The certificates that a client showed, as DER, the leaf first. Node is asked once: as it hands over a certificate it takes those above it out of
 * the session, and whoever asked again would be told of a leaf that nobody issued.
 */
function chainShownOn(socket: TLSSocket): readonly Uint8Array[] {
  const before = shown.get(socket)
  if (before) return before
  const chain = chainOf(socket.getPeerX509Certificate())
  shown.set(socket, chain)
  return chain
}

const shown = new WeakMap<TLSSocket, readonly Uint8Array[]>()

/** Undefined for who showed no certificate. */
type Answer = Peer | undefined

interface Verdict {
  readonly generation: number
  /** The answer, once it is known. */
  known?: { readonly peer: Answer }
  readonly settled: Promise<Answer>
}

export interface PeersOptions {
  readonly trust: TrustDomains
  /** Whether nobody may come without a certificate. */
  readonly required: boolean
  readonly now: Clock
}

/** The peers of all connections of a server. */
export class Peers {
  readonly #options: PeersOptions
  readonly #verdicts = new WeakMap<Socket, Verdict>()

  constructor(options: PeersOptions) {
    this.#options = options
  }

  /**
   * The peer of a connection: at once where it is known, so that a request on a connection that is kept costs nothing. Undefined where no
   * certificate was shown, and none is required.
   *
   * @throws (it rejects) as {@link peerOfChain}; `credential_missing` where one is required and none was shown
   */
  of(socket: Socket): Answer | Promise<Answer> {
    const verdict = this.#verdicts.get(socket)
    const { trust, now } = this.#options
    if (verdict?.generation !== trust.generation) return this.#judge(socket)
    const { known } = verdict
    if (!known) return verdict.settled
    // Of one whose end has come it is asked again, and answered why not.
    return known.peer && now() > known.peer.notAfter ? this.#judge(socket) : known.peer
  }

  #judge(socket: Socket): Promise<Answer> {
    const { generation } = this.#options.trust
    const verdict: Verdict = { generation, settled: this.#ask(socket) }
    this.#verdicts.set(socket, verdict)
    verdict.settled.then(
      (peer) => {
        verdict.known = { peer }
      },
      // It is whoever asked that is told.
      () => {},
    )
    return verdict.settled
  }

  async #ask(socket: Socket): Promise<Answer> {
    const { trust, required, now } = this.#options
    const chain = socket instanceof TLSSocket ? chainShownOn(socket) : []
    if (chain.length > 0) return peerOfChain(chain, trust, now())
    if (required) throw new ProvenanceError('credential_missing', 'the client showed no certificate')
    return undefined
  }
}
