/**
 * provlog/clients/verifier: evidence about a workload in, a signed and logged attestation result out.
 *
 * @module
 */

export type { PublishedVersion } from '../log-client/policy-version.ts'
export { type AppraisalPolicy, parseAppraisalPolicy } from './appraisal-policy.ts'
export { type Appraisal, type AppraisalInput, appraise } from './appraise.ts'
export { VerifierError, type VerifierErrorCode } from './error.ts'
export { APPRAISAL_CASES, type AppraisalCase } from './evidence/format.ts'
export { EVIDENCE_FORMATS } from './evidence/formats.ts'
export { measurementDigest } from './evidence/hardware/hardware-format.ts'
export {
  decodeEvidence,
  MEASURED_FILES_FORMAT,
  MEASURED_FILES_PROFILE,
  type MeasuredFile,
  type MeasuredFilesEvidence,
  type Measurements,
  measurementRoot,
  measurementsOf,
  signEvidence,
} from './evidence/measured-files.ts'
export {
  type AppraiseAndLogInput,
  appraiseAndLog,
  type LoggedAppraisal,
  type PublishInput,
  publishPolicy,
  publishReferenceValues,
  type VerifierLog,
} from './log.ts'
export { type MeasureLimits, measureFiles } from './measure.ts'
export {
  formatReferenceValues,
  parseReferenceValues,
  type ReferenceMeasurement,
  type ReferenceValues,
} from './reference-values.ts'
export { type RetractInput, retract } from './retract.ts'
