/**
 * Which widths of a tile there are: those that a published checkpoint implied, and no others (c2sp.org/tlog-tiles).
 *
 * ```
 *   batches        ── 3 ──┬──── 5 ────┬ 1 ┬─────── 250 ────────       sizes 3, 8, 9, 259
 *   tile 0         [ . . 3 . . . . 8 9 . . . . . … 256 ]              .p/3  .p/8  .p/9  and, full, the tile itself
 *   tile 1         [ . . 3 ]                                          .p/3
 * ```
 *
 * A width that nobody was told of would be an address that anybody can make up and every cache has to keep. For each level-0 tile
 * the store has a row for each width, with the bytes of the statement bundle up to there: how long an answer will be is
 * known before it is read.
 *
 * ```
 *   (u16 width, plus 8000 when it is 256 and no checkpoint ended there ‖ u48 bytes)…
 * ```
 *
 * The widths above follow from these. A tile of level l is W wide at the sizes from k·256^l until (k + 1)·256^l, where k counts all the
 * tiles one level down. For l = 1 those are the sizes of one level-0 tile, its full width excepted and that of its left neighbour
 * included: {@link isImplied}. For l ≥ 2 they are at least 65 536 in a row, and no batch is larger ({@link MAX_BATCH_ENTRIES}), so none
 * can step over all of them: the first size published at or past k·256^l is less than k·256^l + 65 536.
 *
 * @module
 */
import { TILE_WIDTH, type TileId } from '../../merkle/tile.ts'
import { LogError } from '../types.ts'

/** Entries of the largest batch: the sequencer holds it. */
export const MAX_BATCH_ENTRIES = TILE_WIDTH ** 2

/** One width of a level-0 tile. */
export interface Width {
  /** 1 to 256. */
  readonly width: number
  /** Of the statement bundle of that width. */
  readonly bytes: number
  /** A checkpoint ended here. Only a full tile is worth a row without. */
  readonly published: boolean
}

/** The rows of tile `n`, narrowest first. */
export interface TileWidths {
  readonly n: number
  readonly rows: readonly Width[]
}

const ROW_BYTES = 8
const UNPUBLISHED = 0x8000

/**
 * The tiles that a batch reaches, with their rows after it.
 *
 * @param first index of its first entry
 * @param lengths bytes of its statements
 * @param before rows of the tile that it begins in
 */
export function widthsAfter(first: number, lengths: readonly number[], before: readonly Width[]): TileWidths[] {
  const tiles: TileWidths[] = []
  let n = Math.floor(first / TILE_WIDTH)
  let rows = [...before]
  let bytes = rows.at(-1)?.bytes ?? 0
  for (const [i, length] of lengths.entries()) {
    bytes += 4 + length
    const width = first + i + 1 - n * TILE_WIDTH
    const published = i + 1 === lengths.length
    if (published || width === TILE_WIDTH) rows.push({ width, bytes, published })
    if (width < TILE_WIDTH) continue
    tiles.push({ n, rows })
    n++
    rows = []
    bytes = 0
  }
  return rows.length > 0 ? [...tiles, { n, rows }] : tiles
}

/** The rows once `bytes` bytes of the statement at place `at` of the tile are gone. */
export function widthsWithout(rows: readonly Width[], at: number, bytes: number): Width[] {
  return rows.map((row) => (row.width > at ? { ...row, bytes: row.bytes - bytes } : row))
}

/** The rows of a level-0 tile; none for a tile that nothing is known of. */
export type WidthsOfTile = (n: number) => Promise<readonly Width[]>

/** Whether some published size implied a partial tile, of a tree that is large enough for it by now. */
export async function isImplied({ level, index, width }: TileId, widthsOf: WidthsOfTile): Promise<boolean> {
  if (level >= 2) return true
  if (level === 0) return (await widthsOf(index)).some((row) => row.width === width)
  const k = index * TILE_WIDTH + width
  const [left, own] = await Promise.all([widthsOf(k - 1), widthsOf(k)])
  return own.some((row) => row.width < TILE_WIDTH) || left.some((row) => row.width === TILE_WIDTH && row.published)
}

export function encodeWidths(rows: readonly Width[]): Uint8Array {
  const value = new Uint8Array(rows.length * ROW_BYTES)
  const view = new DataView(value.buffer)
  for (const [i, { width, bytes, published }] of rows.entries()) {
    view.setUint16(i * ROW_BYTES, published ? width : width | UNPUBLISHED)
    view.setUint16(i * ROW_BYTES + 2, Math.floor(bytes / 2 ** 32))
    view.setUint32(i * ROW_BYTES + 4, bytes % 2 ** 32)
  }
  return value
}

/** @throws {@link LogError} `log_damaged` unless these are rows of one tile, narrowest first */
export function decodeWidths(value: Uint8Array): Width[] {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength)
  const rows: Width[] = []
  for (let at = 0; at + ROW_BYTES <= value.length; at += ROW_BYTES) {
    const mark = view.getUint16(at)
    const bytes = view.getUint16(at + 2) * 2 ** 32 + view.getUint32(at + 4)
    rows.push({ width: mark & ~UNPUBLISHED, bytes, published: mark < UNPUBLISHED })
  }
  const sound = rows.every(
    ({ width, bytes, published }, i) =>
      width > (rows[i - 1]?.width ?? 0) &&
      width <= TILE_WIDTH &&
      bytes > (rows[i - 1]?.bytes ?? 0) &&
      (published || width === TILE_WIDTH),
  )
  if (!sound || value.length % ROW_BYTES !== 0) throw new LogError('log_damaged', 'the widths of a tile cannot be read')
  return rows
}
