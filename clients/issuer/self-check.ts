/**
 * The issuer as its own first relying party: a credential that would not verify is not handed out.
 *
 * @module
 */
import { sha256, toHex } from '../../merkle/index.ts'
import {
  type Bundle,
  type Credential,
  EvidenceMemory,
  parseTrust,
  type ReadStatement,
  type TrustDocument,
  verifyCredential,
} from '../../provenance/index.ts'
import type { LogClient } from '../log-client/index.ts'
import type { AuthorizedParty } from './author.ts'
import { IssuerError } from './error.ts'
import { spiffeBundle } from './spiffe-bundle.ts'

export interface SelfCheck {
  readonly client: Pick<LogClient, 'origin' | 'policy'>
  readonly credential: Credential
  /** The bundle, as the log gives it to anybody. */
  readonly story: Bundle
  /** What was logged, as it was read once before it was signed. */
  readonly record: ReadStatement
  readonly issuer: AuthorizedParty
  /** DER. */
  readonly anchor: Uint8Array | undefined
  /** Of the Verifiers whose results were accepted. */
  readonly verifiers: readonly string[]
  /** POSIX seconds. */
  readonly now: number
}

/**
 * Verifies a credential and its bundle as a relying party would that trusts exactly this issuer and the Verifiers it relied on.
 *
 * @throws {@link IssuerError} `self_check_failed`, with the checks that failed
 */
export async function checkAsRelyingParty({ credential, story, record, now, ...context }: SelfCheck): Promise<void> {
  const memory = await memoryFor(context)
  memory.keep(record)
  const { ok, checks } = await verifyCredential({
    credential,
    bundle: story,
    trust: memory.trust,
    memory,
    at: now,
  })
  if (ok) return
  const failed = checks
    .filter(({ outcome }) => outcome === 'failed')
    .map(({ id, code, detail }) => `${id} (${code}): ${detail}`)
  throw new IssuerError(
    'self_check_failed',
    `the credential is withheld: ${failed.join('; ') || 'a check could not be made'}`,
  )
}

/** Whom the check believes: what is asked of them, and nothing else. */
type Parties = Omit<SelfCheck, 'credential' | 'story' | 'record' | 'now'>

/** Of one log and trust: what many credentials have in common is found once, and what is a credential's own each time. */
async function memoryFor(parties: Parties): Promise<EvidenceMemory> {
  const { client, issuer, anchor, verifiers } = parties
  const [origin, { fields }] = await Promise.all([client.origin(), client.policy()])
  const { author, authorization } = issuer
  const anchored = anchor ? toHex(sha256(anchor)) : ''
  const name = [origin, fields.vkeys, author.issuer, author.key.kid, authorization.trustDomain, anchored, verifiers]
  const known = memories.get(client) ?? new Map<string, EvidenceMemory>()
  memories.set(client, known)
  const text = JSON.stringify(name)
  const memory =
    known.get(text) ?? new EvidenceMemory(parseTrust(JSON.stringify(trustIn(parties, origin, fields.vkeys))))
  if (known.size === MAX_TRUSTS && !known.has(text)) known.clear()
  known.set(text, memory)
  return memory
}

const memories = new WeakMap<SelfCheck['client'], Map<string, EvidenceMemory>>()
/** An issuer has one, and another for each set of Verifiers whose results it takes together. */
const MAX_TRUSTS = 16

function trustIn({ issuer, anchor, verifiers }: Parties, origin: string, vkeys: readonly string[]): TrustDocument {
  const anchors = anchor ? [anchor] : []
  const { key } = issuer.author
  return {
    logs: vkeys.map((vkey) => ({ origin, vkey })),
    trustDomains: { [issuer.authorization.trustDomain]: spiffeBundle({ anchors, witKeys: [key.publicJwk] }) },
    issuers: [issuer.author.issuer],
    verifiers,
    // How good the results must be was the policy's to decide.
    minimumTier: 'contraindicated',
  }
}
