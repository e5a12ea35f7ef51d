/**
 * What SPDX 2.2 and 2.3 have on a document and the elements in it: what must be there (§6 to §12, and the JSON schema), and of which form it is where
 * something is made of it. As for CycloneDX, who does not look would take for a package what those who validate first take for no document.
 *
 * What tools in use leave out is not asked for, though 2.2 has it: licences and checksums of files. Nor is that names are URIs, that they begin with
 * `SPDXRef-`, or that a relationship leads somewhere.
 *
 * @module
 */
import { isJsonObject, type Json, type JsonObject } from '../json.ts'
import { array, checkHexDigits, checkTime, refuse, text } from './component-index.ts'

/** @throws ProvenanceError `malformed_sbom` */
export function checkSpdx2(document: JsonObject, specVersion: string): void {
  const { SPDXID, name, dataLicense, documentNamespace, creationInfo } = document
  text(SPDXID, 'the SPDXID of the document')
  text(name, 'the name of the document')
  text(documentNamespace, 'the documentNamespace')
  if (dataLicense !== 'CC0-1.0') throw refuse('a dataLicense that is not CC0-1.0')
  const { created, creators } = isJsonObject(creationInfo) ? creationInfo : {}
  checkTime(created, 'the time of creation')
  const makers = array(creators, 'creators')
  if (makers.length === 0 || !makers.every(isMaker)) throw refuse('creators who are no person, organization or tool')

  for (const [list, members] of LISTS) {
    for (const each of array(document[list], list)) {
      if (!isJsonObject(each)) throw refuse(`${list}: one is not an object`)
      for (const member of members) {
        if (typeof each[member] !== 'string') throw refuse(`${list}: one without ${member}`)
      }
    }
  }
  if (!array(document['documentDescribes'], 'documentDescribes').every((each) => typeof each === 'string')) {
    throw refuse('documentDescribes what has no name')
  }
  const elements = [...objects(document, 'packages'), ...objects(document, 'files')]
  checkNames(elements)
  for (const { checksums } of elements)
    for (const each of array(checksums, 'checksums')) checkChecksum(each, specVersion)
  for (const { externalRefs, versionInfo: version, primaryPackagePurpose: purpose } of objects(document, 'packages')) {
    if (version !== undefined && typeof version !== 'string') throw refuse('a version that is no text')
    for (const each of array(externalRefs, 'externalRefs')) checkReference(each)
    if (purpose !== undefined && (specVersion === '2.2' || !PURPOSES.has(purpose))) {
      throw refuse('a package for a purpose that there is not')
    }
  }
  for (const { relationshipType } of objects(document, 'relationships')) {
    if (!RELATIONSHIPS.has(relationshipType)) throw refuse('a relationship of no type')
  }
}

const isMaker = (maker: Json) => typeof maker === 'string' && /^(?:Person|Organization|Tool):\s*\S/.test(maker)

function objects(document: JsonObject, list: string): JsonObject[] {
  return array(document[list], list).filter(isJsonObject)
}

/** One name for two elements would make the document be about both. That of the document itself is the package's too, in what Bitnami makes. */
function checkNames(elements: readonly JsonObject[]): void {
  const names = new Set<Json | undefined>()
  for (const { SPDXID } of elements) {
    const name = text(SPDXID, 'an SPDXID')
    if (names.has(name)) throw refuse(`two elements ${JSON.stringify(name)}`)
    names.add(name)
  }
}

function checkChecksum(checksum: Json, specVersion: string): void {
  const { algorithm, checksumValue } = isJsonObject(checksum) ? checksum : {}
  if (typeof algorithm !== 'string') throw refuse('a checksum of no algorithm')
  const digits = DIGITS.get(algorithm)
  if (digits === undefined || typeof checksumValue !== 'string') throw refuse('a checksum of no algorithm')
  if (specVersion === '2.2' && /^(?:SHA3-|BLAKE|ADLER)/.test(algorithm)) throw refuse(`SPDX 2.2 has no ${algorithm}`)
  if (digits > 0) checkHexDigits(checksumValue, digits, 'a checksum')
}

function checkReference(reference: Json): void {
  const { referenceCategory, referenceType, referenceLocator } = isJsonObject(reference) ? reference : {}
  if (!CATEGORIES.has(referenceCategory)) throw refuse('an external reference of no category')
  if (typeof referenceType !== 'string' || typeof referenceLocator !== 'string') {
    throw refuse('an external reference without a type or a locator')
  }
}

/** Lists of a document, and the texts that each member of them must have. */
const LISTS: readonly (readonly [list: string, members: readonly string[]])[] = [
  ['packages', ['SPDXID', 'name', 'downloadLocation']],
  ['files', ['SPDXID', 'fileName']],
  ['snippets', ['SPDXID', 'snippetFromFile']],
  ['relationships', ['spdxElementId', 'relationshipType', 'relatedSpdxElement']],
  ['externalDocumentRefs', ['externalDocumentId', 'spdxDocument']],
  ['hasExtractedLicensingInfos', ['licenseId', 'extractedText']],
  ['annotations', ['annotator', 'annotationDate', 'annotationType', 'comment']],
]

/** 2.2 and 2.3 differ on the line in the middle, and tools do not. */
const CATEGORIES: ReadonlySet<Json | undefined> = new Set(
  'SECURITY PACKAGE-MANAGER PACKAGE_MANAGER PERSISTENT-ID PERSISTENT_ID OTHER'.split(' '),
)
const PURPOSES: ReadonlySet<Json> = new Set(
  'APPLICATION FRAMEWORK LIBRARY CONTAINER OPERATING-SYSTEM DEVICE FIRMWARE SOURCE ARCHIVE FILE INSTALL OTHER'.split(
    ' ',
  ),
)

/** Hexadecimal digits, and 0 where there is no one length. */
const DIGITS: ReadonlyMap<string, number> = new Map([
  ['SHA1', 40],
  ...[224, 256, 384, 512].map((bits): [string, number] => [`SHA${bits}`, bits / 4]),
  ...['SHA3-', 'BLAKE2b-'].flatMap((name) => [256, 384, 512].map((bits): [string, number] => [name + bits, bits / 4])),
  ...['MD2', 'MD4', 'MD5'].map((name): [string, number] => [name, 32]),
  ['MD6', 0],
  ['BLAKE3', 0],
  ['ADLER32', 8],
])

/** Of both versions. */
const RELATIONSHIPS: ReadonlySet<Json | undefined> = new Set(
  (
    'AMENDS ANCESTOR_OF BUILD_DEPENDENCY_OF BUILD_TOOL_OF CONTAINED_BY CONTAINS COPY_OF DATA_FILE_OF DEPENDENCY_MANIFEST_OF DEPENDENCY_OF ' +
    'DEPENDS_ON DESCENDANT_OF DESCRIBED_BY DESCRIBES DEV_DEPENDENCY_OF DEV_TOOL_OF DISTRIBUTION_ARTIFACT DOCUMENTATION_OF DYNAMIC_LINK ' +
    'EXAMPLE_OF EXPANDED_FROM_ARCHIVE FILE_ADDED FILE_DELETED FILE_MODIFIED GENERATED_FROM GENERATES HAS_PREREQUISITE METAFILE_OF ' +
    'OPTIONAL_COMPONENT_OF OPTIONAL_DEPENDENCY_OF OTHER PACKAGE_OF PATCH_APPLIED PATCH_FOR PREREQUISITE_FOR PROVIDED_DEPENDENCY_OF ' +
    'REQUIREMENT_DESCRIPTION_FOR RUNTIME_DEPENDENCY_OF SPECIFICATION_FOR STATIC_LINK TEST_CASE_OF TEST_DEPENDENCY_OF TEST_OF ' +
    'TEST_TOOL_OF VARIANT_OF'
  ).split(' '),
)
