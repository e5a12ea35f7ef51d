/**
 * All record types by name.
 *
 * @module
 */
import type { RecordType } from '../rules/link-rules.ts'
import { attestationResult } from './attestation-result.ts'
import { auditReport } from './audit-report.ts'
import { credentialProvenance } from './credential-provenance.ts'
import { credentialStatus } from './credential-status.ts'
import type { RecordDefinition } from './define-record.ts'
import { erasure } from './erasure.ts'
import { identityGeneralization } from './identity-generalization.ts'
import { issuanceDenied } from './issuance-denied.ts'
import { issuanceIntent } from './issuance-intent.ts'
import { keyAuthorization } from './key-authorization.ts'
import { logPolicy } from './log-policy.ts'
import { appraisalPolicy, issuancePolicy, referenceValues } from './policy-document.ts'
import { retraction } from './retraction.ts'
import { workloadProvenance } from './workload-provenance.ts'

export const RECORDS = {
  'log-policy': logPolicy,
  'key-authorization': keyAuthorization,
  'issuance-policy': issuancePolicy,
  'appraisal-policy': appraisalPolicy,
  'reference-values': referenceValues,
  'workload-provenance': workloadProvenance,
  'attestation-result': attestationResult,
  'issuance-intent': issuanceIntent,
  'credential-provenance': credentialProvenance,
  'issuance-denied': issuanceDenied,
  'credential-status': credentialStatus,
  'identity-generalization': identityGeneralization,
  retraction,
  erasure,
  'audit-report': auditReport,
} satisfies { readonly [T in RecordType]: RecordDefinition<T, unknown, unknown> }

/** The clear fields of a record type. */
export type FieldsOf<T extends RecordType> =
  (typeof RECORDS)[T] extends RecordDefinition<RecordType, infer F, unknown> ? F : never

/** What a record of this type seals, by label. */
export type SectionsOf<T extends RecordType> =
  (typeof RECORDS)[T] extends RecordDefinition<RecordType, unknown, infer S> ? S : never

/** The definition of a type that is known only when the program runs. */
export function definitionOf(type: RecordType): RecordDefinition<RecordType, unknown, unknown> {
  return RECORDS[type]
}
