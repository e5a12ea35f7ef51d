/**
 * What an issuer is asked for, and what it gives.
 *
 * @module
 */
import type { Hash } from '../../merkle/index.ts'
import {
  type Bootstrap,
  parseCertificate,
  type SectionsOf,
  type SignedResult,
  type Tier,
} from '../../provenance/index.ts'
import type { PrivateJwk, PublicJwk, VerificationJwk } from '../../statement/index.ts'
import type { LogClient } from '../log-client/index.ts'
import type { AuthorizedParty } from './author.ts'
import type { WorkloadFiles } from './describe-workload.ts'
import { IssuerError } from './error.ts'

/** What this role asks of a log. */
export type IssuerLog = Pick<
  LogClient,
  'authorizations' | 'bundle' | 'latest' | 'origin' | 'policy' | 'record' | 'registerRecord' | 'story' | 'wraps'
>

export interface IssueRequest extends WorkloadFiles {
  readonly client: IssuerLog
  /** The Credential Issuer's key: signs the credential and the records. */
  readonly key: PrivateJwk
  /** Id of the issuance policy to decide by. */
  readonly policyId: string
  /** The workload identifier to issue for. */
  readonly subject: string
  readonly workloadKey: VerificationJwk
  /** Attestation results as their Verifiers signed them: several for a composite workload, none only if the policy takes that. */
  readonly results: readonly SignedResult[]
  /** Why there is none, where there is none: a code that everybody can read, and more of it for whoever may open it. */
  readonly unattested?: { readonly reasonCode: string; readonly detail?: string }
  /** The entry of an earlier workload-provenance record to link, instead of logging one. */
  readonly workloadProvenance?: Hash
  /** A key that the earlier record is sealed for. */
  readonly openWith?: PrivateJwk
  readonly kind: 'wit' | 'wic'
  /** DER of the certificate to issue under: for `wic`. */
  readonly anchor?: Uint8Array
  /** DER of those above it, when it is an intermediate; the last is what relying parties have as anchor. */
  readonly above?: readonly Uint8Array[]
  /** Seconds. An hour, or as long as this issuer may, unless said otherwise. */
  readonly lifetime?: number
  /** How the credential will reach the workload; `file` unless said otherwise. */
  readonly delivery?: 'file' | 'env' | 'local-api' | 'direct' | 'agent'
  /** Verifiers of other trust domains whose results are accepted, by workload identifier. */
  readonly verifiers?: readonly string[]
  /** What the workload showed to get this, where it had no credential to show. Sealed. */
  readonly bootstrap?: Bootstrap
  /** Which of several credentials of one workload this is. */
  readonly usage?: 'inbound' | 'outbound' | 'internal'
  /** How the holder must prove possession of the key. */
  readonly pop?: 'wpt' | 'httpsig' | 'mtls'
  /** A confidential workload: issued on attestation or not at all. */
  readonly confidential?: boolean
  /** Trust domains that it is meant for. Sealed. */
  readonly audiences?: readonly string[]
  /** What of the workload is attested, which agent did it for the workload, and how it is bound to its platform. Sealed. */
  readonly attested?: Omit<NonNullable<SectionsOf<'credential-provenance'>['attestation']>, 'components'>
  /** Puts a reference to the log into the credential, so that whoever has it alone knows where its story is: an intent is logged first. */
  readonly embed?: boolean
  /** The entry of an attestation result about the issuer itself. */
  readonly issuerAttestation?: Hash
  /** What an audit may want to know later, sealed into the record. */
  readonly attributes?: Readonly<Record<string, string>>
  /** Who may open the sealed record. Those for whom the log requires a wrap must be among them. */
  readonly recipients?: readonly PublicJwk[]
  /** POSIX seconds. */
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
  /** SHA-256 of `credential`. */
  readonly digest: Hash
  /** jti, or serial number in lower-case hex. */
  readonly identifier: string
  /** POSIX seconds. */
  readonly notBefore: number
  readonly notAfter: number
  /** The weakest of the results. */
  readonly tier: Tier
  readonly entry: Hash
  readonly index: number
  /** With `embed`: the entry that the credential names. */
  readonly intent?: { readonly entry: Hash; readonly index: number }
}

/** Seconds. A credential outlives neither what the log's admin allows, nor its issuer's key, nor a certificate above it. */
export function lifetimeOf(request: IssueRequest, { authorization }: AuthorizedParty): number {
  const { kind, anchor, above = [], lifetime, now } = request
  if (kind === 'wic' && !anchor) throw new IssuerError('anchor_required', 'a certificate is issued under an anchor')
  const longest = Math.min(
    authorization.maxCredentialLifetime ?? Number.POSITIVE_INFINITY,
    (authorization.notAfter ?? Number.POSITIVE_INFINITY) - now,
    ...(kind === 'wic' && anchor ? [anchor, ...above] : []).map((der) => parseCertificate(der).notAfter - now),
  )
  const wanted = lifetime ?? Math.min(3600, longest)
  if (wanted > longest) throw new IssuerError('lifetime_too_long', `${wanted} s, where ${longest} s are allowed`)
  if (wanted <= 0) throw new IssuerError('anchor_expired', 'nothing can be issued any more')
  return wanted
}
