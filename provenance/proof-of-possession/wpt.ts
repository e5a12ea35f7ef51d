/**
 * Workload Proof Tokens (draft-ietf-wimse-wpt): a JWT, made for one recipient and moment with the key that a WIT names.
 *
 *     header  { "alg": as cnf.jwk.alg of the WIT, "typ": "wpt+jwt" }
 *     claims  { "aud", "exp", "jti", "wth": the WIT's digest, and one digest for each other token of the request:
 *               "ath" access token, "tth" Txn-Token, "oth": { "name of a field": … } }
 *
 * A WPT covers neither method nor body of the request. Who needs that signs the message (`http-signature.ts`).
 *
 * @module
 */
import { fromUtf8, toBase64url, utf8 } from '../../merkle/bytes.ts'
import { assert } from '../../merkle/error.ts'
import { sha256 } from '../../merkle/hash.ts'
import type { PrivateJwk } from '../../statement/cose-key.ts'
import type { Credential } from '../credential.ts'
import { ProvenanceError } from '../error.ts'
import { canonicalJson, isJsonObject, type Json, type JsonObject, parseJson } from '../json.ts'
import { decodeCompactJws, verifyCompactJws } from '../jws.ts'
import { checkAudience, checkFirstUse, checkProofTimes, isNonce, type ProofExpectations } from './expectations.ts'
import type { Fields } from './http-message.ts'
import { type ProofSigner, proofKeyOf } from './proof-key.ts'

export const WPT_TYP = 'wpt+jwt'

/** Longest WPT that we read, in characters. */
const MAX_WPT_LENGTH = 8 * 1024
/** Most fields that one `oth` may name. */
const MAX_OTHER_TOKENS = 16

export interface NewWpt {
  /** The WIT, compact. */
  readonly wit: string
  /** The request's URI without query, or what the recipient calls itself. */
  readonly audience: string
  /** POSIX seconds; some minutes from now at most. */
  readonly expiresAt: number
  /** 128 random bits or more, as text. */
  readonly jti: string
  /** The value in `Authorization: Bearer …`, when there is one. */
  readonly accessToken?: string
  readonly transactionToken?: string
  /** Values of other header fields that hold tokens, by lower-case name. */
  readonly otherTokens?: Readonly<Record<string, string>>
}

/**
 * Makes a proof.
 *
 * @param key - the private half of the key that the WIT names
 * @throws {@link ProvenanceError} as `parseCredential`, and `wrong_proof_key` for the key of another WIT
 */
export async function signWpt(wpt: NewWpt, key: PrivateJwk | ProofSigner): Promise<string> {
  assert(wpt.jti.length >= 22, 'a jti has 128 random bits')
  const { alg, signer } = await proofKeyOf(wpt.wit, key)
  const others = Object.entries(wpt.otherTokens ?? {})
  const claims: JsonObject = {
    aud: wpt.audience,
    exp: wpt.expiresAt,
    jti: wpt.jti,
    wth: tokenHash(wpt.wit),
    ...(wpt.accessToken === undefined ? {} : { ath: tokenHash(wpt.accessToken) }),
    ...(wpt.transactionToken === undefined ? {} : { tth: tokenHash(wpt.transactionToken) }),
    ...(others.length === 0
      ? {}
      : { oth: Object.fromEntries(others.map(([name, value]) => [name.toLowerCase(), tokenHash(value)])) }),
  }
  const parts = [canonicalJson({ alg, typ: WPT_TYP }), canonicalJson(claims)].map((text) => toBase64url(utf8(text)))
  const input = parts.join('.')
  return `${input}.${toBase64url(await signer.sign(utf8(input)))}`
}

/** The request that a WPT came with, as far as it is bound to it. */
export interface WptContext {
  readonly fields: Fields
  /** Absent when the proof came without a request: its audience must then be an alias. */
  readonly target?: string
  /** Fields that hold tokens of the user or the transaction, by lower-case name: a proof must name them when they are there. */
  readonly tokenFields?: readonly string[]
}

/**
 * Checks that a WPT proves possession of the key of `credential`, to us and now (wpt §2, the list of validations).
 *
 * @param credential - whose own signature the caller has verified
 * @returns its `jti` and when it ends
 * @throws {@link ProvenanceError} `malformed_proof_token`, `algorithm_mismatch`, `bad_signature`, `wrong_audience`,
 *   `proof_expired`, `proof_not_yet_valid`, `proof_lifetime_too_long`, `token_binding_mismatch`, `unknown_bound_token`,
 *   `proof_replayed`, and those of `decodeCompactJws`; UnavailableError as {@link checkFirstUse}
 */
export async function verifyWpt(
  compact: string,
  credential: Credential,
  context: WptContext,
  expectations: ProofExpectations,
): Promise<{ readonly jti: string; readonly expiresAt: number }> {
  if (credential.kind !== 'wit') throw refuse('for a certificate, whose possession TLS proves')
  if (compact.length > MAX_WPT_LENGTH) throw refuse('too long')
  // "String-equal": an ES256 proof for a key that says ESP256 is refused, though the signature would be the same.
  const { alg } = decodeCompactJws(compact).header
  if (alg !== credential.publicJwk.alg) {
    throw new ProvenanceError('algorithm_mismatch', `signed by ${JSON.stringify(alg)}, the WIT says otherwise`)
  }
  const typ = [WPT_TYP, `application/${WPT_TYP}`]
  const { payload } = await verifyCompactJws(compact, credential.publicJwk, { typ })

  const claims = parseJson(payload)
  if (!isJsonObject(claims)) throw refuse('the claims are not an object')
  const { aud, exp, nbf, jti } = claims
  if (typeof aud !== 'string') throw refuse('aud is not one recipient')
  if (!isSeconds(exp) || !(nbf === undefined || isSeconds(nbf))) throw refuse('exp or nbf is not whole seconds')
  if (!isNonce(jti)) throw refuse('jti is not text of a sensible length')
  checkAudience(aud, expectations.audience, context.target)
  checkProofTimes({ beginsAt: nbf, expiresAt: exp }, expectations)
  checkBoundTokens(claims, credential, context)
  await checkFirstUse({ nonce: jti, expiresAt: exp, way: 'wpt' }, credential, expectations)
  return { jti, expiresAt: exp }
}

/** Every token of the request is named, and every token that is named is in the request. */
function checkBoundTokens(claims: JsonObject, credential: Credential, { fields, tokenFields = [] }: WptContext): void {
  const { accessToken, otherAuthorization } = readAuthorization(fields)
  checkHash('wth', claims['wth'], fromUtf8(credential.bytes))
  checkHash('ath', claims['ath'], accessToken)
  checkHash('tth', claims['tth'], fields.get('txn-token'))

  const { oth } = claims
  if (oth !== undefined && !isJsonObject(oth)) throw refuse('oth is not an object')
  const named = Object.entries(oth ?? {})
  if (named.length > MAX_OTHER_TOKENS) throw refuse('oth names more fields than any request has tokens')
  const known = new Set(['authorization', 'txn-token', ...tokenFields])
  for (const [name, hash] of named) {
    // Also one that is no field of the request: what it means is for a profile that we do not know.
    if (!known.has(name)) throw new ProvenanceError('unknown_bound_token', `oth names ${JSON.stringify(name)}`)
    const value = fields.get(name)
    if (value === undefined) throw mismatch(`oth names ${name}, which is not there`)
    checkHash(`oth.${name}`, hash, value)
  }
  const mustName = [...(otherAuthorization ? ['authorization'] : []), ...tokenFields]
  for (const name of mustName) {
    if (fields.has(name) && !Object.hasOwn(oth ?? {}, name)) throw mismatch(`${name} is there, and not in oth`)
  }
}

function checkHash(claim: string, hash: Json | undefined, token: string | undefined): void {
  if (token === undefined && hash === undefined) return
  if (token === undefined) throw mismatch(`${claim} names a token that is not there`)
  if (hash !== tokenHash(token)) {
    throw mismatch(hash === undefined ? `no ${claim}, and there is such a token` : `${claim} is of another token`)
  }
}

/** The access token of RFC 6750 or RFC 9449. What another scheme carries says who somebody is, too: `oth` must name it. */
function readAuthorization(fields: Fields): { accessToken?: string; otherAuthorization: boolean } {
  const authorization = fields.get('authorization')
  if (authorization === undefined) return { otherAuthorization: false }
  const bearer = /^(?:bearer|dpop) +([^ ]+)$/i.exec(authorization)
  return bearer ? { accessToken: bearer[1]!, otherAuthorization: false } : { otherAuthorization: true }
}

/** base64url of the SHA-256 of a token's text (RFC 9449 §4.1). Fields are text of one character for each byte. */
function tokenHash(token: string): string {
  return toBase64url(sha256(Uint8Array.from(token, (character) => character.charCodeAt(0))))
}

function isSeconds(value: Json | undefined): value is number {
  return typeof value === 'number' && value >= 0
}

function mismatch(why: string): ProvenanceError {
  return new ProvenanceError('token_binding_mismatch', why)
}

function refuse(why: string): ProvenanceError {
  return new ProvenanceError('malformed_proof_token', why)
}
