/**
 * What a bill of materials is about, as SHA-256 values: the only algorithm in which an attested measurement can be compared with it.
 *
 * @module
 */
import type { Json } from '../json.ts'
import { refuse } from './component-index.ts'
import { parsePurl } from './purl.ts'

/** Most subjects of one document that are kept. A document about more is about none in particular. */
export const MAX_SUBJECTS = 64

/**
 * The SHA-256 values among stated hashes, in lower-case hex, sorted, each once.
 *
 * @param hashes - algorithm as any of the formats spells it (`SHA-256`, `SHA256`, `sha256`), and hex
 * @throws ProvenanceError `malformed_sbom` for a SHA-256 value that is none
 */
export function sha256sOf(hashes: readonly (readonly [Json | undefined, Json | undefined])[]): string[] {
  const found = new Set<string>()
  for (const [algorithm, value] of hashes) {
    if (typeof algorithm !== 'string' || algorithm.replace('-', '').toLowerCase() !== 'sha256') continue
    if (typeof value !== 'string' || !/^[0-9a-f]{64}$/i.test(value)) throw refuse('a SHA-256 value that is none')
    found.add(value.toLowerCase())
  }
  if (found.size > MAX_SUBJECTS) throw refuse(`about more than ${MAX_SUBJECTS} things`)
  return [...found].sort()
}

/** An image is known by the digest of its manifest, and tools write that as its version: alone, or in its package URL. */
export function sha256OfImage(...spellings: readonly (Json | undefined)[]): ['sha256', string][] {
  return spellings.flatMap((spelling) => {
    if (typeof spelling !== 'string') return []
    const version = /^pkg:\/*(?:oci|docker)\//i.test(spelling) ? parsePurl(spelling).version : spelling
    const digest = /^sha256:([0-9a-f]{64})$/i.exec(version ?? '')?.[1]
    return digest === undefined ? [] : [['sha256', digest] as ['sha256', string]]
  })
}
