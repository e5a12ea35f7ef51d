/**
 * What a credential must hold to besides its signature and its dates: the profile of its tokens, and how long it may live.
 *
 * | profile    | what                                       | by default for |
 * |------------|--------------------------------------------|----------------|
 * | `wimse`    | draft-ietf-wimse-workload-creds §5          | `wimse://`     |
 * | `wit-svid` | SPIFFE's WIT-SVID: the same, and stricter   | `spiffe://`    |
 *
 * A trust domain that has others in use says so in TRUST.json. Nothing in a token chooses its own profile but its identifier, whose
 * trust domain has to vouch for it anyway.
 *
 * @module
 */
import type { Credential } from './credential.ts'
import { ProvenanceError } from './error.ts'
import type { JsonObject } from './json.ts'
import type { UnverifiedJws } from './jws.ts'

export const TOKEN_PROFILES = ['wimse', 'wit-svid'] as const
export type TokenProfile = (typeof TOKEN_PROFILES)[number]

/** Of one trust domain. */
export interface CredentialRules {
  readonly tokenProfile?: TokenProfile
  /** Seconds from the beginning of a credential to its end. */
  readonly maximumLifetime?: number
}

/**
 * What the WIT-SVID profile has beyond WIMSE's: `kid` names the key, neither token nor proof is signed with EdDSA, and no audience,
 * because it is presented with proof of possession to anybody.
 *
 * @throws {@link ProvenanceError} `malformed_credential`, `unsupported_algorithm`
 */
export function checkTokenProfile(
  { subject, publicJwk }: Credential,
  { header, claims, algorithm }: Pick<UnverifiedJws, 'header' | 'algorithm'> & { readonly claims: JsonObject },
  { tokenProfile = subject.scheme === 'spiffe' ? 'wit-svid' : 'wimse' }: CredentialRules = {},
): void {
  if (tokenProfile === 'wimse') return
  if (subject.scheme !== 'spiffe') throw refuse(`is for ${subject.uri}, which is no SPIFFE ID`)
  if (algorithm === 'Ed25519' || publicJwk.kty === 'OKP') {
    const what = algorithm === 'Ed25519' ? 'a WIT-SVID' : 'a proof of possession of a WIT-SVID'
    throw new ProvenanceError('unsupported_algorithm', `${what} is never signed with EdDSA`)
  }
  if (header['kid'] === undefined) throw refuse('names no key: kid is missing')
  if (claims['aud'] !== undefined) throw refuse('has an audience')
}

/**
 * Seconds that a credential was made for: from its beginning, or when it was issued; of a token that says neither, what is left at `at`.
 */
export function lifetimeOf({ notBefore, issuedAt, notAfter }: Credential, at: number): number {
  const beginning = Math.min(notBefore ?? Number.POSITIVE_INFINITY, issuedAt ?? Number.POSITIVE_INFINITY)
  return notAfter - (Number.isFinite(beginning) ? beginning : at)
}

/** @throws {@link ProvenanceError} `lifetime_too_long` */
export function checkLifetime(credential: Credential, { maximumLifetime }: CredentialRules = {}, at: number): void {
  const lifetime = lifetimeOf(credential, at)
  if (maximumLifetime !== undefined && lifetime > maximumLifetime) {
    throw new ProvenanceError('lifetime_too_long', `made for ${lifetime} s, and you allow ${maximumLifetime}`)
  }
}

function refuse(why: string): ProvenanceError {
  return new ProvenanceError('malformed_credential', `a WIT-SVID that ${why}`)
}
