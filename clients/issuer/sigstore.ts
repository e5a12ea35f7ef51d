/**
 * Attestations that a short-lived certificate signed, verified by roots of trust from outside: Sigstore's `trusted_root.json`.
 *
 *     the certificate    says who; valid for minutes; by a CA of the roots, and on a certificate log of the roots (SCT)
 *     the log entry      says that this certificate signed this envelope; by a transparency log of the roots
 *     the time           of that entry where the log promised it, or of a timestamp authority of the roots
 *
 * A log entry is what lets the one who is named find out that somebody signed in his name. So where the roots name a transparency log, a
 * timestamp does not stand in for an entry; it does where they name none.
 *
 * @module
 */
import {
  type Certificate,
  type CertifiedEnvelope,
  type CertifiedVerifier,
  parseCertificate,
  type SignerIdentity,
  signerIdentity,
} from '../../provenance/index.ts'
import { IssuerError } from './error.ts'
import type { Roots } from './sigstore-library.ts'

/** By whom attestations with certificates must be signed, and who vouches for those certificates. */
export interface AttestationRoots {
  /** `trusted_root.json`, exact bytes. */
  readonly roots: Uint8Array
  /** Anybody easily has a certificate, so one says nothing unless it is this one's. */
  readonly identity: SignerIdentity
}

/**
 * @returns what verifies one attestation. It throws {@link IssuerError} `unexpected_signer`, `untrusted_certificate`,
 *   `certificate_not_valid`, `attestation_not_logged`, `log_entry_mismatch`, `bad_log_entry`, `bad_timestamp`; ProvenanceError
 *   `malformed_attestation`, `bad_signature`
 * @throws {@link IssuerError} `malformed_roots`
 */
export async function certifiedVerifier({ roots, identity }: AttestationRoots): Promise<CertifiedVerifier> {
  // It takes 50 ms to load, for which most commands have no use.
  const library = await import('./sigstore-library.ts')
  const material = library.readRoots(roots)
  return (certified) => {
    const leaf = library.unlessMalformed(() => parseCertificate(certified.certificate))
    const named = library.unlessMalformed(() => signerIdentity(leaf))
    checkSigner(named, identity)
    checkPurpose(leaf)
    checkLogged(certified, material)
    library.verifyCertified(certified, leaf, material)
    return identity
  }
}

/** By whole names: a pattern that fits one repository fits another whose name goes on. */
function checkSigner(found: SignerIdentity | undefined, expected: SignerIdentity): void {
  if (!found) throw new IssuerError('unexpected_signer', 'a certificate that does not name one signer and his provider')
  if (found.subject === expected.subject && found.issuer === expected.issuer) return
  const said = [found.subject, found.issuer].map((text) => JSON.stringify(text.slice(0, 256)))
  throw new IssuerError('unexpected_signer', `signed by ${said[0]} on the word of ${said[1]}`)
}

const CODE_SIGNING = '1.3.6.1.5.5.7.3.3'

/** A CA may have certificates under it that are for other things: nobody meant those as a builder's. */
function checkPurpose({ basicConstraints, keyUsage, purposes, unprocessed }: Certificate): void {
  const forSigning = keyUsage?.has('digitalSignature') && purposes?.includes(CODE_SIGNING)
  if (basicConstraints?.ca || !forSigning) throw new IssuerError('untrusted_certificate', 'not for signing code')
  if (unprocessed.length > 0) throw new IssuerError('untrusted_certificate', `a critical extension ${unprocessed[0]}`)
}

function checkLogged({ entries, timestamps }: CertifiedEnvelope, { material }: Roots): void {
  if (entries.length > 0 || (timestamps.length > 0 && material.tlogs.length === 0)) return
  throw new IssuerError('attestation_not_logged', 'no log entry came with it')
}
