/**
 * Why an auditor's own files, or what was asked of them, were refused.
 *
 * @module
 */
import { EvidenceError } from '../../merkle/error.ts'

/** Codes are API: they may be added, never renamed or reused. */
export type AuditErrorCode =
  | 'no_audit' //             nothing was audited in this directory yet
  | 'unfinished_audit' //     the last audit in this directory did not come to its end
  | 'other_log' //            the directory holds the audit of another log
  | 'damaged_audit' //        the database is not one that an audit left, or not of one tree: delete it and audit from the start
  | 'other_version' //        a database of another version of this program: audit again
  | 'unknown_question' //     no question has that name
  | 'bad_argument' //         a question was asked with an argument that it does not take, or without one that it needs
  | 'refused_sql' //          not one SELECT, or not one that the database understands
  | 'malformed_ledger' //     not a table of digests or serial numbers
  | 'serials_unknown' //      serial numbers are sealed, and the audit ran without a key that opens them
  | 'malformed_answer_file' // not what an auditor wrote with an answer
  | 'untrusted_answer' //     an answer from a log that nobody told us to trust, or about statements that nobody was authorized to make
  | 'answer_too_large' //     more rows than are proven at once
  | 'not_authorized' //       the log has not authorized the key as that of an auditor
  | 'behind_report' //        the auditor reported on more entries than this audit has seen
  | 'output_exists' //        the directory for proofs is there already, or is no directory of ours

/** What an auditor was given does not hold. */
export class AuditError extends EvidenceError<AuditErrorCode> {}
