/**
 * Why nothing was issued: the closed list of this folder.
 *
 * @module
 */
import { EvidenceError } from '../../merkle/error.ts'
import type { Hash } from '../../merkle/index.ts'

/** Codes are API: they may be added, never renamed or reused. */
export type IssuerErrorCode =
  // Who asks
  | 'not_authorized' //             this log has not authorized the key as an issuer, or not for now
  | 'wrong_trust_domain' //         the subject is not in the issuer's trust domain
  // What it is decided by
  | 'unknown_policy' //             no issuance policy of that id by this issuer
  // Attestation results
  | 'too_many_results' //           more results than one record may link
  | 'malformed_result' //           not an EAR
  | 'unknown_result' //             a result that its verifier has not logged
  | 'verifier_not_authorized' //    by a key that is no verifier for this trust domain
  | 'verifier_is_issuer' //         the issuer attests its own subject
  | 'bad_result_signature' //       not signed by the verifier that logged it
  | 'expired_result' //             no longer, or not yet, valid
  | 'result_record_mismatch' //     the record says something else than the result
  | 'key_not_attested' //           a result attests another key than the workload's
  | 'not_attested' //             a confidential workload without results
  | 'reason_missing' //           no results, and no word of why
  // Workload provenance
  | 'unknown_provenance' //         the entry given is not a workload-provenance record on this log
  | 'two_provenances' //            an entry and files for another record: which of them is it?
  | 'subject_unknown' //            nothing to hold what the files are about against
  | 'subject_mismatch' //           an attestation or report about something else than the workload
  | 'provenance_sealed' //          it is sealed, and not for a key that was given
  // Attestations that certificates sign, by the roots that were given
  | 'malformed_roots' //            not Sigstore's trusted_root.json, or without a CA or without a log of certificates
  | 'unexpected_signer' //          a certificate of somebody else, or by the word of another OpenID provider
  | 'untrusted_certificate' //      no CA and certificate log of the roots stand for it, or it is not for signing
  | 'certificate_not_valid' //      signed before or after the certificate's validity
  | 'attestation_not_logged' //     nothing along with it that shows that it is on a log, and when it was signed
  | 'log_entry_mismatch' //         a log entry about another envelope or certificate
  | 'bad_log_entry' //              no log of the roots stands for the entry
  | 'bad_timestamp' //              no authority of the roots stands for the time
  // The decision and the credential
  | 'issuance_denied' //            the issuance policy says no; the refusal is on the log
  | 'lifetime_too_long' //          longer than the issuer or its anchor may issue for
  | 'anchor_required' //            a certificate needs the anchor to issue under
  | 'anchor_mismatch' //            the anchor is for another key or trust domain
  | 'anchor_expired' //             the anchor is not valid now
  | 'unsupported_key' //            a key that cannot be certified
  | 'self_check_failed' //          the log has the record, and the credential would not verify: it is withheld
  // Status
  | 'unknown_credential' //         no credential of that digest by this issuer on this log
  | 'claims_changed' //           migrated to where it is another workload, or attested worse
  // Gateways
  | 'internal_refused' //         the credential of the workload inside does not verify
  | 'illegal_status' //             a revoked credential stays revoked

/** Something this issuer was given, or asked for, does not hold. */
export class IssuerError extends EvidenceError<IssuerErrorCode> {}

/** The issuance policy said no. The refusal itself is on the log. */
export class IssuanceDenied extends IssuerError {
  /** Ids of the policies that decided; empty when no policy permitted it. */
  readonly reasons: readonly string[]
  /** The `issuance-denied` record. */
  readonly entry: Hash
  readonly index: number

  constructor(message: string, denial: { reasons: readonly string[]; entry: Hash; index: number }) {
    super('issuance_denied', message)
    this.reasons = denial.reasons
    this.entry = denial.entry
    this.index = denial.index
  }
}
