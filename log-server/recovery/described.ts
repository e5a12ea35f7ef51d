/**
 * What the indexes must say of a stored statement: made again from its bytes.
 *
 * @module
 */
import { equalBytes } from '../../merkle/bytes.ts'
import { EvidenceError } from '../../merkle/error.ts'
import type { Hash } from '../../merkle/hash.ts'
import { isRecordStatement, recordOfStatement } from '../../provenance/record.ts'
import { foreignSigner } from '../../provenance/rules/foreign.ts'
import { parseSignedStatement, statementIdentity } from '../../statement/signed-statement.ts'
import { lacksCertificates } from '../../statement/transparent-statement.ts'
import { FOREIGN, indexedBy } from '../admission/candidate.ts'
import type { NewEntry } from '../storage/entry-rows.ts'
import type { Store } from '../storage/store.ts'
import { LogError } from '../types.ts'

/** @throws `EvidenceError` where the bytes are no statement in its one form, or who signed it was said by certificates that are not here */
export async function describeStatement(
  store: Pick<Store, 'certificates'>,
  entry: Hash,
  bytes: Uint8Array,
): Promise<Omit<NewEntry, 'statement' | 'entry'>> {
  const statement = parseSignedStatement(bytes, { maxBytes: bytes.length })
  if (!equalBytes(statement.bytes, bytes)) throw new LogError('log_damaged', 'it is not in its one form')
  const { issuedAt = 0, kid: signer = '' } = statement.header
  if (!isRecordStatement(statement)) {
    const beside = lacksCertificates(bytes) ? await store.certificates(entry) : []
    const found = { type: FOREIGN, issuedAt, identity: statementIdentity(statement) }
    return { ...found, signer: foreignSigner(statement, beside) }
  }
  return { issuedAt, signer, ...indexedBy(statement, recordOfStatement(statement), signer) }
}

/** What is none came in raw, and by nobody. */
export function isStatement(bytes: Uint8Array): boolean {
  try {
    parseSignedStatement(bytes, { maxBytes: bytes.length })
    return true
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error
    return false
  }
}
