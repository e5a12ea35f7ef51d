/**
 * Erasing what is stored beside the tree: wraps, and for scope `statement` the statement itself and its certificates.
 *
 * ```
 *   before   s ‖ 256   00 00 01 a3  d2 84 …   00 00 02 10  d2 84 …        w ‖ entry   wraps
 *   after    s ‖ 256   00 00 00 00            00 00 02 10  d2 84 …        g ‖ 256     entry ‖ index of the erasure record ‖ scope
 * ```
 *
 * A hole is a statement of length 0, in the store as in a bundle. The tree needs no statement but its entry, and that stays: in the
 * entry bundle, in `g`, in the index by digest. All of it happens in the commit that makes the erasure record durable, or none of it.
 *
 * **What is guaranteed, and when.** From that commit on no answer has what was erased. In LevelDB's files it stays until they are compacted:
 * {@link Sweep} has that done at once, and on start where a crash came between. When it is through, no file of the store holds it,
 * except while an answer that began before is still being sent. What it cannot reach: free blocks of the disk, snapshots of the file
 * system, backups, caches in front of the log (`routes/statements.ts` says for how long), and whoever read it before.
 *
 * @module
 */
import { HASH_LENGTH, type Hash } from '../../merkle/hash.ts'
import { LogError } from '../types.ts'

/** What an `erasure` record has destroyed: the keys to what is sealed, or the statement with them. */
export type ErasureScope = 'keys' | 'statement'

/** In the note, by their places here. */
const SCOPES: readonly ErasureScope[] = ['keys', 'statement']

/** What a new entry has erased. */
export interface Erases {
  readonly entry: Hash
  readonly scope: ErasureScope
}

/** What is known of an entry of which something was erased. */
export interface Erasure extends Erases {
  /** Index of the erasure record. */
  readonly by: number
}

export function encodeErasure({ entry, by, scope }: Erasure): Uint8Array {
  const value = new Uint8Array(HASH_LENGTH + 7)
  value.set(entry)
  const view = new DataView(value.buffer)
  view.setUint16(HASH_LENGTH, Math.floor(by / 2 ** 32))
  view.setUint32(HASH_LENGTH + 2, by % 2 ** 32)
  value[HASH_LENGTH + 6] = SCOPES.indexOf(scope)
  return value
}

/** @throws {@link LogError} `log_damaged` */
export function decodeErasure(value: Uint8Array): Erasure {
  const scope = SCOPES[value[HASH_LENGTH + 6] ?? -1]
  if (value.length !== HASH_LENGTH + 7 || scope === undefined) {
    throw new LogError('log_damaged', 'a note about an erasure cannot be read')
  }
  const view = new DataView(value.buffer, value.byteOffset)
  return {
    entry: value.slice(0, HASH_LENGTH),
    by: view.getUint16(HASH_LENGTH) * 2 ** 32 + view.getUint32(HASH_LENGTH + 2),
    scope,
  }
}

/** What a sweep needs of LevelDB. */
export interface Sweepable {
  /** Rewrites the tables that hold keys from `start` to `end`, without what was deleted or overwritten. */
  compactRange(start: Uint8Array, end: Uint8Array): Promise<void>
  put(key: Uint8Array, value: Uint8Array, options: { sync: true }): Promise<void>
}

/**
 * Has LevelDB forget what was erased, one sweep at a time. What is erased meanwhile waits for the next one, all of it together: whoever erases
 * faster than the disk forgets keeps it no busier than that.
 */
export class Sweep {
  readonly #db: Sweepable
  /** Two keys between those of tree heads and of statements: one to touch, and one that says up to which record the store is clean. */
  readonly #keys: { readonly touch: Uint8Array; readonly swept: Uint8Array }
  #waiting: { readonly keys: Uint8Array[]; note: Uint8Array } | undefined
  #running: Promise<void> | undefined
  #failure: unknown
  #held: Promise<void> = Promise.resolve()

  constructor(db: Sweepable, keys: { readonly touch: Uint8Array; readonly swept: Uint8Array }) {
    this.#db = db
    this.#keys = keys
  }

  /** Sweeps what was under `keys`, after the sweep under way; then `note` goes under the key `swept`. */
  start(keys: readonly Uint8Array[], note: Uint8Array): void {
    this.#waiting ??= { keys: [], note }
    for (const key of keys) this.#waiting.keys.push(key)
    this.#waiting.note = note
    this.#running ??= this.#run()
  }

  /**
   * Nothing is swept until the function returned is called: LevelDB keeps, past every compaction, what somebody still reads an older state of, and
   * would be said to be clean.
   */
  hold(): () => void {
    let release = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    this.#held = Promise.all([this.#held, held]).then(() => undefined)
    return release
  }

  /** Resolves when nothing is left to sweep. */
  async done(): Promise<void> {
    await this.#running
  }

  /** @throws whatever made a sweep fail: the database is not to be written to any more */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  async #run(): Promise<void> {
    try {
      for (let next = this.#waiting; next; next = this.#waiting) {
        this.#waiting = undefined
        for (let held = this.#held; ; held = this.#held) {
          await held
          if (held === this.#held) break
        }
        await this.#sweep(next.keys, next.note)
      }
      this.#running = undefined
    } catch (error) {
      // It stays as if it were running: nothing is swept any more.
      this.#failure = error
    }
  }

  async #sweep(keys: readonly Uint8Array[], note: Uint8Array): Promise<void> {
    const { touch, swept } = this.#keys
    for (const [first, last] of rangesOf(keys)) await this.#db.compactRange(first, last)
    // What was written and erased within one write buffer has become one table with both versions, perhaps where there is nothing to
    // merge it with. A newer table whose one key lies in the range of that one makes LevelDB merge them, without the older version.
    await this.#db.put(touch, new Uint8Array(0), { sync: true })
    await this.#db.compactRange(touch, touch)
    await this.#db.put(swept, note, { sync: true })
  }
}

/** Each costs LevelDB the rewriting of some tables, whether there is one key in it or a thousand. */
const MAX_RANGES = 32

/** Ranges that cover the keys: for each letter that these begin with so many at most, made of neighbours. */
function rangesOf(keys: readonly Uint8Array[]): [first: Uint8Array, last: Uint8Array][] {
  const sorted = [...keys].sort((a, b) => Buffer.compare(a, b))
  const ranges: [first: Uint8Array, last: Uint8Array][] = []
  for (const letter of new Set(sorted.map((key) => key[0]))) {
    const own = sorted.filter((key) => key[0] === letter)
    const size = Math.ceil(own.length / MAX_RANGES)
    for (let at = 0; at < own.length; at += size) ranges.push([own[at]!, own[Math.min(at + size, own.length) - 1]!])
  }
  return ranges
}
