/**
 * The objects of an SPDX 3 document, wherever they stand, and what they name.
 *
 * JSON-LD has many spellings of one graph: lists and names in wrappers (`@set`, `@value`), terms as IRIs, several types. SPDX 3.0 has one
 * ("Serialization in JSON-LD", and its JSON schema), and the others are refused: a JSON-LD processor would see packages where nobody sees
 * any here.
 *
 * @module
 */
import { isJsonObject, type Json, type JsonObject } from '../json.ts'
import { array, refuse } from './component-index.ts'

/** Where the terms of SPDX are. */
export const TERMS = 'https://spdx.org/rdf/'

/** Of all references together: a package has a few. */
const MAX_FOLLOWED = 1 << 20

export class Graph {
  readonly #objects: JsonObject[] = []
  /** A JSON-LD processor takes objects of one name for one, so the members of all of them count. */
  readonly #byId = new Map<string, JsonObject[]>()
  #followed = 0

  /** @throws ProvenanceError `malformed_sbom` */
  constructor(document: JsonObject) {
    const { '@context': _, '@graph': graph, ...rest } = document
    if (graph !== undefined && Object.keys(rest).length > 0) throw refuse('members beside the graph')
    for (const each of graph === undefined ? [rest] : array(graph, 'the graph')) {
      if (!isJsonObject(each)) throw refuse('an element is not an object')
      this.#walk(each)
    }
  }

  get objects(): readonly JsonObject[] {
    return this.#objects
  }

  ofType(types: ReadonlySet<Json | undefined>): JsonObject[] {
    return this.#objects.filter(({ type }) => types.has(type))
  }

  /** Whether an object here has this name. */
  has(name: Json | undefined): boolean {
    return typeof name === 'string' && this.#byId.has(name)
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
    checkSpelling(value)
    this.#objects.push(value)
    const { spdxId, '@id': id, type } = value
    for (const name of [spdxId, id]) {
      if (typeof name !== 'string') continue
      const known = this.#byId.get(name)
      if (known === undefined) this.#byId.set(name, [value])
      // What one of them makes a package the other would give its package URL.
      else if (known[0]!['type'] !== type) throw refuse(`${JSON.stringify(name.slice(0, 80))} is of two types`)
      else known.push(value)
    }
    for (const each of Object.values(value)) this.#walk(each)
  }
}

function checkSpelling(object: JsonObject): void {
  const { type } = object
  if (typeof type !== 'string' || type === '') throw refuse('an object of no type')
  for (const term of [...Object.keys(object), type]) {
    // Members of extensions have IRIs, and nobody else's.
    if (term.startsWith(TERMS)) throw refuse(`a term of SPDX by its IRI: ${JSON.stringify(term.slice(0, 80))}`)
    if (term.startsWith('@') && term !== '@id') throw refuse(`${JSON.stringify(term.slice(0, 80))} in an element`)
  }
}
