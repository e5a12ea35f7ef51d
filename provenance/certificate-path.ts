/**
 * From a workload certificate to an anchor of its trust domain (RFC 5280 §6, X509-SVID §4 and §5, workload-creds §6).
 *
 *   anchor ──issues──▶ intermediate (at most 3) ──issues──▶ workload certificate, one URI name
 *
 * Only anchors of that one trust domain are given: a certificate of another domain's CA is as unknown as a forged one. The
 * search tries every supplied certificate as an issuer, so their order does not matter, and each link is checked where it is
 * made. What is not processed is refused: critical extensions, name constraints, algorithms other than ES256 and Ed25519.
 *
 * @module
 */
import { importVerificationKey } from '#signature'
import { equalBytes } from '../merkle/bytes.ts'
import type { Certificate } from './certificate.ts'
import { ProvenanceError } from './error.ts'
import { parseWorkloadIdentifier, type WorkloadIdentifier } from './identifier.ts'

/** Certificates between the anchor and the workload's. */
export const MAX_INTERMEDIATES = 3

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
 * @returns the certificates from the leaf's issuer up to the anchor
 * @throws {@link ProvenanceError} `credential_expired`, `credential_not_yet_valid`, `certificate_is_ca`, `certificate_not_ca`,
 *   `certificate_wrong_usage`, `certificate_path_too_long`, `unknown_critical_extension`, `unsupported_algorithm`,
 *   `unsupported_key`, `bad_signature`, `trust_domain_mismatch`, `unknown_anchor`
 */
export async function checkCertificatePath(
  leaf: Certificate,
  intermediates: readonly Certificate[],
  anchors: readonly Certificate[],
  at: number,
): Promise<readonly Certificate[]> {
  const subject = subjectOfCertificate(leaf)
  if (intermediates.length > MAX_INTERMEDIATES) {
    throw new ProvenanceError('certificate_path_too_long', `more than ${MAX_INTERMEDIATES} intermediate certificates`)
  }
  checkLeaf(leaf, subject)
  checkValidity(leaf, at)
  return findPath(leaf, intermediates, { anchors, at, trustDomain: subject.trustDomain, below: 0 })
}

function checkLeaf(leaf: Certificate, subject: WorkloadIdentifier): void {
  checkProcessed(leaf)
  if (leaf.basicConstraints?.ca) throw new ProvenanceError('certificate_is_ca', 'the workload certificate has CA:TRUE')
  if (leaf.keyUsage?.has('keyCertSign') || leaf.keyUsage?.has('cRLSign')) {
    throw new ProvenanceError('certificate_is_ca', 'the workload certificate may sign certificates or CRLs')
  }
  // X509-SVID §4.3 demands keyUsage; WIMSE leaves it to RFC 5280, where absence means no restriction.
  const mayAuthenticate = leaf.keyUsage?.has('digitalSignature') ?? subject.scheme === 'wimse'
  if (!mayAuthenticate) throw new ProvenanceError('certificate_wrong_usage', 'keyUsage lacks digitalSignature')
  checkPurposes(leaf)
  // RFC 5280 §4.1.2.6: with an empty subject the alternative name is the only name, and must be critical.
  if (leaf.subject.length === 2 && !leaf.criticalAltName) {
    throw new ProvenanceError('malformed_credential', 'certificate: an empty subject, and no critical alternative name')
  }
}

interface Search {
  readonly anchors: readonly Certificate[]
  readonly at: number
  readonly trustDomain: string
  /** How many intermediates stand between this certificate and the leaf, this one included: what pathLen counts. */
  readonly below: number
}

/** Depth first, at most 3 levels; of several reasons why nothing led to an anchor, the first that was about a matching issuer. */
async function findPath(
  child: Certificate,
  intermediates: readonly Certificate[],
  search: Search,
): Promise<readonly Certificate[]> {
  let reason: ProvenanceError | undefined
  for (const anchor of search.anchors.filter((candidate) => namesIssuerOf(candidate, child))) {
    try {
      await checkIssued(anchor, child, search)
      return [anchor]
    } catch (error) {
      if (!(error instanceof ProvenanceError)) throw error
      reason ??= error
    }
  }
  for (const issuer of intermediates.filter((candidate) => namesIssuerOf(candidate, child))) {
    try {
      await checkIssued(issuer, child, search)
      const rest = intermediates.filter((other) => other !== issuer)
      return [issuer, ...(await findPath(issuer, rest, { ...search, below: search.below + 1 }))]
    } catch (error) {
      if (!(error instanceof ProvenanceError)) throw error
      reason ??= error
    }
  }
  throw reason ?? new ProvenanceError('unknown_anchor', 'no anchor of this trust domain issued the certificate')
}

/** Whether `issuer` is by name the certificate that `child` says it was issued under. */
function namesIssuerOf(issuer: Certificate, child: Certificate): boolean {
  if (!equalBytes(issuer.subject, child.issuer)) return false
  const { authorityKeyId } = child
  return authorityKeyId === undefined || issuer.subjectKeyId === undefined || authorityKeyId === issuer.subjectKeyId
}

async function checkIssued(issuer: Certificate, child: Certificate, { at, below, trustDomain }: Search): Promise<void> {
  checkProcessed(issuer)
  checkValidity(issuer, at)
  // X509-SVID §4.3 and RFC 5280 §6.1.4 (k), (n): both, and also on the anchor, where RFC 5280 would not look.
  if (!issuer.basicConstraints?.ca) throw new ProvenanceError('certificate_not_ca', 'the issuer lacks CA:TRUE')
  if (!issuer.keyUsage?.has('keyCertSign'))
    throw new ProvenanceError('certificate_not_ca', 'the issuer lacks keyCertSign')
  checkPurposes(issuer)
  if ((issuer.basicConstraints.pathLength ?? MAX_INTERMEDIATES) < below) {
    throw new ProvenanceError(
      'certificate_path_too_long',
      `${below} intermediates below a certificate that allows fewer`,
    )
  }
  checkSigningIdentity(issuer, trustDomain)

  if (!child.algorithm) throw new ProvenanceError('unsupported_algorithm', 'a certificate signature of another kind')
  if (!issuer.publicJwk) throw new ProvenanceError('unsupported_key', 'an issuing key outside of P-256 and Ed25519')
  const key = await importVerificationKey(issuer.publicJwk)
  if (key.algorithm !== child.algorithm || !(await key.verify(child.tbs, child.signature))) {
    throw new ProvenanceError('bad_signature', 'the certificate is not signed by the issuer that it names')
  }
}

/**
 * Checks that each self-issued anchor carries its own signature. It proves nothing about whose anchor it is, which only the
 * trust file knows; it shows a trust file that was damaged since it was written.
 *
 * @throws {@link ProvenanceError} `malformed_trust`
 */
export async function checkAnchorsWhole(anchors: readonly Certificate[]): Promise<void> {
  for (const { subject, issuer, publicJwk, algorithm, tbs, signature } of anchors) {
    if (!equalBytes(subject, issuer) || !publicJwk || !algorithm) continue
    const key = await importVerificationKey(publicJwk)
    if (key.algorithm === algorithm && (await key.verify(tbs, signature))) continue
    throw new ProvenanceError(
      'malformed_trust',
      'a self-issued anchor in the trust file does not carry its own signature',
    )
  }
}

/** X509-SVID §4.1: a signing certificate that names a SPIFFE ID names its own trust domain, without a path. */
function checkSigningIdentity({ uris }: Certificate, trustDomain: string): void {
  for (const uri of uris) {
    if (/^(spiffe|wimse):/.test(uri) && uri.replace(/^[a-z]+:\/\//, '') !== trustDomain) {
      throw new ProvenanceError('trust_domain_mismatch', `an issuing certificate for ${JSON.stringify(uri)}`)
    }
  }
}

function checkValidity({ notBefore, notAfter }: Certificate, at: number): void {
  if (at < notBefore) throw new ProvenanceError('credential_not_yet_valid', 'a certificate that is not valid yet')
  if (at > notAfter) throw new ProvenanceError('credential_expired', 'a certificate that is not valid any more')
}

function checkProcessed({ unprocessed }: Certificate): void {
  if (unprocessed.length > 0) throw new ProvenanceError('unknown_critical_extension', unprocessed.join(', '))
}

/** Where extKeyUsage is there at all, on any level, it must allow one side of TLS (mutual-tls §3.2). */
function checkPurposes({ purposes }: Certificate): void {
  if (purposes && !purposes.some((oid) => TLS_PURPOSES.includes(oid))) {
    throw new ProvenanceError('certificate_wrong_usage', 'extKeyUsage allows neither serverAuth nor clientAuth')
  }
}

/** serverAuth, clientAuth, anyExtendedKeyUsage. */
const TLS_PURPOSES = ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2', '2.5.29.37.0']
