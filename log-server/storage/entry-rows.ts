/**
 * What of an entry, and of what became full with it, is stored under which key: `store.ts` has the list. Fields and rows; nothing here reads.
 *
 * @module
 */
import type { Hash } from '../../merkle/hash.ts'
import { TILE_WIDTH } from '../../merkle/tile.ts'
import type { Erases } from './erased.ts'
import {
  encodeInteger,
  encodeMeta,
  hashKey,
  integerKey,
  NOTHING,
  pack,
  type Signed,
  statusKey,
  textKey,
  tileKey,
} from './stored-values.ts'

/** One entry to store. A `Candidate` is one. */
export interface NewEntry {
  readonly statement: Uint8Array
  readonly entry: Hash
  readonly type: string
  readonly issuedAt: number
  readonly signer: string
  readonly identity?: Hash
  readonly wraps?: readonly Uint8Array[]
  readonly certificates?: readonly Uint8Array[]
  readonly uniqueKeys?: readonly string[]
  readonly excludedBy?: readonly string[]
  readonly series?: string
  readonly status?: string
  /** What this entry destroys of an earlier one. */
  readonly erases?: Erases
}

/** All that one commit makes durable, or none of it. */
export interface Batch {
  /** Index of the first of `entries`; the others follow. */
  readonly first: number
  readonly entries: readonly NewEntry[]
  readonly tiles: readonly { level: number; index: number; hashes: Uint8Array }[]
  readonly bundles: readonly { index: number; bytes: Uint8Array }[]
  readonly signed: Signed
}

/** What is stored, without its checksum. */
export type Row = readonly [key: Uint8Array, value: Uint8Array]

/** Changes to who may write, and on what; indexed so that opening replays them and nothing else. */
export function changesAuthority(type: string): boolean {
  return type === 'key-authorization' || type === 'log-policy' || type === 'retraction'
}

export type Put = (key: Uint8Array, value: Uint8Array) => unknown

export function pushNames(keys: Uint8Array[], { entry, identity }: NewEntry): void {
  keys.push(hashKey('d', entry))
  if (identity) keys.push(hashKey('i', identity))
}

export function pushUniqueKeys(keys: Uint8Array[], { uniqueKeys, excludedBy }: NewEntry): void {
  if (uniqueKeys) for (const key of uniqueKeys) keys.push(textKey('u', key))
  if (excludedBy) for (const key of excludedBy) keys.push(textKey('u', key))
}

/** What the entry at `index` is found by. */
export function indexRows(index: number, entry: NewEntry): Row[] {
  const rows: Row[] = []
  putIndexes((key, value) => rows.push([key, value]), index, entry)
  return rows
}

/** What is stored of tiles once they are full. */
export function tileRows({ tiles, bundles }: Pick<Batch, 'tiles' | 'bundles'>): Row[] {
  return [
    ...tiles.map(({ level, index, hashes }) => [tileKey(level, index), hashes] as const),
    ...bundles.map(({ index, bytes }) => [integerKey('e', index), bytes] as const),
  ]
}

export function putIndexes(put: Put, index: number, entry: NewEntry): void {
  put(hashKey('d', entry.entry), encodeMeta(index, entry))
  if (changesAuthority(entry.type)) put(integerKey('a', index), NOTHING)
  if (!entry.identity && !entry.uniqueKeys) return // raw: nothing else to find it by
  const value = encodeInteger(index)
  if (entry.identity) put(hashKey('i', entry.identity), value)
  for (const key of entry.uniqueKeys ?? []) put(textKey('u', key), value)
  if (entry.series !== undefined) put(textKey('r', entry.series), value)
  if (entry.status !== undefined) put(statusKey(entry.status, index), NOTHING)
  if (entry.wraps && entry.wraps.length > 0) put(hashKey('w', entry.entry), pack(entry.wraps))
  if (entry.certificates && entry.certificates.length > 0) {
    put(hashKey('x', entry.entry), pack(entry.certificates))
  }
}

/**
 * The statements of a batch in the pieces that become one value each. Not larger than they are, because reading one statement reads
 * its piece; not across a multiple of 256, because then a bundle is a whole number of pieces.
 */
export function* pieces(
  first: number,
  entries: readonly NewEntry[],
): Generator<{ index: number; statements: Uint8Array[] }> {
  let statements: Uint8Array[] = []
  let bytes = 0
  for (let i = 0; i < entries.length; i++) {
    const { statement } = entries[i]!
    const index = first + i
    if (statements.length > 0 && (bytes + statement.length > PIECE_BYTES || index % TILE_WIDTH === 0)) {
      yield { index: index - statements.length, statements }
      statements = []
      bytes = 0
    }
    statements.push(statement)
    bytes += statement.length
  }
  if (statements.length > 0) yield { index: first + entries.length - statements.length, statements }
}

const PIECE_BYTES = 64 * 1024
