/** Audits that were reported on the log itself: by whom, up to where, and whether this one found the same. @module */
import { toHex } from '../../../merkle/index.ts'
import { countText, type Html, html, timeText } from './html.ts'
import { type ReportData, SHOWN } from './read-report.ts'
import { sortedTable } from './table.ts'

export function reportedAudits({ reports, reportCount, signed }: ReportData): Html {
  const own =
    signed === undefined
      ? html`<p class="soft small">This page is signed by nobody. <code>provlog audit report --sign</code> logs what it says in short.</p>`
      : html`<p>What this page says in short is on the log, signed by its auditor, as entry ${countText(signed.index)}: <code>${toHex(signed.entry)}</code>. Who has the
page can count its findings, and hash them, and compare.</p>`
  if (reportCount === 0) return html`${own}<p>Under the checkpoint above there is none.</p>`
  const rows = reports.map(({ index, issuer, auditedAt, size, verdict, errors, warnings, differs }) => [
    index,
    issuer,
    timeText(auditedAt),
    size,
    verdict,
    errors,
    warnings,
    differs ? 'differs' : 'nothing that differs',
  ])
  const rest =
    reportCount <= reports.length
      ? html``
      : html`<p class="soft small">The last ${SHOWN.reports} of ${countText(reportCount)}. All of them: <code>provlog audit query audits --state DIR</code></p>`
  const heads = ['Entry', 'Auditor', 'Audited (UTC)', 'Entries', 'Verdict', 'Errors', 'Warnings', 'This audit found']
  return html`${own}${sortedTable('Audits reported on the log', heads, rows)}<p class="soft small">Roots are compared always. Findings are compared where they follow from the
entries alone, by the same catalogue, and of entries whose statements are all there.</p>${rest}`
}
