/**
 * Why a record, a credential or a bundle was refused: the closed list of this folder.
 *
 * @module
 */
import { EvidenceError } from '../merkle/error.ts'

/** Codes are API: they may be added, never renamed or reused. */
export type ProvenanceErrorCode =
  // Reading a record
  | 'malformed_record' //            not a record of the type its header names; the message gives the path
  | 'unknown_record_type' //         a record, of a type that this version does not know
  | 'duplicate_link' //              one (rel, entry) pair twice
  | 'section_missing' //             a section that records of this type must seal
  | 'token_in_clear' //              something shaped like a JWT where everybody can read it
  // Whether a record may be on this log
  | 'unknown_key' //                 signed by a key that this log has authorized for nothing
  | 'role_not_authorized' //         signed by a key that is authorized for something else
  | 'outside_key_validity' //        signed before or after the key's validity
  | 'issuer_mismatch' //             `iss` is not the party whose key it is
  | 'trust_domain_mismatch' //       an identifier outside of the trust domain that it is authorized for
  | 'wrong_origin' //                a policy of another log
  | 'not_a_successor' //             does not follow the version in force
  | 'link_missing' //                fewer links of a kind than the type needs
  | 'link_too_many' //               more links of a kind than the type allows
  | 'link_dangling' //               links to something that is not on this log
  | 'link_wrong_type' //             links to a record of another type than the relation is for
  | 'link_later_than_record' //      links to something that came after it
  | 'link_not_own' //                a relation that is only for records of the same party
  | 'wrong_authorization' //         links to another key-authorization than the one it is signed under
  | 'issued_in_future' //            issued later than now
  | 'issuer_is_verifier' //          the Credential Issuer attests its own subject
  | 'lifetime_too_long' //           a credential that lives longer than its issuer may make it
  | 'status_mismatch' //             changes the status of another credential than the record it links to
  | 'wrap_required' //               sealed, and not for a recipient that this log requires
  // Reading a bundle
  | 'malformed_bundle' //            not a bundle

/** Evidence about a credential that does not hold up. */
export class ProvenanceError extends EvidenceError<ProvenanceErrorCode> {}
