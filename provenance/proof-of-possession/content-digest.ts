/**
 * `Content-Digest` (RFC 9530): the content of a message, bound to its header and so to the signature over that.
 *
 * @module
 */
import { equalBytes } from '../../merkle/bytes.ts'
import { ProvenanceError } from '../error.ts'
import { parseDictionary, serializeDictionary } from './structured-field.ts'

/** The active algorithms of RFC 9530 §5. The others are broken, or sums: a digest by one of them alone is none. */
const DIGESTS: ReadonlyMap<string, string> = new Map([
  ['sha-256', 'SHA-256'],
  ['sha-512', 'SHA-512'],
])

/** The value of the field for `content`, by SHA-256. */
export async function contentDigest(content: Uint8Array): Promise<string> {
  const value = await digest('SHA-256', content)
  return serializeDictionary(new Map([['sha-256', { value, parameters: new Map() }]]))
}

/**
 * Checks the field against the content, under every algorithm that it names and we know.
 *
 * @throws {@link ProvenanceError} `content_digest_missing` when there is content and no digest that says anything,
 *   `content_digest_mismatch`, `malformed_structured_field`
 */
export async function checkContentDigest(field: string | undefined, content: Uint8Array): Promise<void> {
  if (field === undefined) {
    if (content.length === 0) return
    throw new ProvenanceError('content_digest_missing', `${content.length} bytes of content without Content-Digest`)
  }
  let checked = false
  for (const [name, member] of parseDictionary(field)) {
    const algorithm = DIGESTS.get(name)
    if (algorithm === undefined) continue
    if ('items' in member || !(member.value instanceof Uint8Array)) {
      throw new ProvenanceError('malformed_structured_field', `${name} of Content-Digest is not bytes`)
    }
    if (!equalBytes(member.value, await digest(algorithm, content))) {
      throw new ProvenanceError('content_digest_mismatch', `${name} is of other content than came`)
    }
    checked = true
  }
  if (!checked) throw new ProvenanceError('content_digest_missing', 'Content-Digest has no sha-256 and no sha-512')
}

async function digest(algorithm: string, content: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await globalThis.crypto.subtle.digest(algorithm, content as BufferSource))
}
