/**
 * What a monitor can say, as data: what each kind of alert means, how bad it is and what to do about it.
 *
 * @module
 */
import { sha256, toHex, utf8 } from '../../merkle/index.ts'
import { redact } from '../../provenance/index.ts'

/** `critical`: stop relying on the log. `error`: somebody must act. `warning`: somebody should look. `info`: you asked to be told. */
export type AlertSeverity = 'critical' | 'error' | 'warning' | 'info'

export interface AlertDescription {
  readonly severity: AlertSeverity
  readonly meaning: string
  readonly whatToDo: string
}

/** Ids are API: they may be added, never renamed or reused. */
export const ALERTS = {
  'log-misbehaved': {
    severity: 'critical',
    meaning:
      'The log shows something else than it signed: a fork, a rollback, or entries that do not lead to its root.',
    whatToDo:
      'Keep the evidence file and show it to others: provlog verify-evidence says what it proves. Do not pin a newer checkpoint.',
  },
  'answer-refused': {
    severity: 'error',
    meaning:
      'The log could not be followed: what answers at its address cannot be verified (another key, a broken signature, no log at all), it does not let us read, or the audit kept here is damaged. `code` says which.',
    whatToDo:
      'Ask the operator whether the log’s key changes; pin no key that only the answer itself names. A damaged audit is made again when its database is deleted.',
  },
  'log-unreachable': {
    severity: 'error',
    meaning: 'No verified checkpoint could be had of the log for longer than you said.',
    whatToDo:
      'Ask from another network and ask the operator. Until it answers, nobody watches what it shows to others.',
  },
  'log-stalled': {
    severity: 'error',
    meaning:
      'The log answers readers, and either has refused new statements, by its own /readyz, for longer than you said, or (`no_heartbeat`) shows no entry more though you said that somebody appends. A log that nobody writes to signs no checkpoints and is not stalled.',
    whatToDo:
      'Ask the operator. Issuers that fail closed issue nothing meanwhile. Without a heartbeat, look at whoever appends it, and whether a cache answers in the place of the log.',
  },
  'cosignatures-missing': {
    severity: 'warning',
    meaning: 'The newest checkpoint is not cosigned as the witness policy of the trust file demands.',
    whatToDo:
      'Relying parties with this policy refuse it. Ask the operator, and the witnesses whether they saw another tree.',
  },
  'audit-finding': {
    severity: 'error',
    meaning: 'The replay found records on the log that should not be there, or that somebody should be asked about.',
    whatToDo: 'provlog audit checks says of each check what to do.',
  },
  'watched-seen': {
    severity: 'info',
    meaning: 'Records that concern what you watch are new on the log.',
    whatToDo: 'Compare with what you know of: a credential or a key of yours that you know nothing of is an incident.',
  },
} as const satisfies Readonly<Record<string, AlertDescription>>

export type AlertKind = keyof typeof ALERTS

export interface Alert {
  /** 32 hex digits. The same news has the same id however often it is delivered: receivers drop what they have. */
  readonly id: string
  readonly kind: AlertKind
  readonly severity: AlertSeverity
  readonly origin: string
  /** When the monitor saw it first, POSIX seconds. */
  readonly at: number
  /** One line, without control characters and secrets. May quote the log. */
  readonly summary: string
  readonly meaning: string
  readonly whatToDo: string
  readonly details: AlertDetails
}

export type AlertDetails = Readonly<Record<string, string | number | readonly AlertDetails[]>>

export interface News {
  readonly kind: AlertKind
  readonly origin: string
  readonly at: number
  /** What makes it another alert than the others of its kind. */
  readonly key: string
  readonly summary: string
  readonly severity?: AlertSeverity
  readonly details?: AlertDetails
}

export function alertOf({ kind, origin, at, key, summary, severity, details = {} }: News): Alert {
  const { meaning, whatToDo, severity: usual } = ALERTS[kind]
  const id = toHex(sha256(utf8(JSON.stringify([origin, kind, key])))).slice(0, 32)
  return { id, kind, severity: severity ?? usual, origin, at, summary: oneLine(summary), meaning, whatToDo, details }
}

/**
 * Records are written by strangers: what they say must not move the cursor of a terminal nor fill a disk, and a webhook is no place for a
 * token that somebody put in one.
 */
export function oneLine(text: string): string {
  return redact(text, MAX_TEXT)
}

/** UTF-16 units. */
const MAX_TEXT = 512
