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
import { importVerificationKey } from '#signature'
import { fromUtf8 } from '../../merkle/bytes.ts'
import { assert } from '../../merkle/error.ts'
import type { PrivateJwk } from '../../statement/cose-key.ts'
import type { Credential } from '../credential.ts'
import { ProvenanceError } from '../error.ts'
import { checkContentDigest, contentDigest } from './content-digest.ts'
import {
  checkAudience,
  checkFirstUse,
  checkProofTimes,
  type ProofBounds,
  type ProofExpectations,
} from './expectations.ts'
import type { FieldLine, HttpRequest, HttpResponse } from './http-message.ts'
import { type ProofSigner, proofKeyOf } from './proof-key.ts'
import {
  checkCovered,
  demandedComponents,
  type Parts,
  requestParts,
  responseParts,
  signatureBase,
} from './signature-base.ts'
import {
  type FoundSignature,
  findSignature,
  malformedSignature,
  readParameters,
  SIGNATURE_LABEL,
  SIGNATURE_TAG,
} from './signature-input.ts'
import { type BareItem, type Dictionary, type InnerList, serializeDictionary } from './structured-field.ts'

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
  key: PrivateJwk | ProofSigner,
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
  key: PrivateJwk | ProofSigner,
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
  /** Where the content is to come: `Content-Digest`, as signed, that it has still to be held against. */
  readonly contentToCheck?: { readonly digest: string | undefined }
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
  const found = findSignature(message.own)
  const { nonce, created, expires } = readParameters(found, ['wimse-req-nonce'])
  const audience = found.input.parameters.get('wimse-aud')
  const signResponse = found.input.parameters.get('wimse-sign-response') ?? false
  if (typeof audience !== 'string') throw malformedSignature('no wimse-aud')
  if (typeof signResponse !== 'boolean') throw malformedSignature('wimse-sign-response is not a boolean')

  await verify(message, found, credential)
  const digest = message.own.get('content-digest')
  const isToCome = expectations.content === 'to-come'
  if (!isToCome) await checkContentDigest(digest, request.content ?? new Uint8Array())
  checkAudience(audience, expectations.audience, request.target)
  checkProofTimes({ beginsAt: created, expiresAt: expires }, expectations)
  await checkFirstUse({ nonce, expiresAt: expires, way: 'httpsig' }, credential, expectations)
  return { nonce, expiresAt: expires, signResponse, ...(isToCome && { contentToCheck: { digest } }) }
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
  const found = findSignature(message.own)
  const { nonce, created, expires } = readParameters(found, ['wimse-aud', 'wimse-sign-response'])
  await verify(message, found, credential)
  await checkContentDigest(message.own.get('content-digest'), response.content ?? new Uint8Array())
  if (found.input.parameters.get('wimse-req-nonce') !== sent) {
    throw new ProvenanceError('response_mismatch', 'signed as the answer to another request')
  }
  checkProofTimes({ beginsAt: created, expiresAt: expires }, bounds)
  await checkFirstUse({ nonce, expiresAt: expires, way: 'httpsig' }, credential, bounds)
  return { nonce, expiresAt: expires }
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
  key: PrivateJwk | ProofSigner,
): Promise<readonly FieldLine[]> {
  assert(nonce.length >= 22 && expires > created, 'a signature has a nonce of 128 random bits, and lasts')
  const { signer } = await proofKeyOf(wit, key)
  const input: InnerList = {
    items: demandedComponents(message),
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

async function verify(message: Parts, { input, value }: FoundSignature, credential: Credential): Promise<void> {
  checkCovered(message, input)
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
