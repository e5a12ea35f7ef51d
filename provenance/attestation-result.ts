/**
 * EAT Attestation Results (draft-ietf-rats-ear-03, JSON), as the JWT that a Verifier signs.
 *
 *   { "eat_profile": "tag:ietf.org,2026:rats/ear#03", "iat": …, "exp": …,
 *     "ear_verifier_id": { "developer": …, "build": … },
 *     "submods": { "payments": { "ear_status": "affirming",
 *                                "ear_trustworthiness_vector": { "executables": 2 },
 *                                "ear_appraisal_policy_ids": ["bank-baseline"] } } }
 *
 * A Verifier says a status and also the claims it rests on (AR4SI). The status is recomputed here: one that is better than
 * its own claims is refused, and so is an overall status better than the worst submodule. Times are integers: a float, which
 * the draft forbids and `JSON.parse` hides, is refused by its literal.
 *
 * The JWS `typ` is `eat+jwt`, the registered media type without `application/` (RFC 9782, RFC 7515 §4.1.9). The draft's own
 * `eat-jwt`, and the `JWT` or nothing that Verifiers in the field send, are read too: `eat_profile` tells an EAR from any
 * other token, and a profile that we do not know is refused, whatever its claims look like.
 *
 * @module
 */
import { fromBase64url, toBase64url } from '../merkle/bytes.ts'
import { EvidenceError } from '../merkle/error.ts'
import type { PrivateJwk, VerificationJwk } from '../statement/cose-key.ts'
import type { SigningKey, VerificationKey } from '../statement/signature.ts'
import { jwkOfSpki } from './certificate-key.ts'
import { ProvenanceError } from './error.ts'
import { canonicalJson, isJsonObject, type Json, type JsonObject, parseJson } from './json.ts'
import { signCompactJws, verifyCompactJws } from './jws.ts'
import { CLAIMS, type Claim, TIERS, type Tier, type TrustVector, tierOfVector, worstTier } from './tier.ts'

export const EAR_PROFILE = 'tag:ietf.org,2026:rats/ear#03'
export const EAR_TYP = 'eat+jwt'

/** What a Verifier found out about one part of a workload. */
export interface Appraisal {
  readonly status: Tier
  readonly vector?: TrustVector
  /** In the order they were applied; opaque to all but the Verifier, which is why the policies are logged by digest. */
  readonly policyIds?: readonly string[]
  /** `ear_veraison_key_attestation.akpub`: the SubjectPublicKeyInfo (DER) of a key that the evidence binds to the workload. */
  readonly attestedKey?: Uint8Array
  /** `ear_veraison_annotated_evidence`: what the evidence said, as the Verifier reads it. */
  readonly annotatedEvidence?: JsonObject
}

/** The claims of an EAR. Times are POSIX seconds. */
export interface EarClaims {
  readonly issuedAt: number
  readonly expiresAt?: number
  readonly verifier: { readonly developer: string; readonly build: string }
  /** What the Verifier says overall; when absent, {@link tierOfResult} is the worst of the parts. */
  readonly status?: Tier
  /** `eat_nonce`: the challenges that the evidence answered, as they stand. */
  readonly nonces?: readonly string[]
  readonly rawEvidence?: Uint8Array
  /** By label; at least one. */
  readonly appraisals: ReadonlyMap<string, Appraisal>
}

/** The tier of the whole result: no better than any of its parts. */
export function tierOfResult(claims: EarClaims): Tier {
  const parts = [...claims.appraisals.values()].map(({ status }) => status)
  return worstTier(claims.status ? [claims.status, ...parts] : parts)
}

/**
 * The claims set as JSON text, in its canonical form.
 *
 * @throws {@link ProvenanceError} `inconsistent_result` rather than say something better than the claims allow, `malformed_result`
 */
export function buildEarClaims(claims: EarClaims): string {
  const submods: Record<string, Json> = {}
  for (const [label, appraisal] of claims.appraisals) submods[label] = appraisalJson(appraisal)
  const text = canonicalJson({
    eat_profile: EAR_PROFILE,
    iat: claims.issuedAt,
    ...(claims.expiresAt === undefined ? {} : { exp: claims.expiresAt }),
    ear_verifier_id: { developer: claims.verifier.developer, build: claims.verifier.build },
    ...(claims.status ? { ear_status: claims.status } : {}),
    ...(claims.nonces ? { eat_nonce: claims.nonces.length === 1 ? claims.nonces[0]! : claims.nonces } : {}),
    ...(claims.rawEvidence ? { ear_raw_evidence: toBase64url(claims.rawEvidence) } : {}),
    submods,
  })
  // What we would refuse from others we do not sign.
  parseEarClaims(text)
  return text
}

/**
 * Reads a claims set and recomputes every status in it.
 *
 * @throws {@link ProvenanceError} `malformed_json`, `unsupported_profile`, `malformed_result`, `inconsistent_result`
 */
export function parseEarClaims(text: string): EarClaims {
  const claims = parseJson(text)
  if (!isJsonObject(claims)) throw refuse('not an object')
  if (claims['eat_profile'] !== EAR_PROFILE) {
    const profile = JSON.stringify(claims['eat_profile'] ?? null)
    throw new ProvenanceError('unsupported_profile', `eat_profile ${profile}, where ${EAR_PROFILE} belongs`)
  }
  const issuedAt = time(claims['iat'], 'iat')
  const expiresAt = claims['exp'] === undefined ? undefined : time(claims['exp'], 'exp')
  if (expiresAt !== undefined && expiresAt < issuedAt) throw refuse('exp is before iat')
  const id = object(claims['ear_verifier_id'], 'ear_verifier_id')
  const verifier = { developer: string(id['developer'], 'developer'), build: string(id['build'], 'build') }
  const status = claims['ear_status'] === undefined ? undefined : tier(claims['ear_status'], 'ear_status')
  const nonce = claims['eat_nonce']
  const raw = claims['ear_raw_evidence']

  const submods = Object.entries(object(claims['submods'], 'submods'))
  if (submods.length === 0) throw refuse('submods is empty')
  const appraisals = new Map(submods.map(([label, value]) => [label, parseAppraisal(value, label)]))
  const result: EarClaims = {
    issuedAt,
    ...(expiresAt === undefined ? {} : { expiresAt }),
    verifier,
    ...(status ? { status } : {}),
    ...(nonce === undefined
      ? {}
      : { nonces: (Array.isArray(nonce) ? nonce : [nonce]).map((n) => string(n, 'eat_nonce')) }),
    ...(raw === undefined ? {} : { rawEvidence: binary(raw, 'ear_raw_evidence') }),
    appraisals,
  }
  if (status && tierOfResult(result) !== status) {
    throw new ProvenanceError('inconsistent_result', `overall ${status}, and a part that is ${tierOfResult(result)}`)
  }
  return result
}

/** Signs an EAR: the compact JWS. @throws as {@link buildEarClaims} */
export function signEar(claims: EarClaims, key: PrivateJwk | SigningKey): Promise<string> {
  return signCompactJws({ typ: EAR_TYP }, buildEarClaims(claims), key)
}

/**
 * Checks an EAR under the Verifier's key and reads it. That it was fresh enough, and signed by a Verifier one trusts, is for
 * the caller.
 *
 * @throws {@link ProvenanceError} `bad_signature`, those of `verifyCompactJws` and of {@link parseEarClaims}
 */
export async function verifyEar(compact: string, key: VerificationJwk | VerificationKey): Promise<EarClaims> {
  const { payload } = await verifyCompactJws(compact, key, { typ: [EAR_TYP, 'eat-jwt', 'JWT', undefined] })
  return parseEarClaims(payload)
}

/** The attested key of an appraisal as a JWK; undefined when there is none, or of a kind that workloads here do not have. */
export function attestedJwk({ attestedKey }: Appraisal): VerificationJwk | undefined {
  return attestedKey && jwkOfSpki(attestedKey)
}

function parseAppraisal(value: Json, label: string): Appraisal {
  const members = object(value, label)
  const status = tier(members['ear_status'], `ear_status of ${label}`)
  const vector = members['ear_trustworthiness_vector']
  const policyIds = members['ear_appraisal_policy_ids']
  const key = members['ear_veraison_key_attestation']
  const evidence = members['ear_veraison_annotated_evidence']
  const appraisal: Appraisal = {
    status,
    ...(vector === undefined ? {} : { vector: parseVector(vector, label) }),
    ...(policyIds === undefined ? {} : { policyIds: texts(policyIds, 'ear_appraisal_policy_ids') }),
    ...(key === undefined ? {} : { attestedKey: binary(object(key, 'key attestation')['akpub'], 'akpub') }),
    ...(evidence === undefined ? {} : { annotatedEvidence: object(evidence, 'ear_veraison_annotated_evidence') }),
  }
  const allowed = appraisal.vector ? tierOfVector(appraisal.vector) : status
  if (worstTier([status, allowed]) !== status) {
    throw new ProvenanceError('inconsistent_result', `${label} is said to be ${status}, and its claims are ${allowed}`)
  }
  return appraisal
}

function parseVector(value: Json, label: string): TrustVector {
  const entries = Object.entries(object(value, 'ear_trustworthiness_vector'))
  if (entries.length === 0) throw refuse(`the vector of ${label} is empty`)
  return Object.fromEntries(
    entries.map(([name, code]) => {
      if (!CLAIMS.includes(name as Claim)) throw refuse(`${JSON.stringify(name)} in the vector of ${label}`)
      if (typeof code !== 'number' || code < -128 || code > 127) throw refuse(`${name} of ${label} is not −128 to 127`)
      return [name, code]
    }),
  )
}

function appraisalJson(appraisal: Appraisal): JsonObject {
  return {
    ear_status: appraisal.status,
    ...(appraisal.vector ? { ear_trustworthiness_vector: { ...appraisal.vector } } : {}),
    ...(appraisal.policyIds ? { ear_appraisal_policy_ids: appraisal.policyIds } : {}),
    ...(appraisal.attestedKey ? { ear_veraison_key_attestation: { akpub: toBase64url(appraisal.attestedKey) } } : {}),
    ...(appraisal.annotatedEvidence ? { ear_veraison_annotated_evidence: appraisal.annotatedEvidence } : {}),
  }
}

function time(value: Json | undefined, name: string): number {
  if (typeof value !== 'number' || value < 0) throw refuse(`${name} is not whole seconds since 1970`)
  return value
}

function tier(value: Json | undefined, name: string): Tier {
  const found = TIERS.find((known) => known === value)
  if (!found) throw refuse(`${name} is not one of ${TIERS.join(', ')}`)
  return found
}

function object(value: Json | undefined, name: string): JsonObject {
  if (!isJsonObject(value)) throw refuse(`${name} is not an object`)
  return value
}

function string(value: Json | undefined, name: string): string {
  if (typeof value !== 'string') throw refuse(`${name} is not text`)
  return value
}

function texts(value: Json, name: string): string[] {
  if (!Array.isArray(value) || value.length === 0) throw refuse(`${name} is not a list of texts`)
  return value.map((item: Json) => string(item, name))
}

function binary(value: Json | undefined, name: string): Uint8Array {
  try {
    return fromBase64url(string(value, name))
  } catch (cause) {
    if (cause instanceof EvidenceError)
      throw new ProvenanceError('malformed_result', `${name} is not base64url`, { cause })
    throw cause
  }
}

function refuse(why: string): ProvenanceError {
  return new ProvenanceError('malformed_result', why)
}
