/**
 * What a workload is made of: components, build, compliance tests, vendor. The subject is what Evidence measures, so that
 * an attestation result says about this very thing that it runs.
 *
 * Everything that names software is sealed: it is guessable, and a digest of it in clear would tell whoever guesses.
 *
 * @module
 */

import { ProvenanceError } from '../error.ts'
import { bool, dictionary, type Infer, list, map, oneOf, refine, text } from '../schema.ts'
import { MAX_MATERIALS } from '../workload/build.ts'
import { MAX_RESULTS } from '../workload/compliance.ts'
import { MAX_COMPONENTS, MAX_NAME_LENGTH } from '../workload/component-index.ts'
import { canonicalPurl, MAX_PURL_LENGTH } from '../workload/purl.ts'
import { MAX_SUBJECTS } from '../workload/subject-digest.ts'
import { MAX_VULNERABILITIES, VULNERABILITY_STATES } from '../workload/vulnerabilities.ts'
import { defineRecord } from './define-record.ts'
import { digest, kid } from './field-types.ts'

/** In the one spelling: whoever asks for a package asks for that. */
const purl = refine(text({ max: MAX_PURL_LENGTH }), (value) => {
  if (canonicalPurl(value) !== value)
    throw new ProvenanceError('malformed_purl', `${value} is not in its canonical form`)
})

/** Whom a certificate names that the author of the record verified by the roots of its CA. */
const identity = map({ required: { subject: text({ max: 1024 }), issuer: text({ max: 1024 }) } })

const sbom = map({
  required: {
    /** `CycloneDX` or `SPDX`. */
    format: text(),
    specVersion: text(),
    /** SHA-256 of the document. */
    digest,
    /** Package URLs. A CBOR reader's budget of items bounds them too. */
    components: list(purl, { max: MAX_COMPONENTS }),
  },
  optional: {
    serialNumber: text({ max: 1024 }),
    /** Components without a package URL. */
    others: list(
      map({
        required: { name: text({ max: MAX_NAME_LENGTH }) },
        optional: { version: text({ max: MAX_NAME_LENGTH }) },
      }),
      { max: MAX_COMPONENTS },
    ),
    cpes: list(text({ max: MAX_NAME_LENGTH }), { max: MAX_COMPONENTS }),
    /** What the document says of known vulnerabilities (VEX). Without a state nobody analysed it. */
    vulnerabilities: list(
      map({
        required: { id: text({ max: MAX_NAME_LENGTH }) },
        optional: { state: oneOf(...VULNERABILITY_STATES) },
      }),
      { max: MAX_VULNERABILITIES },
    ),
    /** SHA-256 of what the document says that it is about. Absent: it does not say. */
    subjects: list(digest, { max: MAX_SUBJECTS }),
    /** Who signed it, if it came in an attestation whose signature the author checked: by its key, or by its certificate. */
    signer: kid,
    identity,
  },
})

const build = map({
  required: {
    predicateType: text(),
    /** SHA-256 of the attestation. Its subjects have the subject of this record among them. */
    digest,
    /** Whether the author checked a signature: that of `signer` or `identity`. */
    verified: bool(),
  },
  optional: {
    signer: kid,
    identity,
    /** Who built; of a verification summary, who verified. */
    builderId: text({ max: 1024 }),
    buildType: text({ max: 1024 }),
    /** Of a verification summary (VSA). */
    verification: map({ required: { result: oneOf('PASSED', 'FAILED'), levels: list(text(), { max: 64 }) } }),
    /** What it was built from. */
    materials: list(
      map({
        required: { digests: dictionary(text(), { max: 8 }) },
        optional: { uri: text({ max: 1024 }) },
      }),
      { max: MAX_MATERIALS },
    ),
  },
})

const compliance = map({
  required: {
    test: text(),
    /** As the tool calls it. Only `pass` counts as passed. */
    result: text(),
    /** Whether the author checked the signature of whoever ran the test. */
    verified: bool(),
  },
  optional: {
    tool: text(),
    /** SHA-256 of the report. */
    digest,
  },
})

/** `saas`: the service as which the vendor offers it. */
const vendor = map({ required: { name: text() }, optional: { id: text(), saas: text() } })

const workload = map({
  required: {
    sbom: list(sbom, { max: 16 }),
    build: list(build, { max: 16 }),
    compliance: list(compliance, { max: MAX_RESULTS }),
  },
  optional: { name: text(), vendor },
})

/** The `workload` section. */
export type WorkloadDescription = Infer<typeof workload>

export const workloadProvenance = defineRecord({
  type: 'workload-provenance',
  fields: {
    required: {
      /** SHA-256 of the image, or the measurement of it. */
      subject: digest,
    },
    optional: {
      /** `measurement`, `image`; or, of what nobody measured, `sbom` or `key`: then it is compared with nothing. */
      subjectKind: text(),
    },
  },
  sections: { optional: { workload } },
})
