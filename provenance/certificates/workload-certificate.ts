/**
 * Workload certificates: one URI name, a workload identifier, vouched for by an anchor of its trust domain. Only anchors of that one
 * trust domain are given: a certificate of another domain's CA is as unknown as a forged one.
 *
 * Which profile holds the scheme of the identifier says: `spiffe://` is an X509-SVID (§4, §5), `wimse://` a Workload Identity
 * Certificate (workload-creds §6, mutual-tls §3.2), which leaves more to RFC 5280.
 *
 * @module
 */

import { ProvenanceError } from '../error.ts'
import { parseWorkloadIdentifier, type WorkloadIdentifier } from '../identifier.ts'
import type { Certificate } from './certificate.ts'
import { findCertificatePath } from './certificate-path.ts'

/**
 * The one workload identifier that a certificate is for.
 *
 * @throws {@link ProvenanceError} `identifier_missing`, `identifier_ambiguous`, `malformed_identifier`
 */
export function subjectOfCertificate({ uris }: Certificate): WorkloadIdentifier {
  const [uri, ...more] = uris
  if (uri === undefined) throw new ProvenanceError('identifier_missing', 'a certificate without a URI name')
  // Whichever of them a reader takes, another reader takes another one.
  if (more.length > 0) throw new ProvenanceError('identifier_ambiguous', `a certificate with ${uris.length} URI names`)
  return parseWorkloadIdentifier(uri)
}

/** The side of a connection that a certificate was shown on. */
export type TlsRole = 'client' | 'server'

/**
 * Checks that `leaf` is a workload certificate which one of `anchors` vouches for at `at`.
 *
 * @param anchors - of the trust domain that the leaf names, and of no other
 * @param at - POSIX seconds
 * @param role - what its holder uses it as, where that is known: a purpose for the other side alone is then a wrong one
 * @returns the certificates from the leaf's issuer up to the anchor
 * @throws {@link ProvenanceError} `trust_domain_mismatch`, and those of {@link findCertificatePath}
 */
export async function checkCertificatePath(
  leaf: Certificate,
  intermediates: readonly Certificate[],
  anchors: readonly Certificate[],
  at: number,
  role?: TlsRole,
): Promise<readonly Certificate[]> {
  const { scheme, trustDomain } = subjectOfCertificate(leaf)
  return findCertificatePath(leaf, intermediates, {
    anchors,
    at: [at],
    // X509-SVID §4.3 demands keyUsage; WIMSE leaves it to RFC 5280, where absence means no restriction.
    requireKeyUsage: scheme !== 'wimse',
    checkPurposes: (each) => checkPurposes(each, leaf, scheme, role),
    checkIssuer: (issuer) => checkSigningIdentity(issuer, trustDomain),
  })
}

/** X509-SVID §4.1: a signing certificate that names a SPIFFE ID names its own trust domain, without a path. */
function checkSigningIdentity({ uris }: Certificate, trustDomain: string): void {
  for (const uri of uris) {
    if (/^(spiffe|wimse):/.test(uri) && uri.replace(/^[a-z]+:\/\//, '') !== trustDomain) {
      throw new ProvenanceError('trust_domain_mismatch', `an issuing certificate for ${JSON.stringify(uri)}`)
    }
  }
}

/**
 * Where extKeyUsage is there at all, it must be for TLS: of an X509-SVID for both sides (§4.4), of a WIMSE certificate for one (mutual-tls
 * §3.2). RFC 5280 leaves open what it means on a CA, and readers differ. Here a CA must have every purpose that the leaf has, so that no
 * leaf is for more than whoever issued it was trusted with.
 */
function checkPurposes(
  certificate: Certificate,
  leaf: Certificate,
  scheme: WorkloadIdentifier['scheme'],
  role: TlsRole | undefined,
): void {
  const { purposes } = certificate
  if (!purposes) return
  const wanted = role === undefined ? TLS_PURPOSES : [PURPOSE_OF[role]]
  if (certificate === leaf) {
    const allowed = (oid: string) => purposes.includes(oid)
    if (scheme === 'wimse' ? purposes.includes(ANY) || wanted.some(allowed) : TLS_PURPOSES.every(allowed)) return
    const names =
      scheme !== 'wimse' ? 'both serverAuth and clientAuth' : `${role ?? 'server'}Auth${role ? '' : ' or clientAuth'}`
    throw new ProvenanceError('certificate_wrong_usage', `extKeyUsage, where it is there, must have ${names}`)
  }
  if (purposes.includes(ANY)) return
  const needed = TLS_PURPOSES.filter((oid) => leaf.purposes?.includes(oid))
  const allowed = (oid: string) => purposes.includes(oid)
  // A leaf without purposes is for those of its issuers, which then must have one, or the one it is used for.
  if (needed.length > 0 ? needed.every(allowed) : wanted.some(allowed)) return
  throw new ProvenanceError(
    'certificate_wrong_usage',
    'extKeyUsage of an issuing certificate does not allow what the leaf is for',
  )
}

const PURPOSE_OF: Readonly<Record<TlsRole, string>> = { server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2' }
const TLS_PURPOSES = Object.values(PURPOSE_OF)
/** anyExtendedKeyUsage. */
const ANY = '2.5.29.37.0'
