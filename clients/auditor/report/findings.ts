/** Findings by severity: how many of each kind, what it means, what to do, and the first of them. @module */
import { CHECKS } from '../checks.ts'
import { countText, type Html, html } from './html.ts'
import type { FindingGroup } from './read-report.ts'
import { sortedTable } from './table.ts'

export function findingsTable(groups: readonly FindingGroup[]): Html {
  if (groups.length === 0) return html`<p class="card">None.</p>`
  const rows = groups.map((group) => [
    mark(group),
    html`<a href="#${anchor(group)}">${group.check}</a>`,
    group.count,
    group.first[0]!.index,
  ])
  return html`<div class="card">${sortedTable('Findings by kind', ['Severity', 'Check', 'Findings', 'First at entry'], rows)}</div>`
}

export function findingCards(groups: readonly FindingGroup[]): Html[] {
  return groups.map((group) => {
    const { check, count, first } = group
    const { meaning, spec, whatToDo } = CHECKS[check]
    const rows = first.map(({ index, entry, detail }) => [index, html`<code>${entry}</code>`, detail])
    const shown = first.length < count ? `The first ${first.length} of ${countText(count)}` : 'Where'
    return html`<article class="card finding" id="${anchor(group)}"><header>${mark(group)}<h3>${check}</h3><span class="soft">${countText(count)} found</span></header>
<p>${meaning}</p><p><strong>What to do.</strong> ${whatToDo}</p>
<p class="soft small">Laid down in: ${spec}. All of them, as a table: <code>provlog audit query findings check=${check} --state DIR</code></p>
<details><summary>${shown}</summary>${sortedTable(`Findings of ${check}`, ['Entry', 'Digest', 'Detail'], rows)}</details></article>`
  })
}

/** One check may find things of two severities. */
function anchor({ check, severity }: FindingGroup): string {
  return `${severity}-${check}`
}

function mark({ severity }: FindingGroup): Html {
  return html`<span class="mark ${severity}">${severity}</span>`
}
