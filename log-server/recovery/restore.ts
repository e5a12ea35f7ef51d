/**
 * Making a log out of a backup, unless the log has gone on without it.
 *
 * Restoring a database is how real logs died: the log signs on from an older tree, and there are two histories. So what was signed last is asked of
 * everybody who may know it: the guard of the old directory, what the log published, what witnesses saw. Who knows of a larger tree, or of another one,
 * ends it here; and not to ask anybody has to be said.
 *
 * ```
 *   manifest, digests ─► rows ─► a new store ─► fsck: everything recomputed ─► who knows of more? ─► guard, config.json
 * ```
 *
 * With a copy of what was published since, the log goes on to that first (`catch-up.ts`); who knows of more than the copy has still ends it.
 *
 * `config.json` is written last: until then there is no log. The directory must not be there before, and is removed when nothing comes of it.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { equalBytes, toHex } from '../../merkle/bytes.ts'
import { openCheckpoint } from '../../merkle/checkpoint.ts'
import { parseVkey } from '../../merkle/note.ts'
import { readRoot } from '../../merkle/tile-tree.ts'
import type { Authorities } from '../../provenance/rules/authorities.ts'
import { openStored, rebuildAuthorities } from '../log.ts'
import { jsonBytes, SigningKeys } from '../sequencing/signing-keys.ts'
import { type LogConfig, NEWEST_FORMAT, parseLogConfig, paths, readJson } from '../storage/directory.ts'
import { Guard, isCode, type Mark, syncDirectory, writeFileDurably } from '../storage/guard.ts'
import { Store } from '../storage/store.ts'
import { type Clock, LogError } from '../types.ts'
import { MANIFEST, type Manifest, parseManifest, RowReader, segmentName } from './backup-format.ts'
import { type CaughtUp, catchUp, type LogCopy } from './catch-up.ts'
import { fsckDirectory } from './fsck.ts'

/** Somebody who may know what the log signed last. */
export interface Witnessed {
  /** As it is told: a path, a URL. */
  readonly from: string
  /** A signed note; undefined where they never saw one. */
  readonly checkpoint: Uint8Array | undefined
}

export interface RestoreOptions {
  readonly backup: string
  /** Must not be there, or be empty. */
  readonly dataDir: string
  readonly witnessed: readonly Witnessed[]
  /** Of the old directory. */
  readonly guard?: string
  /** Keys of the log that the backup does not know yet, for notes that are newer than it. */
  readonly vkeys?: readonly string[]
  /** Where private keys are copied from: the directory of a log. Those in the backup, when not given. */
  readonly keys?: string
  /** What was published since, and the newest checkpoint of it: a signed note. It says what there is, and not that there is no more. */
  readonly catchUp?: { readonly copy: LogCopy; readonly checkpoint: Uint8Array; readonly now: Clock }
}

export interface Restored {
  readonly origin: string
  readonly size: number
  /** Lower-case hex. */
  readonly root: string
  /** Who was asked, and of what size they know. */
  readonly asked: readonly { readonly from: string; readonly size: number | undefined }[]
  readonly caughtUp?: CaughtUp
}

/**
 * @throws {@link LogError} `backup_incomplete`, `backup_damaged`, `backup_outdated`, `log_forked`, `log_exists`, `guard_missing`, `guard_damaged`;
 *   what a checkpoint is refused for
 */
export async function restoreLog(options: RestoreOptions): Promise<Restored> {
  const { backup, dataDir } = options
  const manifest = await readManifest(backup)
  await checkFiles(backup, manifest)
  const configPath = join(backup, 'config.json')
  const value = (await readJson(configPath)) as object
  const config: LogConfig = { ...parseLogConfig(value, configPath), format: NEWEST_FORMAT }
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  if ((await readdir(dataDir)).length > 0) {
    throw new LogError(
      'log_exists',
      `${dataDir} is not empty: a backup is restored into a directory of its own, never over anything`,
    )
  }
  try {
    const at = paths(dataDir)
    await fill(at.store, backup, manifest)
    await copyKeys(options, manifest)
    const { mark, caughtUp } = await reach(options, config, manifest)
    await Guard.create(at.guard, mark)
    const report = await fsckDirectory(dataDir, config)
    const [finding] = report.findings
    if (finding)
      throw new LogError('backup_damaged', `what the backup holds is not sound: ${finding.code}, ${finding.detail}`)
    if (report.size !== mark.size || report.root !== toHex(mark.root)) {
      throw new LogError('backup_damaged', 'the backup holds another tree than its manifest says')
    }
    const asked = await askEverybody(options, config)
    if (manifest.files.has('frozen')) await writeFileDurably(at.frozen, await readFile(join(backup, 'frozen')), 0o644)
    await writeFileDurably(at.config, jsonBytes({ ...value, format: NEWEST_FORMAT }), 0o644)
    await syncDirectory(dirname(dataDir)).catch((error: unknown) => {
      if (!isCode(error, 'EACCES')) throw error
    })
    return { origin: config.origin, size: mark.size, root: toHex(mark.root), asked, ...(caughtUp && { caughtUp }) }
  } catch (error) {
    for (const name of await readdir(dataDir)) await rm(join(dataDir, name), { recursive: true })
    throw error
  }
}

async function readManifest(backup: string): Promise<Manifest> {
  const path = join(backup, MANIFEST)
  const value = await readJson(path)
  if (value === undefined) {
    throw new LogError('backup_incomplete', `${path} is missing: this is no backup, or one that was not finished`)
  }
  return parseManifest(value, path)
}

/** Every file that the manifest names, to its last byte, and none besides. */
async function checkFiles(backup: string, { files }: Manifest): Promise<void> {
  for (const [name, { bytes, sha256 }] of files) {
    const path = join(backup, name)
    const found = await stat(path).catch((error: unknown) => {
      if (!isCode(error, 'ENOENT')) throw error
      throw new LogError('backup_incomplete', `${path} is missing`)
    })
    if (found.size < bytes) throw new LogError('backup_incomplete', `${path} ends at byte ${found.size} of ${bytes}`)
    const digest = createHash('sha256')
    if (found.size === bytes) for await (const chunk of createReadStream(path)) digest.update(chunk as Buffer)
    if (digest.digest('hex') !== sha256) throw new LogError('backup_damaged', `${path} is not what was written into it`)
  }
  const there = (await readdir(backup)).filter((name) => name !== MANIFEST && name !== 'keys' && !files.has(name))
  if (there.length > 0) throw new LogError('backup_damaged', `${join(backup, there[0]!)} is no part of the backup`)
}

async function fill(location: string, backup: string, { files }: Manifest): Promise<void> {
  const store = await Store.open(location, { create: true })
  try {
    const rows = new RowReader()
    for (let n = 0; files.has(segmentName(n)); n++) {
      for await (const chunk of createReadStream(join(backup, segmentName(n)), { highWaterMark: 1024 * 1024 })) {
        await store.load(rows.push(chunk as Buffer))
      }
    }
    rows.end()
    await store.markSwept()
  } finally {
    await store.close()
  }
}

/** Without them the log is restored, and does not serve before somebody brings them. */
async function copyKeys({ backup, dataDir, keys }: RestoreOptions, { files }: Manifest): Promise<void> {
  const at = paths(dataDir)
  const from =
    keys === undefined
      ? [...files.keys()].filter((name) => name.startsWith('keys/')).map((name) => join(backup, name))
      : await keysIn(keys)
  for (const path of from) {
    const name = basename(path)
    const later = /^(?:checkpoint|receipt)-/.test(name)
    if (later) await mkdir(at.keys, { recursive: true, mode: 0o700 })
    const bytes = await readFile(path).catch((error: unknown) => {
      // A founding key that was retired may be gone. Whether those that sign are there is asked when the log is opened.
      if (!isCode(error, 'ENOENT')) throw error
      return undefined
    })
    if (bytes) await writeFileDurably(join(later ? at.keys : dataDir, name), bytes)
  }
}

async function keysIn(directory: string): Promise<string[]> {
  const later = await readdir(paths(directory).keys).catch((error: unknown) => {
    if (!isCode(error, 'ENOENT')) throw error
    return [] as string[]
  })
  const { checkpointKey, receiptKey } = paths(directory)
  return [
    checkpointKey,
    receiptKey,
    ...later.filter((name) => name.endsWith('.jwk')).map((name) => join(paths(directory).keys, name)),
  ]
}

/** The tree that is restored: that of the backup, or a larger one that the log has signed since. */
async function reach(
  { dataDir, catchUp: wanted, vkeys = [] }: RestoreOptions,
  config: LogConfig,
  { size, root, files }: Manifest,
): Promise<{ mark: Mark; caughtUp?: CaughtUp }> {
  if (!wanted) return { mark: { size, root } }
  const { copy, checkpoint, now } = wanted
  const store = await Store.open(paths(dataDir).store)
  try {
    const target = openCheckpoint(checkpoint, {
      origin: config.origin,
      verifiers: verifiersOf(await rebuildAuthorities(store), vkeys),
    })
    // Who has no more than the backup is one of those who are asked.
    if (target.size <= size) return { mark: { size, root } }
    if (files.has('frozen'))
      throw new LogError('log_forked', `the log was frozen at size ${size}, and ${copy.from} has more`)
    const keys = new SigningKeys(dataDir, config)
    const caughtUp = await catchUp(store, { ...{ target, copy, config, keys, now } })
    await store.swept()
    return { mark: { size: target.size, root: target.root }, caughtUp }
  } finally {
    await store.close()
  }
}

/** By the keys of any time: what was published long ago was signed by those of then. */
function verifiersOf({ policies }: Authorities, vkeys: readonly string[]) {
  return [...new Set([...policies.flatMap(({ fields }) => fields.vkeys), ...vkeys])].map(parseVkey)
}

async function askEverybody(options: RestoreOptions, config: LogConfig): Promise<Restored['asked']> {
  const { dataDir, witnessed, guard, vkeys = [] } = options
  const store = await Store.open(paths(dataDir).store)
  try {
    const { reader, authorities, signed } = await openStored(store, config)
    const { origin } = config
    const verifiers = verifiersOf(authorities, vkeys)
    const asked: { from: string; size: number | undefined }[] = []
    const compare = async (from: string, mark: Mark | undefined) => {
      if (mark && mark.size > signed.head.size) throw outdated(from, mark.size, signed.head.size)
      if (mark && !equalBytes(await readRoot(mark.size, reader), mark.root)) {
        throw new LogError(
          'log_forked',
          `${from} knows another tree of size ${mark.size} than there is to restore. ${WAY_OUT}`,
        )
      }
      asked.push({ from, size: mark?.size })
    }
    if (guard !== undefined) await compare(guard, await Guard.read(guard))
    const copied = options.catchUp && { from: options.catchUp.copy.from, checkpoint: options.catchUp.checkpoint }
    for (const { from, checkpoint } of copied ? [copied, ...witnessed] : witnessed) {
      await compare(from, checkpoint && openCheckpoint(checkpoint, { origin, verifiers }))
    }
    return asked
  } finally {
    await store.close()
  }
}

const WAY_OUT =
  'Nothing is restored. A newer backup, the old disk, or a mirror (--catch-up) may have what is missing; otherwise this log has ended: ' +
  'serve what there is of it as it is (a mirror has it, or "provlog log freeze" on the old directory), and begin a new log with an origin of its own'

function outdated(from: string, size: number, has: number): LogError {
  return new LogError(
    'backup_outdated',
    `${from} knows a tree of size ${size}, and what there is to restore ends at ${has}: going on from it would fork the log. ${WAY_OUT}`,
  )
}
