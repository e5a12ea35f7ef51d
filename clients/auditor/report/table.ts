/** Tables of the report: text, or numbers that sort as numbers. @module */
import { countText, type Html, html } from './html.ts'

/** A number is shown with commas; a `Html` cell sorts by what it shows. */
export type ReportCell = Html | string | number

/** @param caption - what a reader who does not see the page is told of it */
export function sortedTable(caption: string, heads: readonly string[], rows: readonly (readonly ReportCell[])[]): Html {
  const numeric = heads.map((_, i) => rows.some((row) => typeof row[i] === 'number'))
  const head = heads.map((name, i) => html`<th scope="col" class="${numeric[i] ? 'n' : 't'}">${name}</th>`)
  const body = rows.map((row) => html`<tr>${row.map(cellOf)}</tr>`)
  return html`<div class="scroll"><table class="sorts" aria-label="${caption}"><thead><tr>${head}</tr></thead><tbody>
${body}
</tbody></table></div>`
}

function cellOf(cell: ReportCell): Html {
  if (typeof cell === 'number') return html`<td class="n" data-n="${String(cell)}">${countText(cell)}</td>`
  return typeof cell === 'string' ? html`<td><bdi>${cell}</bdi></td>` : html`<td>${cell}</td>`
}
