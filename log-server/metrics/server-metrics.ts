/**
 * All that is counted of one server, and where it may be read.
 *
 * @module
 */
import type { ServerConfig } from '../config.ts'
import { isLoopback } from '../config.ts'
import { HttpMetrics } from './http-metrics.ts'
import { LogMetrics } from './log-metrics.ts'
import { startProcessMetrics } from './process-metrics.ts'
import { Registry } from './registry.ts'

export class ServerMetrics {
  readonly registry = new Registry()
  readonly log = new LogMetrics(this.registry)
  readonly http = new HttpMetrics(this.registry)
  /** Times that audit lines began to fail. */
  readonly auditFailures = this.registry.counter(
    'provlog_audit_failures_total',
    'Times that audit lines could no longer be written.',
  )
  /** Ends what runs beside. */
  readonly close = startProcessMetrics(this.registry)
}

/**
 * Whether the main address has `/metrics`. Where there is a door it decides by its rules; a log that is open shows them to its own machine and
 * nobody else.
 */
export function servesMetrics({ access, listen }: Pick<ServerConfig, 'access' | 'listen'>): boolean {
  return access !== undefined || isLoopback(listen.host)
}
