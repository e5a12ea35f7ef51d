/**
 * provlog/clients/verifier: evidence about a workload in, a signed and logged attestation result out.
 *
 * @module
 */
export { type Appraisal, type AppraisalInput, appraise } from './appraise.ts'
export {
  type AppraisalCase,
  type AppraisalPolicy,
  APPRAISAL_CASES,
  parseAppraisalPolicy,
  policyFormat,
} from './appraisal-policy.ts'
export { VerifierError, type VerifierErrorCode } from './error.ts'
export {
  MEASURED_FILES_FORMAT,
  MEASURED_FILES_PROFILE,
  type MeasuredFile,
  type Measurements,
  type MeasuredFilesEvidence,
  decodeEvidence,
  measurementRoot,
  signEvidence,
} from './evidence/measured-files.ts'
export {
  type AppraiseAndLogInput,
  type LoggedAppraisal,
  type PublishInput,
  type Published,
  type VerifierLog,
  appraiseAndLog,
  publishPolicy,
  publishReferenceValues,
} from './log.ts'
export { type MeasureLimits, measureFiles } from './measure.ts'
export {
  type ReferenceMeasurement,
  type ReferenceValues,
  formatReferenceValues,
  parseReferenceValues,
} from './reference-values.ts'
