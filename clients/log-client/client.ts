/**
 * A log as its readers and writers see it: every answer is checked against a checkpoint that the log's key signed, or is said to be raw bytes.
 *
 * ```ts
 * const client = new LogClient({ url: 'https://log.example', pinned: { origin, vkey }, clock })
 * const { entry, index } = await client.registerRecord({ type: 'issuance-policy', fields }, author)
 * const policy = await client.latest('issuance-policy', kid, 'payments')
 * ```
 *
 * @module
 */
import type { CompactRange, Hash, TileReader, VerifiedCheckpoint, WitnessPolicy } from '../../merkle/index.ts'
import type { Author, Authorization, NewRecord, RecordOf, RecordStatement, RecordType } from '../../provenance/index.ts'
import type { SignedStatement } from '../../statement/index.ts'
import type { Fetcher } from './fetcher.ts'
import type { CheckpointMemory } from './memory.ts'
import type { LogPolicy } from './policy.ts'

/** POSIX seconds. */
export type Clock = () => number

export interface LogClientOptions {
  /** Base URL, `https:` unless the host is loopback. */
  readonly url: string
  /**
   * The log's name and checkpoint key, from outside (TRUST.json, `--vkey`). Without it both are taken from the log's own first entry:
   * trust on first use, and {@link LogClient.pinned} is false.
   */
  readonly pinned?: { readonly origin: string; readonly vkey: string }
  /** Witnesses whose cosignatures a checkpoint must carry. */
  readonly policy?: WitnessPolicy
  readonly clock: Clock
  readonly fetcher?: Fetcher
  /** Where the last verified checkpoint is kept between runs. Without it only for the life of the client. */
  readonly remembered?: CheckpointMemory
  /** Waits between retries. */
  readonly sleep?: (milliseconds: number) => Promise<void>
}

/** What became of a registered statement. */
export interface Registered {
  readonly entry: Hash
  readonly index: number
  /** As the log sent it; signature and path verified. */
  readonly receipt: Uint8Array
}

export interface RegisteredRecord<T extends RecordType> extends Registered {
  readonly record: RecordOf<T>
  /** Content keys of the sealed sections, by label. Secret. */
  readonly keys: ReadonlyMap<string, Uint8Array>
}

/** A statement that is in the log at `index`, under a verified checkpoint. Its signer was *not* checked. */
export interface LoggedStatement {
  readonly statement: SignedStatement
  readonly index: number
  readonly receipt: Uint8Array
}

/** A record in the log whose signature verified under a key that the log admin authorized. */
export type LoggedRecord<T extends RecordType = RecordType> = RecordStatement<T> & { readonly index: number }

/** The calls that other roles make; {@link LogClient} is the one over HTTP. */
export declare class LogClient {
  constructor(options: LogClientOptions)
  readonly url: string
  /** False when origin and key were believed because the log said so itself. */
  readonly pinned: boolean
  readonly tiles: TileReader

  /** The newest checkpoint, verified and consistent with every one seen before. @throws `MisbehaviourError` `checkpoint_fork` `checkpoint_rollback` */
  checkpoint(): Promise<VerifiedCheckpoint>
  policy(): Promise<LogPolicy>
  origin(): Promise<string>

  register(statement: Uint8Array, wraps?: readonly Uint8Array[]): Promise<Registered>
  registerRecord<T extends RecordType>(record: NewRecord<T>, author: Author): Promise<RegisteredRecord<T>>

  /** The newest record of a series, or undefined when the log has none. */
  latest<T extends RecordType>(type: T, kid: string, id: string): Promise<LoggedRecord<T> | undefined>
  latestAll<T extends RecordType>(type: T, kid: string): Promise<LoggedRecord<T>[]>
  authorizations(kid: string): Promise<readonly Authorization[]>

  /** Raw bytes of `/v1/provenance/{digest}`: verify with `verifyCredential`. @throws `RefusedError` with status 404 */
  bundle(digest: Hash): Promise<Uint8Array>
  /** @throws `RefusedError` with status 404 */
  statement(entry: Hash): Promise<LoggedStatement>
  /** As {@link statement}, with the signer checked. */
  record(entry: Hash): Promise<LoggedRecord>
  /** Raw. @throws `RefusedError` with status 404 */
  wraps(entry: Hash): Promise<Uint8Array[]>

  /** Raw bytes of `tile/entries/…`. */
  entryBundle(index: number, width: number): Promise<Uint8Array>
  /** The statements [256·index, 256·index + width), raw. */
  statementBundle(index: number, width: number): Promise<Uint8Array[]>

  inclusionProof(index: number, size: number): Promise<Hash[]>
  consistencyProof(from: number, to: number): Promise<Hash[]>
  compactRange(size: number): Promise<CompactRange>
  /** Ends the connections. */
  close(): void
}
