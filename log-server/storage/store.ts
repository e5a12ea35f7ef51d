/**
 * The store: one LevelDB, one synced batch for each commit.
 *
 * Keys start with a letter; integers are 48-bit big-endian, so that LevelDB's order is theirs.
 *
 * ```
 *   k head                 CBOR: the newest signed tree head and checkpoint
 *   s ‖ index              statements from `index` on, packed: (u32 length ‖ statement)…
 *                          as many as a batch brought, cut at 64 KiB and at multiples of 256
 *   e ‖ n                  entry bundle n, once it is full: 256 × (00 20 ‖ entry)
 *   h ‖ level ‖ n          hash tile, once it is full: 256 × 32 bytes
 *   d ‖ entry              index ‖ issuedAt ‖ u8 length ‖ type ‖ kid
 *   i ‖ identity           index: content that is here already, under whatever signature
 *   u ‖ unique key         index of its holder
 *   r ‖ type/kid/id        index of the newest of the series
 *   c ‖ digest hex ‖ index nothing: the records of what became of a credential, in order
 *   a ‖ index              nothing: the statements that say who may write, and what was withdrawn
 *   w ‖ entry              the wraps beside a statement: (u32 length ‖ wrap)…
 *   x ‖ entry              the certificates beside a statement, leaf first: (u32 length ‖ DER)…
 *   p ‖ n                  the widths of level-0 tile n that there are (widths.ts)
 *   g ‖ index              what was erased of a statement, and by which record (erased.ts)
 *   k erased, k swept      index of the newest erasure record; of the newest whose erasure LevelDB's files have carried out
 * ```
 *
 * What the tree binds (`s`, `e`, `h`) is as shown. Every other value has the checksum of its key and itself behind it (`checksum.ts`), but in a store
 * of format 1, which is read and written as it was.
 *
 * Two shapes that were measured: a put for each statement takes 2.4 times as long as packing (41k and 97k entries/s at 1 KiB); and
 * since a bundle of statements is the concatenation of its packed values, `/v1/statements/{n}` is served without decoding.
 *
 * Values that change are `k …`, `r …`, and `p …` of the last tile; nothing else does, but by an erasure. All writes are synced:
 * LevelDB may lose an unsynced write behind a synced one (google/leveldb#193).
 *
 * @module
 */
import { equalBytes } from '../../merkle/bytes.ts'
import type { Hash } from '../../merkle/hash.ts'
import { TILE_WIDTH } from '../../merkle/tile.ts'
import { inPieces } from '../turns.ts'
import { type EntryMeta, LogError } from '../types.ts'
import { checkedValue, requireChecked, withChecksum } from './checksum.ts'
import type { Database } from './database.ts'
import { type DataFormat, NEWEST_FORMAT } from './directory.ts'
import {
  type Batch,
  type NewEntry,
  type Put,
  pieces,
  pushNames,
  pushUniqueKeys,
  putIndexes,
  type Row,
  tileRows,
} from './entry-rows.ts'
import { decodeErasure, type Erasure, encodeErasure, Sweep, type Sweepable } from './erased.ts'
import { FilteredDatabase } from './key-filter.ts'
import { openLevel } from './level/open.ts'
import { Overlay } from './overlay.ts'
import { ReadsTogether } from './reads-together.ts'
import { type Piece, RecentPieces } from './recent-pieces.ts'
import {
  BOUND,
  betweenLetters,
  decodeMeta,
  decodeSigned,
  ERASED_KEY,
  encodeInteger,
  encodeSigned,
  HEAD_KEY,
  hashKey,
  indexInKey,
  integerKey,
  NOTHING,
  pack,
  prefixRange,
  readInteger,
  type Signed,
  SWEPT_KEY,
  statusKey,
  textKey,
  tileKey,
  unpack,
} from './stored-values.ts'
import { decodeWidths, encodeWidths, type TileWidths, type Width, widthsAfter, widthsWithout } from './widths.ts'

/** Who holds what a new entry would be: indexes. */
export interface Holders {
  readonly entry: number | undefined
  readonly identity: number | undefined
  /** In the order of `uniqueKeys`, then of `excludedBy`; shorter when the rest have no holder. */
  readonly unique: readonly (number | undefined)[]
}

const HELD_BY_NOBODY: Holders = { entry: undefined, identity: undefined, unique: [] }

/** Whoever counts. Has no say in anything, and must not throw. */
export interface StoreObserver {
  /** How long a batch took to be written and synced. */
  synced(milliseconds: number): void
}

/** What the database takes. Of one that does not tell, nothing. */
export interface StoreSizes {
  /** In files, by what it is. */
  readonly bytes: Readonly<Partial<Record<keyof typeof KINDS, number>>>
  readonly level0Files?: number
  readonly memoryBytes?: number
}

/** By the letters of their keys. */
const KINDS = {
  statements: 's',
  entries: 'e',
  tiles: 'h',
  wraps: 'w',
  certificates: 'x',
  index: 'dircuap',
} as const

export interface StoreOptions {
  /** There must be none yet. */
  readonly create?: boolean
  /** What `config.json` says; the newest, when not given. */
  readonly format?: DataFormat
  readonly observer?: StoreObserver | undefined
}

/** What is stored under one key. */
export interface Stored {
  readonly key: Uint8Array
  readonly value: Uint8Array
  /** Whether the checksum, where there is one, is that of both. */
  readonly intact: boolean
}

export interface Patch {
  readonly puts: readonly Row[]
  readonly deletions: readonly Uint8Array[]
}

export interface Differing {
  readonly row: Row
  /** The value, with the checksum that it has in the store. */
  readonly sealed: Uint8Array
  /** Nothing is stored under its key. */
  readonly missing: boolean
}

export class Store {
  #db: Database
  readonly #observer: StoreObserver | undefined
  readonly #checked: boolean
  readonly #sweep: Sweep
  readonly #reads: ReadsTogether
  /** Whether anything was ever erased; undefined until somebody asks. */
  #erased: boolean | undefined
  /** The last tile, as the last commit left it. */
  #lastWidths: TileWidths | undefined
  readonly #recent = new RecentPieces(RECENT_BYTES)
  /** Index of the first entry of the first commit; of the last entry since then that is the status of a credential. */
  #committedFrom: number | undefined
  #lastStatus = -1

  private constructor(db: Database, { format = NEWEST_FORMAT, observer }: Omit<StoreOptions, 'create'>) {
    this.#db = db
    this.#checked = format > 1
    this.#observer = observer
    this.#reads = new ReadsTogether(
      (keys) => this.#db.getMany(keys),
      (key, value) => this.#opened(key, plain(value)),
    )
    const disk: Sweepable = {
      compactRange: (start, end) => db.compactRange(start, end),
      put: (key, value, options) => db.put(key, this.#sealed(key, value), options),
    }
    this.#sweep = new Sweep(disk, { touch: textKey('k', 'sweep'), swept: SWEPT_KEY })
  }

  /** The store in a database that is open. It closes with it. */
  static over(db: Database, options: Omit<StoreOptions, 'create'> = {}): Store {
    return new Store(db, options)
  }

  /** @throws {@link LogError} `log_locked` (one process at a time), `log_missing`, `log_damaged` */
  static async open(location: string, { create = false, ...options }: StoreOptions = {}): Promise<Store> {
    return Store.over(await openLevel(location, create), options)
  }

  /** Before anything is under way, for whoever may append: of what is not there it will be known without asking LevelDB. */
  filterKeys(): void {
    this.#db = new FilteredDatabase(this.#db)
  }

  /** What lies in files; what was written lately is in memory and its journal. */
  async sizes(): Promise<StoreSizes> {
    const db = this.#db
    if (!db.approximateSize || !db.getProperty) return { bytes: {} }
    const sizeOf = async (letter: string) =>
      db.approximateSize!(textKey(letter, ''), textKey(String.fromCharCode(letter.charCodeAt(0) + 1), ''))
    const bytes = Object.entries(KINDS).map(async ([kind, letters]) => {
      const sizes = await Promise.all(letters.split('').map(sizeOf))
      return [kind, sizes.reduce((sum, size) => sum + size, 0)] as const
    })
    return {
      bytes: Object.fromEntries(await Promise.all(bytes)),
      level0Files: Number(db.getProperty('leveldb.num-files-at-level0')),
      memoryBytes: Number(db.getProperty('leveldb.approximate-memory-usage')),
    }
  }

  async close(): Promise<void> {
    await this.#sweep.done()
    await this.#db.close()
  }

  /** Resolves when the batch is on the disk. A failed commit must end the process: what the disk holds is unknown. */
  async commit({ first, entries, tiles, bundles, signed }: Batch): Promise<void> {
    this.#sweep.check()
    const reached = await this.#widthsAfter(first, entries)
    const holes = await this.#erase(first, entries, reached)
    const batch = this.#db.batch()
    const put: Put = (key, value) => batch.put(key, this.#sealed(key, value))
    // Up to a dozen puts each: all of a large batch in one go would hold the event loop for 10 ms.
    await inPieces(entries.length, (i) => putIndexes(put, first + i, entries[i]!), PUT_TOGETHER)
    const packed: Piece[] = []
    for (const { index, statements } of pieces(first, entries)) {
      const value = pack(statements)
      batch.put(integerKey('s', index), value)
      packed.push({ first: index, count: statements.length, value: plain(value) })
    }
    // Before it can be read: that there is none must not be said a moment too long.
    this.#committedFrom ??= first
    for (let i = 0; i < entries.length; i++) if (entries[i]!.status !== undefined) this.#lastStatus = first + i
    for (const [key, value] of tileRows({ tiles, bundles })) batch.put(key, value)
    for (const [n, rows] of reached) put(integerKey('p', n), encodeWidths(rows))
    for (const [key, value] of holes.puts) put(key, value)
    for (const key of holes.deletions) batch.del(key)
    put(HEAD_KEY, encodeSigned(signed))
    if (holes.newest !== undefined) this.#erased = true
    const began = performance.now()
    await batch.write({ sync: true })
    this.#observer?.synced(performance.now() - began)
    if (holes.newest !== undefined) this.#recent.forget()
    else for (const piece of packed) this.#recent.add(piece)

    const n = Math.floor((first + entries.length) / TILE_WIDTH)
    this.#lastWidths = { n, rows: reached.get(n) ?? [] }
    if (holes.newest !== undefined) this.#sweep.start(holes.keys, encodeInteger(holes.newest))
  }

  /** Goes on with what a crash kept from being swept. */
  async sweep(): Promise<void> {
    const [erased, swept] = await Promise.all([this.#get(ERASED_KEY), this.#get(SWEPT_KEY)])
    if (!erased || (swept && equalBytes(erased, swept))) return
    const keys: Uint8Array[] = []
    for await (const [index, { entry, by }] of this.erasures()) {
      if (swept && by <= readInteger(swept, 0)) continue
      const piece = await this.#pieceOf(index)
      if (piece) keys.push(piece.key)
      keys.push(hashKey('w', entry), hashKey('x', entry))
    }
    this.#sweep.start(keys, erased)
  }

  /** Resolves when nothing that was erased before is left in LevelDB's files. */
  async swept(): Promise<void> {
    await this.#sweep.done()
    this.#sweep.check()
  }

  /** Undefined in a database that has no entry yet. */
  async signed(): Promise<Signed | undefined> {
    const value = await this.#get(HEAD_KEY)
    return value && decodeSigned(value)
  }

  /**
   * One query for all that a batch could collide with, and a second when something does.
   *
   * Of records the first asks for the unique keys alone. Their ids are among these, and are in every byte string that names the same
   * record: what has the entry of a record or its identity has its id, and came into the store together with it.
   */
  async holders(entries: readonly NewEntry[]): Promise<Holders[]> {
    const telling: Uint8Array[] = []
    for (const entry of entries) {
      if (entry.uniqueKeys && entry.uniqueKeys.length > 0) pushUniqueKeys(telling, entry)
      else pushNames(telling, entry)
    }
    // Nothing is what is nearly always found.
    if (isNothing(await this.#db.getMany(telling))) return entries.map(() => HELD_BY_NOBODY)

    const keys: Uint8Array[] = []
    for (const entry of entries) {
      pushNames(keys, entry)
      pushUniqueKeys(keys, entry)
    }
    const values = await this.#db.getMany(keys)
    let at = 0
    const next = () => {
      const [key, value] = [keys[at]!, values[at++]]
      return value && readInteger(this.#opened(key, value), 0)
    }
    return entries.map(({ identity, uniqueKeys = [], excludedBy = [] }) => ({
      entry: next(),
      identity: identity && next(),
      unique: [...uniqueKeys, ...excludedBy].map(next),
    }))
  }

  async locate(entry: Hash): Promise<EntryMeta | undefined> {
    const value = await this.#get(hashKey('d', entry))
    return value && decodeMeta(entry, value)
  }

  /** A full tile. */
  tile(level: number, index: number): Promise<Uint8Array | undefined> {
    return this.#get(tileKey(level, index))
  }

  /** A full entry bundle. */
  bundle(index: number): Promise<Uint8Array | undefined> {
    return this.#get(integerKey('e', index))
  }

  /** The statements of bundle `n` from place `from` on, packed, in one or several pieces. One after another: together they may be 64 MiB. */
  async *packedStatements(n: number, from = 0): AsyncGenerator<Uint8Array> {
    const range = packedRange(n, from, TILE_WIDTH)
    for await (const piece of this.#db.values({ ...range, highWaterMarkBytes: 256 * 1024 })) yield plain(piece)
  }

  /**
   * Those of bundle `n` before place `width`, where a piece ends, as far as there is room for them. In one go, since each turn in the thread pool costs as
   * much as reading a piece. Returns how many bytes.
   */
  async readStatements(n: number, width: number, target: Uint8Array): Promise<number> {
    const pieces = await this.#db.values({ ...packedRange(n, 0, width), highWaterMarkBytes: READ_AT_ONCE }).all()
    let at = 0
    for (const piece of pieces) {
      const part = piece.subarray(0, target.length - at)
      target.set(part, at)
      at += part.length
    }
    this.#db.letGo?.(pieces)
    return at
  }

  /** Empty when it was erased. */
  async statement(index: number): Promise<Uint8Array | undefined> {
    const piece = this.#recent.find(index) ?? (await this.#readPiece(index))
    if (!piece) return undefined
    let skip = index - piece.first
    // A copy: the statements beside it should not live as long as it does.
    for (const statement of unpack(piece.value)) if (skip-- === 0) return statement.slice()
    return undefined
  }

  async #readPiece(index: number): Promise<Piece | undefined> {
    const { state } = this.#recent
    const found = await this.#pieceOf(index)
    if (!found) return undefined
    const { first, value } = found
    const piece = { first, count: [...unpack(value)].length, value }
    this.#recent.add(piece, state)
    return piece
  }

  /** What was erased of the entry at `index`. */
  async erasure(index: number): Promise<Erasure | undefined> {
    const value = await this.#get(integerKey('g', index))
    return value && decodeErasure(value)
  }

  /** What was erased of the entries from `from` on and before `until`. */
  async *erasures(from = 0, until = 2 ** 48 - 1): AsyncGenerator<[index: number, erasure: Erasure]> {
    const range = { gte: integerKey('g', from), lt: integerKey('g', until) }
    for await (const [key, value] of this.#db.iterator(range)) {
      yield [readInteger(key, 1), decodeErasure(this.#opened(key, plain(value)))]
    }
  }

  /** Of most logs nothing was ever erased, and whoever reads their statements need not look for each bundle. */
  async hasErasures(): Promise<boolean> {
    if (this.#erased !== undefined) return this.#erased
    const found = await this.#db.iterator({ ...prefixRange(textKey('g', '')), limit: 1 }).all()
    // A commit meanwhile knows better.
    this.#erased ??= found.length > 0
    return this.#erased
  }

  /** The widths of level-0 tile `n` that there are; none when it was never reached. */
  async widths(n: number): Promise<readonly Width[]> {
    const value = await this.#get(integerKey('p', n))
    return value ? decodeWidths(value) : []
  }

  async wraps(entry: Hash): Promise<Uint8Array[]> {
    const value = await this.#get(hashKey('w', entry))
    return value ? [...unpack(value)] : []
  }

  async certificates(entry: Hash): Promise<Uint8Array[]> {
    const value = await this.#get(hashKey('x', entry))
    return value ? [...unpack(value)] : []
  }

  async latest(series: string): Promise<number | undefined> {
    const value = await this.#get(textKey('r', series))
    return value && readInteger(value, 0)
  }

  async latestAll(prefix: string, limit: number): Promise<number[]> {
    const found = await this.#db.iterator({ ...prefixRange(textKey('r', prefix)), limit }).all()
    return found.map(([key, value]) => readInteger(this.#opened(key, value), 0))
  }

  async byUnique(key: string): Promise<number | undefined> {
    const value = await this.#get(textKey('u', key))
    return value && readInteger(value, 0)
  }

  /** @param of - index of the record of the credential, behind which all of them are */
  async statuses(credentialDigest: string, limit: number, of = -1): Promise<number[]> {
    // Of what was committed since this was opened, it is known where the last status of any credential is.
    if (of >= (this.#committedFrom ?? Number.POSITIVE_INFINITY) && of > this.#lastStatus) return []
    const range = prefixRange(textKey('c', credentialDigest))
    const found = await this.#db.iterator({ ...range, reverse: true, limit }).all()
    return found.map(([key, value]) => indexInKey(key, this.#opened(key, value))).reverse()
  }

  async hasStatus(credentialDigest: string, index: number): Promise<boolean> {
    return (await this.#get(statusKey(credentialDigest, index))) !== undefined
  }

  /** Indexes of the statements that say who may write, in order. */
  async authorityStatements(): Promise<number[]> {
    const found = await this.#db.iterator(prefixRange(textKey('a', ''))).all()
    return found.map(([key, value]) => indexInKey(key, this.#opened(key, value)))
  }

  /** Everything under one letter, in order: for `fsck`, and with a few of them at a time for whoever has other things to do. */
  async *scan(letter: string, highWaterMarkBytes = 1024 * 1024): AsyncGenerator<Stored> {
    const range = prefixRange(textKey(letter, ''))
    for await (const [key, value] of this.#db.iterator({ ...range, highWaterMarkBytes })) {
      yield this.#stored(plain(key), plain(value))
    }
  }

  /**
   * All that is stored, in the order of keys, of one state: what one commit left. Nothing erased is in it, and nothing is swept meanwhile.
   *
   * @throws {@link LogError} `log_damaged` over a value that is not as it was written
   */
  async *dump(highWaterMarkBytes: number): AsyncGenerator<[key: Uint8Array, value: Uint8Array]> {
    const release = this.#sweep.hold()
    try {
      for await (const [key, value] of this.#db.iterator({ gte: Uint8Array.of(0), highWaterMarkBytes })) {
        yield [plain(key), this.#opened(key, plain(value))]
      }
    } finally {
      release()
    }
  }

  /** Puts what {@link dump} gave, some of it at a time. Into a store that nobody else uses, and that is none before all of it is there. */
  async load(rows: readonly Row[]): Promise<void> {
    await this.patch({ puts: rows, deletions: [] })
  }

  /** All of `patch` or none of it. Into a store that nobody else uses. */
  async patch({ puts, deletions }: Patch): Promise<void> {
    this.#erased = undefined
    const batch = this.#db.batch()
    for (const [key, value] of puts) batch.put(key, this.#sealed(key, value))
    for (const key of deletions) batch.del(key)
    await batch.write({ sync: true })
  }

  /** This store as {@link patch} would leave it, to be read and not written. */
  patched({ puts, deletions }: Patch): Store {
    const changes = [
      ...puts.map(([key, value]) => [key, this.#sealed(key, value)] as const),
      ...deletions.map((key) => [key, undefined] as const),
    ]
    return Store.over(new Overlay(this.#db, changes), { format: this.#checked ? NEWEST_FORMAT : 1 })
  }

  /** Those of `rows` that are not stored so. */
  async differing(rows: readonly Row[]): Promise<Differing[]> {
    const values = await this.#db.getMany(rows.map(([key]) => key))
    const found: Differing[] = []
    for (const [i, row] of rows.entries()) {
      const [stored, sealed] = [values[i], this.#sealed(...row)]
      if (!stored || !equalBytes(plain(stored), sealed)) found.push({ row, sealed, missing: !stored })
    }
    return found
  }

  /** All that is stored, whatever its key, in order. */
  async *everything(): AsyncGenerator<Stored> {
    for await (const [key, value] of this.#db.iterator({ gte: Uint8Array.of(0), highWaterMarkBytes: 1024 * 1024 })) {
      yield this.#stored(plain(key), plain(value))
    }
  }

  /** A store that was made out of a dump has never held what was erased. */
  async markSwept(): Promise<void> {
    const erased = await this.#get(ERASED_KEY)
    if (erased) await this.load([[SWEPT_KEY, erased]])
  }

  /** Keys that begin with no letter of ours. */
  async *strays(): AsyncGenerator<Uint8Array> {
    for (const range of betweenLetters()) {
      for await (const key of this.#db.keys(range)) yield plain(key)
    }
  }

  /** Which of `stored` are not found by their keys. An iterator sees what a get does not, where the filter of a table is damaged. */
  async notFound(stored: readonly Stored[]): Promise<Stored[]> {
    const values = await this.#db.getMany(stored.map(({ key }) => key))
    return stored.filter((_, i) => values[i] === undefined)
  }

  /** The widths of each tile that a batch reaches. */
  async #widthsAfter(first: number, entries: readonly NewEntry[]): Promise<Map<number, readonly Width[]>> {
    const n = Math.floor(first / TILE_WIDTH)
    this.#lastWidths ??= { n, rows: await this.widths(n) }
    const { rows } = this.#lastWidths
    if ((rows.at(-1)?.width ?? 0) !== first % TILE_WIDTH) {
      throw new LogError('log_damaged', `the widths of tile ${n} do not end at ${first}`)
    }
    const lengths = entries.map(({ statement }) => statement.length)
    return new Map(widthsAfter(first, lengths, rows).map((reached) => [reached.n, reached.rows]))
  }

  /** What the erasures of a batch change. Several may fall into one piece, and all into tiles that the batch reaches. */
  async #erase(first: number, entries: readonly NewEntry[], reached: Map<number, readonly Width[]>) {
    const deletions: Uint8Array[] = []
    const notes = new Map<number, Erasure>()
    const changed = new Map<number, { key: Uint8Array; parts: Uint8Array[] }>()
    let newest: number | undefined
    for (let i = 0; i < entries.length; i++) {
      const { erases } = entries[i]!
      if (!erases) continue
      const target = await this.locate(erases.entry)
      if (!target) throw new LogError('log_damaged', `what entry ${first + i} erases is not stored`)
      newest = first + i
      deletions.push(hashKey('w', erases.entry))
      if (erases.scope === 'statement') deletions.push(hashKey('x', erases.entry))
      // Of several records that erased a statement, the first is named.
      const before = notes.get(target.index) ?? (await this.erasure(target.index))
      if (before?.scope === 'statement') continue
      notes.set(target.index, { ...erases, by: newest })
      if (erases.scope === 'keys') continue

      const found = await this.#pieceOf(target.index)
      if (!found) throw new LogError('log_damaged', `statement ${target.index} is missing from the store`)
      const piece = changed.get(found.first) ?? { key: found.key, parts: [...unpack(found.value)] }
      changed.set(found.first, piece)
      const [at, n] = [target.index - found.first, Math.floor(target.index / TILE_WIDTH)]
      const gone = piece.parts[at]?.length ?? 0
      piece.parts[at] = NOTHING
      reached.set(n, widthsWithout(reached.get(n) ?? (await this.widths(n)), target.index % TILE_WIDTH, gone))
    }
    const puts: [key: Uint8Array, value: Uint8Array][] = []
    for (const [index, note] of notes) puts.push([integerKey('g', index), encodeErasure(note)])
    for (const { key, parts } of changed.values()) puts.push([key, pack(parts)])
    if (newest !== undefined) puts.push([ERASED_KEY, encodeInteger(newest)])
    return { puts, deletions, newest, keys: [...deletions, ...Array.from(changed.values(), ({ key }) => key)] }
  }

  #isChecked(key: Uint8Array): boolean {
    return this.#checked && !BOUND.has(key[0]!)
  }

  #sealed(key: Uint8Array, value: Uint8Array): Uint8Array {
    return this.#isChecked(key) ? withChecksum(key, value) : value
  }

  /** @throws {@link LogError} `log_damaged` */
  #opened(key: Uint8Array, value: Uint8Array): Uint8Array {
    return this.#isChecked(key) ? requireChecked(key, value) : value
  }

  #stored(key: Uint8Array, value: Uint8Array): Stored {
    const opened = this.#isChecked(key) ? checkedValue(key, value) : value
    return { key, value: opened ?? value, intact: opened !== undefined }
  }

  /** The packed value that statement `index` is in. */
  async #pieceOf(index: number): Promise<{ key: Uint8Array; first: number; value: Uint8Array } | undefined> {
    const gte = integerKey('s', index - (index % TILE_WIDTH))
    const [found] = await this.#db.iterator({ gte, lte: integerKey('s', index), reverse: true, limit: 1 }).all()
    return found && { key: plain(found[0]), first: readInteger(found[0], 1), value: plain(found[1]) }
  }

  #get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#reads.get(key)
  }
}

function isNothing(values: readonly unknown[]): boolean {
  for (const value of values) if (value !== undefined) return false
  return true
}

/** A few thousand statements. */
const RECENT_BYTES = 8 * 1024 * 1024
const PUT_TOGETHER = 48
/** A bundle of records is half a megabyte. */
export const READ_AT_ONCE = 768 * 1024

function packedRange(n: number, from: number, to: number) {
  return { gte: integerKey('s', n * TILE_WIDTH + from), lt: integerKey('s', n * TILE_WIDTH + to) }
}

/** Level hands out Node `Buffer`s, whose `slice` shares and whose `toString` differs. */
function plain(value: Uint8Array): Uint8Array {
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
}
