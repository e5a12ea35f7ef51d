/**
 * Recomputing a log from its statements, and comparing with everything else that is stored.
 *
 * ```
 *   statements ─► entries ─► leaves ─► tiles ─► root ─► checkpoint, tree head ─► their signatures
 *        │           └► entry bundles                 └► guard
 *        └► indexes, in both directions: each statement is found by its keys, and each key leads to such a statement
 * ```
 *
 * and the checksums: of each value that no root tells, of LevelDB's files. And the keys of the log, config.json, the guard.
 *
 * Reads from front to back with memory for one tile a level. Statements' own signatures, authorities and links are the
 * auditor's: this asks whether the store holds what the log signed, not whether the log should have admitted it.
 *
 * LevelDB has no read-only mode: opening takes the lock, replays its own write-ahead log and may compact. Nothing is put. Its files are looked at
 * before that, as they are.
 *
 * @module
 */
import { equalBytes, toHex } from '../../merkle/bytes.ts'
import { EvidenceError } from '../../merkle/error.ts'
import { EMPTY_ROOT, HASH_LENGTH, type Hash, sha256 } from '../../merkle/hash.ts'
import { TILE_WIDTH } from '../../merkle/tile.ts'
import type { Authorities } from '../../provenance/rules/authorities.ts'
import { checkConfig, checkSignatures, rebuildAuthorities } from '../log.ts'
import { StoredLog } from '../reading/reader.ts'
import { Edge, type EdgeTile } from '../sequencing/edge.ts'
import { Publication } from '../sequencing/publisher.ts'
import { type LogConfig, paths, readLogConfig } from '../storage/directory.ts'
import { changesAuthority, type NewEntry } from '../storage/entry-rows.ts'
import { decodeErasure, type Erasure } from '../storage/erased.ts'
import { Guard, type Mark } from '../storage/guard.ts'
import { checkLevelFiles } from '../storage/level/files.ts'
import { Store } from '../storage/store.ts'
import { readInteger, type Signed, unpack } from '../storage/stored-values.ts'
import { type EntryMeta, LogError } from '../types.ts'
import { describeStatement } from './described.ts'
import { readFrozen } from './freeze.ts'
import { checkKeyFiles } from './fsck-keys.ts'
import { checkValues } from './fsck-values.ts'

/** What may be wrong. */
export type FsckCode =
  | 'no_tree_head' //          nothing was ever signed
  | 'bad_signature' //         checkpoint or tree head does not verify, or they are of two trees
  | 'root_mismatch' //         the statements do not lead to the signed root
  | 'statement_gap' //         an index without a statement, or more statements than were signed for
  | 'malformed_statement' //   stored bytes that are no statement, or not in their one form
  | 'index_mismatch' //        an index is missing, or leads elsewhere
  | 'hole_unexplained' //      a statement is gone, and no record on the log erased it
  | 'erasure_incomplete' //    a record erased something that is still stored
  | 'widths_mismatch' //       the widths that were published are not those of this tree
  | 'tile_missing' //          a full tile or entry bundle is not there
  | 'tile_mismatch' //         a full tile or entry bundle holds something else
  | 'authority_mismatch' //    what says who may write cannot be replayed
  | 'guard_unreadable' //      no guard, or not as we write it
  | 'behind_guard' //          more was signed than is stored
  | 'forked' //                another tree was signed at the guard's size
  | 'file_damaged' //          a file of the database is not as LevelDB wrote it
  | 'value_damaged' //         a stored value, or its key, is not as we wrote it
  | 'stray_value' //           something is stored that belongs to no entry
  | 'frozen_damaged' //      what says that the log is frozen cannot be read, or is of another tree
  | 'key_damaged' //           the file of a private key holds none, or not the one that it is named after

export interface FsckFinding {
  readonly code: FsckCode
  readonly detail: string
  /** Of the entry, where it is about one. */
  readonly index?: number
}

export interface FsckReport {
  /** Nothing was found. */
  readonly sound: boolean
  /** As recomputed. */
  readonly size: number
  /** Lower-case hex, as recomputed. */
  readonly root: string
  /** The first {@link MAX_FINDINGS}. */
  readonly findings: readonly FsckFinding[]
}

const MAX_FINDINGS = 100

/**
 * @param progress called now and then with how many statements were read, and of how many
 * @throws {@link LogError} `log_missing`, `log_locked`, `malformed_config`
 */
export async function fsckData(dataDir: string, progress?: (done: number, size: number) => void): Promise<FsckReport> {
  return fsckDirectory(dataDir, await readLogConfig(dataDir), progress)
}

/** As {@link fsckData}, of a directory that is not a log yet. */
export async function fsckDirectory(
  dataDir: string,
  config: LogConfig,
  progress?: (done: number, size: number) => void,
): Promise<FsckReport> {
  const at = paths(dataDir)
  const found = await checkFiles(dataDir, config)
  const store = await openWhatThereIs(at.store, config, found)
  if (!store) return reportOf(found, 0, EMPTY_ROOT)
  try {
    const report = await fsckStore(store, config, at.guard, { found, progress })
    const frozen = await readFrozen(dataDir).catch(ignoreEvidence)
    if (!frozen || (frozen.size === report.size && toHex(frozen.root) === report.root)) return report
    const detail = `the log was frozen at size ${frozen.size}, and that is not the tree that it has`
    return { ...report, sound: false, findings: [...report.findings, { code: 'frozen_damaged', detail }] }
  } finally {
    await store.close()
  }
}

/** LevelDB's files, those of the keys, and the mark of a frozen log, as they are. */
export async function checkFiles(dataDir: string, config: LogConfig): Promise<FsckFinding[]> {
  const found: FsckFinding[] = []
  for (const { file, detail } of await checkLevelFiles(paths(dataDir).store))
    found.push({ code: 'file_damaged', detail: `${file}: ${detail}` })
  found.push(...(await checkKeyFiles(dataDir, config)))
  await readFrozen(dataDir).catch((error: unknown) => {
    ignoreEvidence(error)
    found.push({ code: 'frozen_damaged', detail: (error as Error).message })
  })
  return found
}

function ignoreEvidence(error: unknown): undefined {
  if (!(error instanceof EvidenceError)) throw error
  return undefined
}

/**
 * Undefined where a file of LevelDB is damaged, or it would not open what there is: one more finding, then. A damaged table it would read, with checks that end
 * the process before anything was said; and it may write what is in it into another, under a checksum that is right.
 */
export async function openWhatThereIs(
  location: string,
  config: LogConfig,
  found: FsckFinding[],
): Promise<Store | undefined> {
  if (found.some(({ code }) => code === 'file_damaged')) return undefined
  return Store.open(location, config).catch((error: unknown) => {
    if (!(error instanceof LogError) || error.code !== 'log_damaged') throw error
    found.push({ code: 'file_damaged', detail: error.message })
    return undefined
  })
}

/** As {@link fsckDirectory}, of a store that is open. @param found - what was found before */
export async function fsckStore(
  store: Store,
  config: LogConfig,
  guardPath: string,
  {
    found = [],
    progress,
  }: { found?: readonly FsckFinding[]; progress?: ((done: number, size: number) => void) | undefined } = {},
): Promise<FsckReport> {
  return new Fsck(store, config, [...found]).run(guardPath, progress)
}

function reportOf(findings: readonly FsckFinding[], size: number, root: Hash): FsckReport {
  return { sound: findings.length === 0, size, root: toHex(root), findings: findings.slice(0, MAX_FINDINGS) }
}

class Fsck {
  readonly #store: Store
  readonly #config: LogConfig
  readonly #findings: FsckFinding[]
  readonly #edge = new Edge()
  /** How many keys of each letter the statements lead to. */
  readonly #expected = { d: 0, i: 0, u: 0, c: 0, a: 0 }
  /** Indexes without a statement. Their keys stay: nothing can take the place of what was erased. */
  readonly #holes = new Set<number>()
  /** By erased entry in hex: what the erasure records say. */
  readonly #erased = new Map<string, Erasure[]>()
  /** Of the tile at hand: where its pieces end, and how many bytes of its bundle are before that. */
  #pieceEnds = new Map<number, number>()
  #bundleBytes = 0

  constructor(store: Store, config: LogConfig, findings: FsckFinding[]) {
    this.#store = store
    this.#config = config
    this.#findings = findings
  }

  async run(guardPath: string, progress?: (done: number, size: number) => void): Promise<FsckReport> {
    try {
      await this.#readAll(guardPath, progress)
    } catch (error) {
      // A block that LevelDB itself cannot make anything of: there is no reading on behind it.
      if (!isLevelError(error)) throw error
      this.#found('file_damaged', (error as Error).message)
    }
    return reportOf(this.#findings, this.#edge.size, this.#edge.root())
  }

  async #readAll(guardPath: string, progress?: (done: number, size: number) => void): Promise<void> {
    const signed = await this.#store.signed().catch((error: unknown) => this.#unreadable('no_tree_head', error))
    if (signed === undefined) this.#found('no_tree_head', 'the store has no tree head that can be read')
    const guard = await Guard.read(guardPath).catch((error: unknown) => this.#unreadable('guard_unreadable', error))
    await this.#readStatements(guard, (done) => progress?.(done, signed?.head.size ?? done))
    const { size } = this.#edge
    if (guard && guard.size > size) {
      this.#found('behind_guard', `size ${guard.size} was signed, and ${size} statements are stored`)
    }
    await this.#checkIndexes()
    await this.#checkErasures()
    for (const { code, detail } of await checkValues(this.#store, size)) this.#found(code, detail)
    const authorities = await this.#authorities()
    if (signed && authorities) await this.#checkSigned(signed, size, this.#edge.root(), authorities)
  }

  /** Every statement once, in order, with the tiles that it fills. */
  async #readStatements(guard: Mark | undefined, progress: (done: number) => void): Promise<void> {
    for await (const { key, value: packed } of this.#store.scan('s')) {
      const first = key.length === 7 ? readInteger(key, 1) : -1
      if (first !== this.#edge.size) {
        // What follows would be at other indexes: there is no tree left to compare with.
        this.#found('statement_gap', `statement ${this.#edge.size} is missing; the next one stored is ${first}`, first)
        return
      }
      const checks: Promise<void>[] = []
      for (const bytes of this.#unpacked(packed, first)) {
        const index = this.#edge.size
        const entry = bytes.length > 0 ? sha256(bytes) : await this.#entryOfHole(index)
        if (!entry) return
        this.#edge.append(entry)
        this.#compareGuard(guard)
        checks.push(this.#checkStatement(index, entry, bytes))
      }
      await Promise.all(checks)
      if (this.#edge.size === first) return
      this.#endPiece(first, packed.length)
      if (this.#edge.size % TILE_WIDTH === 0) await this.#compareWidths()
      await this.#compareTiles(this.#edge.fullTiles)
      this.#edge.settle()
      progress(this.#edge.size)
    }
    if (this.#edge.size % TILE_WIDTH !== 0) await this.#compareWidths()
  }

  #unpacked(packed: Uint8Array, first: number): Uint8Array[] {
    try {
      return [...unpack(packed)]
    } catch (error) {
      this.#unreadable('malformed_statement', error, first)
      return []
    }
  }

  /** What the store says that it was; the root tells whether that is true. */
  async #entryOfHole(index: number): Promise<Hash | undefined> {
    const erasure = await this.#store
      .erasure(index)
      .catch((error: unknown) => this.#unreadable('index_mismatch', error))
    this.#holes.add(index)
    if (erasure?.scope === 'statement') return erasure.entry
    this.#found('hole_unexplained', 'there is no statement, and no note of which one there was', index)
    return undefined
  }

  #endPiece(first: number, bytes: number): void {
    if (first % TILE_WIDTH === 0) {
      this.#pieceEnds.clear()
      this.#bundleBytes = 0
    }
    this.#bundleBytes += bytes
    this.#pieceEnds.set(((this.#edge.size - 1) % TILE_WIDTH) + 1, this.#bundleBytes)
  }

  /** Of the tile at hand. A piece ends where a batch or a tile does, or is full: so there is one that ends where a row does, and none behind the last row. */
  async #compareWidths(): Promise<void> {
    const n = Math.floor((this.#edge.size - 1) / TILE_WIDTH)
    const rows = await this.#store.widths(n).catch((error: unknown) => this.#unreadable('widths_mismatch', error))
    if (!rows) return
    for (const { width, bytes } of rows) {
      const found = this.#pieceEnds.get(width)
      if (found !== bytes) {
        this.#found(
          'widths_mismatch',
          `statement bundle ${n} has ${found ?? 'no'} bytes at width ${width}, not ${bytes}`,
        )
      }
    }
    const width = ((this.#edge.size - 1) % TILE_WIDTH) + 1
    if (rows.at(-1)?.width !== width) this.#found('widths_mismatch', `tile ${n} is ${width} wide, and no row says so`)
  }

  #compareGuard(guard: Mark | undefined): void {
    if (guard?.size !== this.#edge.size || equalBytes(guard.root, this.#edge.root())) return
    this.#found('forked', `another tree of size ${guard.size} was signed than is stored`)
  }

  async #checkStatement(index: number, entry: Hash, bytes: Uint8Array): Promise<void> {
    this.#expected.d++
    const meta = await this.#store.locate(entry).catch((error: unknown) => this.#unreadable('index_mismatch', error))
    if (meta?.index !== index) {
      this.#found('index_mismatch', `by its digest it is at ${meta?.index ?? 'no index'}`, index)
      return
    }
    if (meta.type === 'raw' && (meta.issuedAt !== 0 || meta.signer !== '')) {
      this.#found('index_mismatch', `raw, and of ${meta.signer} at ${meta.issuedAt}`, index)
    }
    if (meta.type === 'raw' || bytes.length === 0) return
    const described = await this.#describe(index, entry, bytes)
    if (!described) return
    const { type, issuedAt, signer, identity, uniqueKeys = [], series, status, erases } = described
    if (erases) {
      const name = toHex(erases.entry)
      this.#erased.set(name, [...(this.#erased.get(name) ?? []), { ...erases, by: index }])
    }
    if (meta.type !== type || meta.issuedAt !== issuedAt || meta.signer !== signer) {
      this.#found('index_mismatch', `indexed as ${meta.type} of ${meta.signer} at ${meta.issuedAt}`, index)
    }
    this.#expected.i += identity ? 1 : 0
    this.#expected.u += uniqueKeys.length
    this.#expected.c += status === undefined ? 0 : 1
    this.#expected.a += changesAuthority(type) ? 1 : 0
    const [holders] = await this.#store
      .holders([{ ...described, entry, statement: bytes }])
      .catch((error: unknown) => [this.#unreadable('index_mismatch', error, index)])
    if (identity && holders?.identity !== index) this.#found('index_mismatch', 'not found by its identity', index)
    for (const [i, key] of uniqueKeys.entries()) {
      if (holders?.unique[i] !== index) this.#found('index_mismatch', `not the holder of ${key}`, index)
    }
    // A later one of the series may have taken its place, which it will then be asked about itself.
    const stored = (error: unknown) => this.#unreadable('index_mismatch', error, index)
    if (series !== undefined && ((await this.#store.latest(series).catch(stored)) ?? -1) < index) {
      this.#found('index_mismatch', `newer than the newest of ${series}`, index)
    }
    if (status !== undefined && !(await this.#store.hasStatus(status, index).catch(stored))) {
      this.#found('index_mismatch', `not among the status records of ${status}`, index)
    }
  }

  /** What the indexes must say of a statement. */
  async #describe(
    index: number,
    entry: Hash,
    bytes: Uint8Array,
  ): Promise<Omit<NewEntry, 'statement' | 'entry'> | undefined> {
    try {
      return await describeStatement(this.#store, entry, bytes)
    } catch (error) {
      const lost = error instanceof EvidenceError && error.code === 'certificate_missing'
      return this.#unreadable(lost ? 'index_mismatch' : 'malformed_statement', error, index)
    }
  }

  async #compareTiles(tiles: readonly EdgeTile[]): Promise<void> {
    for (const { level, index, nodes, bundle } of tiles) {
      this.#compare(
        `tile ${level}/${index}`,
        await this.#store.tile(level, index),
        nodes.subarray(0, 256 * HASH_LENGTH),
      )
      if (bundle) this.#compare(`entry bundle ${index}`, await this.#store.bundle(index), bundle)
    }
  }

  #compare(name: string, stored: Uint8Array | undefined, computed: Uint8Array): void {
    if (!stored) this.#found('tile_missing', `${name} is not stored`)
    else if (!equalBytes(stored, computed)) this.#found('tile_mismatch', `${name} is not what its statements lead to`)
  }

  async #checkSigned(signed: Signed, size: number, root: Hash, authorities: Authorities): Promise<void> {
    const { head } = signed
    const rows = await this.#store.widths(Math.floor((head.size - 1) / TILE_WIDTH)).catch(() => [])
    const last = rows.at(-1)
    if (!last?.published || last.width !== ((head.size - 1) % TILE_WIDTH) + 1) {
      this.#found('widths_mismatch', `size ${head.size} was signed, and no width of its last tile says so`)
    }
    if (head.size !== size) {
      this.#found('statement_gap', `${head.size} entries were signed, and ${size} are stored`)
      return
    }
    if (!equalBytes(head.root, root)) {
      const detail = `size ${size} was signed with root ${toHex(head.root)}, and the statements lead to ${toHex(root)}`
      this.#found('root_mismatch', detail)
      return
    }
    try {
      checkConfig(this.#config, authorities)
      const reader = new StoredLog(this.#store, this.#edge, new Publication(signed))
      await checkSignatures(signed, reader, authorities)
    } catch (error) {
      this.#unreadable('bad_signature', error)
    }
  }

  async #authorities(): Promise<Authorities | undefined> {
    return rebuildAuthorities(this.#store).catch((error: unknown) => this.#unreadable('authority_mismatch', error))
  }

  /**
   * From keys to statements. Each statement was found by its keys above, so where there are as many keys as statements lead to,
   * there is none that leads elsewhere. Series are fewer than their statements, and each is looked at.
   */
  async #checkIndexes(): Promise<void> {
    for (const [letter, expected] of Object.entries(this.#expected)) {
      let count = 0
      for await (const { key, value, intact } of this.#store.scan(letter)) {
        // Of what the others led to there is nothing left to tell by.
        const index = readIndex(value.length > 0 ? value : key.subarray(-6))
        if (letter === 'd' || !intact || !this.#holes.has(index)) count++
      }
      if (count !== expected)
        this.#found('index_mismatch', `${count} keys under ${letter}, where statements have ${expected}`)
    }
    for await (const { key, value, intact } of this.#store.scan('r')) {
      const [series, index] = [Buffer.from(key.subarray(1)).toString(), readIndex(value)]
      if (!intact || this.#holes.has(index)) continue
      const bytes = await this.#store
        .statement(index)
        .catch((error: unknown) => this.#unreadable('malformed_statement', error))
      if (!bytes || (await this.#describe(index, sha256(bytes), bytes))?.series !== series) {
        this.#found('index_mismatch', `the newest of ${series} is said to be there`, index)
      }
    }
    for (const [letter, what] of [
      ['w', 'wraps'],
      ['x', 'certificates'],
    ] as const) {
      for await (const { key } of this.#store.scan(letter)) {
        const entry = key.subarray(1)
        if (!(await this.#locate(entry))) this.#found('stray_value', `${what} of ${toHex(entry)}, which is not here`)
      }
    }
  }

  /** What is gone, a record erased; and what a record erased, is gone. */
  async #checkErasures(): Promise<void> {
    for await (const { key, value, intact } of this.#store.scan('g')) {
      if (!intact) continue
      const index = readIndex(key.subarray(1))
      const erasure = this.#decodeErasure(index, value)
      if (!erasure) continue
      const { entry, by, scope } = erasure
      const records = this.#erased.get(toHex(entry)) ?? []
      if (!records.some((record) => record.by === by && record.scope === scope)) {
        this.#found('hole_unexplained', `entry ${by} is no record that erased this`, index)
      }
    }
    for (const [name, records] of this.#erased) {
      const { entry } = records[0]!
      const meta = await this.#locate(entry)
      if (!meta) {
        this.#found('erasure_incomplete', `${name} is not here`, records[0]!.by)
        continue
      }
      if (!(await this.#noted(meta.index))) this.#found('erasure_incomplete', 'no note says so', meta.index)
      const kept = (parts: Promise<Uint8Array[]>) => parts.then(({ length }) => length > 0).catch(() => true)
      if (await kept(this.#store.wraps(entry))) this.#found('erasure_incomplete', 'has its wraps still', meta.index)
      if (!records.some(({ scope }) => scope === 'statement')) continue
      if (!this.#holes.has(meta.index) || (await kept(this.#store.certificates(entry)))) {
        this.#found('erasure_incomplete', 'has its statement or certificates still', meta.index)
      }
    }
  }

  async #locate(entry: Hash): Promise<EntryMeta | undefined> {
    return this.#store.locate(entry).catch((error: unknown) => this.#unreadable('index_mismatch', error))
  }

  async #noted(index: number): Promise<boolean> {
    return this.#store.erasure(index).then(
      (note) => note !== undefined,
      () => true, // found where all notes are read
    )
  }

  #decodeErasure(index: number, value: Uint8Array): Erasure | undefined {
    try {
      return decodeErasure(value)
    } catch (error) {
      return this.#unreadable('hole_unexplained', error, index)
    }
  }

  #found(code: FsckCode, detail: string, index?: number): void {
    this.#findings.push({ code, detail, ...(index !== undefined && { index }) })
  }

  #unreadable(code: FsckCode, error: unknown, index?: number): undefined {
    if (!(error instanceof EvidenceError)) throw error
    this.#found(code, error.message, index)
    return undefined
  }
}

/** An index that is cut short leads nowhere. */
function readIndex(value: Uint8Array): number {
  return value.length >= 6 ? readInteger(value, 0) : -1
}

/** What LevelDB says of its own files. */
function isLevelError(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' && code.startsWith('LEVEL_')
}
