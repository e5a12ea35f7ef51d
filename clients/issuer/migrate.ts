/**
 * A workload that runs elsewhere now. When it is the same workload there, attested as well as it was, its credential says nothing that has
 * become untrue, and is kept: the log learns on which results. Else it is issued anew (TWI requirement 8).
 *
 * @module
 */
import { type Hash, toHex } from '../../merkle/index.ts'
import { attestationFacts, isAtLeast, parseCredential, type SignedResult, worstTier } from '../../provenance/index.ts'
import type { LogClient } from '../log-client/index.ts'
import { authorizedIssuer, type Party } from './author.ts'
import { IssuerError } from './error.ts'
import { acceptResult } from './results.ts'
import { findCredential, setCredentialStatus } from './status.ts'

export interface MigrateInput extends Party {
  readonly client: Pick<LogClient, 'authorizations' | 'bundle' | 'latest' | 'registerRecord'>
  /** The credential: compact JWS, PEM or DER. */
  readonly credential: Uint8Array
  /** About the workload where it is now. */
  readonly results: readonly SignedResult[]
  /** Verifiers of other trust domains whose results are accepted. */
  readonly verifiers?: readonly string[]
}

/**
 * Logs that the credential stays what it is.
 *
 * @throws {@link IssuerError} `claims_changed`, `unknown_credential`, `illegal_status`, `not_authorized`; those of {@link acceptResult}
 */
export async function migrateCredential(input: MigrateInput): Promise<{ entry: Hash; index: number }> {
  const { client, now, verifiers = [] } = input
  const { author, authorization } = await authorizedIssuer(input)
  const { digest, publicJwk, keyThumbprint } = parseCredential(input.credential)
  const found = await findCredential(client, digest)
  const context = { client, issuer: author.key.kid, trustDomain: authorization.trustDomain, verifiers, now }
  const results = await Promise.all(
    input.results.map((result) => acceptResult(result, { ...context, workloadKey: publicJwk })),
  )
  const there = attestationFacts(results, keyThumbprint, now)
  const before = attestedBefore(found)
  if (!there.keyAttested) throw changed('the results do not attest the key of the credential')
  if (there.results < before.results) throw changed(`${there.results} results, where ${before.results} were`)
  if (!isAtLeast(there.tier, before.tier)) throw changed(`${there.tier} there, and ${before.tier} when it was issued`)
  if (before.subject !== undefined && there.measurements.join() !== before.subject) {
    throw changed(`${there.measurements.join() || 'nothing'} was measured there, and ${before.subject} was issued for`)
  }
  return setCredentialStatus({
    ...input,
    credentialDigest: digest,
    status: 'migrated',
    results: results.map(({ entry }) => entry),
  })
}

/** What everybody can see of the grounds on which it was issued. */
function attestedBefore({ records, results }: Awaited<ReturnType<typeof findCredential>>) {
  const workload = records.find((record) => record.type === 'workload-provenance')?.fields
  const subject = workload?.subjectKind === 'measurement' ? toHex(workload.subject) : undefined
  return { results: results.length, tier: worstTier(results.map(({ tier }) => tier)), subject }
}

function changed(why: string): IssuerError {
  return new IssuerError('claims_changed', `${why}: issue anew`)
}
