/**
 * Where alerts go, and numbers for Prometheus.
 *
 * @module
 */
import { UnavailableError } from '../../merkle/error.ts'
import { isLoopback } from '../log-client/index.ts'
import { ALERTS, type Alert, type AlertKind } from './alerts.ts'
import { MonitorError } from './error.ts'
import type { Known } from './follow.ts'
import type { Outcome } from './round.ts'

/** One way out. */
export interface Channel {
  readonly name: string
  /** Resolves when the alert is taken. @throws `UnavailableError`: to be tried again */
  send(alert: Alert): Promise<void>
}

export interface WebhookOptions {
  /** Milliseconds for one exchange. */
  readonly timeout?: number
  readonly sleep: (milliseconds: number) => Promise<void>
}

const WEBHOOK_TIMEOUT = 10_000
/** Milliseconds between the attempts of one round: what is away for a moment is back by then, and what is not is left to the next round. */
const WAITS = [500, 2000, 5000] as const
const LONGEST_WAIT = 5000

/**
 * Posts each alert as JSON. Any 2xx takes it. A receiver that does not answer, or says that it cannot now, is asked a few times more;
 * whatever else it answers, a redirect too, is tried again in the next round. The URL is in no message: those of chat services are secrets.
 *
 * @throws {@link MonitorError} `insecure_webhook`
 */
export function webhook(url: string, { timeout = WEBHOOK_TIMEOUT, sleep }: WebhookOptions): Channel {
  const target = URL.canParse(url) ? new URL(url) : undefined
  const local = target !== undefined && isLoopback(target.hostname)
  if (!target || !(target.protocol === 'https:' || (target.protocol === 'http:' && local))) {
    throw new MonitorError('insecure_webhook', 'a webhook is an https URL, or an http URL of this machine')
  }
  return {
    name: 'webhook',
    async send(alert) {
      for (let attempt = 0; ; attempt++) {
        const outcome = await post(target, alert, timeout)
        if (outcome.taken) return
        const wait = WAITS[attempt]
        if (!outcome.mayComeBack || wait === undefined) throw new UnavailableError(outcome.reason)
        await sleep(Math.min(Math.max(wait, outcome.retryAfter ?? 0), LONGEST_WAIT))
      }
    },
  }
}

interface Posted {
  readonly taken: boolean
  readonly reason: string
  /** Whether the same may be taken in a moment. */
  readonly mayComeBack: boolean
  /** Milliseconds that it asked us to wait. */
  readonly retryAfter?: number
}

async function post(target: URL, alert: Alert, timeout: number): Promise<Posted> {
  try {
    const answer = await fetch(target, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': alert.id },
      body: JSON.stringify(alert),
      redirect: 'manual',
      signal: AbortSignal.timeout(timeout),
    })
    const { status, headers } = answer
    // Nobody reads what it says, however long it is. That it broke off since changes nothing: it answered.
    await answer.body?.cancel().catch(() => {})
    const asked = headers.get('retry-after') ?? ''
    return {
      taken: status >= 200 && status <= 299,
      reason: `the webhook answered ${status}`,
      mayComeBack: status >= 500 || status === 429 || status === 408,
      ...(/^[0-9]{1,6}$/.test(asked) && { retryAfter: Number(asked) * 1000 }),
    }
  } catch {
    return { taken: false, reason: 'the webhook did not answer', mayComeBack: true }
  }
}

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
      'provlog_monitor_grown_timestamp_seconds',
      'When the log was first seen with as many entries as it has; 0 for never.',
      ({ known }) => known.grownAt ?? 0,
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
    '# HELP provlog_monitor_trouble Whether this is wrong now, and was told.',
    '# TYPE provlog_monitor_trouble gauge',
    ...outcomes.flatMap(({ origin, known }) =>
      TROUBLES.map(
        (kind) => `provlog_monitor_trouble{log="${label(origin)}",kind="${kind}"} ${isTold(kind, known) ? 1 : 0}`,
      ),
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

/** What goes on until it ends, unlike findings and what is watched. */
const TROUBLES: readonly AlertKind[] = [
  'log-misbehaved',
  'answer-refused',
  'log-unreachable',
  'log-stalled',
  'cosignatures-missing',
]

function isTold(kind: AlertKind, { troubles }: Known): boolean {
  return Object.entries(troubles).some(([name, { told }]) => told && (name === kind || name.startsWith(`${kind}:`)))
}

function label(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
