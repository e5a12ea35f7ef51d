/**
 * What a relying party decided, as one line of JSON: for its own log, where an auditor finds it and joins it with the transparency
 * log by credential and entry.
 *
 *     {"type":"provlog-decision/1","at":1785155800,"credential":"5e3f…","outcome":"accepted",
 *      "possession":["wpt"],"log":{"origin":"log.bank.example/2026","index":8,"entry":"77ab…","size":12,"signedAt":1785155790},
 *      "statusCurrent":false,"failed":[],"notChecked":["consistency","status-current"]}
 *
 * There is no identifier of the workload, no token and no proof in it: it may lie where others read. `possession` tells run-time
 * (how the sender proved to have the key) from a file that was judged afterwards (`null`).
 *
 * @module
 */
import {
  canonicalJson,
  isJsonObject,
  type JsonObject,
  ProvenanceError,
  parseJson,
  type VerificationReport,
} from '../../provenance/index.ts'

export const DECISION_TYPE = 'provlog-decision/1'

export interface Decision {
  /** POSIX seconds: the moment that was judged. */
  readonly at: number
  /** Lower-case hex of the credential's digest; `null` when there was none that could be read. */
  readonly credential: string | null
  readonly outcome: 'accepted' | 'refused'
  readonly possession: readonly string[] | null
  /** Where the provenance record is, and the tree that proved it. */
  readonly log: NonNullable<VerificationReport['log']> | null
  /** Whether the log was asked for later changes of status. */
  readonly statusCurrent: boolean
  /** Codes of the checks that failed. */
  readonly failed: readonly string[]
  /** Ids of the checks that were not made. */
  readonly notChecked: readonly string[]
}

/** The line, without its end, for a verification at `at`. */
export function decisionRecord(report: VerificationReport, at: number): string {
  const outcomes = (wanted: string) => report.checks.filter(({ outcome }) => outcome === wanted)
  const record = {
    type: DECISION_TYPE,
    at,
    credential: report.credential?.digest ?? null,
    outcome: report.ok ? 'accepted' : 'refused',
    possession: report.possession?.ways ?? null,
    log: report.log ? { ...report.log } : null,
    statusCurrent: outcomes('passed').some(({ id }) => id === 'status-current'),
    failed: outcomes('failed').map(({ code, id }) => code ?? id),
    notChecked: outcomes('not-checked').map(({ id }) => id),
  }
  return canonicalJson(record)
}

/** Longest line that we read, in characters. */
const MAX_LINE_LENGTH = 16 * 1024

/**
 * Reads a line again.
 *
 * @throws ProvenanceError `malformed_json`, `malformed_decision`
 */
export function parseDecisionRecord(line: string): Decision {
  if (line.length > MAX_LINE_LENGTH) throw refuse('too long')
  const value = parseJson(line)
  if (!isJsonObject(value) || value['type'] !== DECISION_TYPE) throw refuse(`not of type ${DECISION_TYPE}`)
  const { at, credential, outcome, possession, log, statusCurrent, failed, notChecked } = value
  if (!isCount(at)) throw refuse('at is not whole seconds')
  if (credential !== null && !isDigest(credential)) throw refuse('credential is not a digest in hex')
  if (outcome !== 'accepted' && outcome !== 'refused') throw refuse('outcome is neither accepted nor refused')
  if (possession !== null && !isTexts(possession)) throw refuse('possession is not a list of ways')
  if (typeof statusCurrent !== 'boolean') throw refuse('statusCurrent is not a boolean')
  if (!isTexts(failed) || !isTexts(notChecked)) throw refuse('failed or notChecked is not a list of texts')
  return {
    at,
    credential,
    outcome,
    possession,
    log: log === null ? null : logOf(log),
    statusCurrent,
    failed,
    notChecked,
  }
}

function logOf(value: unknown): NonNullable<Decision['log']> {
  if (!isJsonObject(value as JsonObject)) throw refuse('log is not an object')
  const { origin, index, entry, size, signedAt } = value as JsonObject
  if (typeof origin !== 'string' || !isCount(index) || !isCount(size) || !isDigest(entry)) {
    throw refuse('log is not an entry of a log')
  }
  if (signedAt !== undefined && !isCount(signedAt)) throw refuse('signedAt is not whole seconds')
  return { origin, index, entry, size, ...(signedAt === undefined ? {} : { signedAt }) }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && value >= 0
}

function isDigest(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((text) => typeof text === 'string')
}

function refuse(why: string): ProvenanceError {
  return new ProvenanceError('malformed_decision', why)
}
