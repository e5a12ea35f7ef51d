/**
 * The anchors of one trust domain, as a file: a SPIFFE bundle, or the certificates of its authorities in PEM.
 *
 * PEM is what certificate authorities other than SPIRE hand out. It has no sequence and no keys for tokens, so whoever rotates
 * anchors without watching should have a bundle.
 *
 * @module
 */
import { fromUtf8 } from '../../merkle/bytes.ts'
import { EvidenceError } from '../../merkle/error.ts'
import { decodePem, parseCertificate } from '../certificates/certificate.ts'
import { checkAnchorsWhole } from '../certificates/certificate-path.ts'
import type { TrustDomainAnchors } from '../credential.ts'
import { ProvenanceError } from '../error.ts'
import { parseJson } from '../json.ts'
import { parseBundle } from './trust.ts'

/** Hundreds of anchors. */
export const MAX_TRUST_BUNDLE_BYTES = 1024 * 1024

/**
 * Reads the bundle of `trustDomain`. Neither form names its trust domain: whoever hands over the file says whose it is.
 *
 * @throws {@link ProvenanceError} `malformed_trust`, also for an anchor that is damaged
 */
export async function readTrustBundle(file: Uint8Array, trustDomain: string): Promise<TrustDomainAnchors> {
  if (file.length > MAX_TRUST_BUNDLE_BYTES) throw refuse(`more than ${MAX_TRUST_BUNDLE_BYTES} bytes`)
  let anchors: TrustDomainAnchors
  try {
    const text = fromUtf8(file)
    anchors = text.includes('-----BEGIN ') ? anchorsOfPem(text, trustDomain) : parseBundle(parseJson(text), trustDomain)
  } catch (cause) {
    if (!(cause instanceof EvidenceError) || cause.code === 'malformed_trust') throw cause
    throw refuse(cause.message, cause)
  }
  await checkAnchorsWhole(anchors.certificates)
  return anchors
}

/** As of a bundle, one with a kind of key that nothing can be verified with is left out. */
function anchorsOfPem(text: string, trustDomain: string): TrustDomainAnchors {
  const certificates = decodePem(text).map(parseCertificate)
  return { trustDomain, tokenKeys: new Map(), certificates: certificates.filter(({ publicJwk }) => publicJwk) }
}

function refuse(why: string, cause?: unknown): ProvenanceError {
  return new ProvenanceError('malformed_trust', `the bundle of a trust domain: ${why}`, { cause })
}
