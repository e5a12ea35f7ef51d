/**
 * Who is at the other end of a TLS connection, by the certificates that it showed (draft-ietf-wimse-mutual-tls §3).
 *
 *   chain as it came ──► the one identifier of its leaf ──► anchors of that trust domain, and no others ──► path, lifetime, revocation
 *
 * A TLS library that is given the anchors of two trust domains lets each of them vouch for the other's workloads. So its
 * verdict is not asked for: this one starts from the bytes.
 *
 * @module
 */
import { equalBytes } from '../../merkle/bytes.ts'
import type { TrustDomainAnchors } from '../credential.ts'
import { ProvenanceError } from '../error.ts'
import type { WorkloadIdentifier } from '../identifier.ts'
import { type Certificate, parseCertificate } from './certificate.ts'
import { checkLength, MAX_INTERMEDIATES } from './certificate-path.ts'
import { checkNotRevoked, type RevocationList } from './revocation-list.ts'
import { checkCertificatePath, subjectOfCertificate, type TlsRole } from './workload-certificate.ts'

/** What one trust domain's peers are judged by. */
export interface PeerTrust extends TrustDomainAnchors {
  /** A trust domain of one scheme is not the one of the same name in another (draft-ietf-wimse-identifier §4). */
  readonly scheme: WorkloadIdentifier['scheme']
  /** Where it is there, every certificate below an anchor needs a list, and must not be on it. */
  readonly revocationLists?: readonly RevocationList[]
}

/** A peer whose certificates hold. */
export interface Peer {
  /** Whole: what is compared. */
  readonly identifier: string
  readonly trustDomain: string
  /** DER as it came, the leaf first. */
  readonly chain: readonly Uint8Array[]
  /** POSIX seconds: the last moment at which all of it holds, the leaf, what is above it, and the revocation lists. */
  readonly notAfter: number
}

/** Of a certificate in either form that Node has for those of a peer: with the one above it, which may be itself. */
export interface LinkedCertificate {
  readonly raw?: Uint8Array | undefined
  readonly issuerCertificate?: LinkedCertificate | undefined
}

/**
 * The certificates that a peer showed, the leaf first; none when it showed none.
 *
 * Of `getPeerX509Certificate` they are all that came, in the order in which they came; of `getPeerCertificate`, which takes some 100 µs more, those
 * that are linked by name, and the anchor that Node knows. A few more than a path may have are enough to see that it is too long.
 */
export function chainOf(leaf: LinkedCertificate | undefined): Uint8Array[] {
  const chain: Uint8Array[] = []
  for (let each = leaf; each?.raw && chain.length < MAX_INTERMEDIATES + 3; each = each.issuerCertificate) {
    chain.push(each.raw)
    if (each.issuerCertificate === each) break
  }
  return chain
}

/**
 * Checks that `chain` is of a workload that one of the trust domains vouches for.
 *
 * @param chain - DER, the leaf first
 * @param role - of the peer
 * @param trustOf - by the name of a trust domain
 * @param at - POSIX seconds
 * @throws {@link ProvenanceError} `credential_missing` for no certificate; `identifier_missing`, `identifier_ambiguous`,
 *   `malformed_identifier`; `unknown_trust_domain`; `lifetime_too_long`; those of `findCertificatePath` and `checkNotRevoked`;
 *   `malformed_der` and `malformed_credential`; StatementError `weak_key`
 */
export async function verifyPeer(
  chain: readonly Uint8Array[],
  role: TlsRole,
  trustOf: (trustDomain: string) => PeerTrust | undefined,
  at: number,
): Promise<Peer> {
  const [first, ...rest] = chain
  if (!first) throw new ProvenanceError('credential_missing', `the ${role} showed no certificate`)
  const leaf = parseCertificate(first)
  const { uri, scheme, trustDomain } = subjectOfCertificate(leaf)
  const trust = trustOf(trustDomain)
  if (!trust || trust.scheme !== scheme) {
    throw new ProvenanceError('unknown_trust_domain', `no anchors for ${scheme}://${trustDomain}`)
  }
  if (trust.trustDomain !== trustDomain) {
    throw new ProvenanceError('trust_domain_mismatch', `${uri} is not in ${trust.trustDomain}`)
  }
  // Peers send their anchor along, and TLS libraries add it.
  const between = rest.filter((der) => !trust.certificates.some((anchor) => equalBytes(anchor.der, der)))
  checkLength(between)
  const known = intermediates.get(trust) ?? []
  const read = (der: Uint8Array) => known.find((each) => equalBytes(each.der, der)) ?? parseCertificate(der)
  const above = await checkCertificatePath(leaf, between.map(read), trust.certificates, at, role)
  checkLifetime(leaf, trust)
  const path = [leaf, ...above]
  const lists = trust.revocationLists
  const until = lists ? await checkNotRevoked(path, lists, at) : Number.POSITIVE_INFINITY
  const fresh = above.slice(0, -1).filter((each) => !known.includes(each))
  if (fresh.length > 0) intermediates.set(trust, [...fresh, ...known].slice(0, MAX_KNOWN))
  return { identifier: uri, trustDomain, chain, notAfter: Math.min(until, ...path.map(({ notAfter }) => notAfter)) }
}

/**
 * Certificates that led to an anchor of a trust domain: those of its issuers come with every connection, and are read and their
 * signatures verified once. Dates, purposes, constraints and revocation are looked at each time. Nobody gets one in here
 * whom an anchor has not vouched for.
 */
const intermediates = new WeakMap<PeerTrust, readonly Certificate[]>()
const MAX_KNOWN = 16

function checkLifetime({ notBefore, notAfter }: Certificate, { rules }: PeerTrust): void {
  const most = rules?.maximumLifetime
  if (most !== undefined && notAfter - notBefore > most) {
    throw new ProvenanceError('lifetime_too_long', `made for ${notAfter - notBefore} s, and ${most} are allowed`)
  }
}
