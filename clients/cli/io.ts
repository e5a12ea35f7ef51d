/**
 * Everything a command may touch of the process and the machine: passed in, so that a test needs no subprocess.
 *
 * Results go to stdout, reasons and progress to stderr.
 *
 * @module
 */
import { spawn } from 'node:child_process'
import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { constants } from 'node:os'
import { dirname } from 'node:path'
import { styleText } from 'node:util'
import { pooledRandom } from '../log-client/index.ts'
import { UsageError } from './command.ts'

export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>
  /** POSIX seconds. */
  readonly now: () => number
  readonly random: (length: number) => Uint8Array
  readonly sleep: (milliseconds: number) => Promise<void>
  /** Whether stderr is one, that lines can be overwritten on. */
  readonly terminal: boolean
  out(line: string): void
  err(line: string): void
  /** Overwrites one line on a terminal; nothing elsewhere. */
  progress(line: string): void
  /** Emphasis on a terminal whose user wants colour; the same text elsewhere. */
  style(style: 'bold' | 'green' | 'red' | 'dim' | 'cyan', text: string): string
  /** @throws {@link UsageError} naming the path when it cannot be read. */
  readFile(path: string): Promise<Uint8Array>
  /** Writes atomically: a reader sees the old bytes or the new. `secret` files get mode 0600. */
  writeFile(path: string, bytes: Uint8Array | string, options?: { secret?: boolean }): Promise<void>
  /** Runs a program on our own terminal, its environment as given, and resolves with its exit code. Signals that we get are its own too. */
  run(program: string, args: readonly string[], env: Io['env']): Promise<number>
  /** Resolves when the process is asked to end (SIGINT or SIGTERM). */
  untilAskedToStop(): Promise<void>
}

/** The {@link Io} of a real process. */
export function processIo(): Io {
  const terminal = process.stderr.isTTY === true
  return {
    env: process.env,
    now: () => Math.floor(Date.now() / 1000),
    random: pooledRandom(),
    sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
    terminal,
    out: (line) => process.stdout.write(`${line}\n`),
    err: (line) => process.stderr.write(`${line}\n`),
    progress: (line) => {
      if (terminal) process.stderr.write(`\r\u001b[2K${line}`)
    },
    style: (style, text) => styleText(style, text, { validateStream: true, stream: process.stdout }),
    readFile: async (path) => {
      try {
        return new Uint8Array(await readFile(path))
      } catch (error) {
        throw new UsageError(`cannot read ${path} (${codeOf(error)})`)
      }
    },
    writeFile: async (path, bytes, options) => {
      const temporary = `${path}.${process.pid}.tmp`
      try {
        await mkdir(dirname(path), { recursive: true })
        const file = await open(temporary, 'w', options?.secret ? 0o600 : 0o644)
        try {
          await file.writeFile(bytes)
          await file.sync()
        } finally {
          await file.close()
        }
        await rename(temporary, path)
      } catch (error) {
        throw new UsageError(`cannot write ${path} (${codeOf(error)})`)
      }
    },
    run: runProgram,
    untilAskedToStop: () =>
      new Promise((resolve) => {
        process.once('SIGINT', () => resolve())
        process.once('SIGTERM', () => resolve())
      }),
  }
}

/** @throws {@link UsageError} when there is no such program */
async function runProgram(program: string, args: readonly string[], env: Io['env']): Promise<number> {
  const child = spawn(program, args, { stdio: 'inherit', env: { ...env } })
  const forward = (signal: NodeJS.Signals) => child.kill(signal)
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.on(signal, forward)
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', (error) => reject(new UsageError(`cannot run ${program} (${codeOf(error)})`)))
      // 128 and the signal's number, as shells have it.
      child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal!]))
    })
  } finally {
    for (const signal of signals) process.off(signal, forward)
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}
