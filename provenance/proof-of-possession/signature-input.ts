/**
 * Which signature of a message to check, and the parameters that the WIMSE profile demands and forbids.
 *
 * @module
 */
import { ProvenanceError } from '../error.ts'
import { isNonce } from './expectations.ts'
import type { Fields } from './http-message.ts'
import { type InnerList, parseDictionary } from './structured-field.ts'

export const SIGNATURE_TAG = 'wimse-workload-to-workload'
/** The label to look for among several. */
export const SIGNATURE_LABEL = 'wimse'

/** Most signatures that one message may have. */
const MAX_SIGNATURES = 8

/** Whether a message has a signature that is meant to be one of this profile. */
export function isSigned(fields: Fields): boolean {
  const input = fields.get('signature-input')
  if (input === undefined) return fields.has('signature')
  const dictionary = parseDictionary(input)
  const [member] = dictionary.size === 1 ? dictionary.values() : [dictionary.get(SIGNATURE_LABEL)]
  return member?.parameters.get('tag') === SIGNATURE_TAG
}

export interface FoundSignature {
  readonly input: InnerList
  readonly value: Uint8Array
}

/**
 * The only signature of a message; of several, the one with our label (§3).
 *
 * @throws {@link ProvenanceError} `signature_not_found`, `malformed_signature_input`, `malformed_structured_field`
 */
export function findSignature(fields: Fields): FoundSignature {
  const [inputField, signatureField] = [fields.get('signature-input'), fields.get('signature')]
  if (inputField === undefined || signatureField === undefined) {
    throw new ProvenanceError('signature_not_found', 'Signature and Signature-Input are not both there')
  }
  const [inputs, signatures] = [parseDictionary(inputField), parseDictionary(signatureField)]
  if (Math.max(inputs.size, signatures.size) > MAX_SIGNATURES) throw malformedSignature('too many signatures')
  const label = inputs.size === 1 ? [...inputs.keys()][0]! : SIGNATURE_LABEL
  const [input, signature] = [inputs.get(label), signatures.get(label)]
  if (input === undefined || signature === undefined) {
    throw new ProvenanceError('signature_not_found', `no signature is labelled ${label}`)
  }
  if (!('items' in input) || 'items' in signature || !(signature.value instanceof Uint8Array)) {
    throw malformedSignature('not a list of components, and bytes')
  }
  return { input, value: signature.value }
}

/**
 * The parameters that requests and responses have in common.
 *
 * @param foreign - those that are for the other kind of message
 * @throws {@link ProvenanceError} `malformed_signature_input`
 */
export function readParameters(
  { input: { parameters } }: FoundSignature,
  foreign: readonly string[],
): { nonce: string; created: number; expires: number } {
  // The WIT says which key and algorithm. A second place to say it is a place to say something else (§3).
  for (const name of ['keyid', 'alg', ...foreign]) {
    if (parameters.has(name)) throw malformedSignature(`the parameter ${name}, which must not be there`)
  }
  const [created, expires, nonce] = ['created', 'expires', 'nonce'].map((name) => parameters.get(name))
  if (parameters.get('tag') !== SIGNATURE_TAG) throw malformedSignature(`the tag is not ${SIGNATURE_TAG}`)
  if (typeof created !== 'number' || typeof expires !== 'number')
    throw malformedSignature('created or expires is no time')
  if (!isNonce(nonce)) throw malformedSignature('nonce is not text of a sensible length')
  return { nonce, created, expires }
}

/** A signature that is not as the profile has it. */
export function malformedSignature(why: string): ProvenanceError {
  return new ProvenanceError('malformed_signature_input', why)
}
