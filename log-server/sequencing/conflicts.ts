/**
 * How an entry is refused because of another one that is there.
 *
 * @module
 */
import { LogError, type LogErrorCode } from '../types.ts'

/** @param index - of the entry in the way */
export function conflict(code: LogErrorCode, index: number): LogError {
  return new LogError(code, `entry ${index} ${CONFLICTS[code]}`, { index })
}

const CONFLICTS: Partial<Record<LogErrorCode, string>> = {
  conflict_signature: 'has the same content under another signature',
  duplicate_credential: 'records this credential already',
  duplicate_unique_tag: 'used this unique tag already',
  duplicate_record_id: 'has this record id already',
  duplicate_intent: 'records the credential of this intent already',
  duplicate_generalization: 'says already what this credential stands for',
  already_revoked: 'revoked this credential, for good',
}

/** By the kind that `uniqueKeys` puts before the colon. */
export function uniqueCode(key: string): LogErrorCode {
  if (key.startsWith('credential:')) return 'duplicate_credential'
  if (key.startsWith('intent:')) return 'duplicate_intent'
  if (key.startsWith('general:')) return 'duplicate_generalization'
  if (key.startsWith('revoked:')) return 'already_revoked'
  return key.startsWith('record:') ? 'duplicate_record_id' : 'duplicate_unique_tag'
}
