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
export {
  CROSS_CHECK_WORDS,
  type CrossCheck,
  crossCheck,
  readLedger,
  readSighting,
  type Sighting,
} from './cross-check.ts'
export type { Answer, Cell, Row } from './database/cells.ts'
export { AuditError, type AuditErrorCode } from './error.ts'
export { type AnswerFile, cellText, MAX_PROVEN_ROWS } from './questions/answer-file.ts'
export { type Completeness, completenessText, QUESTIONS, Questions, questionOf } from './questions/ask.ts'
export { type AnswerToProve, type ProofSource, writeProofs } from './questions/prove.ts'
export type { Argument, ArgumentKind, Question } from './questions/question.ts'
export { type ProvenRow, type VerifiedAnswer, verifyAnswer } from './questions/verify-answer.ts'
export { type AuditProgress, type AuditReport, type ReplayInput, replay } from './replay.ts'
export { type EntrySource, type ReplayHashesOptions, replayHashes } from './replay-hashes.ts'
export { type ReplayLogInput, type ReplayReport, replayLog } from './replay-log.ts'
export type { ReplayKind } from './replay-state.ts'
export { renderReport } from './report/page.ts'
export { type ReportData, readReport } from './report/read-report.ts'
export { type ReportToSign, type SignedReport, signReport } from './report/sign-report.ts'
export { CATALOGUE, type FindingLine, findingsDigest, isSettled } from './settled.ts'
export { databasePath } from './state.ts'
export type { AuditLog } from './walk.ts'
export { type SeenRecords, seenRecords } from './watched.ts'
