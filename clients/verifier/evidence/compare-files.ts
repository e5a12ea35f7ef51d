/**
 * Which files differ from the reference: what turns "not the same" into something an operator can act on.
 *
 * @module
 */
import type { JsonObject } from '../../../provenance/index.ts'
import type { ReferenceMeasurement } from '../reference-values.ts'
import type { AppraisalCase } from './format.ts'
import type { MeasuredFile, Measurements } from './measured-files.ts'

/** Differences listed in the result, of each kind. */
const MAX_LISTED = 20

interface Difference {
  readonly changed: readonly string[]
  readonly missing: readonly string[]
  readonly unknown: readonly string[]
}

/** Which reference measurement it is, or how it differs from the one that it differs least from. */
export function compareFiles(
  { root, files }: Measurements,
  references: readonly ReferenceMeasurement[],
): { cases: readonly AppraisalCase[]; detail: JsonObject } {
  const same = references.find((reference) => reference.root === root)
  if (same) return { cases: ['match'], detail: { matched: nameOf(same) } }

  const nearest = references
    .flatMap((reference) => (reference.files ? [{ reference, ...differences(files, reference.files) }] : []))
    .sort((a, b) => countOf(a) - countOf(b))[0]
  if (!nearest) return { cases: ['mismatch'], detail: {} }

  const { reference, changed, missing, unknown } = nearest
  return {
    cases: [
      ...(changed.length + missing.length > 0 ? (['mismatch'] as const) : []),
      ...(unknown.length > 0 ? (['unknownFile'] as const) : []),
    ],
    detail: {
      nearest: nameOf(reference),
      changed: changed.slice(0, MAX_LISTED),
      missing: missing.slice(0, MAX_LISTED),
      unknown: unknown.slice(0, MAX_LISTED),
      differences: countOf(nearest),
    },
  }
}

function differences(files: readonly MeasuredFile[], reference: readonly MeasuredFile[]): Difference {
  const expected = new Map(reference.map((file) => [file.path, file]))
  const found = new Set(files.map(({ path }) => path))
  return {
    changed: files.filter((file) => differs(file, expected.get(file.path))).map(({ path }) => path),
    missing: reference.filter(({ path }) => !found.has(path)).map(({ path }) => path),
    unknown: files.filter(({ path }) => !expected.has(path)).map(({ path }) => path),
  }
}

function differs(file: MeasuredFile, expected: MeasuredFile | undefined): boolean {
  // The size as well: it is under the root, so an attester that lies about it alone must not look like no difference.
  return expected !== undefined && (file.sha256 !== expected.sha256 || file.size !== expected.size)
}

function countOf({ changed, missing, unknown }: Difference): number {
  return changed.length + missing.length + unknown.length
}

function nameOf({ name, version }: ReferenceMeasurement): string {
  return version === undefined ? name : `${name} ${version}`
}
