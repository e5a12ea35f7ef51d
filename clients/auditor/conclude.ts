/**
 * What can only be said at the end: what became of results and intents, which holes a record explains that came after them, and whether
 * what other auditors reported is so.
 *
 * Made anew at the end of each audit, and kept in no file: the next one may know better.
 *
 * @module
 */
import { MAX_CLOCK_SKEW } from './check-clear.ts'
import { differingReports } from './check-reports.ts'
import { CHECKS, type Finding } from './checks.ts'
import type { History } from './history.ts'

/** All findings, in the order of the log. @param now - POSIX seconds */
export function conclude(findings: readonly Finding[], history: History, now: number): Finding[] {
  const late = [...orphansOf(history, now), ...differingReports(findings, history)]
  const all = findings.map((finding) => explained(finding, history.erasures) ?? finding)
  return late.length === 0 ? all : [...all, ...late].sort((a, b) => a.index - b.index)
}

/** What a record on the log explains needs nobody to be asked. */
export function explained(finding: Finding, erasures: History['erasures']): Finding | undefined {
  const { check, entry, about = entry } = finding
  const erasure = erasures.get(about)
  const explains =
    check === 'wrap-missing' ||
    ((check === 'statement-erased' || check === 'link-erased') && erasure?.scope === 'statement')
  if (!erasure || !explains) return undefined
  const detail = `${check}, ${finding.detail}: by entry ${erasure.index}`
  return { ...finding, check: 'erased-by-record', severity: CHECKS['erased-by-record'].severity, detail }
}

/**
 * Results and intents that nothing came of though their time is over. A statement that is gone and came later may be what came of them:
 * before the last hole nobody can tell.
 */
function orphansOf(history: History, now: number): Finding[] {
  return Array.from(
    history.targets.unused(history.lastErased, now - MAX_CLOCK_SKEW),
    ({ index, entry, type, until }) => {
      const check = type === 'issuance-intent' ? 'intent-orphaned' : 'result-orphaned'
      const { severity } = CHECKS[check]
      return { check, severity, index, entry, detail: `it ended at ${until}, and no record followed on it` } as const
    },
  )
}
