/**
 * The Verifier's side of the log: what it judges by goes in first, then each result, linked to exactly that.
 *
 * @module
 */
import type { Hash } from '../../merkle/index.ts'
import type { EarClaims, Tier } from '../../provenance/index.ts'
import type { PrivateJwk, PublicJwk } from '../../statement/index.ts'
import type { LogClient } from '../log-client/index.ts'

/** What this role asks of a log. */
export type VerifierLog = Pick<LogClient, 'authorizations' | 'latest' | 'latestAll' | 'policy' | 'registerRecord'>

export interface PublishInput {
  readonly client: VerifierLog
  /** The Verifier's key. */
  readonly key: PrivateJwk
  /** The name under which later versions follow this one. */
  readonly id: string
  /** The exact bytes of the file. */
  readonly content: Uint8Array
  /** `application/json` unless said otherwise. */
  readonly mediaType?: string
  /** Seconds. From `now` unless said otherwise. */
  readonly notBefore?: number
  /** Seconds. */
  readonly notAfter?: number
  readonly now: number
  readonly random: (length: number) => Uint8Array
}

export interface Published {
  readonly entry: Hash
  readonly index: number
  /** Counted from 1. */
  readonly version: number
  /** SHA-256 of the content. */
  readonly digest: Hash
  /** The latest version on the log said the same already, and nothing was added. */
  readonly unchanged: boolean
}

export interface AppraiseAndLogInput {
  readonly client: VerifierLog
  /** The Verifier's key. */
  readonly key: PrivateJwk
  /** The name of the evidence format: `measured-files`. */
  readonly format: string
  /** The exact bytes of the evidence. */
  readonly evidence: Uint8Array
  /** May be left out while this Verifier has exactly one appraisal policy of the format. */
  readonly policyId?: string
  /** The challenge that the evidence must answer. */
  readonly nonce?: string
  /** Who may open the sealed result, besides the auditors that the log requires. */
  readonly recipients?: readonly PublicJwk[]
  readonly now: number
  readonly random: (length: number) => Uint8Array
}

export interface LoggedAppraisal {
  /** The signed attestation result: a compact JWS. */
  readonly ear: string
  readonly claims: EarClaims
  readonly tier: Tier
  readonly entry: Hash
  readonly index: number
}

/** @throws `malformed_policy`, `lenient_policy`, `unsupported_claim`, and whatever the log refuses. */
export declare function publishPolicy(input: PublishInput): Promise<Published>

/** @throws `malformed_reference_values`, and whatever the log refuses. */
export declare function publishReferenceValues(input: PublishInput): Promise<Published>

/** Appraises by the versions that the log has, signs the result, and returns it once the log has it. */
export declare function appraiseAndLog(input: AppraiseAndLogInput): Promise<LoggedAppraisal>
