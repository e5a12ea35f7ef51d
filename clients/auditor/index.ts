/**
 * An auditor: the whole log again, from its bytes. See README.md.
 *
 * @module
 */
export {
  CHECKS,
  type CheckDescription,
  type CheckId,
  type CheckNeeds,
  type Finding,
  SEVERITIES,
  type Severity,
} from './checks.ts'
export { AuditError, type AuditErrorCode } from './error.ts'
export { type AuditLog, type AuditProgress, type AuditReport, type ReplayInput, replay } from './replay.ts'
export { type EntrySource, type ReplayHashesOptions, replayHashes } from './replay-hashes.ts'
export { databasePath } from './state.ts'
