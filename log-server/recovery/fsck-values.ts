/**
 * What `fsck` asks of every stored value, whatever it says: that it is as it was written, that its key finds it, and that it has a place.
 *
 * @module
 */
import { TILE_WIDTH } from '../../merkle/tile.ts'
import type { Store, Stored } from '../storage/store.ts'
import { CHECKED_LETTERS, readInteger } from '../storage/stored-values.ts'
import type { FsckFinding } from './fsck.ts'

/** Those that nothing else looks for by their keys while it is checked. */
const LOOKED_UP = new Set('gkpwx')
const NAMES = new Set(['head', 'erased', 'swept', 'sweep'])
const LOOKED_UP_TOGETHER = 256

/** @param size - how many statements there are */
export async function checkValues(store: Store, size: number): Promise<FsckFinding[]> {
  const found: FsckFinding[] = []
  for (const letter of CHECKED_LETTERS) {
    let asked: Stored[] = []
    const lookUp = async () => {
      for (const { key } of await store.notFound(asked)) {
        found.push({ code: 'file_damaged', detail: `${nameOf(key)} is there and is not found by its key` })
      }
      asked = []
    }
    for await (const stored of store.scan(letter)) {
      const { key, intact } = stored
      if (!intact) found.push({ code: 'value_damaged', detail: `${nameOf(key)} is not as it was written` })
      else if (!hasPlace(key, size)) found.push({ code: 'stray_value', detail: `${nameOf(key)} belongs to nothing` })
      if (LOOKED_UP.has(letter)) asked.push(stored)
      if (asked.length === LOOKED_UP_TOGETHER) await lookUp()
    }
    await lookUp()
  }
  for await (const key of store.strays())
    found.push({ code: 'stray_value', detail: `${nameOf(key)} is no key of ours` })
  for (const [letter, expected] of tileCounts(size)) {
    let count = 0
    for await (const _ of store.scan(letter)) count++
    if (count > expected)
      found.push({ code: 'stray_value', detail: `${count} values under ${letter}, of ${expected} full tiles` })
  }
  found.push(...(await checkErasureMarks(store)))
  return found
}

/** How many entry bundles and hash tiles are full. Each of them was compared. */
function tileCounts(size: number): [letter: string, count: number][] {
  let tiles = 0
  for (let count = Math.floor(size / TILE_WIDTH); count > 0; count = Math.floor(count / TILE_WIDTH)) tiles += count
  return [
    ['e', Math.floor(size / TILE_WIDTH)],
    ['h', tiles],
  ]
}

function hasPlace(key: Uint8Array, size: number): boolean {
  const letter = String.fromCharCode(key[0]!)
  if (letter === 'k') return NAMES.has(Buffer.from(key.subarray(1)).toString('latin1'))
  if ('ag'.includes(letter)) return key.length === 7 && readInteger(key, 1) < size
  if (letter === 'p') return key.length === 7 && readInteger(key, 1) * TILE_WIDTH < size
  if ('diwx'.includes(letter)) return key.length === 33
  return true
}

/** The store says which erasure was the last, and up to which one its files are clean: never further than that. */
async function checkErasureMarks(store: Store): Promise<FsckFinding[]> {
  const marks = new Map<string, number>()
  for await (const { key, value, intact } of store.scan('k')) {
    const name = Buffer.from(key.subarray(1)).toString('latin1')
    if (name === 'sweep' ? value.length > 0 : name !== 'head' && value.length !== 6) {
      return [{ code: 'value_damaged', detail: `${nameOf(key)} is not as we write it` }]
    }
    if (intact && (name === 'erased' || name === 'swept')) marks.set(name, readInteger(value, 0))
  }
  let newest: number | undefined
  for await (const { value, intact } of store.scan('g')) {
    if (intact && value.length === 39) newest = Math.max(newest ?? -1, readInteger(value, 32))
  }
  const [erased, swept = -1] = [marks.get('erased'), marks.get('swept')]
  // The second record to erase a statement leaves no note of its own, so the mark may be further on.
  if ((newest ?? -1) > (erased ?? -1) || swept > (erased ?? -1)) {
    return [
      {
        code: 'erasure_incomplete',
        detail: `the last erasure is said to be ${erased ?? 'none'}, and ${newest ?? 'none'} is noted`,
      },
    ]
  }
  return []
}

function nameOf(key: Uint8Array): string {
  const rest = Buffer.from(key.subarray(1))
  const text = rest.toString('latin1')
  return `"${String.fromCharCode(key[0] ?? 0)} ${/^[ -~]*$/.test(text) ? text : rest.toString('hex')}"`
}
