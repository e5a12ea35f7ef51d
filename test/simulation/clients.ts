/**
 * Those who send statements, send them again, and send what is in the way of others.
 *
 * Statements here are bytes that nobody reads: admission comes before what is simulated. What the sequencer and the store look at is real:
 * digests, identities, unique keys, series, wraps. Whoever gets no answer asks again, in the next process if need be, until it has one.
 *
 * @module
 */
import type { Log } from '../../log-server/log.ts'
import { type Appended, BusyError, type Candidate, LogError } from '../../log-server/types.ts'
import { sha256, utf8 } from '../../merkle/index.ts'
import { Random } from '../fuzz/random.ts'
import { nameOf } from './disk.ts'
import type { Foundation } from './foundation.ts'
import type { Model } from './model.ts'
import type { Scheduler } from './scheduler.ts'

/** What is asked of a log here. */
export type ServedLog = Pick<Log, 'reader' | 'sequencer' | 'close'>

/** A process of the log, as far as its clients know it. */
export interface Served {
  readonly log: ServedLog
  /** It said that it stops: nothing it acknowledges after that counts for anything. */
  readonly hasStopped: () => boolean
}

/** What one client wants in the log. */
interface Submission {
  readonly name: string
  /** Some send for one caller: callers take turns. */
  readonly caller: string
  readonly candidates: readonly Candidate[]
  /** Goes through the door for raw entries, without receipts. */
  readonly raw: boolean
  /** Where its request is. */
  at: Served | undefined
  /** It has its answer, for good. */
  done: boolean
}

export class Clients {
  /** All that was ever sent, by the name of its entry. */
  readonly known = new Map<string, Candidate>()
  readonly #random: Random
  readonly #seed: number
  readonly #submissions: Submission[] = []
  readonly #statements: Candidate[] = []
  readonly #authorizations: Candidate[]
  /** Entries that were turned down for good. */
  readonly #refused = new Set<string>()
  readonly #scheduler: Scheduler
  #sent = 0

  constructor(seed: number, { authorizations }: Pick<Foundation, 'authorizations'>, scheduler: Scheduler) {
    this.#seed = seed
    this.#random = new Random(seed, 'clients')
    this.#authorizations = [...authorizations]
    this.#scheduler = scheduler
  }

  get waiting(): number {
    return this.#submissions.filter(({ done }) => !done).length
  }

  /** Whose request is somewhere. */
  get unheard(): number {
    return this.#submissions.filter(({ at }) => at).length
  }

  /** Nobody is there any more who could answer. */
  hangUp(): void {
    for (const submission of this.#submissions) submission.at = undefined
  }

  /** Somebody wants something new, or what is there, or what somebody else has. */
  submit(served: Served, model: Model): void {
    const submission = this.#next()
    this.#submissions.push(submission)
    for (const candidate of submission.candidates) this.known.set(nameOf(candidate.entry), candidate)
    this.#send(submission, served, model)
  }

  /** Those without an answer whose request is nowhere any more ask again. */
  ask(served: Served, model: Model): void {
    for (const submission of this.#submissions) {
      if (!submission.done && !submission.at) this.#send(submission, served, model)
    }
  }

  /** Once nobody waits any more: whoever was turned down is not there. */
  checkRefused(model: Model): void {
    for (const name of this.#refused) if (model.index.has(name)) model.fail('an entry was refused, and is in the log')
  }

  #next(): Submission {
    const name = `client ${this.#sent++}`
    const caller = `caller ${this.#random.below(3)}`
    const submission = (candidates: readonly Candidate[], raw = false) => ({
      name,
      caller,
      candidates,
      raw,
      at: undefined,
      done: false,
    })
    const kind = this.#random.below(12)
    if (kind === 0 && this.#authorizations.length > 0) return submission([this.#authorizations.pop()!])
    if (kind === 1)
      return submission(
        Array.from({ length: 1 + this.#random.below(5) }, () => this.#new({ raw: true })),
        true,
      )
    if (kind === 2) {
      // With one of them twice, in one request.
      const group = Array.from({ length: 2 + this.#random.below(4) }, () => this.#new({}))
      return submission([...group, this.#random.pick(group)])
    }
    if (kind === 3 && this.#submissions.length > 0) {
      const { candidates, raw } = this.#random.pick(this.#submissions)
      return submission(candidates, raw)
    }
    const other = this.#statements.length > 0 ? this.#random.pick(this.#statements) : undefined
    if (kind === 4 && other) return submission([other])
    if (kind === 5 && other) return submission([this.#new({ signedAgain: other })])
    if (kind === 6 && other) return submission([this.#new({ taking: other })])
    if (kind === 7 && other) return submission([this.#new({ excludedBy: other })])
    return submission([this.#new({})])
  }

  #new(like: { raw?: boolean; signedAgain?: Candidate; taking?: Candidate; excludedBy?: Candidate }): Candidate {
    const n = this.#sent++
    const { raw, signedAgain, taking, excludedBy } = like
    const statement = utf8(`statement ${n} of seed ${this.#seed}${' '.repeat(this.#random.below(60))}`)
    const entry = sha256(statement)
    const indexed = raw
      ? { type: 'raw', identity: entry, uniqueKeys: [] }
      : (pickOf(signedAgain, ['identity', 'uniqueKeys', 'type']) ?? {
          type: 'issuance-policy',
          identity: sha256(utf8(`content ${n}`)),
          // The id of the record is its own, whoever else's key it wants to use.
          uniqueKeys: [`record:${this.#seed}/${n}`, ...(taking?.uniqueKeys.slice(0, 1) ?? [])],
          ...(excludedBy && { excludedBy: excludedBy.uniqueKeys.slice(0, 1) }),
          ...(this.#random.chance(0.3) && { series: `issuance-policy/kid/${n % 3}` }),
          ...(this.#random.chance(0.3) && { wraps: [utf8(`wrap of ${n}`)] }),
        })
    const candidate = { wraps: [], ...indexed, statement, entry, issuedAt: 0, signer: raw ? '' : 'kid' }
    if (!raw) this.#statements.push(candidate)
    return candidate
  }

  #send(submission: Submission, served: Served, model: Model): void {
    const { candidates, raw, name, caller } = submission
    const { sequencer } = served.log
    submission.at = served
    this.#scheduler.note(`${name} sends ${candidates.length}`)
    const settle = (outcomes: readonly (Appended | Error)[]) => this.#settled(submission, outcomes, served, model)
    if (raw) {
      const appended = (index: number): Appended => ({ index, receipt: NOTHING, duplicate: false })
      sequencer
        .appendRawAll(
          candidates.map(({ statement }) => statement),
          caller,
        )
        .then(
          (indexes) => settle(indexes.map(appended)),
          (error: Error) => settle(candidates.map(() => error)),
        )
    } else if (candidates.length === 1) {
      sequencer.append(candidates[0]!, caller).then(
        (outcome) => settle([outcome]),
        (error: Error) => settle([error]),
      )
    } else {
      void sequencer.appendAll(candidates, caller).then(settle)
    }
  }

  #settled(submission: Submission, outcomes: readonly (Appended | Error)[], served: Served, model: Model): void {
    const { candidates, raw, name } = submission
    submission.at = undefined
    submission.done = !outcomes.some((outcome) => outcome instanceof BusyError)
    if (outcomes.length !== candidates.length) model.fail('not one outcome for each')
    for (const [i, outcome] of outcomes.entries()) {
      this.#scheduler.note(`${name}: ${describe(outcome)}`)
      this.#scheduler.count(kindOf(outcome))
      if (outcome instanceof BusyError) continue
      // One of several that came together may have been decided before, and is told with the others.
      if (served.hasStopped() && candidates.length === 1) model.fail('something is answered after the log has stopped')
      // What is published was so before anybody is answered.
      model.published(served.log.reader)
      const candidate = candidates[i]!
      if (!(outcome instanceof Error))
        model.acknowledged(candidate.entry, outcome.index, raw ? undefined : outcome.receipt)
      else if (outcome instanceof LogError && outcome.index !== undefined) {
        model.refused(candidate, outcome.index)
        this.#refused.add(nameOf(candidate.entry))
      } else model.fail(`an answer that is no answer: ${outcome}`)
    }
  }
}

const NOTHING = new Uint8Array()

function pickOf<T extends object, K extends keyof T>(from: T | undefined, names: readonly K[]): Pick<T, K> | undefined {
  return from && (Object.fromEntries(names.map((name) => [name, from[name]])) as Pick<T, K>)
}

function describe(outcome: Appended | Error): string {
  if (!(outcome instanceof Error)) return `${outcome.index}${outcome.duplicate ? ', as before' : ''}`
  return `${(outcome as { code?: string }).code ?? outcome.message}`
}

function kindOf(outcome: Appended | Error): string {
  if (outcome instanceof BusyError) return 'turned away'
  if (outcome instanceof Error) return 'conflicting'
  return outcome.duplicate ? 'repeated' : 'acknowledged'
}
