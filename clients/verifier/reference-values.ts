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
 * For evidence from hardware the vendors' roots are the attesters, and measurements are values by the names that docs/evidence.md lists:
 *
 * ```json
 * { "format": "sev-snp",
 *   "measurements": [{ "name": "payments", "version": "1.4.2", "values": { "MEASUREMENT": "<hex>" }, "minimum": { "guestSvn": 2 } }],
 *   "platforms": [{ "model": "Milan", "minimum": { "snp": 8, "microcode": 115 } }] }
 * ```
 *
 * For results of other Verifiers (`ear`) they are `attesters` alone: their keys.
 *
 * All values named must be as they are and all numbers at least as high. `root` is then the digest of the values, and may be left out.
 *
 * @module
 */
import { type Static, Type } from 'typebox'
import { toHex, utf8 } from '../../merkle/index.ts'
import {
  kidOf,
  type PublicJwk,
  parsePublicJwk,
  parseVerificationJwk,
  signingAlgorithmOf,
  type VerificationJwk,
} from '../../statement/index.ts'
import { readDocument } from './document.ts'
import { VerifierError } from './error.ts'
import type { ReferenceNames } from './evidence/format.ts'
import { EVIDENCE_FORMATS, evidenceFormat } from './evidence/formats.ts'
import { measurementDigest } from './evidence/hardware/hardware-format.ts'
import { type MeasuredFile, MeasuredFileSchema, measurementsOf } from './evidence/measured-files.ts'

export interface ReferenceMeasurement {
  /** What it is a measurement of, for people. */
  readonly name: string
  readonly version?: string
  /** The one digest that identifies it, lower-case hex: {@link measurementRoot} of files, {@link measurementDigest} of values. */
  readonly root: string
  readonly files?: readonly MeasuredFile[]
  /** Lower-case hex by name: what hardware measured. */
  readonly values?: Readonly<Record<string, string>>
  /** The lowest security version numbers of this software. */
  readonly minimum?: Readonly<Record<string, number>>
}

/** Machines that are good enough. */
export interface ReferencePlatform {
  /** Any, when absent. */
  readonly model?: string
  /** Any, when absent. */
  readonly ids?: readonly string[]
  /** The lowest security version numbers of the firmware. */
  readonly minimum?: Readonly<Record<string, number>>
}

export interface ReferenceValues {
  /** The evidence format that they are for. */
  readonly format: string
  /** None for hardware, whose attesters are the vendor's; of results, the keys of their Verifiers. */
  readonly attesters: readonly VerificationJwk[]
  readonly measurements: readonly ReferenceMeasurement[]
  /** For hardware: where these measurements may be made. Anywhere, when absent. */
  readonly platforms?: readonly ReferencePlatform[]
}

const Text = Type.String({ minLength: 1, maxLength: 256 })

const FilesDocument = Type.Object(
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

/** Of formats in which other Verifiers sign. */
const Attesters = Type.Array(Type.Unknown(), { minItems: 1, maxItems: 64 })

const KeysDocument = Type.Object({ format: Text, attesters: Attesters }, { additionalProperties: false })

const Minimum = Type.Optional(Type.Record(Type.String(), Type.Integer({ minimum: 0, maximum: 0xffff_ffff })))

const HardwareDocument = Type.Object(
  {
    format: Text,
    attesters: Type.Optional(Attesters),
    measurements: Type.Array(
      Type.Object(
        {
          name: Text,
          version: Type.Optional(Text),
          root: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$' })),
          values: Type.Record(Type.String(), Type.String({ pattern: '^([0-9a-f]{2}){1,64}$' })),
          minimum: Minimum,
        },
        { additionalProperties: false },
      ),
      { minItems: 1, maxItems: 1024 },
    ),
    platforms: Type.Optional(
      Type.Array(
        Type.Object(
          {
            model: Type.Optional(Text),
            ids: Type.Optional(Type.Array(Text, { minItems: 1, maxItems: 4096 })),
            minimum: Minimum,
          },
          { additionalProperties: false },
        ),
        { minItems: 1, maxItems: 256 },
      ),
    ),
  },
  { additionalProperties: false },
)

/** @throws {@link VerifierError} `malformed_reference_values` */
export function parseReferenceValues(content: Uint8Array): ReferenceValues {
  const { format } = readDocument(Type.Object({ format: Text }), content, 'malformed_reference_values')
  if (!EVIDENCE_FORMATS.includes(format))
    throw malformed(`/format ${format}`, `is not one of: ${EVIDENCE_FORMATS.join(', ')}`)
  const { references, attesters: areKeys } = evidenceFormat(format)
  if (!references && areKeys) {
    const { attesters } = readDocument(KeysDocument, content, 'malformed_reference_values')
    return { format, attesters: attesters.map(parseVerifierKey), measurements: [] }
  }
  if (!references) {
    const document = readDocument(FilesDocument, content, 'malformed_reference_values')
    return {
      format,
      attesters: document.attesters.map(parseAttester),
      measurements: document.measurements.map(checkFiles),
    }
  }
  const document = readDocument(HardwareDocument, content, 'malformed_reference_values')
  const { measurements, platforms, attesters = [] } = document
  if ((areKeys ?? false) !== (document.attesters !== undefined)) {
    throw malformed(
      '/attesters',
      areKeys ? 'are missing: whose results are believed' : `are those of the vendor, for ${format}`,
    )
  }
  for (const [i, { minimum = {} }] of (platforms ?? []).entries()) {
    checkNames(minimum, references.platform, `/platforms/${i}/minimum`)
  }
  return {
    format,
    attesters: attesters.map(parseVerifierKey),
    measurements: measurements.map((measurement, i) => checkValues(measurement, references, i)),
    ...(platforms ? { platforms } : {}),
  }
}

/** The document for `values`, to be published or shipped with a release: one line for each file. */
export function formatReferenceValues({ format, attesters, measurements, platforms }: ReferenceValues): string {
  const document = {
    format,
    ...(attesters.length > 0 ? { attesters } : {}),
    ...(measurements.length > 0
      ? {
          measurements: measurements.map(({ name, version, root, files, values, minimum }) => ({
            name,
            version,
            root,
            files,
            values,
            minimum,
          })),
        }
      : {}),
    platforms,
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

/** Other Verifiers sign with whatever keys they have. */
function parseVerifierKey(value: unknown, i: number): VerificationJwk {
  try {
    return parseVerificationJwk(value)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new VerifierError('malformed_reference_values', `/attesters/${i} ${why}`, { cause })
  }
}

type FilesMeasurement = Static<typeof FilesDocument>['measurements'][number]

function checkFiles(measurement: FilesMeasurement, i: number): ReferenceMeasurement {
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

type ValuesMeasurement = Static<typeof HardwareDocument>['measurements'][number]

function checkValues(measurement: ValuesMeasurement, names: ReferenceNames, i: number): ReferenceMeasurement {
  const { values, minimum = {}, root } = measurement
  const path = `/measurements/${i}`
  // A name that no evidence has would make a reference that nothing ever matches; a wrong length likewise.
  checkNames(values, [...names.values.keys()], `${path}/values`)
  checkNames(minimum, names.software, `${path}/minimum`)
  for (const [name, value] of Object.entries(values)) {
    const lengths = [names.values.get(name)!].flat()
    if (!lengths.includes(value.length / 2))
      throw malformed(`${path}/values/${name}`, `is not ${lengths.join(', ')} bytes`)
  }
  if (!names.identifying.some((name) => name in values)) {
    throw malformed(`${path}/values`, `needs one of: ${names.identifying.join(', ')}`)
  }
  const digest = toHex(measurementDigest(values))
  if (root !== undefined && root !== digest) throw malformed(`${path}/root`, 'is not the digest of its values')
  return { ...measurement, root: digest }
}

function checkNames(given: object, known: readonly string[], path: string): void {
  const unknown = Object.keys(given).find((name) => !known.includes(name))
  if (unknown !== undefined)
    throw malformed(path, `${JSON.stringify(unknown)} is not one of: ${known.join(', ') || 'none'}`)
}

function malformed(path: string, why: string): VerifierError {
  return new VerifierError('malformed_reference_values', `${path} ${why}`)
}
