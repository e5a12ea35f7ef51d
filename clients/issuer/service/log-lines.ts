/**
 * What the service says about itself: one JSON object a line, of a closed set of fields, from which secrets are cut however they got in.
 *
 *     {"time":"2027-01-15T08:00:00Z","level":"info","event":"issued","subject":"spiffe://…","digest":"…","index":42}
 *
 * @module
 */

import { redact } from '../../../provenance/index.ts'

export type Level = 'info' | 'warn' | 'error'

export interface LogLine {
  readonly level: Level
  readonly event:
    | 'listening'
    | 'issued'
    | 'results_needed' //     the workload has to be attested again: the results that it gave have expired
    | 'renewal_failed' //     could not be tried, or not to its end: tried again
    | 'renewal_refused' //    the policy, or what it is decided on: tried again, for either may change
    | 'near_expiry' //        no new one, and the next attempt is in the last sixth of a credential's life, or after it
    | 'expired' //            no credential is given out any more
    | 'denied' //             a request that the configuration does not allow
    | 'denial_not_logged' //  the log could not be told
    | 'stopping'
    | 'stopped'
  readonly subject?: string
  readonly uid?: number
  readonly code?: string
  readonly message?: string
  /** Of the credential, lower-case hex. */
  readonly digest?: string
  readonly index?: number
  /** POSIX seconds. */
  readonly notAfter?: number
  /** Seconds. */
  readonly retryIn?: number
  readonly path?: string
}

export type ServiceLog = (line: LogLine) => void

/** @param now - POSIX seconds */
export function formatLogLine(line: LogLine, now: number): string {
  const time = new Date(now * 1000).toISOString().replace('.000Z', 'Z')
  const entries = Object.entries(line).map(([name, value]) => [name, typeof value === 'string' ? redact(value) : value])
  return JSON.stringify({ time, ...Object.fromEntries(entries) })
}
