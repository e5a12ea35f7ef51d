/**
 * The three ways a thing can go wrong, kept apart because callers must treat them differently.
 *
 * - {@link EvidenceError}: somebody sent something that does not hold. Report it, never retry it.
 * - {@link UnavailableError}: we could not find out. May be retried unchanged.
 * - {@link assert}: our own arithmetic is wrong. A plain `Error`; nobody catches it.
 *
 * @module
 */

/**
 * Evidence from outside that does not hold up.
 *
 * `code` is API: codes are added, never renamed or reused; messages are free to improve.
 * Each layer narrows `Code` to its own closed list ({@link MerkleError} is the one of this folder).
 */
export class EvidenceError<Code extends string = string> extends Error {
  override readonly name: string = 'EvidenceError'
  readonly code: Code

  constructor(code: Code, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** Why the tree, a note or a checkpoint was refused. */
export type MerkleErrorCode =
  | 'malformed_encoding' //      hex or base64 that is not canonical, or bytes of the wrong length
  | 'malformed_tile_path' //     text is not a c2sp.org/tlog-tiles path
  | 'malformed_entry_bundle' //  lengths and bytes of an entry bundle disagree
  | 'malformed_note' //          bytes are not a c2sp.org/signed-note
  | 'malformed_vkey' //          text is not a verifier key
  | 'malformed_checkpoint' //    the note's text is not a c2sp.org/tlog-checkpoint
  | 'malformed_proof' //         text is not a c2sp.org/tlog-proof
  | 'malformed_policy' //        text is not a c2sp.org/tlog-policy
  | 'unsupported_key' //         a key type or a weak key that this code does not accept
  | 'unknown_signer' //          no signature by any key we trust
  | 'bad_signature' //           a signature by a key we trust does not verify
  | 'wrong_origin' //            a checkpoint of another log
  | 'quorum_not_met' //          too few witnesses of the policy cosigned
  | 'index_out_of_range' //      leaf index ≥ tree size, or size past 2⁵³ − 1
  | 'proof_wrong_length' //      path has too many or too few hashes
  | 'root_mismatch' //           path is well formed and leads to another root
  | 'tile_mismatch' //           a tile's hashes do not lead to the root they should

export class MerkleError extends EvidenceError<MerkleErrorCode> {}

/** What we asked for could not be had: no answer, a time-out, a 5xx. The same call may succeed later. */
export class UnavailableError extends Error {
  override readonly name = 'UnavailableError'
  /** Seconds after which the peer asked us to come back, when it said so. */
  readonly retryAfter: number | undefined

  constructor(message: string, options?: ErrorOptions & { retryAfter?: number }) {
    super(message, options)
    this.retryAfter = options?.retryAfter
  }
}

/** Ends the current operation when an invariant of ours is broken. `node:assert` is not for browsers. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${message}`)
}
