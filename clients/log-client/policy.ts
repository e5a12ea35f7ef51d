/**
 * The log's own policy: whom it obeys and by which keys it signs receipts. Entry 0, and every version that followed.
 *
 * Entry 0 is believed because a checkpoint of the pinned key includes it; each later version because it is included too and an
 * admin of the version before signed it. A log could withhold the newest version: only a replay notices that.
 *
 * @module
 */
import { equalBytes, type Hash, toHex, type VerifiedCheckpoint } from '../../merkle/index.ts'
import { decodePublicKey, type FieldsOf, type RecordStatement, recordOfStatement } from '../../provenance/index.ts'
import {
  type SignedStatement,
  type VerificationKey,
  verificationKeyOf,
  verifySignedStatement,
} from '../../statement/index.ts'
import { AnswerError, MisbehaviourError } from './error.ts'

/** A log-policy record that is in the log, signed by the admin in force before it. */
export interface LogPolicy {
  readonly entry: Hash
  readonly index: number
  readonly fields: FieldsOf<'log-policy'>
  /** By kid. */
  readonly receiptKeys: ReadonlyMap<string, VerificationKey>
  readonly adminKeys: ReadonlyMap<string, VerificationKey>
  /** The record it was read from. */
  readonly statement: RecordStatement<'log-policy'>
}

/** What `statement` says if it is a log policy. Neither inclusion nor signature is checked. @throws `AnswerError` `wrong_record` */
export function readPolicyFields(statement: SignedStatement): FieldsOf<'log-policy'> {
  const record = recordOfStatement(statement)
  if (record.type !== 'log-policy')
    throw new AnswerError('wrong_record', `a ${record.type} where the log policy belongs`)
  return record.fields
}

/**
 * The policy in `statement`, which the caller found at `index` of the verified tree.
 *
 * @param before the version that it replaces; absent for entry 0, which signs for itself: it is the checkpoint key that vouches for it.
 * @throws `AnswerError` `wrong_record`, `not_authorized`; `StatementError` `bad_signature`
 */
export async function verifyPolicy(
  statement: SignedStatement,
  index: number,
  before: LogPolicy | undefined,
): Promise<LogPolicy> {
  const record = recordOfStatement(statement)
  if (record.type !== 'log-policy')
    throw new AnswerError('wrong_record', `a ${record.type} where the log policy belongs`)
  const { fields } = record
  const adminKeys = await importKeys(fields.adminKeys)
  const receiptKeys = await importKeys(fields.receiptKeys)

  const previous = record.links.find(({ rel }) => rel === 'previous')?.entry
  const follows =
    before === undefined ? previous === undefined : previous !== undefined && equalBytes(previous, before.entry)
  if (!follows || (before !== undefined && index <= before.index)) {
    throw new AnswerError('wrong_record', `the log policy at ${index} does not follow the one known before it`)
  }
  if (before !== undefined && before.fields.origin !== fields.origin) {
    throw new AnswerError('wrong_record', `the log policy at ${index} renames the log`)
  }
  const admin = (before?.adminKeys ?? adminKeys).get(statement.header.kid ?? '')
  if (admin === undefined) {
    throw new AnswerError('not_authorized', `the log policy ${toHex(statement.entry)} is signed by no admin`)
  }
  const verified = await verifySignedStatement(statement, admin)
  return {
    entry: statement.entry,
    index,
    fields,
    adminKeys,
    receiptKeys,
    statement: { statement: verified, record, entry: statement.entry },
  }
}

async function importKeys(coseKeys: readonly Uint8Array[]): Promise<ReadonlyMap<string, VerificationKey>> {
  const keys = await Promise.all(coseKeys.map((bytes) => verificationKeyOf(decodePublicKey(bytes))))
  return new Map(keys.map((key) => [key.kid, key]))
}

/**
 * The key of a receipt for a tree of `size` leaves: old receipts are by old keys, and verify for ever; a new one by an old key is the work of
 * whoever stole it.
 */
export function receiptKeyOf(policies: readonly LogPolicy[], kid: string, size: number): VerificationKey | undefined {
  return policyInForce(policies, size)?.receiptKeys.get(kid)
}

/** The policy that entry `index` was sequenced under, which is the one that a tree of as many leaves was signed under; for entry 0, itself. */
export function policyInForce(policies: readonly LogPolicy[], index: number): LogPolicy | undefined {
  return policies.findLast((policy) => policy.index < index || policy.index === 0)
}

/**
 * A log signs as its own policy says. A checkpoint by a pinned key that it has retired, of a tree that contains the retirement, proves
 * that somebody else has that key.
 *
 * @param policy - the one in force at the size of the checkpoint; undefined in a log that does not begin with one
 * @throws `MisbehaviourError` `wrong_signer`
 */
export function checkSigner(
  { signedBy, size, origin, note }: VerifiedCheckpoint,
  policy: Pick<LogPolicy, 'entry' | 'index' | 'fields'> | undefined,
): void {
  if (!policy || signedBy.some((vkey) => policy.fields.vkeys.includes(vkey))) return
  throw new MisbehaviourError(
    'wrong_signer',
    `the checkpoint of ${size} entries is by a key that the log policy in force there, entry ${policy.index}, does not name`,
    { origin, after: note, policy: toHex(policy.entry) },
  )
}
