/**
 * SPDX 2.2 (ISO/IEC 5962) and 2.3: which packages a document lists, and what it describes.
 *
 * Read are packages with their external references. Files and snippets are looked at only where one of them is what the document describes;
 * licences, relationships other than DESCRIBES, and annotations are not.
 *
 * @module
 */
import { ProvenanceError } from '../error.ts'
import { isJsonObject, type Json, type JsonObject } from '../json.ts'
import { array, ComponentCollector, refuse } from './component-index.ts'
import type { SbomContent } from './sbom.ts'
import { checkSpdx2 } from './spdx2-form.ts'
import { sha256OfImage, sha256sOf } from './subject-digest.ts'

/** @throws {@link ProvenanceError} `malformed_sbom`, `unsupported_sbom` */
export function readSpdx2(document: JsonObject): SbomContent {
  const { spdxVersion, documentNamespace, packages } = document
  const version = typeof spdxVersion === 'string' ? spdxVersion : 'a version that is no text'
  const specVersion = /^SPDX-(2\.[23])$/.exec(version)?.[1]
  if (specVersion === undefined) {
    throw new ProvenanceError('unsupported_sbom', `${version.slice(0, 32)}: read are SPDX 2.2, 2.3 and 3.0`)
  }
  checkSpdx2(document, specVersion)
  const collector = new ComponentCollector()
  for (const item of array(packages, 'packages')) {
    if (!isJsonObject(item)) throw refuse('a package is not an object')
    const references = array(item['externalRefs'], 'externalRefs').filter(isJsonObject)
    const located = (types: RegExp) =>
      references
        .filter(({ referenceType }) => typeof referenceType === 'string' && types.test(referenceType))
        .map(({ referenceLocator }) => referenceLocator ?? '')
    collector.add({
      name: item['name'],
      version: item['versionInfo'] === 'NOASSERTION' ? undefined : item['versionInfo'],
      purls: located(/(?:^|\/)purl$/),
      cpes: located(/(?:^|\/)cpe2[23]Type$/),
    })
  }
  return {
    format: 'SPDX',
    specVersion,
    ...(typeof documentNamespace === 'string' && documentNamespace !== '' ? { serialNumber: documentNamespace } : {}),
    subjects: subjectsOf(document),
    ...collector.index(),
  }
}

/** `documentDescribes`, or the relationship that says the same in either direction. */
function subjectsOf(document: JsonObject): string[] {
  const described = new Set<Json | undefined>(array(document['documentDescribes'], 'documentDescribes'))
  for (const each of array(document['relationships'], 'relationships')) {
    if (!isJsonObject(each)) throw refuse('a relationship is not an object')
    const { spdxElementId: from, relatedSpdxElement: to, relationshipType: type } = each
    if (type === 'DESCRIBES' && from === DOCUMENT) described.add(to)
    if (type === 'DESCRIBED_BY' && to === DOCUMENT) described.add(from)
  }
  const elements = [...array(document['packages'], 'packages'), ...array(document['files'], 'files')]
  return sha256sOf(
    elements.flatMap((element) => {
      if (!isJsonObject(element) || !described.has(element['SPDXID'] ?? null)) return []
      const checksums = array(element['checksums'], 'checksums').filter(isJsonObject)
      return [
        ...checksums.map(({ algorithm, checksumValue }) => [algorithm, checksumValue] as const),
        ...sha256OfImage(element['versionInfo']),
      ]
    }),
  )
}

const DOCUMENT = 'SPDXRef-DOCUMENT'
