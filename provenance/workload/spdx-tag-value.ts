/**
 * The tag-value form of SPDX 2, as far as `spdx2.ts` looks at a document:
 *
 *     SPDXVersion: SPDX-2.3
 *     PackageName: curl
 *     ExternalRef: PACKAGE-MANAGER purl pkg:deb/debian/curl@7.50.3
 *     PackageComment: <text>of one line,
 *     or several</text>
 *
 * @module
 */
import type { Json, JsonObject } from '../json.ts'
import { refuse } from './component-index.ts'

/** Whether the first line that is neither empty nor a comment begins as such a document does. */
export function isSpdxTagValue(text: string): boolean {
  return text
    .slice(0, 8192)
    .replaceAll(/^[ \t]*#.*$/gm, '')
    .trimStart()
    .startsWith('SPDXVersion:')
}

/** The document as its JSON form has it, with the members that are looked at. @throws ProvenanceError `malformed_sbom` */
export function parseSpdxTagValue(text: string): JsonObject {
  const creation = element({ creators: [] })
  const document = element({ packages: [], files: [], relationships: [], creationInfo: creation })
  let current = document
  for (const [tag, value] of tagsOf(text)) {
    if (tag === 'PackageName' || tag === 'FileName') {
      const isPackage = tag === 'PackageName'
      current = element({ [isPackage ? 'name' : 'fileName']: value, checksums: [], externalRefs: [] })
      push(document, isPackage ? 'packages' : 'files', current)
    } else if (tag === 'SnippetSPDXID') current = element({ checksums: [] })
    else if (DOCUMENT.has(tag)) put(document, DOCUMENT.get(tag)!, value)
    else if (tag === 'Created') put(creation, 'created', value)
    else if (tag === 'Creator') push(creation, 'creators', value)
    else if (tag === 'SPDXID') put(current, 'SPDXID', value)
    else if (tag === 'PackageVersion') put(current, 'versionInfo', value)
    else if (tag === 'PackageDownloadLocation') put(current, 'downloadLocation', value)
    else if (tag === 'PrimaryPackagePurpose') put(current, 'primaryPackagePurpose', value)
    else if (tag === 'PackageChecksum' || tag === 'FileChecksum') push(current, 'checksums', checksum(value))
    else if (tag === 'ExternalRef') push(current, 'externalRefs', externalReference(value))
    else if (tag === 'Relationship') push(document, 'relationships', relationship(value))
  }
  return document
}

/** Tags of the document, as JSON has them. */
const DOCUMENT: ReadonlyMap<string, string> = new Map([
  ['SPDXVersion', 'spdxVersion'],
  ['DataLicense', 'dataLicense'],
  ['DocumentName', 'name'],
  ['DocumentNamespace', 'documentNamespace'],
])

type Element = Record<string, Json>

function element(members: Element): Element {
  return Object.assign(Object.create(null) as Element, members)
}

/** Of two readers one would take the first, and one the last. */
function put(to: Element, member: string, value: Json): void {
  if (to[member] !== undefined) throw refuse(`a second ${member}, of one thing`)
  to[member] = value
}

function push(to: Element, member: string, value: Json): void {
  const list = to[member]
  if (!Array.isArray(list)) throw refuse(`${member} where there is no package`)
  list.push(value)
}

function checksum(value: string): Json {
  const [algorithm = '', checksumValue, ...more] = value.split(':').map((part) => part.trim())
  if (algorithm === '' || !checksumValue || more.length > 0) throw refuse('a checksum that is none')
  return element({ algorithm, checksumValue })
}

function externalReference(value: string): Json {
  const [category, referenceType, referenceLocator, ...more] = value.split(/\s+/)
  if (!category || referenceType === undefined || referenceLocator === undefined || more.length > 0) {
    throw refuse('an external reference that is none')
  }
  return element({ referenceCategory: category, referenceType, referenceLocator })
}

function relationship(value: string): Json {
  const [spdxElementId = '', relationshipType = '', relatedSpdxElement = ''] = value.split(/\s+/)
  return element({ spdxElementId, relationshipType, relatedSpdxElement })
}

/** Tag and value, one after another. What stands within `<text>` is a value to its end: a line in it that looks like a tag is none. */
function* tagsOf(text: string): Generator<[string, string]> {
  const lines = text.split(/\r\n|[\r\n]/)
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!.trim()
    if (line === '' || line.startsWith('#')) continue
    const colon = line.indexOf(':')
    if (colon <= 0) throw refuse(`line ${i + 1} is not "Tag: value"`)
    const tag = line.slice(0, colon)
    let value = line.slice(colon + 1).trim()
    if (value.startsWith('<text>')) {
      const parts = [value.slice('<text>'.length)]
      while (!parts.at(-1)!.includes('</text>')) {
        if (++i >= lines.length) throw refuse(`the <text> of ${tag} does not end`)
        parts.push(lines[i]!)
      }
      value = parts.join('\n')
      value = value.slice(0, value.indexOf('</text>')).trim()
    }
    yield [tag, value]
  }
}
