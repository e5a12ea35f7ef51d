/**
 * Mending a log where it is proven to be safe: what follows from the statements under a signed root is made again, and nothing else is touched.
 *
 * ```
 *   statements ─► tiles, entry bundles, indexes ─► what is stored otherwise ─► a patch
 *                                                     fsck of the store as the patch would leave it: not a finding ─► written, in one batch
 *                                                                                                        any ─► nothing is written
 * ```
 *
 * So fsck says whether a log can be mended, before anything is changed: statements, wraps, certificates, signatures, widths that were published, erasure notes, keys
 * and the guard are as they are in both, and a complaint about one of them stays one. Nothing is removed but what is, to the byte, a value that
 * its own key has lost: a key of which a bit is another one. Whatever else lies where nothing belongs may be all that is left of something.
 *
 * Files that LevelDB would not have written are refused: what else stood in them nobody knows. Its own repair keeps what it can read, and is never called.
 *
 * @module
 */
import { toHex } from '../../merkle/bytes.ts'
import { EvidenceError } from '../../merkle/error.ts'
import { EMPTY_ROOT, HASH_LENGTH, type Hash, sha256 } from '../../merkle/hash.ts'
import { TILE_WIDTH } from '../../merkle/tile.ts'
import { Edge } from '../sequencing/edge.ts'
import { paths, readLogConfig } from '../storage/directory.ts'
import { indexRows, type Row, tileRows } from '../storage/entry-rows.ts'
import type { Patch, Store, Stored } from '../storage/store.ts'
import { readInteger, unpack } from '../storage/stored-values.ts'
import { type EntryMeta, LogError } from '../types.ts'
import { describeStatement, isStatement } from './described.ts'
import { checkFiles, type FsckFinding, type FsckReport, fsckStore, openWhatThereIs } from './fsck.ts'

export interface RepairOptions {
  readonly dataDir: string
  /** Only says what it would do. */
  readonly dryRun?: boolean
}

export interface Repaired {
  /** As the log is now; in a dry run, as it would be. */
  readonly sound: boolean
  readonly size: number
  /** Lower-case hex, as recomputed. */
  readonly root: string
  /** What was wrong. */
  readonly found: readonly FsckFinding[]
  /** How many values were made again, by what they are. In a dry run, how many would be. */
  readonly mended: Readonly<Record<string, number>>
  /** What is in the way, and then nothing was changed. */
  readonly left: readonly FsckFinding[]
}

const NOTHING: Patch = { puts: [], deletions: [] }

/** What is derived, by the letters of its keys. */
const DERIVED: Readonly<Record<string, string>> = {
  e: 'entry bundles',
  h: 'hash tiles',
  d: 'names of entries',
  i: 'identities',
  u: 'unique keys',
  r: 'newest of a series',
  c: 'statuses of a credential',
  a: 'authority statements',
}

/** Of what is not in the store, or of the files that it is in. */
const IN_FILES: ReadonlySet<FsckFinding['code']> = new Set([
  'file_damaged',
  'key_damaged',
  'guard_unreadable',
  'frozen_damaged',
])

/** All in one batch, so that there is no half of it after a crash. Whoever has lost more than that of tiles and indexes has lost a disk. */
const MAX_PATCH_BYTES = 64 * 1024 * 1024

/** @throws {@link LogError} `log_missing`, `log_locked`, `malformed_config`; `log_damaged` where too much would have to be made again */
export async function repairLog({ dataDir, dryRun = false }: RepairOptions): Promise<Repaired> {
  const config = await readLogConfig(dataDir)
  const at = paths(dataDir)
  const files = await checkFiles(dataDir, config)
  const store = await openWhatThereIs(at.store, config, files)
  if (!store) return { sound: false, size: 0, root: toHex(EMPTY_ROOT), found: files, mended: {}, left: files }
  try {
    const before = await fsckStore(store, config, at.guard, { found: files })
    if (before.sound || before.findings.some(({ code }) => IN_FILES.has(code))) return repaired(before, before, NOTHING)
    const patch = await planPatch(store)
    const would = await fsckStore(store.patched(patch), config, at.guard)
    if (!would.sound) return repaired(before, would, NOTHING)
    if (dryRun) return repaired(before, would, patch)
    await store.patch(patch)
    const after = await fsckStore(store, config, at.guard)
    const [finding] = after.findings
    if (finding)
      throw new LogError('log_damaged', `what was mended is not read back as it was written: ${finding.detail}`)
    return repaired(before, after, patch)
  } finally {
    await store.close()
  }
}

function repaired({ findings: found }: FsckReport, after: FsckReport, { puts }: Patch): Repaired {
  const mended: Record<string, number> = {}
  for (const [key] of puts) {
    const what = DERIVED[String.fromCharCode(key[0]!)]!
    mended[what] = (mended[what] ?? 0) + 1
  }
  const { sound, size, root, findings: left } = after
  return { sound, size, root, found, mended, left }
}

/** What would have to be written for the store to have all that its statements lead to; as far as they can be read. */
async function planPatch(store: Store): Promise<Patch> {
  const plan = new Plan(store)
  await plan.readStatements()
  await plan.compareSeries()
  return { puts: plan.puts, deletions: await plan.misplaced() }
}

class Plan {
  readonly puts: Row[] = []
  readonly #store: Store
  readonly #edge = new Edge()
  /** By the key of a series: what leads to the newest of it that has its statement. */
  readonly #series = new Map<string, { type: string; index: number; row: Row }>()
  /** Index of the last that was erased, by its type. Which series it was of, only its statement said. */
  readonly #lastErased = new Map<string, number>()
  /** Keys in {@link Plan.puts}, in hex. */
  readonly #keys = new Set<string>()
  /** In hex, what is to be put where nothing is, as it would be stored. */
  readonly #lost = new Set<string>()
  #bytes = 0

  constructor(store: Store) {
    this.#store = store
  }

  async readStatements(): Promise<void> {
    for await (const { key, value: packed } of this.#store.scan('s')) {
      if (key.length !== 7) continue // another's key, perhaps
      if (readInteger(key, 1) !== this.#edge.size) return
      const rows: Row[] = []
      for (const bytes of partsOf(packed)) {
        const index = this.#edge.size
        const entry = bytes.length > 0 ? sha256(bytes) : await this.#entryOfHole(index)
        if (!entry) return
        this.#edge.append(entry)
        if (bytes.length > 0) rows.push(...(await this.#rowsOf(index, entry, bytes)))
        else await this.#noteErased(index, entry)
      }
      const full = this.#edge.fullTiles
      rows.push(
        ...tileRows({
          tiles: full.map(({ level, index, nodes }) => ({
            ...{ level, index },
            hashes: nodes.slice(0, TILE_WIDTH * HASH_LENGTH),
          })),
          bundles: full.flatMap(({ index, bundle }) => (bundle ? [{ index, bytes: bundle }] : [])),
        }),
      )
      this.#edge.settle()
      await this.#compare(rows)
    }
  }

  /** The newest of a series may have been erased: then nothing says any more of which it was. */
  async compareSeries(): Promise<void> {
    for (const { type, index, row } of this.#series.values()) {
      if (index > (this.#lastErased.get(type) ?? -1)) await this.#compare([row])
    }
  }

  /** Keys that nothing leads to, under which is what another has lost. */
  async misplaced(): Promise<Uint8Array[]> {
    if (this.#lost.size === 0) return []
    const found: Uint8Array[] = []
    for await (const stored of this.#store.everything()) {
      const { key, value } = stored
      if (this.#hasPlace(stored) || this.#keys.has(toHex(key))) continue
      // What is empty is like anything else that is.
      if (value.length > 0 && this.#lost.has(toHex(value))) found.push(key)
    }
    return found
  }

  #hasPlace({ key, intact }: Stored): boolean {
    const { size } = this.#edge
    switch (String.fromCharCode(key[0]!)) {
      case 's':
        return key.length === 7
      case 'e':
        return key.length === 7 && readInteger(key, 1) < Math.floor(size / TILE_WIDTH)
      case 'h':
        return key.length === 8 && readInteger(key, 2) < Math.floor(size / TILE_WIDTH ** (key[1]! + 1))
      default:
        return intact
    }
  }

  async #entryOfHole(index: number): Promise<Hash | undefined> {
    const erasure = await this.#store.erasure(index).catch(orUndefined)
    return erasure?.scope === 'statement' ? erasure.entry : undefined
  }

  /** What its index says; where that is damaged, nothing is mended. */
  async #noteErased(index: number, entry: Hash): Promise<void> {
    const meta = await this.#store.locate(entry).catch(orUndefined)
    if (meta) this.#lastErased.set(meta.type, index)
  }

  /** None, where it takes more than the statement to tell. */
  async #rowsOf(index: number, entry: Hash, bytes: Uint8Array): Promise<Row[]> {
    const meta: EntryMeta | undefined = await this.#store.locate(entry).catch(orUndefined)
    if (meta?.type === 'raw' || (!meta && !isStatement(bytes))) {
      return indexRows(index, { type: 'raw', issuedAt: 0, signer: '', entry, statement: bytes })
    }
    const described = await describeStatement(this.#store, entry, bytes).catch(orUndefined)
    if (!described) return []
    const rows: Row[] = []
    for (const row of indexRows(index, { ...described, entry, statement: bytes })) {
      if (letterOf(row) === 'r') this.#series.set(described.series!, { type: described.type, index, row })
      else rows.push(row)
    }
    // A statement that came in raw was never verified, and must not become a record by what was damaged: its identity says that it was none.
    if (!meta && (await this.#store.differing(rows.filter((row) => letterOf(row) === 'i'))).length > 0) return []
    return rows
  }

  async #compare(rows: readonly Row[]): Promise<void> {
    for (const { row, sealed, missing } of await this.#store.differing(rows)) {
      const [key] = row
      this.#bytes += key.length + sealed.length
      if (this.#bytes > MAX_PATCH_BYTES) {
        throw new LogError('log_damaged', 'more than 64 MiB of tiles and indexes are not what the statements lead to')
      }
      this.puts.push(row)
      this.#keys.add(toHex(key))
      if (missing) this.#lost.add(toHex(sealed))
    }
  }
}

function partsOf(packed: Uint8Array): Uint8Array[] {
  try {
    return [...unpack(packed)]
  } catch (error) {
    return orUndefined(error) ?? []
  }
}

/** What cannot be read here, fsck complains of. */
function orUndefined(error: unknown): undefined {
  if (!(error instanceof EvidenceError)) throw error
  return undefined
}

function letterOf([key]: Row): string {
  return String.fromCharCode(key[0]!)
}
