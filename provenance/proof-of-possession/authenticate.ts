/**
 * Who sent a message: its credential, by the anchors of the credential's own trust domain, and then the proof. All that a server
 * needs to know its callers, and a client to know its server.
 *
 * @module
 */
import { utf8 } from '../../merkle/bytes.ts'
import { type Credential, parseCredential, type TrustDomainAnchors, verifyCredentialSignature } from '../credential.ts'
import { ProvenanceError } from '../error.ts'
import type { ProofBounds } from './expectations.ts'
import { type HttpRequest, type HttpResponse, readFields } from './http-message.ts'
import { verifyHttpResponse } from './http-signature.ts'
import { type Possession, type RequestExpectations, verifyRequestProof, witOfRequest } from './possession.ts'

/** What one relies on, by trust domain: a map, or whatever else answers for one name. Never a union of all. */
export type AnchorsByTrustDomain = Pick<ReadonlyMap<string, TrustDomainAnchors>, 'get'>

/** A caller whose credential is good and who has its key. What it may do is another question. */
export interface AuthenticatedRequest {
  readonly credential: Credential
  readonly possession: Possession
}

/**
 * Who sends a request.
 *
 * @throws {@link ProvenanceError} `credential_missing`, `credential_as_bearer`, `proof_missing`, `unknown_trust_domain`, and those of
 *   `parseCredential`, `verifyCredentialSignature` and {@link verifyRequestProof}; UnavailableError when the cache of proofs cannot tell
 */
export async function authenticateRequest(
  request: HttpRequest,
  trustDomains: AnchorsByTrustDomain,
  expectations: RequestExpectations,
): Promise<AuthenticatedRequest> {
  const credential = await verifiedCredential(witOfRequest(request), trustDomains, expectations.at)
  return { credential, possession: await verifyRequestProof(request, credential, expectations) }
}

/**
 * Who answers a request: whoever should.
 *
 * @param sent - the request with every header field that was sent, and the nonce of its signature
 * @param peer - identifier of the workload that was asked. "Somebody whom a trust domain knows" is nobody (mutual-tls §5).
 * @throws {@link ProvenanceError} `response_unsigned`, `credential_missing`, `unexpected_peer`, `unknown_trust_domain`, and those of
 *   `parseCredential`, `verifyCredentialSignature` and {@link verifyHttpResponse}; UnavailableError when the cache of proofs cannot tell
 */
export async function authenticateResponse(
  response: HttpResponse,
  sent: { readonly request: HttpRequest; readonly nonce: string },
  trustDomains: AnchorsByTrustDomain,
  { peer, ...bounds }: ProofBounds & { readonly peer: string },
): Promise<Credential> {
  const fields = readFields(response)
  if (!fields.has('signature-input')) throw new ProvenanceError('response_unsigned', 'the response is not signed')
  const wit = fields.get('workload-identity-token')
  if (wit === undefined) throw new ProvenanceError('credential_missing', 'no Workload-Identity-Token')
  const credential = await verifiedCredential(wit, trustDomains, bounds.at)
  // Whole identifiers: a trust domain, or a path in it, is not whom was asked.
  if (credential.subject.uri !== peer) {
    throw new ProvenanceError('unexpected_peer', `${credential.subject.uri} answers, and ${peer} was asked`)
  }
  await verifyHttpResponse(response, sent, credential, bounds)
  return credential
}

async function verifiedCredential(wit: string, trustDomains: AnchorsByTrustDomain, at: number): Promise<Credential> {
  const credential = parseCredential(utf8(wit))
  const { trustDomain } = credential.subject
  const anchors = trustDomains.get(trustDomain)
  if (!anchors) throw new ProvenanceError('unknown_trust_domain', `no anchors for ${trustDomain}`)
  await verifyCredentialSignature(credential, anchors, at)
  return credential
}
