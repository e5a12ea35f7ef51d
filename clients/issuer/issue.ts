/**
 * Issuance, from top to bottom.
 *
 * @module
 */
import type { Hash } from '../../merkle/index.ts'
import type { Tier } from '../../provenance/index.ts'
import type { PrivateJwk, PublicJwk } from '../../statement/index.ts'
import type { LogClient } from '../log-client/index.ts'

/** What this role asks of a log. */
export type IssuerLog = Pick<LogClient, 'authorizations' | 'bundle' | 'latest' | 'origin' | 'policy' | 'registerRecord' | 'vkey'>

export interface IssueRequest {
  readonly client: IssuerLog
  /** The Credential Issuer's key: signs the credential and the records. */
  readonly key: PrivateJwk
  /** Id of the issuance policy to decide by. */
  readonly policyId: string
  /** The workload identifier to issue for. */
  readonly subject: string
  readonly workloadKey: PublicJwk
  /** Attestation results as their Verifiers signed them (compact JWS); several for a composite workload. */
  readonly results: readonly string[]
  /** A CycloneDX bill of materials: the exact bytes of the file. */
  readonly sbom?: Uint8Array
  /** An earlier workload-provenance record to link, instead of logging one. */
  readonly workloadProvenance?: Hash
  readonly kind: 'wit' | 'wic'
  /** DER of the anchor to issue under: for `wic`. */
  readonly anchor?: Uint8Array
  /** Seconds. An hour unless said otherwise. */
  readonly lifetime?: number
  readonly delivery?: 'file' | 'env' | 'local-api' | 'direct' | 'agent'
  /** Verifiers of other trust domains whose results are accepted, by workload identifier. */
  readonly verifiers?: readonly string[]
  /** What an audit may want to know later, sealed into the record. */
  readonly attributes?: Readonly<Record<string, string>>
  /** Who may open the sealed record, besides the auditors that the log requires. */
  readonly recipients?: readonly PublicJwk[]
  readonly now: number
  readonly random: (length: number) => Uint8Array
}

export interface Issued {
  readonly kind: 'wit' | 'wic'
  /** The exact bytes that the record names: compact JWS in ASCII, or DER. */
  readonly credential: Uint8Array
  /** What to write to a file: the compact JWS, or PEM. */
  readonly text: string
  /** `.provlog` */
  readonly bundle: Uint8Array
  readonly digest: Hash
  /** jti, or serial number in lower-case hex. */
  readonly identifier: string
  readonly notBefore: number
  readonly notAfter: number
  readonly tier: Tier
  readonly entry: Hash
  readonly index: number
}

/**
 * @throws {@link IssuanceDenied} when the policy says no
 * @throws {@link IssuerError}
 * @throws UnavailableError when the log does not answer: nothing is issued that is not on the log
 */
export declare function issue(request: IssueRequest): Promise<Issued>
