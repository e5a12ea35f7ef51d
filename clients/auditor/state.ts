/**
 * What an audit leaves behind, so that questions can be asked of it and the next one goes on from there: one database.
 *
 * ```
 *   DIR/database/audit.duckdb    see docs/audit-database.md
 *   DIR/checkpoint               the newest checkpoint seen: the log client's
 * ```
 *
 * One transaction holds a run of entries: their rows, what was found, how far the audit has come and the tree that it came to. A crash
 * leaves all of it or nothing, so no entry is skipped or taken twice. What was opened is in there in clear: the directory of the
 * database is for its owner alone (0700), for the engine makes files of its own beside it.
 *
 * @module
 */
import { chmod, lstat, mkdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  appendLeaves,
  type CompactRange,
  EMPTY_RANGE,
  equalBytes,
  fromHex,
  HASH_LENGTH,
  hashLeaf,
  toHex,
  UnavailableError,
  type VerifiedCheckpoint,
} from '../../merkle/index.ts'
import type { AuditedEntry } from './audited-entry.ts'
import type { CheckId, Finding } from './checks.ts'
import type { Cell } from './database/cells.ts'
import type { Database } from './database/duckdb.ts'
import { addEntry, addFinding, type Locate } from './database/rows.ts'
import { SCHEMA_VERSION, schemaSql, TABLES, type TableName } from './database/schema.ts'
import type { TableWriter } from './database/table-writer.ts'
import { AuditError } from './error.ts'
import { formatMemory, type MemoryRow, parseMemory } from './memory.ts'
import type { Recorded } from './recorded.ts'
import { Scratch } from './scratch.ts'

/** An audit up to some entry. */
export interface AuditedSoFar {
  readonly origin: string
  /** The checkpoint that proved it: of this size or more. Undefined before the first. */
  readonly note?: string
  readonly range: CompactRange
  /** kid of the key with which sealed sections were opened; without, they were not. */
  readonly openedWith?: string
  readonly records: number
  readonly foreign: number
  readonly opened: number
  readonly findings: readonly Finding[]
}

/** Entries of one transaction by default, and rows of it at most: bills of materials are thousands of rows each. */
const RUN_ENTRIES = 8192
const RUN_ROWS = 1_000_000

/** Where the database of an audit is. */
export function databasePath(directory: string): string {
  return join(directory, 'database', 'audit.duckdb')
}

/** The database, open for one audit. */
export class AuditState {
  /** What was audited before; nothing for an empty directory, or where another key, or none, opened things. */
  readonly before: AuditedSoFar
  /** For what is remembered of entries, until {@link close}. */
  readonly scratch: Scratch
  readonly #database: Database
  readonly #writers: Writers
  readonly #runEntries: number
  #run: Run | undefined

  private constructor(
    database: Database,
    writers: Writers,
    before: AuditedSoFar,
    runEntries: number,
    scratch: Scratch,
  ) {
    this.scratch = scratch
    this.#database = database
    this.#writers = writers
    this.before = before
    this.#runEntries = runEntries
  }

  /** @throws `AuditError` `other_log`, `damaged_audit`; `UnavailableError` while another process has it open */
  static async open(
    directory: string,
    origin: string,
    openedWith: string | undefined,
    runEntries: number = RUN_ENTRIES,
  ): Promise<AuditState> {
    const path = databasePath(directory)
    await makePrivate(join(directory, 'database'))
    const old = await openThere(path)
    const before = old && (await loadOrClose(old, path))
    if (before && before.origin !== origin) {
      old.close()
      throw new AuditError('other_log', `${directory} holds an audit of ${before.origin}, and this is ${origin}`)
    }
    if (old && before && before.openedWith === openedWith) return AuditState.#on(old, directory, before, runEntries)

    old?.close()
    await Promise.all([rm(path, { force: true }), rm(`${path}.wal`, { force: true })])
    const { Database } = await import('./database/duckdb.ts')
    const database = await Database.open(path, { readOnly: false }).catch(async (error: unknown) => {
      // Half a header, which nobody could open the next time.
      await rm(path, { force: true })
      throw error
    })
    await chmod(path, 0o600)
    await database.run(`BEGIN; ${schemaSql()}; COMMIT`)
    const nothing = { origin, range: EMPTY_RANGE, records: 0, foreign: 0, opened: 0, findings: [] }
    const begun = openedWith === undefined ? nothing : { ...nothing, openedWith }
    return AuditState.#on(database, directory, begun, runEntries)
  }

  static async #on(database: Database, directory: string, before: AuditedSoFar, runEntries: number) {
    const scratch = Scratch.create(dirname(databasePath(directory)))
    return new AuditState(database, await writersOf(database), before, runEntries, scratch)
  }

  /** What is kept of each entry so far, in order. @throws `AuditError` `damaged_audit`: not of the tree that was audited */
  async *restore(): AsyncGenerator<Recorded> {
    let range = EMPTY_RANGE
    const leaves = new Uint8Array(256 * HASH_LENGTH)
    let filled = 0
    const append = () => {
      range = appendLeaves(range, leaves.subarray(0, filled * HASH_LENGTH))
      filled = 0
    }
    let next = 0
    for await (const row of (await this.#database.query(RECORDS_IN_ORDER)).rows) {
      const [index, entry] = row as MemoryRow
      if (index !== next++) throw damaged('its entries are not in the order of the log')
      leaves.set(hashLeaf(entry), filled++ * HASH_LENGTH)
      if (filled === 256) append()
      yield parseMemory(row as MemoryRow)
    }
    append()
    // Otherwise a bit that flipped here would make the next audit say that the log does not lead to the root it signed.
    const { size, hashes } = this.before.range
    if (range.size !== size || range.hashes.some((hash, i) => !equalBytes(hash, hashes[i]!))) {
      throw damaged('its entries and its tree are not of one log')
    }
  }

  /** Takes the next entries in. */
  async add(entries: readonly AuditedEntry[], findings: readonly Finding[], locate: Locate): Promise<void> {
    this.#run ??= await Run.begin(this.#database, this.#writers)
    const run = this.#run
    run.whole = false
    for (const entry of entries) addEntry(entry, formatMemory(entry), locate, run.sink)
    for (const finding of findings) addFinding('observations', finding, run.sink)
    run.entries += entries.length
  }

  /** `audited` is the audit with all that was added. It is durable when a run is full, or at the end. */
  async reached(audited: AuditedSoFar): Promise<void> {
    const run = this.#run
    if (run === undefined) return
    run.audited = audited
    run.whole = true
    if (run.entries >= this.#runEntries || run.rows >= RUN_ROWS) await this.save()
  }

  /** The audit came to the end of a checkpoint, and says this about all entries under it. */
  async finish({ size, root, note }: VerifiedCheckpoint, now: number, findings: readonly Finding[]): Promise<void> {
    this.#run ??= await Run.begin(this.#database, this.#writers)
    const { sink } = this.#run
    const known = await this.#database.rows('SELECT 1 FROM checkpoints WHERE size = $size', { size })
    if (known.length === 0) sink('checkpoints', [size, root, note, now])
    await this.#database.run('DELETE FROM findings')
    for (const finding of findings) addFinding('findings', finding, sink)
    await this.save()
    // What is in the write-ahead log goes into the file: whoever opens it next finds one file, and need not write.
    await this.#database.run('CHECKPOINT')
  }

  /** Makes durable what was taken so far. */
  async save(): Promise<void> {
    const run = this.#run
    this.#run = undefined
    if (run?.whole) await run.commit()
  }

  close(): void {
    this.#database.close()
    this.scratch.close()
  }
}

type Writers = ReadonlyMap<TableName, TableWriter>

/** For each table one, and for good: what one takes is given back when the collector comes by, which it has no reason to. */
async function writersOf(database: Database): Promise<Writers> {
  const writers = new Map<TableName, TableWriter>()
  for (const table of Object.keys(TABLES) as TableName[]) {
    writers.set(table, await database.writer(table, TABLES[table].columns))
  }
  return writers
}

/** A transaction. */
class Run {
  audited: AuditedSoFar | undefined
  /** Otherwise rows of entries are in it that `audited` does not speak of, and the next audit would add them again. */
  whole = true
  entries = 0
  rows = 0
  readonly #database: Database
  readonly #writers: Writers

  private constructor(database: Database, writers: Writers) {
    this.#database = database
    this.#writers = writers
  }

  static async begin(database: Database, writers: Writers): Promise<Run> {
    await database.run('BEGIN')
    return new Run(database, writers)
  }

  readonly sink = (table: TableName, row: readonly Cell[]): void => {
    this.rows++
    this.#writers.get(table)!.add(row)
  }

  async commit(): Promise<void> {
    if (this.audited) {
      const { origin, openedWith = null, note = null, range, records, foreign, opened } = this.audited
      await this.#database.run('DELETE FROM audit')
      const hashes = range.hashes.map(toHex).join(',')
      this.sink('audit', [SCHEMA_VERSION, origin, openedWith, range.size, note, hashes, records, foreign, opened])
    }
    for (const writer of this.#writers.values()) writer.flush()
    await this.#database.run('COMMIT')
  }
}

/** As they were written, which is in the order of the log: to sort a million of them takes more memory than there is. */
const RECORDS_IN_ORDER = 'SELECT index, entry, identity, type, issued_at, kid, record_id, memory FROM records'

/** The row of `audit`; undefined where an audit left the database before it had anything, or another version did. */
export async function readAudit(database: Database): Promise<Omit<AuditedSoFar, 'findings'> | undefined> {
  const [versions] = await database.rows(
    "SELECT count(*) FROM information_schema.columns WHERE table_name = 'audit' AND column_name = 'version'",
  )
  if (versions?.[0] !== 1) return undefined
  const [row] = await database.rows('SELECT * FROM audit')
  if (row?.[0] !== SCHEMA_VERSION) return undefined
  const [, origin, openedWith, size, note, hashes, records, foreign, opened] = row as [
    version: string,
    origin: string,
    openedWith: string | null,
    size: number,
    note: string | null,
    range: string,
    records: number,
    foreign: number,
    opened: number,
  ]
  return {
    origin,
    ...(openedWith !== null && { openedWith }),
    ...(note !== null && { note }),
    range: { size, hashes: hashes.split(',').filter(Boolean).map(fromHex) },
    records,
    foreign,
    opened,
  }
}

async function loadAudit(database: Database): Promise<AuditedSoFar | undefined> {
  const audit = await readAudit(database)
  if (audit === undefined) return undefined
  const found = await database.rows(
    `SELECT o.index, o.check_id, o.severity, o.detail, o.about, r.entry
     FROM observations o JOIN records r ON r.index = o.index ORDER BY o.rowid`,
  )
  return {
    ...audit,
    findings: found.map(([index, check, severity, detail, about, entry]) => ({
      check: check as CheckId,
      severity: severity as Finding['severity'],
      index: index as number,
      entry: toHex(entry as Uint8Array),
      detail: detail as string,
      ...(about !== null && { about: toHex(about as Uint8Array) }),
    })),
  }
}

async function loadOrClose(database: Database, path: string): Promise<AuditedSoFar | undefined> {
  try {
    return await loadAudit(database)
  } catch (cause) {
    database.close()
    if (cause instanceof UnavailableError) throw cause
    throw new AuditError('damaged_audit', `${path} is not what an audit left: delete it and audit again`, { cause })
  }
}

async function openThere(path: string): Promise<Database | undefined> {
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined) return undefined
  if (!found.isFile()) throw new AuditError('damaged_audit', `${path} is no file`)
  const { Database } = await import('./database/duckdb.ts')
  return Database.open(path, { readOnly: false })
}

/** For its owner alone, also when it was there before. A link elsewhere is not followed. */
async function makePrivate(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  if (!(await lstat(directory)).isDirectory()) throw new AuditError('damaged_audit', `${directory} is no directory`)
  await chmod(directory, 0o700)
}

function damaged(why: string): AuditError {
  return new AuditError('damaged_audit', `${why}: delete the database and audit from the start`)
}
