/**
 * The sequencer: the one place where entries get their index.
 *
 * ```
 *   append ─► queue ─┐                                                (fsync)    (fsync)
 *   append ─► queue ─┼─► known already? ─► judged ─► edge ─► sign ─► commit ─► guard ─► published ─► answers
 *   append ─► queue ─┘                                 │       ▲
 *                        the next batch, of what arrives meanwhile: waits here until the one before it is published
 * ```
 *
 * Self-clocked group commit: a batch is what arrived while the batch before it was being committed. An idle log answers
 * after one commit; a loaded one shares each commit among all who wait, with no timer to tune. The entries of the next batch are looked up,
 * judged and hashed into the edge beside that commit, as they come; what the store could not know of yet is in memory ({@link Sequencer.#recent}).
 * Of a batch that changes who may write nobody knows before its end how to judge the next one: then that begins after it.
 *
 * Callers take turns until they are asked about (`fair-queue.ts`), and share the room for those who wait (`shared-room.ts`): so behind any amount
 * of somebody else's, an entry waits for the commit under way and for the batch that is being looked up, and is in the one after.
 *
 * **Why no crash makes this log sign two trees of one size.** For each batch, in this order:
 *
 * 1. *sign*, in memory: checkpoint and tree head. Nobody outside can see them yet.
 * 2. *commit*: one synced write of the entries, their indexes, the full tiles, and both signatures.
 * 3. *guard*: size and root go to the guard file, synced.
 * 4. *publish*: readers see the new tree and waiters are answered.
 *
 * | crash          | database | guard | seen outside | on start                                               |
 * |----------------|----------|-------|--------------|--------------------------------------------------------|
 * | before 2 ends  | old, or new: one LevelDB batch is atomic | old | old | as the next row, or nothing happened |
 * | before 3 ends  | new      | old, or new | old    | the database contains the guard's tree: it is *ahead*; the signatures it holds are served as stored, never made again; the guard follows |
 * | after 3        | new      | new   | old or new   | nothing to do                                          |
 *
 * The database is thus never behind the guard unless somebody put an older one there (or a disk forgot what it had synced), and
 * then it is refused (`log.ts`). The other order, guard before commit, would leave after a plain crash what a restored backup leaves, and one of
 * the two would have to be guessed. Writing both at once has the same fault.
 *
 * One batch goes through all four steps before the next one is signed. What runs ahead of that, lookups and hashes, is in memory alone, and
 * when a batch fails it is gone with everything else. Writing the guard beside the next commit was tried: the two flushes get in each other's
 * way, and as batches become smaller each entry pays more for signatures and flushes (15 % more CPU). So the database is ahead of the guard by
 * at most one batch.
 *
 * Any error in here ends the process (`fatal`). After a failed fsync nobody knows what the disk holds, and a second try may report
 * success for pages that the kernel has dropped.
 *
 * @module
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { equalBytes } from '../../merkle/bytes.ts'
import { assert } from '../../merkle/error.ts'
import { type Hash, sha256 } from '../../merkle/hash.ts'
import { InclusionProver } from '../../merkle/inclusion.ts'
import type { FieldsOf } from '../../provenance/records/index.ts'
import { receiptBuilder } from '../../statement/receipt.ts'
import { entryName } from '../names.ts'
import { SharedRoom } from '../shared-room.ts'
import { changesAuthority, type NewEntry } from '../storage/entry-rows.ts'
import type { Guard } from '../storage/guard.ts'
import type { Holders, Store } from '../storage/store.ts'
import { MAX_BATCH_ENTRIES } from '../storage/widths.ts'
import { inPieces, PIECE } from '../turns.ts'
import { type Appended, BusyError, type Candidate, type Committed, LogError, type SequencerLimits } from '../types.ts'
import { conflict, uniqueCode } from './conflicts.ts'
import type { Edge } from './edge.ts'
import { FairQueue } from './fair-queue.ts'
import type { Publication, Publisher } from './publisher.ts'

export interface SequencerOptions {
  readonly store: Pick<Store, 'holders' | 'commit'>
  readonly edge: Edge
  readonly guard: Pick<Guard, 'write'>
  readonly publisher: Pick<Publisher, 'sign'>
  readonly publication: Publication
  /** The receipt of a published entry: what an exact repetition is answered with. Rejects when another entry is at that index. */
  readonly receipt: (index: number, entry: Hash) => Promise<Uint8Array>
  readonly limits: SequencerLimits
  /** Ends the process. Called once, with whatever went wrong; nothing is acknowledged after it. */
  readonly fatal: (error: unknown) => void
  readonly observer?: SequencerObserver | undefined
  /** Milliseconds of a clock that nobody sets. */
  readonly milliseconds?: (() => number) | undefined
}

/** Whoever counts. Has no say in anything, and must not throw. */
export interface SequencerObserver {
  /** Told of each batch once, when everybody in it has an answer but for those who wait for another entry. */
  sequenced(batch: SequencedBatch): void
}

/** What became of a batch and when, in milliseconds of {@link SequencerOptions.milliseconds}. */
export interface SequencedBatch {
  /** When each that got an index was queued. */
  readonly queuedAt: readonly number[]
  readonly bytes: number
  /** Taken from the queue; signed; on the disk; noted by the guard; published and answered. */
  readonly takenAt: number
  readonly signedAt: number
  readonly committedAt: number
  readonly guardedAt: number
  readonly answeredAt: number
}

/** What becomes of one entry. Only statements get a receipt. */
type Outcome = { readonly index: number; readonly receipt: Uint8Array | undefined; readonly duplicate: boolean } | Error

/** Entries that came together: each is judged for itself, and one promise answers for all. */
interface Group {
  readonly caller: string
  readonly outcomes: Outcome[]
  missing: number
  readonly queuedAt: number
  readonly settle: (outcomes: readonly Outcome[]) => void
}

/** Somebody waiting for an index. Two fields are filled in while they wait. */
interface Waiter {
  readonly entry: NewEntry
  readonly bytes: number
  /** Set for statements, whose authority may change while they wait; and only they get a receipt. */
  readonly candidate: Candidate | undefined
  /** {@link Sequencer.#authorityEpoch} at the time of admission. */
  readonly epoch: number
  readonly group: Group
  /** Place in the group. */
  readonly place: number
  /** Entries below this were in the store when it was asked; what came later is in `#recent`. */
  since: number
  /** What the store answered. */
  known: Holders | undefined
}

/** An answer that names an entry of this batch or of one not yet published: held back until that entry is. */
interface Held {
  readonly waiter: Waiter
  readonly index: number
  /** Undefined for a repetition, which gets a receipt. */
  readonly refusal: LogError | undefined
}

/** What a batch brought, with the index of each, and the size of the tree after it. */
interface Brought {
  /** By what they are told apart: their unique keys, or their names where they have none ({@link tellingOf}). */
  readonly keys: Map<string, number>
  /** In the order of their indexes; the last is before `end`. */
  readonly entries: { readonly entry: Hash; readonly identity: Hash | undefined }[]
  end: number
}

/** The next batch, as far as it was judged. What is new of it is on the edge. */
interface Judged {
  readonly first: number
  /** So many at the head of the line. */
  count: number
  bytes: number
  readonly fresh: Waiter[]
  readonly held: Held[]
  readonly brought: Brought
  /** Then that is its last. */
  changesAuthority: boolean
}

export class Sequencer {
  readonly #options: SequencerOptions
  /** Of each caller in order of arrival; the callers in turn. */
  readonly #queue = new FairQueue<Waiter>()
  /** Those out of the queue whom the store is being asked about, or was: no more than the next batch, in the order of their indexes. */
  #line: Waiter[] = []
  #lineBytes = 0
  #lookingUp = false
  /** Undefined before anybody in the line is judged. */
  #next: Judged | undefined
  /** Whether the next batch may be judged while there is one under way. */
  #ahead = false
  /** With somebody who has no answer, queued or in a batch. */
  readonly #unanswered = new Set<Group>()
  /** For entries without an answer. */
  readonly #room: SharedRoom
  /** Entries below this are in the store. */
  #durable: number
  /** The batches that the store may not have known of when it was asked about the head of the line, and the newest. */
  #recent: Brought[] = []
  /** Those whose answer names another entry are answered one after another, and so many were. */
  #answering: Promise<void> = Promise.resolve()
  #answered = 0
  /** Rises with each batch that changes who may write. */
  #authorityEpoch = 0
  readonly #listeners: ((batch: readonly Committed[]) => void)[] = []
  #state: 'open' | 'draining' | 'frozen' | 'stopped' = 'open'
  /** Runs until nobody is ready. */
  #loop: Promise<void> = Promise.resolve()
  #running = false
  /** To be called when everybody has an answer, or the log has stopped. */
  #drained: (() => void)[] = []
  readonly #milliseconds: () => number

  constructor(options: SequencerOptions) {
    assert(options.limits.batchEntries <= MAX_BATCH_ENTRIES, 'a larger batch would step over widths of tiles')
    this.#options = options
    this.#milliseconds = options.milliseconds ?? (() => performance.now())
    this.#room = new SharedRoom({ count: options.limits.queueEntries, bytes: options.limits.queueBytes })
    this.#durable = options.edge.size
  }

  /** Of the published tree, as are `root` and `checkpoint`. */
  get size(): number {
    return this.#options.publication.size
  }

  get root(): Hash {
    return this.#options.publication.current.head.root
  }

  get checkpoint(): string {
    return this.#options.publication.current.checkpoint
  }

  /** Accepts nothing more, for good, and says so; resolves when everybody who was accepted has an answer. Again: the same. */
  async freeze(): Promise<void> {
    if (this.#state === 'open') this.#state = 'frozen'
    await this.drain()
  }

  get frozen(): boolean {
    return this.#state === 'frozen'
  }

  /** False once it drains or has stopped: for `/readyz`. */
  get accepting(): boolean {
    return this.#state === 'open'
  }

  /** Entries waiting for an answer. */
  get waiting(): number {
    return this.#room.count
  }

  get waitingBytes(): number {
    return this.#room.bytes
  }

  /** For how many milliseconds whoever waits longest has waited; 0 when nobody does. A disk that hangs shows here, and nowhere else. */
  get longestWait(): number {
    for (const { queuedAt } of this.#unanswered) return this.#milliseconds() - queuedAt
    return 0
  }

  /**
   * Puts a statement in the log. Resolves when it is published; until then nothing may be said of it.
   *
   * The same statement again is answered with its index and a receipt, and changes nothing (its wraps neither).
   *
   * @param caller - with whose other entries it waits in one line
   * @throws {@link LogError} `conflict_signature`, `duplicate_…`, `already_revoked`, each
   *   with the index of the entry in the way; what `recheck` throws; {@link BusyError} `queue_full`, `shutting_down`, `log_stopped`
   */
  append(candidate: Candidate, caller = NOBODY): Promise<Appended> {
    return new Promise((resolve, reject) => {
      this.#enqueue(caller, [candidate], true, ([outcome]) => {
        if (outcome instanceof Error) reject(outcome)
        else resolve(outcome as Appended)
      })
    })
  }

  /**
   * As {@link append} for each of `candidates`, which get their indexes in this order. Resolves when every one is published or refused;
   * what {@link append} would have thrown stands in the place of the one it is about. When not all of them can wait, none does.
   */
  appendAll(candidates: readonly Candidate[], caller = NOBODY): Promise<readonly (Appended | Error)[]> {
    return new Promise((resolve) => {
      this.#enqueue(caller, candidates, true, (outcomes) => resolve(outcomes as readonly (Appended | Error)[]))
    })
  }

  /** Logs bytes as they are, under their SHA-256, without a receipt: for the bench personality, which speaks no COSE. */
  async appendRaw(body: Uint8Array, caller = NOBODY): Promise<number> {
    const [index] = await this.appendRawAll([body], caller)
    return index!
  }

  /** As {@link appendRaw} for each, in this order. */
  appendRawAll(bodies: readonly Uint8Array[], caller = NOBODY): Promise<number[]> {
    const entries = bodies.map((statement) => ({
      statement,
      entry: sha256(statement),
      type: 'raw',
      issuedAt: 0,
      signer: '',
    }))
    return new Promise((resolve, reject) => {
      this.#enqueue(caller, entries, false, (outcomes) => {
        const refused = outcomes.find((outcome) => outcome instanceof Error)
        if (refused) reject(refused)
        else resolve(outcomes.map((outcome) => (outcome as Appended).index))
      })
    })
  }

  /** Calls `listener` with each batch when it is published, before anybody is answered. If it throws, the log stops. */
  onCommitted(listener: (batch: readonly Committed[]) => void): void {
    this.#listeners.push(listener)
  }

  /** Accepts nothing more; resolves when everybody who was accepted has an answer. */
  async drain(): Promise<void> {
    if (this.#state === 'open') this.#state = 'draining'
    if (this.#room.count > 0 && this.#state !== 'stopped') {
      await new Promise<void>((resolve) => this.#drained.push(resolve))
    }
    await this.#loop
  }

  /** Settles at once, with an error for each, when not all of them can wait. */
  #enqueue(caller: string, entries: readonly NewEntry[], statements: boolean, settle: Group['settle']): void {
    const sizes = entries.map(bytesOf)
    const bytes = sizes.reduce((sum, size) => sum + size, 0)
    const busy = this.#busy(caller, entries.length, bytes)
    if (busy || entries.length === 0) {
      settle(entries.map(() => busy!))
      return
    }
    this.#room.take(caller, entries.length, bytes)
    const group: Group = {
      caller,
      outcomes: new Array(entries.length),
      missing: entries.length,
      queuedAt: this.#milliseconds(),
      settle,
    }
    this.#unanswered.add(group)
    const epoch = this.#authorityEpoch
    for (let place = 0; place < entries.length; place++) {
      const entry = entries[place]!
      const candidate = statements ? (entry as Candidate) : undefined
      const waiter = { entry, bytes: sizes[place]!, candidate, epoch, group, place, since: 0, known: undefined }
      this.#queue.push(caller, waiter)
    }
    this.#lookUpSoon()
  }

  /** Why so many more entries cannot wait. */
  #busy(caller: string, entries: number, bytes: number): BusyError | LogError | undefined {
    if (this.#state === 'frozen')
      return new LogError('log_frozen', 'this log is finished: it takes nothing more, for good')
    if (this.#state !== 'open') {
      const code = this.#state === 'stopped' ? 'log_stopped' : 'shutting_down'
      return new BusyError(code, 'the log is going down and accepts nothing more', 5)
    }
    if (!this.#room.has(caller, entries, bytes)) {
      return new BusyError('queue_full', `${this.#room.count} entries are waiting already`)
    }
    return undefined
  }

  /** Not at once: the requests that arrive in the same turn of the event loop are looked up together. */
  #lookUpSoon(): void {
    const { batchEntries, batchBytes } = this.#options.limits
    if (this.#lookingUp || this.#queue.length === 0) return
    if (this.#line.length >= batchEntries || this.#lineBytes >= batchBytes) return
    this.#lookingUp = true
    setImmediate(() => this.#lookUp())
  }

  /** Asks the store about those whose turn it is, and starts the loop when it has answered. */
  #lookUp(): void {
    this.#lookingUp = false
    const { batchEntries, batchBytes } = this.#options.limits
    const waiters: Waiter[] = []
    while (waiters.length < PIECE && this.#line.length < batchEntries && this.#lineBytes < batchBytes) {
      const waiter = this.#queue.shift()
      if (!waiter) break // or the log stopped meanwhile
      waiter.since = this.#durable
      waiters.push(waiter)
      this.#line.push(waiter)
      this.#lineBytes += waiter.bytes
    }
    if (waiters.length === 0) return
    this.#lookUpSoon()
    this.#options.store
      .holders(waiters.map(({ entry }) => entry))
      .then((holders) => {
        for (const [i, waiter] of waiters.entries()) waiter.known = holders[i]
        if (!this.#running) this.#loop = this.#run()
        else this.#judgeAhead()
      })
      .catch((error: unknown) => this.#stop(error))
  }

  /** Beside a batch that is under way. */
  #judgeAhead(): void {
    try {
      if (this.#ahead && this.#judgeMore()) setImmediate(() => this.#judgeAhead())
    } catch (error) {
      this.#stop(error)
    }
  }

  async #run(): Promise<void> {
    this.#running = true
    try {
      while (this.#isReady()) {
        const takenAt = this.#milliseconds()
        while (this.#judgeMore()) await nextTurn()
        const batch = this.#takeBatch()
        if (!batch) break // the log stopped meanwhile
        await this.#sequence(batch, takenAt)
        this.#ahead = false
        // Everybody after this batch is judged by what it changed.
        if (batch.changesAuthority) this.#authorityEpoch++
      }
    } catch (error) {
      this.#stop(error)
    } finally {
      this.#running = false
    }
  }

  #isReady(): boolean {
    return this.#next !== undefined || this.#line[0]?.known !== undefined
  }

  /** Judges the next few in the line, and puts what is new on the edge. Whether there is more to be judged. */
  #judgeMore(): boolean {
    if (!this.#next && !this.#line[0]?.known) return false
    this.#next ??= this.#newBatch()
    const batch = this.#next
    for (const end = batch.count + PIECE; batch.count < end && this.#hasRoom(batch); batch.count++) {
      const waiter = this.#line[batch.count]!
      batch.bytes += waiter.bytes
      batch.changesAuthority = changesAuthority(waiter.entry.type)
      this.#judge(waiter, batch)
    }
    return this.#hasRoom(batch)
  }

  /** Whether the next in the line, whom the store has answered about, goes with this batch. A change of authority is the last of its batch. */
  #hasRoom({ count, bytes, changesAuthority }: Judged): boolean {
    const { batchEntries, batchBytes } = this.#options.limits
    const waiter = this.#line[count]
    if (!waiter?.known || changesAuthority || count === batchEntries) return false
    return count === 0 || bytes + waiter.bytes <= batchBytes
  }

  #newBatch(): Judged {
    const first = this.#options.edge.size
    const brought: Brought = { keys: new Map(), entries: [], end: first }
    // Whoever is behind the first of this batch was looked up no earlier: what the store knew by then needs no memory.
    const { since } = this.#line[0]!
    this.#recent = [...this.#recent.filter(({ end }) => end > since), brought]
    return { first, count: 0, bytes: 0, fresh: [], held: [], brought, changesAuthority: false }
  }

  /** All that was judged. */
  #takeBatch(): Judged | undefined {
    const batch = this.#next
    if (!batch) return undefined
    this.#next = undefined
    this.#line.splice(0, batch.count)
    this.#lineBytes -= batch.bytes
    this.#lookUpSoon()
    return batch
  }

  async #sequence({ first, fresh, held, changesAuthority }: Judged, takenAt: number): Promise<void> {
    const { store, edge, publisher, publication, guard, observer } = this.#options
    if (fresh.length === 0) {
      this.#answerHeld(held)
      return
    }
    const size = first + fresh.length
    assert(edge.size === size, 'nothing of the next batch is on the edge yet')
    const full = [...edge.fullTiles]
    const signing = publisher.sign(size, edge.root(), policyOf(fresh.at(-1)))
    this.#ahead = !changesAuthority
    const signed = await signing
    const signedAt = this.#milliseconds()
    const receipts: (Uint8Array | undefined)[] = []
    const prover = new InclusionProver(size, edge.node)
    const receipt = receiptBuilder(signed.head, fresh.length)
    await Promise.all([
      store.commit({
        first,
        entries: fresh.map(({ entry }) => entry),
        tiles: full.map(({ level, index, nodes }) => ({ level, index, hashes: nodes.subarray(0, TILE_BYTES) })),
        bundles: full.flatMap(({ index, bundle }) => (bundle ? [{ index, bytes: bundle }] : [])),
        signed,
      }),
      // While the disk works. Nothing of it leaves before the guard has been written.
      inPieces(fresh.length, (i) => {
        const index = first + i
        receipts[i] = fresh[i]!.candidate && receipt({ index, proof: prover.proof(index) })
      }),
    ])
    edge.settle(full)
    this.#durable = size
    const committedAt = this.#milliseconds()

    await guard.write(signed.head)
    const guardedAt = this.#milliseconds()
    publication.advance(signed)
    this.#announce(first, fresh)
    for (const [i, waiter] of fresh.entries()) {
      this.#settle(waiter, { index: first + i, receipt: receipts[i], duplicate: false })
    }
    observer?.sequenced({
      queuedAt: fresh.map(({ group }) => group.queuedAt),
      bytes: fresh.reduce((sum, { bytes }) => sum + bytes, 0),
      ...{ takenAt, signedAt, committedAt, guardedAt, answeredAt: this.#milliseconds() },
    })
    this.#answerHeld(held)
  }

  /** Whether somebody gets the next index, or is answered with somebody else's, or refused. */
  #judge(waiter: Waiter, { fresh, held, brought }: Judged): void {
    const { entry, candidate, epoch } = waiter
    const found = this.#holder(waiter)
    if (found) {
      held.push(found)
      return
    }
    if (epoch !== this.#authorityEpoch && candidate?.recheck) {
      try {
        candidate.recheck()
      } catch (error) {
        this.#settle(waiter, error as Error)
        return
      }
    }
    const index = brought.end++
    fresh.push(waiter)
    this.#options.edge.append(entry.entry)
    brought.entries.push({ entry: entry.entry, identity: entry.identity })
    for (const key of tellingOf(entry)) brought.keys.set(key, index)
  }

  /** Who has what this entry would have, when somebody does. */
  #holder(waiter: Waiter): Held | undefined {
    const { known, entry } = waiter
    assert(known, 'the store was asked about everybody in a batch')
    const { uniqueKeys = NO_KEYS, excludedBy = NO_KEYS } = entry
    const exclusive = excludedBy.length > 0 ? [...uniqueKeys, ...excludedBy] : uniqueKeys
    let held = -1
    for (let at = 0; at < exclusive.length && held < 0; at++) {
      if ((known.unique[at] ?? this.#broughtAt(exclusive[at]!)) !== undefined) held = at
    }
    // What has the entry or the identity of a record has its id as well, which is among its unique keys (`Store.holders`).
    if (exclusive.length > 0 && held < 0) return undefined

    const like = this.#broughtLike(entry)
    const repeated = known.entry ?? like.entry
    if (repeated !== undefined) return { waiter, index: repeated, refusal: undefined }
    if (!entry.identity) return undefined
    const other = known.identity ?? like.identity
    if (other !== undefined) return { waiter, index: other, refusal: conflict('conflict_signature', other) }
    if (held < 0) return undefined
    const key = exclusive[held]!
    const index = known.unique[held] ?? this.#broughtAt(key)!
    return { waiter, index, refusal: conflict(uniqueCode(key), index) }
  }

  /** The index of whoever brought this key, of late. */
  #broughtAt(key: string): number | undefined {
    for (const { keys } of this.#recent) {
      const index = keys.get(key)
      if (index !== undefined) return index
    }
    return undefined
  }

  /** The indexes of what came of late and is the same, or says the same. Asked only about what has a key of somebody else, or has none. */
  #broughtLike(entry: NewEntry): { entry?: number; identity?: number } {
    const found: { entry?: number; identity?: number } = {}
    for (const { keys, entries, end } of this.#recent) {
      for (const key of tellingOf(entry)) {
        const index = keys.get(key)
        if (index === undefined) continue
        const before = entries[entries.length - (end - index)]!
        if (equalBytes(before.entry, entry.entry)) found.entry ??= index
        if (before.identity && entry.identity && equalBytes(before.identity, entry.identity)) found.identity ??= index
      }
    }
    return found
  }

  /** Those of one batch after those of the last: together they would hold up everybody else. */
  #answerHeld(held: readonly Held[]): void {
    if (held.length === 0) return
    this.#answering = this.#answering.then(() => this.#settleHeld(held)).catch((error: unknown) => this.#stop(error))
  }

  /** Answers that name another entry, once that entry is published. One after another: a receipt out of the store may take 100 µs. */
  async #settleHeld(held: readonly Held[]): Promise<void> {
    const { edge, publication, receipt } = this.#options
    for (const { waiter, index, refusal } of held) {
      if (++this.#answered % RECEIPTS_TOGETHER === 0) await nextTurn()
      // A damaged index: whoever waited for that entry would wait for good.
      if (index >= edge.size) throw new LogError('log_damaged', `an index leads to entry ${index} of ${edge.size}`)
      await publication.reached(index + 1)
      const found = waiter.candidate && !refusal ? await receipt(index, waiter.entry.entry) : undefined
      this.#settle(waiter, refusal ?? { index, receipt: found, duplicate: true })
    }
  }

  #announce(first: number, fresh: readonly Waiter[]): void {
    if (this.#listeners.length === 0) return
    const batch = fresh.flatMap(({ candidate }, i) => (candidate ? [{ index: first + i, candidate }] : []))
    for (const listener of this.#listeners) listener(batch)
  }

  #settle({ group, place, bytes }: Waiter, outcome: Outcome): void {
    if (group.outcomes[place]) return // the log has stopped, and said so
    group.outcomes[place] = outcome
    this.#room.giveBack(group.caller, 1, bytes)
    if (--group.missing > 0) return
    this.#unanswered.delete(group)
    group.settle(group.outcomes)
    if (this.#room.count === 0) this.#wakeDrained()
  }

  #wakeDrained(): void {
    for (const resolve of this.#drained) resolve()
    this.#drained = []
  }

  #stop(error: unknown): void {
    if (this.#state === 'stopped') return
    this.#state = 'stopped'
    this.#options.fatal(error)
    // Only reached where `fatal` does not end the process. Whether these entries are in the log is not known.
    const stopped = new BusyError(
      'log_stopped',
      'the log has stopped after an error; try again and learn the outcome',
      5,
    )
    this.#queue.clear()
    this.#line = []
    this.#next = undefined
    this.#room.empty()
    for (const { outcomes, settle } of this.#unanswered) {
      for (let place = 0; place < outcomes.length; place++) outcomes[place] ??= stopped
      settle(outcomes)
    }
    this.#unanswered.clear()
    this.#wakeDrained()
  }
}

/** What a record has, and nobody else may have, has all of it in it: only of what is no record are the hashes asked for. */
function tellingOf({ entry, identity, uniqueKeys }: NewEntry): readonly string[] {
  if (uniqueKeys && uniqueKeys.length > 0) return uniqueKeys
  return identity ? [entryName(entry), entryName(identity)] : [entryName(entry)]
}

/** Whoever names no caller. */
const NOBODY = ''
const TILE_BYTES = 256 * 32
const RECEIPTS_TOGETHER = 16

function bytesOf({ statement, wraps, certificates }: NewEntry): number {
  let bytes = statement.length
  if (wraps) for (const { length } of wraps) bytes += length
  if (certificates) for (const { length } of certificates) bytes += length
  return bytes
}

/** The log-policy that ends a batch, if one does: its keys sign the tree that it is the last entry of. */
function policyOf(last: Waiter | undefined): FieldsOf<'log-policy'> | undefined {
  const record = last?.candidate?.record?.record
  return record?.type === 'log-policy' ? record.fields : undefined
}

const NO_KEYS: readonly string[] = []
