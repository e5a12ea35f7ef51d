/**
 * CycloneDX (ECMA-424) in JSON, 1.2 to 1.7: which components a document lists, and what it is about.
 *
 * Read are `metadata.component` and `components`, and whatever these contain; and `vulnerabilities` by name and state. Not read is what is no
 * part of the workload: the tools that made the document, the formulation, services, and the pedigree of a component; nor licences and dependencies.
 * What the schema asks of what is read is checked in `cyclonedx-form.ts`, and of some of the rest in `cyclonedx-rest.ts`.
 *
 * @module
 */
import { ProvenanceError } from '../error.ts'
import { isJsonObject, type Json, type JsonObject } from '../json.ts'
import { array, ComponentCollector, refuse } from './component-index.ts'
import { checkComponent, checkDocument } from './cyclonedx-form.ts'
import { checkRest, checkRestOfComponent } from './cyclonedx-rest.ts'
import type { SbomContent } from './sbom.ts'
import { sha256OfImage, sha256sOf } from './subject-digest.ts'
import { readVulnerabilities } from './vulnerabilities.ts'

/** 1.0 and 1.1 had no JSON. A later version may list components in places that nobody looks at here, so it is refused until somebody does. */
const VERSIONS: ReadonlySet<Json | undefined> = new Set(['1.2', '1.3', '1.4', '1.5', '1.6', '1.7'])

/** @throws {@link ProvenanceError} `malformed_sbom`, `unsupported_sbom` */
export function readCycloneDx(document: JsonObject): SbomContent {
  const { specVersion, serialNumber, metadata, components } = document
  if (typeof specVersion !== 'string') throw refuse('no specVersion')
  if (!VERSIONS.has(specVersion)) {
    throw new ProvenanceError('unsupported_sbom', `CycloneDX ${specVersion.slice(0, 16)}: read are 1.2 to 1.7`)
  }
  if (metadata !== undefined && !isJsonObject(metadata)) throw refuse('metadata is not an object')
  checkDocument(document)
  checkRest(document, specVersion)
  const described = metadata?.['component']

  const collector = new ComponentCollector()
  const references = new Set<string>()
  const check = (component: JsonObject) => {
    checkComponent(component, references)
    checkRestOfComponent(component, specVersion)
  }
  if (described !== undefined) collect([described], collector, check)
  collect(components, collector, check)
  const vulnerabilities = readVulnerabilities(document['vulnerabilities'])
  return {
    format: 'CycloneDX',
    specVersion,
    ...(typeof serialNumber === 'string' && serialNumber !== '' ? { serialNumber } : {}),
    subjects: isJsonObject(described) ? subjectsOf(described) : [],
    ...collector.index(),
    ...(vulnerabilities.length > 0 && { vulnerabilities }),
  }
}

/** Components hold components. The nesting is bounded by that of the JSON. */
function collect(
  components: Json | undefined,
  collector: ComponentCollector,
  check: (component: JsonObject) => void,
): void {
  for (const component of array(components, 'components')) {
    if (!isJsonObject(component)) throw refuse('a component is not an object')
    check(component)
    const { group, name, version, purl, cpe } = component
    collector.add({
      name: typeof group === 'string' && group !== '' && typeof name === 'string' ? `${group}/${name}` : name,
      version,
      purls: present(purl),
      cpes: present(cpe),
    })
    collect(component['components'], collector, check)
  }
}

/** Tools write an empty text where they know none. */
function present(value: Json | undefined): Json[] {
  return value === undefined || value === '' ? [] : [value]
}

function subjectsOf({ hashes, version, purl }: JsonObject): string[] {
  const stated = array(hashes, 'hashes').map((each) => {
    if (!isJsonObject(each)) throw refuse('a hash is not an object')
    return [each['alg'], each['content']] as const
  })
  return sha256sOf([...stated, ...sha256OfImage(version, purl)])
}
