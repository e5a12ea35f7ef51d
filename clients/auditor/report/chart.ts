/**
 * Charts as SVG: a line of how the log grew, and bars of what was issued in each interval. The figures are in a table beside them.
 *
 * Nothing in a chart was written by a log: numbers and times are all that gets in.
 *
 * @module
 */
import { countText, Html, html, timeText } from './html.ts'
import type { Growth } from './read-report.ts'

interface Series {
  readonly name: string
  /** Of the style sheet: its colour. */
  readonly style: string
  /** One for each interval. */
  readonly values: readonly number[]
}

const WIDTH = 720
const HEIGHT = 220
const PLOT = { left: 56, right: WIDTH - 12, top: 12, bottom: HEIGHT - 28 }
const DAY = 86_400

/** How many records there were, by what they are dated. */
export function growthChart({ intervals, step }: Growth): Html {
  let sum = 0
  const values = intervals.map(({ records }) => (sum += records))
  const top = niceTop(sum)
  const xAt = xOf(values.length)
  // From nothing, at the start of the first interval, to the end of each.
  const points = [0, ...values].map((value, i) => `${xAt(i)},${yOf(value, top)}`)
  const area = `${points.join(' ')} ${PLOT.right},${PLOT.bottom} ${PLOT.left},${PLOT.bottom}`
  const marks = html`<polygon class="area" points="${new Html(area)}"/><polyline class="line" points="${new Html(points.join(' '))}"/>`
  return frame(`Records on the log over time: ${countText(sum)} at the end.`, top, intervals, step, marks)
}

/** Credentials and denials of each interval, one on the other. */
export function issuanceChart({ intervals, step }: Growth): Html {
  const series: Series[] = [
    { name: 'credentials', style: 'bar', values: intervals.map(({ credentials }) => credentials) },
    { name: 'denials', style: 'bar denied', values: intervals.map(({ denials }) => denials) },
  ]
  const top = niceTop(Math.max(...intervals.map(({ credentials, denials }) => credentials + denials)))
  const xAt = xOf(intervals.length)
  const gap = Math.min(2, (xAt(1) - xAt(0)) / 4)
  const bars = intervals.flatMap(({ start }, i) => {
    let below = 0
    return series.flatMap(({ name, style, values }) => {
      const value = values[i]!
      if (value === 0) return []
      const y = yOf(below + value, top)
      const height = round(yOf(below, top) - y)
      below += value
      const width = round(xAt(i + 1) - xAt(i) - gap)
      return html`<rect class="${style}" x="${xAt(i)}" y="${y}" width="${width}" height="${height}"><title>${timeText(start)}: ${countText(value)} ${name}</title></rect>`
    })
  })
  const [issued, denied] = series.map(({ values }) => values.reduce((sum, value) => sum + value, 0))
  const about = `Issuance over time: ${countText(issued!)} credentials and ${countText(denied!)} denials.`
  return frame(about, top, intervals, step, bars)
}

function frame(about: string, top: number, intervals: Growth['intervals'], step: number, marks: Html | Html[]): Html {
  const xAt = xOf(intervals.length)
  const rows = [0, top / 2, top].map((value) => {
    const y = yOf(value, top)
    return html`<line class="grid" x1="${PLOT.left}" x2="${PLOT.right}" y1="${y}" y2="${y}"/><text class="tick end" x="${PLOT.left - 8}" y="${round(y + 4)}">${countText(value)}</text>`
  })
  const last = intervals.at(-1)!
  const [from, to] = [intervals[0]!.start, last.start + step]
  const middle = Math.floor(intervals.length / 2)
  const ticks = [
    html`<text class="tick" x="${PLOT.left}" y="${HEIGHT - 8}">${axisText(from, step)}</text>`,
    ...(intervals.length < 3
      ? []
      : [
          html`<text class="tick mid" x="${xAt(middle)}" y="${HEIGHT - 8}">${axisText(intervals[middle]!.start, step)}</text>`,
        ]),
    html`<text class="tick end" x="${PLOT.right}" y="${HEIGHT - 8}">${axisText(to, step)}</text>`,
  ]
  return html`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${about}">${rows}${marks}${ticks}</svg>`
}

function axisText(time: number, step: number): string {
  return timeText(time).slice(0, step < DAY ? 16 : 10)
}

function xOf(count: number): (i: number) => number {
  return (i) => round(PLOT.left + ((PLOT.right - PLOT.left) * i) / count)
}

function yOf(value: number, top: number): number {
  return round(PLOT.bottom - ((PLOT.bottom - PLOT.top) * value) / top)
}

/** The next of 2, 4, 6, 8, 10 times a power of ten: half of it is whole. */
function niceTop(value: number): number {
  const power = 10 ** Math.max(0, Math.ceil(Math.log10(Math.max(value, 1))) - 1)
  return Math.max(2, Math.ceil(value / (2 * power)) * 2 * power)
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
