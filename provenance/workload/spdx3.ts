/**
 * SPDX 3.0 in JSON-LD: a graph of elements, of which the software packages are taken, and what the document has as its roots.
 *
 * What gives words another meaning is refused in `spdx3-context.ts` and `spdx3-graph.ts`, what the schema does not have in `spdx3-form.ts`.
 *
 * @module
 */
import type { Json, JsonObject } from '../json.ts'
import { ComponentCollector, refuse } from './component-index.ts'
import type { SbomContent } from './sbom.ts'
import { versionOf } from './spdx3-context.ts'
import { checkGraph } from './spdx3-form.ts'
import { Graph } from './spdx3-graph.ts'
import { sha256OfImage, sha256sOf } from './subject-digest.ts'

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
  const graph = new Graph(document)
  checkGraph(graph)
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

const PURL: ReadonlySet<Json | undefined> = new Set(['packageUrl'])
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
