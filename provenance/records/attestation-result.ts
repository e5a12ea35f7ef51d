/**
 * That a Verifier appraised Evidence, by which criteria (its links), and with which outcome. The result itself, an EAT
 * Attestation Result, is sealed: it names the workload and says what is wrong with it.
 *
 * @module
 */
import type { SignedResult } from '../attestation/attestation-result.ts'
import { TIERS } from '../attestation/tier.ts'
import { bytes, map, oneOf, type Schema, text } from '../schema.ts'
import { defineRecord } from './define-record.ts'
import { digest, time } from './field-types.ts'

/** Longest attestation result, in characters of its compact form or bytes of a CWT. */
export const MAX_RESULT_LENGTH = 128 * 1024

/** A compact JWS as text, a CWT as bytes: each as its Verifier signed it. */
const signedResult: Schema<SignedResult> = {
  decode: (value, path) =>
    value instanceof Uint8Array
      ? bytes({ max: MAX_RESULT_LENGTH }).decode(value, path)
      : text({ max: MAX_RESULT_LENGTH }).decode(value, path),
  encode: (result) => result,
}

export const attestationResult = defineRecord({
  type: 'attestation-result',
  fields: {
    required: {
      /** SHA-256 of the exact result: an EAR's compact serialization, ASCII, or a CWT. */
      resultDigest: digest,
      /** SHA-256 of the exact Evidence. */
      evidenceDigest: digest,
      /** Of the Evidence. */
      format: text(),
      tier: oneOf(...TIERS),
      issuedAt: time,
      expiresAt: time,
    },
  },
  sections: {
    optional: {
      attestation: map({
        required: {
          result: signedResult,
          /** What identifies the measured software: the subject of a `workload-provenance`. */
          measurement: digest,
        },
        optional: {
          /** RFC 7638, of the key that the Evidence says is the workload's. */
          keyThumbprint: text(),
          /** As RFC 9711 §4.1 limits it in JSON. */
          nonce: bytes({ max: 88 }),
          /** The Evidence, where it is itself the result of another Verifier that this one vouches for. */
          external: signedResult,
        },
      }),
    },
  },
})
