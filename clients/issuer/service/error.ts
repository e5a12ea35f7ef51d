/**
 * What the service refuses, and with which status the local API says so: the closed list of this folder.
 *
 * @module
 */
import { EvidenceError } from '../../../merkle/error.ts'

/** Codes are API: they may be added, never renamed or reused. */
export type ServiceErrorCode =
  // Starting
  | 'malformed_config' //        the configuration is not what this service reads
  | 'peer_check_unavailable' //  this machine cannot tell us who is at the other end of a socket
  | 'socket_in_use' //           somebody answers at the socket path already
  | 'socket_path_taken' //       what is at the socket path is not a socket of ours
  // Asking
  | 'malformed_request' //       not a request that this API has
  | 'missing_header' //          without the header that only somebody who means it sends
  | 'not_found' //               no such path
  | 'method_not_allowed' //      not on this path
  | 'unsupported_media_type' //  a body that is not application/json
  | 'request_too_large' //       more bytes than a request has
  | 'peer_not_allowed' //        the user at the other end may not have this identifier
  | 'ambiguous' //               several credentials fit: say which subject, or which key
  | 'not_issued' //              there is none yet, or it has expired and was not renewed
  | 'too_many_keys' //           more instances of one workload than are kept
  | 'too_many_requests' //       faster than one user may ask
  | 'shutting_down' //           the service is about to end

/** A request, or a start, that is turned down. */
export class ServiceError extends EvidenceError<ServiceErrorCode> {
  /** Seconds after which to ask again, where that may help. */
  readonly retryAfter: number | undefined

  constructor(code: ServiceErrorCode, message: string, options?: ErrorOptions & { retryAfter?: number }) {
    super(code, message, options)
    this.retryAfter = options?.retryAfter
  }
}

const STATUS: Readonly<Record<ServiceErrorCode, number>> = {
  malformed_config: 500,
  peer_check_unavailable: 500,
  socket_in_use: 500,
  socket_path_taken: 500,
  malformed_request: 400,
  missing_header: 403,
  not_found: 404,
  method_not_allowed: 405,
  unsupported_media_type: 415,
  request_too_large: 413,
  peer_not_allowed: 403,
  ambiguous: 409,
  not_issued: 404,
  too_many_keys: 409,
  too_many_requests: 429,
  shutting_down: 503,
}

export function statusOf(code: ServiceErrorCode): number {
  return STATUS[code]
}
