/**
 * That a credential is about to be issued, and on what: logged first, so that the credential itself can name the entry. As Certificate
 * Transparency does with precertificates, but without a poisoned twin of the credential: what it will say is committed to.
 *
 *     issuance-intent ──entry──► into the credential ──digest──► credential-provenance ──links──► issuance-intent
 *
 * A record that is found by the digest of the credential cannot be in the credential. This one can.
 *
 * @module
 */
import { map, oneOf } from '../schema.ts'
import { decision } from './decision.ts'
import { defineRecord } from './define-record.ts'
import { digest, time, workloadIdentifier } from './field-types.ts'

export const issuanceIntent = defineRecord({
  type: 'issuance-intent',
  fields: {
    required: {
      kind: oneOf('wit', 'wic'),
      notBefore: time,
      notAfter: time,
      attestation: oneOf('attested', 'none'),
      /** To `jti` or serial number, to the subject, and to the workload's key: `intentCommitments`. */
      identifierCommitment: digest,
      subjectCommitment: digest,
      keyCommitment: digest,
    },
  },
  sections: { optional: { credential: map({ required: { subject: workloadIdentifier } }), decision } },
})
