/**
 * What every evidence format has in common: one reader, which establishes facts and leaves the judging to a policy.
 *
 *     bytes ──examine──► facts, the same shape for all formats    what was measured, on which platform, bound to which key
 *                        cases, from one list for all formats     what a policy has to have an opinion about
 *
 * @module
 */
import type { Hash } from '../../../merkle/index.ts'
import type { Appraisal, Claim, EarProfile, JsonObject, SignedResult, TrustVector } from '../../../provenance/index.ts'
import type { VerificationJwk } from '../../../statement/index.ts'
import type { ReferenceValues } from '../reference-values.ts'

/**
 * What can be found in evidence that a policy has to have an opinion about.
 *
 *     match               the attester is believed, and what it measured is exactly one of the reference measurements
 *     mismatch            something that is known is different or missing, or nothing like it is known at all
 *     unknownFile         something is there that the nearest reference measurement does not list
 *     unknownAttester     signed by a key that is in no reference values: nothing it says was checked
 *     unknownPlatform     on genuine hardware, and not on any that the reference values name
 *     stale               older than the policy allows
 *     undated             without a time, and not an answer to a challenge: it may be of any age
 *     wrongNonce          not an answer to the challenge
 *     debug               its memory can be read or changed from outside: what was measured is not what has to run
 *     revoked             a certificate that it rests on was revoked, or the vendor says so of the platform's TCB
 *     outdatedTcb         the platform's firmware is older than the vendor, or the reference values, take for good
 *     unhardened          the firmware is good, and software or settings are to mitigate a known weakness of the platform
 *     unknownTcb          nothing given says how good the platform's firmware is
 *     uncheckedRevocation no revocation list was given for a certificate that it rests on
 *     expiredCollateral   a certificate or another document that it rests on is not valid now
 */
export const APPRAISAL_CASES = [
  'match',
  'mismatch',
  'unknownFile',
  'unknownAttester',
  'unknownPlatform',
  'stale',
  'undated',
  'wrongNonce',
  'debug',
  'revoked',
  'outdatedTcb',
  'unhardened',
  'unknownTcb',
  'uncheckedRevocation',
  'expiredCollateral',
] as const
export type AppraisalCase = (typeof APPRAISAL_CASES)[number]

/** What was not found out. A policy may say, for everybody to read, that it goes without. */
export const IGNORANCE = ['undated', 'unknownTcb', 'uncheckedRevocation'] as const satisfies readonly AppraisalCase[]
export type Ignorance = (typeof IGNORANCE)[number]

/** Facts about one piece of evidence, its signature verified unless the attester is unknown. */
export interface Examined {
  /** Never empty; `match` never with `mismatch`, `unknownFile` or `unknownAttester`. */
  readonly cases: readonly AppraisalCase[]
  /** Seconds, as the attester says. Absent in formats without a clock. */
  readonly issuedAt?: number
  /** The challenge that was answered. */
  readonly nonce?: string
  /** The one digest that identifies what was measured. */
  readonly measurement: Hash
  /** The workload key that the evidence vouches for. Absent when nobody we know vouches. */
  readonly workloadKey?: VerificationJwk
  /** What a person debugging a refusal needs to see. Not part of the verdict. */
  readonly detail: JsonObject
  /** What another Verifier said, where the evidence is a result of one: at best this is passed on. */
  readonly said?: Pick<Appraisal, 'status' | 'vector' | 'attestedKey'>
  /** Of evidence about several things: each of them, by the name of its submodule. The whole is no better than any of them. */
  readonly parts?: ReadonlyMap<string, Examined>
}

/** What evidence is looked at with. Nothing in evidence names its own trust: it is all here. */
export interface Examination {
  readonly references: readonly ReferenceValues[]
  /** POSIX seconds. */
  readonly now: number
  /** The challenge that the evidence must answer. */
  readonly nonce?: string
  /** Certificates, revocation lists and the vendor's statements about TCBs, as files. */
  readonly collateral: readonly Uint8Array[]
  /** Whose key the evidence is to be bound to, where it only holds a digest. */
  readonly workloadKey?: VerificationJwk
  /** SHA-256 fingerprints of root certificates, in the place of the vendor's own. */
  readonly roots?: readonly string[]
  /** One of the format's {@link EvidenceFormat.keyBindings}; its first by default. */
  readonly keyBinding?: string
  /** Of results: the dialects that are taken, any when absent. */
  readonly profiles?: readonly EarProfile[]
  /** Of results: what their Verifier must have applied, and nothing else; anything when absent. */
  readonly policyIds?: readonly string[]
}

export interface EvidenceFormat {
  /** As policies and records name it. */
  readonly name: string
  /** Name of the submodule in the attestation result. */
  readonly submodule: string
  /** The AR4SI claims that evidence of this format can bear on. A policy that makes any other claim from it is refused. */
  readonly claims: readonly Claim[]
  /** What can be found in evidence of this format. A policy must say what it makes of each, unless {@link defaults} does. */
  readonly cases: readonly AppraisalCase[]
  /** What is made of a case on which the policy is silent. */
  readonly defaults: { readonly [C in AppraisalCase]?: TrustVector }
  /** How evidence of this format can be bound to a workload's key, where a policy may choose. */
  readonly keyBindings: readonly string[]
  /** What reference values may name; absent where they list files, or keys alone. */
  readonly references?: ReferenceNames
  /** Set where other Verifiers sign: reference values then name their keys, as `attesters`. */
  readonly attesters?: true
  /** The result, where evidence of this format is one: it is sealed with ours, so that others can look at it again. */
  resultIn?(evidence: Uint8Array): SignedResult
  /** The evidence in a file of it: a token without the line break that editors and shells add. */
  ofFile(file: Uint8Array): Uint8Array
  /** @throws VerifierError `malformed_evidence`, `bad_evidence_signature`, `measurement_mismatch`, and those of collateral */
  examine(evidence: Uint8Array, examination: Examination): Promise<Examined>
}

/** The names of a hardware format's measurements and numbers. */
export interface ReferenceNames {
  /** How many bytes each may have. */
  readonly values: ReadonlyMap<string, number | readonly number[]>
  /** Without at least one of these, nothing would say which software it is. */
  readonly identifying: readonly string[]
  /** Security version numbers of the software. */
  readonly software: readonly string[]
  /** Security version numbers of the platform below it. */
  readonly platform: readonly string[]
}
