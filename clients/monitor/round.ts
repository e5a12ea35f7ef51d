/**
 * One round over one log: look, decide, remember, tell. In this order, so that an alert is told at least once:
 *
 * ```
 *   look ──▶ follow ──▶ evidence files ──▶ monitor.json with what is pending ──▶ each channel ──▶ monitor.json without it
 *                  crash: seen again                          crash: sent from there   crash: sent again, under the same id
 * ```
 *
 * @module
 */
import { join } from 'node:path'
import {
  checkQuorum,
  EvidenceError,
  MerkleError,
  UnavailableError,
  type VerifiedCheckpoint,
  type WitnessPolicy,
} from '../../merkle/index.ts'
import { MisbehaviourError, RefusedError, writeFileWhole } from '../log-client/index.ts'
import type { Alert } from './alerts.ts'
import { type FoundInAudit, follow, type Known, type Seen, type Sight } from './follow.ts'
import type { Channel } from './notify.ts'
import { loadState, type MonitorState, makeStateDirectory, saveState } from './state.ts'
import { type Watched, watchKey } from './watch.ts'

/** A log to follow. What replays it is a parameter: a monitor is no auditor, it has one. */
export interface FollowedLog {
  readonly origin: string
  /** Of this log alone. */
  readonly directory: string
  /** Without a witness policy: a tree that no witness saw is to be watched all the more. */
  readonly client: {
    checkpoint(): Promise<VerifiedCheckpoint>
    notReady(): Promise<string | undefined>
  }
  readonly witnessPolicy?: WitnessPolicy
  /** Replays what is new; findings are of the whole log. */
  audit(): Promise<{ readonly size: number; readonly findings: readonly FoundInAudit[] }>
  /** After an audit of at least one entry: records from `from` on that concern something watched. */
  seen(watched: readonly (Watched & { readonly from: number })[]): Promise<readonly Seen[]>
}

export interface RoundOptions {
  readonly watch: readonly Watched[]
  readonly channels: readonly Channel[]
  readonly stalledAfter: number
  readonly heartbeat?: number
  /** POSIX seconds. */
  readonly now: () => number
}

export interface Outcome {
  readonly origin: string
  readonly sight: Sight['kind']
  /** Raised in this round. */
  readonly alerts: readonly Alert[]
  /** Alerts that some channel has not taken. */
  readonly undelivered: number
  /** Why the log could not be seen, or alerts not be sent. */
  readonly unavailable: readonly string[]
  readonly known: Known
}

/** @throws `MonitorError` `damaged_state`; what else is thrown is a bug, and concerns this log alone */
export async function followLog(log: FollowedLog, options: RoundOptions): Promise<Outcome> {
  const { origin, directory } = log
  await makeStateDirectory(directory)
  const { known: before, pending } = await loadState(directory, origin)
  const sight = await look(log, before, options)
  const now = options.now()
  const { stalledAfter, heartbeat } = options
  const rules = { origin, now, stalledAfter, ...(heartbeat !== undefined && { heartbeat }) }
  const { alerts, known, evidence } = follow(before, sight, rules)

  const told: Alert[] = []
  for (const alert of alerts) {
    const proof = evidence.get(alert.id)
    if (proof === undefined) told.push(alert)
    else {
      const path = join(directory, `evidence-${alert.id}.json`)
      await writeFileWhole(path, `${JSON.stringify({ ...proof, seenAt: now }, null, 2)}\n`)
      told.push({ ...alert, details: { ...alert.details, evidence: path } })
    }
  }
  const channels = options.channels.map(({ name }) => name)
  const state = { known, pending: [...pending, ...told.map((alert) => ({ alert, channels }))] }
  await saveState(directory, origin, state)
  const { left, failures } = await deliver(state, log, options)
  const unavailable = sight.kind === 'unreachable' ? [sight.reason, ...failures] : failures
  return { origin, sight: sight.kind, alerts: told, undelivered: left, unavailable, known }
}

async function look(log: FollowedLog, { watched }: Known, { watch }: RoundOptions): Promise<Sight> {
  try {
    const checkpoint = await log.client.checkpoint()
    const { size, findings } = await log.audit()
    const wanted = watch.map((each) => ({ ...each, from: watched[watchKey(each)] ?? 0 }))
    const seen = size > 0 && wanted.length > 0 ? await log.seen(wanted) : []
    const [notReady, uncosigned] = [await log.client.notReady(), missingCosignatures(checkpoint, log.witnessPolicy)]
    return {
      kind: 'audited',
      size,
      findings,
      watched: seen,
      watchedFor: watch.map(watchKey),
      ...(notReady !== undefined && { notReady }),
      ...(uncosigned !== undefined && { uncosigned }),
    }
  } catch (error) {
    if (error instanceof MisbehaviourError) {
      return { kind: 'misbehaved', code: error.code, reason: error.message, evidence: error.evidence }
    }
    if (error instanceof UnavailableError) return { kind: 'unreachable', reason: error.message }
    if (error instanceof EvidenceError || error instanceof RefusedError) {
      return { kind: 'refused', code: error.code, reason: error.message }
    }
    throw error
  }
}

function missingCosignatures({ note }: VerifiedCheckpoint, policy: WitnessPolicy | undefined): string | undefined {
  if (policy === undefined) return undefined
  try {
    checkQuorum(policy, note)
    return undefined
  } catch (error) {
    if (!(error instanceof MerkleError)) throw error
    return error.message
  }
}

/** Seconds of a round after which no more is sent: a receiver that takes ten seconds for each alert must not keep us from looking. */
const DELIVERY = 30

/** Sends what is pending, the oldest first. A channel that fails, or takes too long, is left alone until the next round. */
async function deliver(
  { known, pending }: MonitorState,
  { directory, origin }: FollowedLog,
  { channels, now }: RoundOptions,
): Promise<{ left: number; failures: string[] }> {
  const left = [...pending]
  const failed = new Map<string, string>()
  const begun = now()
  for (const { alert, channels: wanted } of pending) {
    for (const channel of channels) {
      if (!wanted.includes(channel.name) || failed.has(channel.name)) continue
      if (now() - begun >= DELIVERY) {
        failed.set(channel.name, `${channel.name} takes too long, and the rest waits`)
        continue
      }
      try {
        await channel.send(alert)
      } catch (error) {
        if (!(error instanceof UnavailableError)) throw error
        failed.set(channel.name, error.message)
        continue
      }
      const at = left.findIndex((each) => each.alert.id === alert.id)
      const rest = left[at]!.channels.filter((name) => name !== channel.name)
      if (rest.length > 0) left[at] = { alert, channels: rest }
      else left.splice(at, 1)
      await saveState(directory, origin, { known, pending: left })
    }
  }
  return { left: left.length, failures: [...failed.values()] }
}
