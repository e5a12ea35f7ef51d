/**
 * One look at one log: what was known, and what it shows now, become alerts and what to remember. Pure.
 *
 * ```
 *   known ──┐
 *           ├── follow ──▶ alerts       only what is new: a trouble is told once, until it ends and begins again
 *   sight ──┘         └──▶ known
 * ```
 *
 * @module
 */
import { sha256, toHex, utf8 } from '../../merkle/index.ts'
import { type Alert, type AlertKind, alertOf, oneLine } from './alerts.ts'

/** What a look at a log came to. */
export type Sight =
  | { readonly kind: 'unreachable'; readonly reason: string }
  /** What answered cannot be verified; that proves nothing about the log. */
  | { readonly kind: 'refused'; readonly code: string; readonly reason: string }
  | {
      readonly kind: 'misbehaved'
      readonly code: string
      readonly reason: string
      readonly evidence: Readonly<Record<string, string>>
    }
  | AuditedSight

/** The log is as it signed, up to its newest checkpoint. */
export interface AuditedSight {
  readonly kind: 'audited'
  readonly size: number
  /** Of all entries up to `size`. */
  readonly findings: readonly FoundInAudit[]
  /** Of entries that were not looked through before. */
  readonly watched: readonly Seen[]
  /** Everything that was looked for, seen or not: as in `Known.watched`. */
  readonly watchedFor: readonly string[]
  /** Why the log takes no statements now. */
  readonly notReady?: string
  /** What the checkpoint lacks for the witness policy. */
  readonly uncosigned?: string
}

/** A finding, as auditors have them. */
export interface FoundInAudit {
  readonly check: string
  readonly severity: 'error' | 'warning' | 'info'
  readonly index: number
  readonly entry: string
  readonly detail: string
  readonly about?: string
}

/** Records that concern something watched. */
export interface Seen {
  readonly watched: 'identifier' | 'policy' | 'issuer' | 'key'
  readonly value: string
  readonly count: number
  /** Indices. */
  readonly first: number
  readonly last: number
}

export interface Known {
  /** Entries of the newest tree that was audited. */
  readonly size: number
  /** When that was, POSIX seconds; absent before the first time. */
  readonly seenAt?: number
  /** When it was first seen with as many entries as it has. */
  readonly grownAt?: number
  /** What is wrong now, since when, and whether that was told. */
  readonly troubles: Readonly<Record<string, Trouble>>
  /** Keys of the findings of the last audit. */
  readonly findings: readonly string[]
  /** `kind:value` → entries that were looked through for it. */
  readonly watched: Readonly<Record<string, number>>
  /** Alerts so far. */
  readonly counts: Readonly<Partial<Record<AlertKind, number>>>
}

interface Trouble {
  readonly since: number
  readonly told: boolean
}

export const NOTHING_KNOWN: Known = { size: 0, troubles: {}, findings: [], watched: {}, counts: {} }

export interface Rules {
  readonly origin: string
  /** POSIX seconds. */
  readonly now: number
  /** Seconds for which a log may be unreachable, or not ready, before somebody is told. */
  readonly stalledAfter: number
  /** Seconds within which somebody is known to append. Without it a log may be quiet for ever. */
  readonly heartbeat?: number
}

export interface Followed {
  readonly alerts: readonly Alert[]
  readonly known: Known
  /** Alert id → what a third party needs to see the same; to be in a file before the alert is out. */
  readonly evidence: ReadonlyMap<string, Readonly<Record<string, string>>>
}

export function follow(known: Known, sight: Sight, rules: Rules): Followed {
  const { now, origin } = rules
  const alerts: Alert[] = []
  const evidence = new Map<string, Readonly<Record<string, string>>>()

  const grownAt = sight.kind === 'audited' && sight.size > known.size ? now : (known.grownAt ?? now)
  const wrong = troublesIn(sight, rules, grownAt)
  // Whoever cannot be reached may still be all that it was; whoever was audited is nothing but what was seen now.
  const ended = (name: string) => (sight.kind === 'audited' ? true : name === 'log-unreachable')
  const troubles = Object.fromEntries(
    Object.entries(known.troubles).filter(([name]) => !ended(name) || wrong.has(name)),
  )
  for (const [name, { kind, summary, patience, details, proof }] of wrong) {
    const { since, told } = troubles[name] ?? { since: now, told: false }
    const due = !told && now - since >= patience
    if (due) {
      const alert = alertOf({ kind, origin, at: now, key: `${name} ${since}`, summary, details: { ...details, since } })
      alerts.push(alert)
      if (proof) evidence.set(alert.id, proof)
    }
    troubles[name] = { since, told: told || due }
  }

  let next: Known = { ...known, troubles }
  if (sight.kind === 'audited') {
    const keys = sight.findings.filter(({ severity }) => severity !== 'info').map(keyOf)
    const watched = { ...known.watched, ...Object.fromEntries(sight.watchedFor.map((each) => [each, sight.size])) }
    alerts.push(...findingAlerts(known, sight, rules), ...sight.watched.map((seen) => watchAlert(seen, rules)))
    next = { ...next, size: sight.size, seenAt: now, grownAt, findings: keys, watched }
  }
  const counts: Partial<Record<AlertKind, number>> = { ...known.counts }
  for (const { kind } of alerts) counts[kind] = (counts[kind] ?? 0) + 1
  return { alerts, evidence, known: { ...next, counts } }
}

interface Wrong {
  readonly kind: AlertKind
  readonly summary: string
  /** Seconds before it is told. */
  readonly patience: number
  readonly details: Readonly<Record<string, string>>
  readonly proof?: Readonly<Record<string, string>>
}

function troublesIn(sight: Sight, { now, stalledAfter, heartbeat }: Rules, grownAt: number): Map<string, Wrong> {
  const wrong = new Map<string, Wrong>()
  const add = (kind: AlertKind, reason: string, more: { code?: string; patience?: number } = {}) => {
    const { code, patience = 0 } = more
    const details = { reason: oneLine(reason), ...(code !== undefined && { code }) }
    wrong.set(code === undefined ? kind : `${kind}:${code}`, { kind, summary: reason, patience, details })
  }
  switch (sight.kind) {
    case 'unreachable':
      add('log-unreachable', sight.reason, { patience: stalledAfter })
      break
    case 'refused':
      add('answer-refused', sight.reason, { code: sight.code })
      break
    case 'misbehaved': {
      const { code, reason, evidence } = sight
      // What it grew to since it was caught is no other fork: of each checkpoint that we hold it to, one.
      const held = toHex(sha256(utf8(evidence['before'] ?? ''))).slice(0, 16)
      const details = { code, reason: oneLine(reason) }
      wrong.set(`log-misbehaved:${code}:${held}`, {
        kind: 'log-misbehaved',
        summary: `${code}: ${reason}`,
        patience: 0,
        details,
        proof: { code, message: reason, ...evidence },
      })
      break
    }
    case 'audited':
      if (sight.notReady !== undefined) add('log-stalled', sight.notReady, { patience: stalledAfter })
      if (heartbeat !== undefined && now - grownAt >= heartbeat) {
        const reason = `no entry after the ${sight.size} that it had at ${grownAt}, and one was due within ${heartbeat} s`
        add('log-stalled', reason, { code: 'no_heartbeat' })
      }
      if (sight.uncosigned !== undefined) add('cosignatures-missing', sight.uncosigned)
  }
  return wrong
}

/** Findings that are named in one alert; of the others there is the number. */
const NAMED = 16

/** One alert for each check: a log with a million wrong records is one piece of news. */
function findingAlerts(known: Known, { findings }: AuditedSight, { origin, now }: Rules): Alert[] {
  const old = new Set(known.findings)
  const byCheck = new Map<string, FoundInAudit[]>()
  for (const finding of findings) {
    if (finding.severity === 'info' || old.has(keyOf(finding))) continue
    const others = byCheck.get(finding.check)
    if (others) others.push(finding)
    else byCheck.set(finding.check, [finding])
  }
  return [...byCheck].map(([check, found]) => {
    const [first] = found
    const more = found.length === 1 ? '' : `, and ${found.length - 1} more`
    return alertOf({
      kind: 'audit-finding',
      origin,
      at: now,
      key: found.map(keyOf).join(' '),
      severity: first!.severity === 'error' ? 'error' : 'warning',
      summary: `${check} at entry ${first!.index}${more}: ${first!.detail}`,
      details: {
        check,
        count: found.length,
        findings: found.slice(0, NAMED).map(({ index, entry, detail }) => ({ index, entry, detail: oneLine(detail) })),
      },
    })
  })
}

function watchAlert({ watched, value, count, first, last }: Seen, { origin, now }: Rules): Alert {
  const where = count === 1 ? `at entry ${first}` : `in ${count} records from entry ${first} to ${last}`
  return alertOf({
    kind: 'watched-seen',
    origin,
    at: now,
    key: `${watched}:${value} ${first} ${last}`,
    summary: `${watched} ${value} ${where}`,
    details: { watched, value, count, first, last },
  })
}

function keyOf({ check, severity, index, about = '' }: FoundInAudit): string {
  return `${check}:${severity}:${index}:${about}`
}
