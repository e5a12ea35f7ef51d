/**
 * Credentials must not lie in a log for everybody to copy. A Workload Identity Token is no bearer token, but with a stolen
 * proof of possession it is as good as one, and an attestation result or access token may end up in a field by mistake.
 *
 * What is looked for is the compact serialization of JWS and JWE: `eyJ` (the base64url of `{"`), and two dots.
 *
 * @module
 */
import type { CborMap, CborValue } from '../statement/cbor.ts'
import { ProvenanceError } from './error.ts'

/**
 * Refuses `value` if a text in it, keys included, contains a compact token.
 *
 * @param path where `value` stands; the text itself is never in the message
 * @throws {@link ProvenanceError} `token_in_clear`
 */
export function refuseTokens(value: CborValue, path: string): void {
  if (!hasToken(value)) return
  if (typeof value === 'string') throw new ProvenanceError('token_in_clear', `${path} contains a token`)
  if (Array.isArray(value)) {
    value.forEach((element: CborValue, i) => {
      refuseTokens(element, `${path}[${i}]`)
    })
  } else if (value instanceof Map) {
    for (const [key, inner] of value as CborMap) {
      refuseTokens(key, `a key of ${path || 'the record'}`)
      refuseTokens(inner, path === '' ? `${key}` : `${path}.${key}`)
    }
  }
}

/** Nearly never, so the path to it is made only then. */
function hasToken(value: CborValue): boolean {
  if (typeof value === 'string') return value.includes('eyJ') && COMPACT_TOKEN.test(value)
  if (Array.isArray(value)) return value.some(hasToken)
  if (!(value instanceof Map)) return false
  for (const [key, inner] of value as CborMap) if (hasToken(key) || hasToken(inner)) return true
  return false
}

// Anchored to where a base64url run begins. Without that, a text of a thousand `eyJ` would be scanned a thousand times.
const COMPACT_TOKEN = /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*/
