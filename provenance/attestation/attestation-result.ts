/**
 * EAT Attestation Results, as Verifiers sign them: JWTs, and CWTs of the same claims.
 *
 *   { "eat_profile": "tag:ietf.org,2026:rats/ear#03", "iat": …, "exp": …,
 *     "ear_verifier_id": { "developer": …, "build": … },
 *     "submods": { "payments": { "ear_status": "affirming",
 *                                "ear_trustworthiness_vector": { "executables": 2 },
 *                                "ear_appraisal_policy_ids": ["bank-baseline"] } } }
 *
 * Three dialects are read (`ear-claims.ts`), and one is written: draft-ietf-rats-ear-03, JSON.
 *
 * The JWS `typ` is `eat+jwt`, the registered media type without `application/` (RFC 9782, RFC 7515 §4.1.9). The draft's own
 * `eat-jwt`, and the `JWT` or nothing that Verifiers in the field send, are read too: `eat_profile` tells an EAR from any
 * other token, and a profile that we do not know is refused, whatever its claims look like.
 *
 * @module
 */
import { importVerificationKey } from '#signature'
import { fromUtf8, toBase64url, utf8 } from '../../merkle/bytes.ts'
import type { PrivateJwk, VerificationJwk } from '../../statement/cose-key.ts'
import type { SigningKey, VerificationKey } from '../../statement/signature.ts'
import { algorithmsOf } from '../../statement/verification-jwk.ts'
import { jwkOfSpki } from '../certificates/certificate-key.ts'
import { ProvenanceError } from '../error.ts'
import { canonicalJson, type Json, type JsonObject, parseJson } from '../json.ts'
import { decodeCompactJws, signCompactJws, verifyCompactJws } from '../jws.ts'
import { type Appraisal, EAR_PROFILE, type EarClaims, readEarClaims } from './ear-claims.ts'
import { decodeEarCwt } from './ear-cwt.ts'

export const EAR_TYP = 'eat+jwt'

/** A result as its Verifier signed it: a compact JWS, or the bytes of a CWT. */
export type SignedResult = string | Uint8Array

/** What digests are made over: the exact bytes. */
export function resultBytes(result: SignedResult): Uint8Array {
  return typeof result === 'string' ? utf8(result) : result
}

/** The result in a file of it: a JWT without the line break that editors and shells add, or a CWT. */
export function resultOfFile(file: Uint8Array): SignedResult {
  // A JWT is ASCII and begins with the `{"` of its header in base64url. A CWT begins with a tag or an array.
  return (file[0] ?? 0) >= 0x80 ? file : fromUtf8(file).trim()
}

/**
 * The claims set as JSON text, in its canonical form. What only another dialect has a place for is left out.
 *
 * @throws {@link ProvenanceError} `inconsistent_result` rather than say something better than the claims allow, `malformed_result`
 */
export function buildEarClaims(claims: EarClaims): string {
  // Labels are whatever an attester wrote: in an object with a prototype, `__proto__` would be no member, and what it is about left out.
  const submods: Record<string, Json> = Object.create(null)
  for (const [label, appraisal] of claims.appraisals) submods[label] = appraisalJson(appraisal)
  const text = canonicalJson({
    eat_profile: EAR_PROFILE,
    iat: claims.issuedAt,
    ...(claims.notBefore === undefined ? {} : { nbf: claims.notBefore }),
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
 * Reads a claims set of any dialect, and recomputes every status in it.
 *
 * @throws {@link ProvenanceError} `malformed_json`, `unsupported_profile`, `malformed_result`, `inconsistent_result`
 */
export function parseEarClaims(text: string): EarClaims {
  return readEarClaims(parseJson(text))
}

/** Signs an EAR: the compact JWS. @throws as {@link buildEarClaims} */
export function signEar(claims: EarClaims, key: PrivateJwk | SigningKey): Promise<string> {
  return signCompactJws({ typ: EAR_TYP }, buildEarClaims(claims), key)
}

/** The `kid` that a result names: whom to ask for a key, and nothing that is believed. @throws {@link ProvenanceError} */
export function kidOfResult(result: SignedResult): string | undefined {
  if (typeof result !== 'string') return decodeEarCwt(result).kid
  const { kid } = decodeCompactJws(result).header
  return typeof kid === 'string' ? kid : undefined
}

/**
 * Checks an EAR under the Verifier's key and reads it. That it was fresh enough, and signed by a Verifier one trusts, is for
 * the caller.
 *
 * @throws {@link ProvenanceError} `bad_signature`, those of `verifyCompactJws`, `decodeEarCwt` and {@link parseEarClaims}
 */
export async function verifyEar(result: SignedResult, key: VerificationJwk | VerificationKey): Promise<EarClaims> {
  if (typeof result === 'string') {
    const { payload } = await verifyCompactJws(result, key, { typ: [EAR_TYP, 'eat-jwt', 'JWT', undefined] })
    return parseEarClaims(payload)
  }
  const { algorithm, signed, signature, claims } = decodeEarCwt(result)
  // As with tokens in JSON: the key decides by which algorithm, and the header must agree.
  const agreed = ('verify' in key ? [key.algorithm] : algorithmsOf(key)).includes(algorithm)
  const verifier = agreed && ('verify' in key ? key : await importVerificationKey(key, algorithm))
  if (!verifier || !(await verifier.verify(signed, signature))) {
    throw new ProvenanceError('bad_signature', 'not signed by the key it should be signed by')
  }
  return readEarClaims(claims())
}

/** The attested key of an appraisal as a JWK; undefined when there is none, or of a kind that workloads here do not have. */
export function attestedJwk(appraisal: Appraisal): VerificationJwk | undefined {
  const { attestedKey } = appraisal
  const jwk = attestedKey && (attestedJwks.get(appraisal) ?? jwkOfSpki(attestedKey))
  if (jwk) attestedJwks.set(appraisal, jwk)
  return jwk
}

/** By identity: an appraisal is asked for it by everything that binds a credential to a key. */
const attestedJwks = new WeakMap<Appraisal, VerificationJwk>()

function appraisalJson(appraisal: Appraisal): JsonObject {
  return {
    ear_status: appraisal.status,
    ...(appraisal.vector ? { ear_trustworthiness_vector: { ...appraisal.vector } } : {}),
    ...(appraisal.policyIds ? { ear_appraisal_policy_ids: appraisal.policyIds } : {}),
    ...(appraisal.attestedKey ? { ear_veraison_key_attestation: { akpub: toBase64url(appraisal.attestedKey) } } : {}),
    ...(appraisal.annotatedEvidence ? { ear_veraison_annotated_evidence: appraisal.annotatedEvidence } : {}),
    ...(appraisal.policyClaims ? { ear_veraison_policy_claims: appraisal.policyClaims } : {}),
  }
}
