/**
 * What a log's answer can be besides the answer: a refusal, or proof that the log misbehaved.
 *
 * A log that could not be reached is neither: that is an `UnavailableError`, and may be retried.
 *
 * @module
 */
import { EvidenceError } from '../../merkle/error.ts'

/**
 * The log understood the request and turned it down (any 4xx). Not a claim that it did wrong, and not worth retrying unchanged.
 *
 * `code` is the log's own stable word for the reason (`log-server/problem.ts`), or `http_<status>` from a server that gives none.
 */
export class RefusedError extends Error {
  override readonly name = 'RefusedError'
  /** HTTP status, 400 to 499. */
  readonly status: number
  readonly code: string
  readonly title: string
  readonly detail: string

  constructor(problem: { status: number; code: string; title: string; detail: string }) {
    super(problem.detail === '' ? problem.title : `${problem.title}: ${problem.detail}`)
    this.status = problem.status
    this.code = problem.code
    this.title = problem.title
    this.detail = problem.detail
  }

  /** That we may not ask is no claim about what there is to be asked for, and no evidence against the log. */
  get isAboutUs(): boolean {
    return this.status === 403
  }
}

/** Why an answer, or the address to ask at, was not usable. Codes are API: they may be added, never renamed or reused. */
export type AnswerErrorCode =
  | 'malformed_url' //        not an http or https URL that paths can be appended to
  | 'insecure_url' //         http, and not to this machine
  | 'untrusted_certificate' // TLS with somebody who is not shown to be the log's host
  | 'unusable_certificate' // our own certificate or its key cannot be read, or they do not belong together
  | 'certificate_refused' //   the log's server ended the handshake: it takes no such certificate of ours, or demands one
  | 'answer_too_large' //     more bytes than an answer of this kind may have
  | 'malformed_answer' //     a status, a redirect or a body that this path never has
  | 'unknown_receipt_key' //  a receipt by a key that the log's policy does not name
  | 'wrong_record' //         another record than the one that was asked for
  | 'not_authorized' //       a record whose signer the log admin never authorized
  | 'untrusted_log' //        a log that nobody told us to believe

/** An answer that is no evidence of anything: perhaps not from a log at all. */
export class AnswerError extends EvidenceError<AnswerErrorCode> {}

/** How a log was caught. Codes are API: they may be added, never renamed or reused. */
export type MisbehaviourCode =
  | 'checkpoint_fork' //        two signed tree heads that no one append-only log can have both signed
  | 'checkpoint_rollback' //    a signed checkpoint of fewer entries than one signed before
  | 'entry_mismatch' //         entries, statements or tiles that do not lead to the signed root
  | 'not_included' //           an answer that the signed tree does not contain at the place it names
  | 'wrong_signer' //           a checkpoint by a key that the log's own policy, in that tree, no longer names
  | 'not_served' //             the log refuses to show what its checkpoint says it has

export const MISBEHAVIOUR_CODES: readonly MisbehaviourCode[] = [
  'checkpoint_fork',
  'checkpoint_rollback',
  'entry_mismatch',
  'not_included',
  'wrong_signer',
  'not_served',
]

/**
 * The log sent something that contradicts what it signed. Carries what a third party needs to see the same, as text:
 * the CLI writes it to a file and exits with 5.
 */
export class MisbehaviourError extends EvidenceError<MisbehaviourCode> {
  /** Name → text: `before` and `after` are signed notes; `url`, `expected`, `got` say where to look. */
  readonly evidence: Readonly<Record<string, string>>

  constructor(
    code: MisbehaviourCode,
    message: string,
    evidence: Readonly<Record<string, string>>,
    options?: ErrorOptions,
  ) {
    super(code, message, options)
    this.evidence = evidence
  }
}
