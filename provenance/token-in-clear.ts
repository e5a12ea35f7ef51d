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
import { bytesHaveSecret, bytesMayHaveSecret, hasSecret, textMayHaveSecret } from './secrets.ts'

/** As {@link refuseTokens}, of a value that was decoded, and for nearly all of them a glance at the bytes that it was decoded from. */
export function refuseTokensIn(encoded: Uint8Array, value: CborValue, path: string): void {
  if (mayHaveToken(encoded)) refuseTokens(value, path)
}

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

const BYTES = 2
const TEXT = 3

/** One head after another: what is in an array, a map or a tag comes behind it. Of bytes that were read as CBOR, and are well formed so. */
function mayHaveToken(encoded: Uint8Array): boolean {
  for (let at = 0; at < encoded.length; ) {
    const major = encoded[at]! >> 5
    const info = encoded[at++]! & 0x1f
    let argument = info
    if (info >= 24) {
      argument = 0
      for (const end = at + (1 << (info - 24)); at < end; at++) argument = argument * 256 + encoded[at]!
    }
    if (major !== BYTES && major !== TEXT) continue
    const end = at + argument
    if (major === TEXT ? textMayHaveSecret(encoded, at, end) : bytesMayHaveSecret(encoded, at, end)) return true
    at = end
  }
  return false
}
