/**
 * DSSE envelopes (secure-systems-lab/dsse): a payload, its type, and signatures over both.
 *
 *     { "payloadType": "application/vnd.in-toto+json", "payload": "<base64>", "signatures": [{ "sig": "<base64>" }] }
 *
 * `keyid` is a hint that nobody signed, so it chooses nothing here: a signature is tried under each key that the caller trusts.
 *
 * @module
 */
import type { VerificationKey } from '#signature'
import { concatBytes, fromBase64, fromBase64url, fromUtf8, utf8 } from '../../merkle/bytes.ts'
import { EvidenceError } from '../../merkle/error.ts'
import { schemeOf } from '../../statement/algorithm.ts'
import { rawSignature } from '../certificates/certificate-key.ts'
import { ProvenanceError } from '../error.ts'
import { isJsonObject, type Json, type JsonObject } from '../json.ts'
import { refuse } from './in-toto.ts'

export interface DsseEnvelope {
  readonly payloadType: string
  readonly payload: Uint8Array
  readonly signatures: readonly Uint8Array[]
}

/** Each is tried under each key. */
const MAX_SIGNATURES = 16

/** @throws {@link ProvenanceError} `malformed_attestation` */
export function readEnvelope(document: JsonObject): DsseEnvelope {
  const { payloadType, payload, signatures } = document
  if (typeof payloadType !== 'string') throw refuse('an envelope without payloadType')
  if (!Array.isArray(signatures) || signatures.length === 0 || signatures.length > MAX_SIGNATURES) {
    throw refuse(`an envelope without 1 to ${MAX_SIGNATURES} signatures`)
  }
  return {
    payloadType,
    payload: bytes(payload, 'payload'),
    signatures: signatures.map((each: Json) => bytes(isJsonObject(each) ? each['sig'] : undefined, 'sig')),
  }
}

/** What is signed: the pre-authentication encoding, of DSSE v1. */
export function signedBytes({ payloadType, payload }: Pick<DsseEnvelope, 'payloadType' | 'payload'>): Uint8Array {
  const type = utf8(payloadType)
  return concatBytes(utf8(`DSSEv1 ${type.length} `), type, utf8(` ${payload.length} `), payload)
}

/**
 * The key under which one of the signatures is good.
 *
 * @throws {@link ProvenanceError} `bad_signature` when none is
 */
export async function verifyEnvelope(
  envelope: DsseEnvelope,
  keys: readonly VerificationKey[],
): Promise<VerificationKey> {
  const signed = signedBytes(envelope)
  for (const key of keys) {
    for (const signature of envelope.signatures) {
      if (await key.verify(signed, formOf(signature, key))) return key
    }
  }
  throw new ProvenanceError('bad_signature', 'the envelope is not signed by any of the keys that were given')
}

/** DSSE leaves the form of a signature open. ECDSA is sent as DER by Sigstore and OpenSSL, and as r ‖ s by JOSE libraries. */
function formOf(signature: Uint8Array, { algorithm, jwk }: VerificationKey): Uint8Array {
  try {
    return rawSignature(signature, schemeOf(algorithm), jwk) ?? signature
  } catch (error) {
    if (error instanceof EvidenceError) return signature
    throw error
  }
}

/** Base64 of either alphabet: DSSE lets writers choose. */
export function bytes(value: Json | undefined, title: string): Uint8Array {
  if (typeof value !== 'string') throw refuse(`${title} is not a text`)
  try {
    return /[-_]/.test(value) || value.length % 4 !== 0
      ? fromBase64url(value.replace(/={1,2}$/, ''))
      : fromBase64(value)
  } catch (cause) {
    if (!(cause instanceof EvidenceError)) throw cause
    throw new ProvenanceError('malformed_attestation', `${title} is not base64`, { cause })
  }
}

/** The payload as text. @throws {@link ProvenanceError} `malformed_attestation` */
export function payloadText({ payload }: DsseEnvelope): string {
  try {
    return fromUtf8(payload)
  } catch (cause) {
    if (!(cause instanceof EvidenceError)) throw cause
    throw new ProvenanceError('malformed_attestation', 'the payload is not UTF-8', { cause })
  }
}
