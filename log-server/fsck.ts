/**
 * Recomputing a log from its statements, and comparing with everything else that is stored.
 *
 * ```
 *   statements ─► entries ─► leaves ─► tiles ─► root ─► checkpoint, tree head ─► their signatures
 *        │           └► entry bundles                 └► guard
 *        └► indexes, in both directions: each statement is found by its keys, and each key leads to such a statement
 * ```
 *
 * Reads from front to back with memory for one tile a level. Statements' own signatures, authorities and links are the
 * auditor's: this asks whether the store holds what the log signed, not whether the log should have admitted it.
 *
 * LevelDB has no read-only mode: opening takes the lock, replays its own write-ahead log and may compact. Nothing is put.
 *
 * @module
 */
import { equalBytes, fromUtf8, toHex } from '../merkle/bytes.ts'
import { EvidenceError } from '../merkle/error.ts'
import { HASH_LENGTH, type Hash, sha256 } from '../merkle/hash.ts'
import { TILE_WIDTH } from '../merkle/tile.ts'
import type { Authorities } from '../provenance/authorities.ts'
import { foreignSigner } from '../provenance/foreign.ts'
import { isRecordStatement, recordOfStatement } from '../provenance/record.ts'
import { parseSignedStatement, statementIdentity } from '../statement/signed-statement.ts'
import { lacksCertificates } from '../statement/transparent-statement.ts'
import { FOREIGN, indexedBy } from './candidate.ts'
import { type LogConfig, paths, readLogConfig } from './directory.ts'
import { Edge, type EdgeTile } from './edge.ts'
import type { Erasure } from './erased.ts'
import { Guard, type Mark } from './guard.ts'
import { checkConfig, checkSignatures, rebuildAuthorities } from './log.ts'
import { Publication } from './publisher.ts'
import { StoredLog } from './reader.ts'
import { changesAuthority, type NewEntry, readInteger, type Signed, Store, unpack } from './store.ts'
import { LogError } from './types.ts'

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
 * @throws {@link LogError} `log_missing`, `log_locked`, `malformed_config`, `log_damaged` when the database cannot be read at all
 */
export async function fsckData(dataDir: string, progress?: (done: number, size: number) => void): Promise<FsckReport> {
  const config = await readLogConfig(dataDir)
  const store = await Store.open(paths(dataDir).store)
  try {
    return await new Fsck(store, config).run(paths(dataDir).guard, progress)
  } finally {
    await store.close()
  }
}

class Fsck {
  readonly #store: Store
  readonly #config: LogConfig
  readonly #findings: FsckFinding[] = []
  readonly #edge = new Edge()
  /** How many keys of each letter the statements lead to. */
  readonly #expected = { d: 0, i: 0, u: 0, c: 0, a: 0 }
  /** Indexes without a statement. Their keys stay: nothing can take the place of what was erased. */
  readonly #holes = new Set<number>()
  /** By erased entry in hex: what the erasure records say. */
  readonly #erased = new Map<string, Erasure[]>()
  /** Of the tile at hand, as its statements are. */
  #bundleBytes = 0

  constructor(store: Store, config: LogConfig) {
    this.#store = store
    this.#config = config
  }

  async run(guardPath: string, progress?: (done: number, size: number) => void): Promise<FsckReport> {
    const signed = await this.#store.signed().catch((error: unknown) => this.#unreadable('no_tree_head', error))
    if (signed === undefined) this.#found('no_tree_head', 'the store has no tree head that can be read')
    const guard = await Guard.read(guardPath).catch((error: unknown) => this.#unreadable('guard_unreadable', error))

    await this.#readStatements(guard, (done) => progress?.(done, signed?.head.size ?? done))
    const { size } = this.#edge
    const root = this.#edge.root()
    if (guard && guard.size > size) {
      this.#found('behind_guard', `size ${guard.size} was signed, and ${size} statements are stored`)
    }
    await this.#checkIndexes()
    await this.#checkErasures()
    const authorities = await this.#authorities()
    if (signed && authorities) await this.#checkSigned(signed, size, root, authorities)
    const findings = this.#findings
    return { sound: findings.length === 0, size, root: toHex(root), findings: findings.slice(0, MAX_FINDINGS) }
  }

  /** Every statement once, in order, with the tiles that it fills. */
  async #readStatements(guard: Mark | undefined, progress: (done: number) => void): Promise<void> {
    for await (const [key, packed] of this.#store.scan('s')) {
      const first = readInteger(key, 0)
      if (first !== this.#edge.size) {
        // What follows would be at other indexes: there is no tree left to compare with.
        this.#found('statement_gap', `statement ${this.#edge.size} is missing; the next one stored is ${first}`, first)
        return
      }
      const checks: Promise<void>[] = []
      const lengths: number[] = []
      for (const bytes of unpack(packed)) {
        const index = this.#edge.size
        const entry = bytes.length > 0 ? sha256(bytes) : await this.#entryOfHole(index)
        if (!entry) return
        this.#edge.append(entry)
        this.#compareGuard(guard)
        lengths.push(bytes.length)
        checks.push(this.#checkStatement(index, entry, bytes))
      }
      await Promise.all(checks)
      await this.#compareWidths(first, lengths)
      await this.#compareTiles(this.#edge.fullTiles)
      this.#edge.settle()
      progress(this.#edge.size)
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

  /** A piece ends where a batch or a tile does, or is full. So it is told of a width by the row that ends where it ends, if there is one. */
  async #compareWidths(first: number, lengths: readonly number[]): Promise<void> {
    const n = Math.floor(first / TILE_WIDTH)
    if (first % TILE_WIDTH === 0) this.#bundleBytes = 0
    this.#bundleBytes += lengths.reduce((sum, length) => sum + 4 + length, 0)
    const end = first + lengths.length - n * TILE_WIDTH
    const rows = await this.#store.widths(n).catch((error: unknown) => this.#unreadable('widths_mismatch', error))
    const row = rows?.find(({ width }) => width === end)
    if (row && row.bytes !== this.#bundleBytes) {
      this.#found(
        'widths_mismatch',
        `statement bundle ${n} has ${this.#bundleBytes} bytes at width ${end}, not ${row.bytes}`,
      )
    }
    if (end === TILE_WIDTH && !row) this.#found('widths_mismatch', `tile ${n} is full, and has no row that says so`)
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
    const [holders] = await this.#store.holders([{ ...described, entry, statement: bytes }])
    if (identity && holders?.identity !== index) this.#found('index_mismatch', 'not found by its identity', index)
    for (const [i, key] of uniqueKeys.entries()) {
      if (holders?.unique[i] !== index) this.#found('index_mismatch', `not the holder of ${key}`, index)
    }
    // A later one of the series may have taken its place, which it will then be asked about itself.
    if (series !== undefined && ((await this.#store.latest(series)) ?? -1) < index) {
      this.#found('index_mismatch', `newer than the newest of ${series}`, index)
    }
    if (status !== undefined && !(await this.#store.hasStatus(status, index))) {
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
      const statement = parseSignedStatement(bytes, { maxBytes: bytes.length })
      if (!equalBytes(statement.bytes, bytes)) throw new LogError('log_damaged', 'it is not in its one form')
      const { issuedAt = 0, kid: signer = '' } = statement.header
      if (!isRecordStatement(statement)) {
        const beside = lacksCertificates(bytes) ? await this.#store.certificates(entry) : []
        const found = { type: FOREIGN, issuedAt, identity: statementIdentity(statement) }
        return { ...found, signer: foreignSigner(statement, beside) }
      }
      return { issuedAt, signer, ...indexedBy(statement, recordOfStatement(statement), signer) }
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
      for await (const [key, value] of this.#store.scan(letter)) {
        // Of what the others led to there is nothing left to tell by.
        const index = readInteger(value.length > 0 ? value : key.subarray(-6), 0)
        if (letter === 'd' || !this.#holes.has(index)) count++
      }
      if (count !== expected)
        this.#found('index_mismatch', `${count} keys under ${letter}, where statements have ${expected}`)
    }
    for await (const [key, value] of this.#store.scan('r')) {
      const [series, index] = [fromUtf8(key), readInteger(value, 0)]
      if (this.#holes.has(index)) continue
      const bytes = await this.#store.statement(index)
      if (!bytes || (await this.#describe(index, sha256(bytes), bytes))?.series !== series) {
        this.#found('index_mismatch', `the newest of ${series} is said to be there`, index)
      }
    }
    for (const [letter, what] of [
      ['w', 'wraps'],
      ['x', 'certificates'],
    ] as const) {
      for await (const [entry] of this.#store.scan(letter)) {
        if (!(await this.#store.locate(entry)))
          this.#found('index_mismatch', `${what} of ${toHex(entry)}, which is not here`)
      }
    }
  }

  /** What is gone, a record erased; and what a record erased, is gone. */
  async #checkErasures(): Promise<void> {
    for await (const [index, { entry, by, scope }] of this.#store.erasures()) {
      const records = this.#erased.get(toHex(entry)) ?? []
      if (!records.some((record) => record.by === by && record.scope === scope)) {
        this.#found('hole_unexplained', `entry ${by} is no record that erased this`, index)
      }
    }
    for (const [name, records] of this.#erased) {
      const { entry } = records[0]!
      const meta = await this.#store.locate(entry)
      if (!meta) {
        this.#found('erasure_incomplete', `${name} is not here`, records[0]!.by)
        continue
      }
      if ((await this.#store.wraps(entry)).length > 0)
        this.#found('erasure_incomplete', 'has its wraps still', meta.index)
      if (!records.some(({ scope }) => scope === 'statement')) continue
      const beside = await this.#store.certificates(entry)
      if (!this.#holes.has(meta.index) || beside.length > 0) {
        this.#found('erasure_incomplete', 'has its statement or certificates still', meta.index)
      }
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
