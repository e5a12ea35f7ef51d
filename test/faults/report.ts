/**
 * What was done and what was seen, in numbers.
 *
 * @module
 */
export class Report {
  kills = 0
  terminations = 0
  /** Starts of a server that then served. */
  restarts = 0
  /** System calls that were made to fail. */
  injectedErrors = 0
  acknowledged = 0
  receiptsVerifiedAgain = 0
  treesCompared = 0
  fscks = 0
  /** From the order to serve until it listens, in milliseconds. */
  readonly recoveries: number[] = []
  /** Of each cycle: the storage operations that it has, and those at which something was done. */
  readonly operations = new Map<string, { readonly possible: Set<string>; readonly covered: Set<string> }>()
  readonly runs = new Map<string, number>()
  readonly skipped = new Map<string, string>()

  ran(id: string): void {
    this.runs.set(id, (this.runs.get(id) ?? 0) + 1)
  }

  possible(cycle: string, points: Iterable<string>): void {
    const known = this.operations.get(cycle) ?? { possible: new Set(), covered: new Set() }
    this.operations.set(cycle, known)
    for (const point of points) known.possible.add(point)
  }

  covered(cycle: string, point: string): void {
    this.operations.get(cycle)?.covered.add(point)
  }

  /** A line for each number. */
  lines(): string[] {
    const sorted = this.recoveries.toSorted((a, b) => a - b)
    const at = (share: number) =>
      Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0)
    return [
      `${this.kills} kills, ${this.terminations} terminations, ${this.injectedErrors} injected errors, ${this.restarts} restarts`,
      `${this.acknowledged} statements acknowledged; ${this.receiptsVerifiedAgain} receipts verified again, ${this.treesCompared} signed trees compared, ${this.fscks} times fsck`,
      `back after ${at(0.5)} ms (median), ${at(0.99)} ms (99th percentile), ${at(1)} ms (longest)`,
      ...Array.from(
        this.operations,
        ([cycle, { possible, covered }]) =>
          `${cycle}: ${covered.size} of ${possible.size} faults at storage operations`,
      ),
      ...Array.from(this.runs, ([id, count]) => `${id}: ${count}`),
      ...Array.from(this.skipped, ([id, why]) => `SKIPPED ${id}: ${why}`),
    ]
  }
}
