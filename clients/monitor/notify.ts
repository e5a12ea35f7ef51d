/**
 * Where alerts go, and numbers for Prometheus.
 *
 * @module
 */
import { UnavailableError } from '../../merkle/error.ts'
import { isLoopback } from '../log-client/index.ts'
import { ALERTS, type Alert, type AlertKind } from './alerts.ts'
import { MonitorError } from './error.ts'
import type { Outcome } from './round.ts'

/** One way out. */
export interface Channel {
  readonly name: string
  /** Resolves when the alert is taken. @throws `UnavailableError`: to be tried again */
  send(alert: Alert): Promise<void>
}

/** Milliseconds for a whole exchange with a webhook. */
const WEBHOOK_TIMEOUT = 10_000

/**
 * Posts each alert as JSON. Any 2xx takes it; anything else, a redirect too, is tried again in the next round. The URL is in no message:
 * those of chat services are secrets.
 *
 * @throws {@link MonitorError} `insecure_webhook`
 */
export function webhook(url: string, timeout = WEBHOOK_TIMEOUT): Channel {
  const target = URL.canParse(url) ? new URL(url) : undefined
  const local = target !== undefined && isLoopback(target.hostname)
  if (!target || !(target.protocol === 'https:' || (target.protocol === 'http:' && local))) {
    throw new MonitorError('insecure_webhook', 'a webhook is an https URL, or an http URL of this machine')
  }
  return {
    name: 'webhook',
    async send(alert) {
      let status: number
      try {
        const answer = await fetch(target, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'idempotency-key': alert.id },
          body: JSON.stringify(alert),
          redirect: 'manual',
          signal: AbortSignal.timeout(timeout),
        })
        status = answer.status
        // Nobody reads what it says, however long it is.
        await answer.body?.cancel()
      } catch {
        throw new UnavailableError('the webhook did not answer')
      }
      if (status < 200 || status > 299) throw new UnavailableError(`the webhook answered ${status}`)
    },
  }
}

/** A file for node_exporter's textfile collector: the text format 0.0.4. */
export function metricsText(outcomes: readonly Outcome[], now: number): string {
  const gauge = (name: string, help: string, value: (outcome: Outcome) => number) => [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} gauge`,
    ...outcomes.map((outcome) => `${name}{log="${label(outcome.origin)}"} ${value(outcome)}`),
  ]
  const kinds = Object.keys(ALERTS) as AlertKind[]
  const lines = [
    ...gauge('provlog_monitor_up', 'Whether the log was seen and audited in the last round.', ({ sight }) =>
      sight === 'audited' ? 1 : 0,
    ),
    ...gauge('provlog_monitor_misbehaved', 'Whether the log was caught in the last round.', ({ sight }) =>
      sight === 'misbehaved' ? 1 : 0,
    ),
    ...gauge('provlog_monitor_entries', 'Entries of the newest audited tree.', ({ known }) => known.size),
    ...gauge(
      'provlog_monitor_seen_timestamp_seconds',
      'When the log was last audited; 0 for never.',
      ({ known }) => known.seenAt ?? 0,
    ),
    ...gauge(
      'provlog_monitor_findings',
      'Findings of the last audit that are not explained.',
      ({ known }) => known.findings.length,
    ),
    ...gauge(
      'provlog_monitor_undelivered',
      'Alerts that a channel has not taken yet.',
      ({ undelivered }) => undelivered,
    ),
    '# HELP provlog_monitor_alerts_total Alerts raised since the state was made.',
    '# TYPE provlog_monitor_alerts_total counter',
    ...outcomes.flatMap(({ origin, known }) =>
      kinds.map(
        (kind) => `provlog_monitor_alerts_total{log="${label(origin)}",kind="${kind}"} ${known.counts[kind] ?? 0}`,
      ),
    ),
    '# HELP provlog_monitor_round_timestamp_seconds When the last round ended.',
    '# TYPE provlog_monitor_round_timestamp_seconds gauge',
    `provlog_monitor_round_timestamp_seconds ${now}`,
  ]
  return `${lines.join('\n')}\n`
}

function label(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
