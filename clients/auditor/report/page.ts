/**
 * The report of an audit, as one HTML page: it loads nothing, runs what it brought and nothing else, and is the same for the same data.
 *
 * @module
 */
import { sha256, toBase64, toHex, utf8 } from '../../../merkle/index.ts'
import { growthChart, issuanceChart } from './chart.ts'
import { findingCards, findingsTable } from './findings.ts'
import { countText, Html, html, timeText } from './html.ts'
import { SCRIPT, STYLE } from './look.ts'
import { notChecked } from './not-checked.ts'
import { type Growth, type ReportData, SHOWN } from './read-report.ts'
import { reportedAudits } from './reports.ts'
import { sortedTable } from './table.ts'

/**
 * @param now - POSIX seconds: when the report is made, and for what is live
 */
export function renderReport(data: ReportData, now: number): string {
  const { origin } = data.checkpoint
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${new Html(POLICY)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>Audit of ${origin}</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<main>
<header><h1>Audit of <bdi>${origin}</bdi></h1>
<p class="soft">Report made ${timeText(now)} UTC, of the audit begun ${timeText(data.auditedAt)} UTC.</p></header>
${verdict(data)}
${tiles(data)}
<section aria-labelledby="checked"><h2 id="checked">What was checked</h2>${checked(data)}</section>
<section aria-labelledby="not-checked"><h2 id="not-checked">What was not checked, and why</h2>${notChecked(data)}</section>
<section aria-labelledby="findings"><h2 id="findings">Findings</h2>${findingsTable(data.findings)}${findingCards(data.findings)}</section>
${data.growth === undefined ? html`` : charts(data.growth)}
<section aria-labelledby="records"><h2 id="records">What is on the log</h2><div class="card">${types(data)}</div></section>
<section aria-labelledby="reports"><h2 id="reports">Audits reported on the log</h2><div class="card">${reportedAudits(data)}</div></section>
<section aria-labelledby="signers"><h2 id="signers">Who signed</h2><div class="card">${signers(data)}</div></section>
</main>
<script>${new Html(SCRIPT)}</script>
</body>
</html>
`
  return page.markup
}

/** Text of a log that got past the escaping would still find nothing that it may load or run, and nowhere to send a form. */
const POLICY = [
  "default-src 'none'",
  `style-src '${hashOf(STYLE)}'`,
  `script-src '${hashOf(SCRIPT)}'`,
  "base-uri 'none'",
  "form-action 'none'",
].join('; ')

function hashOf(text: string): string {
  return `sha256-${toBase64(sha256(utf8(text)))}`
}

function verdict({ findings, checkpoint }: ReportData): Html {
  const sum = (severity: string) =>
    findings.filter((each) => each.severity === severity).reduce((total, { count }) => total + count, 0)
  const [errors, warnings] = [sum('error'), sum('warning')]
  const upTo = `among the ${countText(checkpoint.size)} entries under the checkpoint below`
  const [style, head] =
    errors > 0
      ? ['error', `Refused: ${countText(errors)} findings of what must not be on a log`]
      : warnings > 0
        ? ['warning', `Refused: ${countText(warnings)} findings that somebody should be asked about`]
        : ['good', 'Passed: no errors and no warnings']
  const more = errors > 0 && warnings > 0 ? `, and ${countText(warnings)} more that somebody should be asked about` : ''
  return html`<div class="card verdict ${style}"><strong>${head}</strong><span>${upTo}${more}. It says nothing of <a href="#not-checked">what was not checked</a>.</span></div>`
}

function tiles({ checkpoint, types, live, opened }: ReportData): Html {
  const of = (name: string) => types.find(({ type }) => type === name)?.count ?? 0
  const tile = (count: number, about: string) => html`<div class="card"><b>${countText(count)}</b>${about}</div>`
  return html`<div class="tiles">${[
    tile(checkpoint.size, 'entries'),
    tile(of('credential-provenance'), 'credentials issued'),
    tile(live, 'of them live now'),
    tile(of('attestation-result'), 'attestation results'),
    tile(opened, 'records opened'),
  ]}</div>`
}

function checked({ checkpoint, signatures, openedWith, opened }: ReportData): Html {
  const { origin, size, root } = checkpoint
  const signers = signatures.map(
    ({ name, keyId, time }) =>
      html`<div><bdi>${name}</bdi> <code>${keyId}</code>${time === undefined ? '' : ` cosigned ${timeText(time)} UTC`}</div>`,
  )
  return html`<div class="card"><p>Every entry below this checkpoint was fetched and hashed, and leads to the root that the log signed. Every statement that the log
keeps was read, and put to every check of the catalogue that could be made.</p><dl>
<dt>Log</dt><dd><bdi>${origin}</bdi></dd>
<dt>Entries</dt><dd>${countText(size)}</dd>
<dt>Root</dt><dd><code>${toHex(root)}</code></dd>
<dt>Signatures on the checkpoint</dt><dd>${signers}<span class="soft small">As they stand on it. The audit verified the log’s, and those of the witnesses that its trust file demands.</span></dd>
<dt>Sealed sections</dt><dd>${
    openedWith === null
      ? 'none opened: the audit ran without a key'
      : html`of ${countText(opened)} records opened with key <code>${openedWith}</code>`
  }</dd></dl></div>`
}

function charts(growth: Growth): Html {
  const rows = growth.intervals.map(({ start, records, credentials, denials }) => [
    timeText(start),
    records,
    credentials,
    denials,
  ])
  const elsewhere =
    growth.elsewhere === 0
      ? ''
      : ` ${countText(growth.elsewhere)} more are dated outside of what the charts span, and are not in them.`
  return html`<section aria-labelledby="time"><h2 id="time">Over time</h2>
<p class="soft">By what records say of when they were signed; times are UTC.${elsewhere}</p>
<figure class="card"><figcaption>Records on the log</figcaption>${growthChart(growth)}</figure>
<figure class="card"><figcaption><span class="key">Credentials issued</span><span class="key denied">Denied</span></figcaption>${issuanceChart(growth)}</figure>
<details class="card"><summary>The figures</summary>${sortedTable('Records, credentials and denials over time', ['From', 'Records', 'Credentials', 'Denials'], rows)}</details></section>`
}

function types({ types, states }: ReportData): Html {
  const rows = types.map(({ type, count, sealed, opened }) => [type, count, sealed, opened])
  const others = [...states].filter(([state]) => state !== 'record')
  const more = others.map(([state, count]) => html`<li>${countText(count)} ${OTHER_STATES[state] ?? state}</li>`)
  return html`${sortedTable('Records by type', ['Type', 'Records', 'Sealed', 'Opened'], rows)}${
    more.length === 0 ? html`` : html`<p class="soft small">Besides these:</p><ul class="small">${more}</ul>`
  }`
}

const OTHER_STATES: Readonly<Record<string, string>> = {
  refused: 'records that may not be on the log: a finding says of each why',
  foreign: 'statements that are no records of ours',
  erased: 'entries of which the log has no bytes',
  unreadable: 'entries that are no statement, or are not signed by the key that they name',
}

function signers({ signers, signerCount }: ReportData): Html {
  const rows = signers.map(({ issuer, records, credentials, denials, findings, last }) => [
    issuer,
    records,
    credentials,
    denials,
    findings,
    timeText(last),
  ])
  const rest =
    signerCount <= signers.length
      ? html``
      : html`<p class="soft small">The ${SHOWN.signers} who signed most, of ${countText(signerCount)}. All of them: <code>provlog audit query --state DIR --sql "SELECT issuer, count(*) FROM records GROUP BY 1 ORDER BY 2 DESC"</code></p>`
  const heads = ['Who', 'Records', 'Credentials', 'Denials', 'Findings', 'Last signed (UTC)']
  return html`${sortedTable('Who signed', heads, rows)}${rest}`
}
