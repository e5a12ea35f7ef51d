/**
 * Whether LevelDB's files are as LevelDB wrote them, by the checksums in them.
 *
 * LevelDB, as we get it (classic-level, without `paranoid_checks` and `verify_checksums`), writes these checksums and does not look at those of
 * its tables. A changed bit in a block comes out as another value; in the Bloom filter of a table it makes a key that is there one that
 * is not. Of its logs it passes over what is damaged (`record-log.ts`). So the logs are looked at before each opening, and all of it by `fsck`.
 *
 * @module
 */
import { open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isCode } from '../guard.ts'
import { readRecordLog } from './record-log.ts'
import { checkTable } from './table.ts'
import { Varints } from './varints.ts'

/** One thing that is wrong with one file. */
export interface FileDamage {
  readonly file: string
  readonly detail: string
}

/** What opening would not notice: the logs that it replays. As much to read as was written since it last sorted what it has, 64 MiB at most. */
export function checkLevelLogs(location: string): Promise<FileDamage[]> {
  return check(location, false)
}

/** All of the database. */
export function checkLevelFiles(location: string): Promise<FileDamage[]> {
  return check(location, true)
}

async function check(location: string, all: boolean): Promise<FileDamage[]> {
  const names = await readdir(location).catch((error: unknown) => {
    if (!isCode(error, 'ENOENT')) throw error
    return [] as string[]
  })
  // Not there yet, or not a database: opening says so.
  if (!names.includes('CURRENT')) return []
  const manifest = /^(MANIFEST-\d{6,})\n$/.exec(await readFile(join(location, 'CURRENT'), 'latin1'))?.[1]
  if (manifest === undefined || !names.includes(manifest)) {
    return [{ file: 'CURRENT', detail: 'it does not name a manifest that is there' }]
  }
  const { records, damage } = readRecordLog(await readFile(join(location, manifest)), all)
  if (damage !== undefined) return [{ file: manifest, detail: damage }]
  const files = filesIn(records)
  if (!files) return [{ file: manifest, detail: 'it cannot be read' }]

  const found: FileDamage[] = []
  for (const file of names.sort()) {
    const number = Number(/^(\d+)\.log$/.exec(file)?.[1] ?? -1)
    if (number < files.oldestLog) continue
    const log = readRecordLog(await readFile(join(location, file)), all)
    if (log.damage !== undefined) found.push({ file, detail: log.damage })
  }
  // A table that the manifest does not name is of a crash, and nobody reads it.
  if (all) for (const [number, size] of files.tables) found.push(...(await checkLive(location, names, number, size)))
  return found
}

async function checkLive(
  location: string,
  names: readonly string[],
  number: number,
  size: number,
): Promise<FileDamage[]> {
  const stem = String(number).padStart(6, '0')
  const file = [`${stem}.ldb`, `${stem}.sst`].find((name) => names.includes(name))
  if (file === undefined) return [{ file: `${stem}.ldb`, detail: 'it is missing' }]
  const handle = await open(join(location, file), 'r')
  try {
    const { size: found } = await handle.stat()
    const detail = found === size ? await checkTable(handle) : `it has ${found} bytes, not ${size}`
    return detail === undefined ? [] : [{ file, detail }]
  } finally {
    await handle.close()
  }
}

/** What there is, as the records of a manifest add it up (`VersionEdit`). */
interface LevelFiles {
  /** Bytes of each, by number. */
  readonly tables: ReadonlyMap<number, number>
  /** Logs of lower numbers are in tables already. */
  readonly oldestLog: number
}

/** Undefined when a record says something that we do not know. */
function filesIn(records: readonly (readonly Uint8Array[])[]): LevelFiles | undefined {
  const tables = new Map<number, number>()
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
        edit.slice()
        if (number === undefined || size === undefined || !edit.slice()) return undefined
        tables.set(number, size)
      } else return undefined
    }
  }
  return { tables, oldestLog }
}
