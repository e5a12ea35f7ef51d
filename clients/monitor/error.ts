/**
 * Why a monitor's own files, or what it was told to do, were refused.
 *
 * @module
 */
import { EvidenceError } from '../../merkle/error.ts'

/** Codes are API: they may be added, never renamed or reused. */
export type MonitorErrorCode =
  | 'malformed_watch' //  not a list of what to watch
  | 'damaged_state' //    not what a monitor remembered, or of another log: what was told would be forgotten
  | 'malformed_address' //   no port, or no host that could be one
  | 'address_unavailable' // somebody listens there, or we may not
  | 'insecure_webhook' // http, and not to this machine; or no URL

export class MonitorError extends EvidenceError<MonitorErrorCode> {}
