/**
 * Whether whoever presents a credential has its key: the one question behind the three ways to prove it.
 *
 * | way | proven by | covers |
 * |---|---|---|
 * | `wpt` | a token made for this recipient and moment | the WIT and the other tokens of the request |
 * | `httpsig` | a signature over the request | those, and method, target and content |
 * | `mtls` | the handshake of the connection | whatever is said on it |
 *
 * A WIT alone proves nothing: whoever has seen it can send it.
 *
 * @module
 */
import { equalBytes, fromBase64url, fromUtf8 } from '../../merkle/bytes.ts'
import { EvidenceError } from '../../merkle/error.ts'
import { type Credential, WIT_TYP } from '../credential.ts'
import { ProvenanceError } from '../error.ts'
import { isJsonObject, parseJson } from '../json.ts'
import type { ProofExpectations } from './expectations.ts'
import { type Fields, type HttpRequest, readFields } from './http-message.ts'
import { verifyHttpRequest } from './http-signature.ts'
import { isSigned } from './signature-input.ts'
import { verifyWpt } from './wpt.ts'

export type ProofWay = 'wpt' | 'httpsig' | 'mtls'

export interface RequestExpectations extends ProofExpectations {
  /** The ways that are enough; both unless said otherwise. */
  readonly ways?: readonly Exclude<ProofWay, 'mtls'>[]
  /** Fields besides `Authorization` and `Txn-Token` that hold tokens, by lower-case name. A WPT must bind them. */
  readonly tokenFields?: readonly string[]
}

/** How a credential was presented. */
export type Presentation =
  | ({ readonly request: HttpRequest } & Omit<RequestExpectations, 'at'>)
  /** A WPT that came without a request that we know of. */
  | ({ readonly wpt: string } & Omit<ProofExpectations, 'at'>)
  /** The certificate with which the peer of a TLS connection completed the handshake, DER. */
  | { readonly peerCertificate: Uint8Array }

export interface Possession {
  /** Every way in which it was proven. */
  readonly ways: readonly ProofWay[]
  /** Whether the proof was seen before: not so, impossible within a handshake, or nobody looked. */
  readonly replay: 'first-use' | 'handshake' | 'not-looked-for'
  /** Of the signature over the request: what a signed response must name. */
  readonly nonce?: string
  /** The client demands a signed response. */
  readonly signResponse?: boolean
  /** Where the request was signed before its content was there: what the content has still to be held against (`checkContentDigest`). */
  readonly contentToCheck?: { readonly digest: string | undefined }
}

/**
 * Checks that whoever presented `credential` has its key.
 *
 * @param credential - whose own signature the caller has verified
 * @param at - POSIX seconds
 * @throws {@link ProvenanceError} as {@link verifyRequestProof}, {@link verifyWpt} and {@link checkPeerCertificate}
 */
export async function checkPossession(
  credential: Credential,
  presentation: Presentation,
  at: number,
): Promise<Possession> {
  if ('peerCertificate' in presentation) return checkPeerCertificate(credential, presentation.peerCertificate)
  if ('request' in presentation) {
    const { request, ...expectations } = presentation
    const wit = witOfRequest(request)
    if (credential.kind !== 'wit' || fromUtf8(credential.bytes) !== wit) {
      throw new ProvenanceError('credential_mismatch', 'the request has another credential')
    }
    return verifyRequestProof(request, credential, { ...expectations, at })
  }
  const { wpt, ...expectations } = presentation
  await verifyWpt(wpt, credential, { fields: new Map() }, { ...expectations, at })
  return { ways: ['wpt'], replay: replayOf(expectations) }
}

/**
 * The WIT of a request. Nobody has checked it.
 *
 * @throws {@link ProvenanceError} `credential_missing`, `credential_as_bearer`, `malformed_message`, `duplicate_field`
 */
export function witOfRequest(request: HttpRequest): string {
  const fields = readFields(request)
  if (hasWit(fields.get('authorization') ?? '')) {
    throw new ProvenanceError('credential_as_bearer', 'a WIT in Authorization, where bearer tokens are')
  }
  const wit = fields.get('workload-identity-token')
  if (wit === undefined) throw new ProvenanceError('credential_missing', 'no Workload-Identity-Token')
  return wit
}

/**
 * Checks the proof that came with a request. Where there are two, both must hold.
 *
 * @param credential - that of the request, whose own signature the caller has verified
 * @throws {@link ProvenanceError} `proof_missing`, and those of {@link verifyWpt} and {@link verifyHttpRequest}; UnavailableError
 */
export async function verifyRequestProof(
  request: HttpRequest,
  credential: Credential,
  { ways = ['wpt', 'httpsig'], tokenFields = [], ...expectations }: RequestExpectations,
): Promise<Possession> {
  const fields = readFields(request, tokenFields)
  const wpt = ways.includes('wpt') ? fields.get('workload-proof-token') : undefined
  // Beside a WPT, a signature may be one for another purpose; alone, it must be one of the profile.
  const signed = ways.includes('httpsig') && (wpt === undefined ? hasSignature(fields) : isSigned(fields))
  if (wpt === undefined && !signed) {
    throw new ProvenanceError('proof_missing', 'a WIT without proof of possession: it is no bearer token')
  }
  // The WPT is used up last: a request that is refused for its signature leaves nothing remembered.
  const signature = signed ? await verifyHttpRequest(request, credential, expectations) : undefined
  if (wpt !== undefined) await verifyWpt(wpt, credential, { fields, target: request.target, tokenFields }, expectations)
  return {
    ways: [...(wpt === undefined ? [] : ['wpt' as const]), ...(signature ? ['httpsig' as const] : [])],
    replay: replayOf(expectations),
    ...(signature && { nonce: signature.nonce, signResponse: signature.signResponse }),
    ...(signature?.contentToCheck && { contentToCheck: signature.contentToCheck }),
  }
}

/**
 * Checks that possession was proven as the credential's issuer wrote down that it must be.
 *
 * @param demanded - `pop` of the provenance record
 * @throws {@link ProvenanceError} `wrong_proof_way`
 */
export function checkProofWay({ ways }: Possession, demanded: ProofWay): void {
  if (!ways.includes(demanded)) {
    throw new ProvenanceError('wrong_proof_way', `by ${ways.join(' and ')}, and the record demands ${demanded}`)
  }
}

/**
 * Possession by TLS: whoever completed a handshake with a certificate has its key, if that certificate is the credential.
 * Whether the connection was one, and the certificate good, the caller has seen to.
 *
 * @throws {@link ProvenanceError} `peer_certificate_mismatch`
 */
export function checkPeerCertificate({ kind, bytes }: Credential, peerCertificate: Uint8Array): Possession {
  if (kind !== 'wic') throw new ProvenanceError('peer_certificate_mismatch', 'a WIT is not proven by a TLS handshake')
  if (!equalBytes(bytes, peerCertificate)) {
    throw new ProvenanceError('peer_certificate_mismatch', 'the connection was made with another certificate')
  }
  return { ways: ['mtls'], replay: 'handshake' }
}

function replayOf({ replay }: Pick<ProofExpectations, 'replay'>): 'first-use' | 'not-looked-for' {
  return replay === 'not-looked-for' ? replay : 'first-use'
}

function hasSignature(fields: Fields): boolean {
  return fields.has('signature') || fields.has('signature-input')
}

/** Whether a field's value contains a WIT, under whatever scheme. */
function hasWit(value: string): boolean {
  return value.split(/[ ,="]+/).some((word) => {
    const parts = word.split('.')
    if (parts.length !== 3 || !parts[0]!.startsWith('eyJ')) return false
    try {
      const header = parseJson(fromUtf8(fromBase64url(parts[0]!)))
      const typ = isJsonObject(header) ? header['typ'] : undefined
      return typeof typ === 'string' && typ.toLowerCase().replace(/^application\//, '') === WIT_TYP
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error
      return false
    }
  })
}
