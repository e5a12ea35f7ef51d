/**
 * Why evidence, a policy or reference values were refused: the closed list of this folder.
 *
 * @module
 */
import { EvidenceError } from '../../merkle/error.ts'

/** Codes are API: they may be added, never renamed or reused. */
export type VerifierErrorCode =
  // Measuring
  | 'nothing_to_measure' //        a directory without files
  | 'link_leaves_directory' //     a symbolic link to something that is not measured
  | 'unmeasurable_file' //         a socket, a device, a name that is not UTF-8, a file that changed while it was read
  | 'too_many_files' //            more files, bytes or nesting than the limits allow
  // Evidence that supports no result at all, good or bad
  | 'unknown_evidence_format' //   a format that this version does not read
  | 'malformed_evidence' //        bytes that are not evidence of the format
  | 'bad_evidence_signature' //    not signed by the attester that it names
  | 'measurement_mismatch' //      its digest is not the digest of its own file list
  | 'evidence_from_future' //      made later than now
  | 'stale_evidence' //            older than the policy allows
  | 'wrong_nonce' //               made for another challenge, or for none
  | 'untrusted_root' //            its certificates end at a root that is not pinned
  | 'bad_certificate_chain' //     a certificate was not issued by the next one, or might not issue
  | 'key_not_bound' //             not about the workload key that was given
  | 'workload_key_missing' //      the challenge is under one digest with a key that was not given
  // Collateral
  | 'malformed_collateral' //      not certificates, revocation lists or documents that the format knows
  | 'missing_collateral' //        no certificate was given that the evidence can be verified with
  | 'wrong_collateral' //          certificates or documents of another platform, or not signed by whom they should be
  // Policies and reference values
  | 'malformed_policy' //          not an appraisal policy; the message gives the path
  | 'lenient_policy' //            would let a failed check pass unnoticed
  | 'unsupported_claim' //         makes a claim that evidence of its format cannot support
  | 'malformed_reference_values' // not reference values; the message gives the path
  | 'wrong_format' //              policy, reference values and evidence are of different formats
  // What the log has
  | 'not_authorized' //            the log has not authorized the key as a verifier
  | 'unknown_policy' //            no appraisal policy of that id by this verifier
  | 'ambiguous_policy' //          no id given, and more than one policy that it could be
  | 'unknown_reference_values' //  the policy names reference values that this verifier has not published

/** Something this verifier was given does not hold. */
export class VerifierError extends EvidenceError<VerifierErrorCode> {}

/** What `read` gives; whatever it throws instead is `malformed_evidence`, with its message. */
export function readingEvidence<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw malformedEvidence(cause instanceof Error ? cause.message : String(cause), cause)
  }
}

export function malformedEvidence(why: string, cause?: unknown): VerifierError {
  return new VerifierError('malformed_evidence', why, { cause })
}

export function malformedCollateral(why: string, cause?: unknown): VerifierError {
  return new VerifierError('malformed_collateral', why, { cause })
}
