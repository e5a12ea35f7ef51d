/**
 * A log in a directory: opened, checked, and ready to append.
 *
 * What lies in the directory: `directory.ts`. Which of its keys sign: `signing-keys.ts`.
 *
 * Opening trusts no stored hash that it can compute: the tiles of the right edge are made again from the last statements and
 * from full tiles, and must lead to the root that the log signed. That is at most 255 statements and 255 tiles a level,
 * whatever the size. What lies further left is `fsck`'s.
 *
 * @module
 */
import { setTimeout as delay } from 'node:timers/promises'
import { importVerificationKey } from '#signature'
import { equalBytes, toHex } from '../merkle/bytes.ts'
import { openCheckpoint } from '../merkle/checkpoint.ts'
import { assert, EvidenceError } from '../merkle/error.ts'
import { HASH_LENGTH, type Hash, hashPairs, sha256 } from '../merkle/hash.ts'
import { parseNote, parseVkey } from '../merkle/note.ts'
import { TILE_WIDTH } from '../merkle/tile.ts'
import { readRoot } from '../merkle/tile-tree.ts'
import { recordOfStatement, recordStatementOf } from '../provenance/record.ts'
import { Authorities, foundingKey } from '../provenance/rules/authorities.ts'
import { kidOf } from '../statement/cose-key.ts'
import { parseReceipt, verifyReceipt } from '../statement/receipt.ts'
import { parseSignedStatement, verifySignedStatement } from '../statement/signed-statement.ts'
import { StoredLog } from './reading/reader.ts'
import { type Row, rowsOf } from './recovery/backup.ts'
import { checkFrozen, type Frozen, readFrozen } from './recovery/freeze.ts'
import { Scrub } from './recovery/scrub.ts'
import { Edge } from './sequencing/edge.ts'
import { Publication, Publisher } from './sequencing/publisher.ts'
import { Sequencer, type SequencerObserver, type SequencerOptions } from './sequencing/sequencer.ts'
import { type NamedKeys, type Signers, SigningKeys } from './sequencing/signing-keys.ts'
import { type LogConfig, paths, readLogConfig } from './storage/directory.ts'
import { changesAuthority } from './storage/entry-rows.ts'
import { Guard, isCode, type Mark } from './storage/guard.ts'
import { checkOpenTables } from './storage/level/files.ts'
import { Store, type StoreObserver, type StoreSizes } from './storage/store.ts'
import { type Signed, unpack } from './storage/stored-values.ts'
import { type Clock, DEFAULT_LIMITS, LogError, type LogReader, type SequencerLimits } from './types.ts'

export { paths, readLogConfig } from './storage/directory.ts'

/** An open log. */
export interface Log {
  readonly origin: string
  /** The first of those that sign checkpoints now. */
  readonly vkey: string
  /** Of the receipt key in use. */
  readonly kid: string
  readonly keys: SigningKeys
  readonly reader: LogReader
  readonly sequencer: Sequencer
  /** Kept up to date as records are published. */
  readonly authorities: Authorities
  storeSizes(): Promise<StoreSizes>
  /** All that is stored at one tree, for a backup. */
  rows(): AsyncIterable<readonly Row[]>
  /** Not at work until it is started. */
  readonly scrub: Scrub
  /** Accepts nothing more, answers everybody who waits, and lets go of the directory. */
  close(): Promise<void>
}

export interface OpenOptions {
  readonly dataDir: string
  readonly now: Clock
  readonly limits?: Partial<SequencerLimits>
  /**
   * Called once when the log can no longer be trusted to be durable, or to be as it was signed. The default writes one line to stderr and
   * exits, with 5 where what is stored is not what was signed, and with 1 otherwise.
   */
  readonly fatal?: (error: unknown) => void
  readonly observer?: (SequencerObserver & StoreObserver) | undefined
  /** Of the scrub. */
  readonly entriesPerSecond?: number | undefined
}

/**
 * @throws {@link LogError} `log_missing`, `malformed_config`, `log_locked`, `log_damaged`, `log_behind_guard`, `log_forked`,
 *   `guard_missing`, `guard_damaged`, `signing_key_missing`
 */
export async function openLog({ dataDir, fatal = exit, ...options }: OpenOptions): Promise<Log> {
  const config = await readLogConfig(dataDir)
  const keys = new SigningKeys(dataDir, config)
  const frozen = await readFrozen(dataDir)
  const { format } = config
  const store = await Store.open(paths(dataDir).store, { format, observer: options.observer })
  const guard = await Guard.open(paths(dataDir).guard).catch(async (error: unknown) => {
    await store.close()
    throw error
  })
  return openOver({ config, keys, frozen, store, guard, dataDir, fatal, ...options })
}

/** A log out of its open parts. They are closed with it, and when it cannot be opened. @throws {@link LogError} as {@link openLog} */
export async function openOver(
  parts: Omit<OpenOptions, 'fatal'> & {
    readonly config: LogConfig
    readonly keys: SigningKeys
    readonly frozen?: Frozen | undefined
    readonly store: Store
    readonly guard: Guard
    readonly fatal: (error: unknown) => void
  },
): Promise<Log> {
  const { config, keys, frozen, store, guard, dataDir, now, limits, fatal, observer, entriesPerSecond } = parts
  try {
    const { signed, signedBy, edge, reader, publication, authorities } = await openStored(store, config)
    await checkGuard(guard.last, signed, reader, dataDir)
    if (frozen) checkFrozen(frozen, signed.head)
    const policy = () => authorities.policy().fields
    await keys.load(policy())
    checkHeld(keys.signersOf(policy()), keys, signedBy)
    // A crash between commit and guard: what the database holds was signed, and nobody has seen it yet.
    if (signed.head.size > guard.last.size) await guard.write(signed.head)
    await store.sweep()
    store.filterKeys()
    const { origin } = config
    const sequencer = createSequencer({
      ...{ origin, store, guard, edge, publication, reader, keys, policy: policy(), now, limits, fatal, observer },
    })
    sequencer.onCommitted((batch) => {
      for (const { index, candidate } of batch) {
        if (!changesAuthority(candidate.type)) continue
        assert(candidate.record, `a ${candidate.type} comes with its record`)
        authorities.apply(index, candidate.record)
      }
    })
    if (frozen) await sequencer.freeze()
    const scrub = new Scrub({
      ...{ store, publication, now, fatal, pause: unlessAborted },
      checkTables: (paced) => checkOpenTables(paths(dataDir).store, paced),
      ...(entriesPerSecond !== undefined && { entriesPerSecond }),
    })
    return {
      origin,
      scrub,
      get vkey() {
        return keys.signersOf(policy()).checkpointKeys[0]!.vkey
      },
      get kid() {
        return keys.signersOf(policy()).receiptKey.kid
      },
      keys,
      reader,
      sequencer,
      authorities,
      storeSizes: () => store.sizes(),
      rows: () => rowsOf(store),
      async close() {
        await scrub.stop()
        await closeAll(sequencer, store, guard)
      },
    }
  } catch (error) {
    await guard.close()
    await store.close()
    // LevelDB says it of what it could not make sense of.
    if (!isCode(error, 'LEVEL_CORRUPTION')) throw error
    throw new LogError('log_damaged', `${paths(dataDir).store}: ${(error as Error).message}`, { cause: error })
  }
}

/** The sequencer over what is stored, and nothing in front of it. */
export function createSequencer(parts: {
  readonly origin: string
  readonly store: SequencerOptions['store']
  readonly guard: SequencerOptions['guard']
  readonly edge: Edge
  readonly publication: Publication
  readonly reader: LogReader
  readonly keys: Pick<SigningKeys, 'signersOf'>
  /** The policy in force; undefined for a log whose first entry is still to come. */
  readonly policy?: NamedKeys
  readonly now: Clock
  readonly limits?: Partial<SequencerLimits> | undefined
  readonly fatal: (error: unknown) => void
  readonly observer?: SequencerObserver | undefined
  readonly milliseconds?: () => number
}): Sequencer {
  const { origin, keys, policy, publication, reader, limits, now, ...rest } = parts
  const lastIssuedAt = publication.size === 0 ? 0 : publication.current.head.issuedAt
  const publisher = new Publisher({ origin, keys, policy, now, lastIssuedAt })
  const receipt = async (index: number, entry: Hash) => {
    const there = await reader.entryAt(index)
    if (there && equalBytes(there, entry)) return reader.receipt(index)
    throw new LogError('log_damaged', `the index of ${toHex(entry)} leads to entry ${index}, which is another one`)
  }
  return new Sequencer({ ...rest, publication, publisher, receipt, limits: { ...DEFAULT_LIMITS, ...limits } })
}

export async function closeAll(sequencer: Sequencer, store: Store, guard: Guard): Promise<void> {
  await sequencer.drain()
  await store.close()
  await guard.close()
}

/**
 * The stored tree, once its right edge leads to the root that the log signed, and everything signed is by the keys that the log itself names.
 *
 * @throws {@link LogError} `log_damaged`; `malformed_config` when the configuration is of another log
 */
export async function openStored(store: Store, config: LogConfig) {
  const signed = await store.signed()
  if (!signed) throw new LogError('log_damaged', 'the store has no signed tree head')
  const edge = await restoreEdge(store, signed.head.size)
  if (!equalBytes(edge.root(), signed.head.root)) {
    throw new LogError('log_damaged', `the stored entries do not lead to the root signed for size ${signed.head.size}`)
  }
  const publication = new Publication(signed)
  const reader = new StoredLog(store, edge, publication)
  const authorities = await rebuildAuthorities(store)
  checkConfig(config, authorities)
  const signedBy = await checkSignatures(signed, reader, authorities)
  return { signed, signedBy, edge, publication, reader, authorities }
}

/** `config.json` repeats what entry 0 says. @throws {@link LogError} `malformed_config` */
export function checkConfig({ origin, vkey, kid }: LogConfig, authorities: Authorities): void {
  const founding = authorities.policyAt(1)
  const { fields, receiptKids = [] } = founding ?? {}
  if (fields?.origin === origin && fields.vkeys.includes(vkey) && receiptKids.includes(kid)) return
  throw new LogError(
    'malformed_config',
    `config.json is of another log than the stored one, whose entry 0 names ${fields?.vkeys[0]}`,
  )
}

/**
 * Whoever signed the newest tree signs the next one: a key file that went missing must not silently take a signature away that clients
 * wait for. (Keys that the policy names and that never signed are elsewhere, on purpose.)
 *
 * @throws {@link LogError} `signing_key_missing`
 */
function checkHeld({ checkpointKeys }: Signers, keys: SigningKeys, { vkeys, kid }: SignedBy): void {
  const lost = vkeys.find((vkey) => !checkpointKeys.some((key) => key.vkey === vkey))
  if (lost !== undefined) {
    throw new LogError('signing_key_missing', `the private key of ${lost}, which signs checkpoints, is missing`)
  }
  // Of receipt keys one signs: another may have come that the policy puts before it.
  if (!keys.hasReceiptKey(kid)) {
    throw new LogError('signing_key_missing', `the private key of ${kid}, which signs receipts, is missing`)
  }
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

/** Whose signatures were found good. */
export interface SignedBy {
  readonly vkeys: readonly string[]
  /** Of the receipt key. */
  readonly kid: string
}

/**
 * Both signatures over the newest tree, as a client verifies them: the checkpoint and the tree head in a receipt, each by keys that the
 * policy in force names. A line in the log's name by any other key has no place on it.
 *
 * @throws {@link LogError} `log_damaged`
 */
export async function checkSignatures(signed: Signed, reader: StoredLog, authorities: Authorities): Promise<SignedBy> {
  const { head, checkpoint } = signed
  const policy = authorities.policyAt(head.size)
  assert(policy, 'a signed tree begins with its policy')
  const { origin, vkeys } = policy.fields
  try {
    const opened = openCheckpoint(checkpoint, { origin, verifiers: vkeys.map(parseVkey) })
    if (opened.size !== head.size || !equalBytes(opened.root, head.root)) {
      throw new LogError('log_damaged', 'checkpoint and tree head are of two trees')
    }
    // As we signed it there are no other lines: one that reads as another's would be one of ours that got lost.
    if (parseNote(checkpoint).signatures.length !== opened.signedBy.length) {
      throw new LogError('log_damaged', 'it carries a signature by a key that the log policy in force does not name')
    }
    const last = head.size - 1
    const receipt = parseReceipt(await reader.receipt(last))
    const entry = await reader.entryAt(last)
    assert(entry, 'a signed tree has entries')
    const key = policy.receiptKeys[policy.receiptKids.indexOf(receipt.kid ?? '')]
    if (!key) throw new LogError('log_damaged', `the log policy in force names no receipt key ${receipt.kid}`)
    await verifyReceipt(receipt, entry, await importVerificationKey(key), { origin })
    if (receipt.issuedAt !== head.issuedAt || head.origin !== origin) {
      throw new LogError('log_damaged', 'beside the tree head stands what it does not say')
    }
    return { vkeys: opened.signedBy, kid: kidOf(key) }
  } catch (cause) {
    if (!(cause instanceof EvidenceError)) throw cause
    throw new LogError('log_damaged', `what the log signed for size ${head.size} does not verify: ${cause.message}`, {
      cause,
    })
  }
}

/** Resolves at the latest when `signal` fires, and keeps no process alive. */
async function unlessAborted(milliseconds: number, signal: AbortSignal): Promise<void> {
  await delay(milliseconds, undefined, { ref: false, signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error
  })
}

function exit(error: unknown): void {
  const reason = error instanceof Error ? error.message : String(error)
  const damaged = error instanceof LogError && error.code === 'log_damaged'
  const why = damaged ? 'what it has stored is not what it signed' : 'what it writes may not last'
  process.stderr.write(`provlog: the log stops, because ${why}: ${reason}\n`)
  process.exit(damaged ? 5 : 1)
}
