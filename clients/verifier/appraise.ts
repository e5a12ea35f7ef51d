/**
 * Appraisal (RFC 9334 §8.3): evidence, judged by a policy against reference values. Pure: the same input, the same result.
 *
 *     evidence ──format──► what was found ──policy──► trustworthiness claims ──AR4SI──► tier
 *
 * @module
 */
import { type Hash, toHex } from '../../merkle/index.ts'
import {
  type Claim,
  type EarClaims,
  type Appraisal as PartAppraisal,
  spkiOfJwk,
  type Tier,
  type TrustVector,
  tierOfCode,
  tierOfVector,
  worstTier,
} from '../../provenance/index.ts'
import { jwkThumbprint, type PublicJwk } from '../../statement/index.ts'
import type { AppraisalPolicy } from './appraisal-policy.ts'
import { checkNonce } from './challenge.ts'
import { VerifierError } from './error.ts'
import { type AppraisalCase, type Examined, IGNORANCE } from './evidence/format.ts'
import type { ReferenceValues } from './reference-values.ts'

export interface AppraisalInput {
  /** The exact bytes. */
  readonly evidence: Uint8Array
  /** What the result calls the policy: the id that it is logged under. */
  readonly policyId: string
  readonly policy: AppraisalPolicy
  /** Of the policy's format; others are passed over. */
  readonly referenceValues: readonly ReferenceValues[]
  /** POSIX seconds. */
  readonly now: number
  /** The challenge that the evidence must answer. */
  readonly nonce?: string
  /** Files that evidence from hardware is verified with. */
  readonly collateral?: readonly Uint8Array[]
  /** Whose key the evidence must be about. Needed where it only holds a digest of the key. */
  readonly workloadKey?: PublicJwk
}

export interface Appraisal {
  /** To be signed: `signEar`. */
  readonly claims: EarClaims
  readonly tier: Tier
  /** What identifies the measured software. */
  readonly measurement: Hash
  /** RFC 7638, of the key that the evidence vouches for. */
  readonly keyThumbprint?: string
}

/** How far an attester's clock may be ahead of ours, in seconds. */
const MAX_CLOCK_SKEW = 60

/** Who the result says appraised (`ear_verifier_id`). */
const VERIFIER = { developer: 'https://provlog.example', build: 'provlog 0.1.0' }

/**
 * Appraises evidence.
 *
 * A result, however bad, is only given about evidence whose signature holds or whose attester is unknown; evidence that proves
 * nothing at all is refused.
 *
 * @throws {@link VerifierError} `malformed_evidence`, `bad_evidence_signature`, `measurement_mismatch`, `evidence_from_future`;
 *   `untrusted_root`, `bad_certificate_chain`, `key_not_bound`, `workload_key_missing` and those of collateral for evidence from
 *   hardware; `stale_evidence` and `wrong_nonce` unless the policy has claims for them
 */
export async function appraise(input: AppraisalInput): Promise<Appraisal> {
  const { evidence, policy, now, nonce } = input
  // The result carries it.
  if (nonce !== undefined) checkNonce(nonce)
  const references = input.referenceValues.filter(({ format }) => format === policy.format.name)
  const { collateral = [], workloadKey: expected } = input
  const { roots, keyBinding, profiles, policyIds } = policy
  const found = await policy.format.examine(evidence, {
    references,
    now,
    collateral,
    ...(nonce === undefined ? {} : { nonce }),
    ...(expected ? { workloadKey: expected } : {}),
    ...(roots ? { roots } : {}),
    ...(keyBinding === undefined ? {} : { keyBinding }),
    ...(profiles ? { profiles } : {}),
    ...(policyIds ? { policyIds } : {}),
  })
  if (expected && !found.workloadKey && !found.cases.includes('unknownAttester')) {
    throw new VerifierError('key_not_bound', 'the evidence vouches for no key, or not all of it does')
  }
  const parts = found.parts ?? new Map([[policy.format.submodule, found]])
  const judged = [...parts].map(([label, part]): [string, Judged] => [label, judge(part, input)])
  const tier = worstTier(judged.map(([, { appraisal }]) => appraisal.status))
  const { workloadKey } = found
  const answered = nonce !== undefined && judged.every(([, { answersNonce }]) => answersNonce)
  return {
    claims: {
      issuedAt: now,
      expiresAt: now + policy.resultLifetimeSeconds,
      verifier: VERIFIER,
      status: tier,
      ...(answered ? { nonces: [nonce] } : {}),
      appraisals: new Map(judged.map(([label, { appraisal }]) => [label, appraisal])),
    },
    tier,
    measurement: found.measurement,
    ...(workloadKey ? { keyThumbprint: jwkThumbprint(workloadKey) } : {}),
  }
}

interface Judged {
  readonly appraisal: PartAppraisal
  readonly answersNonce: boolean
}

/** One thing that the evidence is about. */
function judge(found: Examined, input: AppraisalInput): Judged {
  const { policy, policyId, nonce } = input
  const cases = [...found.cases, ...freshnessCases(found, input)]
  const { said, workloadKey } = found
  const vector = vectorOf(policy, cases, said)
  const isEmpty = Object.keys(vector).length === 0
  // Of a result that makes no claims only its status is left, and that is no better here than there.
  const fromClaims = isEmpty && said && !said.vector ? [] : [tierOfVector(vector)]
  const attestedKey = workloadKey ? spkiOfJwk(workloadKey) : said?.attestedKey
  return {
    appraisal: {
      status: worstTier([...(said ? [said.status] : []), ...fromClaims]),
      ...(isEmpty ? {} : { vector }),
      policyIds: [policyId],
      ...(attestedKey ? { attestedKey } : {}),
      annotatedEvidence: { ...found.detail, measurement: toHex(found.measurement), cases },
    },
    answersNonce: nonce !== undefined && !cases.includes('wrongNonce'),
  }
}

function freshnessCases(
  { cases: found, issuedAt, nonce: answer }: Examined,
  { policy, now, nonce }: AppraisalInput,
): AppraisalCase[] {
  if (issuedAt !== undefined && issuedAt > now + MAX_CLOCK_SKEW) {
    throw new VerifierError('evidence_from_future', `made at ${issuedAt}, and it is ${now}`)
  }
  const cases: AppraisalCase[] = []
  if (found.includes('undated') && !policy.claims.undated && !policy.accept?.includes('undated')) {
    throw new VerifierError('stale_evidence', 'nothing says when it was made, and it answers no challenge')
  }
  const age = issuedAt === undefined ? 0 : now - issuedAt
  if (age > policy.maxEvidenceAgeSeconds || found.includes('stale')) {
    const why = found.includes('stale')
      ? 'past the end that it names'
      : `${age} s old, and the policy takes ${policy.maxEvidenceAgeSeconds} s`
    if (!policy.claims.stale) throw new VerifierError('stale_evidence', why)
    if (!found.includes('stale')) cases.push('stale')
  }
  if (nonce !== undefined && answer !== nonce) {
    if (!policy.claims.wrongNonce) throw new VerifierError('wrong_nonce', 'the evidence does not answer the challenge')
    cases.push('wrongNonce')
  }
  return cases
}

/**
 * What the policy says of all the cases together, and the format where the policy is silent: for each claim the worst.
 *
 * Of what another Verifier `said`, the policy's `match` names the claims that are passed on, and how good each may be at best. What does
 * not affirm is passed on in any case: leaving it out would make the result better than theirs.
 */
function vectorOf(
  { claims, accept, format }: AppraisalPolicy,
  cases: readonly AppraisalCase[],
  said?: Examined['said'],
): TrustVector {
  const accepted: readonly AppraisalCase[] = IGNORANCE.filter((name) => accept?.includes(name))
  // Of an attester that nobody knows nothing was verified, so that even the clean part of the policy does not apply.
  const vector: { [C in Claim]?: number } = cases.includes('unknownAttester')
    ? {}
    : said
      ? passedOn(said.vector ?? {}, claims.match)
      : { ...claims.match }
  for (const each of cases.filter((name) => name !== 'match' && !accepted.includes(name))) {
    const found = claims[each] ?? format.defaults[each] ?? {}
    for (const [claim, code] of Object.entries(found) as [Claim, number][]) {
      vector[claim] = vector[claim] === undefined ? code : worseOf(vector[claim], code)
    }
  }
  return vector
}

function passedOn(theirs: TrustVector, best: TrustVector): { [C in Claim]?: number } {
  const entries = Object.entries(theirs) as [Claim, number][]
  return Object.fromEntries(
    entries.flatMap(([claim, code]): [Claim, number][] => {
      const cap = best[claim]
      if (cap !== undefined) return [[claim, worseOf(cap, code)]]
      return tierOfCode(code) === 'affirming' || code === 0 ? [] : [[claim, code]]
    }),
  )
}

/** Of one tier, the second. */
function worseOf(first: number, second: number): number {
  const [a, b] = [tierOfCode(first), tierOfCode(second)]
  return worstTier([a, b]) === b ? second : first
}
