/**
 * Errors as HTTP answers: the only file that knows statuses.
 *
 *     thrown                         answered
 *     EvidenceError with a code      the row of PROBLEMS for it; its message is the detail
 *     UnavailableError               503 and Retry-After
 *     Fastify's or Node's own        the request error that it amounts to
 *     anything else                  500, which says nothing but a request id; the cause is in the server's log
 *
 * The body is concise problem details in CBOR (RFC 9290) on the paths of SCRAPI, which demands it of every 4xx and 5xx, and
 * `application/problem+json` (RFC 9457) on all others; a client that says in `Accept` which one it wants gets that one.
 * Either way `code` is the stable name of what went wrong.
 *
 * @module
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { EvidenceError, type MerkleErrorCode, UnavailableError } from '../merkle/error.ts'
import type { ProvenanceErrorCode } from '../provenance/error.ts'
import { redact } from '../provenance/redact.ts'
import type { StatementErrorCode } from '../statement/error.ts'
import { encodeProblem, PROBLEM_MEDIA_TYPE } from '../statement/problem-details.ts'
import { parseAccept, weightNamed } from './http/accept.ts'
import { isRead, letPagesRead } from './http/cors.ts'
import { REQUEST_ID } from './http/request-id.ts'
import { pathOf } from './http/request-path.ts'
import { BusyError, type BusyErrorCode, type LogErrorCode } from './types.ts'

/** Why a request was refused as a request, whatever it was about. */
export type RequestErrorCode =
  | 'malformed_request' //        not HTTP, or not as this route reads it
  | 'invalid_locator' //          a path that names nothing this log could ever have
  | 'not_found' //                a well-formed name of something this log does not have
  | 'unknown_kid' //              a key id that is none of this log's keys
  | 'method_not_allowed' //       the path exists, the method does not
  | 'not_implemented' //          a method, or a transfer coding, that no path of this server has
  | 'request_timeout' //          the request did not arrive in time
  | 'range_not_satisfiable' //    bytes past the end of what there is
  | 'uri_too_long' //             a path longer than any there is
  | 'headers_too_large' //        more header bytes than any request here needs
  | 'identity_conflict' //        a connection of one workload, and a proof or a header of another
  | 'access_denied' //            whoever calls may not do this here, whether or not there is what it asks about
  | 'unsupported_media_type' //   a body in another media type or content coding than the route reads
  | 'too_many_requests' //        more of them, or of their bytes, than one caller may have
  | 'bundle_too_large' //         a provenance with more statements or bytes than a bundle may carry
  | 'unavailable' //              try again later, unchanged
  | 'internal' //                 our fault

/** A request that cannot be answered as it is. */
export class RequestError extends EvidenceError<RequestErrorCode> {
  /** Methods that the path does have, for `method_not_allowed`. */
  readonly allow: readonly string[] | undefined
  /** Seconds after which the same request may be answered, for `too_many_requests`. */
  readonly retryAfter: number | undefined

  constructor(
    code: RequestErrorCode,
    message: string,
    options?: ErrorOptions & { allow?: readonly string[]; retryAfter?: number },
  ) {
    super(code, message, options)
    this.allow = options?.allow
    this.retryAfter = options?.retryAfter
  }
}

/** Every code that an answer of this server may carry. */
export type ProblemCode =
  | MerkleErrorCode
  | StatementErrorCode
  | ProvenanceErrorCode
  | LogErrorCode
  | BusyErrorCode
  | RequestErrorCode

/**
 * Who can do something about it.
 *
 *     client    the program that asks: its path, its headers, its bytes
 *     signer    whoever composed and signed the statement; sending the same bytes again will not help
 *     admin     the log's admin, who says on the log whose keys may write what
 *     nobody    the log has it otherwise already, and keeps what it has
 *     time      the same request may be answered later
 *     operator  whoever runs the server: its error log says more, or its configuration says who may come in
 */
export type Fixer = 'client' | 'signer' | 'admin' | 'nobody' | 'time' | 'operator'

type Row = readonly [status: number, title: string, fixer: Fixer]

// The titles that SCRAPI defines, for the cases it defines them for.
const MALFORMED: Row = [400, 'Malformed request', 'client']
const REJECTED: Row = [400, 'Rejected', 'signer']
const FORBIDDEN: Row = [403, 'Rejected', 'admin']
const REVOCATION_UNKNOWN: Row = [403, 'Rejected', 'operator']
const DENIED: Row = [403, 'Forbidden', 'operator']
const CONFLICT: Row = [409, 'Rejected', 'nobody']
const BAD_ALGORITHM: Row = [400, 'Bad Signature Algorithm', 'signer']
const BAD_LOCATOR: Row = [400, 'Invalid locator', 'client']
const TOO_LARGE: Row = [413, 'Content Too Large', 'client']
const NOT_FOUND: Row = [404, 'Not Found', 'client']
const TRY_LATER: Row = [503, 'Service Unavailable', 'time']
const BROKEN: Row = [500, 'Internal Server Error', 'operator']

/**
 * Status and title of every code. The type makes the list complete: a layer that adds a code adds a row here.
 *
 * 400 is for what can never be registered, 403 for a signer who may not say it, 409 for what the log already has otherwise.
 */
const PROBLEMS: Readonly<Record<ProblemCode, Row>> = {
  malformed_request: MALFORMED,
  invalid_locator: BAD_LOCATOR,
  not_found: NOT_FOUND,
  unknown_kid: [404, 'No such key', 'client'],
  method_not_allowed: [405, 'Method Not Allowed', 'client'],
  not_implemented: [501, 'Not Implemented', 'client'],
  request_timeout: [408, 'Request Timeout', 'client'],
  range_not_satisfiable: [416, 'Range Not Satisfiable', 'client'],
  uri_too_long: [414, 'URI Too Long', 'client'],
  headers_too_large: [431, 'Request Header Fields Too Large', 'client'],
  identity_conflict: DENIED,
  access_denied: DENIED,
  unsupported_media_type: [415, 'Unsupported Media Type', 'client'],
  too_many_requests: [429, 'Too Many Requests', 'time'],
  bundle_too_large: [422, 'Bundle Too Large', 'nobody'],
  unavailable: TRY_LATER,
  internal: BROKEN,

  // merkle/
  malformed_encoding: MALFORMED,
  malformed_tile_path: BAD_LOCATOR,
  malformed_entry_bundle: MALFORMED,
  malformed_note: MALFORMED,
  malformed_vkey: MALFORMED,
  malformed_checkpoint: MALFORMED,
  malformed_proof: MALFORMED,
  malformed_policy: MALFORMED,
  unsupported_key: REJECTED,
  unknown_signer: REJECTED,
  bad_signature: REJECTED,
  wrong_origin: REJECTED,
  quorum_not_met: REJECTED,
  index_out_of_range: BAD_LOCATOR,
  proof_wrong_length: REJECTED,
  root_mismatch: REJECTED,
  tile_mismatch: REJECTED,

  // statement/
  malformed_cbor: MALFORMED,
  too_large: TOO_LARGE,
  unencodable_value: MALFORMED,
  malformed_key: MALFORMED,
  weak_key: REJECTED,
  malformed_cose: MALFORMED,
  unsupported_algorithm: BAD_ALGORITHM,
  algorithm_mismatch: BAD_ALGORITHM,
  unknown_critical_header: REJECTED,
  missing_payload: [400, 'Payload Missing', 'signer'],
  malformed_statement: MALFORMED,
  malformed_receipt: MALFORMED,
  unsupported_vds: REJECTED,
  unbound_receipt: REJECTED,
  wrong_tree_size: REJECTED,
  wrong_key: REJECTED,
  malformed_seal: MALFORMED,
  decryption_failed: REJECTED,
  malformed_padding: REJECTED,
  malformed_wrap: MALFORMED,
  wrong_recipient: REJECTED,
  malformed_problem: MALFORMED,

  // provenance/
  malformed_record: MALFORMED,
  unknown_record_type: REJECTED,
  duplicate_link: REJECTED,
  section_missing: REJECTED,
  token_in_clear: REJECTED,
  unknown_key: FORBIDDEN,
  role_not_authorized: FORBIDDEN,
  outside_key_validity: FORBIDDEN,
  issuer_mismatch: FORBIDDEN,
  trust_domain_mismatch: FORBIDDEN,
  issuer_is_verifier: FORBIDDEN,
  wrong_authorization: FORBIDDEN,
  link_not_own: FORBIDDEN,
  not_erasable: FORBIDDEN,
  not_a_successor: CONFLICT,
  link_missing: REJECTED,
  link_too_many: REJECTED,
  link_dangling: REJECTED,
  link_wrong_type: REJECTED,
  link_erased: REJECTED,
  link_later_than_record: REJECTED,
  reason_missing: REJECTED,
  issued_in_future: REJECTED,
  lifetime_too_long: REJECTED,
  status_mismatch: REJECTED,
  key_retracted: FORBIDDEN,
  link_retracted: REJECTED,
  not_retractable: REJECTED,
  already_retracted: CONFLICT,
  intent_mismatch: REJECTED,
  illegal_status: CONFLICT,
  audit_out_of_range: REJECTED,
  wrap_required: REJECTED,
  unsupported_content_type: REJECTED,
  certificate_missing: REJECTED,
  malformed_bundle: MALFORMED,
  damaged_bundle: MALFORMED,
  malformed_json: MALFORMED,
  malformed_identifier: MALFORMED,
  malformed_der: MALFORMED,
  malformed_jws: MALFORMED,
  malformed_sbom: MALFORMED,
  unsupported_sbom: MALFORMED,
  malformed_purl: MALFORMED,
  malformed_attestation: MALFORMED,
  malformed_compliance: MALFORMED,
  malformed_trust: MALFORMED,
  malformed_credential: MALFORMED,
  malformed_result: MALFORMED,
  unknown_trust_domain: REJECTED,
  unknown_anchor: REJECTED,
  credential_expired: REJECTED,
  credential_not_yet_valid: REJECTED,
  certificate_not_ca: REJECTED,
  certificate_is_ca: REJECTED,
  certificate_path_too_long: REJECTED,
  certificate_wrong_usage: REJECTED,
  name_not_permitted: REJECTED,
  unknown_critical_extension: REJECTED,
  identifier_missing: REJECTED,
  identifier_ambiguous: REJECTED,
  certificate_revoked: REJECTED,
  // Of lists that this server was given: no certificate can be shown to stand.
  malformed_crl: REVOCATION_UNKNOWN,
  crl_missing: REVOCATION_UNKNOWN,
  crl_bad_signature: REVOCATION_UNKNOWN,
  crl_wrong_usage: REVOCATION_UNKNOWN,
  crl_unsupported: REVOCATION_UNKNOWN,
  crl_not_yet_valid: REVOCATION_UNKNOWN,
  crl_expired: REVOCATION_UNKNOWN,
  unsupported_profile: REJECTED,
  inconsistent_result: REJECTED,
  invalid_policy: REJECTED,
  invalid_policy_context: REJECTED,
  untrusted_log: REJECTED,
  untrusted_issuer: REJECTED,
  untrusted_verifier: REJECTED,
  checkpoint_too_old: REJECTED,
  checkpoint_rollback: REJECTED,
  missing_receipt: REJECTED,
  unexpected_record: REJECTED,
  credential_mismatch: REJECTED,
  audience_mismatch: REJECTED,
  not_attested: REJECTED,
  tier_too_low: REJECTED,
  result_not_current: REJECTED,
  policy_not_in_force: REJECTED,
  grounds_retracted: REJECTED,
  chain_broken: REJECTED,
  credential_revoked: REJECTED,
  credential_suspended: REJECTED,
  section_mismatch: REJECTED,
  decision_mismatch: REJECTED,
  malformed_message: MALFORMED,
  malformed_structured_field: MALFORMED,
  duplicate_field: MALFORMED,
  credential_missing: REJECTED,
  credential_as_bearer: REJECTED,
  proof_missing: REJECTED,
  wrong_proof_key: REJECTED,
  malformed_proof_token: MALFORMED,
  wrong_audience: REJECTED,
  proof_expired: REJECTED,
  proof_not_yet_valid: REJECTED,
  proof_lifetime_too_long: REJECTED,
  proof_replayed: REJECTED,
  token_binding_mismatch: REJECTED,
  unknown_bound_token: REJECTED,
  signature_not_found: REJECTED,
  malformed_signature_input: MALFORMED,
  component_not_covered: REJECTED,
  content_digest_missing: REJECTED,
  content_digest_mismatch: REJECTED,
  response_unsigned: REJECTED,
  response_mismatch: REJECTED,
  server_name_mismatch: REJECTED,
  unexpected_peer: REJECTED,
  wrong_proof_way: REJECTED,
  peer_certificate_mismatch: REJECTED,
  malformed_decision: MALFORMED,

  // The state of this log
  conflict_signature: CONFLICT,
  duplicate_credential: CONFLICT,
  duplicate_unique_tag: CONFLICT,
  duplicate_record_id: CONFLICT,
  duplicate_intent: CONFLICT,
  duplicate_generalization: CONFLICT,
  already_revoked: CONFLICT,
  statement_erased: [410, 'Gone', 'nobody'],
  log_frozen: [410, 'Gone', 'nobody'],
  queue_full: TRY_LATER,
  too_many_connections: TRY_LATER,
  shutting_down: TRY_LATER,
  audit_unavailable: TRY_LATER,
  log_stopped: TRY_LATER,
  disk_full: TRY_LATER,
  storage_unwritable: TRY_LATER,
  commit_stalled: TRY_LATER,
  // What keeps a log from opening keeps its server from starting, so nobody is answered with these.
  log_exists: BROKEN,
  log_missing: BROKEN,
  log_locked: BROKEN,
  log_damaged: BROKEN,
  backup_incomplete: BROKEN,
  backup_damaged: BROKEN,
  backup_outdated: BROKEN,
  copy_mismatch: BROKEN,
  copy_incomplete: BROKEN,
  log_behind_guard: BROKEN,
  log_forked: BROKEN,
  guard_missing: BROKEN,
  guard_damaged: BROKEN,
  malformed_config: BROKEN,
  signing_key_missing: [409, 'Rejected', 'operator'],
}

/** The status that `code` is answered with. */
export function statusOf(code: ProblemCode): number {
  return PROBLEMS[code][0]
}

/** All codes, with what is said about each but in its error class. */
export function problemTable(): readonly { code: ProblemCode; status: number; title: string; fixer: Fixer }[] {
  return Object.entries(PROBLEMS).map(([code, [status, title, fixer]]) => ({
    code: code as ProblemCode,
    status,
    title,
    fixer,
  }))
}

/** What registering a statement may be refused with. */
export const REGISTRATION_PROBLEMS: readonly ProblemCode[] = [
  // What came is no signed statement, or none that we read.
  'unsupported_media_type',
  'not_implemented',
  'malformed_encoding',
  'malformed_cbor',
  'too_large',
  'malformed_cose',
  'missing_payload',
  'malformed_statement',
  'unsupported_algorithm',
  'unknown_critical_header',
  'malformed_wrap',
  // Its signer.
  'unknown_key',
  'malformed_key',
  'unsupported_key',
  'weak_key',
  'algorithm_mismatch',
  'bad_signature',
  'wrong_key',
  'certificate_missing',
  'certificate_not_ca',
  'certificate_is_ca',
  'certificate_path_too_long',
  'certificate_wrong_usage',
  'name_not_permitted',
  'unknown_anchor',
  'unknown_critical_extension',
  'credential_expired',
  'credential_not_yet_valid',
  'malformed_credential',
  'malformed_der',
  'role_not_authorized',
  'outside_key_validity',
  'issuer_mismatch',
  'trust_domain_mismatch',
  'issuer_is_verifier',
  'wrong_authorization',
  // What it says.
  'unsupported_content_type',
  'malformed_record',
  'unknown_record_type',
  'malformed_identifier',
  'malformed_json',
  'malformed_seal',
  'duplicate_link',
  'section_missing',
  'token_in_clear',
  'wrong_origin',
  'not_a_successor',
  'link_missing',
  'link_too_many',
  'link_dangling',
  'link_wrong_type',
  'link_later_than_record',
  'link_not_own',
  'reason_missing',
  'issued_in_future',
  'lifetime_too_long',
  'status_mismatch',
  'not_attested',
  'key_retracted',
  'link_retracted',
  'not_retractable',
  'already_retracted',
  'intent_mismatch',
  'illegal_status',
  'audit_out_of_range',
  'wrap_required',
  'link_erased',
  'not_erasable',
  'malformed_policy',
  // What the log has already.
  'conflict_signature',
  'duplicate_credential',
  'duplicate_unique_tag',
  'duplicate_record_id',
  'duplicate_intent',
  'duplicate_generalization',
  'already_revoked',
  'statement_erased',
  'signing_key_missing',
  'log_frozen',
  // Not now.
  'unavailable',
  'queue_full',
  'shutting_down',
  'log_stopped',
  'disk_full',
  'storage_unwritable',
  'commit_stalled',
]

/** What an error answer says. */
export interface Problem {
  readonly status: number
  readonly title: string
  readonly code: ProblemCode
  readonly detail: string
  /** Seconds, for 503 and 429. */
  readonly retryAfter?: number
  readonly allow?: readonly string[]
}

/** The answer that `error` amounts to. `requestId` is all that a 500 tells. */
export function problemOf(error: unknown, requestId: string): Problem {
  if (error instanceof UnavailableError) {
    const code = error instanceof BusyError ? error.code : 'unavailable'
    return { ...describe(code, error.message), retryAfter: Math.ceil(error.retryAfter ?? 1) }
  }
  if (error instanceof RequestError) {
    const { code, message, allow, retryAfter } = error
    return { ...describe(code, message), ...(allow && { allow }), ...(retryAfter !== undefined && { retryAfter }) }
  }
  if (error instanceof EvidenceError && Object.hasOwn(PROBLEMS, error.code)) {
    return describe(error.code as ProblemCode, error.message)
  }
  // Of the descriptors that everybody shares none is left: that passes, and says nothing of what was asked.
  if (EXHAUSTED.includes(codeOf(error))) {
    return { ...describe('unavailable', 'this server has as many files and connections open as it may'), retryAfter: 1 }
  }
  const code = frameworkCode(error)
  return code ? describe(code, (error as Error).message) : describe('internal', `request ${requestId}`)
}

/**
 * Makes every error of `app`, its own and the framework's, a problem. Call before any route is registered.
 */
export function registerProblems(app: FastifyInstance, sendProblem: ProblemSender = problemSender(() => {})): void {
  app.setErrorHandler(sendProblem)
  app.setNotFoundHandler(async (request) => {
    // Node reads some methods that the router has never heard of (PROPFIND, LINK, …).
    if (!app.supportedMethods.includes(request.method)) {
      throw new RequestError('not_implemented', 'no path of this server has that method')
    }
    throw new RequestError('not_found', 'no such path')
  })
}

/** Answers `request` with the problem that `error` amounts to. Fits both `setErrorHandler` and `frameworkErrors`. */
export type ProblemSender = (error: unknown, request: FastifyRequest, reply: FastifyReply) => void

/** @param count - told the code of each answer */
export function problemSender(
  count: (code: ProblemCode, request: FastifyRequest, reply: FastifyReply) => void,
): ProblemSender {
  return (error, request, reply) => count(sendProblem(error, request, reply), request, reply)
}

function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): ProblemCode {
  const problem = problemOf(error, request.id)
  if (problem.status === 500) {
    // The route's pattern and the error, of which the logger says what may be said (`logger.ts`): neither the address nor the body.
    request.log.error({ reqId: request.id, route: request.routeOptions.url, err: error }, 'request failed')
  }

  const { type, body } = problemForm(problem, pathOf(request), request.raw.headers.accept)
  reply.code(problem.status)
  // Also here: the framework's own errors come by no hook.
  reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', [REQUEST_ID]: request.id })
  if (isRead(request)) letPagesRead(reply)
  if (problem.retryAfter !== undefined) reply.header('retry-after', String(problem.retryAfter))
  if (problem.allow) reply.header('allow', problem.allow.join(', '))
  void reply.type(type).send(body)
  return problem.code
}

/** As concise problem details (RFC 9290). */
export function encodeConcise(problem: Problem): Uint8Array {
  return encodeProblem(bodyOf(problem))
}

/** The body of a problem, in the form that the path and `Accept` ask for. */
export function problemForm(
  problem: Problem,
  path: string,
  accept: string | undefined,
): { type: string; body: Buffer } {
  if (wantsCbor(path, accept)) return { type: PROBLEM_MEDIA_TYPE, body: Buffer.from(encodeConcise(problem)) }
  // As bytes: to text Fastify would append a charset, which JSON does not have.
  return { type: 'application/problem+json', body: Buffer.from(JSON.stringify(jsonOf(problem))) }
}

function describe(code: ProblemCode, detail: string): Problem {
  const [status, title] = PROBLEMS[code]
  // Messages are short and quote little; some quote what came in.
  return { status, title, code, detail: redact(detail, 300) }
}

function bodyOf({ title, detail, code, status }: Problem): {
  title: string
  detail: string
  code: string
  status: number
} {
  return { title, detail, code, status }
}

function jsonOf(problem: Problem): object {
  return { type: 'about:blank', ...bodyOf(problem) }
}

/** Fastify's own errors, by the request error each amounts to. Those not listed are bugs of ours: wrong schemas, replies sent twice. */
const FRAMEWORK: Readonly<Record<string, RequestErrorCode | 'too_large'>> = {
  FST_ERR_NOT_FOUND: 'not_found',
  FST_ERR_BAD_URL: 'invalid_locator',
  // Schemas are on path parameters only.
  FST_ERR_VALIDATION: 'invalid_locator',
  FST_ERR_MAX_PARAM_LENGTH: 'uri_too_long',
  FST_ERR_CTP_BODY_TOO_LARGE: 'too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'malformed_request',
  FST_ERR_ROUTE_MISSING_CONTENT_TYPE: 'unsupported_media_type',
  FST_ERR_HANDLER_TIMEOUT: 'unavailable',
  ECONNRESET: 'malformed_request',
}

function frameworkCode(error: unknown): RequestErrorCode | 'too_large' | undefined {
  const code = codeOf(error)
  return Object.hasOwn(FRAMEWORK, code) ? FRAMEWORK[code] : undefined
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null | undefined)?.code
  return typeof code === 'string' ? code : ''
}

const EXHAUSTED: readonly string[] = ['EMFILE', 'ENFILE']

/** Whether `path` is one of SCRAPI's, whose clients read CBOR and nothing else. */
function isScittPath(path: string): boolean {
  return /^\/(?:entries|\.well-known\/scitt-keys)(?:\/|$)/.test(path)
}

const CBOR_TYPES = /^application\/(?:concise-problem-details\+cbor|cbor|cose|scitt-(?:receipt|statement)\+cose)$/
const JSON_TYPES = /^application\/(?:problem\+)?json$/

function wantsCbor(path: string, accept: string | undefined): boolean {
  const accepted = parseAccept(accept)
  const [cbor, json] = [weightNamed(CBOR_TYPES, accepted), weightNamed(JSON_TYPES, accepted)]
  return cbor === json ? isScittPath(path) : cbor > json
}
