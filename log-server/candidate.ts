/**
 * What the store must know about a record: by what it is found, and what it excludes.
 *
 * @module
 */
import { toHex } from '../merkle/bytes.ts'
import type { ForeignStatement } from '../provenance/foreign.ts'
import type { RecordType } from '../provenance/link-rules.ts'
import { issuedAtOf, type ProvenanceRecord, type RecordOf, type RecordStatement } from '../provenance/record.ts'
import { seriesOf, statusKey, uniqueKeys } from '../provenance/record-keys.ts'
import { type SignedStatement, statementIdentity } from '../statement/signed-statement.ts'
import type { Candidate } from './types.ts'

/** The candidate for a record whose signature was verified. */
export function candidateOf(verified: RecordStatement, wraps: readonly Uint8Array[]): Candidate {
  const { statement, record, entry } = verified
  const issuedAt = issuedAtOf(verified)
  const indexed = indexedBy(statement, record, statement.signer.kid)
  return {
    ...indexed,
    statement: statement.bytes,
    entry,
    wraps,
    issuedAt,
    signer: statement.signer.kid,
    record: verified,
  }
}

/** The candidate for a statement that is no record. It excludes nothing but another signature over the same content. */
export function foreignCandidateOf({ statement, signer, beside }: ForeignStatement): Candidate {
  const { bytes, entry, header } = statement
  return {
    type: FOREIGN,
    statement: bytes,
    entry,
    identity: statementIdentity(statement),
    wraps: [],
    certificates: beside,
    issuedAt: header.issuedAt ?? 0,
    signer,
    uniqueKeys: [],
  }
}

/** What the index calls a statement that is no record of ours. No record type is called so. */
export const FOREIGN = 'foreign'

/** The part of a candidate that follows from the record alone: what `fsck` compares the indexes with. */
export function indexedBy(
  statement: SignedStatement,
  record: ProvenanceRecord,
  signer: string,
): Pick<Candidate, 'identity' | 'uniqueKeys' | 'excludedBy' | 'series' | 'status' | 'erases'> & {
  readonly type: RecordType
} {
  const series = seriesOf(record, signer)
  const status = statusKey(record)
  return {
    type: record.type,
    identity: statementIdentity(statement),
    uniqueKeys: [...uniqueKeys(record, signer), ...(revokes(record) ? [revocationOf(record)] : [])],
    ...(record.type === 'credential-status' && !revokes(record) && { excludedBy: [revocationOf(record)] }),
    ...(series && { series: `${series.type}/${series.kid}/${series.id}` }),
    ...(status !== undefined && { status }),
    ...(record.type === 'erasure' && { erases: { entry: record.links[0]!.entry, scope: record.fields.scope } }),
  }
}

/**
 * `revoked:<digest>`, which the revocation of a credential holds: it is the last status. If more could follow, enough of them would
 * make the story too long for a bundle, and the revocation could no longer be shown.
 */
function revocationOf({ fields }: RecordOf<'credential-status'>): string {
  return `revoked:${toHex(fields.credentialDigest)}`
}

function revokes(record: ProvenanceRecord): record is RecordOf<'credential-status'> {
  return record.type === 'credential-status' && record.fields.status === 'revoked'
}
