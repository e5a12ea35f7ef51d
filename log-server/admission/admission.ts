/**
 * What the log admits, in the order in which it is asked:
 *
 *     1. is it a Signed Statement, within the limits?            bytes
 *        may whoever sends it send such a one?                   the door (access/), where there is one
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
 * what is on the log (SCRAPI: no HTTP header and no unprotected header may): everything an auditor needs to decide again is on the log.
 *
 * @module
 */
import { importVerificationKey, type VerificationKey } from '#signature'
import { toHex } from '../../merkle/bytes.ts'
import type { Hash } from '../../merkle/hash.ts'
import { ProvenanceError } from '../../provenance/error.ts'
import {
  isRecordStatement,
  type ProvenanceRecord,
  type RecordStatement,
  recordOfStatement,
  recordStatementOf,
} from '../../provenance/record.ts'
import type { Authorities } from '../../provenance/rules/authorities.ts'
import { checkRecord } from '../../provenance/rules/check-record.ts'
import { checkForeign, PathCache, recheckForeign } from '../../provenance/rules/foreign.ts'
import { isRecordType } from '../../provenance/rules/link-rules.ts'
import { contentOf, type LinkTarget } from '../../provenance/rules/record-context.ts'
import type { VerificationAlgorithm } from '../../statement/algorithm.ts'
import { kidOf, type VerificationJwk } from '../../statement/cose-key.ts'
import { StatementError } from '../../statement/error.ts'
import {
  parseSignedStatement,
  SignatureCheck,
  type SignedStatement,
  type VerifiedStatement,
  verifySignedStatement,
} from '../../statement/signed-statement.ts'
import { wrapRecipientKid, wrapsIn } from '../../statement/wrap.ts'
import { Newest } from '../newest.ts'
import type { Sequencer } from '../sequencing/sequencer.ts'
import type { NamedKeys, SigningKeys } from '../sequencing/signing-keys.ts'
import { SharedRoom } from '../shared-room.ts'
import { Slots } from '../turns.ts'
import { BusyError, type Clock, LogError, type LogReader } from '../types.ts'
import {
  type Admissible,
  type AdmissionSteps,
  type Admitted,
  admitInOrder,
  CHANGES_AUTHORITY,
  type Submitted,
  type Verified,
} from './admission-batch.ts'
import { candidateOf, foreignCandidateOf } from './candidate.ts'
import { hasContent, KnownTargets, type Targets } from './known-targets.ts'
import { PIECES_AT_ONCE, verifyTogether } from './verification-threads.ts'

export interface AdmissionLog {
  readonly reader: Pick<LogReader, 'byUnique' | 'locate' | 'receipt' | 'statement' | 'statuses'>
  readonly sequencer: Pick<Sequencer, 'append' | 'appendAll' | 'size'>
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
  maxPendingBytes: 64 * 1024 * 1024,
}

/** Whose a submission is. */
export interface Sender {
  /** Those of one caller share a place with each other and take turns with those of others: who it is, or the address. */
  readonly caller: string
  /** Throws for a statement that its sender may not send: before anything is said of what the log has. */
  readonly permit?: Permit | undefined
}

export type Permit = (statement: SignedStatement) => void

export interface AdmissionOptions {
  readonly log: AdmissionLog
  readonly now: Clock
  readonly limits?: Partial<AdmissionLimits>
  readonly observer?: AdmissionObserver | undefined
}

/** Whoever counts. Has no say in anything, and must not throw. */
export interface AdmissionObserver {
  /** How long a statement, or a piece of a batch of them, took: `signature` is steps 1 to 4, `rules` 5 and 6 of a statement that came alone. */
  admitted(stage: 'signature' | 'rules', milliseconds: number): void
}

export class Admission {
  readonly #log: AdmissionLog
  readonly #now: Clock
  readonly #limits: AdmissionLimits
  readonly #keys = new KeyCache()
  readonly #paths = new PathCache()
  readonly #pieces = new Slots(PIECES_AT_ONCE)
  readonly #verifying = new Slots(VERIFYING_AT_ONCE)
  readonly #known: KnownTargets
  readonly #room: SharedRoom
  readonly #observer: AdmissionObserver | undefined

  constructor({ log, now, limits, observer }: AdmissionOptions) {
    this.#log = log
    this.#known = new KnownTargets(log.authorities)
    this.#now = now
    this.#observer = observer
    this.#limits = { ...DEFAULT_ADMISSION_LIMITS, ...limits }
    this.#room = new SharedRoom({ count: this.#limits.maxPending, bytes: this.#limits.maxPendingBytes })
  }

  /** The largest submission that can be admitted under the policy in force: a statement and its wraps, in bytes. */
  get maxBytes(): number {
    // Wraps come with a few bytes of CBOR around each.
    return this.#maxStatementBytes + this.#limits.maxWrapBytes + 1024
  }

  /**
   * Whether anything of so many bytes would be taken now: asked before they are read.
   *
   * @throws {@link BusyError} `queue_full`
   */
  expect(caller: string, bytes: number): void {
    if (!this.#room.has(caller, 1, bytes)) throw full()
  }

  /**
   * Registers one statement as a client sent it, and resolves when it is durable and published.
   *
   * @throws StatementError, ProvenanceError, LogError: refused, for good
   * @throws {@link BusyError} not taken now
   */
  admit(submission: Uint8Array, sender = NOBODY): Promise<Admitted> {
    return this.#holding(sender, 1, submission.length, () => this.#register(submission, sender))
  }

  /**
   * Registers statements as if they came one after another, and resolves when each is published or refused: what {@link admit} would
   * have thrown stands in the place of the one it is about.
   *
   * @throws {@link BusyError} not taken now, none of them
   */
  admitAll(submissions: readonly Uint8Array[], sender = NOBODY): Promise<readonly (Admitted | Error)[]> {
    const { caller, permit } = sender
    const pieces = this.#pieces
    const steps: AdmissionSteps = {
      pieces: {
        get areFree() {
          return pieces.areFree
        },
        run: (work) => pieces.run(work, caller),
      },
      read: (submission) => this.#read(submission, permit),
      verifyAll: async (submitted) => {
        const began = performance.now()
        const verified = await this.#verifyAll(submitted, caller)
        this.#observer?.admitted('signature', performance.now() - began)
        return verified
      },
      locate: async (entry) => (await this.#log.reader.locate(entry))?.index,
      receipt: (index) => this.#log.reader.receipt(index),
      appendAll: (candidates) => this.#log.sequencer.appendAll(candidates, caller),
    }
    const bytes = submissions.reduce((sum, { length }) => sum + length, 0)
    return this.#holding(sender, submissions.length, bytes, () => admitInOrder(submissions, steps))
  }

  async #holding<T>({ caller }: Sender, count: number, bytes: number, work: () => Promise<T>): Promise<T> {
    if (!this.#room.take(caller, count, bytes)) throw full()
    try {
      return await work()
    } finally {
      this.#room.giveBack(caller, count, bytes)
    }
  }

  async #register(submission: Uint8Array, { caller, permit }: Sender): Promise<Admitted> {
    const { reader } = this.#log
    const began = performance.now()
    const submitted = this.#read(submission, permit)
    const { entry } = submitted.statement
    // The entry is the hash of every byte we keep, the signature included: this one was checked when it came first.
    const known = await reader.locate(entry)
    if (known) return { entry, index: known.index, receipt: await reader.receipt(known.index), duplicate: true }
    const readVerified = await this.#verifying.run(() => this.#verify(submitted), caller)
    const verifiedAt = performance.now()
    const found = readVerified()
    const candidate = found.admissible(await found.lookUp())
    this.#observer?.admitted('signature', verifiedAt - began)
    this.#observer?.admitted('rules', performance.now() - verifiedAt)
    // In one go with the append: an authority that changes from here on, the sequencer knows of, and asks again.
    candidate.recheck()
    return { entry, ...(await this.#log.sequencer.append(candidate, caller)) }
  }

  /** Step 1. The submission is ours from here on: nobody writes to it, and what is read of it may be views. */
  #read(submission: Uint8Array, permit?: Permit): Submitted {
    const { maxBytes } = this
    const read = parseSignedStatement(submission, { maxBytes, views: true })
    permit?.(read)
    // What is remembered of a statement, of keys, policies and certificates, must not keep the request that it came in.
    const statement = isForgotten(read) ? read : parseSignedStatement(submission, { maxBytes })
    const { length } = statement.bytes
    if (length > this.#maxStatementBytes) {
      throw new StatementError(
        'too_large',
        `a statement of ${length} bytes, and the log takes ${this.#maxStatementBytes}`,
      )
    }
    // Most come without.
    const wraps = statement.unprotected.size > 0 ? wrapsIn(statement.unprotected) : NO_WRAPS
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
    const key = await this.#keyOf(statement)
    const verified = await verifySignedStatement(statement, key)
    return () => this.#readRecord(verified, key, wraps)
  }

  /** As {@link #verify} for each: records together, in threads of their own, and what is no record its own way meanwhile. */
  async #verifyAll(submitted: readonly Submitted[], caller: string): Promise<(place: number) => Verified> {
    const checks: SignatureCheck[] = []
    /** By place: which of `checks` it is; or what comes of it without. */
    const parts: Promise<number | (() => Verified) | Error>[] = []
    for (const each of submitted) {
      try {
        if (submitted.length < FEW) parts.push(settled(this.#verify(each)))
        else if (isRecordStatement(each.statement)) {
          const key = this.#keyOf(each.statement)
          const check = new SignatureCheck(each.statement, key instanceof Promise ? await key : key)
          parts.push(Promise.resolve(checks.push(check) - 1))
        } else parts.push(settled(this.#verifying.run(() => this.#verify(each), caller)))
      } catch (error) {
        parts.push(Promise.resolve(error as Error))
      }
    }
    const verdicts = checks.length > 0 ? await settled(verifyTogether(checks)) : []
    const outcomes = await Promise.all(parts)
    return (place) => {
      const outcome = outcomes[place]!
      if (outcome instanceof Error) throw outcome
      if (typeof outcome !== 'number') return outcome()
      if (verdicts instanceof Error) throw verdicts
      const { valid, identity } = verdicts[outcome]!
      const check = checks[outcome]!
      return this.#readRecord(check.concluded(valid), check.key, submitted[place]!.wraps, identity)
    }
  }

  /** Step 3. */
  #keyOf({ header: { kid = '' } }: SignedStatement): VerificationKey | Promise<VerificationKey> {
    const jwk = this.#log.authorities.keyOf(kid)
    if (!jwk) throw new ProvenanceError('unknown_key', 'signed by a key that this log has authorized for nothing')
    return this.#keys.get(kid, jwk)
  }

  /** Step 5; what is returned does 6. */
  #readRecord(
    statement: VerifiedStatement,
    key: SignatureCheck['key'],
    wraps: readonly Uint8Array[],
    identity?: Hash,
  ): Verified {
    const record = recordStatementOf(statement)
    const recipients = wraps.length > 0 ? recipientsOf(record, wraps) : NO_RECIPIENTS
    const known = this.#known.of(record)
    return {
      unknownLinks: known ? NO_LINKS : record.record.links.map(({ entry }) => entry),
      changes: changedBy(record.record),
      lookUp: () => {
        const { fields, type } = record.record
        const found = known ?? this.#lookUpTargets(record)
        return type === 'log-policy' ? this.#loadKeys(fields, record, found) : found
      },
      admissible: (targets) => {
        this.#checkRecord(record, targets, recipients)
        const candidate = candidateOf(record, wraps, identity)
        candidate.recheck = this.#recheckOf(statement.bytes, key, targets, recipients)
        return candidate as Admissible
      },
    }
  }

  /** Whether the record may be on the log as its authorities are at this moment. */
  #checkRecord(
    record: RecordStatement,
    { targets, criteriaRetracted }: Targets,
    wrapRecipients: readonly string[],
  ): void {
    const { authorities, sequencer } = this.#log
    // What the results were judged by has begun to matter, and was not looked up.
    if (authorities.criteriaRetracted !== criteriaRetracted) {
      throw new BusyError('queue_full', 'criteria were withdrawn')
    }
    const { maxClockSkew } = this.#limits
    const treeSize = sequencer.size
    checkRecord(record, { authorities, targets, now: this.#now(), maxClockSkew, treeSize, wrapRecipients })
  }

  /**
   * Asks again, if an authority has changed since. That is rare: so the record is read again then, and until then nothing is kept of it but
   * bytes. With thousands waiting for their commit, keeping what was read would cost the garbage collector more than reading it did.
   */
  #recheckOf(
    bytes: Uint8Array,
    key: SignatureCheck['key'],
    targets: Targets,
    recipients: readonly string[],
  ): () => void {
    const { authorities } = this.#log
    const { version } = authorities
    return () => {
      if (authorities.version === version) return
      const statement = parseSignedStatement(bytes, { maxBytes: bytes.length, views: true })
      const verified = new SignatureCheck(statement, key).concluded(true)
      this.#checkRecord(recordStatementOf(verified), targets, recipients)
    }
  }

  async #verifyForeign(statement: SignedStatement, wraps: readonly Uint8Array[]): Promise<Verified> {
    const { authorities } = this.#log
    if (wraps.length > 0) throw new StatementError('malformed_wrap', 'wraps for a statement that seals nothing')
    const foreign = await checkForeign(statement, {
      policy: authorities.policy(),
      now: this.#now(),
      maxClockSkew: this.#limits.maxClockSkew,
      importKey: async (jwk, algorithm) => this.#keys.get(`${kidOf(jwk)} ${algorithm}`, jwk, algorithm),
      paths: this.#paths,
    })
    const certificateBytes = foreign.beside.reduce((sum, { length }) => sum + length, 0)
    if (certificateBytes > this.#limits.maxWrapBytes) {
      throw new StatementError('too_large', `${certificateBytes} bytes of unprotected certificates`)
    }
    const recheck = () => recheckForeign(foreign, authorities.policy())
    return {
      unknownLinks: NO_LINKS,
      changes: undefined,
      lookUp: () => NO_TARGETS,
      admissible: () => ({ ...foreignCandidateOf(foreign), recheck }),
    }
  }

  /** What step 6 has to know of what the record links to. */
  async #lookUpTargets(record: RecordStatement): Promise<Targets> {
    const { criteriaRetracted } = this.#log.authorities
    const located = await Promise.all(record.record.links.map(({ entry }) => this.#log.reader.locate(entry)))
    const targets = new Map<string, LinkTarget>()
    for (const meta of located) {
      if (!meta || !(isRecordType(meta.type) || meta.type === 'foreign')) continue
      const { index, type, issuedAt, signer } = meta
      const target: LinkTarget = { index, type: meta.type, issuedAt, signer }
      this.#known.add(meta.entry, target)
      const isWhole = !hasContent(type, this.#log.authorities)
      targets.set(toHex(meta.entry), isWhole ? target : await this.#withContent(target, record))
    }
    return { targets, criteriaRetracted }
  }

  /**
   * The next tree is signed as this policy says: whether this server can is known before it has an index. Files are read for an admin only.
   *
   * @throws LogError `signing_key_missing`, `malformed_config`
   */
  async #loadKeys(policy: NamedKeys, record: RecordStatement, found: Targets | Promise<Targets>): Promise<Targets> {
    const targets = await found
    this.#checkRecord(record, targets, NO_RECIPIENTS)
    await this.#log.keys.load(policy)
    this.#log.keys.signersOf(policy)
    return targets
  }

  async #withContent(target: LinkTarget, { record }: RecordStatement): Promise<LinkTarget> {
    const { index, type } = target
    if (type !== 'credential-provenance') return { ...target, ...(await this.#contentAt(index)) }
    if (!('credentialDigest' in record.fields)) return target
    return { ...target, ...(await this.#credentialOf(index, toHex(record.fields.credentialDigest))) }
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

/** Whether nothing of a statement is held on to when it is on the log, but for what the log answers with. */
function isForgotten(statement: SignedStatement): boolean {
  return isRecordStatement(statement) && !CHANGES_AUTHORITY.has(statement.header.typ)
}

/**
 * For whom the wraps are. They are stored for whoever reads the record, so they must be of use: wraps, and beside sealed sections.
 * That one opens for its recipient only the recipient can tell, and the commitment in the record then shows whose fault it is.
 */
function recipientsOf({ record }: RecordStatement, wraps: readonly Uint8Array[]): string[] {
  if (!record.sealed) {
    throw new StatementError('malformed_wrap', 'wraps for a record that seals nothing')
  }
  return wraps.map((wrap) => {
    const kid = wrapRecipientKid(wrap)
    if (kid === undefined) throw new StatementError('malformed_wrap', 'not a JWE for one recipient')
    return kid
  })
}

/** Of a status, the record of its credential. */
function changedBy({ type, links }: ProvenanceRecord): Hash | undefined {
  return type === 'credential-status' ? links.find(({ rel }) => rel === 'credential-provenance')?.entry : undefined
}

/** Nothing but a reinstatement ends a suspension. */
function isSuspended(records: readonly (ProvenanceRecord | undefined)[]): boolean {
  const statuses = records.map((record) => (record?.type === 'credential-status' ? record.fields.status : undefined))
  return statuses.findLast((status) => status === 'suspended' || status === 'reinstated') === 'suspended'
}

/** Keys as the crypto library wants them, by kid (and algorithm). A kid is the key's own hash, so an entry is never wrong, only unused. */
class KeyCache {
  // With more signers than this at one time, an import costs about a verification.
  readonly #keys = new Newest<VerificationKey>(MAX_CACHED_KEYS)

  get(
    name: string,
    jwk: VerificationJwk,
    algorithm?: VerificationAlgorithm,
  ): VerificationKey | Promise<VerificationKey> {
    return this.#keys.get(name) ?? this.#import(name, jwk, algorithm)
  }

  async #import(name: string, jwk: VerificationJwk, algorithm?: VerificationAlgorithm): Promise<VerificationKey> {
    const key = await importVerificationKey(jwk, algorithm)
    this.#keys.set(name, key)
    return key
  }
}

/** What comes of `promise`, its error included. */
function settled<T>(promise: Promise<T>): Promise<T | Error> {
  return promise.catch((error: unknown) => error as Error)
}

function full(): BusyError {
  return new BusyError('queue_full', 'too many statements are being registered')
}

const NOBODY: Sender = { caller: '' }

/** Fewer than these are verified one by one: a thread would be woken for them, and its piece be small. */
const FEW = 8
const MAX_CACHED_KEYS = 4096
const NO_LINKS: readonly Hash[] = []
const NO_WRAPS: readonly Uint8Array[] = []
const NO_RECIPIENTS: readonly string[] = []
const NO_TARGETS: Targets = { targets: new Map(), criteriaRetracted: false }

/**
 * Statements of requests that bring one, and of batches those that are no records. What is in the thread pool is what every step of everybody
 * else's waits behind, down to the commit, whoever filled it: beside 256 connections that post forged statements, with 64 here an honest append took
 * four times as long as with 16, and neither admitted more of them.
 */
const VERIFYING_AT_ONCE = 16
