/**
 * What the schema of CycloneDX has on licences, pedigree, services and properties. Nothing is made of them; but a document that other readers refuse for
 * one of these is none here either. Not checked are members that the schema does not have, the list of licence ids, and what is nested deeper.
 *
 * @module
 */
import { isJsonObject, type Json, type JsonObject } from '../json.ts'
import { array, refuse } from './component-index.ts'

/** @throws ProvenanceError `malformed_sbom` */
export function checkRest(document: JsonObject, specVersion: string): void {
  if (isJsonObject(document['metadata'])) checkCommon(document['metadata'], specVersion)
  checkServices(document['services'], specVersion)
}

/**
 * What a component has that is no part of which one it is.
 *
 * @throws ProvenanceError `malformed_sbom`
 */
export function checkRestOfComponent(component: JsonObject, specVersion: string): void {
  checkCommon(component, specVersion)
  const pedigree = component['pedigree']
  if (!isJsonObject(pedigree)) return
  for (const patch of array(pedigree['patches'], 'patches')) {
    const { type, diff, resolves } = isJsonObject(patch) ? patch : {}
    if (!PATCHES.has(type)) throw refuse('a patch of no type')
    if (isJsonObject(diff)) checkAttachment(diff['text'])
    for (const issue of array(resolves, 'resolves')) {
      if (!isJsonObject(issue) || !ISSUES.has(issue['type'])) throw refuse('an issue of no type')
    }
  }
}

function checkServices(services: Json | undefined, specVersion: string): void {
  for (const service of array(services, 'services')) {
    if (!isJsonObject(service)) throw refuse('a service is not an object')
    if (typeof service['name'] !== 'string') throw refuse('a service without a name')
    checkCommon(service, specVersion)
    for (const each of array(service['data'], 'data')) {
      const { flow, classification } = isJsonObject(each) ? each : {}
      if (!FLOWS.has(flow)) throw refuse('data of a service that flow nowhere')
      if (typeof classification !== 'string') throw refuse('data of a service that are not classified')
    }
    checkServices(service['services'], specVersion)
  }
}

function checkCommon({ licenses, properties }: JsonObject, specVersion: string): void {
  const choices = array(licenses, 'licenses')
  for (const choice of choices) checkLicence(choice, specVersion)
  // Of these two versions: licences, or one expression that says how they go together.
  if (ALONE.has(specVersion) && choices.length > 1 && choices.some(isExpression)) {
    throw refuse('an expression of licences beside others')
  }
  checkProperties(properties, specVersion)
}

const isExpression = (choice: Json) => isJsonObject(choice) && choice['expression'] !== undefined

function checkLicence(choice: Json, specVersion: string): void {
  const { license, expression } = isJsonObject(choice) ? choice : {}
  if ((license === undefined) === (expression === undefined))
    throw refuse('neither a licence nor an expression, or both')
  if (license === undefined) return
  if (!isJsonObject(license)) throw refuse('a licence is not an object')
  const { id, name, text: attached, properties } = license
  if ((id === undefined) === (name === undefined)) throw refuse('a licence with neither an id nor a name, or both')
  checkAttachment(attached)
  checkProperties(properties, specVersion)
}

function checkAttachment(attachment: Json | undefined): void {
  if (!isJsonObject(attachment)) return
  const { encoding } = attachment
  if (encoding !== undefined && encoding !== 'base64') throw refuse('an attachment of no encoding')
}

function checkProperties(properties: Json | undefined, specVersion: string): void {
  if (!NAMED.has(specVersion)) return
  for (const each of array(properties, 'properties')) {
    if (!isJsonObject(each) || typeof each['name'] !== 'string') throw refuse('a property without a name')
  }
}

const ALONE: ReadonlySet<string> = new Set(['1.5', '1.6'])
/** Before these a property might go without. */
const NAMED: ReadonlySet<string> = new Set(['1.6', '1.7'])
const PATCHES: ReadonlySet<Json | undefined> = new Set(['unofficial', 'monkey', 'backport', 'cherry-pick'])
const ISSUES: ReadonlySet<Json | undefined> = new Set(['defect', 'enhancement', 'security'])
const FLOWS: ReadonlySet<Json | undefined> = new Set(['inbound', 'outbound', 'bi-directional', 'unknown'])
