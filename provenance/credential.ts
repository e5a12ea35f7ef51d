/**
 * Workload credentials as bytes with a digest, and what they claim.
 *
 * | kind  | what                                                           | bytes that the digest is over     |
 * |-------|----------------------------------------------------------------|-----------------------------------|
 * | `wit` | Workload Identity Token, a compact JWS (workload-creds §5)      | the ASCII of the JWS              |
 * | `wic` | Workload Identity Certificate, X.509 (workload-creds §6, SVID)  | the DER of the workload certificate |
 *
 * A token file may end with one line break, which editors and shells add and which is not part of the token.
 *
 * @module
 */
import { fromUtf8 } from '../merkle/bytes.ts'
import { type Hash, sha256 } from '../merkle/hash.ts'
import { jwkThumbprint, type VerificationJwk } from '../statement/cose-key.ts'
import { parseVerificationJwk } from '../statement/verification-jwk.ts'
import { type Certificate, decodePem, parseCertificate } from './certificates/certificate.ts'
import { checkAnchorsWhole } from './certificates/certificate-path.ts'
import { checkCertificatePath, subjectOfCertificate } from './certificates/workload-certificate.ts'
import { type CredentialRules, checkLifetime, checkTokenProfile } from './credential-rules.ts'
import { ProvenanceError } from './error.ts'
import { parseWorkloadIdentifier, type WorkloadIdentifier } from './identifier.ts'
import { isJsonObject, type Json, type JsonObject, parseJson } from './json.ts'
import { decodeCompactJws, type UnverifiedJws, verifyJws } from './jws.ts'
import { LOG_REFERENCE_CLAIM, type LogReference, parseLogReferenceClaim } from './log-reference.ts'

/** What a credential says. Nobody has checked the signature: {@link verifyCredentialSignature} does. */
export interface Credential {
  readonly kind: 'wit' | 'wic'
  /** Exactly what was issued: JWS ASCII, or DER. */
  readonly bytes: Uint8Array
  /** SHA-256 of `bytes`: the name of this credential everywhere. For a WIT it is `wth` of a proof token too. */
  readonly digest: Hash
  readonly subject: WorkloadIdentifier
  /** `jti`, where the token has one, or the serial number in lower-case hex. */
  readonly identifier: string | undefined
  /** POSIX seconds. */
  readonly notBefore?: number
  /** POSIX seconds: `iat` of a token, which says nothing about from when it is valid. */
  readonly issuedAt?: number
  /** POSIX seconds. A WIT ends before this second, a certificate with it. */
  readonly notAfter: number
  /** The workload's own key: `cnf.jwk`, or the certificate's. */
  readonly publicJwk: VerificationJwk
  /** RFC 7638, base64url. */
  readonly keyThumbprint: string
  /** The entry of a log by which it was announced. */
  readonly logReference?: LogReference
  /** `wic` only: the workload's certificate and those that came with it. */
  readonly certificate?: Certificate
  readonly intermediates?: readonly Certificate[]
}

/** What one trust domain vouches with. Never a union: bundles of two domains are not merged (SPIFFE Federation §4.2). */
export interface TrustDomainAnchors {
  readonly trustDomain: string
  /** `use: wit-svid`, by `kid`. */
  readonly tokenKeys: ReadonlyMap<string, VerificationJwk>
  /** `use: x509-svid`. */
  readonly certificates: readonly Certificate[]
  /** `spiffe_sequence`: of two bundles of one trust domain the higher one is the later. */
  readonly sequence?: bigint
  readonly rules?: CredentialRules
}

/** Longest credential file that we read: a certificate and three intermediates fit many times. */
const MAX_CREDENTIAL_BYTES = 256 * 1024

/**
 * Reads a credential file: a compact JWS, PEM (the workload's certificate first), or DER.
 *
 * @throws {@link ProvenanceError} `malformed_credential`, `malformed_identifier`, `identifier_missing`, `identifier_ambiguous`,
 *   `malformed_jws`, `malformed_json`, `malformed_der`, `unsupported_algorithm`, `unsupported_key`; `StatementError` for an unsound key
 */
export function parseCredential(file: Uint8Array): Credential {
  if (file.length > MAX_CREDENTIAL_BYTES) throw refuse('too long')
  if (file[0] === 0x30) return parseWic([file])
  let text: string
  try {
    text = fromUtf8(file)
  } catch (cause) {
    throw new ProvenanceError('malformed_credential', 'neither a token nor a certificate', { cause })
  }
  if (text.includes('-----BEGIN ')) return parseWic(decodePem(text))
  const token = text.endsWith('\r\n') ? text.slice(0, -2) : text.endsWith('\n') ? text.slice(0, -1) : text
  return parseWit(token, file.subarray(0, token.length))
}

/**
 * Checks who issued a credential and that it is valid at `at`, by the anchors of its own trust domain and nothing else.
 *
 * @throws {@link ProvenanceError} `trust_domain_mismatch`, `unknown_anchor`, `bad_signature`, `credential_expired`,
 *   `credential_not_yet_valid`, `lifetime_too_long`, `malformed_trust`, and those of `checkCertificatePath` and `checkTokenProfile`
 */
export async function verifyCredentialSignature(
  credential: Credential,
  anchors: TrustDomainAnchors,
  at: number,
): Promise<void> {
  const { subject, certificate, intermediates = [] } = credential
  if (subject.trustDomain !== anchors.trustDomain) {
    throw new ProvenanceError('trust_domain_mismatch', `${subject.uri} is not in ${anchors.trustDomain}`)
  }
  await checkAnchorsWhole(anchors.certificates)
  if (certificate) await checkCertificatePath(certificate, intermediates, anchors.certificates, at)
  else await checkToken(credential, anchors, at)
  checkLifetime(credential, anchors.rules, at)
}

/** The order of workload-creds §3.1: whose anchors, which profile and algorithm, the signature, and then the dates. */
async function checkToken(credential: Credential, anchors: TrustDomainAnchors, at: number): Promise<void> {
  const { jws, claims } = tokens.get(credential) ?? readToken(fromUtf8(credential.bytes))
  checkTokenProfile(credential, { header: jws.header, algorithm: jws.algorithm, claims }, anchors.rules)
  await verifyJws(jws, tokenKey(jws.header, anchors), { typ: [WIT_TYP] })
  if (credential.notBefore !== undefined && at < credential.notBefore) {
    throw new ProvenanceError('credential_not_yet_valid', `valid from ${credential.notBefore}, asked about ${at}`)
  }
  // RFC 7519 §4.1.4: on or after `exp` it must not be accepted.
  if (at >= credential.notAfter) {
    throw new ProvenanceError('credential_expired', `expired at ${credential.notAfter}, asked about ${at}`)
  }
}

export const WIT_TYP = 'wit+jwt'

/** The key with the token's `kid`; without one, the only key there is (workload-creds §5.1: selection must be unambiguous). */
function tokenKey({ kid }: JsonObject, { tokenKeys, trustDomain }: TrustDomainAnchors): VerificationJwk {
  const candidates = kid === undefined ? [...tokenKeys.values()] : typeof kid === 'string' ? [tokenKeys.get(kid)] : []
  const [key] = candidates
  if (candidates.length !== 1 || !key) {
    const which = kid === undefined ? 'single key' : `key ${JSON.stringify(kid)}`
    throw new ProvenanceError('unknown_anchor', `${trustDomain} has no ${which} for tokens`)
  }
  return key
}

/** What a credential was made of, as long as anybody has it: what it claims and what is verified of it are of one reading. */
const tokens = new WeakMap<Credential, Token>()

interface Token {
  readonly jws: UnverifiedJws
  readonly claims: JsonObject
}

function readToken(compact: string): Token {
  const jws = decodeCompactJws(compact)
  const claims = parseJson(jws.payload)
  if (!isJsonObject(claims)) throw refuse('the claims are not an object')
  return { jws, claims }
}

function parseWit(compact: string, bytes: Uint8Array): Credential {
  const token = readToken(compact)
  const { header } = token.jws
  if (header['typ'] !== WIT_TYP) throw refuse(`a JWS of typ ${JSON.stringify(header['typ'])}, not ${WIT_TYP}`)
  const { kid } = header
  if (kid !== undefined && typeof kid !== 'string') throw refuse('kid is not text')
  const { sub, jti, iat, nbf, exp, cnf, [LOG_REFERENCE_CLAIM]: reference } = token.claims
  if (typeof sub !== 'string') throw refuse('sub is not one identifier')
  if (jti !== undefined && (typeof jti !== 'string' || jti === '')) throw refuse('jti is not text')

  const jwk = isJsonObject(cnf) ? cnf['jwk'] : undefined
  // The proof of possession must use this algorithm, so a key without one is no binding (workload-creds §5.1).
  if (!isJsonObject(jwk) || typeof jwk['alg'] !== 'string') throw refuse('cnf.jwk is not a key with an alg')
  const publicJwk = parseVerificationJwk(jwk)
  const credential: Credential = {
    kind: 'wit',
    bytes,
    digest: sha256(bytes),
    subject: parseWorkloadIdentifier(sub),
    identifier: jti,
    ...(nbf === undefined ? {} : { notBefore: numericDate(nbf, 'nbf') }),
    ...(iat === undefined ? {} : { issuedAt: numericDate(iat, 'iat') }),
    notAfter: numericDate(exp, 'exp'),
    publicJwk,
    keyThumbprint: jwkThumbprint(publicJwk),
    ...(reference !== undefined && { logReference: parseLogReferenceClaim(reference) }),
  }
  tokens.set(credential, token)
  return credential
}

function parseWic(ders: readonly Uint8Array[]): Credential {
  const [certificate, ...intermediates] = ders.map(parseCertificate)
  const { der, publicJwk, serial, notBefore, notAfter, logReference } = certificate!
  if (!publicJwk) throw new ProvenanceError('unsupported_key', "a workload's key of another kind")
  return {
    kind: 'wic',
    bytes: der,
    digest: sha256(der),
    subject: subjectOfCertificate(certificate!),
    identifier: serial,
    notBefore,
    notAfter,
    publicJwk,
    keyThumbprint: jwkThumbprint(publicJwk),
    ...(logReference && { logReference }),
    certificate: certificate!,
    intermediates,
  }
}

function numericDate(value: Json | undefined, claim: string): number {
  if (typeof value !== 'number' || value < 0) throw refuse(`${claim} is not whole seconds since 1970`)
  return value
}

function refuse(why: string): ProvenanceError {
  return new ProvenanceError('malformed_credential', why)
}
