/**
 * A log as its readers and writers see it. What comes back is checked against a checkpoint that the log's key signed; the few
 * calls that return raw bytes say so.
 *
 * ```ts
 * const client = new LogClient({ url: 'https://log.example', pinned: { origin, vkey }, clock })
 * const { entry, index } = await client.registerRecord({ type: 'issuance-policy', fields }, author)
 * const policy = await client.latest('issuance-policy', kid, 'payments')
 * ```
 *
 * @module
 */
import {
  type CompactRange,
  decodeEntryBundle,
  encodeEntryBundle,
  equalBytes,
  formatEntriesPath,
  formatTileIndex,
  type Hash,
  parseVkey,
  readCompactRange,
  readConsistencyProof,
  readInclusionProof,
  TILE_WIDTH,
  type TileReader,
  toHex,
  UnavailableError,
  type VerifiedCheckpoint,
  type WitnessPolicy,
} from '../../merkle/index.ts'
import {
  type AnyRecordOf,
  type Author,
  type Authorization,
  type Bundle,
  buildRecordStatement,
  decodeBundle,
  encodeBundle,
  type NewRecord,
  type RecordType,
} from '../../provenance/index.ts'
import {
  attachWraps,
  parseSignedStatement,
  type SignedStatement,
  type VerifiedTreeHead,
} from '../../statement/index.ts'
import { fetchStories } from './bundles.ts'
import { AnswerError, RefusedError } from './error.ts'
import { createFetcher, type Fetcher, type FetcherOptions } from './fetcher.ts'
import { LogView } from './log-view.ts'
import { type CheckpointMemory, memoryInProcess } from './memory.ts'
import type { LogPolicy } from './policy.ts'
import { checkSeries, type LoggedRecord, type LoggedStatement, ProvenLog, readNewestPolicy } from './proven-log.ts'
import { postStatement, type Sleep } from './register.ts'
import { postStatements, type Submission } from './register-all.ts'
import { MAX_BYTES, Requests, readByteStrings } from './requests.ts'
import { decodeStatementBundle } from './statement-bundle.ts'
import { HttpTileReader } from './tile-reader.ts'

export type { LoggedRecord, LoggedStatement } from './proven-log.ts'

/** POSIX seconds. */
export type Clock = () => number

export interface LogClientOptions {
  /** Base URL, `https:` unless the host is loopback. */
  readonly url: string
  /**
   * The log's name and checkpoint key, from outside (TRUST.json, `--vkey`); while a log changes its key, the old one and the new one.
   * A checkpoint by either is taken, and no other: that the log itself names a further key changes nothing here. Without it all is taken
   * from the log's own policy: trust on first use, and {@link LogClient.pinned} is false.
   */
  readonly pinned?: { readonly origin: string; readonly vkey: string | readonly string[] }
  /** Witnesses whose cosignatures a checkpoint must carry. */
  readonly policy?: WitnessPolicy
  readonly clock: Clock
  readonly fetcher?: Fetcher
  /** For the fetcher that is made when none is given. */
  readonly tls?: FetcherOptions['tls']
  /** Likewise: says with each request who we are. */
  readonly prover?: FetcherOptions['prover']
  /** Where the last verified checkpoint is kept between runs. Without it only for the life of the client. */
  readonly remembered?: CheckpointMemory
  /** Waits between retries. */
  readonly sleep?: Sleep
}

/** What became of a registered statement. */
export interface Registered {
  readonly entry: Hash
  readonly index: number
  /** As the log sent it; signature and path verified. */
  readonly receipt: Uint8Array
  /** The bundle of the credential, where it was asked for along with the registration and the log told; of that, nothing is verified. */
  readonly story?: Bundle
}

export interface RegisteredRecord<T extends RecordType> extends Registered {
  readonly statement: SignedStatement
  readonly record: AnyRecordOf<T>
  /** Content keys of the sealed sections, by label. Secret. */
  readonly keys: ReadonlyMap<string, Uint8Array>
}

const MAX_READINESS_BYTES = 4096

export class LogClient {
  readonly url: string
  /** False when name and key were believed because the log said so itself. */
  readonly pinned: boolean
  /** Raw tiles: fold them and compare with a checkpoint. */
  readonly tiles: TileReader

  readonly #options: LogClientOptions
  readonly #fetcher: Fetcher
  readonly #requests: Requests
  readonly #tiles: HttpTileReader
  readonly #sleep: Sleep
  /** Made by the first call that needs to know which log this is. */
  #connected: Promise<ProvenLog> | undefined
  #vkeys: readonly string[] = []

  /** @throws `AnswerError` `malformed_url`, `insecure_url` */
  constructor(options: LogClientOptions) {
    this.#options = options
    this.url = options.url
    this.pinned = options.pinned !== undefined
    this.#fetcher =
      options.fetcher ??
      createFetcher({
        url: options.url,
        ...(options.tls && { tls: options.tls }),
        ...(options.prover && { prover: options.prover }),
        now: options.clock,
      })
    this.#requests = new Requests(this.#fetcher)
    this.#tiles = new HttpTileReader(this.#fetcher)
    this.tiles = this.#tiles
    this.#sleep = options.sleep ?? ((milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)))
  }

  /**
   * The newest checkpoint: signed by the log, cosigned as the witness policy demands, and of the same tree as every one before.
   *
   * @throws `MisbehaviourError` `checkpoint_fork`, `checkpoint_rollback`; `MerkleError` of `openCheckpoint`; `UnavailableError`
   */
  async checkpoint(): Promise<VerifiedCheckpoint> {
    return (await this.#log()).view.refresh()
  }

  /** As {@link checkpoint}, for one that came by another way: checks that it and the newest one seen are of one tree. */
  async acceptCheckpoint(note: string): Promise<VerifiedCheckpoint> {
    return (await this.#log()).view.accept(note)
  }

  async origin(): Promise<string> {
    return (await this.#log()).view.origin
  }

  /** The keys whose checkpoints are taken: the pinned ones, or those that the log named. */
  async vkeys(): Promise<readonly string[]> {
    await this.#log()
    return this.#vkeys
  }

  /** The first of {@link vkeys}. */
  async vkey(): Promise<string> {
    return (await this.vkeys())[0]!
  }

  /**
   * The log policy in force, asked for anew each time: included under a checkpoint, each version signed by an admin of the one
   * before. A log can withhold a newer one; it cannot invent one.
   */
  async policy(): Promise<LogPolicy> {
    return (await (await this.#log()).newestPolicies()).at(-1)!
  }

  /**
   * Every version of the log policy, oldest first, each verified as in {@link policy}. A statement at some index is under the last
   * of them before it: `policyInForce`.
   */
  async policies(): Promise<readonly LogPolicy[]> {
    return (await this.#log()).newestPolicies()
  }

  /**
   * Registers any signed statement. `wraps` travel beside it and are not part of the entry.
   *
   * @throws `RefusedError` with the log's own code; `UnavailableError` after several attempts; and what a receipt that does not verify throws
   */
  async register(statement: Uint8Array, wraps: readonly Uint8Array[] = []): Promise<Registered> {
    const { entry } = parseSignedStatement(statement)
    const receipt = await postStatement(attachWraps(statement, wraps), this.#fetcher, this.#sleep)
    const { index } = await (await this.#log()).checkReceipt(receipt, entry)
    return { entry, index, receipt }
  }

  /**
   * As {@link register} for each of `statements`, in this order and in few requests: one may link to another before it. What {@link register} would have
   * thrown about one of them alone stands in its place.
   *
   * @throws `RefusedError`, `UnavailableError`, `AnswerError` when it is about all of them
   */
  async registerAll(statements: readonly (Uint8Array | Submission)[]): Promise<(Registered | Error)[]> {
    const log = await this.#log()
    const outcomes = await postStatements(statements, this.#fetcher, this.#sleep)
    return Promise.all(
      outcomes.map(async (outcome, i) => {
        if (outcome instanceof Error) return outcome
        try {
          const each = statements[i]!
          const { entry } = each instanceof Uint8Array ? parseSignedStatement(each) : each.statement
          const { index } = await log.checkReceipt(outcome.receipt, entry)
          return { entry, index, ...outcome }
        } catch (error) {
          return error as Error
        }
      }),
    )
  }

  /** Builds, seals, signs and registers a record. @throws as {@link register} */
  async registerRecord<T extends RecordType>(content: NewRecord<T>, author: Author): Promise<RegisteredRecord<T>> {
    const { statement, record, wraps, keys } = await buildRecordStatement(content, author)
    return { ...(await this.register(statement.bytes, wraps)), statement, record, keys }
  }

  /**
   * The newest record of the series that `kid` calls `id`, or undefined when the log has none. A log can withhold a newer one;
   * it cannot invent one.
   *
   * @throws `AnswerError` `wrong_record`, `not_authorized`; `MisbehaviourError`; `StatementError` and `MerkleError` of a record or receipt that does not verify
   */
  async latest<T extends RecordType>(type: T, kid: string, id: string): Promise<LoggedRecord<T> | undefined> {
    const path = `v1/latest/${type}/${encodeURIComponent(kid)}/${encodeURIComponent(id)}`
    const bytes = await this.#requests.find(path, MAX_BYTES.statement)
    if (bytes === undefined) return undefined
    const [found] = await (await this.#log()).readRecords([bytes])
    checkSeries(path, found!, type, kid, id)
    return found as LoggedRecord<T>
  }

  /** The newest record of each series of `kid`, at most 100. @throws as {@link latest} */
  async latestAll<T extends RecordType>(type: T, kid: string): Promise<LoggedRecord<T>[]> {
    const path = `v1/latest/${type}/${encodeURIComponent(kid)}`
    const found = await (await this.#log()).readRecords(await this.#requests.list(path))
    for (const record of found) checkSeries(path, record, type, kid)
    return found as LoggedRecord<T>[]
  }

  /** What the log admin authorized this key for, each record of it verified. Empty when nothing. @throws as {@link latest} */
  async authorizations(kid: string): Promise<readonly Authorization[]> {
    return (await (await this.#log()).authoritiesOf(kid)).authorizations(kid)
  }

  /** The provenance bundle of a credential, raw: `verifyCredential` judges it. @throws `RefusedError` with status 404 */
  async bundle(digest: Hash): Promise<Uint8Array> {
    return this.#requests.get(`v1/provenance/${toHex(digest)}`, MAX_BYTES.provenance)
  }

  /** As {@link bundle}, taken apart. @throws also `ProvenanceError` `malformed_bundle`, `damaged_bundle` */
  async story(digest: Hash): Promise<Bundle> {
    return decodeBundle(await this.bundle(digest))
  }

  /** As {@link bundle} for each of `digests`, as {@link stories} asks for them. @throws as {@link stories} */
  async bundles(digests: readonly Hash[]): Promise<(Uint8Array | Error)[]> {
    return (await this.stories(digests)).map((story) => (story instanceof Error ? story : encodeBundle(story)))
  }

  /**
   * As {@link story} for each of `digests`, in few requests. What {@link story} would have thrown about one of them alone stands in its place.
   *
   * @throws `RefusedError`, `UnavailableError`, `AnswerError` when it is about all of them; `ProvenanceError` `malformed_bundle`
   */
  async stories(digests: readonly Hash[]): Promise<(Bundle | Error)[]> {
    return fetchStories(digests, this.#fetcher, (digest) => this.story(digest))
  }

  /** The statement of an entry, included under a checkpoint. @throws `RefusedError` with status 404; `MisbehaviourError` */
  async statement(entry: Hash): Promise<LoggedStatement> {
    const bytes = await this.#requests.get(`entries/${toHex(entry)}/statement`, MAX_BYTES.statement)
    const logged = await (await this.#log()).readLogged(bytes)
    if (!equalBytes(logged.statement.entry, entry)) {
      throw new AnswerError('wrong_record', `asked for ${toHex(entry)}, and got ${toHex(logged.statement.entry)}`)
    }
    return logged
  }

  /** Where an entry is, by its receipt; the statement may be erased. @throws `RefusedError` with status 404; what a receipt that does not verify throws */
  async receipt(entry: Hash): Promise<Registered> {
    const receipt = await this.#requests.get(`entries/${toHex(entry)}`, MAX_BYTES.statement)
    const { index } = await (await this.#log()).checkReceipt(receipt, entry)
    return { entry, index, receipt }
  }

  /** As {@link statement}, and the record in it with its signer checked. @throws as {@link latest} */
  async record(entry: Hash): Promise<LoggedRecord> {
    return (await this.#log()).checkSigner(await this.statement(entry))
  }

  /** Key wraps stored beside an entry, raw: nothing but opening them shows that they are good. @throws `RefusedError` with status 404 */
  async wraps(entry: Hash): Promise<Uint8Array[]> {
    const path = `v1/entries/${toHex(entry)}/wraps`
    return readByteStrings(await this.#requests.get(path, MAX_BYTES.statement), path)
  }

  /**
   * The certificates beside a statement that names its signer by `x5t` alone, raw: leaf first, and none when there are none.
   *
   * @throws `RefusedError` with status 404
   */
  async certificates(entry: Hash): Promise<readonly Uint8Array[]> {
    const bytes = await this.#requests.get(`entries/${toHex(entry)}/statement`, MAX_BYTES.statement)
    return parseSignedStatement(bytes, { maxBytes: MAX_BYTES.statement }).header.x5chain ?? []
  }

  /**
   * `tile/entries/…`, raw.
   *
   * @param into - as of {@link packedStatements}, for a full one
   */
  async entryBundle(index: number, width: number, into?: Uint8Array): Promise<Uint8Array> {
    if (width === TILE_WIDTH) return this.#requests.get(formatEntriesPath(index, width), MAX_BYTES.entries, into)
    const partial = await this.#requests.find(formatEntriesPath(index, width), MAX_BYTES.entries)
    if (partial !== undefined) return partial
    // A log may drop a partial bundle once the full one exists.
    const full = await this.#requests.get(formatEntriesPath(index, TILE_WIDTH), MAX_BYTES.entries)
    return encodeEntryBundle(decodeEntryBundle(full, TILE_WIDTH).slice(0, width))
  }

  /**
   * Statements [256·index, 256·index + width), raw: each is only as good as its entry in the tree. An answer that breaks off is gone on
   * with, and not begun again.
   */
  async statementBundle(index: number, width: number): Promise<Uint8Array[]> {
    return decodeStatementBundle(await this.packedStatements(index, width), width)
  }

  /**
   * As {@link statementBundle}, for whoever hands it on: each after its length, u32 big-endian, if it is what it should be.
   *
   * @param into - written over, and returned a view of, if there is room in it
   */
  packedStatements(index: number, width: number, into?: Uint8Array): Promise<Uint8Array> {
    return this.#requests.getResumed(`v1/statements/${formatTileIndex(index, width)}`, MAX_BYTES.statements, into)
  }

  /**
   * The newest tree head, signed and shown to start with `from`, in one receipt that a third party can check as well.
   *
   * @param from a tree that was verified, smaller than the log's newest
   * @throws `RefusedError` 404 when the log has not grown; `StatementError` and `MerkleError` of a receipt that does not hold
   */
  async growth(from: {
    readonly size: number
    readonly root: Hash
  }): Promise<{ readonly head: VerifiedTreeHead; readonly receipt: Uint8Array }> {
    const receipt = await this.#requests.get(`v1/receipts/consistency/${from.size}`, MAX_BYTES.statement)
    return { head: await (await this.#log()).checkGrowth(receipt, from), receipt }
  }

  /** By the log's tiles, so the log is not told which entry it is about. Not checked against a root. */
  inclusionProof(index: number, size: number): Promise<Hash[]> {
    return readInclusionProof(index, size, this.#tiles)
  }

  /** As {@link inclusionProof}. */
  consistencyProof(from: number, to: number): Promise<Hash[]> {
    return readConsistencyProof(from, to, this.#tiles)
  }

  /** As {@link inclusionProof}. */
  compactRange(size: number): Promise<CompactRange> {
    return readCompactRange(size, this.#tiles)
  }

  /**
   * Why the log would not take a statement now, by its own word; undefined while it would, and where the server has no such answer: one
   * that only serves files is as ready as it will ever be.
   */
  async notReady(): Promise<string | undefined> {
    try {
      await this.#fetcher.fetch({ path: 'readyz', maxBytes: MAX_READINESS_BYTES })
      return undefined
    } catch (error) {
      if (error instanceof UnavailableError) return error.message
      if (error instanceof RefusedError) return undefined
      throw error
    }
  }

  /** Ends the connections. */
  close(): void {
    this.#fetcher.close()
  }

  #log(): Promise<ProvenLog> {
    this.#connected ??= this.#connect().catch((error: unknown) => {
      this.#connected = undefined
      throw error
    })
    return this.#connected
  }

  async #connect(): Promise<ProvenLog> {
    const { pinned, policy, remembered = memoryInProcess() } = this.#options
    // Unpinned, the log's policy names the keys that sign for it. That is circular, and what "trust on first use" means.
    const { origin, vkeys } =
      pinned === undefined
        ? await readNewestPolicy(this.#requests)
        : { origin: pinned.origin, vkeys: [pinned.vkey].flat() }
    this.#vkeys = vkeys
    const view = new LogView({
      fetcher: this.#fetcher,
      tiles: this.#tiles,
      log: { origin, verifiers: vkeys.map(parseVkey) },
      ...(policy === undefined ? {} : { policy }),
      remembered,
    })
    return new ProvenLog(view, this.#requests, this.#tiles)
  }
}
