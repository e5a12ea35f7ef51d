/**
 * Room that callers share, of a kind that ends: places in a queue, bytes in memory, connections.
 *
 * **Nobody has more of it than is left for others.** Alone a caller gets a half of all there is, with one more as greedy each gets a third,
 * among ten a tenth of what they share with the next who comes:
 *
 * ```
 *   one     [ ■ ■ ■ ■ ■ ■ . . . . . . ]
 *   two     [ ■ ■ ■ ■ □ □ □ □ . . . . ]     full for both of them, and open to everybody else
 * ```
 *
 * So whoever fills what they can fills it for themselves, and nothing that was taken is ever taken back: to put out those who have most was the
 * other way, and then work would be thrown away that was paid for. A fixed share each would need to know how many callers there are.
 *
 * Whoever has nothing of it yet may take all that is left in one go: a batch need not be smaller than the room for it.
 *
 * @module
 */

/** Of one caller, or of all. */
interface Taken {
  count: number
  bytes: number
}

export interface RoomLimits {
  readonly count: number
  /** Not bounded when not given. */
  readonly bytes?: number
}

export class SharedRoom {
  readonly #maxCount: number
  readonly #maxBytes: number
  readonly #all: Taken = { count: 0, bytes: 0 }
  /** Of those who have something, and of nobody else: no larger than the room. */
  readonly #byCaller = new Map<string, Taken>()

  constructor({ count, bytes = Number.POSITIVE_INFINITY }: RoomLimits) {
    this.#maxCount = count
    this.#maxBytes = bytes
  }

  /** What all have together, as is {@link bytes}. */
  get count(): number {
    return this.#all.count
  }

  get bytes(): number {
    return this.#all.bytes
  }

  /** Whether `caller` may have so much more. */
  has(caller: string, count: number, bytes = 0): boolean {
    const own = this.#byCaller.get(caller) ?? NOTHING
    return (
      own.count + count <= this.#maxCount - this.#all.count && own.bytes + bytes <= this.#maxBytes - this.#all.bytes
    )
  }

  /** Takes it, unless there is no room. */
  take(caller: string, count: number, bytes = 0): boolean {
    if (!this.has(caller, count, bytes)) return false
    const own = this.#byCaller.get(caller)
    if (own) {
      own.count += count
      own.bytes += bytes
    } else this.#byCaller.set(caller, { count, bytes })
    this.#all.count += count
    this.#all.bytes += bytes
    return true
  }

  /** What was taken, or part of it. */
  giveBack(caller: string, count: number, bytes = 0): void {
    const own = this.#byCaller.get(caller)
    if (!own) return // emptied meanwhile
    own.count -= count
    own.bytes -= bytes
    this.#all.count -= count
    this.#all.bytes -= bytes
    if (own.count === 0 && own.bytes === 0) this.#byCaller.delete(caller)
  }

  /** Takes everything from everybody. */
  empty(): void {
    this.#byCaller.clear()
    this.#all.count = 0
    this.#all.bytes = 0
  }
}

const NOTHING: Taken = { count: 0, bytes: 0 }
