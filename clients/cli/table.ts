/**
 * Rows of an answer, for people, spreadsheets and programs.
 *
 * What stands in a cell was written by whoever signed the record. On a terminal it must not move the cursor, and in a spreadsheet it must not be
 * a formula: a text that begins as one gets an apostrophe before it, which spreadsheets take away and programs should.
 *
 * @module
 */

import { escapeControls } from '../../provenance/index.ts'
import { type Cell, cellText, type Row } from '../auditor/index.ts'
import type { Io } from './io.ts'

export interface Printer {
  row(row: Row): void
  end(): void
}

/** Rows that are looked at before the widths of the columns are decided. */
const LOOKED_AT = 200
const MAX_WIDTH = 80

export function printer(
  form: 'table' | 'csv' | 'json',
  columns: readonly string[],
  io: Pick<Io, 'out' | 'style'>,
): Printer {
  if (form === 'json') {
    return { row: (row) => io.out(JSON.stringify(objectOf(columns, row))), end: () => {} }
  }
  if (form === 'csv') {
    io.out(columns.map(csvCell).join(','))
    return { row: (row) => io.out(row.map(csvCell).join(',')), end: () => {} }
  }
  return tablePrinter(columns, io)
}

/** Two columns of one name would be one member: DuckDB gives them different ones. */
function objectOf(columns: readonly string[], row: Row): Record<string, unknown> {
  const members = columns.map((name, i): [string, unknown] => {
    const cell = row[i]!
    return [name, cell instanceof Uint8Array ? cellText(cell) : cell]
  })
  return Object.fromEntries(members)
}

function csvCell(cell: Cell): string {
  if (typeof cell === 'number' || typeof cell === 'boolean') return String(cell)
  let text = cellText(cell) ?? ''
  if (/^[=+\-@\t\r]/.test(text)) text = `'${text}`
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

function tablePrinter(columns: readonly string[], io: Pick<Io, 'out' | 'style'>): Printer {
  let waiting: string[][] | undefined = []
  let widths = columns.map((name) => name.length)
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join('  ')
      .trimEnd()
  const begin = () => {
    const rows = waiting ?? []
    waiting = undefined
    widths = widths.map((width, i) => Math.min(MAX_WIDTH, Math.max(width, ...rows.map((row) => row[i]!.length))))
    io.out(io.style('bold', line(columns.map(escapeControls))))
    for (const row of rows) io.out(line(row))
  }
  return {
    row(row) {
      const cells = row.map((cell) => escapeControls(cellText(cell) ?? '–'))
      if (waiting === undefined) io.out(line(cells))
      else if (waiting.push(cells) === LOOKED_AT) begin()
    },
    end() {
      if (waiting) begin()
    },
  }
}
