/**
 * Tokens of attestation services: JWTs whose claims are their own, and the claims that all of them have.
 *
 * @module
 */
import { EvidenceError, fromHex, utf8 } from '../../../../merkle/index.ts'
import { isJsonObject, type Json, type JsonObject, parseJson, verifyCompactJws } from '../../../../provenance/index.ts'
import type { VerificationJwk } from '../../../../statement/index.ts'
import { malformedEvidence, VerifierError } from '../../error.ts'
import type { Finding } from '../hardware/chain.ts'
import { type VerifierKey, verifiedBy } from './verifier-keys.ts'

/** How far a service's clock may be ahead of ours, in seconds. */
const MAX_CLOCK_SKEW = 60

/** @throws {@link VerifierError} `malformed_evidence`, `missing_collateral`, `bad_evidence_signature` */
export async function verifyToken(
  token: string,
  keys: readonly VerifierKey[],
): Promise<{ readonly claims: JsonObject; readonly key: VerifierKey }> {
  const { key, value } = await verifiedBy(keys, (jwk) => claimsUnder(token, jwk))
  return { claims: value, key }
}

async function claimsUnder(token: string, jwk: VerificationJwk): Promise<JsonObject | undefined> {
  let claims: Json
  try {
    const { payload } = await verifyCompactJws(token, jwk, { typ: ['JWT', 'eat+jwt', 'eat-jwt', undefined] })
    claims = parseJson(payload)
  } catch (cause) {
    if (!(cause instanceof EvidenceError)) throw cause
    if (cause.code === 'bad_signature') return undefined
    throw malformedEvidence(`${cause.code}: ${cause.message}`, cause)
  }
  if (!isJsonObject(claims)) throw malformedEvidence('claims that are no object')
  return claims
}

/** When it was made, and `stale` where it has expired. @throws {@link VerifierError} `malformed_evidence`, `evidence_from_future` */
export function times(
  claims: JsonObject,
  at: number,
): { readonly issuedAt: number; readonly findings: readonly Finding[] } {
  const [issuedAt, notBefore, expiresAt] = (['iat', 'nbf', 'exp'] as const).map((name) => {
    const value = claims[name] ?? (name === 'nbf' ? 0 : undefined)
    if (typeof value !== 'number' || value < 0) throw malformedEvidence(`${name} is not whole seconds since 1970`)
    return value
  }) as [number, number, number]
  if (Math.max(issuedAt, notBefore) > at + MAX_CLOCK_SKEW) {
    throw new VerifierError('evidence_from_future', `made at ${Math.max(issuedAt, notBefore)}, and it is ${at}`)
  }
  return { issuedAt, findings: at < expiresAt ? [] : [{ case: 'stale', why: `it expired at ${expiresAt}` }] }
}

export function text(claims: JsonObject, name: string): string {
  const value = claims[name]
  if (typeof value !== 'string') throw malformedEvidence(`${name} is not text`)
  return value
}

/** Nonces that are hexadecimal stand for their bytes; what is not is taken as it stands. */
export function bytesOf(nonce: string): Uint8Array {
  return /^([0-9a-f]{2})+$/.test(nonce) ? fromHex(nonce) : utf8(nonce)
}

/** `dbgstat` (RFC 9711 §4.2.9): all states but `enabled` begin so. */
export function isDisabled(state: Json | undefined): boolean {
  return typeof state === 'string' && state.startsWith('disabled')
}
