/**
 * SPDX 3.0 in JSON-LD: a graph of elements, of which the software packages are taken, and what the document has as its roots.
 *
 * Only the context that SPDX publishes is taken, and prefixes beside it. Another could rename `software_Package`, so that a JSON-LD processor sees
 * packages where this file sees none.
 *
 * @module
 */
import { ProvenanceError } from '../error.ts'
import { isJsonObject, type Json, type JsonObject } from '../json.ts'
import { array, ComponentCollector, refuse } from './component-index.ts'
import type { SbomContent } from './sbom.ts'
import { sha256OfImage, sha256sOf } from './subject-digest.ts'

const CONTEXT = /^https:\/\/spdx\.org\/rdf\/(3\.0(?:\.[0-9]{1,2})?)\/spdx-context\.jsonld$/

/** The class and its subclasses (SPDX 3.0.1 §Software, §AI, §Dataset). */
const PACKAGES: ReadonlySet<Json | undefined> = new Set(['software_Package', 'ai_AIPackage', 'dataset_DatasetPackage'])
/** Whose roots are looked for in turn. */
const COLLECTIONS: ReadonlySet<Json | undefined> = new Set(['SpdxDocument', 'software_Sbom', 'Bom', 'Bundle'])

export function isSpdx3(document: JsonObject): boolean {
  return /spdx\.org\/rdf/.test(JSON.stringify(document['@context'] ?? null))
}

/** @throws {@link ProvenanceError} `malformed_sbom`, `unsupported_sbom` */
export function readSpdx3(document: JsonObject): SbomContent {
  const specVersion = versionOf(document)
  const graph = new Graph(document['@graph'] ?? document)
  const collector = new ComponentCollector()
  for (const each of graph.ofType(PACKAGES)) {
    const identified = (types: ReadonlySet<Json | undefined>) =>
      graph
        .all(each['externalIdentifier'])
        .filter(({ externalIdentifierType }) => types.has(externalIdentifierType))
        .map(({ identifier }) => identifier ?? '')
    const { software_packageUrl: purl } = each
    collector.add({
      name: each['name'],
      version: each['software_packageVersion'],
      purls: [...(purl === undefined ? [] : [purl]), ...identified(PURL)],
      cpes: identified(CPE),
    })
  }
  const documents = graph.ofType(new Set(['SpdxDocument']))
  if (documents.length > 1) throw refuse('more than one SpdxDocument')
  const id = documents[0]?.['spdxId']
  return {
    format: 'SPDX',
    specVersion,
    ...(typeof id === 'string' && id !== '' ? { serialNumber: id } : {}),
    subjects: subjectsOf(documents, graph),
    ...collector.index(),
  }
}

/**
 * By the context, which is SPDX's. A prefix that stands alone somewhere would have another meaning there than SPDX gave it, and so would all that is
 * below another context.
 */
function versionOf({ '@context': context, ...document }: JsonObject): string {
  const [published, ...more] = (Array.isArray(context) ? context : [context]) as readonly Json[]
  const version = typeof published === 'string' ? CONTEXT.exec(published)?.[1] : undefined
  const words = new Set(['@context', ...more.flatMap((each) => (isJsonObject(each) ? Object.keys(each) : []))])
  if (version === undefined || !more.every(isPrefixes) || isSaid(words, document)) {
    throw new ProvenanceError('unsupported_sbom', 'JSON-LD with another context than that of SPDX 3.0')
  }
  return version
}

/** Where the terms of SPDX are. */
const TERMS = 'https://spdx.org/rdf/'

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

const PURL: ReadonlySet<Json | undefined> = new Set(['packageUrl', 'purl'])
const CPE: ReadonlySet<Json | undefined> = new Set(['cpe22', 'cpe23'])

/** Roots of roots: a document's root is often its Sbom, whose root is the package. */
function subjectsOf(documents: readonly JsonObject[], graph: Graph): string[] {
  const hashes: (readonly [Json | undefined, Json | undefined])[] = []
  const seen = new Set<JsonObject>()
  const pending = [...documents]
  for (let element = pending.pop(); element; element = pending.pop()) {
    if (seen.has(element)) continue
    seen.add(element)
    if (COLLECTIONS.has(element['type'])) for (const root of graph.all(element['rootElement'])) pending.push(root)
    else {
      for (const { algorithm, hashValue } of graph.all(element['verifiedUsing'])) hashes.push([algorithm, hashValue])
      hashes.push(...sha256OfImage(element['software_packageVersion']))
    }
  }
  return sha256sOf(hashes)
}

/** Of all references together: a package has a few. */
const MAX_FOLLOWED = 1 << 20

/** All objects of a document, wherever they stand, and by their names. */
class Graph {
  readonly #objects: JsonObject[] = []
  /** A JSON-LD processor takes objects of one name for one, so the members of all of them count. */
  readonly #byId = new Map<string, JsonObject[]>()
  #followed = 0

  constructor(root: Json) {
    this.#walk(root)
  }

  ofType(types: ReadonlySet<Json | undefined>): JsonObject[] {
    return this.#objects.filter((each) => types.has(each['type'] ?? each['@type']))
  }

  /**
   * The objects that a member holds or names: one or a list of them. Names of elements in other documents lead nowhere.
   *
   * @throws ProvenanceError `malformed_sbom`
   */
  all(member: Json | undefined): JsonObject[] {
    const values = Array.isArray(member) ? array(member, 'a list') : member === undefined ? [] : [member]
    const found: JsonObject[] = []
    for (const value of values) {
      const named = typeof value === 'string' ? (this.#byId.get(value) ?? []) : isJsonObject(value) ? [value] : []
      // Many names of many objects that have one name are as many as both multiplied.
      this.#followed += named.length
      if (this.#followed > MAX_FOLLOWED) throw refuse(`more than ${MAX_FOLLOWED} references`)
      for (const each of named) found.push(each)
    }
    return found
  }

  #walk(value: Json): void {
    if (Array.isArray(value)) for (const each of value) this.#walk(each as Json)
    if (!isJsonObject(value)) return
    this.#objects.push(value)
    const { spdxId, '@id': id } = value
    for (const name of [spdxId, id]) {
      if (typeof name !== 'string') continue
      const known = this.#byId.get(name)
      if (known) known.push(value)
      else this.#byId.set(name, [value])
    }
    for (const each of Object.values(value)) this.#walk(each)
  }
}
