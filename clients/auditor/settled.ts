/**
 * Findings as an `audit-report` has them: two digests, and a name for what was looked for.
 *
 * Of two audits of the same entries the one may honestly find what the other does not: with a key that opens more, after more time, or before
 * something was erased. Findings that do not depend on any of that are *settled*: whoever replays the entries by the same catalogue has them.
 *
 * @module
 */
import { createHash, type Hash as Hasher } from 'node:crypto'
import { type Hash, sha256, utf8 } from '../../merkle/index.ts'
import { RECORD_TYPES } from '../../provenance/index.ts'
import { CHECKED, CHECKS, type CheckId, type Finding } from './checks.ts'

/** What a digest of findings is made of. */
export type FindingLine = Pick<Finding, 'index' | 'check' | 'about'>

/** Names what is looked for. Another catalogue, or records of a type that it did not know, and the same entries have other findings. */
export const CATALOGUE: Hash = sha256(
  utf8(
    JSON.stringify([
      CHECKED,
      Object.entries(CHECKS).map(([id, { severity, needs }]) => [id, severity, needs]),
      RECORD_TYPES,
    ]),
  ),
)

/** Whether findings of this check follow from the entries alone. */
export function isSettled(check: CheckId): boolean {
  const { needs } = CHECKS[check]
  return (needs === 'statement' || needs === 'history') && !UNSETTLED.has(check)
}

/** By what is gone, or still there; by the time; by what the log keeps beside an entry; and of two, by what a key opens as well. */
const UNSETTLED: ReadonlySet<CheckId> = new Set<CheckId>([
  'statement-erased',
  'link-erased',
  'erasure-not-done',
  'date-in-future',
  'foreign-refused',
  'policy-text-differs',
  'result-unfit',
])

/** SHA-256 of the lines of `findings`: see `provenance/records/audit-report.ts`. */
export function findingsDigest(findings: Iterable<FindingLine>): Hash {
  const digest = new FindingsDigest(findings)
  return digest.below(Number.POSITIVE_INFINITY)
}

/** The same for the findings below an index, for one after another that grow: each finding is hashed once. */
export class FindingsDigest {
  readonly #lines: readonly (readonly [index: number, line: string])[]
  readonly #hasher: Hasher = createHash('sha256')
  #next = 0

  constructor(findings: Iterable<FindingLine>) {
    this.#lines = Array.from(findings, (each) => [each.index, lineOf(each)] as const).sort(byIndexAndBytes)
  }

  below(size: number): Hash {
    for (let line = this.#lines[this.#next]; line && line[0] < size; line = this.#lines[++this.#next]) {
      this.#hasher.update(line[1])
    }
    return new Uint8Array(this.#hasher.copy().digest())
  }
}

function lineOf({ index, check, about }: FindingLine): string {
  return `${index} ${check} ${about ?? '-'}\n`
}

/** A line is ASCII: its UTF-16 units are its bytes. */
function byIndexAndBytes([a, x]: readonly [number, string], [b, y]: readonly [number, string]): number {
  return a - b || (x < y ? -1 : x > y ? 1 : 0)
}
