/**
 * Credentials must not lie in a log for everybody to copy. A Workload Identity Token is no bearer token, but with a stolen
 * proof of possession it is as good as one, and an attestation result, an access token or a private key may end up in a field by mistake.
 *
 * What is looked for says `secrets.ts`. Records are read through here by whoever reads them: the server that admits them, and auditors.
 *
 * @module
 */
import { CborTag, type CborValue } from '../statement/cbor.ts'
import { ProvenanceError } from './error.ts'
import { bytesHaveSecret, hasSecret } from './secrets.ts'

/**
 * Refuses `value` if a text or a byte string in it, keys included, contains a token or a private key.
 *
 * @param path where `value` stands; the text itself is never in the message
 * @throws {@link ProvenanceError} `token_in_clear`
 */
export function refuseTokens(value: CborValue, path: string): void {
  if (!hasToken(value)) return
  if (Array.isArray(value)) {
    value.forEach((element: CborValue, i) => {
      refuseTokens(element, `${path}[${i}]`)
    })
  } else if (value instanceof Map) {
    for (const [key, inner] of value) {
      refuseTokens(key, `a key of ${path || 'the record'}`)
      refuseTokens(inner, path === '' ? `${key}` : `${path}.${key}`)
    }
  } else if (value instanceof CborTag) refuseTokens(value.value, path)
  else throw new ProvenanceError('token_in_clear', `${path} contains a token or a private key`)
}

/** Nearly never, so the path to it is made only then. */
function hasToken(value: CborValue): boolean {
  if (typeof value === 'string') return hasSecret(value)
  if (value instanceof Uint8Array) return bytesHaveSecret(value)
  if (Array.isArray(value)) return value.some(hasToken)
  if (value instanceof CborTag) return hasToken(value.value)
  if (!(value instanceof Map)) return false
  for (const [key, inner] of value) if (hasToken(key) || hasToken(inner)) return true
  return false
}
