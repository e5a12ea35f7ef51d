/**
 * The sequencer: the one place where entries get their index.
 *
 * ```
 *   append ─► queue ─┐                                            ┌─► guard ─► published ─► answers
 *   append ─► queue ─┼─► batch ─► known already? ─► edge ─► sign ─► commit ─┘   ▲
 *   append ─► queue ─┘     ▲                                (fsync)    │        │
 *                          └── the next batch: what arrived meanwhile ─┘  receipts, built while the disk syncs
 * ```
 *
 * Self-clocked group commit: a batch is what arrived while the batch before it was being committed. An idle log answers
 * after one commit; a loaded one shares each commit among all who wait, with no timer to tune.
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
 * Step 3 of one batch runs beside steps 1 and 2 of the next. That keeps the order that matters: the guard of a batch is written after
 * its own commit and before its own answers; batches commit in order and are published in order. At most the database is ahead by two.
 *
 * Any error in here ends the process (`fatal`). After a failed fsync nobody knows what the disk holds, and a second try may report
 * success for pages that the kernel has dropped.
 *
 * @module
 */
import { assert } from '../merkle/error.ts'
import { type Hash, sha256 } from '../merkle/hash.ts'
import { buildInclusionProof } from '../merkle/inclusion.ts'
import { buildReceipt } from '../statement/receipt.ts'
import type { Edge } from './edge.ts'
import type { Guard } from './guard.ts'
import type { Publication, Publisher } from './publisher.ts'
import { changesAuthority, type Holders, type NewEntry, type Signed, type Store } from './store.ts'
import {
  type Appended,
  BusyError,
  type Candidate,
  type Committed,
  LogError,
  type LogErrorCode,
  type SequencerLimits,
} from './types.ts'

export interface SequencerOptions {
  readonly store: Pick<Store, 'holders' | 'commit'>
  readonly edge: Edge
  readonly guard: Pick<Guard, 'write'>
  readonly publisher: Pick<Publisher, 'sign'>
  readonly publication: Publication
  /** The receipt of a published entry: what an exact repetition is answered with. */
  readonly receipt: (index: number) => Promise<Uint8Array>
  readonly limits: SequencerLimits
  /** Ends the process. Called once, with whatever went wrong; nothing is acknowledged after it. */
  readonly fatal: (error: unknown) => void
}

/** Somebody waiting for an index. */
interface Waiter {
  readonly entry: NewEntry
  readonly bytes: number
  /** Set for statements, whose authority may change while they wait; and only they get a receipt. */
  readonly candidate: Candidate | undefined
  /** {@link Sequencer.#authorityEpoch} at the time of admission. */
  readonly epoch: number
  readonly answer: (index: number, receipt: Uint8Array | undefined, duplicate: boolean) => void
  readonly refuse: (error: Error) => void
}

/** An answer that names an entry of this batch or of one not yet published: held back until that entry is. */
interface Held {
  readonly waiter: Waiter
  readonly index: number
  /** Undefined for a repetition, which gets a receipt. */
  readonly refusal: LogError | undefined
}

/** What a batch brings, by name ({@link namesOf}): the store may not know of it yet. */
type Brought = Map<string, number>

export class Sequencer {
  readonly #options: SequencerOptions
  #queue: Waiter[] = []
  /** Accepted and not answered, queued or in a batch. Bounded by `limits`. */
  #heldEntries = 0
  #heldBytes = 0
  /** Rises with each batch that changes who may write. */
  #authorityEpoch = 0
  readonly #listeners: ((batch: readonly Committed[]) => void)[] = []
  #state: 'open' | 'draining' | 'stopped' = 'open'
  /** While a loop runs; it ends when the queue is empty. */
  #loop: Promise<void> | undefined
  /** Steps 3 and 4 of the last batch. */
  #publishing: Promise<void> = Promise.resolve()
  /** In a batch: to be told when the log stops. */
  readonly #unanswered = new Set<Waiter>()
  /** To be called when everybody has an answer, or the log has stopped. */
  #drained: (() => void)[] = []

  constructor(options: SequencerOptions) {
    this.#options = options
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

  /** False once it drains or has stopped: for `/readyz`. */
  get accepting(): boolean {
    return this.#state === 'open'
  }

  /** Entries waiting for an answer. */
  get waiting(): number {
    return this.#heldEntries
  }

  /**
   * Puts a statement in the log. Resolves when it is published; until then nothing may be said of it.
   *
   * The same statement again is answered with its index and a receipt, and changes nothing (its wraps neither).
   *
   * @throws {@link LogError} `conflict_signature`, `duplicate_credential`, `duplicate_unique_tag`, `duplicate_record_id`, each
   *   with the index of the entry in the way; what `recheck` throws; {@link BusyError} `queue_full`, `shutting_down`, `log_stopped`
   */
  append(candidate: Candidate): Promise<Appended> {
    return new Promise((resolve, reject) => {
      const answer = (index: number, receipt: Uint8Array | undefined, duplicate: boolean) => {
        assert(receipt, 'a statement gets a receipt')
        resolve({ index, receipt, duplicate })
      }
      this.#enqueue(candidate, candidate, answer, reject)
    })
  }

  /** Logs bytes as they are, under their SHA-256, without a receipt: for the bench personality, which speaks no COSE. */
  appendRaw(body: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      const entry = { statement: body, entry: sha256(body), type: 'raw', issuedAt: 0, signer: '' }
      this.#enqueue(entry, undefined, resolve, reject)
    })
  }

  /** Calls `listener` with each batch when it is published, before anybody is answered. It must not throw. */
  onCommitted(listener: (batch: readonly Committed[]) => void): void {
    this.#listeners.push(listener)
  }

  /** Accepts nothing more; resolves when everybody who was accepted has an answer. */
  async drain(): Promise<void> {
    if (this.#state === 'open') this.#state = 'draining'
    if (this.#heldEntries > 0 && this.#state === 'draining') {
      await new Promise<void>((resolve) => this.#drained.push(resolve))
    }
    await this.#loop
    await this.#publishing
  }

  #enqueue(
    entry: NewEntry,
    candidate: Candidate | undefined,
    answer: Waiter['answer'],
    refuse: Waiter['refuse'],
  ): void {
    const { queueEntries, queueBytes } = this.#options.limits
    const bytes = entry.statement.length + (entry.wraps?.reduce((sum, wrap) => sum + wrap.length, 0) ?? 0)
    if (this.#state !== 'open') {
      const code = this.#state === 'stopped' ? 'log_stopped' : 'shutting_down'
      refuse(new BusyError(code, 'the log is going down and accepts nothing more', 5))
      return
    }
    if (this.#heldEntries >= queueEntries || this.#heldBytes + bytes > queueBytes) {
      refuse(new BusyError('queue_full', `${this.#heldEntries} entries are waiting already`))
      return
    }
    this.#heldEntries++
    this.#heldBytes += bytes
    this.#queue.push({ entry, bytes, candidate, epoch: this.#authorityEpoch, answer, refuse })
    // Not at once: the requests that arrived in the same turn of the event loop go into the same batch.
    this.#loop ??= new Promise<void>((resolve) => setImmediate(resolve)).then(() => this.#run())
  }

  async #run(): Promise<void> {
    try {
      let next = this.#prepare()
      let before: Brought = new Map()
      while (next) {
        const { batch, holders } = next
        const { brought, committed } = this.#sequence(batch, await holders, before)
        // The lookups of the next batch run beside this commit. They may miss what it brings; `before` will tell.
        next = this.#prepare()
        await committed
        next ??= this.#prepare()
        before = brought
        if (batch.some(({ entry }) => changesAuthority(entry.type))) {
          // Everybody after this batch is judged by what it changed, which takes effect when it is published.
          await this.#publishing
          this.#authorityEpoch++
        }
      }
    } catch (error) {
      this.#stop(error)
    } finally {
      this.#loop = undefined
    }
  }

  /** Takes a batch from the queue, if there is any, and asks the store what it knows of it. */
  #prepare(): { batch: readonly Waiter[]; holders: Promise<Holders[]> } | undefined {
    const batch = this.#takeBatch()
    if (batch.length === 0) return undefined
    const holders = this.#options.store.holders(batch.map(({ entry }) => entry))
    // Awaited only after the commit before it: until then a failure is nobody's, and would end the process without a word.
    holders.catch(() => undefined)
    return { batch, holders }
  }

  /** The head of the queue, up to the bounds; a change of authority is always the last of its batch. */
  #takeBatch(): Waiter[] {
    const { batchEntries, batchBytes } = this.#options.limits
    let count = 0
    let bytes = 0
    while (count < this.#queue.length && count < batchEntries) {
      const { entry, bytes: more } = this.#queue[count]!
      if (count > 0 && bytes + more > batchBytes) break
      bytes += more
      count++
      if (changesAuthority(entry.type)) break
    }
    const batch = this.#queue.splice(0, count)
    for (const waiter of batch) this.#unanswered.add(waiter)
    return batch
  }

  /** Gives out indexes, at once; `committed` resolves when they are durable. */
  #sequence(batch: readonly Waiter[], holders: readonly Holders[], before: Brought) {
    const first = this.#options.edge.size
    const { fresh, held, brought } = this.#judge(batch, holders, before, first)
    for (const { entry } of fresh) this.#options.edge.append(entry.entry)
    if (fresh.length > 0) return { brought, committed: this.#commit(first, fresh, held) }
    this.#settleHeld(held)
    return { brought, committed: Promise.resolve() }
  }

  async #commit(first: number, fresh: readonly Waiter[], held: readonly Held[]): Promise<void> {
    const { store, edge, publisher, publication, guard } = this.#options
    const signed = await publisher.sign(edge.size, edge.root())
    const committed = store.commit({
      first,
      entries: fresh.map(({ entry }) => entry),
      tiles: edge.fullTiles.map(({ level, index, nodes }) => ({ level, index, hashes: nodes.subarray(0, TILE_BYTES) })),
      bundles: edge.fullTiles.flatMap(({ index, bundle }) => (bundle ? [{ index, bytes: bundle }] : [])),
      signed,
    })
    // While the disk works. Nothing of it leaves before the guard has been written.
    const receipts = fresh.map(({ candidate }, i) => candidate && receiptAt(first + i, signed, edge))
    await committed
    edge.settle()

    await this.#publishing
    // The guard of the batch before could not be written: nothing is published over that.
    if (this.#state === 'stopped') return
    this.#publishing = guard
      .write(signed.head)
      .then(() => {
        publication.advance(signed)
        this.#announce(first, fresh)
        for (const [i, waiter] of fresh.entries()) {
          this.#release(waiter)
          waiter.answer(first + i, receipts[i], false)
        }
        this.#settleHeld(held)
      })
      .catch((error: unknown) => this.#stop(error))
  }

  /** Who gets an index, counted from `first` in this order, and who is answered with somebody else's. */
  #judge(batch: readonly Waiter[], holders: readonly Holders[], before: Brought, first: number) {
    const fresh: Waiter[] = []
    const held: Held[] = []
    const brought: Brought = new Map()
    const holderOf = (name: string, stored: number | undefined) => stored ?? before.get(name) ?? brought.get(name)
    for (const [i, waiter] of batch.entries()) {
      const { entry, candidate, epoch } = waiter
      const { entry: same, identity, unique } = holders[i]!
      const names = namesOf(entry)
      const repeated = holderOf(names.entry, same)
      if (repeated !== undefined) {
        held.push({ waiter, index: repeated, refusal: undefined })
        continue
      }
      const refusal =
        conflict('conflict_signature', holderOf(names.identity, identity)) ??
        firstOf(names.unique, (name, at) => conflict(uniqueCode(name), holderOf(name, unique[at])))
      if (refusal) {
        held.push({ waiter, index: refusal.index!, refusal })
        continue
      }
      if (epoch !== this.#authorityEpoch && candidate?.recheck) {
        try {
          candidate.recheck()
        } catch (error) {
          this.#release(waiter)
          waiter.refuse(error as Error)
          continue
        }
      }
      const index = first + fresh.length
      fresh.push(waiter)
      brought.set(names.entry, index)
      if (names.identity !== NO_NAME) brought.set(names.identity, index)
      for (const name of names.unique) brought.set(name, index)
    }
    return { fresh, held, brought }
  }

  /** Answers that name another entry, as soon as that entry is published. */
  #settleHeld(held: readonly Held[]): void {
    const { publication, receipt } = this.#options
    for (const { waiter, index, refusal } of held) {
      const settle = async () => {
        await publication.reached(index + 1)
        const found = refusal || !waiter.candidate ? undefined : await receipt(index)
        this.#release(waiter)
        if (refusal) waiter.refuse(refusal)
        else waiter.answer(index, found, true)
      }
      settle().catch((error: unknown) => this.#stop(error))
    }
  }

  #announce(first: number, fresh: readonly Waiter[]): void {
    if (this.#listeners.length === 0) return
    const batch = fresh.flatMap(({ candidate }, i) => (candidate ? [{ index: first + i, candidate }] : []))
    for (const listener of this.#listeners) listener(batch)
  }

  #release(waiter: Waiter): void {
    this.#unanswered.delete(waiter)
    this.#heldEntries--
    this.#heldBytes -= waiter.bytes
    if (this.#heldEntries === 0) this.#wakeDrained()
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
    for (const waiter of [...this.#unanswered, ...this.#queue]) waiter.refuse(stopped)
    this.#unanswered.clear()
    this.#queue = []
    this.#wakeDrained()
  }
}

const TILE_BYTES = 256 * 32

function receiptAt(index: number, { head }: Signed, edge: Edge): Uint8Array {
  return buildReceipt(head, { index, proof: buildInclusionProof(index, head.size, edge.node) })
}

/** Names within a batch. Each kind starts with a letter of its own, so that no two kinds can meet. */
function namesOf({ entry, identity, uniqueKeys }: NewEntry) {
  return {
    entry: `d${latin1(entry)}`,
    identity: identity ? `i${latin1(identity)}` : NO_NAME,
    unique: uniqueKeys?.map((key) => `u${key}`) ?? NO_NAMES,
  }
}

const NO_NAME = ''
const NO_NAMES: readonly string[] = []

function latin1(hash: Hash): string {
  return Buffer.from(hash.buffer, hash.byteOffset, hash.byteLength).toString('latin1')
}

function conflict(code: LogErrorCode, index: number | undefined): LogError | undefined {
  return index === undefined ? undefined : new LogError(code, `entry ${index} ${CONFLICTS[code]}`, { index })
}

const CONFLICTS: Partial<Record<LogErrorCode, string>> = {
  conflict_signature: 'has the same content under another signature',
  duplicate_credential: 'records this credential already',
  duplicate_unique_tag: 'used this unique tag already',
  duplicate_record_id: 'has this record id already',
}

/** By the kind that `uniqueKeys` puts before the colon. */
function uniqueCode(name: string): LogErrorCode {
  if (name.startsWith('ucredential:')) return 'duplicate_credential'
  return name.startsWith('urecord:') ? 'duplicate_record_id' : 'duplicate_unique_tag'
}

function firstOf<T, R>(items: readonly T[], find: (item: T, at: number) => R | undefined): R | undefined {
  for (const [at, item] of items.entries()) {
    const found = find(item, at)
    if (found !== undefined) return found
  }
  return undefined
}
