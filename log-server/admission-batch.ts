/**
 * Many statements in one request: each is admitted for itself, in the order in which they came.
 *
 * ```
 *   read ─► verify, by the piece ─► in order: append, a piece at a time ─► answers
 *                                      ▲
 *              a link to a statement before it in the request waits here until that one is published,
 *              and so does a second status of one credential
 * ```
 *
 * What comes of it is what would come of sending them one after another. Two things depend on what is before: a link, whose target must
 * be on the log, and a key or a policy, which a record of the admin may have changed. So a request is cut after each statement that says
 * it is such a record, and what follows is not looked at before that one is on the log or refused.
 *
 * @module
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Hash } from '../merkle/hash.ts'
import { recordTyp } from '../provenance/record.ts'
import type { SignedStatement } from '../statement/signed-statement.ts'
import { entryName } from './names.ts'
import { Slots } from './turns.ts'
import type { Appended, Candidate } from './types.ts'

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
  /** Entries that it links to. */
  readonly links: readonly Hash[]
  /** What it says has become of something else: what may be said next depends on it. */
  readonly changes?: Hash
  /** Looks up what its links lead to, at once where that is in memory. May be asked again, when more is on the log. */
  admissible(): Admissible | Promise<Admissible>
}

/** All that the sequencer needs; `recheck` must have been called in the turn in which it is appended. */
export type Admissible = Candidate & { readonly recheck: () => void }

/** What is done to a single statement, step by step. All throw to refuse. */
export interface AdmissionSteps {
  read(submission: Uint8Array): Submitted
  /** The index of a statement that is on the log. */
  locate(entry: Hash): Promise<number | undefined>
  receipt(index: number): Promise<Uint8Array>
  /**
   * Checks the signatures of all, together. What is signed is read by the function returned, when its turn has come; in its place stands
   * why a statement is refused. Never rejects.
   */
  verifyAll(submitted: readonly Submitted[]): Promise<readonly ((() => Verified) | Error)[]>
  appendAll(candidates: readonly Candidate[]): Promise<readonly (Appended | Error)[]>
}

/** What became of each, in the same order. */
export async function admitInOrder(
  submissions: readonly Uint8Array[],
  steps: AdmissionSteps,
): Promise<readonly (Admitted | Error)[]> {
  const outcomes = new Array<Admitted | Error>(submissions.length)
  const items: Item[] = []
  let bytes = 0
  for (const [place, submission] of submissions.entries()) {
    bytes += submission.length
    if ((place > 0 && place % PARSED_TOGETHER === 0) || bytes > PARSED_BYTES) {
      await nextTurn()
      bytes = 0
    }
    try {
      items.push({ place, submitted: steps.read(submission) })
    } catch (error) {
      outcomes[place] = error as Error
    }
  }
  for (const segment of segmentsOf(items)) await new Segment(steps, outcomes).admit(segment)
  return outcomes
}

interface Item {
  readonly place: number
  readonly submitted: Submitted
}

/** Each ends with a statement that may change who may write, going by what it says of itself: nothing is verified yet. */
function segmentsOf(items: readonly Item[]): Item[][] {
  const segments: Item[][] = []
  let segment: Item[] = []
  for (const item of items) {
    segment.push(item)
    if (!CHANGES_AUTHORITY.has(item.submitted.statement.header.typ)) continue
    segments.push(segment)
    segment = []
  }
  return [...segments, segment]
}

/** By `typ`. */
export const CHANGES_AUTHORITY: ReadonlySet<string | number | undefined> = new Set([
  recordTyp('key-authorization'),
  recordTyp('log-policy'),
  recordTyp('retraction'),
])

/** One segment on its way. */
class Segment {
  readonly #steps: AdmissionSteps
  readonly #outcomes: (Admitted | Error)[]
  #next: { readonly place: number; readonly candidate: Admissible }[] = []
  /** Entries that were handed to the sequencer, or are about to be, and have no answer yet. */
  readonly #unpublished = new Set<string>()
  /** What they change. */
  readonly #changing = new Set<string>()
  #appending: Promise<void>[] = []
  readonly #receipts = new Slots(RECEIPTS_TOGETHER)

  constructor(steps: AdmissionSteps, outcomes: (Admitted | Error)[]) {
    this.#steps = steps
    this.#outcomes = outcomes
  }

  async admit(items: readonly Item[]): Promise<void> {
    const pieces: (readonly Item[])[] = []
    for (let from = 0; from < items.length; from += TOGETHER) pieces.push(items.slice(from, from + TOGETHER))
    const verified: ReturnType<AdmissionSteps['verifyAll']>[] = []
    for (const [i, piece] of pieces.entries()) {
      while (verified.length < Math.min(i + VERIFIED_AHEAD, pieces.length)) {
        verified.push(this.#steps.verifyAll(pieces[verified.length]!.map(({ submitted }) => submitted)))
      }
      const readers = await verified[i]!
      // All are begun before one is waited for: what has to be looked up in the store is looked up together.
      const prepared = readers.map((reader, at) => this.#prepare(reader, piece[at]!))
      for (const [at, outcome] of prepared.entries()) {
        const admitting = this.#admitNext(piece[at]!, outcome instanceof Promise ? await outcome : outcome)
        if (admitting) await admitting
      }
      // Not each piece: what a commit costs, two signatures and two flushes, is shared by all that is in it, and nobody is answered sooner.
      if (this.#next.length >= APPEND_TOGETHER) this.#append()
      if (i < pieces.length - 1) await nextTurn()
    }
    await this.#published()
  }

  /** A promise where it has to wait for what it links to. */
  #admitNext({ place, submitted }: Item, outcome: Prepared | Admitted | Error): Promise<void> | undefined {
    if (!('candidate' in outcome)) {
      this.#outcomes[place] = outcome
      return undefined
    }
    const { entry } = submitted.statement
    const { verified, candidate } = outcome
    const { changes } = verified
    const changed = changes && entryName(changes)
    const isChanging = changed !== undefined && this.#changing.has(changed)
    if (!isChanging && !verified.links.some((link) => this.#unpublished.has(entryName(link)))) {
      this.#take(place, entry, candidate, changed)
      return undefined
    }
    return this.#afterItsLinks(verified).then((later) => {
      if (later instanceof Error) this.#outcomes[place] = later
      else this.#take(place, entry, later, changed)
    })
  }

  #take(place: number, entry: Hash, candidate: Admissible, changed: string | undefined): void {
    this.#next.push({ place, candidate })
    this.#unpublished.add(entryName(entry))
    if (changed !== undefined) this.#changing.add(changed)
  }

  /** Never throws or rejects: it may be waited for together with others. */
  #prepare(reader: (() => Verified) | Error, { submitted }: Item): Prepared | Promise<Prepared | Admitted | Error> {
    const { entry } = submitted.statement
    const refused = (error: unknown) => settled(this.#unlessKnown(entry, error as Error))
    try {
      if (reader instanceof Error) return refused(reader)
      const verified = reader()
      const candidate = verified.admissible()
      if (!(candidate instanceof Promise)) return { verified, candidate }
      return candidate.then((found) => ({ verified, candidate: found }), refused)
    } catch (error) {
      return refused(error)
    }
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

  /** The candidate, once what it links to in this segment is on the log. */
  async #afterItsLinks(verified: Verified): Promise<Admissible | Error> {
    await this.#published()
    return settled(Promise.resolve(verified.admissible()))
  }

  /** Hands over what is ready. Not waited for: it stays in order, and the next piece can be made ready meanwhile. */
  #append(): void {
    if (this.#next.length === 0) return
    const batch = this.#next.filter(({ place, candidate }) => {
      try {
        candidate.recheck()
        return true
      } catch (error) {
        const known = settled(this.#unlessKnown(candidate.entry, error as Error))
        this.#appending.push(
          known.then((outcome) => {
            this.#outcomes[place] = outcome
          }),
        )
        return false
      }
    })
    this.#next = []
    const appending = this.#steps.appendAll(batch.map(({ candidate }) => candidate)).then((outcomes) => {
      for (const [i, { place, candidate }] of batch.entries()) {
        const outcome = outcomes[i]!
        this.#outcomes[place] = outcome instanceof Error ? outcome : { entry: candidate.entry, ...outcome }
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
  readonly candidate: Admissible
}

/** What comes of `promise`, its error included: nobody waits for it yet who could catch that. */
function settled<T>(promise: Promise<T>): Promise<T | Error> {
  return promise.catch((error: unknown) => error as Error)
}

// What is done in one turn of the event loop. A small statement takes some 5 µs to parse, its record and its checks 10 to 15, a receipt out
// of the store up to 100, and a large statement as its bytes go.
const PARSED_TOGETHER = 128
const PARSED_BYTES = 128 * 1024
/** Signatures checked in one go, 3 ms of one thread; then records read and checked in one turn. */
const TOGETHER = 50
const RECEIPTS_TOGETHER = 16
const APPEND_TOGETHER = 250
/** Pieces on their way: more than there are threads, so that the next is there when one is done. */
const VERIFIED_AHEAD = 4
