/**
 * Workload certificates (X509-SVID §4 and §5, workload-creds §6): one URI name, a workload identifier, vouched for by an anchor of
 * its trust domain. Only anchors of that one trust domain are given: a certificate of another domain's CA is as unknown as a
 * forged one.
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
    checkPurposes,
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

/** Where extKeyUsage is there at all, on any level, it must allow one side of TLS (mutual-tls §3.2). */
function checkPurposes({ purposes }: Certificate): void {
  if (purposes && !purposes.some((oid) => TLS_PURPOSES.includes(oid))) {
    throw new ProvenanceError('certificate_wrong_usage', 'extKeyUsage allows neither serverAuth nor clientAuth')
  }
}

/** serverAuth, clientAuth, anyExtendedKeyUsage. */
const TLS_PURPOSES = ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2', '2.5.29.37.0']
