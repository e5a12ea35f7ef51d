/**
 * Gathers what the story of a credential needs, out of the log and into a bundle: of one, or of several at a time.
 *
 *     credential-provenance ──links──► results, policies, workload, authorizations      followed until nothing new turns up
 *     credential-status …              of the same credential, as far as logged; and for whom it stands in
 *     retraction …                     of any policy, reference values or key among these
 *     key-authorization …              of every key that signed one of these
 *     log-policy …                     the one in force, and those it replaced
 *
 * All of it at one tree head. `previous` links are followed from the log's own policies alone, whose keys hand over from one
 * version to the next; what an issuer's policy said three versions ago is history, and history is the auditor's to replay.
 *
 * @module
 */
import { toHex } from '../../merkle/bytes.ts'
import { EvidenceError } from '../../merkle/error.ts'
import type { Hash } from '../../merkle/hash.ts'
import type { Link, ProvenanceRecord } from '../../provenance/record.ts'
import type { Authorities } from '../../provenance/rules/authorities.ts'
import { type Bundle, MAX_BUNDLE_BYTES, MAX_BUNDLE_STATEMENTS } from '../../provenance/verification/bundle.ts'
import { type BundledStatement, type BundleSet, bundleIn } from '../../provenance/verification/bundle-set.ts'
import type { SignedStatement } from '../../statement/signed-statement.ts'
import { withReceipts } from '../../statement/transparent-statement.ts'
import type { RecordedCredential } from '../access/general-view.ts'
import { RequestError } from '../problem.ts'
import type { EntryMeta, LogReader } from '../types.ts'
import { KnownStatements } from './known-statements.ts'
import { Snapshot, type SnapshotSource } from './snapshot.ts'

export interface BundleSource {
  readonly log: SnapshotSource & Pick<LogReader, 'byUnique' | 'locate' | 'statuses' | 'wraps'>
  readonly authorities: Pick<Authorities, 'authorizations' | 'policy' | 'retractionOf'>
  /** What earlier answers had to read. */
  readonly known?: KnownStatements
  /** Which wraps, of a record by `signer` (kid), go into the bundle; all, when not given. */
  readonly shown?: (wraps: readonly Uint8Array[], signer: string) => readonly Uint8Array[]
  /** Whether a credential is for whoever asks; each is, when not given. Of others they are told what they are of none. */
  readonly isFor?: (credential: RecordedCredential) => Promise<boolean>
}

/**
 * The bundle of the credential with this digest.
 *
 * @throws {@link RequestError} `not_found`, `bundle_too_large`; `LogError` `statement_erased`
 */
export async function collectBundle(credentialDigest: Hash, source: BundleSource): Promise<Bundle> {
  const { bundles, ...set } = await collectBundles([credentialDigest], source, MAX_BUNDLE_BYTES)
  const [places] = bundles
  if (places instanceof EvidenceError) throw places
  return bundleIn(set, places!, credentialDigest)
}

/** A `BundleSet` that is not encoded yet: errors are still errors. */
export type Collected = Omit<BundleSet, 'bundles'> & {
  readonly bundles: readonly (readonly number[] | EvidenceError)[]
}

/**
 * The bundles of several credentials, all at one tree head. Whatever {@link collectBundle} would have thrown about one of them stands in its
 * place; and `bundle_too_large`, where there is no more room beside the others.
 *
 * @param maxBytes - of all statements and wraps
 */
export async function collectBundles(
  credentialDigests: readonly Hash[],
  source: BundleSource,
  maxBytes: number,
): Promise<Collected> {
  const gathering = new Gathering(source, maxBytes)
  return answerOf(
    gathering,
    await Promise.all(credentialDigests.map((digest) => gathering.storyOf(toHex(digest)).catch(asOutcome))),
  )
}

/**
 * What was just registered, at `indexes`, with the receipt of each: of a `credential-provenance` the bundle of its credential, and of all else,
 * and where there is no bundle, the statement alone.
 *
 * @throws {@link RequestError} `bundle_too_large` when there is no room for them; `LogError` `statement_erased`
 */
export async function collectRegistered(
  indexes: readonly number[],
  source: BundleSource,
  maxBytes: number,
): Promise<Collected> {
  const gathering = new Gathering(source, maxBytes)
  const stories = indexes.map(async (index) => {
    const story = await gathering.storyAt(index).catch(asOutcome)
    return story instanceof EvidenceError ? [index] : story
  })
  return answerOf(gathering, await Promise.all(stories))
}

async function answerOf(
  gathering: Gathering,
  stories: readonly (readonly number[] | EvidenceError)[],
): Promise<Collected> {
  const indexes = [...new Set(stories.flatMap((story) => (story instanceof EvidenceError ? [] : story)))]
  const statements = await gathering.prove(indexes)
  const placeOf = new Map(indexes.map((index, place) => [index, place]))
  const bundles = stories.map((story) =>
    story instanceof EvidenceError ? story : story.map((index) => placeOf.get(index)!),
  )
  const { head, checkpoint } = gathering.snapshot
  return { origin: head.origin, checkpoint, statements, bundles }
}

/** What one answer is made of. Each statement is read once, however many of its bundles have it. */
class Gathering {
  readonly snapshot: Snapshot
  readonly #source: BundleSource
  readonly #policy: number
  readonly #found = new Map<number, Promise<Found>>()
  /** By entry in lower-case hex. */
  readonly #located = new Map<string, Promise<EntryMeta | undefined>>()
  readonly #known: KnownStatements
  #room: number

  constructor(source: BundleSource, maxBytes: number) {
    this.#source = source
    this.#known = source.known ?? new KnownStatements()
    this.snapshot = new Snapshot(source.log)
    this.#policy = source.authorities.policy().index
    this.#room = maxBytes
  }

  /** The indexes of what belongs into the bundle of a credential, its record first. @throws as {@link collectBundle} */
  async storyOf(credentialDigest: string): Promise<number[]> {
    const root = await this.#source.log.byUnique(`credential:${credentialDigest}`)
    if (!this.snapshot.has(root)) throw notRecorded()
    return this.#follow(root, credentialDigest)
  }

  /** As {@link storyOf} the credential that the record at an index of this tree is about; the statement alone, where that is about none. */
  async storyAt(index: number): Promise<number[]> {
    const { record } = await this.#at(index)
    if (record?.type !== 'credential-provenance') return [index]
    return this.#follow(index, toHex(record.fields.credentialDigest))
  }

  async #follow(root: number, credentialDigest: string): Promise<number[]> {
    const { log, isFor } = this.#source
    // All of them or no bundle: one that left out the oldest could leave out the revocation.
    const statuses = await log.statuses(credentialDigest, MAX_BUNDLE_STATEMENTS, root)
    if (isFor) {
      const known = statuses.filter((index) => this.snapshot.has(index))
      if (!(await isFor({ root, statuses: known }))) throw notRecorded()
    }
    const story = new Set<number>()
    // What the entries of one wave lead to is the next.
    for (let wave = [root, ...statuses, this.#policy]; wave.length > 0; ) {
      const added = [...new Set(wave)].filter((index) => this.snapshot.has(index) && !story.has(index))
      for (const index of added) story.add(index)
      if (story.size > MAX_BUNDLE_STATEMENTS) throw tooLarge(`more than ${MAX_BUNDLE_STATEMENTS} statements`)
      const found = await Promise.all(added.map((index) => this.#at(index)))
      wave = found.flatMap(({ next }) => next)
    }
    return [...story]
  }

  /** The statements with their receipts and wraps. */
  async prove(indexes: readonly number[]): Promise<BundledStatement[]> {
    const [receipts, found] = await Promise.all([
      this.snapshot.receipts(indexes),
      Promise.all(indexes.map((index) => this.#at(index))),
    ])
    return found.map(({ statement, wraps }, i) => ({
      entry: statement.entry,
      statement: withReceipts(statement, [receipts[i]!]),
      wraps,
    }))
  }

  #at(index: number): Promise<Found> {
    const known = this.#found.get(index)
    if (known) return known
    const found = this.#read(index)
    this.#found.set(index, found)
    return found
  }

  /** Credentials that are asked about together rest on the same: where that is, the store is asked once. */
  #locate(entry: Hash): Promise<EntryMeta | undefined> {
    const name = toHex(entry)
    const known = this.#located.get(name)
    if (known) return known
    const located = this.#source.log.locate(entry)
    this.#located.set(name, located)
    return located
  }

  async #read(index: number): Promise<Found> {
    const { log, authorities, shown } = this.#source
    const { statement, record } = this.#known.read(index, await this.snapshot.statement(index))
    const links = record ? followed(record) : []
    const [targets, stored] = await Promise.all([
      Promise.all(links.map((link) => this.#locate(link.entry))),
      record?.sealed ? log.wraps(statement.entry) : [],
    ])
    const wraps = shown ? shown(stored, statement.header.kid ?? '') : stored
    this.#room -= bytesOf(statement, wraps)
    if (this.#room < 0) throw tooLarge('more bytes than one answer may have')
    // The one that is in effect first: what others of the same add would be told by it already.
    const retraction = authorities.retractionOf(statement.entry)
    const signer = authorities.authorizations(statement.header.kid ?? '')
    const next = [
      ...(retraction ? [retraction.index] : []),
      ...signer.map((authorization) => authorization.index),
      ...targets.flatMap((target) => (target ? [target.index] : [])),
    ]
    return { statement, record, wraps, next }
  }
}

/** What was found of one entry, and the indexes that it leads to. */
interface Found {
  readonly statement: SignedStatement
  readonly record: ProvenanceRecord | undefined
  readonly wraps: readonly Uint8Array[]
  readonly next: readonly number[]
}

function followed({ type, links }: ProvenanceRecord): readonly Link[] {
  return type === 'log-policy' ? links : links.filter(({ rel }) => rel !== 'previous')
}

/** At least what it takes up: a receipt is as long as the tree is high, and an entry in hex stands before the wraps of each. */
function bytesOf({ bytes }: SignedStatement, wraps: readonly Uint8Array[]): number {
  return [bytes, ...wraps].reduce((sum, { length }) => sum + length + 9, MAX_RECEIPT_BYTES)
}

/** A path of 54 hashes, a signature, and a header that names the log. */
const MAX_RECEIPT_BYTES = 2560

/** A refusal is an answer about one credential. That something of ours is broken is none. */
function asOutcome(error: unknown): EvidenceError {
  if (error instanceof EvidenceError) return error
  throw error
}

function notRecorded(): RequestError {
  return new RequestError('not_found', 'this log records no credential with that digest')
}

function tooLarge(what: string): RequestError {
  return new RequestError('bundle_too_large', `the story of this credential takes ${what}: read its entries one by one`)
}
