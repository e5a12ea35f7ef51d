/**
 * Software bills of materials: which packages are in a workload, and which workload that is.
 *
 *     CycloneDX 1.2 to 1.7 in JSON ──┐
 *     SPDX 2.2, 2.3 in JSON ─────────┤
 *     SPDX 2.2, 2.3 as tag-value ────┼──► format, serial number, subjects, components
 *     SPDX 3.0 in JSON-LD ───────────┤
 *     one of them as the predicate ──┘
 *     of an in-toto Statement
 *
 * Only what identifies the document, its subject and its components is taken: that is what policies decide on and what an auditor asks
 * for years later. The document itself stays with its owner, bound by its digest. XML is refused by name: no reader of it is small
 * enough to be had here for a form that every tool can also write as JSON.
 *
 * @module
 */
import { fromHex, fromUtf8 } from '../../merkle/bytes.ts'
import { EvidenceError } from '../../merkle/error.ts'
import { type Hash, sha256 } from '../../merkle/hash.ts'
import { ProvenanceError } from '../error.ts'
import { isJsonObject, type Json, parseJson } from '../json.ts'
import { type ComponentIndex, refuse } from './component-index.ts'
import { readCycloneDx } from './cyclonedx.ts'
import { isSpdxTagValue, parseSpdxTagValue } from './spdx-tag-value.ts'
import { readSpdx2 } from './spdx2.ts'
import { isSpdx3, readSpdx3 } from './spdx3.ts'
import type { Vulnerability } from './vulnerabilities.ts'

/** What one of the formats says. */
export interface SbomContent extends ComponentIndex {
  readonly format: 'CycloneDX' | 'SPDX'
  readonly specVersion: string
  /** CycloneDX `serialNumber`, SPDX `documentNamespace`, the `spdxId` of the document. */
  readonly serialNumber?: string
  /** SHA-256 of what the document says that it is about, lower-case hex, sorted. Often there is none: then it matches nothing. */
  readonly subjects: readonly string[]
  /** Of CycloneDX alone, and not there where it names none. */
  readonly vulnerabilities?: readonly Vulnerability[]
}

export interface Sbom extends Omit<SbomContent, 'subjects'> {
  /** SHA-256 of the exact bytes. */
  readonly digest: Hash
  readonly subjects: readonly Hash[]
}

/** Longest document that we read, in bytes. */
export const MAX_SBOM_BYTES = 32 << 20

/**
 * Reads a bill of materials that stands for itself.
 *
 * @throws {@link ProvenanceError} `malformed_sbom`, `unsupported_sbom`
 */
export function readSbom(bytes: Uint8Array): Sbom {
  return sbomOf(readContent(bytes), bytes)
}

/** `content`, bound to the bytes of the file that it stood in. */
export function sbomOf(content: SbomContent, bytes: Uint8Array): Sbom {
  return { ...content, subjects: content.subjects.map(fromHex), digest: sha256(bytes) }
}

function readContent(bytes: Uint8Array): SbomContent {
  if (bytes.length > MAX_SBOM_BYTES) throw refuse('too long')
  try {
    // A byte order mark is allowed by neither format, and written by several tools.
    const text = fromUtf8(bytes).replace(/^\ufeff/, '')
    if (isSpdxTagValue(text)) return readSpdx2(parseSpdxTagValue(text))
    if (text.slice(0, 8192).trimStart().startsWith('<'))
      throw new ProvenanceError('unsupported_sbom', 'XML: convert it to JSON')
    return readSbomDocument(parseJson(text))
  } catch (cause) {
    if (!(cause instanceof EvidenceError) || cause.code.endsWith('_sbom')) throw cause
    throw new ProvenanceError('malformed_sbom', cause.message, { cause })
  }
}

/** Reads what is JSON already. @throws {@link ProvenanceError} `malformed_sbom`, `unsupported_sbom` */
export function readSbomDocument(document: Json): SbomContent {
  if (!isJsonObject(document)) throw refuse('not an object')
  if (document['bomFormat'] === 'CycloneDX') return readCycloneDx(document)
  if (document['spdxVersion'] !== undefined) return readSpdx2(document)
  if (isSpdx3(document)) return readSpdx3(document)
  throw new ProvenanceError('unsupported_sbom', 'neither CycloneDX nor SPDX')
}
