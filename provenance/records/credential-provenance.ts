/**
 * Why a credential was issued: the record that this log is for. One per issuance, found by the digest of the credential.
 *
 * @module
 */
import { bytes, dictionary, map, oneOf, text } from '../schema.ts'
import { decision } from './decision.ts'
import { defineRecord } from './define-record.ts'
import { digest, time, trustDomain, workloadIdentifier } from './field-types.ts'

export const credentialProvenance = defineRecord({
  type: 'credential-provenance',
  fields: {
    required: {
      /** Workload Identity Token, or Workload Identity Certificate. */
      kind: oneOf('wit', 'wic'),
      /** SHA-256 of its exact bytes: compact JWS in ASCII, or DER. It has a signature's entropy, so nobody can guess it. */
      credentialDigest: digest,
      notBefore: time,
      notAfter: time,
      /** How it reached the workload. */
      delivery: oneOf('file', 'env', 'local-api', 'direct', 'agent'),
      /** `none` says openly that it was issued without an attestation result. */
      attestation: oneOf('attested', 'none'),
    },
  },
  sections: {
    required: {
      credential: map({
        required: {
          /** Whose it is, in `trustDomain`. */
          subject: workloadIdentifier,
          trustDomain,
          /** `jti`, or the serial number in lower-case hex. */
          identifier: text({ max: 512 }),
          /** RFC 7638 thumbprint of the workload's key. */
          keyThumbprint: text(),
        },
        optional: {
          /** What else was known: service, environment, role, requester, trigger. */
          attributes: dictionary(text({ max: 1024 }), { max: 64 }),
        },
      }),
      decision,
    },
    optional: {
      /** The issuer's tag key, for the auditor who wants to recompute `unique`. */
      tags: map({ required: { key: bytes(32) } }),
    },
  },
})
