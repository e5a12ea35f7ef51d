/**
 * What the schema of CycloneDX has on what a document is and which components it lists. The rest of the schema is about
 * members that nobody here reads; some of it is in `cyclonedx-rest.ts`.
 *
 * Other readers validate first. One that does not would take for a component what they take for no document at all.
 *
 * @module
 */
import { isJsonObject, type Json, type JsonObject } from '../json.ts'
import { array, checkHexDigits, checkTime, refuse, text } from './component-index.ts'

/** @throws ProvenanceError `malformed_sbom` */
export function checkDocument({ serialNumber, version, metadata, dependencies }: JsonObject): void {
  // Tools write an empty text where they know none.
  if (serialNumber !== undefined && serialNumber !== '' && !SERIAL_NUMBER.test(texted(serialNumber))) {
    throw refuse('a serialNumber that is no urn:uuid: in lower case')
  }
  const timestamp = isJsonObject(metadata) ? metadata['timestamp'] : undefined
  if (timestamp !== undefined) checkTime(timestamp, 'the timestamp')
  if (version !== undefined && !(typeof version === 'number' && Number.isInteger(version) && version >= 1)) {
    throw refuse('a version of the document that is no number from 1 on')
  }
  for (const each of array(dependencies, 'dependencies')) {
    const { ref, dependsOn } = isJsonObject(each) ? each : {}
    text(ref, 'a ref')
    if (!array(dependsOn, 'dependsOn').every((on) => typeof on === 'string')) throw refuse('dependsOn what has no name')
  }
}

/**
 * @param references - what has a `bom-ref` so far; this component's is added
 * @throws ProvenanceError `malformed_sbom`
 */
export function checkComponent(component: JsonObject, references: Set<string>): void {
  const { type, scope, hashes, swid, version, versionRange, 'bom-ref': reference } = component
  if (!TYPES.has(type)) throw refuse('a component of no type')
  if (typeof component['name'] !== 'string') throw refuse('the name of a component is not a text')
  for (const member of ['group', 'version']) {
    if (component[member] !== undefined && typeof component[member] !== 'string')
      throw refuse(`a ${member} that is no text`)
  }
  if (scope !== undefined && !SCOPES.has(scope)) throw refuse('a component of no scope')
  if (reference !== undefined) {
    const named = text(reference, 'a bom-ref')
    if (references.has(named)) throw refuse(`two components ${JSON.stringify(named)}`)
    references.add(named)
  }
  for (const each of array(hashes, 'hashes')) checkHash(each)
  if (swid !== undefined) {
    text(isJsonObject(swid) ? swid['tagId'] : undefined, 'the tagId of a swid')
    text(isJsonObject(swid) ? swid['name'] : undefined, 'the name of a swid')
  }
  // 1.7: only what is not delivered with the workload may be of one version among several.
  if (versionRange !== undefined && (version !== undefined || component['isExternal'] !== true)) {
    throw refuse('a range of versions, of a component that has one')
  }
}

function checkHash(hash: Json): void {
  const { alg, content } = isJsonObject(hash) ? hash : {}
  const length = typeof alg === 'string' ? LENGTHS.get(alg) : undefined
  if (length === undefined || typeof content !== 'string') throw refuse('a hash of no algorithm')
  // BLAKE3 is as long as one likes, of the lengths that there are.
  const digits = length === 0 && [32, 40, 64, 96, 128].includes(content.length) ? content.length : length
  checkHexDigits(content, digits, 'a hash')
}

function texted(value: Json): string {
  return typeof value === 'string' ? value : ''
}

const SERIAL_NUMBER = /^urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Of all versions. */
const TYPES: ReadonlySet<Json | undefined> = new Set(
  'application framework library container platform operating-system device device-driver firmware file machine-learning-model data cryptographic-asset'.split(
    ' ',
  ),
)
const SCOPES: ReadonlySet<Json> = new Set(['required', 'optional', 'excluded'])

/** Of hexadecimal digits. */
const LENGTHS: ReadonlyMap<string, number> = new Map([
  ['MD5', 32],
  ['SHA-1', 40],
  ...['SHA-', 'SHA3-', 'BLAKE2b-', 'Streebog-'].flatMap((name) =>
    [256, 384, 512].map((bits): [string, number] => [`${name}${bits}`, bits / 4]),
  ),
  ['BLAKE3', 0],
])
