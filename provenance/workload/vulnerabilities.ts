/**
 * What a CycloneDX document says of known vulnerabilities in what it lists (VEX): by their names, and in which state its author holds them to be.
 *
 *     "vulnerabilities": [{ "id": "CVE-2021-44228", "analysis": { "state": "not_affected" } }]     since 1.4
 *
 * It is the author's word on the day of the document. Which component it is about is in the document, with its owner.
 *
 * @module
 */
import { isJsonObject, type Json } from '../json.ts'
import { array, refuse, text } from './component-index.ts'

/** Of `analysis.state`, the same in all versions. */
export const VULNERABILITY_STATES = [
  'exploitable',
  'in_triage',
  'resolved',
  'resolved_with_pedigree',
  'false_positive',
  'not_affected',
] as const
export type VulnerabilityState = (typeof VULNERABILITY_STATES)[number]

export interface Vulnerability {
  /** As the document has it: `CVE-…`, `GHSA-…`. */
  readonly id: string
  /** Absent: nobody analysed it, or the document does not say. */
  readonly state?: VulnerabilityState
}

/** Of one document. */
export const MAX_VULNERABILITIES = 1024

/**
 * Each pair of name and state once, sorted. One without a name is left out: nobody can ask for it.
 *
 * @throws ProvenanceError `malformed_sbom`
 */
export function readVulnerabilities(vulnerabilities: Json | undefined): readonly Vulnerability[] {
  const found = new Map<string, Vulnerability>()
  for (const each of array(vulnerabilities, 'vulnerabilities')) {
    if (!isJsonObject(each)) throw refuse('a vulnerability is not an object')
    const { id, analysis } = each
    const state = stateIn(analysis)
    if (id === undefined || id === '') continue
    const named = text(id, 'the id of a vulnerability')
    found.set(JSON.stringify([named, state]), { id: named, ...(state !== undefined && { state }) })
    if (found.size > MAX_VULNERABILITIES) throw refuse(`more than ${MAX_VULNERABILITIES} vulnerabilities`)
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, vulnerability]) => vulnerability)
}

function stateIn(analysis: Json | undefined): VulnerabilityState | undefined {
  if (analysis === undefined) return undefined
  if (!isJsonObject(analysis)) throw refuse('an analysis is not an object')
  const { state } = analysis
  if (state === undefined) return undefined
  // A misspelt one must not come out as one that says nothing.
  const known = VULNERABILITY_STATES.find((each) => each === state)
  if (known === undefined) throw refuse('an analysis in no state that there is')
  return known
}
