/**
 * What a bench returns: our figure, the bound it is held to, and their ratio from one interleaved run.
 *
 * @module
 */

export interface BenchOptions {
  /** Shorter measurements, for a check that the bench still runs. */
  readonly quick: boolean
  /** Of a log that is as large as it is told. */
  readonly entries?: number
}

export interface BenchResult {
  readonly name: string
  /** Median of ours and of the bound, in `unit`. */
  readonly ours: number
  readonly bound: number
  readonly unit: string
  /** Median of the ratios of each interleaved pair of rounds: steadier than the ratio of the medians. */
  readonly ratio: number
  /** The ratio below which we have failed, and the one we aim at. */
  readonly must?: number
  readonly goal?: number
  /** What else was seen. */
  readonly notes?: string
}

/** The middle of `values`, the upper one when their number is even. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
