/**
 * What the store must know about a record: by what it is found, and what it excludes.
 *
 * @module
 */
import { toHex } from '../../merkle/bytes.ts'
import type { Hash } from '../../merkle/hash.ts'
import { issuedAtOf, type ProvenanceRecord, type RecordOf, type RecordStatement } from '../../provenance/record.ts'
import type { ForeignStatement } from '../../provenance/rules/foreign.ts'
import type { RecordType } from '../../provenance/rules/link-rules.ts'
import { seriesOf, statusKey, uniqueKeys } from '../../provenance/rules/record-keys.ts'
import { type SignedStatement, statementIdentity } from '../../statement/signed-statement.ts'
import { changesAuthority } from '../storage/entry-rows.ts'
import type { Candidate } from '../types.ts'

/**
 * The candidate for a record whose signature was verified.
 *
 * @param identity `statementIdentity`, where it is known already
 */
export function candidateOf(
  verified: RecordStatement,
  wraps: readonly Uint8Array[],
  identity?: Hash,
): Writable<Candidate> {
  const { statement, record, entry } = verified
  const { kid } = statement.signer
  const candidate: Writable<Candidate> & Indexed = {
    statement: statement.bytes,
    entry,
    identity: identity ?? statementIdentity(statement),
    wraps,
    issuedAt: issuedAtOf(verified),
    signer: kid,
    type: record.type,
    uniqueKeys: uniqueKeys(record, kid),
  }
  addIndexes(candidate, record, kid)
  // Of others nobody asks, and what waits for a commit is better small.
  if (changesAuthority(record.type)) candidate.record = verified
  return candidate
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
export function indexedBy(statement: SignedStatement, record: ProvenanceRecord, signer: string): Indexed {
  const indexed: Indexed = {
    type: record.type,
    identity: statementIdentity(statement),
    uniqueKeys: uniqueKeys(record, signer),
  }
  addIndexes(indexed, record, signer)
  return indexed
}

/** What only some types have. Assigned and not spread: this is done for every record, and spreading what may not be there takes four times as long. */
function addIndexes(indexed: Indexed, record: ProvenanceRecord, signer: string): void {
  const series = seriesOf(record, signer)
  if (series) indexed.series = `${series.type}/${series.kid}/${series.id}`
  const status = statusKey(record)
  if (status !== undefined) indexed.status = status
  if (record.type === 'credential-status') {
    if (revokes(record)) indexed.uniqueKeys.push(revocationOf(record))
    else indexed.excludedBy = [revocationOf(record)]
  }
  if (record.type === 'erasure') indexed.erases = { entry: record.links[0]!.entry, scope: record.fields.scope }
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }
type Indexed = Writable<Pick<Candidate, 'identity' | 'excludedBy' | 'series' | 'status' | 'erases'>> & {
  readonly type: RecordType
  readonly uniqueKeys: string[]
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
