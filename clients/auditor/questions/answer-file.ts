/**
 * An answer in a directory, for whoever has nothing but a trust file:
 *
 * ```
 *   DIR/answer.json                what was asked, the rows, and up to which checkpoint there are no others
 *   DIR/entries/<index>.cose       the statement that a row is about, and those that say who may sign it
 *   DIR/entries/<index>.tlog-proof where it stands in the log: c2sp.org/tlog-proof, which other programs check too
 * ```
 *
 * @module
 */
import { isJsonObject, type Json, parseJson } from '../../../provenance/index.ts'
import type { Cell } from '../database/cells.ts'
import { AuditError } from '../error.ts'

export interface AnswerFile {
  /** Id of the question, or the SQL. */
  readonly question: string
  readonly arguments: Readonly<Record<string, string>>
  readonly columns: readonly string[]
  /** Cells as text, digests in hex. The first two are the index and the entry. */
  readonly rows: readonly (readonly (string | null)[])[]
  readonly complete: {
    readonly origin: string
    readonly size: number
    /** Lower-case hex. */
    readonly root: string
    /** The checkpoint, as the log signed it. */
    readonly note: string
    /** The auditor's word: in words. */
    readonly words: string
  }
  /** Indexes of the records that say who may sign, in order. */
  readonly authorities: readonly number[]
}

export const MAX_ANSWER_BYTES = 64 * 1024 * 1024
/** Each of them is two files, and a few requests to the log. */
export const MAX_PROVEN_ROWS = 10_000

/** As answers show it: digests in hex, times and numbers as they are. */
export function cellText(cell: Cell): string | null {
  if (cell === null || typeof cell === 'string') return cell
  return cell instanceof Uint8Array ? Buffer.from(cell).toString('hex') : String(cell)
}

export function formatAnswer(answer: AnswerFile): string {
  return `${JSON.stringify({ v: 1, ...answer }, undefined, 1)}\n`
}

/** @throws `AuditError` `malformed_answer_file` */
export function parseAnswer(text: string): AnswerFile {
  let value: Json
  try {
    value = parseJson(text)
  } catch (cause) {
    throw malformed('no JSON', cause)
  }
  const members = objectIn(value, 'it')
  if (members['v'] !== 1) throw malformed('of another version')
  const complete = objectIn(members['complete'], 'complete')
  const columns = listIn(members['columns'], 'columns').map((each) => textIn(each, 'columns'))
  const rows = listIn(members['rows'], 'rows').map((row) => {
    const cells = listIn(row, 'a row').map((cell) => (cell === null ? null : textIn(cell, 'a cell')))
    if (cells.length !== columns.length) throw malformed('a row of another length than the columns')
    return cells
  })
  if (rows.length > MAX_PROVEN_ROWS) throw malformed(`more than ${MAX_PROVEN_ROWS} rows`)
  const authorities = listIn(members['authorities'], 'authorities').map((each) => indexIn(each, 'authorities'))
  if (authorities.length > MAX_PROVEN_ROWS) throw malformed('too many authorities')
  return {
    question: textIn(members['question'], 'question'),
    arguments: Object.fromEntries(
      Object.entries(objectIn(members['arguments'], 'arguments')).map(([name, each]) => [name, textIn(each, name)]),
    ),
    columns,
    rows,
    complete: {
      origin: textIn(complete['origin'], 'origin'),
      size: indexIn(complete['size'], 'size'),
      root: textIn(complete['root'], 'root'),
      note: textIn(complete['note'], 'note'),
      words: textIn(complete['words'], 'words'),
    },
    authorities,
  }
}

/** What a row is about. @throws `AuditError` `malformed_answer_file` */
export function subjectOf(
  columns: readonly string[],
  row: readonly (string | null)[],
): { index: number; entry: string } {
  const [index, entry] = row
  const named = columns[0] === 'index' && columns[1] === 'entry'
  if (!named || !/^(0|[1-9][0-9]{0,14})$/.test(index ?? '') || !/^[0-9a-f]{64}$/.test(entry ?? '')) {
    throw malformed('a row must begin with the index and the entry that it is about')
  }
  return { index: Number(index), entry: entry! }
}

function objectIn(value: Json | undefined, what: string): Readonly<Record<string, Json>> {
  if (!isJsonObject(value)) throw malformed(`${what} is no object`)
  return value
}

function listIn(value: Json | undefined, what: string): readonly Json[] {
  if (!Array.isArray(value)) throw malformed(`${what} is no list`)
  return value as readonly Json[]
}

function textIn(value: Json | undefined, what: string): string {
  if (typeof value !== 'string') throw malformed(`${what} is no text`)
  return value
}

function indexIn(value: Json | undefined, what: string): number {
  if (typeof value !== 'number' || value < 0) throw malformed(`${what} is no index`)
  return value
}

function malformed(why: string, cause?: unknown): AuditError {
  return new AuditError('malformed_answer_file', `answer.json: ${why}`, { cause })
}
