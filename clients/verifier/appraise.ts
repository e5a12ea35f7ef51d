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
  spkiOfJwk,
  type Tier,
  type TrustVector,
  tierOfCode,
  tierOfVector,
  worstTier,
} from '../../provenance/index.ts'
import { jwkThumbprint, type PublicJwk } from '../../statement/index.ts'
import type { AppraisalPolicy } from './appraisal-policy.ts'
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
  const { evidence, policy, policyId, now, nonce } = input
  const references = input.referenceValues.filter(({ format }) => format === policy.format.name)
  const { collateral = [], workloadKey: expected } = input
  const { roots, keyBinding } = policy
  const found = await policy.format.examine(evidence, {
    references,
    now,
    collateral,
    ...(nonce === undefined ? {} : { nonce }),
    ...(expected ? { workloadKey: expected } : {}),
    ...(roots ? { roots } : {}),
    ...(keyBinding === undefined ? {} : { keyBinding }),
  })
  if (expected && !found.workloadKey && !found.cases.includes('unknownAttester')) {
    throw new VerifierError('key_not_bound', 'the evidence vouches for no key')
  }
  const cases = [...found.cases, ...freshnessCases(found, input)]

  const vector = vectorOf(policy, cases)
  const tier = tierOfVector(vector)
  const { workloadKey } = found
  const answered = nonce !== undefined && !cases.includes('wrongNonce')
  return {
    claims: {
      issuedAt: now,
      expiresAt: now + policy.resultLifetimeSeconds,
      verifier: VERIFIER,
      status: tier,
      ...(answered ? { nonces: [nonce] } : {}),
      appraisals: new Map([
        [
          policy.format.submodule,
          {
            status: tier,
            vector,
            policyIds: [policyId],
            ...(workloadKey ? { attestedKey: spkiOfJwk(workloadKey) } : {}),
            annotatedEvidence: { ...found.detail, measurement: toHex(found.measurement), cases },
          },
        ],
      ]),
    },
    tier,
    measurement: found.measurement,
    ...(workloadKey ? { keyThumbprint: jwkThumbprint(workloadKey) } : {}),
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
  if (issuedAt !== undefined && now - issuedAt > policy.maxEvidenceAgeSeconds) {
    const why = `${now - issuedAt} s old, and the policy takes ${policy.maxEvidenceAgeSeconds} s`
    if (!policy.claims.stale) throw new VerifierError('stale_evidence', why)
    cases.push('stale')
  }
  if (nonce !== undefined && answer !== nonce) {
    if (!policy.claims.wrongNonce) throw new VerifierError('wrong_nonce', 'the evidence does not answer the challenge')
    cases.push('wrongNonce')
  }
  return cases
}

/** What the policy says of all the cases together, and the format where the policy is silent: for each claim the worst. */
function vectorOf({ claims, accept, format }: AppraisalPolicy, cases: readonly AppraisalCase[]): TrustVector {
  const accepted: readonly AppraisalCase[] = IGNORANCE.filter((name) => accept?.includes(name))
  // Of an attester that nobody knows nothing was verified, so that even the clean part of the policy does not apply.
  const vector: { [C in Claim]?: number } = cases.includes('unknownAttester') ? {} : { ...claims.match }
  for (const each of cases.filter((name) => !accepted.includes(name))) {
    const said = claims[each] ?? format.defaults[each] ?? {}
    for (const [claim, code] of Object.entries(said) as [Claim, number][]) {
      const before = vector[claim]
      if (before === undefined || worstTier([tierOfCode(before), tierOfCode(code)]) === tierOfCode(code))
        vector[claim] = code
    }
  }
  return vector
}
