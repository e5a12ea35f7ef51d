/**
 * The audit line: who did what here, whatever came of it. One JSON object on a line for each request of a caller who is known, for
 * each that was refused for not being whom it said, and for whatever was appended.
 *
 *     {"type":"provlog-access/1","at":1785155800,"request":"req-7","who":"spiffe://bank.example/issuer","by":"mtls","credential":"5e3f…",
 *      "operation":"register","status":201,"index":8,"entry":"77ab…"}
 *
 * `who` was validated, or is null. What was only claimed is under `asserted` and nowhere else. There is no path, no header and no
 * text of a client's in it but that one, which is cut and has to be read as an identifier.
 *
 * Lines are written in the order in which they came, as many at once as there are. An append is answered once its line is written; where it
 * cannot be, appends are refused, and the lines of all else are kept, as far as there is room, and written when they can be.
 *
 * @module
 */
import { statSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { Writable } from 'node:stream'
import type { ProblemCode } from '../problem.ts'
import { BusyError, LogError } from '../types.ts'
import type { Caller } from './caller.ts'
import { isStream } from './config.ts'

export interface AuditLine extends Omit<Caller, 'identifier'> {
  /** POSIX seconds. */
  readonly at: number
  /** What an answer of 500 names, too. */
  readonly request: string
  readonly who: string | null
  /** `operationId` of the API's description; null where the path or the method is none of it. */
  readonly operation: string | null
  /** Where it came to the address for admins. */
  readonly listener?: 'admin'
  readonly status: number
  /** Why it was refused. */
  readonly code?: ProblemCode
  readonly index?: number
  /** Hex. */
  readonly entry?: string
  /** It was on the log before. */
  readonly duplicate?: boolean
  /** Of a batch: indexes as ranges, `8-250,252`, and how many were refused, by code. */
  readonly indexes?: string
  readonly refused?: Readonly<Record<string, number>>
}

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
  /** Of a line that somebody waits for. */
  readonly settle?: (error?: Error) => void
}

export class AuditLog {
  readonly #sink: AuditSink
  readonly #report: (error: unknown) => void
  #waiting: Waiting[] = []
  #waitingLength = 0
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
    return new Promise((resolve, reject) => {
      this.#add(line, (error) => (error ? reject(error) : resolve()))
    })
  }

  /**
   * Leaves the line to be written. What cannot be is kept, and tried again with a line of a later second; past the bound it is counted
   * instead, and the count is written.
   */
  note(line: AuditLine): void {
    if (this.failing && this.#waitingLength > MAX_WAITING) this.#lost++
    else this.#add(line)
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

  #add(line: AuditLine, settle?: Waiting['settle']): void {
    // Not tried for each line anew while a disk is full.
    const isTried = this.#failedAt !== line.at
    if (settle && !isTried) {
      settle(unwritten())
      return
    }
    const text = `${JSON.stringify({ type: TYPE, ...line })}\n`
    this.#waiting.push({ text, ...(settle && { settle }) })
    this.#waitingLength += text.length
    if (isTried) this.#writing ??= this.#writeAll(line.at)
  }

  /** Until nothing waits: what comes while a piece is being written is the next one. Never rejects. */
  async #writeAll(at: number): Promise<void> {
    // What else this turn of the event loop has to say goes with it.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const lines = this.#waiting
      const lost = this.#lost
      this.#waiting = []
      this.#waitingLength = 0
      try {
        const count = lost > 0 ? `${JSON.stringify({ type: TYPE, at, lost })}\n` : ''
        await this.#sink.write(count + lines.map(({ text }) => text).join(''))
      } catch (error) {
        this.#fail(lines, error, at)
        break
      }
      this.#failedAt = undefined
      this.#lost -= lost
      for (const { settle } of lines) settle?.()
    }
    this.#writing = undefined
  }

  #fail(lines: readonly Waiting[], error: unknown, at: number): void {
    if (!this.failing) this.#report(error)
    this.#failedAt = at
    const all = [...lines, ...this.#waiting]
    this.#waiting = all.filter(({ settle }) => !settle)
    this.#waitingLength = this.#waiting.reduce((sum, { text }) => sum + text.length, 0)
    for (const { settle } of all) settle?.(unwritten())
  }
}

function unwritten(): BusyError {
  return new BusyError('audit_unavailable', 'who does this cannot be written down now')
}

const TYPE = 'provlog-access/1'

/**
 * The sink that the configuration names: a file is appended to, and opened again when another has its name (it was rotated).
 *
 * @throws {@link LogError} `malformed_config` where it cannot be opened
 */
export async function openSink({ file, sync }: { readonly file: string; readonly sync: boolean }): Promise<AuditSink> {
  if (isStream(file)) return streamSink(process[file])
  const sink = new FileSink(file, sync)
  try {
    await sink.open()
  } catch (cause) {
    throw new LogError('malformed_config', `the audit file ${file} cannot be opened`, { cause })
  }
  return sink
}

class FileSink implements AuditSink {
  readonly #path: string
  readonly #sync: boolean
  #file: FileHandle | undefined
  #inode = ''
  #isLineOpen = false

  constructor(path: string, sync: boolean) {
    this.#path = path
    this.#sync = sync
  }

  async open(): Promise<void> {
    await this.#file?.close()
    this.#file = undefined
    const file = await open(this.#path, 'a', 0o600)
    this.#inode = inodeOf(await file.stat())
    this.#file = file
  }

  /** Whoever rotates it renames it, and needs to tell nobody: looked at before each write, of which there is one for many lines. */
  async write(text: string): Promise<void> {
    // At once: the system has it in memory, and a turn through the pool's threads costs an append more than the look itself.
    const there = statSync(this.#path, { throwIfNoEntry: false })
    if (!this.#file || !there || inodeOf(there) !== this.#inode) await this.open()
    const file = this.#file!
    // A full disk takes a part of what it is given: that line is ended before it is written again, and a reader skips it.
    const bytes = Buffer.from(this.#isLineOpen ? `\n${text}` : text)
    for (let at = 0; at < bytes.length; ) {
      at += (await file.write(bytes, at)).bytesWritten
      this.#isLineOpen = at < bytes.length
    }
    if (this.#sync) await file.datasync()
  }

  async close(): Promise<void> {
    await this.#file?.close()
    this.#file = undefined
  }
}

function inodeOf({ dev, ino }: { readonly dev: number; readonly ino: number }): string {
  return `${dev}:${ino}`
}

function streamSink(stream: Writable): AuditSink {
  return {
    write: (text) =>
      new Promise((resolve, reject) => {
        stream.write(text, (error) => (error ? reject(error) : resolve()))
      }),
    // Not ours to close.
    close: async () => {},
  }
}

/** `8-250,252`: indexes of a batch, ascending. */
export function rangesOf(indexes: readonly number[]): string {
  const ranges: [number, number][] = []
  for (const index of [...indexes].sort((a, b) => a - b)) {
    const last = ranges.at(-1)
    if (last && index <= last[1] + 1) last[1] = index
    else ranges.push([index, index])
  }
  return ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join()
}
