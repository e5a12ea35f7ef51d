/**
 * What the schema of SPDX 3.0 has on elements: who made them and when, what they are called, and what is read of them. As for CycloneDX, who
 * does not look would take for a package what those who validate first take for no document.
 *
 * Not checked are members that a class does not have, and those of which nothing is made.
 *
 * @module
 */
import { isJsonObject, type Json, type JsonObject } from '../json.ts'
import { array, checkHexDigits, checkTime, refuse } from './component-index.ts'
import type { Graph } from './spdx3-graph.ts'

/** @throws ProvenanceError `malformed_sbom` */
export function checkGraph(graph: Graph): void {
  for (const object of graph.objects) {
    const type = object['type'] as string
    if (type === 'CreationInfo') checkCreation(object)
    else if (type === 'Hash') checkHash(object)
    else if (type === 'ExternalIdentifier') checkIdentifier(object)
    else if (!NO_ELEMENTS.has(type) && !isExtension(type)) checkElement(object, graph)
  }
}

/** Of others' own making: their types are IRIs, or those of the extension profile. */
const isExtension = (type: string) => type.includes(':') || type.startsWith('extension_')

function checkElement({ spdxId, creationInfo, type, ...members }: JsonObject, graph: Graph): void {
  if (typeof spdxId !== 'string' || !/^(?!_:)[^\s:]+:\S+$/.test(spdxId))
    throw refuse(`a ${type as string} without an IRI`)
  const creation = isJsonObject(creationInfo) ? creationInfo['type'] === 'CreationInfo' : graph.has(creationInfo)
  if (!creation) throw refuse(`${JSON.stringify(spdxId.slice(0, 80))} has no creationInfo`)
  checkRead(members, graph)
  if (members['relationshipType'] !== undefined || /Relationship$/.test(type as string)) checkRelationship(members)
}

/** What something is made of: of the wrong type it would be passed over. */
function checkRead(members: JsonObject, graph: Graph): void {
  for (const member of ['externalIdentifier', 'verifiedUsing']) {
    // These are no elements, which might be in another document.
    const isThere = (each: Json) => isJsonObject(each) || graph.has(each)
    if (!array(members[member], member).every(isThere)) throw refuse(`${member} that is nowhere`)
  }
  if (!array(members['rootElement'], 'rootElement').every(isReference)) throw refuse('a rootElement that is none')
  const { software_packageVersion: version } = members
  if (version !== undefined && typeof version !== 'string') throw refuse('a version that is no text')
}

function checkRelationship({ from, to, relationshipType }: JsonObject): void {
  if (!RELATIONSHIPS.has(relationshipType)) throw refuse('a relationship of no type')
  if (!isReference(from)) throw refuse('a relationship from nothing')
  const ends = array(to, 'what a relationship is to')
  if (ends.length === 0 || !ends.every(isReference)) throw refuse('a relationship to nothing')
}

const isReference = (value: Json | undefined) => isJsonObject(value) || (typeof value === 'string' && value !== '')

function checkCreation({ created, createdBy, specVersion }: JsonObject): void {
  if (typeof specVersion !== 'string' || !/^3\.0\.[0-9]{1,2}$/.test(specVersion))
    throw refuse('a specVersion that is none')
  checkTime(created, 'the time of a creationInfo')
  const makers = array(createdBy, 'createdBy')
  if (makers.length === 0 || !makers.every(isReference)) throw refuse('a creationInfo by nobody')
}

function checkHash({ algorithm, hashValue }: JsonObject): void {
  const digits = typeof algorithm === 'string' ? DIGITS.get(algorithm) : undefined
  if (digits === undefined || typeof hashValue !== 'string') throw refuse('a hash of no algorithm')
  if (digits > 0) checkHexDigits(hashValue, digits, 'a hash')
}

function checkIdentifier({ externalIdentifierType, identifier }: JsonObject): void {
  if (!IDENTIFIERS.has(externalIdentifierType)) throw refuse('an external identifier of no type')
  if (typeof identifier !== 'string') throw refuse('an external identifier that is no text')
}

/** Classes that are no elements (SPDX 3.0.1 §Core, §AI). */
const NO_ELEMENTS: ReadonlySet<string> = new Set(
  'PackageVerificationCode ExternalMap ExternalRef NamespaceMap DictionaryEntry PositiveIntegerRange ai_EnergyConsumption ai_EnergyConsumptionDescription'.split(
    ' ',
  ),
)

const IDENTIFIERS: ReadonlySet<Json | undefined> = new Set(
  'cpe22 cpe23 cve email gitoid other packageUrl securityOther swhid swid urlScheme'.split(' '),
)

/** Hexadecimal digits, and 0 where there is no one length or no hexadecimal. */
const DIGITS: ReadonlyMap<string, number> = new Map([
  ['sha1', 40],
  ...['sha', 'sha3_'].flatMap((name) => [224, 256, 384, 512].map((bits): [string, number] => [name + bits, bits / 4])),
  ...[256, 384, 512].map((bits): [string, number] => [`blake2b${bits}`, bits / 4]),
  ...['md2', 'md4', 'md5'].map((name): [string, number] => [name, 32]),
  ...'adler32 blake3 crystalsDilithium crystalsKyber falcon md6 other'
    .split(' ')
    .map((name): [string, number] => [name, 0]),
])

const RELATIONSHIPS: ReadonlySet<Json | undefined> = new Set(
  (
    'affects amendedBy ancestorOf availableFrom configures contains coordinatedBy copiedTo delegatedTo dependsOn descendantOf describes ' +
    'doesNotAffect expandsTo exploitCreatedBy fixedBy fixedIn foundBy generates hasAddedFile hasAssessmentFor hasAssociatedVulnerability ' +
    'hasConcludedLicense hasDataFile hasDeclaredLicense hasDeletedFile hasDependencyManifest hasDistributionArtifact hasDocumentation ' +
    'hasDynamicLink hasEvidence hasExample hasHost hasInput hasMetadata hasOptionalComponent hasOptionalDependency hasOutput ' +
    'hasPrerequisite hasProvidedDependency hasRequirement hasSpecification hasStaticLink hasTest hasTestCase hasVariant invokedBy ' +
    'modifiedBy other packagedBy patchedBy publishedBy reportedBy republishedBy serializedInArtifact testedOn trainedOn ' +
    'underInvestigationFor usesTool'
  ).split(' '),
)
