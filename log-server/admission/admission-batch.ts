/**
 * Many statements in one request: each is admitted for itself, in the order in which they came.
 *
 * ```
 *   read and verify, by the piece ─► in order: check, append a piece at a time ─► answers
 *                                      ▲
 *              a link to a statement before it in the request waits here until that one is published,
 *              and so does a second status of one credential
 * ```
 *
 * What comes of it is what would come of sending them one after another. Two things depend on what is before: a link, whose target must
 * be on the log, and a key or a policy, which a record of the admin may have changed. So a piece ends with each statement that says
 * it is such a record, and what follows is not looked at before that one is on the log or refused.
 *
 * A piece is read only when there is a thread to verify it, and of what was read only the candidate is kept: thousands of statements
 * wait here at a time, and what waits as objects is copied by the garbage collector again and again, which takes longer than to read it.
 *
 * @module
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Hash } from '../../merkle/hash.ts'
import { recordTyp } from '../../provenance/record.ts'
import type { SignedStatement } from '../../statement/signed-statement.ts'
import { entryName } from '../names.ts'
import { Slots } from '../turns.ts'
import type { Appended, Candidate } from '../types.ts'
import type { Targets } from './known-targets.ts'

/** A statement that is on the log now, or was before. */
export interface Admitted extends Appended {
  readonly entry: Hash
}

/** A statement that has the form of one, within the limits, and the wraps that came with it. */
export interface Submitted {
  readonly statement: SignedStatement
  readonly wraps: readonly Uint8Array[]
}

/** One whose signature holds. */
export interface Verified {
  /** Entries that it links to, but for those that are known to be on the log. */
  readonly unknownLinks: readonly Hash[]
  /** What it says has become of something else: what may be said next depends on it. */
  readonly changes: Hash | undefined
  /** Looks up what its links lead to, at once where that is in memory. May be asked again, when more is on the log. */
  lookUp(): Targets | Promise<Targets>
  /** Throws if it may not be on the log. */
  admissible(targets: Targets): Admissible
}

/** All that the sequencer needs; `recheck` must have been called in the turn in which it is appended. */
export type Admissible = Candidate & { readonly recheck: () => void }

/** What is done to a single statement, step by step. All throw to refuse. */
export interface AdmissionSteps {
  /** Reads and verifies a piece, when its sender's turn has come: so many of all requests together at one time. */
  readonly pieces: { readonly areFree: boolean; run(work: () => Promise<void>): Promise<void> }
  read(submission: Uint8Array): Submitted
  /** The index of a statement that is on the log. */
  locate(entry: Hash): Promise<number | undefined>
  receipt(index: number): Promise<Uint8Array>
  /**
   * Checks the signatures of all, together. What is signed is read by the function returned, of each when its turn has come; it throws why
   * one is refused. Never rejects.
   */
  verifyAll(submitted: readonly Submitted[]): Promise<(place: number) => Verified>
  appendAll(candidates: readonly Candidate[]): Promise<readonly (Appended | Error)[]>
}

/** What became of each, in the same order. */
export async function admitInOrder(
  submissions: readonly Uint8Array[],
  steps: AdmissionSteps,
): Promise<readonly (Admitted | Error)[]> {
  const batch = new BatchUnderWay(submissions, steps)
  await batch.admit()
  return batch.outcomes
}

interface Item {
  readonly place: number
  readonly submitted: Submitted
}

/** Statements in a row, as far as they could be read, and what the check of their signatures comes to. */
interface Piece {
  readonly items: readonly Item[]
  readonly verifiedAt: ReturnType<AdmissionSteps['verifyAll']>
  /** Its last statement may change who may write, going by what it says of itself: nothing is verified yet. */
  readonly changesAuthority: boolean
}

/** By `typ`. */
export const CHANGES_AUTHORITY: ReadonlySet<string | number | undefined> = new Set([
  recordTyp('key-authorization'),
  recordTyp('log-policy'),
  recordTyp('retraction'),
])

/** One request. */
class BatchUnderWay {
  readonly outcomes: (Admitted | Error)[]
  readonly #submissions: readonly Uint8Array[]
  readonly #steps: AdmissionSteps
  /** So many submissions were read. */
  #read = 0
  #next: { readonly place: number; readonly candidate: Admissible }[] = []
  /** Entries that were handed to the sequencer, or are about to be, and have no answer yet. */
  readonly #unpublished = new Set<string>()
  /** What they change. */
  readonly #changing = new Set<string>()
  #appending: Promise<void>[] = []
  readonly #receipts = new Slots(RECEIPTS_TOGETHER)

  constructor(submissions: readonly Uint8Array[], steps: AdmissionSteps) {
    this.outcomes = new Array(submissions.length)
    this.#submissions = submissions
    this.#steps = steps
  }

  async admit(): Promise<void> {
    const ahead: Piece[] = []
    while (ahead.length > 0 || this.#read < this.#submissions.length) {
      const piece = ahead.shift() ?? (await this.#nextPiece())
      // While others wait for the threads, one piece at a time; a request that is alone keeps all of them busy.
      while (ahead.length < AHEAD && this.#steps.pieces.areFree && this.#mayReadAfter(ahead.at(-1) ?? piece)) {
        ahead.push(await this.#nextPiece())
      }
      await this.#admitPiece(piece)
      if (piece.changesAuthority) await this.#published()
      // Not each piece: what a commit costs, two signatures and two flushes, is shared by all that is in it, and nobody is answered sooner.
      else if (this.#next.length >= APPEND_TOGETHER) this.#append()
      if (ahead.length > 0 || this.#read < this.#submissions.length) await nextTurn()
    }
    await this.#published()
  }

  #mayReadAfter({ changesAuthority }: Piece): boolean {
    return !changesAuthority && this.#read < this.#submissions.length
  }

  /** Resolves when the next piece was read; others take their turn when it is verified. */
  #nextPiece(): Promise<Piece> {
    return new Promise((resolve, reject) => {
      const verified = this.#steps.pieces.run(async () => {
        const piece = this.#readPiece()
        resolve(piece)
        await piece.verifiedAt
      })
      verified.catch(reject)
    })
  }

  #readPiece(): Piece {
    const items: Item[] = []
    let bytes = 0
    let changesAuthority = false
    const end = Math.min(this.#read + TOGETHER, this.#submissions.length)
    while (this.#read < end && bytes < PIECE_BYTES && !changesAuthority) {
      const place = this.#read++
      const submission = this.#submissions[place]!
      bytes += submission.length
      try {
        const submitted = this.#steps.read(submission)
        items.push({ place, submitted })
        changesAuthority = CHANGES_AUTHORITY.has(submitted.statement.header.typ)
      } catch (error) {
        this.outcomes[place] = error as Error
      }
    }
    return { items, verifiedAt: this.#steps.verifyAll(items.map(({ submitted }) => submitted)), changesAuthority }
  }

  async #admitPiece({ items, verifiedAt }: Piece): Promise<void> {
    const readVerified = await verifiedAt
    // All are begun before one is waited for: what has to be looked up in the store is looked up together.
    const prepared = items.map(({ submitted }, i) => this.#prepare(readVerified, i, submitted.statement.entry))
    for (let i = 0; i < prepared.length; i++) {
      const outcome = prepared[i]!
      const admitting = this.#admitNext(items[i]!, outcome instanceof Promise ? await outcome : outcome)
      if (admitting) await admitting
    }
  }

  /** A promise where it has to wait for what it links to. */
  #admitNext({ place, submitted }: Item, outcome: Prepared | Admitted | Error): Promise<void> | undefined {
    if (!('verified' in outcome)) {
      this.outcomes[place] = outcome
      return undefined
    }
    const { entry } = submitted.statement
    const { verified, targets } = outcome
    const changed = verified.changes && entryName(verified.changes)
    const isChanging = changed !== undefined && this.#changing.has(changed)
    if (!isChanging && !verified.unknownLinks.some((link) => this.#unpublished.has(entryName(link)))) {
      this.#admit(place, entry, verified, targets, changed)
      return undefined
    }
    return this.#afterItsLinks(verified).then((later) => {
      if (later instanceof Error) this.outcomes[place] = later
      else this.#admit(place, entry, verified, later, changed)
    })
  }

  #admit(place: number, entry: Hash, verified: Verified, targets: Targets, changed: string | undefined): void {
    try {
      this.#next.push({ place, candidate: verified.admissible(targets) })
    } catch (error) {
      this.#refuse(place, entry, error as Error)
      return
    }
    this.#unpublished.add(entryName(entry))
    if (changed !== undefined) this.#changing.add(changed)
  }

  /** Never throws or rejects: it may be waited for together with others. */
  #prepare(
    readVerified: (i: number) => Verified,
    i: number,
    entry: Hash,
  ): Prepared | Promise<Prepared | Admitted | Error> {
    try {
      const verified = readVerified(i)
      const targets = verified.lookUp()
      return targets instanceof Promise ? this.#prepareLater(verified, targets, entry) : { verified, targets }
    } catch (error) {
      return settled(this.#unlessKnown(entry, error as Error))
    }
  }

  async #prepareLater(verified: Verified, found: Promise<Targets>, entry: Hash): Promise<Prepared | Admitted | Error> {
    const targets = await settled(found)
    return targets instanceof Error ? settled(this.#unlessKnown(entry, targets)) : { verified, targets }
  }

  /** Not waited for: its answer is found beside what comes after it. */
  #refuse(place: number, entry: Hash, refusal: Error): void {
    const answered = settled(this.#unlessKnown(entry, refusal)).then((outcome) => {
      this.outcomes[place] = outcome
    })
    this.#appending.push(answered)
  }

  /**
   * What is on the log already keeps its receipt, whoever may write by now. Asked only about what is refused: the sequencer finds all other
   * repetitions, and to ask about each statement first costs more than to verify the few that are repeated.
   */
  async #unlessKnown(entry: Hash, refusal: Error): Promise<Admitted | Error> {
    const index = await this.#steps.locate(entry)
    if (index === undefined) return refusal
    const receipt = await this.#receipts.run(async () => {
      await nextTurn()
      return this.#steps.receipt(index)
    })
    return { entry, index, receipt, duplicate: true }
  }

  /** What it links to, once that of it which came in this request is on the log. */
  async #afterItsLinks(verified: Verified): Promise<Targets | Error> {
    await this.#published()
    return settled((async () => verified.lookUp())())
  }

  /** Hands over what is ready. Not waited for: it stays in order, and the next piece can be made ready meanwhile. */
  #append(): void {
    if (this.#next.length === 0) return
    const batch = this.#next.filter(({ place, candidate }) => {
      try {
        candidate.recheck()
        return true
      } catch (error) {
        this.#refuse(place, candidate.entry, error as Error)
        return false
      }
    })
    this.#next = []
    const appending = this.#steps.appendAll(batch.map(({ candidate }) => candidate)).then((outcomes) => {
      for (const [i, { place, candidate }] of batch.entries()) {
        const outcome = outcomes[i]!
        this.outcomes[place] = outcome instanceof Error ? outcome : { entry: candidate.entry, ...outcome }
      }
    })
    this.#appending.push(appending)
  }

  async #published(): Promise<void> {
    this.#append()
    await Promise.all(this.#appending)
    this.#appending = []
    this.#unpublished.clear()
    this.#changing.clear()
  }
}

interface Prepared {
  readonly verified: Verified
  readonly targets: Targets
}

/** What comes of `promise`, its error included: nobody waits for it yet who could catch that. */
function settled<T>(promise: Promise<T>): Promise<T | Error> {
  return promise.catch((error: unknown) => error as Error)
}

// What is done in one turn of the event loop. A small statement takes some 5 µs to parse, its record and its checks 10 to 15, a receipt out
// of the store up to 100, and a large statement as its bytes go.
/** Statements read in one go and their signatures checked, 3 ms of one thread; then their records are read and checked in one turn. */
const TOGETHER = 50
const PIECE_BYTES = 128 * 1024
const RECEIPTS_TOGETHER = 16
const APPEND_TOGETHER = 250
/** Pieces of one request on their way beside the first: with it, more than there are threads, so that the next is there when one is done. */
const AHEAD = 3
