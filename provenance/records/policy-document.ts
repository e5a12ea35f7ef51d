/**
 * The three kinds of documents that decisions are made by: one shape, three signers and readers.
 *
 * A document is named by `policyId` and numbered by `version`. Its text is in clear, or sealed, or known by its digest
 * alone; an auditor can replay decisions only where it is one of the first two.
 *
 * @module
 */
import { bool, bytes, map, text, uint } from '../schema.ts'
import { defineRecord } from './define-record.ts'
import { digest, time } from './field-types.ts'

/** Longest text of a policy or reference values, in bytes. */
export const MAX_DOCUMENT_BYTES = 512 * 1024

const content = bytes({ max: MAX_DOCUMENT_BYTES })

const fields = {
  required: {
    policyId: text(),
    version: uint({ min: 1 }),
    mediaType: text(),
    /** SHA-256 of the text. */
    digest,
    notBefore: time,
  },
  optional: { content, notAfter: time },
}
const sections = { optional: { policy: map({ required: { content } }) } }

/** The rules of a Credential Issuer: RATS' "appraisal policy for attestation results" (RFC 9334 §8.5). Cedar. */
export const issuancePolicy = defineRecord({
  type: 'issuance-policy',
  fields: {
    required: fields.required,
    optional: {
      ...fields.optional,
      /** For confidential workloads: every credential issued by it says so, and has a Verifier's word. */
      confidential: bool(),
    },
  },
  sections,
})

/** The criteria of a Verifier: "appraisal policy for evidence". */
export const appraisalPolicy = defineRecord({ type: 'appraisal-policy', fields, sections })

/** What a Verifier compares measurements with. */
export const referenceValues = defineRecord({ type: 'reference-values', fields, sections })
