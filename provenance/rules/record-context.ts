/**
 * What a record is judged by: the records that it links to, as far as they must be known, and who may write.
 *
 * @module
 */
import { toHex } from '../../merkle/bytes.ts'
import { ProvenanceError, type ProvenanceErrorCode } from '../error.ts'
import { issuedAtOf, type Link, type ProvenanceRecord, type RecordStatement } from '../record.ts'
import type { Authorities } from './authorities.ts'
import type { LinkRelation, RecordType } from './link-rules.ts'

/** What must be known of a record that others link to: {@link linkTargetOf}. */
export interface LinkTarget {
  readonly index: number
  /** `foreign`: no record of ours. `erased`: an auditor finds no statement there; what it was, the log knew when it was linked to. */
  readonly type: RecordType | 'foreign' | 'erased'
  /** POSIX seconds. */
  readonly issuedAt: number
  /** kid. */
  readonly signer: string
  /** Of a `credential-provenance`: lower-case hex. A record of what became of the credential is refused without. */
  readonly credentialDigest?: string
  /** Of an `issuance-policy` for confidential workloads. */
  readonly confidential?: boolean
  /** Whether that credential is suspended, where it is known: only then it can be reinstated. */
  readonly suspended?: boolean
  /** Of an `attestation-result`: the policy and the reference values that it was judged by, in lower-case hex. */
  readonly criteria?: readonly string[]
  /** Of an `issuance-intent`: what the record of its credential must repeat. That record is refused without. */
  readonly intent?: IssuanceIntent
}

/** The clear part of an intent. */
export interface IssuanceIntent {
  readonly kind: 'wit' | 'wic'
  readonly notBefore: number
  readonly notAfter: number
  readonly attestation: 'attested' | 'none'
  /** What it links to, as `relation entry` and in order. */
  readonly grounds: readonly string[]
}

export interface RecordContext {
  /** From the records before this one. May know later ones too, if `index` is given. */
  readonly authorities: Authorities
  /** What the links lead to, by entry in lower-case hex. Links to what is not here are dangling. */
  readonly targets: Pick<ReadonlyMap<string, LinkTarget>, 'get'>
  /** POSIX seconds. */
  readonly now: number
  /** How far clocks may be apart, in seconds. */
  readonly maxClockSkew: number
  /** Where the record is, when it is on the log. Without it the record is asking for admission, at `now`. */
  readonly index?: number
  /** At admission: entries of the newest signed tree. Nobody can have audited more than that. */
  readonly treeSize?: number
  /** At admission: the kids of the recipients for whom a wrap came along. */
  readonly wrapRecipients?: readonly string[]
}

/** What others who link to the record at `index` need to know of it. */
export function linkTargetOf(index: number, r: RecordStatement): LinkTarget {
  const { record, statement } = r
  return {
    index,
    type: record.type,
    issuedAt: issuedAtOf(r),
    signer: statement.signer.kid,
    ...contentOf(record),
  }
}

/** The part of a {@link LinkTarget} that only the record itself says. */
export function contentOf(
  record: ProvenanceRecord,
): Pick<LinkTarget, 'confidential' | 'credentialDigest' | 'criteria' | 'intent'> | undefined {
  if (record.type === 'credential-provenance') return { credentialDigest: toHex(record.fields.credentialDigest) }
  if (record.type === 'issuance-policy') return record.fields.confidential ? { confidential: true } : undefined
  if (record.type === 'attestation-result') {
    const criteria = record.links.filter(({ rel }) => rel === 'appraisal-policy' || rel === 'reference-values')
    return { criteria: criteria.map(({ entry }) => toHex(entry)) }
  }
  if (record.type !== 'issuance-intent') return undefined
  const { kind, notBefore, notAfter, attestation } = record.fields
  return { intent: { kind, notBefore, notAfter, attestation, grounds: groundsOf(record.links) } }
}

/** What an issuance is decided on, as an intent and the record of its credential must say alike. */
export function groundsOf(links: readonly Link[]): string[] {
  const grounds = links.filter(({ rel }) => rel !== 'issuance-intent' && rel !== 'issuer-attestation')
  return grounds.map(({ rel, entry }) => `${rel} ${toHex(entry)}`).sort()
}

export function countLinks(links: readonly Link[], rel: LinkRelation): number {
  let count = 0
  for (const link of links) if (link.rel === rel) count++
  return count
}

/** How a record is refused. */
export function refuse(code: ProvenanceErrorCode, message: string): ProvenanceError {
  return new ProvenanceError(code, message)
}
