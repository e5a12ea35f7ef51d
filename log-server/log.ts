/**
 * A log in a directory: opened, checked, and ready to append.
 *
 * ```
 *   DIR/config.json       {"format":1,"origin","vkey","kid"}: public, written last by init; without it there is no log
 *   DIR/checkpoint.jwk    Ed25519, signs checkpoints          ─┐
 *   DIR/receipt.jwk       P-256, signs tree heads (receipts)   ├ mode 0600
 *   DIR/admin.jwk         P-256, the first admin               ─┘ not needed to serve: keep it elsewhere
 *   DIR/guard             what was signed last (guard.ts)
 *   DIR/store/            LevelDB (store.ts), one process at a time
 * ```
 *
 * Opening trusts no stored hash that it can compute: the tiles of the right edge are made again from the last statements and
 * from full tiles, and must lead to the root that the log signed. That is at most 255 statements and 255 tiles a level,
 * whatever the size. What lies further left is `fsck`'s.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { importVerificationKey, type SigningKey } from '#signature'
import { equalBytes, fromBase64url, fromUtf8 } from '../merkle/bytes.ts'
import { openCheckpoint } from '../merkle/checkpoint.ts'
import { assert, EvidenceError } from '../merkle/error.ts'
import { HASH_LENGTH, type Hash, hashPairs, sha256 } from '../merkle/hash.ts'
import { createNoteSigner, type NoteSigner, parseVkey } from '../merkle/note.ts'
import { TILE_WIDTH } from '../merkle/tile.ts'
import { readRoot } from '../merkle/tile-tree.ts'
import { Authorities, foundingKey } from '../provenance/authorities.ts'
import { recordOfStatement, recordStatementOf } from '../provenance/record.ts'
import { type PublicJwk, parsePrivateJwk } from '../statement/cose-key.ts'
import { parseReceipt, verifyReceipt } from '../statement/receipt.ts'
import { parseSignedStatement, verifySignedStatement } from '../statement/signed-statement.ts'
import { Edge } from './edge.ts'
import { Guard, isCode, type Mark } from './guard.ts'
import { importBlockingKey, Publication, Publisher } from './publisher.ts'
import { StoredLog } from './reader.ts'
import { Sequencer, type SequencerOptions } from './sequencer.ts'
import { changesAuthority, type Signed, Store, unpack } from './store.ts'
import { type Clock, DEFAULT_LIMITS, LogError, type LogReader, type SequencerLimits } from './types.ts'

/** An open log. */
export interface Log {
  readonly origin: string
  readonly vkey: string
  /** Of the receipt key. */
  readonly kid: string
  readonly reader: LogReader
  readonly sequencer: Sequencer
  /** Kept up to date as records are published. */
  readonly authorities: Authorities
  /** Accepts nothing more, answers everybody who waits, and lets go of the directory. */
  close(): Promise<void>
}

export interface OpenOptions {
  readonly dataDir: string
  readonly now: Clock
  readonly limits?: Partial<SequencerLimits>
  /** Called once when the log can no longer be trusted to be durable. The default writes one line to stderr and exits with 1. */
  readonly fatal?: (error: unknown) => void
}

/** What is public about a log, `config.json`. */
export interface LogConfig {
  readonly origin: string
  readonly vkey: string
  readonly kid: string
}

/**
 * @throws {@link LogError} `log_missing`, `malformed_config`, `log_locked`, `log_damaged`, `log_behind_guard`, `log_forked`,
 *   `guard_missing`, `guard_damaged`
 */
export async function openLog({ dataDir, now, limits, fatal = exit }: OpenOptions): Promise<Log> {
  const config = await readLogConfig(dataDir)
  const keys = await readLogKeys(dataDir, config)
  const store = await Store.open(paths(dataDir).store)
  let guard: Guard | undefined
  try {
    guard = await Guard.open(paths(dataDir).guard)
    const { signed, edge, reader, publication } = await openStored(store, config, keys.receiptKey.publicJwk)
    await checkGuard(guard.last, signed, reader, dataDir)
    // A crash between commit and guard: what the database holds was signed, and nobody has seen it yet.
    if (signed.head.size > guard.last.size) await guard.write(signed.head)
    const authorities = await rebuildAuthorities(store)
    await store.sweep()
    const sequencer = createSequencer({ store, guard, edge, publication, reader, keys, now, limits, fatal })
    sequencer.onCommitted((batch) => {
      for (const { index, candidate } of batch) {
        if (!changesAuthority(candidate.type)) continue
        assert(candidate.record, `a ${candidate.type} comes with its record`)
        authorities.apply(index, candidate.record)
      }
    })
    return { ...config, reader, sequencer, authorities, close: () => closeAll(sequencer, store, guard!) }
  } catch (error) {
    await guard?.close()
    await store.close()
    throw error
  }
}

export function paths(dataDir: string) {
  const file = (name: string) => join(dataDir, name)
  return {
    config: file('config.json'),
    checkpointKey: file('checkpoint.jwk'),
    receiptKey: file('receipt.jwk'),
    adminKey: file('admin.jwk'),
    guard: file('guard'),
    store: file('store'),
  }
}

/** @throws {@link LogError} `log_missing`, `malformed_config` */
export async function readLogConfig(dataDir: string): Promise<LogConfig> {
  const path = paths(dataDir).config
  const value = (await readJson(path, dataDir)) as Partial<Record<string, unknown>> | null
  const { format, origin, vkey, kid } = value ?? {}
  if (format !== 1 || typeof origin !== 'string' || typeof vkey !== 'string' || typeof kid !== 'string') {
    throw new LogError('malformed_config', `${path} is not the configuration of a log, format 1`)
  }
  return { origin, vkey, kid }
}

/** The two keys that sign what the log says. */
export interface LogKeys {
  readonly checkpointKey: NoteSigner
  readonly receiptKey: SigningKey
}

/** The sequencer over what is stored, and nothing in front of it. */
export function createSequencer(parts: {
  readonly store: SequencerOptions['store']
  readonly guard: SequencerOptions['guard']
  readonly edge: Edge
  readonly publication: Publication
  readonly reader: LogReader
  readonly keys: LogKeys
  readonly now: Clock
  readonly limits?: Partial<SequencerLimits> | undefined
  readonly fatal: (error: unknown) => void
}): Sequencer {
  const { keys, publication, reader, limits, now, ...rest } = parts
  const { checkpointKey, receiptKey } = keys
  const lastIssuedAt = publication.size === 0 ? 0 : publication.current.head.issuedAt
  const publisher = new Publisher({ origin: checkpointKey.name, checkpointKey, receiptKey, now, lastIssuedAt })
  const receipt = (index: number) => reader.receipt(index)
  return new Sequencer({ ...rest, publication, publisher, receipt, limits: { ...DEFAULT_LIMITS, ...limits } })
}

export async function closeAll(sequencer: Sequencer, store: Store, guard: Guard): Promise<void> {
  await sequencer.drain()
  await store.close()
  await guard.close()
}

/** The stored tree, once its right edge leads to the root that the log signed and both signatures hold. @throws {@link LogError} `log_damaged` */
export async function openStored(store: Store, config: LogConfig, receiptKey: PublicJwk) {
  const signed = await store.signed()
  if (!signed) throw new LogError('log_damaged', 'the store has no signed tree head')
  const edge = await restoreEdge(store, signed.head.size)
  if (!equalBytes(edge.root(), signed.head.root)) {
    throw new LogError('log_damaged', `the stored entries do not lead to the root signed for size ${signed.head.size}`)
  }
  const publication = new Publication(signed)
  const reader = new StoredLog(store, edge, publication)
  await checkSignatures(signed, reader, config, receiptKey)
  return { signed, edge, publication, reader }
}

/** @throws {@link LogError} `log_behind_guard`, `log_forked` */
export async function checkGuard(guard: Mark, { head }: Signed, reader: StoredLog, dataDir: string): Promise<void> {
  const check = `check with "provlog log fsck --data ${dataDir}"`
  if (head.size < guard.size) {
    const advice = `this is an older copy, or a disk that lost what it had stored: bring back the newer one; ${check}`
    throw new LogError(
      'log_behind_guard',
      `size ${guard.size} was signed, and the database ends at ${head.size}; ${advice}`,
    )
  }
  if (!equalBytes(await readRoot(guard.size, reader), guard.root)) {
    throw new LogError('log_forked', `another tree of size ${guard.size} was signed than the database holds; ${check}`)
  }
}

/** Who may write, as the log itself says it. @throws {@link LogError} `log_damaged` */
export async function rebuildAuthorities(store: Store): Promise<Authorities> {
  const authorities = new Authorities()
  for (const index of await store.authorityStatements()) {
    try {
      const bytes = await store.statement(index)
      if (!bytes) throw new LogError('log_damaged', 'it is missing')
      const statement = parseSignedStatement(bytes)
      const record = recordOfStatement(statement)
      const kid = statement.header.kid ?? ''
      const founding = index === 0 && record.type === 'log-policy'
      const key = founding ? foundingKey(record, kid) : authorities.keyOf(kid)
      if (!key) throw new LogError('log_damaged', `it is signed by ${kid}, who was nobody`)
      authorities.apply(
        index,
        recordStatementOf(await verifySignedStatement(statement, await importVerificationKey(key))),
      )
    } catch (cause) {
      if (!(cause instanceof EvidenceError)) throw cause
      throw new LogError(
        'log_damaged',
        `statement ${index}, which says who may write, cannot be used: ${cause.message}`,
        { cause },
      )
    }
  }
  if (!authorities.hasPolicy)
    throw new LogError('log_damaged', 'entry 0 is not among the statements that say who may write')
  return authorities
}

/** The root of a full tile, computed from its hashes. */
function tileRootOf(hashes: Uint8Array): Hash {
  let row = hashes
  while (row.length > HASH_LENGTH) row = hashPairs(row)
  return row
}

async function restoreEdge(store: Store, size: number): Promise<Edge> {
  const fullTiles = Math.floor(size / TILE_WIDTH)
  const levels: Uint8Array[] = []
  for (let level = 0, count = fullTiles; count > 0; level++, count = Math.floor(count / TILE_WIDTH)) {
    const first = count - (count % TILE_WIDTH)
    const tiles = await Promise.all(Array.from({ length: count - first }, (_, i) => store.tile(level, first + i)))
    const packed = new Uint8Array(tiles.length * HASH_LENGTH)
    for (const [i, tile] of tiles.entries()) {
      if (tile?.length !== TILE_WIDTH * HASH_LENGTH) {
        throw new LogError('log_damaged', `tile ${level}/${first + i} is missing or cut short`)
      }
      packed.set(tileRootOf(tile), i * HASH_LENGTH)
    }
    levels.push(packed)
  }
  const entries: Hash[] = []
  for await (const piece of store.packedStatements(fullTiles)) {
    for (const statement of unpack(piece)) {
      const index = fullTiles * TILE_WIDTH + entries.length
      entries.push(statement.length > 0 ? sha256(statement) : await entryOfHole(store, index))
    }
  }
  if (entries.length !== size - fullTiles * TILE_WIDTH) {
    throw new LogError('log_damaged', `${entries.length} statements after the last full tile of a tree of ${size}`)
  }
  return Edge.restore(fullTiles, levels, entries)
}

/** Of an erased statement nothing is left to hash. A wrong note here would lead to another root than the signed one. */
async function entryOfHole(store: Store, index: number): Promise<Hash> {
  const erasure = await store.erasure(index)
  if (erasure?.scope !== 'statement') {
    throw new LogError('log_damaged', `statement ${index} is empty, and no record erased it`)
  }
  return erasure.entry
}

/** Both signatures over the newest tree: the checkpoint as a client opens it, the tree head in a receipt. @throws {@link LogError} `log_damaged` */
export async function checkSignatures(
  signed: Signed,
  reader: StoredLog,
  config: LogConfig,
  receiptKey: PublicJwk,
): Promise<void> {
  const { head, checkpoint } = signed
  try {
    const opened = openCheckpoint(checkpoint, { origin: config.origin, verifiers: [parseVkey(config.vkey)] })
    if (opened.size !== head.size || !equalBytes(opened.root, head.root)) {
      throw new LogError('log_damaged', 'checkpoint and tree head are of two trees')
    }
    const last = head.size - 1
    const receipt = parseReceipt(await reader.receipt(last))
    const entry = await reader.entryAt(last)
    assert(entry, 'a signed tree has entries')
    await verifyReceipt(receipt, entry, await importVerificationKey(receiptKey), { origin: config.origin })
  } catch (cause) {
    if (!(cause instanceof EvidenceError)) throw cause
    throw new LogError('log_damaged', `what the log signed for size ${head.size} does not verify: ${cause.message}`, {
      cause,
    })
  }
}

async function readLogKeys(dataDir: string, { origin, vkey, kid }: LogConfig): Promise<LogKeys> {
  const [checkpointPath, receiptPath] = [paths(dataDir).checkpointKey, paths(dataDir).receiptKey]
  const checkpointKey = createNoteSigner(origin, fromBase64url((await readKey(checkpointPath, dataDir)).d))
  const receiptKey = await importBlockingKey(await readKey(receiptPath, dataDir))
  if (checkpointKey.vkey !== vkey) throw new LogError('malformed_config', `${checkpointPath} is not the key of ${vkey}`)
  if (receiptKey.kid !== kid) throw new LogError('malformed_config', `${receiptPath} is not the key ${kid}`)
  return { checkpointKey, receiptKey }
}

async function readKey(path: string, dataDir: string) {
  try {
    return parsePrivateJwk(await readJson(path, dataDir))
  } catch (cause) {
    if (!(cause instanceof EvidenceError) || cause instanceof LogError) throw cause
    throw new LogError('malformed_config', `${path}: ${cause.message}`, { cause })
  }
}

async function readJson(path: string, dataDir: string): Promise<unknown> {
  let text: string
  try {
    text = fromUtf8(await readFile(path))
  } catch (cause) {
    if (!isCode(cause, 'ENOENT')) throw cause
    throw new LogError('log_missing', `there is no log in ${dataDir}: ${path} is missing`, { cause })
  }
  try {
    return JSON.parse(text)
  } catch {
    // Without a cause: the parser's message quotes the file, which may be a key.
    throw new LogError('malformed_config', `${path} is not JSON`)
  }
}

function exit(error: unknown): void {
  const reason = error instanceof Error ? error.message : String(error)
  process.stderr.write(`provlog: the log stops, because what it writes may not last: ${reason}\n`)
  process.exit(1)
}
