/**
 * A queue in which each caller has a line of their own, and the lines take turns.
 *
 * ```
 *   a   ■ ■ ■ ■ ■ ■ ■ ■ ■ ─┐
 *   b   □ ─────────────────┼─► ■ □ ▲ ■ ▲ ■ ■ ■ …
 *   c   ▲ ▲ ───────────────┘
 * ```
 *
 * What one caller brings stays in order. Whoever has one thing to be done waits behind one of each other caller's, however much those have brought.
 *
 * @module
 */

interface Line<T> {
  readonly items: T[]
  /** So many at the head of `items` are gone: shifting them out one by one would move all others each time. */
  gone: number
}

export class FairQueue<T> {
  /** Of those who wait, whoever is next first: a Map keeps the order of insertion. */
  readonly #lines = new Map<string, Line<T>>()
  #length = 0

  get length(): number {
    return this.#length
  }

  push(caller: string, item: T): void {
    this.#length++
    const line = this.#lines.get(caller)
    if (line) line.items.push(item)
    else this.#lines.set(caller, { items: [item], gone: 0 })
  }

  /** The next in turn. */
  shift(): T | undefined {
    const [next] = this.#lines
    if (!next) return undefined
    const [caller, line] = next
    const item = line.items[line.gone++]
    this.#length--
    if (line.gone === line.items.length) this.#lines.delete(caller)
    else if (this.#lines.size > 1) {
      this.#lines.delete(caller)
      this.#lines.set(caller, line)
    }
    if (line.gone === FORGET_TOGETHER) {
      line.items.splice(0, line.gone)
      line.gone = 0
    }
    return item
  }

  clear(): void {
    this.#lines.clear()
    this.#length = 0
  }
}

const FORGET_TOGETHER = 1024
