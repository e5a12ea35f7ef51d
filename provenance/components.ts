/**
 * Software bills of materials: which packages are in a workload, out of CycloneDX (1.x JSON) or SPDX (2.x JSON).
 *
 * Only the identity of the document and the package URLs of its components are taken: that is what policies decide on and what
 * an auditor asks for years later. The document itself stays with its owner, bound by its digest.
 *
 * @module
 */
import { fromUtf8 } from '../merkle/bytes.ts'
import { EvidenceError } from '../merkle/error.ts'
import { type Hash, sha256 } from '../merkle/hash.ts'
import { ProvenanceError } from './error.ts'
import { isJsonObject, type Json, type JsonObject, parseJson } from './json.ts'

export interface Sbom {
  readonly format: 'CycloneDX' | 'SPDX'
  readonly specVersion: string
  /** SHA-256 of the exact bytes. */
  readonly digest: Hash
  /** CycloneDX `serialNumber`, SPDX `documentNamespace`. */
  readonly serialNumber?: string
  /** Package URLs, sorted, each once. Components without one are not counted here. */
  readonly components: readonly string[]
}

/** Longest document that we read, in bytes. */
const MAX_SBOM_BYTES = 32 << 20

/**
 * Reads a bill of materials.
 *
 * @throws {@link ProvenanceError} `malformed_sbom`
 */
export function readSbom(bytes: Uint8Array): Sbom {
  if (bytes.length > MAX_SBOM_BYTES) throw refuse('too long')
  let document: Json
  try {
    document = parseJson(fromUtf8(bytes))
  } catch (cause) {
    if (!(cause instanceof EvidenceError)) throw cause
    throw new ProvenanceError('malformed_sbom', cause.message, { cause })
  }
  if (!isJsonObject(document)) throw refuse('not an object')
  const digest = sha256(bytes)
  if (document['bomFormat'] === 'CycloneDX') return { ...readCycloneDx(document), digest }
  const { spdxVersion } = document
  if (typeof spdxVersion === 'string') return { ...readSpdx(document, spdxVersion), digest }
  throw refuse('neither CycloneDX nor SPDX')
}

function readCycloneDx(document: JsonObject): Omit<Sbom, 'digest'> {
  const { specVersion, serialNumber, metadata, components } = document
  if (typeof specVersion !== 'string' || !specVersion.startsWith('1.')) throw refuse('not CycloneDX 1.x')
  const purls = new Set<string>()
  const described = isJsonObject(metadata) ? metadata['component'] : undefined
  if (described !== undefined) collect([described], purls)
  if (components !== undefined) collect(components, purls)
  return {
    format: 'CycloneDX',
    specVersion,
    ...(typeof serialNumber === 'string' && serialNumber !== '' ? { serialNumber } : {}),
    components: [...purls].sort(),
  }
}

/** Components hold components. The nesting is bounded by that of the JSON. */
function collect(components: Json, purls: Set<string>): void {
  for (const component of array(components, 'components')) {
    if (!isJsonObject(component)) throw refuse('a component is not an object')
    const { purl, components: inner } = component
    if (typeof purl === 'string') addPurl(purl, purls)
    if (inner !== undefined) collect(inner, purls)
  }
}

function readSpdx(document: JsonObject, spdxVersion: string): Omit<Sbom, 'digest'> {
  const { documentNamespace, packages } = document
  const version = /^SPDX-(2\.[0-9])$/.exec(spdxVersion)?.[1]
  if (version === undefined) throw refuse('not SPDX 2.x')
  const purls = new Set<string>()
  for (const item of packages === undefined ? [] : array(packages, 'packages')) {
    const references = isJsonObject(item) ? item['externalRefs'] : undefined
    for (const reference of references === undefined ? [] : array(references, 'externalRefs')) {
      if (!isJsonObject(reference) || reference['referenceType'] !== 'purl') continue
      if (typeof reference['referenceLocator'] === 'string') addPurl(reference['referenceLocator'], purls)
    }
  }
  return {
    format: 'SPDX',
    specVersion: version,
    ...(typeof documentNamespace === 'string' && documentNamespace !== '' ? { serialNumber: documentNamespace } : {}),
    components: [...purls].sort(),
  }
}

/** One that is not a package URL is refused, not skipped: a policy that forbids the package would not see it. */
function addPurl(purl: string, purls: Set<string>): void {
  if (!/^pkg:[^\s\p{Cc}]{1,1020}$/u.test(purl))
    throw refuse(`${JSON.stringify(purl.slice(0, 80))} is not a package URL`)
  purls.add(purl)
}

function array(value: Json, name: string): readonly Json[] {
  if (!Array.isArray(value)) throw refuse(`${name} is not a list`)
  return value
}

function refuse(why: string): ProvenanceError {
  return new ProvenanceError('malformed_sbom', why)
}
