/**
 * What a file of evidence holds: one piece of evidence, or by its wrapper (`cmw.ts`) several, each of a format of its own.
 *
 *     --format tdx  --evidence quote.dat          one, as it is
 *     --format tdx  --evidence quote.cmw          one, unwrapped; what its type says must not be another format
 *     --format cmw  --evidence collection.cbor    each member by its type, all of them appraised
 *
 * @module
 */
import { EvidenceError } from '../../../merkle/index.ts'
import { malformedEvidence, VerifierError } from '../error.ts'
import { CMW, type CmwRecord, readCmw, recordsOf } from './cmw.ts'
import type { EvidenceFormat } from './format.ts'
import { evidenceFormat } from './formats.ts'
import { formatOfType } from './media-types.ts'

/** The name under which evidence of several formats is appraised and logged. */
export const COLLECTION = 'cmw'

export interface Piece {
  /** In the collection; undefined of a piece alone. */
  readonly label?: string
  readonly format: EvidenceFormat
  readonly evidence: Uint8Array
  /** The media type that it was wrapped with. */
  readonly mediaType?: string
}

export interface Submission {
  /** As the record names it. */
  readonly format: string
  /** What the record has the digest of. */
  readonly evidence: Uint8Array
  readonly pieces: readonly Piece[]
  /** Endorsements that came along. */
  readonly collateral: readonly Uint8Array[]
}

/** @throws {@link VerifierError} `unknown_evidence_format`, `malformed_evidence`, `wrong_format` */
export function readSubmission(file: Uint8Array, formatName: string): Submission {
  if (formatName === COLLECTION) return readCollection(file)
  const format = evidenceFormat(formatName)
  const cmw = readCmw(file)
  if (!cmw) {
    const evidence = format.ofFile(file)
    return { format: format.name, evidence, pieces: [{ format, evidence }], collateral: [] }
  }
  const records = recordsOf(cmw)
  const judged = records.filter(([, record]) => !isEndorsement(record))
  const [only, ...more] = judged
  if (!only || more.length > 0) {
    throw new VerifierError(
      'wrong_format',
      `a collection of ${judged.length} pieces of evidence: its format is ${COLLECTION}`,
    )
  }
  const said = formatOfType(only[1].type)
  if (said !== undefined && said !== format.name) {
    throw new VerifierError('wrong_format', `wrapped as ${said}, and to be appraised as ${format.name}`)
  }
  const { label: _label, ...piece } = pieceOf(only, format)
  return { format: format.name, evidence: piece.evidence, pieces: [piece], collateral: endorsements(records) }
}

function readCollection(file: Uint8Array): Submission {
  const cmw = readCmw(file)
  if (!cmw) throw malformedEvidence('not a conceptual message wrapper')
  const records = recordsOf(cmw)
  const pieces = records
    .filter(([, record]) => !isEndorsement(record))
    .map((entry): Piece => {
      const [label, { type }] = entry
      const name = formatOfType(type)
      if (name === undefined) {
        throw new VerifierError(
          'unknown_evidence_format',
          `${label ?? 'it'} is of type ${JSON.stringify(type).slice(0, 200)}`,
        )
      }
      return pieceOf(entry, evidenceFormat(name))
    })
  if (pieces.length === 0) throw malformedEvidence('a collection without evidence')
  return { format: COLLECTION, evidence: file, pieces, collateral: endorsements(records) }
}

/** What is there to verify evidence with. Reference values and policies that come with evidence are the attester's own, and refused. */
function isEndorsement({ ind }: CmwRecord): boolean {
  if (ind === undefined || (ind & (CMW.evidence | CMW.attestationResults)) !== 0) return false
  if (ind === CMW.endorsements) return true
  throw new VerifierError(
    'malformed_evidence',
    'reference values or a policy beside the evidence: those are for the Verifier to have',
  )
}

function endorsements(records: readonly (readonly [unknown, CmwRecord])[]): Uint8Array[] {
  return records.flatMap(([, record]) => (isEndorsement(record) ? [record.value] : []))
}

function pieceOf([label, { type, value }]: readonly [string | undefined, CmwRecord], format: EvidenceFormat): Piece {
  return {
    ...(label === undefined ? {} : { label }),
    format,
    evidence: readOf(format, value),
    mediaType: String(type),
  }
}

function readOf(format: EvidenceFormat, value: Uint8Array): Uint8Array {
  try {
    return format.ofFile(value)
  } catch (cause) {
    if (cause instanceof VerifierError || !(cause instanceof EvidenceError)) throw cause
    throw malformedEvidence(cause.message, cause)
  }
}
