/**
 * A key, and what it may be used for on this log. One that links to a previous one takes its place.
 *
 * @module
 */
import { ROLES } from '../rules/link-rules.ts'
import { oneOf, uint } from '../schema.ts'
import { defineRecord } from './define-record.ts'
import { encryptionKey, signingKey, time, trustDomain, workloadIdentifier } from './field-types.ts'

export const keyAuthorization = defineRecord({
  type: 'key-authorization',
  fields: {
    required: {
      role: oneOf(...ROLES),
      trustDomain,
      /** Whose key it is, in `trustDomain`: the `iss` of what it signs. */
      subject: workloadIdentifier,
      key: signingKey,
      notBefore: time,
    },
    optional: {
      /** The first second at which it is no longer valid. */
      notAfter: time,
      /** Where this party receives the keys of sealed sections. */
      encryptionKey,
      /** Of an issuer's credentials, in seconds. */
      maxCredentialLifetime: uint({ min: 1 }),
    },
  },
})
