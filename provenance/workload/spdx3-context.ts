/**
 * The JSON-LD context of an SPDX 3 document, which says what its words mean.
 *
 * Only the context that SPDX publishes is taken, and prefixes beside it. Another could rename `software_Package`, so that a JSON-LD processor sees
 * packages where `spdx3.ts` sees none.
 *
 * @module
 */
import { ProvenanceError } from '../error.ts'
import { isJsonObject, type Json, type JsonObject } from '../json.ts'
import { TERMS } from './spdx3-graph.ts'

const CONTEXT = /^https:\/\/spdx\.org\/rdf\/(3\.0(?:\.[0-9]{1,2})?)\/spdx-context\.jsonld$/

/**
 * The version that the context is of. A prefix that stands alone somewhere would have another meaning there than SPDX gave it, and so would all that is
 * below another context.
 */
export function versionOf({ '@context': context, ...document }: JsonObject): string {
  const [published, ...more] = (Array.isArray(context) ? context : [context]) as readonly Json[]
  const version = typeof published === 'string' ? CONTEXT.exec(published)?.[1] : undefined
  const words = new Set(['@context', ...more.flatMap((each) => (isJsonObject(each) ? Object.keys(each) : []))])
  if (version === undefined || !more.every(isPrefixes) || isSaid(words, document)) {
    throw new ProvenanceError('unsupported_sbom', 'JSON-LD with another context than that of SPDX 3.0')
  }
  return version
}

/** Short names for namespaces, as they may stand in the place of a namespaceMap (SPDX 3.0.1, "Serializations"). A term of SPDX must not have two. */
function isPrefixes(context: Json): boolean {
  if (!isJsonObject(context)) return false
  return Object.entries(context).every(
    ([name, iri]) =>
      /^[A-Za-z][A-Za-z0-9._-]*$/.test(name) &&
      typeof iri === 'string' &&
      /^[A-Za-z][A-Za-z0-9+.-]*:\S*[:/?#[\]@]$/.test(iri) &&
      !iri.startsWith(TERMS) &&
      !TERMS.startsWith(iri),
  )
}

/** Whether one of `words` is a member's name or a whole text. */
function isSaid(words: ReadonlySet<string>, value: Json): boolean {
  if (typeof value === 'string') return words.has(value)
  if (Array.isArray(value)) return value.some((each: Json) => isSaid(words, each))
  return isJsonObject(value) && Object.entries(value).some(([name, each]) => words.has(name) || isSaid(words, each))
}
