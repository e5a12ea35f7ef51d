/**
 * That a gateway shows outside a general identity in the place of one inside (WIMSE architecture, egress). Everybody sees that the
 * credential linked to stands for another one, and whose word that is. For which one is sealed: the record of an internal credential has
 * its digest in clear, so a link to it would let everybody cross.
 *
 * @module
 */
import { map, text } from '../schema.ts'
import { defineRecord } from './define-record.ts'
import { digest, workloadIdentifier } from './field-types.ts'

export const identityGeneralization = defineRecord({
  type: 'identity-generalization',
  fields: {
    required: {
      /** That of the `credential-provenance` linked to: the general credential. */
      credentialDigest: digest,
    },
  },
  sections: {
    required: {
      credential: map({
        required: {
          /** Of the internal credential. */
          digest,
          subject: workloadIdentifier,
          /** Where its provenance is: the log, and the entry of its `credential-provenance`. */
          origin: text(),
          entry: digest,
        },
        optional: {
          /** By which rule of the gateway. */
          rule: text({ max: 1024 }),
        },
      }),
    },
  },
})
