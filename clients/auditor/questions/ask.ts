/**
 * Asking: an audit's database, one question, and how much of the log the answer is about.
 *
 * @module
 */
import { lstat } from 'node:fs/promises'
import { type Hash, toHex, UnavailableError } from '../../../merkle/index.ts'
import type { Answer, Row } from '../database/cells.ts'
import type { Database } from '../database/duckdb.ts'
import { AuditError } from '../error.ts'
import { databasePath, readAudit } from '../state.ts'
import { HISTORY_QUESTIONS } from './history.ts'
import { LIVE_QUESTIONS } from './live.ts'
import { bindArguments, type Question } from './question.ts'

export const QUESTIONS: readonly Question[] = [...LIVE_QUESTIONS, ...HISTORY_QUESTIONS]

/** The checkpoint up to which an audit replayed everything: an answer is about all entries under it, and no others. */
export interface Completeness {
  readonly origin: string
  readonly size: number
  readonly root: Hash
  readonly note: string
  /** Records with sealed sections of which none was opened: what they say is not in any answer. */
  readonly unopened: number
}

/** An audit's database, open for questions. Nothing can be written through it. */
export class Questions {
  readonly #database: Database
  readonly completeness: Completeness

  private constructor(database: Database, completeness: Completeness) {
    this.#database = database
    this.completeness = completeness
  }

  /** @throws `AuditError` `no_audit`, `unfinished_audit`, `other_version`, `damaged_audit`; `UnavailableError` while an audit runs */
  static async open(directory: string): Promise<Questions> {
    const path = databasePath(directory)
    const found = await lstat(path).catch(() => undefined)
    if (found === undefined)
      throw new AuditError('no_audit', `${directory} holds no audit: provlog audit run makes one`)
    if (!found.isFile()) throw new AuditError('damaged_audit', `${path} is no file`)
    const { Database } = await import('../database/duckdb.ts')
    const database = await Database.open(path, { readOnly: true })
    try {
      return new Questions(database, await completenessOf(database, directory))
    } catch (error) {
      database.close()
      if (error instanceof AuditError || error instanceof UnavailableError) throw error
      throw new AuditError('damaged_audit', `${path} is not what an audit left`, { cause: error })
    }
  }

  /**
   * The answer to a named question.
   *
   * @param given - arguments by name
   * @param now - POSIX seconds
   * @throws `AuditError` `unknown_question`, `bad_argument`
   */
  async ask(id: string, given: ReadonlyMap<string, string>, now: number): Promise<Answer> {
    const question = questionOf(id)
    const { parameters, lookUp } = bindArguments(question, given, now)
    const found: Record<string, number> = {}
    for (const { name, kind, wanted } of lookUp) found[name] = await this.#indexOf(name, kind, wanted)
    return this.#database.query(question.sql, { ...parameters, ...found })
  }

  /** The answer to somebody's own SELECT. @throws `AuditError` `refused_sql` */
  askSql(sql: string): Promise<Answer> {
    return this.#database.ask(sql)
  }

  /** For questions of ours that have no name. */
  rows(sql: string, parameters: Parameters<Database['rows']>[1] = {}): Promise<Row[]> {
    return this.#database.rows(sql, parameters)
  }

  close(): void {
    this.#database.close()
  }

  async #indexOf(name: string, kind: 'statement' | 'credential', wanted: Hash | number): Promise<number> {
    const columns =
      typeof wanted === 'number' ? ['r.index'] : ['r.entry', ...(kind === 'credential' ? ['c.digest'] : [])]
    const from = kind === 'credential' ? 'credentials c JOIN records r ON r.index = c.index' : 'records r'
    // One after the other: each has an index of its own.
    for (const column of columns) {
      const [row] = await this.#database.rows(`SELECT r.index FROM ${from} WHERE ${column} = $wanted LIMIT 1`, {
        wanted,
      })
      if (row !== undefined) return row[0] as number
    }
    const shown = typeof wanted === 'number' ? `at index ${wanted}` : toHex(wanted)
    throw new AuditError('bad_argument', `${name}: the log has no ${kind} ${shown}`)
  }
}

/** @throws `AuditError` `unknown_question` */
export function questionOf(id: string): Question {
  const question = QUESTIONS.find((each) => each.id === id)
  if (question) return question
  throw new AuditError(
    'unknown_question',
    `${JSON.stringify(id.slice(0, 64))} is none of: ${QUESTIONS.map((each) => each.id).join(', ')}`,
  )
}

/** How much an answer is about, in words. */
export function completenessText({ origin, size, root, unopened }: Completeness, sealed: boolean): string {
  const hidden =
    sealed && unopened > 0 ? ` What is sealed in ${unopened} records was not opened, and is not in it.` : ''
  return `None others: complete up to the replayed checkpoint of ${origin} with ${size} entries and root ${toHex(root)}.${hidden}`
}

async function completenessOf(database: Database, directory: string): Promise<Completeness> {
  const audit = await readAudit(database)
  if (audit === undefined) {
    const [[begun] = []] = await database.rows('SELECT count(*) FROM audit')
    if (begun === 0)
      throw new AuditError('unfinished_audit', `the audit in ${directory} had hardly begun: run it again`)
    throw new AuditError('other_version', `${directory} was audited by another version of this program: audit again`)
  }
  const [last] = await database.rows('SELECT size, root, note FROM checkpoints ORDER BY size DESC LIMIT 1')
  if (last === undefined || last[0] !== audit.range.size) {
    throw new AuditError(
      'unfinished_audit',
      `the audit in ${directory} stopped at entry ${audit.range.size}: run it again`,
    )
  }
  const [size, root, note] = last as unknown as [number, Uint8Array, string]
  const [unopened] = await database.rows(
    "SELECT count(*) FROM records WHERE state = 'record' AND sealed AND NOT opened",
  )
  return { origin: audit.origin, size, root, note, unopened: unopened![0] as number }
}
