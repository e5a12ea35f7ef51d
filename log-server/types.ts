/**
 * What the parts of the log server say to each other: what goes into the sequencer, what comes out, what readers may ask.
 *
 * ```
 *   routes ──► admission ── Candidate ──► Sequencer ── one synced batch ──► store
 *      ▲                                      │
 *      └──────────── Appended (receipt) ◄─────┘          LogReader ◄── routes
 * ```
 *
 * An entry is *queued → sequenced → published*. Everything a {@link LogReader} shows is published: durable, signed, and
 * noted in the guard file.
 *
 * @module
 */
import { EvidenceError, UnavailableError } from '../merkle/error.ts'
import type { Hash } from '../merkle/hash.ts'
import type { TileId } from '../merkle/tile.ts'
import type { RecordStatement } from '../provenance/record.ts'
import type { SignedTreeHead } from '../statement/receipt.ts'
import type { Erases, Erasure } from './storage/erased.ts'

/** Integer POSIX seconds. */
export type Clock = () => number

/** A statement that admission has let in, and all that the store must index about it. `candidateOf` makes one of a record. */
export interface Candidate {
  /** The signed statement: unprotected header emptied, outer array canonical. */
  readonly statement: Uint8Array
  /** SHA-256 of `statement`. */
  readonly entry: Hash
  /** `statementIdentity`: equal for two signatures over the same content. */
  readonly identity: Hash
  /** Stored beside the log, never in the leaf. */
  readonly wraps: readonly Uint8Array[]
  /** Likewise: the certificate path, leaf first, of a statement that names its signer by `x5t` alone. */
  readonly certificates?: readonly Uint8Array[]
  readonly issuedAt: number
  /** kid. */
  readonly signer: string
  /** A `RecordType`, or `foreign` for a SCITT statement that is no record of ours. */
  readonly type: string
  /** `uniqueKeys` of the record: each may be held by one entry only. */
  readonly uniqueKeys: readonly string[]
  /** Unique keys of others: held by any entry, they keep this one out. */
  readonly excludedBy?: readonly string[]
  /** `type/kid/id`: what `/v1/latest` finds. */
  readonly series?: string
  /** Lower-case hex of the credential digest whose status this is. */
  readonly status?: string
  /** What of an earlier entry is destroyed in the commit that makes this one durable. */
  readonly erases?: Erases
  /** The verified record. Needed of the types that change who may write: `log-policy` and `key-authorization`. */
  readonly record?: RecordStatement
  /**
   * Throws when the statement may not be admitted now; the throw rejects the append. Called when somebody's authority changed between
   * `Sequencer.append` and the moment an index is assigned, so whoever appends must have called it in the same turn, with no
   * `await` between: a change in that gap would be missed.
   */
  readonly recheck?: () => void
}

/** The answer to an append: the entry is durable, in the tree, and under a signed tree head. */
export interface Appended {
  readonly index: number
  /** RFC 9942 receipt, `application/cose`. Verifies forever; its tree size is that of the moment of the answer. */
  readonly receipt: Uint8Array
  /** True when this very statement was in the log already (or earlier in the same batch). */
  readonly duplicate: boolean
}

/** One entry of a batch that is now published. */
export interface Committed {
  readonly index: number
  readonly candidate: Candidate
}

/** What the index knows of an entry without reading its statement. */
export interface EntryMeta {
  readonly index: number
  readonly entry: Hash
  /** A `RecordType`, `foreign`, or `raw` (bench personality). */
  readonly type: string
  readonly issuedAt: number
  /** kid; empty for `raw`. */
  readonly signer: string
}

/**
 * Read access to what is published.
 *
 * `Uint8Array`s handed out are never written again, and may be views of something larger: do not transfer their buffers.
 * A lookup that meets an entry which is durable but not yet published waits the moment until it is.
 */
export interface LogReader {
  /** The newest tree head; `checkpoint()` called in the same tick signs the same size and root. */
  treeHead(): SignedTreeHead
  /** The newest checkpoint, a signed note. */
  checkpoint(): string
  locate(entry: Hash): Promise<EntryMeta | undefined>
  entryAt(index: number): Promise<Hash | undefined>
  meta(index: number): Promise<EntryMeta | undefined>
  /** @throws {@link LogError} `statement_erased` */
  statement(index: number): Promise<Uint8Array | undefined>
  /** Statements [256 n, 256 n + width); undefined unless a published checkpoint implied that width. */
  statementBundle(n: number, width: number): Promise<StatementBundle | undefined>
  /** Entries [256 n, 256 n + width) as a C2SP entry bundle; undefined unless a published checkpoint implied that width. */
  entryBundle(n: number, width: number): Promise<Uint8Array | undefined>
  /** `width` × 32 bytes; undefined unless a published checkpoint implied that width. */
  tile(tile: TileId): Promise<Uint8Array | undefined>
  wraps(entry: Hash): Promise<Uint8Array[]>
  /** The certificate path kept beside a statement, leaf first; empty when there is none. */
  certificates(entry: Hash): Promise<Uint8Array[]>
  /** What was erased of an entry. */
  erasure(index: number): Promise<Erasure | undefined>
  /** Index of the newest statement of a series `type/kid/id`. */
  latest(series: string): Promise<number | undefined>
  /** Newest indexes of at most `limit` series (default 100) that start with `type/kid/`, in order of their ids. */
  latestAll(prefix: string, limit?: number): Promise<number[]>
  /** Index of the entry that holds a unique key, such as `credential:<hex>`. */
  byUnique(key: string): Promise<number | undefined>
  /**
   * Indexes of the newest `limit` (default 100) status records of a credential, oldest of them first.
   *
   * @param of - index of the record of the credential, behind which all of them are: quicker, when it is known
   */
  statuses(credentialDigest: string, limit?: number, of?: number): Promise<number[]>
  /** @throws MerkleError `index_out_of_range` unless index < size ≤ published size. */
  inclusionProof(index: number, size: number): Promise<Hash[]>
  /** As {@link inclusionProof} for each of `indexes`, in their order, and cheaper than one by one. */
  inclusionProofs(indexes: readonly number[], size: number): Promise<Hash[][]>
  /** @throws MerkleError `index_out_of_range` unless size1 ≤ size2 ≤ published size. */
  consistencyProof(size1: number, size2: number): Promise<Hash[]>
  /** The receipt of an entry, at `head` (default: the newest). One head for many receipts makes a bundle of one checkpoint. */
  receipt(index: number, head?: SignedTreeHead): Promise<Uint8Array>
}

/** Up to 256 statements in a row: concat(u32 BE length ‖ statement). One that was erased is of length 0. */
export interface StatementBundle {
  /** Bytes. A bundle may be 64 MiB. */
  readonly length: number
  /** Of these bytes and no others: changes when a statement is erased. */
  readonly digest: Hash
  /** Bytes [start, end), in small pieces. @throws UnavailableError when something in it was erased meanwhile */
  read(start: number, end: number): AsyncIterable<Uint8Array>
  /** All of it, into memory of this length: of a bundle that is short enough to be read in one go. @throws as {@link read} */
  readonly readInto?: (target: Uint8Array) => Promise<void>
}

/** Why the log refused. Codes are API: they may be added, never renamed or reused. */
export type LogErrorCode =
  | 'conflict_signature' //    the same content under another signature is entry `index`
  | 'duplicate_credential' //  entry `index` records this credential digest
  | 'duplicate_unique_tag' //  this signer used this tag in entry `index`
  | 'duplicate_record_id' //   entry `index` has this record id
  | 'duplicate_intent' //      entry `index` records the credential of this intent
  | 'duplicate_generalization' // entry `index` says what this credential stands for
  | 'already_revoked' //       entry `index` revoked the credential, which has no status after that
  | 'statement_erased' //      entry `index` is in the tree, and its statement was erased
  | 'log_frozen' //            the log is finished: what it has stays, and nothing is added
  | 'backup_incomplete' //     a backup without its manifest, or without one of its files
  | 'backup_damaged' //        a backup that holds something else than was written into it
  | 'backup_outdated' //       the log has signed more than the backup has: going on from it would fork
  | 'copy_mismatch' //         restore: what a copy of the log holds does not lead to what the log signed
  | 'copy_incomplete' //       restore: a copy of the log lacks what no log goes on without
  | 'too_large' //             a statement past the log's limit
  | 'not_found' //             no such entry, size or tile
  | 'log_exists' //            init: the directory is not empty
  | 'log_missing' //           open: no log in the directory
  | 'log_locked' //            open: another process has it
  | 'log_damaged' //           open: the stored bytes do not lead to the signed checkpoint
  | 'log_behind_guard' //      open: the database is older than what was signed (a restored copy, a lost disk)
  | 'log_forked' //            open: the database is another history than the one that was signed
  | 'guard_missing' //         open: no guard file
  | 'guard_damaged' //         open: the guard file was changed by something other than us
  | 'malformed_config' //      open: config.json or a key file
  | 'signing_key_missing' //   open, log-policy: a key that the policy names has no private key here, and the log cannot sign without

/** A refusal that is about the state of this log. `index` names the original, where there is one. */
export class LogError extends EvidenceError<LogErrorCode> {
  /** The entry that is in the way. */
  readonly index: number | undefined

  constructor(code: LogErrorCode, message: string, options?: ErrorOptions & { index?: number }) {
    super(code, message, options)
    this.index = options?.index
  }
}

/** Why the log takes nothing now. Codes are API. */
export type BusyErrorCode =
  | 'queue_full' //     as much is waiting as the log will hold, of this caller or of all
  | 'too_many_connections' // as many connections as the log will hold, of this address or of all
  | 'shutting_down' //  the server is going down
  | 'audit_unavailable' // who brought it could not be written down
  | 'log_stopped' //    a write failed, and the log no longer knows what its disk holds
  | 'disk_full' //      less is free than the database may need to go on
  | 'storage_unwritable' // the directory of the log is read-only, gone, or does not answer
  | 'commit_stalled' // whoever waits longest for a commit has waited longer than any commit takes

/** The log cannot take an entry now. The same request may succeed after `retryAfter` seconds. */
export class BusyError extends UnavailableError {
  readonly code: BusyErrorCode

  constructor(code: BusyErrorCode, message: string, retryAfter = 1) {
    super(message, { retryAfter })
    this.code = code
  }
}

/** Bounds of the sequencer. Every one is a limit on memory or on how long one batch can hold up the next. */
export interface SequencerLimits {
  /** Entries accepted and not yet answered. */
  readonly queueEntries: number
  readonly queueBytes: number
  readonly batchEntries: number
  readonly batchBytes: number
}

export const DEFAULT_LIMITS: SequencerLimits = {
  queueEntries: 8192,
  queueBytes: 64 * 1024 * 1024,
  batchEntries: 1024,
  batchBytes: 8 * 1024 * 1024,
}
