/**
 * Everything a command may touch of the process and the machine: passed in, so that a test needs no subprocess.
 *
 * Results go to stdout, reasons and progress to stderr.
 *
 * @module
 */
import { spawn } from 'node:child_process'
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { constants } from 'node:os'
import { dirname } from 'node:path'
import { styleText } from 'node:util'
import { UnavailableError } from '../../merkle/error.ts'
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
  /** At most {@link MAX_FILE_BYTES}. @throws {@link UsageError} naming the path when it cannot be read; `UnavailableError` where that is the machine's doing. */
  readFile(path: string): Promise<Uint8Array>
  /**
   * Writes atomically: a reader sees the old bytes or the new. `secret` files get mode 0600; one that is `created` takes the place of none.
   * What is no file (`/dev/stdout`, a pipe) is written to and left what it is. What cannot be written whole leaves nothing behind.
   *
   * @throws as {@link readFile}
   */
  writeFile(path: string, bytes: Uint8Array | string, options?: WriteOptions): Promise<void>
  /** Runs a program on our own terminal, its environment as given, and resolves with its exit code. Signals that we get are its own too. */
  run(program: string, args: readonly string[], env: Io['env']): Promise<number>
  /** Resolves when the process is asked to end (SIGINT or SIGTERM). */
  untilAskedToStop(): Promise<void>
}

export interface WriteOptions {
  readonly secret?: boolean
  readonly created?: boolean
}

/** More than any file of ours: the longest is an issuer's ledger. Whoever names a device that never ends is told. */
export const MAX_FILE_BYTES = 256 * 1024 * 1024

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
        return await readBounded(path)
      } catch (error) {
        throw refusalOf(`cannot read ${path}`, error)
      }
    },
    writeFile: async (path, bytes, options) => {
      try {
        await write(path, bytes, options)
      } catch (error) {
        throw refusalOf(`cannot write ${path}`, error)
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

async function readBounded(path: string): Promise<Uint8Array> {
  const file = await open(path)
  try {
    const chunks: Buffer[] = []
    let length = 0
    for await (const chunk of file.createReadStream({ autoClose: false, highWaterMark: 1024 * 1024 })) {
      length += chunk.length
      if (length > MAX_FILE_BYTES) throw Object.assign(new Error('too large'), { code: 'EFBIG' })
      chunks.push(chunk)
    }
    return new Uint8Array(Buffer.concat(chunks, length))
  } finally {
    await file.close()
  }
}

async function write(path: string, bytes: Uint8Array | string, { secret, created }: WriteOptions = {}): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const mode = secret ? 0o600 : 0o644
  if (created) return writeTo(await open(path, 'wx', mode), bytes, path)
  // Of a device a rename would make a file, for everybody on this machine where we are root.
  const there = await stat(path).catch(() => undefined)
  if (there && !there.isFile() && !there.isDirectory()) {
    const file = await open(path, 'a')
    try {
      return await file.writeFile(bytes)
    } finally {
      await file.close()
    }
  }
  const temporary = `${path}.${process.pid}.tmp`
  await writeTo(await open(temporary, 'w', mode), bytes, temporary)
  await rename(temporary, path).catch((error: unknown) => removed(temporary, error))
}

/** @param path - of the file, which is new */
async function writeTo(file: FileHandle, bytes: Uint8Array | string, path: string): Promise<void> {
  try {
    await file.writeFile(bytes)
    await file.sync()
  } catch (error) {
    await removed(path, error)
  } finally {
    await file.close()
  }
}

async function removed(path: string, error: unknown): Promise<never> {
  await rm(path, { force: true })
  throw error
}

/** What the machine would not do with a path that may be right, now. */
const UNAVAILABLE: readonly string[] = [
  'ENOSPC',
  'EDQUOT',
  'EIO',
  'EROFS',
  'EMFILE',
  'ENFILE',
  'ENOMEM',
  'EBUSY',
  'ESTALE',
]

function refusalOf(what: string, error: unknown): Error {
  const code = codeOf(error)
  const message = `${what} (${code})`
  return UNAVAILABLE.includes(code) ? new UnavailableError(message, { cause: error }) : new UsageError(message)
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
