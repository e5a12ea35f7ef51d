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
  type VerifiedCheckpoint,
  type WitnessPolicy,
} from '../../merkle/index.ts'
import { isValidAt } from '../../provenance/authorities.ts'
import {
  type AnyRecordOf,
  type Author,
  Authorities,
  type Authorization,
  buildRecordStatement,
  type NewRecord,
  type RecordStatement,
  type RecordType,
  recordOfStatement,
  recordStatementOf,
  seriesOf,
} from '../../provenance/index.ts'
import { signersOf } from '../../provenance/link-rules.ts'
import {
  asArray,
  asBytes,
  attachWraps,
  decodeCbor,
  importVerificationKey,
  type PublicJwk,
  parseReceipt,
  parseSignedStatement,
  parseTransparentStatement,
  type SignedStatement,
  type VerifiedReceipt,
  verifySignedStatement,
} from '../../statement/index.ts'
import { AnswerError, RefusedError } from './error.ts'
import { createFetcher, type FetchAnswer, type Fetcher } from './fetcher.ts'
import { bindToView, checkReceipt, proveIncluded } from './inclusion.ts'
import { LogView } from './log-view.ts'
import { type CheckpointMemory, memoryInProcess } from './memory.ts'
import { type LogPolicy, policyInForce, readPolicyFields, verifyPolicy } from './policy.ts'
import { postStatement, type Sleep } from './register.ts'
import { decodeStatementBundle } from './statement-bundle.ts'
import { HttpTileReader } from './tile-reader.ts'

/** POSIX seconds. */
export type Clock = () => number

export interface LogClientOptions {
  /** Base URL, `https:` unless the host is loopback. */
  readonly url: string
  /**
   * The log's name and checkpoint key, from outside (TRUST.json, `--vkey`). Without it both are taken from the log's own first
   * entry: trust on first use, and {@link LogClient.pinned} is false.
   */
  readonly pinned?: { readonly origin: string; readonly vkey: string }
  /** Witnesses whose cosignatures a checkpoint must carry. */
  readonly policy?: WitnessPolicy
  readonly clock: Clock
  readonly fetcher?: Fetcher
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
}

export interface RegisteredRecord<T extends RecordType> extends Registered {
  readonly record: AnyRecordOf<T>
  /** Content keys of the sealed sections, by label. Secret. */
  readonly keys: ReadonlyMap<string, Uint8Array>
}

/** A statement that is in the log at `index`, under a verified checkpoint. Its signer was *not* checked. */
export interface LoggedStatement {
  readonly statement: SignedStatement
  readonly index: number
  readonly receipt: Uint8Array
}

/** A record in the log whose signer the log admin had authorized, at that place and date, to sign such records. */
export type LoggedRecord<T extends RecordType = RecordType> = RecordStatement<T> & { readonly index: number }

const MAX_STATEMENT_BYTES = 4 * 1024 * 1024
const MAX_BUNDLE_BYTES = 8 * 1024 * 1024
const MAX_LIST_BYTES = 64 * 1024 * 1024
const MAX_STATEMENT_BUNDLE_BYTES = 256 * 1024 * 1024
/** 256 entries of at most 65 535 bytes; ours have 32. */
const MAX_ENTRY_BUNDLE_BYTES = 256 * (2 + 0xffff)
const MAX_POLICY_VERSIONS = 256

export class LogClient {
  readonly url: string
  /** False when name and key were believed because the log said so itself. */
  readonly pinned: boolean
  /** Raw tiles: fold them and compare with a checkpoint. */
  readonly tiles: TileReader

  readonly #options: LogClientOptions
  readonly #fetcher: Fetcher
  readonly #tiles: HttpTileReader
  readonly #sleep: Sleep
  #view: Promise<LogView> | undefined
  #identity: { readonly origin: string; readonly vkeys: readonly string[] } | undefined
  /** Every version of the log policy, oldest first. */
  #policies: Promise<readonly LogPolicy[]> | undefined

  /** @throws `AnswerError` `malformed_url`, `insecure_url` */
  constructor(options: LogClientOptions) {
    this.#options = options
    this.url = options.url
    this.pinned = options.pinned !== undefined
    this.#fetcher = options.fetcher ?? createFetcher({ url: options.url })
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
    return (await this.#open()).refresh()
  }

  /** As {@link checkpoint}, for one that came by another way: checks that it and the newest one seen are of one tree. */
  async acceptCheckpoint(note: string): Promise<VerifiedCheckpoint> {
    return (await this.#open()).accept(note)
  }

  async origin(): Promise<string> {
    return (await this.#open()).origin
  }

  /** The checkpoint key in use: the pinned one, or the one that the log named. */
  async vkey(): Promise<string> {
    await this.#open()
    return this.#identity?.vkeys[0] ?? ''
  }

  /** The log policy in force: included under a checkpoint, each version signed by an admin of the one before. */
  async policy(): Promise<LogPolicy> {
    return (await this.#knownPolicies()).at(-1)!
  }

  /**
   * Registers any signed statement. `wraps` travel beside it and are not part of the entry.
   *
   * @throws `RefusedError` with the log's own code; `UnavailableError` after several attempts; and what a receipt that does not verify throws
   */
  async register(statement: Uint8Array, wraps: readonly Uint8Array[] = []): Promise<Registered> {
    const { entry } = parseSignedStatement(statement)
    const receipt = await postStatement(attachWraps(statement, wraps), this.#fetcher, this.#sleep)
    const { index } = await this.#checkReceipt(receipt, entry)
    return { entry, index, receipt }
  }

  /** Builds, seals, signs and registers a record. @throws as {@link register} */
  async registerRecord<T extends RecordType>(content: NewRecord<T>, author: Author): Promise<RegisteredRecord<T>> {
    const { statement, record, wraps, keys } = await buildRecordStatement(content, author)
    return { ...(await this.register(statement.bytes, wraps)), record, keys }
  }

  /**
   * The newest record of the series that `kid` calls `id`, or undefined when the log has none. A log can withhold a newer one;
   * it cannot invent one.
   *
   * @throws `AnswerError` `wrong_record`, `not_authorized`; `MisbehaviourError`; `StatementError` and `MerkleError` of a record or receipt that does not verify
   */
  async latest<T extends RecordType>(type: T, kid: string, id: string): Promise<LoggedRecord<T> | undefined> {
    const path = `v1/latest/${type}/${encodeURIComponent(kid)}/${encodeURIComponent(id)}`
    const bytes = await this.#find(path, MAX_STATEMENT_BYTES)
    if (bytes === undefined) return undefined
    const found = await this.#readRecord(bytes)
    const series = seriesOf(found.record, signerOf(found))
    if (series?.type !== type || series.kid !== kid || series.id !== id) throw wrongRecord(path, found)
    return found as LoggedRecord<T>
  }

  /** The newest record of each series of `kid`, at most 100. @throws as {@link latest} */
  async latestAll<T extends RecordType>(type: T, kid: string): Promise<LoggedRecord<T>[]> {
    const path = `v1/latest/${type}/${encodeURIComponent(kid)}`
    const found = await Promise.all((await this.#list(path)).map((bytes) => this.#readRecord(bytes)))
    for (const record of found) {
      const series = seriesOf(record.record, signerOf(record))
      if (series?.type !== type || series.kid !== kid) throw wrongRecord(path, record)
    }
    return found as LoggedRecord<T>[]
  }

  /** What the log admin authorized this key for, each record of it verified. Empty when nothing. @throws as {@link latest} */
  async authorizations(kid: string): Promise<readonly Authorization[]> {
    return (await this.#authoritiesOf(kid)).authorizations(kid)
  }

  /** The provenance bundle of a credential, raw: `verifyCredential` judges it. @throws `RefusedError` with status 404 */
  async bundle(digest: Hash): Promise<Uint8Array> {
    return this.#get(`v1/provenance/${toHex(digest)}`, MAX_BUNDLE_BYTES)
  }

  /** The statement of an entry, included under a checkpoint. @throws `RefusedError` with status 404; `MisbehaviourError` */
  async statement(entry: Hash): Promise<LoggedStatement> {
    const logged = await this.#readLogged(await this.#get(`entries/${toHex(entry)}/statement`, MAX_STATEMENT_BYTES))
    if (!equalBytes(logged.statement.entry, entry)) {
      throw new AnswerError('wrong_record', `asked for ${toHex(entry)}, and got ${toHex(logged.statement.entry)}`)
    }
    return logged
  }

  /** As {@link statement}, and the record in it with its signer checked. @throws as {@link latest} */
  async record(entry: Hash): Promise<LoggedRecord> {
    return this.#checkSigner(await this.statement(entry))
  }

  /** Key wraps stored beside an entry, raw: nothing but opening them shows that they are good. @throws `RefusedError` with status 404 */
  async wraps(entry: Hash): Promise<Uint8Array[]> {
    const path = `v1/entries/${toHex(entry)}/wraps`
    return readByteStrings(await this.#get(path, MAX_STATEMENT_BYTES), path)
  }

  /** `tile/entries/…`, raw. */
  async entryBundle(index: number, width: number): Promise<Uint8Array> {
    if (width === TILE_WIDTH) return this.#get(formatEntriesPath(index, width), MAX_ENTRY_BUNDLE_BYTES)
    const partial = await this.#find(formatEntriesPath(index, width), MAX_ENTRY_BUNDLE_BYTES)
    if (partial !== undefined) return partial
    // A log may drop a partial bundle once the full one exists.
    const full = await this.#get(formatEntriesPath(index, TILE_WIDTH), MAX_ENTRY_BUNDLE_BYTES)
    return encodeEntryBundle(decodeEntryBundle(full, TILE_WIDTH).slice(0, width))
  }

  /** Statements [256·index, 256·index + width), raw: each is only as good as its entry in the tree. */
  async statementBundle(index: number, width: number): Promise<Uint8Array[]> {
    const path = `v1/statements/${formatTileIndex(index, width)}`
    return decodeStatementBundle(await this.#get(path, MAX_STATEMENT_BUNDLE_BYTES), width)
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

  /** Ends the connections. */
  close(): void {
    this.#fetcher.close()
  }

  #open(): Promise<LogView> {
    this.#view ??= this.#connect().catch((error: unknown) => {
      this.#view = undefined
      throw error
    })
    return this.#view
  }

  async #connect(): Promise<LogView> {
    const { pinned, policy, remembered } = this.#options
    // Unpinned, the first entry names the keys that sign for it. That is circular, and what "trust on first use" means.
    const claimed = pinned === undefined ? readPolicyFields(await this.#firstStatement()) : undefined
    const origin = pinned?.origin ?? claimed?.origin ?? ''
    const vkeys = pinned === undefined ? (claimed?.vkeys ?? []) : [pinned.vkey]
    const verifiers = vkeys.map(parseVkey)
    this.#identity = { origin, vkeys }
    return new LogView({
      fetcher: this.#fetcher,
      tiles: this.#tiles,
      log: { origin, verifiers },
      ...(policy === undefined ? {} : { policy }),
      remembered: remembered ?? memoryInProcess(),
    })
  }

  #knownPolicies(): Promise<readonly LogPolicy[]> {
    this.#policies ??= this.#readPolicies().catch((error: unknown) => {
      this.#policies = undefined
      throw error
    })
    return this.#policies
  }

  async #readPolicies(): Promise<readonly LogPolicy[]> {
    const view = await this.#open()
    const first = await this.#firstStatement()
    await proveIncluded(first.entry, 0, await view.current(), this.#tiles)
    const policies = [await verifyPolicy(first, 0, undefined)]
    if (policies[0]!.fields.origin !== view.origin) {
      throw new AnswerError(
        'wrong_record',
        `the first entry is the policy of ${policies[0]!.fields.origin}, not of ${view.origin}`,
      )
    }
    // An admin of the newest version may have signed one more.
    for (let more = await this.#laterPolicies(policies[0]!); more.length > 0; ) {
      for (const { statement, index } of more) policies.push(await verifyPolicy(statement, index, policies.at(-1)))
      more = await this.#laterPolicies(policies.at(-1)!)
    }
    return policies
  }

  /**
   * The version that the log shows as the newest by an admin of `known`, and those between the two, oldest first. Empty when
   * `known` is the newest.
   */
  async #laterPolicies(known: LogPolicy): Promise<LoggedStatement[]> {
    for (const kid of known.adminKeys.keys()) {
      const path = `v1/latest/log-policy/${kid}/${encodeURIComponent(known.fields.origin)}`
      const bytes = await this.#find(path, MAX_STATEMENT_BYTES)
      if (bytes === undefined) continue
      const chain: LoggedStatement[] = []
      for (let next = await this.#readLogged(bytes, [known]); next.index > known.index; ) {
        chain.unshift(next)
        if (chain.length > MAX_POLICY_VERSIONS)
          throw new AnswerError('wrong_record', 'a chain of log policies without end')
        const previous = recordOfStatement(next.statement).links.find(({ rel }) => rel === 'previous')
        if (previous === undefined || equalBytes(previous.entry, known.entry)) break
        const path = `entries/${toHex(previous.entry)}/statement`
        next = await this.#readLogged(await this.#get(path, MAX_STATEMENT_BYTES), [known])
      }
      if (chain.length > 0) return chain
    }
    return []
  }

  async #firstStatement(): Promise<SignedStatement> {
    const [bytes] = await this.statementBundle(0, 1)
    return parseSignedStatement(bytes!)
  }

  /** A receipt may be signed by a key of a policy that is newer than what we know: then we look once more. */
  async #checkReceipt(receipt: Uint8Array, entry: Hash): Promise<VerifiedReceipt> {
    const { origin } = await this.#open()
    try {
      return await checkReceipt(receipt, entry, origin, await this.#knownPolicies())
    } catch (error) {
      if (!(error instanceof AnswerError) || error.code !== 'unknown_receipt_key') throw error
      this.#policies = undefined
      return checkReceipt(receipt, entry, origin, await this.#knownPolicies())
    }
  }

  /** @param policies while those of the log are being found out: the receipt is then only a hint, and the tiles prove it */
  async #readLogged(bytes: Uint8Array, policies?: readonly LogPolicy[]): Promise<LoggedStatement> {
    const { statement, receipts } = parseTransparentStatement(bytes)
    const [receipt] = receipts
    if (receipt === undefined) throw new AnswerError('malformed_answer', 'a statement without a receipt')
    const view = await this.#open()
    if (policies !== undefined) {
      const index = parseReceipt(receipt).inclusion[0]?.index ?? 0
      let checkpoint = await view.current()
      if (index >= checkpoint.size) checkpoint = await view.refresh()
      await proveIncluded(statement.entry, index, checkpoint, this.#tiles)
      return { statement, index, receipt }
    }
    const verified = await this.#checkReceipt(receipt, statement.entry)
    await bindToView(verified, receipt, statement.entry, view, this.#tiles)
    return { statement, index: verified.index, receipt }
  }

  async #readRecord(bytes: Uint8Array): Promise<LoggedRecord> {
    return this.#checkSigner(await this.#readLogged(bytes))
  }

  /** By an admin in force there, or under an authorization for that type of record, in force there and valid at its date. */
  async #checkSigner(logged: LoggedStatement): Promise<LoggedRecord> {
    const { statement, index } = logged
    const record = recordOfStatement(statement)
    const { kid = '', issuer, issuedAt = 0 } = statement.header
    const roles: readonly string[] = signersOf(record.type)
    if (roles.includes('admin')) return this.#checkAdmin(logged)

    const inForce = (await this.#authoritiesOf(kid)).inForce(kid, index)
    const authorization = inForce.find(
      (each) => roles.includes(each.role) && each.subject === issuer && isValidAt(each, issuedAt),
    )
    if (authorization === undefined) {
      throw new AnswerError(
        'not_authorized',
        `entry ${index}: ${kid} was not authorized to sign a ${record.type} as ${issuer}`,
      )
    }
    return { ...(await verifyRecord(statement, authorization.key)), index }
  }

  async #checkAdmin({ statement, index }: LoggedStatement): Promise<LoggedRecord> {
    const policy = policyInForce(await this.#knownPolicies(), index)
    const { kid = '', issuer } = statement.header
    const admin = policy?.adminKeys.get(kid)
    if (admin === undefined || issuer !== policy?.fields.origin) {
      throw new AnswerError('not_authorized', `entry ${index}: ${kid} was no admin of this log`)
    }
    return { ...(await verifyRecord(statement, admin.jwk)), index }
  }

  /** The log's policies and what they authorize `kid` for, in the order of the log: so that later ones replace earlier ones. */
  async #authoritiesOf(kid: string): Promise<Authorities> {
    const path = `v1/authorizations/${encodeURIComponent(kid)}`
    const answers = await this.#list(path)
    const found = await Promise.all(answers.map(async (bytes) => this.#checkAdmin(await this.#readLogged(bytes))))
    for (const record of found) {
      const series = seriesOf(record.record, signerOf(record))
      if (series?.type !== 'key-authorization' || series.kid !== kid) throw wrongRecord(path, record)
    }
    const policies = (await this.#knownPolicies()).map(({ statement, index }) => ({ ...statement, index }))
    const authorities = new Authorities()
    for (const record of [...policies, ...found].sort((a, b) => a.index - b.index))
      authorities.apply(record.index, record)
    return authorities
  }

  async #get(path: string, maxBytes: number): Promise<Uint8Array> {
    return bodyOf(path, await this.#fetcher.fetch({ path, maxBytes }))
  }

  /** As {@link #get}; undefined for a 404. */
  async #find(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
    try {
      return await this.#get(path, maxBytes)
    } catch (error) {
      if (error instanceof RefusedError && error.status === 404) return undefined
      throw error
    }
  }

  async #list(path: string): Promise<Uint8Array[]> {
    const bytes = await this.#find(path, MAX_LIST_BYTES)
    return bytes === undefined ? [] : readByteStrings(bytes, path)
  }
}

function bodyOf(path: string, { status, body }: FetchAnswer): Uint8Array {
  if (status !== 200) throw new AnswerError('malformed_answer', `${path}: HTTP ${status}`)
  return body
}

function readByteStrings(bytes: Uint8Array, path: string): Uint8Array[] {
  return asArray(decodeCbor(bytes, { maxBytes: MAX_LIST_BYTES }), path).map((item) => asBytes(item, path))
}

async function verifyRecord(statement: SignedStatement, key: PublicJwk): Promise<RecordStatement> {
  return recordStatementOf(await verifySignedStatement(statement, await importVerificationKey(key)))
}

function signerOf(record: LoggedRecord): string {
  return record.statement.signer.kid
}

function wrongRecord(path: string, { record, index }: LoggedRecord): AnswerError {
  return new AnswerError(
    'wrong_record',
    `${path}: the log answered with a ${record.type}, entry ${index}, of another series`,
  )
}
