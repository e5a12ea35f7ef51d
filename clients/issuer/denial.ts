/**
 * Whatever is refused leaves a trace (WIMSE architecture, audit trails): from the moment at which it is known who asks.
 *
 * @module
 */
import { EvidenceError, type Hash } from '../../merkle/index.ts'
import {
  type DecisionTrace,
  type IssuanceDecision,
  type Link,
  ProvenanceError,
  type SectionsOf,
} from '../../provenance/index.ts'
import { jwkThumbprint, type PublicJwk, StatementError, type VerificationJwk } from '../../statement/index.ts'
import { type LogClient, RefusedError } from '../log-client/index.ts'
import { VersionError } from '../log-client/policy-version.ts'
import { type AuthorizedParty, authorizedIssuer, type Party } from './author.ts'
import { IssuanceDenied, IssuerError } from './error.ts'
import type { Trail } from './grounds.ts'

/** What was asked for, as it was asked. */
export interface Asked {
  readonly subject?: string
  readonly kind?: 'wit' | 'wic'
  readonly workloadKey?: VerificationJwk
}

export interface DenyInput extends Party, Asked {
  readonly client: Pick<LogClient, 'authorizations' | 'registerRecord'>
  /** A stable code. Everybody can read it, so it names nobody. */
  readonly reason: string
  /** For whoever may open it. */
  readonly detail?: string
  /** What it was decided on, as far as that got. */
  readonly links?: readonly Link[]
  readonly recipients?: readonly PublicJwk[]
}

/**
 * Logs that a request was refused, by whatever decided that: a person, a front end, a rate limit.
 *
 * @throws IssuerError `not_authorized`; ProvenanceError `malformed_record`; RefusedError; UnavailableError
 */
export async function deny(input: DenyInput): Promise<{ entry: Hash; index: number }> {
  const party = await authorizedIssuer(input)
  const { encryptionKey } = party.authorization
  const recipients = [...(encryptionKey ? [encryptionKey] : []), ...(input.recipients ?? [])]
  return register(input, party, { links: [...(input.links ?? [])], recipients }, input)
}

/** Logs a refusal that was thrown, when it is one. What the log itself refused, or could not be asked, is none. */
export async function logRefusal(
  client: Pick<LogClient, 'registerRecord'>,
  party: AuthorizedParty,
  trail: Trail,
  asked: Asked,
  error: unknown,
): Promise<void> {
  if (!isRefusal(error)) return
  const { code, message } = error
  await register({ client }, party, trail, { ...asked, reason: code, detail: message })
}

/** The policy said no. */
export async function logDenial(
  client: Pick<LogClient, 'registerRecord'>,
  party: AuthorizedParty,
  trail: Trail,
  asked: Asked,
  decision: IssuanceDecision,
): Promise<IssuanceDenied> {
  const denied = { ...asked, reason: 'policy_denied', decision: traceOf(decision) }
  const { entry, index } = await register({ client }, party, trail, denied)
  const { reasons, errors } = decision
  const why = [...reasons, ...errors].join('; ') || 'nothing in the policy permits it'
  return new IssuanceDenied(`the issuance policy denies: ${why}`, { reasons, entry, index })
}

/** The part of a decision that is sealed. */
export function traceOf({ errors: _errors, ...trace }: IssuanceDecision): DecisionTrace {
  return trace
}

interface Denied extends Asked {
  readonly reason: string
  readonly detail?: string
  readonly decision?: DecisionTrace
}

async function register(
  { client }: { readonly client: Pick<LogClient, 'registerRecord'> },
  { author, authorization }: AuthorizedParty,
  { links, recipients }: Trail,
  { reason, detail, decision, ...asked }: Denied,
): Promise<{ entry: Hash; index: number }> {
  const credential = credentialOf(asked)
  const { entry, index } = await client.registerRecord(
    {
      type: 'issuance-denied',
      fields: { reason },
      links: [...links, { rel: 'key-authorization', entry: authorization.entry }],
      sections: {
        ...(credential && { credential }),
        ...(decision && { decision }),
        ...(detail && { detail: { text: readable(detail) } }),
      },
      recipients,
    },
    author,
  )
  return { entry, index }
}

/** As much as a record has room for. It quotes what was sent: half a character, there or where it is cut, would keep the denial off the log. */
function readable(detail: string): string {
  return Buffer.from(detail.slice(0, MAX_DETAIL)).toString()
}

/** Characters. */
const MAX_DETAIL = 4096

/** As far as it can be said: it may be refused for exactly what would not go into a record. */
function credentialOf({ subject, kind, workloadKey }: Asked): SectionsOf<'issuance-denied'>['credential'] {
  if (subject === undefined || !kind || !workloadKey || !/^[\x20-\x7e]{1,2048}$/.test(subject)) return undefined
  try {
    return { subject, kind, keyThumbprint: jwkThumbprint(workloadKey) }
  } catch (error) {
    if (error instanceof EvidenceError) return undefined
    throw error
  }
}

function isRefusal(error: unknown): error is Error & { readonly code: string } {
  if (error instanceof IssuanceDenied) return false
  // The log refuses what rests on something that was withdrawn: that is a reason not to issue, as if we had known.
  if (error instanceof RefusedError) return error.code === 'link_retracted'
  // The record is on the log already, and says that it was issued.
  if (error instanceof IssuerError) return error.code !== 'self_check_failed'
  return error instanceof ProvenanceError || error instanceof VersionError || error instanceof StatementError
}
