/**
 * That a credential's standing changed. The latest effective one counts.
 *
 *     suspended    until it is reinstated         superseded   another credential, the successor, is in use
 *     revoked      for good                       migrated     the workload runs elsewhere, attested there, and its claims are the same
 *     reinstated   after a suspension
 *
 * @module
 */
import { map, oneOf, text } from '../schema.ts'
import { defineRecord } from './define-record.ts'
import { digest, time } from './field-types.ts'

export const credentialStatus = defineRecord({
  type: 'credential-status',
  fields: {
    required: {
      /** That of the `credential-provenance` linked to. */
      credentialDigest: digest,
      status: oneOf('suspended', 'revoked', 'reinstated', 'superseded', 'migrated'),
      /** May be earlier than the record: a key is known to be stolen since then. */
      effectiveAt: time,
    },
    optional: {
      /** As RFC 5280 §5.3.1 names them. */
      reasonCode: text({ max: 64 }),
      /** Digest of the credential that takes its place: when it is superseded. */
      successor: digest,
    },
  },
  sections: { optional: { detail: map({ required: { text: text({ max: 4096, lines: true }) } }) } },
})
