/**
 * Markup in which text stays text: what a record says may be markup, may turn the line around it, or may be a megabyte.
 *
 * ```ts
 * html`<td>${subject}</td>`   // <td>spiffe://x/&lt;script&gt;</td>
 * ```
 *
 * Only {@link html} makes {@link Html}; everything else that is put into it is escaped.
 *
 * @module
 */
import { escapeControls } from '../../../provenance/index.ts'

/** Markup of ours. */
export class Html {
  readonly markup: string

  /** @param markup - ours: no word of it from a log. */
  constructor(markup: string) {
    this.markup = markup
  }
}

type Part = Html | readonly Html[] | string | number

/** Longest text that is shown of a cell, in UTF-16 units. */
const MAX_TEXT = 300
const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Safe within an element, and within an attribute that has quotes. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(strings.reduce((before, string, i) => before + markupOf(parts[i - 1]!) + string))
}

/**
 * Text from a log as it is shown: controls, and format characters such as those that turn a line around, as JSON writes them; cut where it
 * is too long, and that is seen.
 */
export function shownText(text: string): string {
  const cut = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text
  return escapeControls(cut).replace(/\p{Cf}/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`)
}

/** `2026-01-01 08:30:00`, in UTC; what is no year of four digits, as the number that it is. */
export function timeText(time: number): string {
  if (!(time >= 0 && time < 253_402_300_800)) return String(time)
  return new Date(time * 1000).toISOString().slice(0, 19).replace('T', ' ')
}

/** `1,234,567`, the same wherever it is made. */
export function countText(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',')
}

function markupOf(part: Part): string {
  if (part instanceof Html) return part.markup
  if (typeof part === 'object') return part.map(({ markup }) => markup).join('\n')
  return shownText(String(part)).replace(/[&<>"']/g, (character) => ENTITIES[character]!)
}
