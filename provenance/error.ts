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
  | 'token_in_clear' //              a token, or a private key, where everybody can read it
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
  | 'link_erased' //                 links to a statement that was erased: nobody can say any more what it was
  | 'not_erasable' //                erases what the log must keep: who may write, and what was erased
  | 'link_not_own' //                a relation that is only for records of the same party
  | 'wrong_authorization' //         links to another key-authorization than the one it is signed under
  | 'reason_missing' //              a credential issued on no attestation, which does not say why
  | 'issued_in_future' //            issued later than now
  | 'issuer_is_verifier' //          the Credential Issuer attests its own subject
  | 'lifetime_too_long' //           a credential that lives longer than its issuer may make it
  | 'key_retracted' //               signed by a key that was withdrawn
  | 'link_retracted' //              rests on a policy, reference values or a Verifier's key that were withdrawn
  | 'not_retractable' //             withdraws something that nobody relies on twice
  | 'already_retracted' //           withdrawn before, and no later than this
  | 'intent_mismatch' //             not the credential that was announced, or on other grounds
  | 'illegal_status' //              a status that cannot follow what the credential has, or with what it cannot have
  | 'status_mismatch' //             changes the status of another credential than the record it links to
  | 'audit_out_of_range' //          reports on entries that were not on this log yet, or on none
  | 'wrap_required' //               sealed, and not for a recipient that this log requires
  | 'unsupported_content_type' //    a statement about something that this log does not register
  | 'certificate_missing' //         names a certificate by x5t, and does not come with it
  // Reading a bundle
  | 'malformed_bundle' //            not a bundle
  | 'damaged_bundle' //              a bundle whose sum is of other content
  // Texts and encodings
  | 'malformed_json' //              not JSON, or with duplicate members, floats where integers belong, lone surrogates
  | 'malformed_identifier' //        not a workload identifier or trust domain name in its one spelling
  | 'malformed_der' //               not DER: another encoding of the same value would be shorter or canonical
  | 'malformed_jws' //               not a compact JWS
  | 'malformed_sbom' //              not a software bill of materials of a kind that we read
  | 'unsupported_sbom' //            a bill of materials in a format or version that we do not read
  | 'malformed_purl' //              not a package URL
  | 'malformed_attestation' //       not an in-toto Statement, DSSE envelope or Sigstore bundle, or with a predicate that says two things
  | 'malformed_compliance' //        not a list of compliance results
  | 'malformed_trust' //             TRUST.json is not what it must be; the message gives the path
  // Credentials
  | 'malformed_credential' //        neither a WIT nor an X.509 workload certificate
  | 'unsupported_algorithm' //       a signature algorithm that we do not take: MACs, none, SHA-1, other curves
  | 'unsupported_key' //             a kind of key that we do not take
  | 'bad_signature' //               well formed, and not signed by the key that should have
  | 'unknown_trust_domain' //        nobody configured anchors for this trust domain
  | 'unknown_anchor' //              no anchor of that trust domain has the named key or issued the certificate
  | 'credential_expired' //          at or past its end
  | 'credential_not_yet_valid' //    before its beginning
  | 'certificate_not_ca' //          issued by a certificate that may not issue
  | 'certificate_is_ca' //           a workload certificate that may issue others
  | 'certificate_path_too_long' //   more certificates than a pathLenConstraint, or we, allow
  | 'certificate_wrong_usage' //     keyUsage or extKeyUsage are for something else
  | 'name_not_permitted' //          a name outside of the name constraints of an issuing certificate
  | 'unknown_critical_extension' //  a critical extension that we do not process
  | 'identifier_missing' //          a certificate without a URI name, whatever its subject says
  | 'identifier_ambiguous' //        a certificate with several URI names
  | 'server_name_mismatch' //        a server's certificate without the name that was connected to
  // Revocation lists
  | 'malformed_crl' //               not a certificate revocation list, or one that names no end
  | 'crl_missing' //                 no list by the issuer of a certificate, where lists are demanded
  | 'crl_bad_signature' //           a list that the issuer whom it names did not sign
  | 'crl_wrong_usage' //             a list by an issuer whose keyUsage lacks cRLSign
  | 'crl_unsupported' //             a list with a critical extension: partial, indirect, or of another kind
  | 'crl_not_yet_valid' //           a list from a time that has not come
  | 'crl_expired' //                 a list whose successor is overdue
  | 'certificate_revoked' //         on the list of its issuer
  // Attestation results
  | 'malformed_result' //            not an EAR
  | 'unsupported_profile' //         an EAT of another profile
  | 'inconsistent_result' //         a status better than its own trustworthiness claims
  // Whether a credential's story holds
  | 'untrusted_log' //               a log that TRUST.json does not list, or under another key
  | 'untrusted_issuer' //            a Credential Issuer that TRUST.json does not list
  | 'untrusted_verifier' //          a Verifier that TRUST.json does not list
  | 'checkpoint_too_old' //          the tree was signed longer ago than TRUST.json allows
  | 'checkpoint_rollback' //         fewer leaves than were seen before
  | 'missing_receipt' //             a statement without a receipt of the bundle's log
  | 'unexpected_record' //           a record that has no place in this bundle, or not this often
  | 'credential_mismatch' //         the record is about another credential, or says something else about this one
  | 'audience_mismatch' //           a credential that is meant for other trust domains
  | 'not_attested' //                no attestation result, where one is demanded
  | 'tier_too_low' //                an attestation result worse than TRUST.json demands
  | 'result_not_current' //          an attestation result from after the issuance, or expired at it
  | 'policy_not_in_force' //         decided by a policy before it began or after it ended
  | 'grounds_retracted' //           issued on something that was withdrawn before, or since where TRUST.json is strict
  | 'credential_revoked' //          by its issuer, effective at the moment asked about
  | 'credential_suspended' //        by its issuer, and not reinstated
  | 'chain_broken' //                credentials that are not shown one in the place of the next
  | 'section_mismatch' //            a sealed section contradicts the clear part or the credential
  | 'decision_mismatch' //           the issuance decision does not follow from the policy and the evidence
  // Issuance policies
  | 'invalid_policy' //              not Cedar, or not valid against the issuance schema
  | 'invalid_policy_context' //      a request that the schema does not describe
  // Proof of possession
  | 'malformed_message' //           a request or response that is not HTTP, or too long to be one
  | 'malformed_structured_field' //  not a dictionary of RFC 9651, or one that can be read in two ways
  | 'duplicate_field' //             a credential, a proof, or what it covers, in two header fields
  | 'credential_missing' //          a request without a credential
  | 'credential_as_bearer' //        a WIT where bearer tokens are
  | 'proof_missing' //               a WIT and nothing that proves possession of its key
  | 'wrong_proof_key' //             a proof would be made with another key than the credential names
  | 'malformed_proof_token' //       not a WPT
  | 'algorithm_mismatch' //          a WPT by another algorithm than its WIT says
  | 'wrong_audience' //              a proof for another recipient
  | 'proof_expired' //               a proof that has ended
  | 'proof_not_yet_valid' //         a proof from a time that has not come
  | 'proof_lifetime_too_long' //     a proof that lasts longer than proofs may
  | 'proof_replayed' //              a proof that was used before
  | 'token_binding_mismatch' //      a WPT made for a request with other tokens
  | 'unknown_bound_token' //         a WPT that binds something which the recipient does not know
  | 'signature_not_found' //         no HTTP message signature, or none with the label to look for
  | 'malformed_signature_input' //   a signature with parameters or components that the WIMSE profile does not allow
  | 'component_not_covered' //       a signature over less of the message than it must cover
  | 'content_digest_missing' //      content without a digest that would bind it
  | 'content_digest_mismatch' //     other content than was signed
  | 'response_unsigned' //           a response without the signature that was demanded
  | 'response_mismatch' //           a response to another request
  | 'unexpected_peer' //             answered by another workload than was asked
  | 'wrong_proof_way' //             possession proven in another way than the provenance record demands
  | 'peer_certificate_mismatch' //   a connection made with another certificate than the credential
  | 'malformed_decision' //          not a decision record of a relying party

/** Evidence about a credential that does not hold up. */
export class ProvenanceError extends EvidenceError<ProvenanceErrorCode> {}
