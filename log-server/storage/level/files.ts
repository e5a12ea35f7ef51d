/**
 * Whether LevelDB's files are as LevelDB wrote them, by the checksums in them.
 *
 * LevelDB, as we get it (classic-level, without `paranoid_checks` and `verify_checksums`), writes these checksums and does not look at those of
 * its tables. A changed bit in a block comes out as another value; in the Bloom filter of a table it makes a key that is there one that
 * is not; and where lengths do not add up, its own assertions end the process. Of its logs it passes over what is damaged (`record-log.ts`). So these are looked at
 * before each opening: the logs, whether the tables are all there, and what keys are found by whose absence says something ({@link TELLING_LETTERS}); and as long as they are
 * few, those that an append must not find ({@link ASKED_FOR_LETTERS}), which are looked at after the first append otherwise. All else that is in
 * the tables is looked at by the scrub while a log is served, and by `fsck`.
 *
 * @module
 */
import { statSync } from 'node:fs'
import { type FileHandle, open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isCode } from '../guard.ts'
import { ASKED_FOR_LETTERS, TELLING_LETTERS } from '../stored-values.ts'
import { readRecordLog } from './record-log.ts'
import { checkLookups, checkTable, lookupBytes, type Paced } from './table.ts'
import { Varints } from './varints.ts'

/** One thing that is wrong with one file. */
export interface FileDamage {
  readonly file: string
  readonly detail: string
}

/** Of blocks with keys that appends ask for: 0.1 s to look at. A log of some 100,000 records has as much. */
const MOST_BEFORE_OPENING = 32 * 1024 * 1024

/**
 * What opening would not notice, and answers would not show: damage to the logs that it replays; tables that are not there, or cut short; and what hides
 * {@link TELLING_LETTERS} keys, and {@link ASKED_FOR_LETTERS} in a small log. As much to read as was written since it last sorted what it has, 16 MiB as a rule, and a few blocks.
 */
export function checkBeforeOpening(location: string): Promise<FileDamage[]> {
  return check(location, false)
}

/** All of the database. */
export function checkLevelFiles(location: string): Promise<FileDamage[]> {
  return check(location, true)
}

/**
 * The tables of a database that is open, while LevelDB goes on writing new ones and removing old ones.
 *
 * @param paced - is told how many bytes were read, and waits; false ends it
 * @param letters - only what keys are found by that begin with one of these
 */
export async function checkOpenTables(
  location: string,
  paced: Paced,
  letters?: readonly number[],
): Promise<FileDamage | undefined> {
  const tables = await liveTables(location)
  if ('file' in tables) return tables
  for (const [number, table] of tables) {
    if (letters && !mayHave(table, letters)) continue
    let stopped = false
    const pace = async (bytes: number) => {
      if (!stopped && !(await paced(bytes))) stopped = true
      return !stopped
    }
    const [damage] = await checkFile(location, number, table.size, (handle) =>
      letters ? checkLookups(handle, letters, pace) : checkTable(handle, pace),
    )
    if (stopped) return undefined
    if (!damage) continue
    // Merged into others meanwhile, and removed.
    const now = await liveTables(location)
    if ('file' in now) return now
    if (now.has(number)) return damage
  }
  return undefined
}

/** Those that are read, by number; what the manifest does not name is of a crash, or about to go. */
export async function liveTables(location: string): Promise<ReadonlyMap<number, Table> | FileDamage> {
  const names = await namesIn(location)
  if (!names.includes('CURRENT')) return new Map()
  const files = await readManifest(location, names, false)
  return 'file' in files ? files : files.tables
}

async function check(location: string, all: boolean): Promise<FileDamage[]> {
  const names = await namesIn(location)
  // Not there yet, or not a database: opening says so.
  if (!names.includes('CURRENT')) return []
  const files = await readManifest(location, names, all)
  if ('file' in files) return [files]

  const found: FileDamage[] = []
  for (const file of names.sort()) {
    const number = Number(/^(\d+)\.log$/.exec(file)?.[1] ?? -1)
    if (number < files.oldestLog) continue
    const log = readRecordLog(await readFile(join(location, file)), all)
    if (log.damage !== undefined) found.push({ file, detail: log.damage })
  }
  // A table that the manifest does not name is of a crash, and nobody reads it.
  const letters = await lettersBefore(location, files.tables)
  for (const [number, table] of files.tables) {
    const damage = all
      ? checkFile(location, number, table.size, (handle) => checkTable(handle))
      : checkBefore(location, number, table, letters)
    found.push(...(await damage))
  }
  return found
}

async function lettersBefore(location: string, tables: LevelFiles['tables']): Promise<readonly number[]> {
  let bytes = 0
  for (const [number, table] of tables) {
    if (!mayHave(table, ASKED_FOR_LETTERS)) continue
    bytes += (await withTable(location, number, (handle) => lookupBytes(handle, ASKED_FOR_LETTERS))) ?? 0
    if (bytes > MOST_BEFORE_OPENING) return TELLING_LETTERS
  }
  return [...TELLING_LETTERS, ...ASKED_FOR_LETTERS]
}

function mayHave({ first, last }: Table, letters: readonly number[]): boolean {
  return letters.some((letter) => first <= letter && letter <= last)
}

function namesIn(location: string): Promise<string[]> {
  return readdir(location).catch((error: unknown) => {
    if (!isCode(error, 'ENOENT')) throw error
    return []
  })
}

async function readManifest(
  location: string,
  names: readonly string[],
  strict: boolean,
): Promise<LevelFiles | FileDamage> {
  const file = /^(MANIFEST-\d{6,})\n$/.exec(await readFile(join(location, 'CURRENT'), 'latin1'))?.[1]
  if (file === undefined || !names.includes(file)) {
    return { file: 'CURRENT', detail: 'it does not name a manifest that is there' }
  }
  const { records, damage } = readRecordLog(await readFile(join(location, file)), strict)
  if (damage !== undefined) return { file, detail: damage }
  return filesIn(records) ?? { file, detail: 'it cannot be read' }
}

/** Of most it is only looked whether they are there: a log of ten million entries has some thousands, at 5 µs each. */
async function checkBefore(
  location: string,
  number: number,
  table: Table,
  letters: readonly number[],
): Promise<FileDamage[]> {
  const { size } = table
  if (mayHave(table, letters)) {
    return checkFile(location, number, size, (handle) => checkLookups(handle, letters))
  }
  for (const file of namesOf(number)) {
    const stats = statSync(join(location, file), { throwIfNoEntry: false })
    if (stats) return stats.size === size ? [] : [{ file, detail: ofAnotherSize(stats.size, size) }]
  }
  return [missing(number)]
}

async function checkFile(
  location: string,
  number: number,
  size: number,
  check: (handle: FileHandle) => Promise<string | undefined>,
): Promise<FileDamage[]> {
  const damage = await withTable(location, number, async (handle, file) => {
    const { size: found } = await handle.stat()
    const detail = found === size ? await check(handle) : ofAnotherSize(found, size)
    return detail === undefined ? [] : [{ file, detail }]
  })
  return damage ?? [missing(number)]
}

/** Undefined of one that is not there. */
async function withTable<T>(
  location: string,
  number: number,
  read: (handle: FileHandle, file: string) => Promise<T>,
): Promise<T | undefined> {
  for (const file of namesOf(number)) {
    const handle = await openIfThere(join(location, file))
    if (!handle) continue
    try {
      return await read(handle, file)
    } finally {
      await handle.close()
    }
  }
  return undefined
}

/** What it may be called: the second by older versions of LevelDB. */
const namesOf = (number: number): string[] =>
  ['ldb', 'sst'].map((suffix) => `${String(number).padStart(6, '0')}.${suffix}`)
const missing = (number: number): FileDamage => ({ file: namesOf(number)[0]!, detail: 'it is missing' })
const ofAnotherSize = (found: number, size: number): string => `it has ${found} bytes, not ${size}`

function openIfThere(path: string): Promise<FileHandle | undefined> {
  return open(path, 'r').catch((error: unknown) => {
    if (!isCode(error, 'ENOENT')) throw error
    return undefined
  })
}

export interface Table {
  /** Bytes. */
  readonly size: number
  /** First bytes of its first and of its last key. */
  readonly first: number
  readonly last: number
}

/** What there is, as the records of a manifest add it up (`VersionEdit`). */
interface LevelFiles {
  /** By number. */
  readonly tables: ReadonlyMap<number, Table>
  /** Logs of lower numbers are in tables already. */
  readonly oldestLog: number
}

/** Undefined when a record says something that we do not know. */
function filesIn(records: readonly (readonly Uint8Array[])[]): LevelFiles | undefined {
  const tables = new Map<number, Table>()
  let oldestLog = 0
  for (const parts of records) {
    const edit = new Varints(Buffer.concat(parts))
    while (!edit.atEnd) {
      const tag = edit.next()
      if (tag === 1) edit.slice()
      else if (tag === 2) oldestLog = edit.next() ?? 0
      else if (tag === 3 || tag === 4 || tag === 9) edit.next()
      else if (tag === 5) {
        edit.next()
        edit.slice()
      } else if (tag === 6) {
        edit.next()
        tables.delete(edit.next() ?? -1)
      } else if (tag === 7) {
        edit.next()
        const [number, size] = [edit.next(), edit.next()]
        const [smallest, largest] = [edit.slice(), edit.slice()]
        if (number === undefined || size === undefined || !smallest || !largest) return undefined
        tables.set(number, { size, first: smallest[0] ?? 0, last: largest[0] ?? 255 })
      } else return undefined
    }
  }
  return { tables, oldestLog }
}
