/**
 * The claims of an attestation result (EAR), in the three dialects that Verifiers speak, read into one shape.
 *
 *     eat_profile                                             status               policies
 *     tag:ietf.org,2026:rats/ear#03                           ear_status           ear_appraisal_policy_ids, a list
 *     tag:github.com,2023:veraison/ear                        ear.status           ear.appraisal-policy-id, one
 *     tag:github.com,2024:confidential-containers/Trustee     as Veraison’s, and ear.trustee.identifiers
 *
 * A Verifier says a status and also the claims it rests on (AR4SI). The status is recomputed here: one that is better than
 * its own claims is refused, and so is an overall status better than the worst submodule. Times are integers: a float, which
 * the draft forbids and `JSON.parse` hides, is refused by its literal. A member of another dialect is refused as well: of two
 * statuses for one thing, each reader would see another.
 *
 * @module
 */
import { fromBase64url, utf8 } from '../../merkle/bytes.ts'
import { EvidenceError } from '../../merkle/error.ts'
import { ProvenanceError } from '../error.ts'
import { isJsonObject, type Json, type JsonObject } from '../json.ts'
import { CLAIMS, type Claim, TIERS, type Tier, type TrustVector, tierOfVector, worstTier } from './tier.ts'

export const EAR_PROFILE = 'tag:ietf.org,2026:rats/ear#03'
export const VERAISON_PROFILE = 'tag:github.com,2023:veraison/ear'
export const TRUSTEE_PROFILE = 'tag:github.com,2024:confidential-containers/Trustee'

export const EAR_PROFILES = [EAR_PROFILE, VERAISON_PROFILE, TRUSTEE_PROFILE] as const
export type EarProfile = (typeof EAR_PROFILES)[number]

/** What a Verifier found out about one part of a workload. */
export interface Appraisal {
  readonly status: Tier
  readonly vector?: TrustVector
  /** In the order they were applied; opaque to all but the Verifier, which is why the policies are logged by digest. */
  readonly policyIds?: readonly string[]
  /** `akpub` of the key attestation: the SubjectPublicKeyInfo (DER) of a key that the evidence binds to the workload. */
  readonly attestedKey?: Uint8Array
  /** What the evidence said, as the Verifier reads it. */
  readonly annotatedEvidence?: JsonObject
  /** What the policies added. */
  readonly policyClaims?: JsonObject
  /** `ear.trustee.identifiers`: names of the workload that Trustee vouches for. */
  readonly identifiers?: JsonObject
}

/** The claims of an EAR. Times are POSIX seconds. */
export interface EarClaims {
  /** The dialect; that of the draft, when absent. */
  readonly profile?: Exclude<EarProfile, typeof EAR_PROFILE>
  readonly issuedAt: number
  readonly notBefore?: number
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

/** What a dialect calls things. */
export interface Dialect {
  readonly status: string
  readonly vector: string
  readonly rawEvidence: string
  readonly policies: string
  readonly verifier: string
  readonly annotatedEvidence: string
  readonly policyClaims: string
  readonly keyAttestation: string
  readonly identifiers?: string
}

const DRAFT: Dialect = {
  status: 'ear_status',
  vector: 'ear_trustworthiness_vector',
  rawEvidence: 'ear_raw_evidence',
  policies: 'ear_appraisal_policy_ids',
  verifier: 'ear_verifier_id',
  annotatedEvidence: 'ear_veraison_annotated_evidence',
  policyClaims: 'ear_veraison_policy_claims',
  keyAttestation: 'ear_veraison_key_attestation',
}

const VERAISON: Dialect = {
  status: 'ear.status',
  vector: 'ear.trustworthiness-vector',
  rawEvidence: 'ear.raw-evidence',
  policies: 'ear.appraisal-policy-id',
  verifier: 'ear.verifier-id',
  annotatedEvidence: 'ear.veraison.annotated-evidence',
  policyClaims: 'ear.veraison.policy-claims',
  keyAttestation: 'ear.veraison.key-attestation',
}

const DIALECTS: ReadonlyMap<unknown, Dialect> = new Map([
  [EAR_PROFILE, DRAFT],
  [VERAISON_PROFILE, VERAISON],
  [TRUSTEE_PROFILE, { ...VERAISON, identifiers: 'ear.trustee.identifiers' }],
])

/** @throws {@link ProvenanceError} `unsupported_profile` */
export function dialectOf(profile: unknown): Dialect {
  const dialect = DIALECTS.get(profile)
  if (!dialect) {
    const said = JSON.stringify(profile ?? null)?.slice(0, 200)
    throw new ProvenanceError('unsupported_profile', `eat_profile ${said} is not one of: ${EAR_PROFILES.join(', ')}`)
  }
  return dialect
}

/** The tier of the whole result: no better than any of its parts. */
export function tierOfResult(claims: EarClaims): Tier {
  const parts = [...claims.appraisals.values()].map(({ status }) => status)
  return worstTier(claims.status ? [claims.status, ...parts] : parts)
}

/**
 * Reads a claims set and recomputes every status in it.
 *
 * @throws {@link ProvenanceError} `unsupported_profile`, `malformed_result`, `inconsistent_result`
 */
export function readEarClaims(claims: Json): EarClaims {
  if (!isJsonObject(claims)) throw refuse('not an object')
  const profile = claims['eat_profile']
  const names = dialectOf(profile)
  checkDialect(claims, names, 'the result')
  const issuedAt = time(claims['iat'], 'iat')
  const [notBefore, expiresAt] = (['nbf', 'exp'] as const).map((name) =>
    claims[name] === undefined ? undefined : time(claims[name], name),
  )
  if (expiresAt !== undefined && expiresAt < issuedAt) throw refuse('exp is before iat')
  const id = object(claims[names.verifier], names.verifier)
  const status = claims[names.status] === undefined ? undefined : tier(claims[names.status], names.status)
  const nonce = claims['eat_nonce']
  const raw = claims[names.rawEvidence]

  const submods = Object.entries(object(claims['submods'], 'submods'))
  if (submods.length === 0) throw refuse('submods is empty')
  const result: EarClaims = {
    ...(profile === EAR_PROFILE ? {} : { profile: profile as Exclude<EarProfile, typeof EAR_PROFILE> }),
    issuedAt,
    ...(notBefore === undefined ? {} : { notBefore }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
    verifier: { developer: string(id['developer'], 'developer'), build: string(id['build'], 'build') },
    ...(status ? { status } : {}),
    ...(nonce === undefined ? {} : { nonces: noncesIn(nonce) }),
    ...(raw === undefined ? {} : { rawEvidence: binary(raw, names.rawEvidence) }),
    appraisals: new Map(submods.map(([label, value]) => [label, readAppraisal(value, label, names)])),
  }
  if (status && tierOfResult(result) !== status) {
    throw new ProvenanceError('inconsistent_result', `overall ${status}, and a part that is ${tierOfResult(result)}`)
  }
  return result
}

function readAppraisal(value: Json, label: string, names: Dialect): Appraisal {
  const members = object(value, label)
  checkDialect(members, names, label)
  const status = tier(members[names.status], `${names.status} of ${label}`)
  const vector = members[names.vector]
  const policies = members[names.policies]
  const key = members[names.keyAttestation]
  const appraisal: Appraisal = {
    status,
    ...(vector === undefined ? {} : { vector: readVector(vector, label, names) }),
    ...(policies === undefined ? {} : { policyIds: policyIdsIn(policies, names) }),
    ...(key === undefined ? {} : { attestedKey: binary(object(key, 'key attestation')['akpub'], 'akpub') }),
    ...extension('annotatedEvidence', members, names.annotatedEvidence),
    ...extension('policyClaims', members, names.policyClaims),
    ...extension('identifiers', members, names.identifiers),
  }
  const allowed = appraisal.vector ? tierOfVector(appraisal.vector) : status
  if (worstTier([status, allowed]) !== status) {
    throw new ProvenanceError('inconsistent_result', `${label} is said to be ${status}, and its claims are ${allowed}`)
  }
  return appraisal
}

/** That nothing is said a second time in the words of another dialect. */
function checkDialect(members: JsonObject, names: Dialect, where: string): void {
  const prefix = names === DRAFT ? 'ear.' : 'ear_'
  const stranger = Object.keys(members).find((name) => name.startsWith(prefix))
  if (stranger !== undefined) throw refuse(`${JSON.stringify(stranger)} of another dialect in ${where}`)
}

function readVector(value: Json, label: string, names: Dialect): TrustVector {
  const entries = Object.entries(object(value, names.vector))
  if (entries.length === 0) throw refuse(`the vector of ${label} is empty`)
  return Object.fromEntries(
    entries.map(([name, code]) => {
      if (!CLAIMS.includes(name as Claim)) throw refuse(`${JSON.stringify(name)} in the vector of ${label}`)
      if (typeof code !== 'number' || code < -128 || code > 127) throw refuse(`${name} of ${label} is not −128 to 127`)
      return [name, code]
    }),
  )
}

function policyIdsIn(value: Json, names: Dialect): string[] {
  if (names !== DRAFT) return [string(value, names.policies)]
  if (!Array.isArray(value) || value.length === 0) throw refuse(`${names.policies} is not a list of texts`)
  return value.map((item: Json) => string(item, names.policies))
}

function noncesIn(value: Json): string[] {
  const all: readonly Json[] = Array.isArray(value) ? value : [value]
  return all.map((value) => {
    const nonce = string(value, 'eat_nonce')
    if (!isNonce(nonce)) throw refuse('eat_nonce is not of 8 to 88 bytes')
    return nonce
  })
}

/** RFC 9711 §4.1: of fewer bytes one could be guessed, or come twice. */
export function isNonce(text: string): boolean {
  const { length } = utf8(text)
  return length >= 8 && length <= 88
}

function extension<K extends string>(
  as: K,
  members: JsonObject,
  name: string | undefined,
): { readonly [k in K]?: JsonObject } {
  const value = name === undefined ? undefined : members[name]
  return value === undefined ? {} : ({ [as]: object(value, name!) } as { readonly [k in K]: JsonObject })
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

function binary(value: Json | undefined, name: string): Uint8Array {
  try {
    return fromBase64url(string(value, name))
  } catch (cause) {
    if (cause instanceof EvidenceError && cause.code === 'malformed_encoding')
      throw new ProvenanceError('malformed_result', `${name} is not base64url`, { cause })
    throw cause
  }
}

function refuse(why: string): ProvenanceError {
  return new ProvenanceError('malformed_result', why)
}
