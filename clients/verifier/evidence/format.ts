/**
 * What every evidence format has in common: one reader, which establishes facts and leaves the judging to a policy.
 *
 * @module
 */
import type { Hash } from '../../../merkle/index.ts'
import type { Claim, JsonObject } from '../../../provenance/index.ts'
import type { PublicJwk } from '../../../statement/index.ts'
import type { ReferenceValues } from '../reference-values.ts'

/**
 * What can be found in evidence that a policy has to have an opinion about.
 *
 *     match            signed by an attester in the reference values, and exactly one of the reference measurements
 *     mismatch         something that is known is different or missing, or nothing like it is known at all
 *     unknownFile      something is there that the nearest reference measurement does not list
 *     unknownAttester  signed by a key that is in no reference values: nothing it says was checked
 *     stale            older than the policy allows
 *     wrongNonce       not an answer to the challenge
 */
export const APPRAISAL_CASES = ['match', 'mismatch', 'unknownFile', 'unknownAttester', 'stale', 'wrongNonce'] as const
export type AppraisalCase = (typeof APPRAISAL_CASES)[number]

/** Facts about one piece of evidence, its signature verified unless the attester is unknown. */
export interface Examined {
  /** Never empty; `match` only alone. */
  readonly cases: readonly AppraisalCase[]
  /** Seconds, as the attester says. */
  readonly issuedAt: number
  readonly nonce?: string
  /** The one digest that identifies what was measured. */
  readonly measurement: Hash
  /** The workload key that the evidence vouches for. Absent when nobody we know vouches. */
  readonly workloadKey?: PublicJwk
  /** What a person debugging a refusal needs to see. Not part of the verdict. */
  readonly detail: JsonObject
}

export interface EvidenceFormat {
  /** As policies and records name it. */
  readonly name: string
  /** Name of the submodule in the attestation result. */
  readonly submodule: string
  /** The AR4SI claims that evidence of this format can bear on. A policy that makes any other claim from it is refused. */
  readonly claims: readonly Claim[]
  /** The evidence in a file of it: a token without the line break that editors and shells add. */
  ofFile(file: Uint8Array): Uint8Array
  /** @throws VerifierError `malformed_evidence`, `bad_evidence_signature`, `measurement_mismatch` */
  examine(evidence: Uint8Array, references: readonly ReferenceValues[]): Promise<Examined>
}
