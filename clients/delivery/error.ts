/**
 * Why a delivery was refused, at either end: the closed list of this folder and of `workload/`.
 *
 * @module
 */
import { EvidenceError } from '../../merkle/error.ts'

/** Codes are API: they may be added, never renamed or reused. */
export type DeliveryErrorCode =
  // Files, directories, sockets
  | 'not_private' //           others of this machine may read or change it
  | 'wrong_owner' //           it belongs to somebody else
  | 'wrong_file_type' //       a symbolic link, a device, …: not what belongs there
  | 'no_delivery' //           nothing was delivered there yet
  | 'malformed_delivery' //    not laid out as deliveries are, or too large
  // What was delivered
  | 'key_mismatch' //          the credential is for another key
  | 'bundle_mismatch' //       the bundle is about another credential
  | 'credential_expired' //    no longer, or not yet, valid
  | 'not_verified' //          the trust file does not accept the credential with this bundle
  // The environment
  | 'too_large' //             more than an environment holds
  // The local API
  | 'peer_unknown' //          the system does not say who is at the other end
  | 'malformed_answer' //      not what the local API answers
  | 'refused_by_issuer' //     the issuer's own no: see `reason`

/** What was delivered, or the place for it, is not to be used. */
export class DeliveryError extends EvidenceError<DeliveryErrorCode> {}
