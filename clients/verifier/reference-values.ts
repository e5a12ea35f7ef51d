/**
 * Reference values: which attesters are believed, and what good software measures as.
 *
 * ```json
 * { "format": "measured-files",
 *   "attesters": [{ "kty": "EC", "crv": "P-256", "x": "…", "y": "…" }],
 *   "measurements": [{ "name": "payments", "version": "1.4.2", "root": "<hex>", "files": [{ "path": "bin/payments", "size": 9, "sha256": "<hex>" }] }] }
 * ```
 *
 * `files` may be left out: then a workload with one changed file can only be called different, not told which file it is.
 *
 * @module
 */
import { type Static, Type } from 'typebox'
import { utf8 } from '../../merkle/index.ts'
import { kidOf, type PublicJwk, parsePublicJwk, signingAlgorithmOf } from '../../statement/index.ts'
import { readDocument } from './document.ts'
import { VerifierError } from './error.ts'
import {
  MEASURED_FILES_FORMAT,
  type MeasuredFile,
  MeasuredFileSchema,
  measurementsOf,
} from './evidence/measured-files.ts'

export interface ReferenceMeasurement {
  /** What it is a measurement of, for people. */
  readonly name: string
  readonly version?: string
  /** Lower-case hex of {@link measurementRoot}. */
  readonly root: string
  readonly files?: readonly MeasuredFile[]
}

export interface ReferenceValues {
  /** The evidence format that they are for. */
  readonly format: string
  readonly attesters: readonly PublicJwk[]
  readonly measurements: readonly ReferenceMeasurement[]
}

const Text = Type.String({ minLength: 1, maxLength: 256 })

const Document = Type.Object(
  {
    format: Text,
    attesters: Type.Array(Type.Unknown(), { minItems: 1, maxItems: 256 }),
    measurements: Type.Array(
      Type.Object(
        {
          name: Text,
          version: Type.Optional(Text),
          root: Type.String({ pattern: '^[0-9a-f]{64}$' }),
          files: Type.Optional(Type.Array(MeasuredFileSchema, { minItems: 1, maxItems: 10_000 })),
        },
        { additionalProperties: false },
      ),
      { minItems: 1, maxItems: 1024 },
    ),
  },
  { additionalProperties: false },
)

/** @throws {@link VerifierError} `malformed_reference_values` */
export function parseReferenceValues(content: Uint8Array): ReferenceValues {
  const document = readDocument(Document, content, 'malformed_reference_values')
  if (document.format !== MEASURED_FILES_FORMAT) {
    throw new VerifierError(
      'malformed_reference_values',
      `/format ${document.format} is not one of: ${MEASURED_FILES_FORMAT}`,
    )
  }
  return {
    format: document.format,
    attesters: document.attesters.map(parseAttester),
    measurements: document.measurements.map(checkMeasurement),
  }
}

/** The document for `values`, to be published or shipped with a release: one line for each file. */
export function formatReferenceValues({ format, attesters, measurements }: ReferenceValues): string {
  const document = {
    format,
    attesters,
    measurements: measurements.map(({ name, version, root, files }) => ({ name, version, root, files })),
  }
  const text = `${JSON.stringify(document, null, 2).replace(FILE, '{ "path": $1, "size": $2, "sha256": "$3" }')}\n`
  parseReferenceValues(utf8(text))
  return text
}

/** A file as `JSON.stringify` indents it. */
const FILE = /\{\s+"path": ("(?:[^"\\]|\\.)*"),\s+"size": (\d+),\s+"sha256": "([0-9a-f]{64})"\s+\}/g

function parseAttester(value: unknown, i: number): PublicJwk {
  try {
    const key = parsePublicJwk(value)
    signingAlgorithmOf(key)
    kidOf(key)
    return key
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new VerifierError('malformed_reference_values', `/attesters/${i} ${why}`, { cause })
  }
}

type MeasurementDocument = Static<typeof Document>['measurements'][number]

function checkMeasurement(measurement: MeasurementDocument, i: number): ReferenceMeasurement {
  if (!measurement.files) return measurement
  // The root decides and the files only explain: a list that does not lead to the root would explain wrongly.
  let root: string
  try {
    root = measurementsOf(measurement.files).root
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new VerifierError('malformed_reference_values', `/measurements/${i}/files ${why}`, { cause })
  }
  if (root !== measurement.root) {
    throw new VerifierError('malformed_reference_values', `/measurements/${i}/root is not the root of its files`)
  }
  return measurement
}
