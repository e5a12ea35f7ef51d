/**
 * Keys of other Verifiers: those that reference values name are believed. The same keys, and others, may be given as collateral, as their services
 * publish them: a JWK or a JWK Set.
 *
 * @module
 */
import { isJsonObject, type Json, parseJson } from '../../../../provenance/index.ts'
import { jwkThumbprint, parseVerificationJwk, type VerificationJwk } from '../../../../statement/index.ts'
import { malformedCollateral, VerifierError } from '../../error.ts'

/** Each of them may cost a signature check. */
const MAX_KEYS = 64

export interface VerifierKey {
  readonly jwk: VerificationJwk
  readonly thumbprint: string
  /** Whether the reference values name it. */
  readonly isBelieved: boolean
}

/** @throws {@link VerifierError} `malformed_collateral` */
export function verifierKeys(attesters: readonly VerificationJwk[], documents: readonly string[]): VerifierKey[] {
  const keys = new Map(attesters.map((jwk) => [jwkThumbprint(jwk), { jwk, isBelieved: true }]))
  for (const jwk of documents.flatMap(keysIn)) {
    const thumbprint = jwkThumbprint(jwk)
    if (!keys.has(thumbprint)) keys.set(thumbprint, { jwk, isBelieved: false })
  }
  if (keys.size > MAX_KEYS) throw malformedCollateral(`more than ${MAX_KEYS} keys`)
  return [...keys].map(([thumbprint, key]) => ({ thumbprint, ...key }))
}

function keysIn(document: string): VerificationJwk[] {
  let value: Json
  try {
    value = parseJson(document)
  } catch (cause) {
    throw malformedCollateral('not JSON', cause)
  }
  const set = isJsonObject(value) && Array.isArray(value['keys']) ? (value['keys'] as readonly Json[]) : [value]
  return set.flatMap((entry) => {
    if (!isJsonObject(entry)) throw malformedCollateral('a JWK that is no object')
    try {
      return [parseVerificationJwk(entry)]
    } catch (cause) {
      // In a set there may be keys of kinds that nothing here is signed with. A single one was meant to be used.
      if (set.length > 1) return []
      throw malformedCollateral('a JWK that is no key', cause)
    }
  })
}

/**
 * The first of `keys` under which `verify` does not fail; its result with it.
 *
 * @throws {@link VerifierError} `missing_collateral` without any key, `bad_evidence_signature` when none made the signature
 */
export async function verifiedBy<T>(
  keys: readonly VerifierKey[],
  verify: (key: VerificationJwk) => Promise<T | undefined>,
): Promise<{ readonly key: VerifierKey; readonly value: T }> {
  if (keys.length === 0) {
    throw new VerifierError('missing_collateral', 'no key of the Verifier is in the reference values, or was given')
  }
  for (const key of keys) {
    const value = await verify(key.jwk)
    if (value !== undefined) return { key, value }
  }
  throw new VerifierError(
    'bad_evidence_signature',
    'not signed with a key that is in the reference values, or was given',
  )
}
