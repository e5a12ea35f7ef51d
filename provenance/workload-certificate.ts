/**
 * Workload certificates: one URI name, a workload identifier, vouched for by an anchor of its trust domain. Only anchors of that one
 * trust domain are given: a certificate of another domain's CA is as unknown as a forged one.
 *
 * Which profile holds the scheme of the identifier says: `spiffe://` is an X509-SVID (§4, §5), `wimse://` a Workload Identity
 * Certificate (workload-creds §6, mutual-tls §3.2), which leaves more to RFC 5280.
 *
 * @module
 */
import type { Certificate } from './certificate.ts'
import { findCertificatePath } from './certificate-path.ts'
import { ProvenanceError } from './error.ts'
import { parseWorkloadIdentifier, type WorkloadIdentifier } from './identifier.ts'

/**
 * The one workload identifier that a certificate is for.
 *
 * @throws {@link ProvenanceError} `malformed_credential` without exactly one URI name, `malformed_identifier`
 */
export function subjectOfCertificate({ uris }: Certificate): WorkloadIdentifier {
  if (uris.length !== 1)
    throw new ProvenanceError('malformed_credential', `certificate: ${uris.length} URI names, not 1`)
  return parseWorkloadIdentifier(uris[0]!)
}

/**
 * Checks that `leaf` is a workload certificate which one of `anchors` vouches for at `at`.
 *
 * @param anchors - of the trust domain that the leaf names, and of no other
 * @param at - POSIX seconds
 * @returns the certificates from the leaf's issuer up to the anchor
 * @throws {@link ProvenanceError} `trust_domain_mismatch`, and those of {@link findCertificatePath}
 */
export async function checkCertificatePath(
  leaf: Certificate,
  intermediates: readonly Certificate[],
  anchors: readonly Certificate[],
  at: number,
): Promise<readonly Certificate[]> {
  const { scheme, trustDomain } = subjectOfCertificate(leaf)
  return findCertificatePath(leaf, intermediates, {
    anchors,
    at: [at],
    // X509-SVID §4.3 demands keyUsage; WIMSE leaves it to RFC 5280, where absence means no restriction.
    requireKeyUsage: scheme !== 'wimse',
    checkPurposes: (each) => checkPurposes(each, leaf, scheme),
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
function checkPurposes(certificate: Certificate, leaf: Certificate, scheme: WorkloadIdentifier['scheme']): void {
  const { purposes } = certificate
  if (!purposes) return
  if (certificate === leaf) {
    const found = TLS_PURPOSES.filter((oid) => purposes.includes(oid))
    if (found.length === TLS_PURPOSES.length || (scheme === 'wimse' && (found.length > 0 || purposes.includes(ANY))))
      return
    const wanted = scheme === 'wimse' ? 'serverAuth or clientAuth' : 'both serverAuth and clientAuth'
    throw new ProvenanceError('certificate_wrong_usage', `extKeyUsage, where it is there, must have ${wanted}`)
  }
  if (purposes.includes(ANY)) return
  const needed = TLS_PURPOSES.filter((oid) => leaf.purposes?.includes(oid))
  const allowed = (oid: string) => purposes.includes(oid)
  // A leaf without purposes is for those of its issuers, which then must have one.
  if (needed.length > 0 ? needed.every(allowed) : TLS_PURPOSES.some(allowed)) return
  throw new ProvenanceError(
    'certificate_wrong_usage',
    'extKeyUsage of an issuing certificate does not allow what the leaf is for',
  )
}

/** serverAuth, clientAuth. */
const TLS_PURPOSES = ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']
/** anyExtendedKeyUsage. */
const ANY = '2.5.29.37.0'
