/**
 * By what a log finds a record, and what it keeps unique.
 *
 * @module
 */
import { toBase64url, toHex } from '../../merkle/bytes.ts'
import { kidOf } from '../../statement/cose-key.ts'
import type { ProvenanceRecord } from '../record.ts'
import { decodePublicKey } from '../records/field-types.ts'
import type { LinkRelation, RecordType } from './link-rules.ts'

/** Records of which the latest is asked for. */
export interface Series {
  readonly type: RecordType
  readonly kid: string
  readonly id: string
}

/**
 * What no two records of a log may have in common:
 *
 *     record:<id>           nobody's id twice
 *     credential:<digest>   one record for each credential, whoever signs the second
 *     intent:<entry>        one credential for each intent
 *     general:<entry>       one credential inside for each general one
 *     unique:<kid>:<tag>    each signer's tags
 */
export function uniqueKeys(record: ProvenanceRecord, signerKid: string): string[] {
  const id = recordKey(record.id)
  // At once and not pushed: a list that grows has room for 17, and these are kept until they are on the log.
  const keys =
    record.type === 'credential-provenance' ? [id, `credential:${toHex(record.fields.credentialDigest)}`] : [id]
  if (record.type === 'credential-provenance') pushLinked(keys, record, 'issuance-intent', 'intent')
  if (record.type === 'identity-generalization') pushLinked(keys, record, 'credential-provenance', 'general')
  for (const tag of record.unique) keys.push(`unique:${signerKid}:${toHex(tag)}`)
  return keys
}

function pushLinked(keys: string[], { links }: ProvenanceRecord, rel: LinkRelation, prefix: string): void {
  for (const link of links) if (link.rel === rel) keys.push(`${prefix}:${toHex(link.entry)}`)
}

/**
 * The series that the record is the next of, undefined when its type has none.
 *
 *     issuance-policy, appraisal-policy, reference-values   by signer and policy id
 *     key-authorization                                     by the key that is authorized
 *     attestation-result                                    by signer and digest of the result, hex
 *     workload-provenance                                   by signer and subject, hex
 *     log-policy                                            by signer and origin
 *     audit-report                                          by signer, of whom there is one
 *     retraction                                            by what is retracted (in the place of a kid: both are 32 bytes) and signer
 */
export function seriesOf(record: ProvenanceRecord, signerKid: string): Series | undefined {
  switch (record.type) {
    case 'issuance-policy':
    case 'appraisal-policy':
    case 'reference-values':
      return { type: record.type, kid: signerKid, id: record.fields.policyId }
    case 'key-authorization': {
      const kid = kidOf(decodePublicKey(record.fields.key))
      return { type: record.type, kid, id: kid }
    }
    case 'attestation-result':
      return { type: record.type, kid: signerKid, id: toHex(record.fields.resultDigest) }
    case 'workload-provenance':
      return { type: record.type, kid: signerKid, id: toHex(record.fields.subject) }
    case 'log-policy':
      return { type: record.type, kid: signerKid, id: record.fields.origin }
    case 'audit-report':
      return { type: record.type, kid: signerKid, id: 'log' }
    case 'retraction': {
      const [target] = record.links
      return target && { type: record.type, kid: toBase64url(target.entry), id: signerKid }
    }
    default:
      return undefined
  }
}

/** The credential of which the record says what became of it: lower-case hex of its digest. */
export function statusKey(record: ProvenanceRecord): string | undefined {
  return record.type === 'credential-status' || record.type === 'identity-generalization'
    ? toHex(record.fields.credentialDigest)
    : undefined
}

/** The unique name of whatever record has this id: the first of its {@link uniqueKeys}. */
export function recordKey(id: Uint8Array): string {
  return `record:${toHex(id)}`
}
