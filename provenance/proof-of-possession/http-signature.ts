/**
 * HTTP message signatures (RFC 9421) in the profile of draft-ietf-wimse-http-signature: the key of a WIT signs a whole request,
 * and the response to it.
 *
 *     Signature-Input: wimse=("@method" "@request-target" "workload-identity-token");created=…;expires=…;nonce="…"
 *                      ;tag="wimse-workload-to-workload";wimse-aud="https://svcb.example.com/path"
 *
 * The profile says what must be covered, so that nobody can be talked into checking a signature over less. What is covered
 * besides must be whole header fields; other components of RFC 9421 (`@authority`, `@target-uri`, single dictionary members)
 * would be computed from what we do not know or must not believe, and a signature over them is refused.
 *
 * @module
 */
import { importVerificationKey, type SigningKey } from '#signature'
import { fromUtf8, utf8 } from '../../merkle/bytes.ts'
import { assert } from '../../merkle/error.ts'
import type { PrivateJwk } from '../../statement/cose-key.ts'
import type { Credential } from '../credential.ts'
import { ProvenanceError } from '../error.ts'
import { checkContentDigest, contentDigest } from './content-digest.ts'
import {
  checkAudience,
  checkFirstUse,
  checkProofTimes,
  isNonce,
  type ProofBounds,
  type ProofExpectations,
} from './expectations.ts'
import {
  checkRequestLine,
  type FieldLine,
  type Fields,
  type HttpRequest,
  type HttpResponse,
  readFields,
} from './http-message.ts'
import { proofKeyOf } from './proof-key.ts'
import {
  type BareItem,
  type Dictionary,
  type InnerList,
  type Item,
  parseDictionary,
  serializeDictionary,
  serializeInnerList,
  serializeItem,
} from './structured-field.ts'

export const SIGNATURE_TAG = 'wimse-workload-to-workload'
/** The label to look for among several. */
export const SIGNATURE_LABEL = 'wimse'

/** Most components that one signature may cover, and most signatures that one message may have. */
const MAX_COMPONENTS = 64
const MAX_SIGNATURES = 8

export interface NewSignature {
  /** The WIT, compact, whose key signs. */
  readonly wit: string
  /** POSIX seconds, some minutes apart at most. */
  readonly created: number
  readonly expires: number
  /** 128 random bits or more, as text. */
  readonly nonce: string
}

export interface NewRequestSignature extends NewSignature {
  /** The request's URI without query, or what the recipient calls itself. */
  readonly audience: string
  /** Demands that the response be signed as well. */
  readonly signResponse?: boolean
}

/**
 * Signs a request.
 *
 * @param key - the private half of the key that the WIT names
 * @returns the header fields to add to those of the request
 * @throws {@link ProvenanceError} `malformed_message`, `duplicate_field`, `wrong_proof_key`, and those of `parseCredential`
 */
export async function signHttpRequest(
  request: HttpRequest,
  signature: NewRequestSignature,
  key: PrivateJwk | SigningKey,
): Promise<readonly FieldLine[]> {
  const { audience, signResponse = false } = signature
  const added = await credentialAndDigest(request, signature)
  const message = requestParts({ ...request, fields: [...request.fields, ...added] })
  const parameters: (readonly [string, BareItem])[] = [
    ['wimse-aud', audience],
    ...(signResponse ? [['wimse-sign-response', true] as const] : []),
  ]
  return [...added, ...(await sign(message, signature, parameters, key))]
}

/**
 * Signs the response to a request.
 *
 * @param request - as it came, and was verified
 * @param requestNonce - of its signature
 * @returns the header fields to add to those of the response
 * @throws as {@link signHttpRequest}
 */
export async function signHttpResponse(
  response: HttpResponse,
  { request, requestNonce }: { readonly request: HttpRequest; readonly requestNonce: string },
  signature: NewSignature,
  key: PrivateJwk | SigningKey,
): Promise<readonly FieldLine[]> {
  const added = await credentialAndDigest(response, signature)
  const message = responseParts({ ...response, fields: [...response.fields, ...added] }, request)
  return [...added, ...(await sign(message, signature, [['wimse-req-nonce', requestNonce]], key))]
}

/** What a signature over a request says, once it holds. */
export interface VerifiedRequestSignature {
  readonly nonce: string
  readonly expiresAt: number
  /** The client demands a signed response. */
  readonly signResponse: boolean
}

/** Whether a message has a signature that is meant to be one of this profile. */
export function isSigned(fields: Fields): boolean {
  const input = fields.get('signature-input')
  if (input === undefined) return fields.has('signature')
  const dictionary = parseDictionary(input)
  const [member] = dictionary.size === 1 ? dictionary.values() : [dictionary.get(SIGNATURE_LABEL)]
  return member?.parameters.get('tag') === SIGNATURE_TAG
}

/**
 * Checks that a request was signed by the key of `credential`, for us and now, and that its content is what was signed.
 *
 * @param credential - whose own signature the caller has verified: "before validating the HTTP message signature" (§3)
 * @throws {@link ProvenanceError} `malformed_message`, `duplicate_field`, `malformed_structured_field`, `signature_not_found`,
 *   `malformed_signature_input`, `component_not_covered`, `credential_mismatch`, `bad_signature`, `content_digest_missing`,
 *   `content_digest_mismatch`, `wrong_audience`, `proof_expired`, `proof_not_yet_valid`, `proof_lifetime_too_long`,
 *   `proof_replayed`; UnavailableError when the cache of proofs cannot tell
 */
export async function verifyHttpRequest(
  request: HttpRequest,
  credential: Credential,
  expectations: ProofExpectations,
): Promise<VerifiedRequestSignature> {
  const message = requestParts(request)
  const found = findSignature(message)
  const { nonce, created, expires } = readParameters(found, ['wimse-req-nonce'])
  const audience = found.input.parameters.get('wimse-aud')
  const signResponse = found.input.parameters.get('wimse-sign-response') ?? false
  if (typeof audience !== 'string') throw malformed('no wimse-aud')
  if (typeof signResponse !== 'boolean') throw malformed('wimse-sign-response is not a boolean')

  await verify(message, found, credential)
  await checkContentDigest(message.own.get('content-digest'), request.content ?? new Uint8Array())
  checkAudience(audience, expectations.audience, request.target)
  checkProofTimes({ beginsAt: created, expiresAt: expires }, expectations)
  await checkFirstUse({ nonce, expiresAt: expires, way: 'http-signature' }, credential, expectations)
  return { nonce, expiresAt: expires, signResponse }
}

/**
 * Checks that a response was signed by the key of `credential`, as the answer to this request and no other.
 *
 * @param credential - of the server, whose own signature the caller has verified
 * @param sent.request - with every header field that was sent, and `sent.nonce` of its signature
 * @throws as {@link verifyHttpRequest} but for the audience, and `response_unsigned`, `response_mismatch`
 */
export async function verifyHttpResponse(
  response: HttpResponse,
  { request, nonce: sent }: { readonly request: HttpRequest; readonly nonce: string },
  credential: Credential,
  bounds: ProofBounds,
): Promise<{ readonly nonce: string; readonly expiresAt: number }> {
  const message = responseParts(response, request)
  if (!message.own.has('signature-input')) throw new ProvenanceError('response_unsigned', 'the response is not signed')
  const found = findSignature(message)
  const { nonce, created, expires } = readParameters(found, ['wimse-aud', 'wimse-sign-response'])
  await verify(message, found, credential)
  await checkContentDigest(message.own.get('content-digest'), response.content ?? new Uint8Array())
  if (found.input.parameters.get('wimse-req-nonce') !== sent) {
    throw new ProvenanceError('response_mismatch', 'signed as the answer to another request')
  }
  checkProofTimes({ beginsAt: created, expiresAt: expires }, bounds)
  await checkFirstUse({ nonce, expiresAt: expires, way: 'http-signature' }, credential, bounds)
  return { nonce, expiresAt: expires }
}

/** A message as its signature sees it. */
interface Parts {
  /** The fields of the message itself. */
  readonly own: Fields
  /** Values of the components that are no fields, by identifier. */
  readonly derived: ReadonlyMap<string, string>
  /** The fields of the request, where the message is a response to it: `"name";req`. */
  readonly request?: Fields
  /** Fields that must be covered when they are there. */
  readonly coveredFields: readonly string[]
}

function requestParts(request: HttpRequest): Parts {
  checkRequestLine(request)
  return {
    own: readFields(request),
    derived: new Map([
      ['"@method"', request.method],
      ['"@request-target"', request.target],
    ]),
    coveredFields: ['content-type', 'content-digest', 'authorization', 'txn-token', 'workload-identity-token'],
  }
}

function responseParts(response: HttpResponse, request: HttpRequest): Parts {
  checkRequestLine(request)
  if (!Number.isInteger(response.status) || response.status < 100 || response.status > 999) {
    throw new ProvenanceError('malformed_message', 'a status that is not three digits')
  }
  return {
    own: readFields(response),
    derived: new Map([
      ['"@status"', String(response.status)],
      ['"@method";req', request.method],
      ['"@request-target";req', request.target],
    ]),
    request: readFields(request),
    coveredFields: ['workload-identity-token', 'content-type', 'content-digest'],
  }
}

/** Identifiers of all that the profile demands of this message. */
function mustCover({ own, derived, coveredFields }: Parts): readonly string[] {
  return [...derived.keys(), ...coveredFields.filter((name) => own.has(name)).map((name) => `"${name}"`)]
}

/** The text that is signed (RFC 9421 §2.5). */
function signatureBase(message: Parts, input: InnerList): Uint8Array {
  const lines = input.items.map((item) => `${serializeItem(item)}: ${componentValue(message, item)}`)
  return utf8([...lines, `"@signature-params": ${serializeInnerList(input)}`].join('\n'))
}

function componentValue({ own, derived, request }: Parts, item: Item): string {
  const identifier = serializeItem(item)
  const { value: name, parameters } = item
  const ofRequest = request !== undefined && parameters.size === 1 && parameters.get('req') === true
  const fields = ofRequest ? request : parameters.size === 0 ? own : undefined
  const value = derived.get(identifier) ?? (typeof name === 'string' ? fields?.get(name) : undefined)
  if (value === undefined) throw malformed(`covers ${identifier}, which is not there or not supported`)
  if (!/^[\t -~]*$/.test(value)) throw malformed(`covers ${identifier}, which is not ASCII`)
  return value
}

async function credentialAndDigest(
  { fields, content }: HttpRequest | HttpResponse,
  { wit }: NewSignature,
): Promise<readonly FieldLine[]> {
  const digested = fields.some(([name]) => name.toLowerCase() === 'content-digest')
  const digest = content === undefined || content.length === 0 || digested ? undefined : await contentDigest(content)
  return [['Workload-Identity-Token', wit], ...(digest === undefined ? [] : [['Content-Digest', digest] as const])]
}

async function sign(
  message: Parts,
  { wit, created, expires, nonce }: NewSignature,
  parameters: readonly (readonly [string, BareItem])[],
  key: PrivateJwk | SigningKey,
): Promise<readonly FieldLine[]> {
  assert(nonce.length >= 22 && expires > created, 'a signature has a nonce of 128 random bits, and lasts')
  const { signer } = await proofKeyOf(wit, key)
  const input: InnerList = {
    items: mustCover(message).map(itemOf),
    parameters: new Map<string, BareItem>([
      ['created', created],
      ['expires', expires],
      ['nonce', nonce],
      ['tag', SIGNATURE_TAG],
      ...parameters,
    ]),
  }
  const value = await signer.sign(signatureBase(message, input))
  const signature: Dictionary = new Map([[SIGNATURE_LABEL, { value, parameters: new Map() }]])
  return [
    ['Signature-Input', serializeDictionary(new Map([[SIGNATURE_LABEL, input]]))],
    ['Signature', serializeDictionary(signature)],
  ]
}

/** The component with an identifier of ours: a name in quotes, and `;req` or nothing. */
function itemOf(identifier: string): Item {
  const [, name, req] = /^"([^"]+)"(;req)?$/.exec(identifier)!
  return { value: name!, parameters: new Map(req === undefined ? [] : [['req', true]]) }
}

interface FoundSignature {
  readonly input: InnerList
  readonly value: Uint8Array
}

/** The only signature; of several, the one with our label (§3). */
function findSignature({ own }: Parts): FoundSignature {
  const [inputField, signatureField] = [own.get('signature-input'), own.get('signature')]
  if (inputField === undefined || signatureField === undefined) {
    throw new ProvenanceError('signature_not_found', 'Signature and Signature-Input are not both there')
  }
  const [inputs, signatures] = [parseDictionary(inputField), parseDictionary(signatureField)]
  if (Math.max(inputs.size, signatures.size) > MAX_SIGNATURES) throw malformed('too many signatures')
  const label = inputs.size === 1 ? [...inputs.keys()][0]! : SIGNATURE_LABEL
  const [input, signature] = [inputs.get(label), signatures.get(label)]
  if (input === undefined || signature === undefined) {
    throw new ProvenanceError('signature_not_found', `no signature is labelled ${label}`)
  }
  if (!('items' in input) || 'items' in signature || !(signature.value instanceof Uint8Array)) {
    throw malformed('not a list of components, and bytes')
  }
  return { input, value: signature.value }
}

/** @param foreign - parameters that are for the other kind of message */
function readParameters(
  { input: { parameters } }: FoundSignature,
  foreign: readonly string[],
): { nonce: string; created: number; expires: number } {
  // The WIT says which key and algorithm. A second place to say it is a place to say something else (§3).
  for (const name of ['keyid', 'alg', ...foreign]) {
    if (parameters.has(name)) throw malformed(`the parameter ${name}, which must not be there`)
  }
  const [created, expires, nonce] = ['created', 'expires', 'nonce'].map((name) => parameters.get(name))
  if (parameters.get('tag') !== SIGNATURE_TAG) throw malformed(`the tag is not ${SIGNATURE_TAG}`)
  if (typeof created !== 'number' || typeof expires !== 'number') throw malformed('created or expires is no time')
  if (!isNonce(nonce)) throw malformed('nonce is not text of a sensible length')
  return { nonce, created, expires }
}

async function verify(message: Parts, { input, value }: FoundSignature, credential: Credential): Promise<void> {
  if (input.items.length > MAX_COMPONENTS) throw malformed('too many components')
  const covered = new Set(input.items.map(serializeItem))
  if (covered.size !== input.items.length) throw malformed('a component twice')
  const left = mustCover(message).find((identifier) => !covered.has(identifier))
  if (left !== undefined) throw new ProvenanceError('component_not_covered', `the signature does not cover ${left}`)
  // Covered, and the one that was verified: or else the key would be of one token and the request of another.
  const token = message.own.get('workload-identity-token')
  if (token === undefined || credential.kind !== 'wit' || token !== fromUtf8(credential.bytes)) {
    throw new ProvenanceError('credential_mismatch', 'the message has another credential')
  }
  const key = await importVerificationKey(credential.publicJwk)
  if (!(await key.verify(signatureBase(message, input), value))) {
    throw new ProvenanceError('bad_signature', 'not signed by the key that the WIT names')
  }
}

function malformed(why: string): ProvenanceError {
  return new ProvenanceError('malformed_signature_input', why)
}
