/**
 * What the log admits, in the order in which it is asked:
 *
 *     1. is it a Signed Statement, within the limits?            bytes
 *     2. is this very statement in the log already?              then here is its receipt
 *     3. is it a record, by a key that this log knows?           header
 *     4. is it signed by that key?                               off the main thread
 *     5. does the record say what its type demands?              payload
 *     6. may its signer say so, and does what it links to exist? checkRecord, which auditors run too
 *        a log-policy: could this server sign under it?         signing-keys
 *     7. has it been said before in a way that excludes it?      the sequencer, as it assigns the index
 *
 * A statement that is no record takes another way through 3 to 6: `checkForeign`, which auditors run too.
 *
 * Cheap refusals come before dear ones, so that garbage costs its sender more than it costs us. Only what is signed decides
 * (SCRAPI: no HTTP header and no unprotected header may): everything an auditor needs to decide again is on the log.
 *
 * @module
 */
import { importVerificationKey, type VerificationKey } from '#signature'
import { toHex } from '../merkle/bytes.ts'
import type { Authorities } from '../provenance/authorities.ts'
import { checkRecord } from '../provenance/check-record.ts'
import { ProvenanceError } from '../provenance/error.ts'
import { checkForeign, PathCache, recheckForeign } from '../provenance/foreign.ts'
import { isRecordType } from '../provenance/link-rules.ts'
import {
  isRecordStatement,
  type ProvenanceRecord,
  type RecordStatement,
  recordOfStatement,
  recordStatementOf,
} from '../provenance/record.ts'
import { contentOf, type LinkTarget } from '../provenance/record-context.ts'
import type { VerificationAlgorithm } from '../statement/algorithm.ts'
import { kidOf, type VerificationJwk } from '../statement/cose-key.ts'
import { StatementError } from '../statement/error.ts'
import {
  parseSignedStatement,
  type SignedStatement,
  type VerifiedStatement,
  verifySignedStatement,
} from '../statement/signed-statement.ts'
import { wrapRecipientKid, wrapsIn } from '../statement/wrap.ts'
import { type AdmissionSteps, type Admitted, admitInOrder, type Submitted, type Verified } from './admission-batch.ts'
import { candidateOf, foreignCandidateOf } from './candidate.ts'
import type { Sequencer } from './sequencer.ts'
import type { NamedKeys, SigningKeys } from './signing-keys.ts'
import { Slots } from './turns.ts'
import { BusyError, type Clock, type EntryMeta, LogError, type LogReader } from './types.ts'

export interface AdmissionLog {
  readonly reader: Pick<LogReader, 'byUnique' | 'locate' | 'receipt' | 'statement' | 'statuses'>
  readonly sequencer: Pick<Sequencer, 'append' | 'appendAll'>
  readonly authorities: Authorities
  readonly keys: Pick<SigningKeys, 'load' | 'signersOf'>
}

export interface AdmissionLimits {
  /** How far ahead of our clock a signer's may be, in seconds. */
  readonly maxClockSkew: number
  /** All wraps of one statement together. */
  readonly maxWrapBytes: number
  /** Statements between the first check and the receipt: how many, and how many bytes. */
  readonly maxPending: number
  readonly maxPendingBytes: number
}

export const DEFAULT_ADMISSION_LIMITS: AdmissionLimits = {
  maxClockSkew: 300,
  maxWrapBytes: 64 * 1024,
  maxPending: 8192,
  maxPendingBytes: 128 * 1024 * 1024,
}

export interface AdmissionOptions {
  readonly log: AdmissionLog
  readonly now: Clock
  readonly limits?: Partial<AdmissionLimits>
}

export class Admission {
  readonly #log: AdmissionLog
  readonly #now: Clock
  readonly #limits: AdmissionLimits
  readonly #keys = new KeyCache()
  readonly #paths = new PathCache()
  readonly #verifying = new Slots(VERIFYING_AT_ONCE)
  #pending = 0
  #pendingBytes = 0

  constructor({ log, now, limits }: AdmissionOptions) {
    this.#log = log
    this.#now = now
    this.#limits = { ...DEFAULT_ADMISSION_LIMITS, ...limits }
  }

  /** The largest submission that can be admitted under the policy in force: a statement and its wraps, in bytes. */
  get maxBytes(): number {
    // Wraps come with a few bytes of CBOR around each.
    return this.#maxStatementBytes + this.#limits.maxWrapBytes + 1024
  }

  /**
   * Registers one statement as a client sent it, and resolves when it is durable and published.
   *
   * @throws StatementError, ProvenanceError, LogError: refused, for good
   * @throws {@link BusyError} not taken now
   */
  admit(submission: Uint8Array): Promise<Admitted> {
    return this.#holding(1, submission.length, () => this.#register(submission))
  }

  /**
   * Registers statements as if they came one after another, and resolves when each is published or refused: what {@link admit} would
   * have thrown stands in the place of the one it is about.
   *
   * @throws {@link BusyError} not taken now, none of them
   */
  admitAll(submissions: readonly Uint8Array[]): Promise<readonly (Admitted | Error)[]> {
    const steps: AdmissionSteps = {
      read: (submission) => this.#read(submission),
      locate: async (entry) => (await this.#log.reader.locate(entry))?.index,
      receipt: (index) => this.#log.reader.receipt(index),
      // Single statements do not wait for those of batches.
      verify: (submitted) => this.#verifying.run(() => this.#verify(submitted)),
      appendAll: (candidates) => this.#log.sequencer.appendAll(candidates),
    }
    const bytes = submissions.reduce((sum, { length }) => sum + length, 0)
    return this.#holding(submissions.length, bytes, () => admitInOrder(submissions, steps))
  }

  async #holding<T>(count: number, bytes: number, work: () => Promise<T>): Promise<T> {
    const { maxPending, maxPendingBytes } = this.#limits
    if (this.#pending + count > maxPending || this.#pendingBytes + bytes > maxPendingBytes) {
      throw new BusyError('queue_full', 'too many statements are being registered')
    }
    this.#pending += count
    this.#pendingBytes += bytes
    try {
      return await work()
    } finally {
      this.#pending -= count
      this.#pendingBytes -= bytes
    }
  }

  async #register(submission: Uint8Array): Promise<Admitted> {
    const { reader } = this.#log
    const submitted = this.#read(submission)
    const { entry } = submitted.statement
    // The entry is the hash of every byte we keep, the signature included: this one was checked when it came first.
    const known = await reader.locate(entry)
    if (known) return { entry, index: known.index, receipt: await reader.receipt(known.index), duplicate: true }
    const readVerified = await this.#verify(submitted)
    const candidate = await readVerified().admissible()
    // In one go with the append: an authority that changes from here on, the sequencer knows of, and asks again.
    candidate.recheck()
    return { entry, ...(await this.#log.sequencer.append(candidate)) }
  }

  /** Step 1. */
  #read(submission: Uint8Array): Submitted {
    const statement = parseSignedStatement(submission, { maxBytes: this.maxBytes })
    const { length } = statement.bytes
    if (length > this.#maxStatementBytes) {
      throw new StatementError(
        'too_large',
        `a statement of ${length} bytes, and the log takes ${this.#maxStatementBytes}`,
      )
    }
    const wraps = wrapsIn(statement.unprotected)
    const wrapBytes = wraps.reduce((sum, { length }) => sum + length, 0)
    if (wrapBytes > this.#limits.maxWrapBytes) {
      throw new StatementError(
        'too_large',
        `${wrapBytes} bytes of wraps, and the log takes ${this.#limits.maxWrapBytes}`,
      )
    }
    return { statement, wraps }
  }

  /** Steps 3 and 4, and then 5 by the function returned. */
  async #verify({ statement, wraps }: Submitted): Promise<() => Verified> {
    if (!isRecordStatement(statement)) {
      const foreign = await this.#verifyForeign(statement, wraps)
      return () => foreign
    }
    const { kid = '' } = statement.header
    const jwk = this.#log.authorities.keyOf(kid)
    if (!jwk) throw new ProvenanceError('unknown_key', 'signed by a key that this log has authorized for nothing')
    const verified = await verifySignedStatement(statement, await this.#keys.get(kid, jwk))
    return () => this.#readRecord(verified, wraps)
  }

  #readRecord(statement: VerifiedStatement, wraps: readonly Uint8Array[]): Verified {
    const record = recordStatementOf(statement)
    const recipients = recipientsOf(record, wraps)
    return {
      links: record.record.links.map(({ entry }) => entry),
      admissible: async () => {
        const recheck = await this.#authorityCheck(record, recipients)
        if (record.record.type === 'log-policy') await this.#loadKeys(record.record.fields, recheck)
        return Object.assign(candidateOf(record, wraps), { recheck })
      },
    }
  }

  async #verifyForeign(statement: SignedStatement, wraps: readonly Uint8Array[]): Promise<Verified> {
    const { authorities } = this.#log
    if (wraps.length > 0) throw new StatementError('malformed_wrap', 'wraps for a statement that seals nothing')
    const foreign = await checkForeign(statement, {
      policy: authorities.policy(),
      now: this.#now(),
      maxClockSkew: this.#limits.maxClockSkew,
      importKey: (jwk, algorithm) => this.#keys.get(`${kidOf(jwk)} ${algorithm}`, jwk, algorithm),
      paths: this.#paths,
    })
    const certificateBytes = foreign.beside.reduce((sum, { length }) => sum + length, 0)
    if (certificateBytes > this.#limits.maxWrapBytes) {
      throw new StatementError('too_large', `${certificateBytes} bytes of unprotected certificates`)
    }
    const recheck = () => recheckForeign(foreign, authorities.policy())
    return { links: [], admissible: async () => ({ ...foreignCandidateOf(foreign), recheck }) }
  }

  /** Step 6, with all that it needs looked up: asks whether the record may be on the log as its authorities are at that moment. */
  async #authorityCheck(record: RecordStatement, wrapRecipients: readonly string[]): Promise<() => void> {
    const { authorities, reader } = this.#log
    const located = await Promise.all(record.record.links.map(({ entry }) => reader.locate(entry)))
    const targets = new Map<string, LinkTarget>()
    for (const meta of located) {
      if (meta && (isRecordType(meta.type) || meta.type === 'foreign'))
        targets.set(toHex(meta.entry), await this.#targetOf(meta, meta.type, record))
    }
    const context = { authorities, targets, now: this.#now(), maxClockSkew: this.#limits.maxClockSkew, wrapRecipients }
    const { criteriaRetracted } = authorities
    return () => {
      // What the results were judged by has begun to matter, and was not looked up.
      if (authorities.criteriaRetracted !== criteriaRetracted)
        throw new BusyError('queue_full', 'criteria were withdrawn')
      checkRecord(record, context)
    }
  }

  /**
   * The next tree is signed as this policy says: whether this server can is known before it has an index. Files are read for an admin only.
   *
   * @throws LogError `signing_key_missing`, `malformed_config`
   */
  async #loadKeys(policy: NamedKeys, check: () => void): Promise<void> {
    check()
    await this.#log.keys.load(policy)
    this.#log.keys.signersOf(policy)
  }

  async #targetOf(meta: EntryMeta, type: LinkTarget['type'], { record }: RecordStatement): Promise<LinkTarget> {
    const { index, issuedAt, signer } = meta
    const target: LinkTarget = { index, type, issuedAt, signer }
    if (type === 'credential-provenance' && 'credentialDigest' in record.fields) {
      return { ...target, ...(await this.#credentialOf(index, toHex(record.fields.credentialDigest))) }
    }
    // Read where it decides something: of one credential in many, and of results only once criteria were ever withdrawn.
    const decides =
      type === 'issuance-intent' || (type === 'attestation-result' && this.#log.authorities.criteriaRetracted)
    return decides ? { ...target, ...(await this.#contentAt(index)) } : target
  }

  /** Which credential the target is about is in the index already, the other way round. */
  async #credentialOf(index: number, credentialDigest: string): Promise<Partial<LinkTarget>> {
    const { reader } = this.#log
    const holder = await reader.byUnique(`credential:${credentialDigest}`)
    if (holder !== index) return {}
    const records = await Promise.all((await reader.statuses(credentialDigest)).map((at) => this.#recordAt(at)))
    return { credentialDigest, suspended: isSuspended(records) }
  }

  async #contentAt(index: number): Promise<Partial<LinkTarget>> {
    const record = await this.#recordAt(index)
    return record ? { ...contentOf(record) } : {}
  }

  /** Undefined where it was erased. */
  async #recordAt(index: number): Promise<ProvenanceRecord | undefined> {
    try {
      const bytes = await this.#log.reader.statement(index)
      return bytes && recordOfStatement(parseSignedStatement(bytes, { maxBytes: bytes.length }))
    } catch (error) {
      if (error instanceof LogError && error.code === 'statement_erased') return undefined
      throw error
    }
  }

  get #maxStatementBytes(): number {
    return this.#log.authorities.policy().fields.maxStatementBytes
  }
}

/**
 * For whom the wraps are. They are stored for whoever reads the record, so they must be of use: wraps, and beside sealed sections.
 * That one opens for its recipient only the recipient can tell, and the commitment in the record then shows whose fault it is.
 */
function recipientsOf({ record }: RecordStatement, wraps: readonly Uint8Array[]): string[] {
  if (wraps.length > 0 && !record.sealed) {
    throw new StatementError('malformed_wrap', 'wraps for a record that seals nothing')
  }
  return wraps.map((wrap) => {
    const kid = wrapRecipientKid(wrap)
    if (kid === undefined) throw new StatementError('malformed_wrap', 'not a JWE for one recipient')
    return kid
  })
}

/** Nothing but a reinstatement ends a suspension. */
function isSuspended(records: readonly (ProvenanceRecord | undefined)[]): boolean {
  const statuses = records.map((record) => (record?.type === 'credential-status' ? record.fields.status : undefined))
  return statuses.findLast((status) => status === 'suspended' || status === 'reinstated') === 'suspended'
}

/** Keys as the crypto library wants them, by kid (and algorithm). A kid is the key's own hash, so an entry is never wrong, only unused. */
class KeyCache {
  readonly #keys = new Map<string, Promise<VerificationKey>>()

  get(name: string, jwk: VerificationJwk, algorithm?: VerificationAlgorithm): Promise<VerificationKey> {
    const cached = this.#keys.get(name)
    if (cached) return cached
    // The oldest goes: with more signers than this at one time, an import costs about a verification.
    for (const oldest of this.#keys.size >= MAX_CACHED_KEYS ? this.#keys.keys() : []) {
      this.#keys.delete(oldest)
      break
    }
    const imported = importVerificationKey(jwk, algorithm)
    this.#keys.set(name, imported)
    return imported
  }
}

const MAX_CACHED_KEYS = 4096

/**
 * Of batches. What waits in the thread pool is what the next commit waits behind, so a thousand signatures must not be in it; and so
 * many that the pool has work when the main thread is busy for 5 ms.
 */
const VERIFYING_AT_ONCE = 64
