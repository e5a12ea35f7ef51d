/**
 * Which attestation results an issuer believes: logged by their Verifier, signed by it, not expired, about this very key.
 *
 * @module
 */
import { EvidenceError, type Hash, sha256, toHex } from '../../merkle/index.ts'
import {
  type AppraisedResult,
  type Authorization,
  attestedJwk,
  type EarClaims,
  kidOfResult,
  resultBytes,
  type SignedResult,
  tierOfResult,
  verifyEar,
} from '../../provenance/index.ts'
import { jwkThumbprint, type VerificationJwk } from '../../statement/index.ts'
import type { LogClient, LoggedRecord } from '../log-client/index.ts'
import { IssuerError } from './error.ts'

/** What one record may link. */
export const MAX_RESULTS = 16

export interface ResultContext {
  readonly client: Pick<LogClient, 'authorizations' | 'latest'>
  /** kid of the issuer. */
  readonly issuer: string
  readonly trustDomain: string
  /** Verifiers of other trust domains that are believed here, by workload identifier. */
  readonly verifiers: readonly string[]
  readonly workloadKey: VerificationJwk
  /** POSIX seconds. */
  readonly now: number
}

/** A result that may be decided on, and the record that it was logged in. */
export interface AcceptedResult extends AppraisedResult {
  readonly entry: Hash
}

/**
 * Checks one result, of any dialect, as a JWT or a CWT: what counts is that an authorized Verifier logged it and signed it.
 *
 * @throws {@link IssuerError} `malformed_result`, `verifier_is_issuer`, `verifier_not_authorized`, `unknown_result`,
 *   `bad_result_signature`, `expired_result`, `result_record_mismatch`, `key_not_attested`
 */
export async function acceptResult(result: SignedResult, context: ResultContext): Promise<AcceptedResult> {
  const { client, now } = context
  const read = readResult(result)
  const { kid, digest } = read
  if (kid === context.issuer) throw new IssuerError('verifier_is_issuer', 'the result is signed with our own key')
  const verifier = await authorizedVerifier(kid, context)

  const logged = await client.latest('attestation-result', kid, digest)
  if (!logged) throw new IssuerError('unknown_result', `verifier ${verifier.subject} has not logged result ${digest}`)

  const claims = await verifiedClaims(read, verifier)
  // No tolerance for a Verifier whose clock is ahead: a relying party would find a decision on a result from the future.
  const from = Math.max(claims.issuedAt, claims.notBefore ?? 0)
  if (from > now || claims.expiresAt === undefined || now >= claims.expiresAt) {
    throw new IssuerError('expired_result', `valid from ${from} to ${claims.expiresAt ?? 'nobody knows when'}`)
  }
  checkAgainstRecord(claims, logged)
  checkKey(claims, context.workloadKey)
  const measurement = measurementOf(claims)
  return { claims, verifier: verifier.subject, entry: logged.entry, ...(measurement ? { measurement } : {}) }
}

/** A result that names its key, and what it says once it was found to be signed with a key of that name. */
interface ReadResult {
  readonly result: SignedResult
  /** Only a name to look up, until the signature was checked. */
  readonly kid: string
  /** SHA-256 in lower-case hex. */
  readonly digest: string
  claims?: { readonly by: VerificationJwk; readonly claims: EarClaims }
}

/** A workload renews many times on one result. What it says does not change; whether it still counts is asked each time. */
const resultsRead = new Map<string, ReadResult>()
const MAX_RESULTS_READ = 1024
/** An EAR that carries its evidence is longer, and seldom. */
const MAX_REMEMBERED_BYTES = 16 * 1024

function readResult(result: SignedResult): ReadResult {
  const digest = toHex(sha256(resultBytes(result)))
  const known = resultsRead.get(digest)
  if (known && typeof known.result === typeof result) return known
  const kid = asIssuerError('malformed_result', () => kidOfResult(result))
  if (kid === undefined || !/^[A-Za-z0-9_-]{43}$/.test(kid)) {
    throw new IssuerError('malformed_result', 'the result does not name its key')
  }
  // A copy of what is not text: the bytes are the caller's.
  const read = { result: typeof result === 'string' ? result : result.slice(), kid, digest }
  if (result.length <= MAX_REMEMBERED_BYTES) {
    if (resultsRead.size === MAX_RESULTS_READ) resultsRead.delete(resultsRead.keys().next().value!)
    resultsRead.set(digest, read)
  }
  return read
}

/** The last word of the log's admin on the key: an earlier one may have been taken back since. */
async function authorizedVerifier(
  kid: string,
  { client, trustDomain, verifiers, now }: ResultContext,
): Promise<Authorization> {
  const found = (await client.authorizations(kid)).findLast(
    (each) => each.role === 'verifier' && (each.trustDomain === trustDomain || verifiers.includes(each.subject)),
  )
  if (!found) {
    throw new IssuerError(
      'verifier_not_authorized',
      `${kid} is no verifier of ${trustDomain}, nor one that is accepted besides`,
    )
  }
  if (now < found.notBefore || (found.notAfter !== undefined && now >= found.notAfter)) {
    throw new IssuerError('verifier_not_authorized', `the authorization of ${found.subject} is not valid at ${now}`)
  }
  return found
}

async function verifiedClaims(read: ReadResult, { key }: Authorization): Promise<EarClaims> {
  // The very key: what the log authorizes under its name later is another one.
  if (read.claims?.by === key) return read.claims.claims
  try {
    const claims = await verifyEar(read.result, key)
    read.claims = { by: key, claims }
    return claims
  } catch (cause) {
    if (!(cause instanceof EvidenceError)) throw cause
    const code = cause.code === 'bad_signature' ? 'bad_result_signature' : 'malformed_result'
    throw new IssuerError(code, cause.message, { cause })
  }
}

/** What everybody can read in the log must be what the result says: audits by tier and time rest on it. */
function checkAgainstRecord(claims: EarClaims, { record: { fields } }: LoggedRecord<'attestation-result'>): void {
  const tier = tierOfResult(claims)
  if (tier !== fields.tier || claims.issuedAt !== fields.issuedAt || claims.expiresAt !== fields.expiresAt) {
    throw new IssuerError(
      'result_record_mismatch',
      `the result says ${tier}, and its record says ${fields.tier} or other times`,
    )
  }
}

/** A result that attests no key may be part of a composite, and policies see so. One that attests another key is of another workload. */
function checkKey({ appraisals }: EarClaims, workloadKey: VerificationJwk): void {
  for (const [label, appraisal] of appraisals) {
    if (!appraisal.attestedKey) continue
    const attested = attestedJwk(appraisal)
    if (!attested || jwkThumbprint(attested) !== jwkThumbprint(workloadKey)) {
      throw new IssuerError('key_not_attested', `${label} attests another key than the one to issue for`)
    }
  }
}

/** The digest of what was measured, where the result is about one thing and says so. */
function measurementOf({ appraisals }: EarClaims): string | undefined {
  const [only, ...more] = appraisals.values()
  const measurement = more.length === 0 ? only?.annotatedEvidence?.['measurement'] : undefined
  return typeof measurement === 'string' && /^[0-9a-f]{64}$/.test(measurement) ? measurement : undefined
}

function asIssuerError<T>(code: 'malformed_result', read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (!(cause instanceof EvidenceError)) throw cause
    throw new IssuerError(code, cause.message, { cause })
  }
}
