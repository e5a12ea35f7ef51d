/**
 * Reading the small JSON documents of this folder: strict JSON against one schema, refused with the path of what is wrong.
 *
 * @module
 */
import type { Static, TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { fromUtf8 } from '../../merkle/index.ts'
import { parseJson } from '../../provenance/index.ts'
import { VerifierError, type VerifierErrorCode } from './error.ts'

/** Documents are written by hand or list a directory's files: nobody needs more. */
export const MAX_DOCUMENT_BYTES = 4 * 1024 * 1024

/** @throws {@link VerifierError} `code`, when `content` (UTF-8, or its text) is not JSON that fits `schema` exactly. */
export function readDocument<S extends TSchema>(
  schema: S,
  content: Uint8Array | string,
  code: VerifierErrorCode,
): Static<S> {
  if (content.length > MAX_DOCUMENT_BYTES) throw new VerifierError(code, `longer than ${MAX_DOCUMENT_BYTES} bytes`)
  let text: string
  let value: unknown
  try {
    text = typeof content === 'string' ? content : fromUtf8(content)
    value = parseJson(text)
  } catch (cause) {
    throw new VerifierError(code, `not JSON: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
  if (!Value.Check(schema, value)) {
    const [first] = Value.Errors(schema, value)
    throw new VerifierError(code, first ? inWords(first) : 'does not fit')
  }
  // Read strictly and found good: now as ordinary objects, which have a prototype.
  return JSON.parse(text)
}

/** Of two messages the library says what the schema is, and not what is wrong. */
function inWords({ keyword, instancePath, params, message }: ReturnType<typeof Value.Errors>[number]): string {
  const at = instancePath.slice(0, 256) || '/'
  if (keyword === 'boolean') return `${at} is a member that there is not`
  if (keyword === 'const') return `${at} must be ${JSON.stringify(params.allowedValue)}`
  return `${at} ${message}`
}
