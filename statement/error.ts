/**
 * Why something in COSE or CBOR was refused: the closed list of this folder.
 *
 * Proof arithmetic is `merkle/`'s, and so are its codes: a receipt whose path is too short throws a `MerkleError`.
 *
 * @module
 */
import { EvidenceError } from '../merkle/error.ts'

/** Codes are API: they may be added, never renamed or reused. */
export type StatementErrorCode =
  | 'malformed_cbor' //           not CBOR, not in its one strict form, or not the shape expected at that place
  | 'too_large' //                more bytes, items, levels, receipts or wraps than we are willing to read
  | 'unencodable_value' //        a value that deterministic CBOR of this profile has no form for (floats, undefined, …)
  | 'malformed_key' //            not a JWK or COSE_Key in its one canonical form
  | 'unsupported_key' //          a key type, curve or purpose that we do not use
  | 'weak_key' //                 off the curve, of small order, too short, such that anybody can work it out, or of another public key
  | 'malformed_cose' //           CBOR, and not a COSE_Sign1
  | 'unsupported_algorithm' //    a signature algorithm that we do not accept
  | 'algorithm_mismatch' //       the header names another algorithm than the key has
  | 'unknown_critical_header' //  `crit` names a header that we do not process (RFC 9052 §3.1)
  | 'missing_payload' //          detached, and nobody supplied the content
  | 'bad_signature' //            well formed, and not a signature over this content by this key
  | 'malformed_statement' //      a COSE_Sign1, and not a Signed Statement (RFC 9943 §6)
  | 'malformed_receipt' //        a COSE_Sign1, and not a Receipt (RFC 9942 §5)
  | 'unsupported_vds' //          a receipt over another kind of tree (RFC 9942 §4)
  | 'unbound_receipt' //          a receipt that does not sign its log and tree size: our profile does
  | 'wrong_origin' //             a receipt of another log
  | 'wrong_tree_size' //          the proof is for another tree size than the signature
  | 'root_mismatch' //            a consistency receipt that does not start or end at the root it must
  | 'wrong_key' //                another key than the one the header or the commitment names
  | 'malformed_seal' //           not a sealed-sections structure
  | 'decryption_failed' //        right key, and ciphertext or context that it did not seal
  | 'malformed_padding' //        decrypts, and is not padded in the one permitted way
  | 'malformed_wrap' //           not a JWE of the one permitted kind, or not keys inside
  | 'wrong_recipient' //          a wrap that this private key does not open
  | 'malformed_problem' //        not RFC 9290 problem details

/** Evidence in COSE or CBOR that does not hold up. */
export class StatementError extends EvidenceError<StatementErrorCode> {}

/** Runs `read` and reports a CBOR value of the wrong type under the name of the thing that is malformed by it. */
export function readingAs<T>(code: StatementErrorCode, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof StatementError && error.code === 'malformed_cbor') {
      throw new StatementError(code, error.message, { cause: error })
    }
    throw error
  }
}
