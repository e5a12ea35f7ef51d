/**
 * Results of other Verifiers as evidence (RFC 9334 §3.2, layered): an EAR, as a JWT or a CWT, of any dialect. Our Verifier vouches for it and logs it.
 *
 * Whose results are believed stands in the reference values, as keys; in which dialects and under which of their policies, how old they may be, and
 * how much of them is passed on stands in the appraisal policy. What comes out is never better than what went in.
 *
 * @module
 */
import { EvidenceError, fromHex, sha256, utf8 } from '../../../../merkle/index.ts'
import {
  type Appraisal,
  attestedJwk,
  CLAIMS,
  EAR_PROFILE,
  type EarClaims,
  resultOfFile,
  type SignedResult,
  tierOfResult,
  verifyEar,
} from '../../../../provenance/index.ts'
import { MAX_RESULT_LENGTH } from '../../../../provenance/records/attestation-result.ts'
import { jwkThumbprint, type VerificationJwk } from '../../../../statement/index.ts'
import { malformedEvidence, readingEvidence, VerifierError } from '../../error.ts'
import type { AppraisalCase, EvidenceFormat, Examination, Examined } from '../format.ts'
import { readCollateral } from '../hardware/collateral.ts'
import { together } from '../hardware/hardware-format.ts'
import { type VerifierKey, verifiedBy, verifierKeys } from './verifier-keys.ts'

/** How far another Verifier's clock may be ahead of ours, in seconds. */
const MAX_CLOCK_SKEW = 60

async function examine(evidence: Uint8Array, examination: Examination): Promise<Examined> {
  if (evidence.length > MAX_RESULT_LENGTH) {
    throw malformedEvidence(`longer than ${MAX_RESULT_LENGTH} bytes`)
  }
  const result = resultIn(evidence)
  const { documents } = readCollateral(examination.collateral)
  const keys = verifierKeys(
    examination.references.flatMap(({ attesters }) => attesters),
    documents,
  )
  const { key, value: claims } = await verifiedBy(keys, (jwk) => claimsUnder(jwk, result))
  if ((claims.notBefore ?? 0) > examination.now + MAX_CLOCK_SKEW) {
    throw new VerifierError('evidence_from_future', `not before ${claims.notBefore}, and it is ${examination.now}`)
  }
  checkKeys(claims, examination.workloadKey)
  return together(
    new Map(
      [...claims.appraisals].map(([label, part]) => [label, examined(part, { claims, key, evidence, examination })]),
    ),
    { areOne: true },
  )
}

/** Undefined when another key made the signature. @throws {@link VerifierError} `malformed_evidence` */
async function claimsUnder(jwk: VerificationJwk, result: SignedResult): Promise<EarClaims | undefined> {
  try {
    return await verifyEar(result, jwk)
  } catch (cause) {
    if (!(cause instanceof EvidenceError)) throw cause
    if (cause.code === 'bad_signature') return undefined
    throw malformedEvidence(`${cause.code}: ${cause.message}`, cause)
  }
}

interface Whole {
  readonly claims: EarClaims
  readonly key: VerifierKey
  readonly evidence: Uint8Array
  readonly examination: Examination
}

function examined(part: Appraisal, { claims, key, evidence, examination }: Whole): Examined {
  const { issuedAt, expiresAt, nonces = [], verifier, profile = EAR_PROFILE } = claims
  const { nonce, now } = examination
  const workloadKey = jwkIn(part)
  const detail = {
    verifier: { ...verifier },
    key: key.thumbprint,
    profile,
    status: part.status,
    overall: tierOfResult(claims),
    policies: part.policyIds ?? [],
    issuedAt,
    ...(expiresAt === undefined ? {} : { expiresAt }),
  }
  const common = {
    issuedAt,
    ...(nonce !== undefined && nonces.includes(nonce) ? { nonce } : {}),
    measurement: measurementIn(part) ?? sha256(evidence),
    detail,
  }
  const expired: AppraisalCase[] = expiresAt !== undefined && now >= expiresAt ? ['stale'] : []
  // Of a Verifier that nobody knows nothing is passed on.
  if (!key.isBelieved) return { ...common, cases: ['unknownAttester', ...expired] }
  return {
    ...common,
    cases: [isTaken(part, profile, examination) ? 'match' : 'mismatch', ...expired],
    ...(workloadKey ? { workloadKey } : {}),
    said: {
      // What it says of the whole holds of each part.
      status: claims.status ? tierOfResult(claims) : part.status,
      ...(part.vector ? { vector: part.vector } : {}),
      ...(part.attestedKey ? { attestedKey: part.attestedKey } : {}),
    },
  }
}

/** Whether it was made in a dialect and by policies that our policy names. */
function isTaken({ policyIds = [] }: Appraisal, profile: string, examination: Examination): boolean {
  const { profiles, policyIds: named } = examination
  if (profiles && !profiles.some((each) => each === profile)) return false
  return !named || (policyIds.length > 0 && policyIds.every((id) => named.includes(id)))
}

/** @throws {@link VerifierError} `key_not_bound` where it attests another key than the workload's */
function checkKeys({ appraisals }: EarClaims, expected: VerificationJwk | undefined): void {
  if (!expected) return
  for (const [label, part] of appraisals) {
    if (!part.attestedKey) continue
    const jwk = jwkIn(part)
    if (!jwk || jwkThumbprint(jwk) !== jwkThumbprint(expected)) {
      throw new VerifierError('key_not_bound', `${label} is about another key`)
    }
  }
}

/** Undefined where none is attested, or one that is no workload's here. */
function jwkIn(part: Appraisal): VerificationJwk | undefined {
  try {
    return attestedJwk(part)
  } catch (error) {
    if (error instanceof EvidenceError) return undefined
    throw error
  }
}

/** Verifiers such as ours say by one digest what was measured. */
function measurementIn({ annotatedEvidence }: Appraisal): Uint8Array | undefined {
  const measurement = annotatedEvidence?.['measurement']
  return typeof measurement === 'string' && /^[0-9a-f]{64}$/.test(measurement) ? fromHex(measurement) : undefined
}

function resultIn(evidence: Uint8Array): SignedResult {
  return readingEvidence(() => resultOfFile(evidence))
}

export const ear: EvidenceFormat = {
  name: 'ear',
  submodule: 'ear',
  claims: CLAIMS,
  cases: ['match', 'mismatch', 'unknownAttester', 'stale', 'wrongNonce'],
  // As for hardware: an attester that is not recognized.
  defaults: { unknownAttester: { 'instance-identity': 97 } },
  keyBindings: [],
  attesters: true,
  ofFile: (file) => {
    const result = resultIn(file)
    return typeof result === 'string' ? utf8(result) : result
  },
  resultIn,
  examine,
}
