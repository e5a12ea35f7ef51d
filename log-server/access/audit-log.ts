/**
 * Audit lines on their way to where they are kept.
 *
 * Lines are written in the order in which they came, as many at once as there are. An append is answered once its line is written; where it
 * cannot be, appends are refused, and the lines of all else are kept, as far as there is room, and written when they can be.
 *
 * @module
 */
import { BusyError } from '../types.ts'
import { type AuditLine, lineText, lostText } from './audit-line.ts'

/** Where lines go. */
export interface AuditSink {
  /** Resolves when it is written; rejects when it could not be. */
  write(text: string): Promise<void>
  close(): Promise<void>
}

/** Characters that wait to be written: a line has some 300, so this is every request of some busy seconds. */
const MAX_WAITING = 8 * 1024 * 1024

interface Waiting {
  readonly text: string
  /** Whether somebody waits for it. */
  readonly isAwaited: boolean
}

/** What all hear who wait for lines that are written together. */
interface Outcome {
  readonly settled: Promise<void>
  readonly settle: (error?: Error) => void
}

export class AuditLog {
  readonly #sink: AuditSink
  readonly #report: (error: unknown) => void
  #waiting: Waiting[] = []
  #waitingLength = 0
  /** Of what waits, where somebody waits for a line of it. */
  #outcome: Outcome | undefined
  #writing: Promise<void> | undefined
  /** The second in which it could not be written. */
  #failedAt: number | undefined
  #lost = 0

  /** @param report - told of a failure once, and not for each line */
  constructor(sink: AuditSink, report: (error: unknown) => void) {
    this.#sink = sink
    this.#report = report
  }

  /** Whether the last lines could not be written. */
  get failing(): boolean {
    return this.#failedAt !== undefined
  }

  /** Resolves when the line is written. One that is not is forgotten: its request is answered otherwise than it says. @throws {@link BusyError} `audit_unavailable` */
  record(line: AuditLine): Promise<void> {
    // Not tried for each line anew while a disk is full.
    if (this.#failedAt === line.at) return Promise.reject(unwritten())
    this.#outcome ??= newOutcome()
    const { settled } = this.#outcome
    this.#add(line, true)
    return settled
  }

  /**
   * Leaves the line to be written. What cannot be is kept, and tried again with a line of a later second; past the bound it is counted
   * instead, and the count is written.
   */
  note(line: AuditLine): void {
    if (this.failing && this.#waitingLength > MAX_WAITING) this.#lost++
    else this.#add(line, false)
  }

  /** Whether so much waits to be written that whoever comes next should wait for {@link written}. */
  get isFull(): boolean {
    return this.#waitingLength > MAX_WAITING && !this.failing
  }

  async written(): Promise<void> {
    await this.#writing
  }

  async close(): Promise<void> {
    await this.#writing
    await this.#sink.close()
  }

  #add(line: AuditLine, isAwaited: boolean): void {
    const text = lineText(line)
    this.#waiting.push({ text, isAwaited })
    this.#waitingLength += text.length
    if (this.#failedAt !== line.at) this.#writing ??= this.#writeAll(line.at)
  }

  /** Until nothing waits: what comes while a piece is being written is the next one. Never rejects. */
  async #writeAll(at: number): Promise<void> {
    // What else this turn of the event loop has to say goes with it: all of a commit, whose appends are answered in one.
    await new Promise(setImmediate)
    while (this.#waiting.length > 0) {
      const lines = this.#waiting
      const outcome = this.#outcome
      const lost = this.#lost
      this.#waiting = []
      this.#waitingLength = 0
      this.#outcome = undefined
      try {
        let text = lost > 0 ? lostText(at, lost) : ''
        for (const line of lines) text += line.text
        await this.#sink.write(text)
      } catch (error) {
        this.#fail(lines, error, at)
        outcome?.settle(unwritten())
        break
      }
      this.#failedAt = undefined
      this.#lost -= lost
      outcome?.settle()
    }
    this.#writing = undefined
  }

  #fail(lines: readonly Waiting[], error: unknown, at: number): void {
    if (!this.failing) this.#report(error)
    this.#failedAt = at
    this.#waiting = [...lines, ...this.#waiting].filter(({ isAwaited }) => !isAwaited)
    this.#waitingLength = this.#waiting.reduce((sum, { text }) => sum + text.length, 0)
    this.#outcome?.settle(unwritten())
    this.#outcome = undefined
  }
}

function newOutcome(): Outcome {
  let settle: Outcome['settle'] = () => {}
  const settled = new Promise<void>((resolve, reject) => {
    settle = (error) => (error ? reject(error) : resolve())
  })
  return { settled, settle }
}

function unwritten(): BusyError {
  return new BusyError('audit_unavailable', 'who does this cannot be written down now')
}
