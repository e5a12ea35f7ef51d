/**
 * What a workload is made of: components, build, compliance tests, vendor. The subject is what Evidence measures, so that
 * an attestation result says about this very thing that it runs.
 *
 * @module
 */
import { list, map, text } from '../schema.ts'
import { defineRecord } from './define-record.ts'
import { digest } from './field-types.ts'

const sbom = map({
  required: {
    /** `CycloneDX` or `SPDX`. */
    format: text(),
    specVersion: text(),
    /** SHA-256 of the document. */
    digest,
    /** Package URLs. A CBOR reader's budget of items bounds them too. */
    components: list(text({ max: 1024 }), { max: 8192 }),
  },
  optional: { serialNumber: text() },
})

const build = map({ required: { predicateType: text(), builderId: text({ max: 1024 }), digest } })

const compliance = map({
  required: { test: text(), result: text() },
  optional: { tool: text(), digest },
})

const vendor = map({ required: { name: text() }, optional: { id: text() } })

export const workloadProvenance = defineRecord({
  type: 'workload-provenance',
  fields: {
    required: {
      /** SHA-256 of the image, or the measurement of it. */
      subject: digest,
    },
    optional: { subjectKind: text() },
  },
  sections: {
    optional: {
      workload: map({
        required: {
          sbom: list(sbom, { max: 16 }),
          build: list(build, { max: 16 }),
          compliance: list(compliance, { max: 256 }),
        },
        optional: { name: text(), vendor },
      }),
    },
  },
})
