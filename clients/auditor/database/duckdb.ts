/**
 * DuckDB, and what it does that one would not expect. Only this file and `table-writer.ts` know the library; measured with `@duckdb/node-api`
 * 1.5.6 on Node 20. It is loaded when a database is opened, and not before: every command would pay half a second (on a busy machine) and 30 MB.
 *
 * * A 64-bit integer is a `bigint` both ways, and a column of POSIX seconds is one: numbers go in and come out here.
 * * An appender writes into the transaction that is open on its connection, and only what was flushed.
 * * An empty file is no database: the file cannot be made beforehand with the mode that it should have. The directory has it.
 * * A second process is refused by a lock on the file, also one that only reads; within one process nothing stops anybody.
 * * The engine reads and writes files, loads extensions from the network, and lets any statement change that. All of it is switched
 *   off when the file is opened, and the switch is locked: `enable_external_access`, `lock_configuration`.
 * * `length` of a BLOB is `octet_length`, and a `Buffer` comes out, on memory that is the engine's: it is copied.
 * * What does not fit into its memory it spills into a directory, also with external access switched off, and unless told otherwise into one
 *   that all processes share which read one database: see `spill.ts`. The bound of it is ignored in the configuration, and must be set.
 * * Its memory is not all of it: a run of rows that is appended, and what it compresses, is outside of the limit, and freed memory stays with its
 *   allocator until a thread comes by. An appender lives until the collector comes by, which has no reason to.
 *
 * @module
 */
import { dirname } from 'node:path'
import {
  BIGINT,
  DuckDBBlobValue,
  type DuckDBConnection,
  DuckDBDataChunk,
  DuckDBDecimalValue,
  DuckDBInstance,
  DuckDBListValue,
  type DuckDBValue,
} from '@duckdb/node-api'
import { UnavailableError } from '../../../merkle/index.ts'
import { AuditError } from '../error.ts'
import type { Answer, Cell, Column, Row } from './cells.ts'
import { Spill } from './spill.ts'
import { type DataChunk, TableWriter } from './table-writer.ts'

/**
 * Memory that the engine may take for data. Writing needs what is in one transaction, and the rest would be blocks of the file that nobody
 * asks for again: with four times as much, a million entries took as much more and no less time. Joins over as many need more.
 */
const MEMORY_LIMIT = { writing: '64MB', asking: '1GB' }
/** What may be spilled: a question that needs more of the disk is refused. */
const MAX_SPILLED = '8GB'
/** `duckdb_statement_type`: SELECT. */
const SELECT = 1

/** An open database. One connection: statements of one run are in one order. */
export class Database {
  readonly #instance: DuckDBInstance
  readonly #connection: DuckDBConnection
  readonly #spill: Spill

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection, spill: Spill) {
    this.#instance = instance
    this.#connection = connection
    this.#spill = spill
  }

  /**
   * Opens a file, or makes it.
   *
   * @throws `UnavailableError` when another process has it open; `AuditError` `damaged_audit`
   */
  static async open(path: string, { readOnly }: { readOnly: boolean }): Promise<Database> {
    const spill = await Spill.make(dirname(path))
    try {
      const instance = await DuckDBInstance.create(path, {
        // Before access is switched off: afterwards it cannot be said. Empty: nowhere.
        temp_directory: spill.directory ?? '',
        ...(readOnly && { access_mode: 'READ_ONLY' }),
        memory_limit: readOnly ? MEMORY_LIMIT.asking : MEMORY_LIMIT.writing,
        // Threads of an audit are busy with signatures: a second one of the engine's costs a fifth more and ends no sooner.
        ...(!readOnly && { threads: '1' }),
        allocator_background_threads: 'true',
        enable_external_access: 'false',
        autoinstall_known_extensions: 'false',
        autoload_known_extensions: 'false',
      })
      const connection = await instance.connect()
      await connection.run(`SET max_temp_directory_size = '${MAX_SPILLED}'; SET lock_configuration = true`)
      // The lock is ours alone: whoever left something there is gone.
      if (!readOnly) await spill.removeOthers()
      return new Database(instance, connection, spill)
    } catch (cause) {
      spill.remove()
      const message = messageOf(cause)
      if (/set lock on file/i.test(message)) {
        throw new UnavailableError(`${path} is in use by another audit or question`, { cause })
      }
      // A disk that is full, or a file that is somebody else's: whoever deleted it for that would audit from the start for nothing.
      if (NOT_NOW.test(message)) {
        throw new UnavailableError(`${path} cannot be opened now: ${firstLine(message)}`, { cause })
      }
      throw new AuditError('damaged_audit', `${path} cannot be read: ${firstLine(message)}`, { cause })
    }
  }

  /** Runs statements of ours. */
  async run(sql: string): Promise<void> {
    try {
      await this.#connection.run(sql)
    } catch (error) {
      throw named(error)
    }
  }

  /** The answer to a statement of ours, its parameters bound by name. */
  async query(sql: string, parameters: Readonly<Record<string, Cell>> = {}): Promise<Answer> {
    const values = Object.entries(parameters).map(([name, cell]) => [name, duckValueOf(cell)] as const)
    const types = values.map(([name, value]) => [name, typeof value === 'bigint' ? BIGINT : undefined] as const)
    try {
      const result = await this.#connection.stream(sql, Object.fromEntries(values), Object.fromEntries(types))
      return { columns: result.deduplicatedColumnNames(), rows: rowsOf(result.yieldRows(), named) }
    } catch (error) {
      throw named(error)
    }
  }

  /** As {@link query}, all at once: for answers of known size. */
  async rows(sql: string, parameters: Readonly<Record<string, Cell>> = {}): Promise<Row[]> {
    const all: Row[] = []
    for await (const row of (await this.query(sql, parameters)).rows) all.push(row)
    return all
  }

  /**
   * The answer to somebody else's statement: a single SELECT.
   *
   * @throws `AuditError` `refused_sql`
   */
  async ask(sql: string): Promise<Answer> {
    try {
      const statements = await this.#connection.extractStatements(sql)
      if (statements.count !== 1) throw new AuditError('refused_sql', `${statements.count} statements, and not one`)
      const prepared = await statements.prepare(0)
      if ((prepared.statementType as number) !== SELECT) throw new AuditError('refused_sql', 'not a SELECT')
      if (prepared.parameterCount > 0) throw new AuditError('refused_sql', 'it has parameters, and nothing to bind')
      const result = await prepared.stream()
      return { columns: result.deduplicatedColumnNames(), rows: rowsOf(result.yieldRows(), refusedSql) }
    } catch (error) {
      throw refusedSql(error)
    }
  }

  /** Appends to a table, for as long as the database is open: each time it is flushed, within the transaction that is open then. */
  async writer(table: string, columns: readonly Column[]): Promise<TableWriter> {
    const appender = await this.#connection.createAppender(table)
    const append = (chunk: DataChunk) => appender.appendDataChunk(new DuckDBDataChunk(chunk))
    return new TableWriter(columns, { append, flush: () => appender.flushSync() }, named)
  }

  close(): void {
    this.#connection.closeSync()
    this.#instance.closeSync()
    this.#spill.remove()
  }
}

/** The system's own words, which DuckDB hands on. */
const NOT_NOW =
  /: (?:No space left on device|File too large|Input\/output error|Disk quota exceeded|Read-only file system|Permission denied|Too many open files(?: in system)?|Cannot allocate memory)\b/

function duckValueOf(cell: Cell): DuckDBValue {
  if (typeof cell === 'number') return BigInt(cell)
  return cell instanceof Uint8Array ? new DuckDBBlobValue(cell) : cell
}

async function* rowsOf(chunks: AsyncIterable<DuckDBValue[][]>, name: (error: unknown) => unknown): AsyncIterable<Row> {
  try {
    for await (const rows of chunks) for (const row of rows) yield row.map(cellOf)
  } catch (error) {
    throw name(error)
  }
}

/** What our tables have no columns of is shown as DuckDB writes it. */
function cellOf(value: DuckDBValue): Cell {
  if (value === null || typeof value === 'boolean' || typeof value === 'string' || typeof value === 'number')
    return value
  if (typeof value === 'bigint') {
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : value.toString()
  }
  if (value instanceof DuckDBBlobValue) return Uint8Array.from(value.bytes)
  if (value instanceof DuckDBDecimalValue) return value.toString()
  if (value instanceof DuckDBListValue) return `[${value.items.map((item) => shown(cellOf(item))).join(', ')}]`
  return String(value)
}

function shown(cell: Cell): string {
  return cell instanceof Uint8Array ? Buffer.from(cell).toString('hex') : String(cell)
}

/** Blocks of the file have checksums: a bit that flipped is found when it is read. A full disk and too little memory are nobody's fault. */
function named(error: unknown): unknown {
  const message = messageOf(error)
  if (/^(IO Error: Corrupt|Serialization Error|INTERNAL Error|FATAL Error)|checksum/i.test(message)) {
    return new AuditError('damaged_audit', `${firstLine(message)}: delete the database and audit again`, {
      cause: error,
    })
  }
  if (!/^(IO|Out of Memory) Error/.test(message)) return error
  return new UnavailableError(`the database cannot go on: ${firstLine(message)}`, { cause: error })
}

function refusedSql(error: unknown): unknown {
  if (error instanceof AuditError) return error
  const ours = named(error)
  if (ours instanceof AuditError) return ours
  return new AuditError('refused_sql', firstLine(messageOf(error)), { cause: error })
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function firstLine(message: string): string {
  return message.split('\n')[0]!.slice(0, 300)
}
