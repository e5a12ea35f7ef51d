/**
 * Workload Identity Tokens (draft-ietf-wimse-workload-creds §5): a compact JWS that binds an identifier to the workload's key.
 *
 *     header  { "alg": "ES256", "kid": the issuer's key, "typ": "wit+jwt" }
 *     claims  { "iss", "sub", "jti", "iat", "nbf", "exp", "cnf": { "jwk": { …, "alg" } } }
 *
 * `jti` is optional in the draft and always there in ours: it is what a log's `unique` tags keep from being used twice. What is made for
 * a SPIFFE ID is a WIT-SVID as well, the stricter profile: no audience, and no EdDSA.
 *
 * @module
 */
import { assert } from '../../merkle/index.ts'
import { canonicalJson, type JsonObject, parseWorkloadIdentifier, signCompactJws } from '../../provenance/index.ts'
import { algorithmOfKey, kidOf, type PrivateJwk, type VerificationJwk } from '../../statement/index.ts'
import { IssuerError } from './error.ts'

export interface WitRequest {
  /** A workload identifier: `sub`. */
  readonly subject: string
  /** The workload's key: `cnf.jwk`. */
  readonly workloadJwk: VerificationJwk
  /** `iss`: for people and audits, nobody finds keys by it. */
  readonly issuer?: string
  /** 128 random bits or more, as text. */
  readonly jti: string
  /** POSIX seconds: `iat`, and `nbf`. */
  readonly issuedAt: number
  /** POSIX seconds: the token ends before it. */
  readonly expiresAt: number
  /** Claims with names of one's own. */
  readonly extraClaims?: JsonObject
}

/**
 * Signs a token.
 *
 * @throws {@link IssuerError} `unsupported_key` for EdDSA in a WIT-SVID
 * @throws ProvenanceError `malformed_identifier`; StatementError `unsupported_key` for a workload key that cannot sign
 */
export function issueWit(request: WitRequest, key: PrivateJwk): Promise<string> {
  const { subject, workloadJwk, issuer, jti, issuedAt, expiresAt, extraClaims = {} } = request
  assert(expiresAt > issuedAt && jti.length >= 22, 'a token lives for a while and has a random jti')
  const { uri, scheme } = parseWorkloadIdentifier(subject)
  if (scheme === 'spiffe' && [algorithmOfKey(key), algorithmOfKey(workloadJwk)].includes('Ed25519')) {
    throw new IssuerError('unsupported_key', 'a WIT for a SPIFFE ID is neither signed nor proved with EdDSA (WIT-SVID)')
  }
  const claims: JsonObject = {
    ...(issuer === undefined ? {} : { iss: issuer }),
    sub: uri,
    jti,
    iat: issuedAt,
    nbf: issuedAt,
    exp: expiresAt,
    cnf: { jwk: confirmationKey(workloadJwk) },
  }
  const taken = Object.keys(extraClaims).find((name) => Object.hasOwn(claims, name) || name === 'aud')
  assert(taken === undefined, `${taken} is not an extra claim`)
  return signCompactJws({ typ: 'wit+jwt', kid: kidOf(key) }, canonicalJson({ ...extraClaims, ...claims }), key)
}

/** The key with the algorithm that its proofs of possession must use (§5.1), by the names that JOSE libraries know. */
function confirmationKey(jwk: VerificationJwk): JsonObject {
  const algorithm = algorithmOfKey(jwk)
  const alg = algorithm === 'Ed25519' ? 'EdDSA' : algorithm
  const { kty } = jwk
  if (kty === 'RSA') return { kty, n: jwk.n, e: jwk.e, alg }
  return kty === 'EC' ? { kty, crv: jwk.crv, x: jwk.x, y: jwk.y, alg } : { kty, crv: jwk.crv, x: jwk.x, alg }
}
