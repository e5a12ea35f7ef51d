/**
 * Everything of a log that lies on its disk, by what it is: the values in its store and their keys, and the files.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { paths } from '../../log-server/storage/directory.ts'
import { liveTables } from '../../log-server/storage/level/files.ts'
import { toHex } from '../../merkle/index.ts'
import { StoredValues } from '../log-server/stored-values.ts'

export interface Place {
  /** Of the value in hex, or the path of the file in the directory. */
  readonly name: string
  readonly in: 'value' | 'key' | 'file'
  readonly bytes: Uint8Array
}

/** By letter or key. */
export const VALUES: Readonly<Record<string, string>> = {
  'k head': 'the signed tree head and checkpoint',
  'k erased': 'the mark of the newest erasure',
  'k swept': 'the mark of the newest one carried out',
  'k sweep': 'what a sweep touches',
  s: 'statements',
  e: 'entry bundles',
  h: 'hash tiles',
  d: 'names of entries',
  i: 'identities',
  u: 'unique keys',
  r: 'series',
  c: 'statuses of a credential',
  a: 'authority statements',
  w: 'wraps',
  x: 'certificates',
  p: 'widths',
  g: 'erasure notes',
}

export const FILES: readonly (readonly [RegExp, string])[] = [
  [/^store\/CURRENT$/, 'CURRENT'],
  [/^store\/MANIFEST-\d+$/, 'MANIFEST'],
  [/^store\/\d+\.log$/, 'the write-ahead log'],
  [/^store\/\d+\.ldb$/, 'tables'],
  [/^guard$/, 'the guard'],
  [/^frozen$/, 'the mark of a frozen log'],
  [/^config\.json$/, 'config.json'],
  [/^(?:checkpoint|receipt)\.jwk$/, 'keys that sign'],
  [/^(?:admin|keys\/.*)\.jwk$/, 'other keys'],
]

/** @param values - a copy of the log, which is opened; @param files - another, which is not */
export async function placesOf(values: string, files: string): Promise<Map<string, Place[]>> {
  const places = new Map<string, Place[]>()
  const add = (what: string, place: Place) => places.set(what, [...(places.get(what) ?? []), place])
  const db = await StoredValues.open(values)
  for await (const [key, value] of db.level.iterator()) {
    const [name, what] = [toHex(key), VALUES[letterOf(key)]]
    if (what === undefined) throw new Error(`what is under ${letterOf(key)}?`)
    add(what, { name, in: 'value', bytes: new Uint8Array(value) })
    add(`keys of ${what}`, { name, in: 'key', bytes: new Uint8Array(key) })
  }
  await db.close()
  const live = await liveTables(paths(files).store)
  assert.ok('size' in live)
  for (const entry of await readdir(files, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const name = relative(files, path)
    // LevelDB's diary, and its lock.
    if (!entry.isFile() || /^store\/LO(?:CK|G|G\.old)$/.test(name)) continue
    const what = FILES.find(([pattern]) => pattern.test(name))?.[1]
    if (what === undefined) throw new Error(`what is ${name}?`)
    if (what === 'tables' && !live.has(Number(/\d+/.exec(name)![0]))) continue
    add(what, { name, in: 'file', bytes: new Uint8Array(await readFile(path)) })
  }
  return places
}

function letterOf(key: Uint8Array): string {
  return key[0] === 'k'.charCodeAt(0) ? `k ${Buffer.from(key.subarray(1)).toString()}` : String.fromCharCode(key[0]!)
}
