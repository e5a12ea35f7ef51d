/**
 * How far something long has come: a bar with rate and time left on a terminal, and a line from time to time elsewhere, for whoever reads
 * the log of a job.
 *
 *     statements [#########...........] 45%  7012/s  78 s left
 *     statements: 450000 of 1000000 (45%), 7012/s, 78 s left
 *
 * @module
 */
import type { Io } from './io.ts'

export interface Progress {
  readonly phase: string
  readonly done: number
  readonly total: number
}

/** Milliseconds between two lines, and between two drawings of the bar. */
const LINE_EVERY = 10_000
const BAR_EVERY = 100
const WIDTH = 20

/** @param clock - milliseconds that only grow */
export function progressOn(
  io: Pick<Io, 'err' | 'progress' | 'terminal'>,
  clock: () => number = () => performance.now(),
): (progress: Progress) => void {
  let phase: string | undefined
  let began = { at: 0, done: 0 }
  let said = 0
  return (progress) => {
    const now = clock()
    if (progress.phase !== phase) {
      phase = progress.phase
      began = { at: now, done: progress.done }
      said = now
    }
    const { done, total } = progress
    const ended = done >= total
    if (now - said < (io.terminal ? BAR_EVERY : LINE_EVERY) && !(ended && io.terminal)) return
    said = now
    const share = total === 0 ? 1 : done / total
    // Of this phase and this run: what an earlier audit had seen to says nothing of how fast this one is.
    const rate = ((done - began.done) * 1000) / Math.max(now - began.at, 1)
    const left = rate === 0 ? 'unknown time left' : `${Math.ceil((total - done) / rate)} s left`
    const percent = `${Math.floor(share * 100)}%`
    if (io.terminal) {
      const filled = Math.round(share * WIDTH)
      const bar = '#'.repeat(filled) + '.'.repeat(WIDTH - filled)
      io.progress(`${phase} [${bar}] ${percent}  ${Math.round(rate)}/s  ${left}`)
    } else io.err(`${phase}: ${done} of ${total} (${percent}), ${Math.round(rate)}/s, ${left}`)
  }
}
