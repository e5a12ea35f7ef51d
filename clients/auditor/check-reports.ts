/**
 * What other auditors reported of this log, held against what this audit found.
 *
 * The root of a tree is one, so whoever reports another one was shown another log, or is wrong. Findings are compared where both audits must
 * have them: by one catalogue, of entries that both could read, none of which was judged by its date in the future.
 *
 * @module
 */
import { toHex } from '../../merkle/index.ts'
import { MAX_CLOCK_SKEW } from './check-clear.ts'
import { CHECKS, type Finding } from './checks.ts'
import type { History } from './history.ts'
import { Roots } from './roots.ts'
import { CATALOGUE, FindingsDigest, isSettled } from './settled.ts'

const CHECK = 'audit-report-differs'
const OWN_CATALOGUE = toHex(CATALOGUE)

/** @param findings - all so far, in the order of the log */
export function differingReports(findings: readonly Finding[], history: History): Finding[] {
  const { reports, targets } = history
  if (reports.length === 0) return []
  const differing: Finding[] = []
  const sizes = new Map(reports.map(({ entry, size }) => [entry, size]))
  const roots = new Roots((index) => targets.entryAt(index))
  const settled = new FindingsDigest(findings.filter(({ check }) => isSettled(check)))
  const readByAll = Math.min(history.firstErased, firstUndecided(findings))
  let [dated, latest] = [0, 0]
  // By size, so that everything is gone through once.
  for (const report of reports.toSorted((a, b) => a.size - b.size)) {
    const { index, entry, from, size } = report
    const differs = (detail: string) =>
      differing.push({ check: CHECK, severity: CHECKS[CHECK].severity, index, entry, detail })
    const root = toHex(roots.of(size))
    if (report.root !== root) differs(`its root is ${report.root}, and that of ${size} entries ${root}`)
    const before = report.previous === undefined ? 0 : sizes.get(report.previous)
    if (before !== undefined && before !== from)
      differs(`it is about entries from ${from} on, and the report before it ended at ${before}`)
    for (; dated < size; dated++) latest = Math.max(latest, targets.dateAt(dated))
    const isComparable =
      report.catalogue === OWN_CATALOGUE && size <= readByAll && latest <= report.auditedAt + MAX_CLOCK_SKEW
    const digest = toHex(settled.below(size))
    if (isComparable && report.settled !== digest)
      differs(`the digest of its settled findings is ${report.settled}, and of ours ${digest}`)
  }
  return differing
}

/** From here on two audits may take one record for admissible and not: by their clocks, and by certificates beside an entry. */
function firstUndecided(findings: readonly Finding[]): number {
  return (
    findings.find(({ check }) => check === 'date-in-future' || check === 'foreign-refused')?.index ??
    Number.POSITIVE_INFINITY
  )
}
