/**
 * Making a backup: of a log that nobody serves, or of one that is being served, through the server that has it open (`control.ts`).
 *
 * Rows come in the order of keys and of one state of the store, which is what one commit left: a tree that was signed. While they are written the tree is
 * made again from the statements among them, so what does not lead to the signed root is found now, and not on the day that the backup is needed.
 *
 * What is in it: every statement that was not erased, wraps and certificates, all indexes and tiles, the signatures over the tree. What is not: private keys,
 * unless asked for; the guard, which belongs to a disk and not to a copy; and what an erasure had destroyed by then. What is erased *later* stays in a backup for as long as somebody
 * keeps it: how long backups live is part of what an erasure promises (docs/backup.md).
 *
 * @module
 */
import { createHash, type Hash as NodeHash } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { equalBytes, toHex, utf8 } from '../../merkle/bytes.ts'
import { type Hash, sha256 } from '../../merkle/hash.ts'
import { TILE_WIDTH } from '../../merkle/tile.ts'
import { Edge } from '../sequencing/edge.ts'
import { jsonBytes } from '../sequencing/signing-keys.ts'
import { paths, readLogConfig } from '../storage/directory.ts'
import { decodeErasure } from '../storage/erased.ts'
import { isCode, syncDirectory, writeFileDurably } from '../storage/guard.ts'
import { checkLevelFiles } from '../storage/level/files.ts'
import { Store } from '../storage/store.ts'
import { decodeSigned, readInteger, type Signed, unpack } from '../storage/stored-values.ts'
import { LogError } from '../types.ts'
import { type BackupFile, encodeRow, MANIFEST, SEGMENT_BYTES, segmentName } from './backup-format.ts'

export type Row = readonly [key: Uint8Array, value: Uint8Array]

export interface BackupOptions {
  readonly dataDir: string
  /** Must not be there, or be empty. */
  readonly out: string
  readonly now: number
  /** Private keys of the log, too, but the admin's. */
  readonly withKeys?: boolean
  /** Where rows come from; the log in `dataDir`, which nobody serves, when not given. */
  readonly rows?: AsyncIterable<readonly Row[]>
  readonly progress?: (bytes: number) => void
}

export interface Backup {
  readonly origin: string
  readonly size: number
  /** Lower-case hex. */
  readonly root: string
  readonly bytes: number
  readonly withKeys: boolean
}

/** @throws {@link LogError} `log_exists` (there is something in `out`), `log_damaged`, `log_locked`, `log_missing` */
export async function backupLog(options: BackupOptions): Promise<Backup> {
  const { dataDir, out, now, withKeys = false } = options
  const config = await readLogConfig(dataDir)
  await mkdir(out, { recursive: true, mode: 0o700 })
  if ((await readdir(out)).length > 0)
    throw new LogError('log_exists', `${out} is not empty: a backup, or what an interrupted one left`)
  const files = new Map<string, BackupFile>()
  const { signed, bytes } = await writeRecords(out, options.rows ?? storedRows(dataDir), files, options.progress)
  const { size, root, origin } = signed.head
  if (origin !== config.origin) throw new LogError('log_damaged', 'what is stored is of another log than config.json')

  const at = paths(dataDir)
  await writeFileOf(out, 'config.json', await readFile(at.config), files)
  await writeFileOf(out, 'checkpoint', utf8(signed.checkpoint), files)
  const frozen = await readFile(at.frozen).catch(none)
  if (frozen) await writeFileOf(out, 'frozen', frozen, files)
  if (withKeys) await copyKeys(dataDir, out, files)
  await syncDirectory(out)
  const manifest = { backup: 1, origin, size, root: toHex(root), at: now, files: Object.fromEntries(files) }
  await writeFileDurably(join(out, MANIFEST), jsonBytes(manifest), 0o644)
  await syncDirectory(dirname(out)).catch((error: unknown) => {
    if (!isCode(error, 'EACCES')) throw error
  })
  return { origin, size, root: toHex(root), bytes, withKeys }
}

/** Of a log that nobody has open. */
async function* storedRows(dataDir: string): AsyncGenerator<readonly Row[]> {
  // LevelDB would read what is damaged, or end the process over it.
  const [damage] = await checkLevelFiles(paths(dataDir).store)
  if (damage) throw new LogError('log_damaged', `${join(paths(dataDir).store, damage.file)}: ${damage.detail}`)
  const store = await Store.open(paths(dataDir).store, await readLogConfig(dataDir))
  try {
    yield* rowsOf(store)
  } finally {
    await store.close()
  }
}

/** What is read of LevelDB at a time: some hundred small values, a millisecond of the event loop. */
const READ_BYTES = 64 * 1024

/** All of a store, some rows at a time, with a turn of the event loop between. */
export async function* rowsOf(store: Pick<Store, 'dump'>): AsyncGenerator<readonly Row[]> {
  let rows: Row[] = []
  let bytes = 0
  for await (const row of store.dump(READ_BYTES)) {
    rows.push(row)
    bytes += row[0].length + row[1].length
    if (bytes < READ_BYTES) continue
    yield rows
    await nextTurn()
    rows = []
    bytes = 0
  }
  yield rows
}

async function writeRecords(
  out: string,
  source: AsyncIterable<readonly Row[]>,
  files: Map<string, BackupFile>,
  progress?: (bytes: number) => void,
): Promise<{ signed: Signed; bytes: number }> {
  const tree = new TreeOfRows()
  let segment: Segment | undefined
  let written = 0
  try {
    for await (const rows of source) {
      for (const [key, value] of rows) tree.add(key, value)
      if (segment && segment.bytes >= SEGMENT_BYTES) segment = await closed(segment, files)
      segment ??= await Segment.create(out, segmentName(files.size))
      written += await segment.write(Buffer.concat(rows.map(([key, value]) => encodeRow(key, value))))
      progress?.(written)
    }
    if (segment) segment = await closed(segment, files)
  } finally {
    await segment?.file.close()
  }
  return { signed: tree.check(), bytes: written }
}

async function closed(segment: Segment, files: Map<string, BackupFile>): Promise<undefined> {
  files.set(segment.name, await segment.end())
}

/** Recomputes the tree out of rows in the order of their keys: `g` and `k` come before `s`. */
class TreeOfRows {
  readonly #edge = new Edge()
  readonly #erased = new Map<number, Hash>()
  #signed: Signed | undefined

  add(key: Uint8Array, value: Uint8Array): void {
    const letter = String.fromCharCode(key[0]!)
    if (letter === 'g') {
      const { entry, scope } = decodeErasure(value)
      if (scope === 'statement') this.#erased.set(readInteger(key, 1), entry)
    }
    if (letter === 'k' && Buffer.from(key.subarray(1)).toString() === 'head') this.#signed = decodeSigned(value)
    if (letter !== 's') return
    if (readInteger(key, 1) !== this.#edge.size)
      throw new LogError('log_damaged', `statement ${this.#edge.size} is missing`)
    for (const statement of unpack(value)) {
      const entry = statement.length > 0 ? sha256(statement) : this.#erased.get(this.#edge.size)
      if (!entry) throw new LogError('log_damaged', `statement ${this.#edge.size} is empty, and no record erased it`)
      this.#edge.append(entry)
      if (this.#edge.size % TILE_WIDTH === 0) this.#edge.settle()
    }
  }

  check(): Signed {
    const { head } = this.#signed ?? {}
    if (!this.#signed || !head) throw new LogError('log_damaged', 'there is no signed tree head')
    if (head.size !== this.#edge.size || !equalBytes(head.root, this.#edge.root())) {
      throw new LogError('log_damaged', `the statements do not lead to the root that was signed for size ${head.size}`)
    }
    return this.#signed
  }
}

/** A file that grows, and its digest. */
class Segment {
  readonly name: string
  readonly file: FileHandle
  readonly #digest: NodeHash = createHash('sha256')
  bytes = 0

  private constructor(name: string, file: FileHandle) {
    this.name = name
    this.file = file
  }

  static async create(out: string, name: string): Promise<Segment> {
    return new Segment(name, await open(join(out, name), 'wx', 0o600))
  }

  async write(bytes: Uint8Array): Promise<number> {
    this.#digest.update(bytes)
    await this.file.writeFile(bytes)
    this.bytes += bytes.length
    return bytes.length
  }

  async end(): Promise<BackupFile> {
    await this.file.sync()
    await this.file.close()
    return { bytes: this.bytes, sha256: this.#digest.digest('hex') }
  }
}

async function writeFileOf(
  out: string,
  name: string,
  bytes: Uint8Array,
  files: Map<string, BackupFile>,
): Promise<void> {
  const segment = await Segment.create(out, name)
  await segment.write(bytes)
  files.set(name, await segment.end())
}

/** But the admin's, which a server never needs. */
async function copyKeys(dataDir: string, out: string, files: Map<string, BackupFile>): Promise<void> {
  const at = paths(dataDir)
  await mkdir(join(out, 'keys'), { mode: 0o700 })
  const later = (await readdir(at.keys).catch(none)) ?? []
  const all = [at.checkpointKey, at.receiptKey, ...later.map((name) => join(at.keys, name))]
  for (const path of all.filter((each) => each.endsWith('.jwk'))) {
    const bytes = await readFile(path).catch(none)
    if (bytes) await writeFileOf(out, `keys/${path.slice(dirname(path).length + 1)}`, bytes, files)
  }
  await syncDirectory(join(out, 'keys'))
}

function none(error: unknown): undefined {
  if (!isCode(error, 'ENOENT')) throw error
  return undefined
}
