/**
 * Storage operations, seen and made to fail from outside: `strace` holds the process at a system call, writes it down, has it fail, or kills
 * the process instead of letting it be made.
 *
 * A call that fails is not made at all: what a disk did that says EIO, and did it half, is for the simulation.
 *
 * @module
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { relative } from 'node:path'

/** All that changes a file, and what reads one. Closing is not among them: neither LevelDB nor the guard learns anything by it. */
const WRITING = [
  ...['open', 'openat', 'creat', 'write', 'pwrite64', 'writev', 'pwritev', 'pwritev2', 'fsync', 'fdatasync'],
  ...['sync_file_range', 'rename', 'renameat', 'renameat2', 'unlink', 'unlinkat', 'ftruncate', 'truncate'],
  ...['fallocate', 'link', 'linkat', 'mkdir', 'mkdirat', 'fcntl'],
]
const READING = ['read', 'pread64', 'readv', 'preadv']

/** One storage operation of a cycle, by what it is and the how-manieth of its kind. */
export interface Operation {
  readonly call: string
  /** In the directory of the log. */
  readonly path: string
  /** Counted from 1, of this call on this path in one thread. */
  readonly nth: number
  /** It changes nothing on the disk: to be killed before it is to be killed before the next one that does. */
  readonly reads: boolean
}

export type Fault = 'KILL' | 'EIO' | 'ENOSPC'

export const nameOf = ({ call, path, nth }: Operation): string => `${call} ${path}${nth === 1 ? '' : ` (${nth})`}`

/** Why there is no strace, when there is none. */
export function straceMissing(): string | undefined {
  const { error, status, stderr } = spawnSync('strace', ['-e', 'inject=write:error=EIO:when=1000', 'true'])
  if (error) return 'strace is not installed'
  return status === 0 ? undefined : `strace may not trace here: ${String(stderr).trim()}`
}

/** A process under observation. It goes on by itself when it is let go, and ends when strace is killed or the process is. */
export class Strace {
  readonly #process: ChildProcess
  readonly #output: string
  readonly #gone: Promise<unknown>

  private constructor(process: ChildProcess, output: string) {
    this.#process = process
    this.#output = output
    this.#gone = once(process, 'close')
  }

  /** Resolves when every thread of the process is held on to. */
  static async attach(pid: number, output: string, words: readonly string[]): Promise<Strace> {
    const process = spawn('strace', ['-f', '-y', '-o', output, ...words, '-p', String(pid)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const strace = new Strace(process, output)
    let said = ''
    await new Promise<void>((resolve, reject) => {
      process.stderr!.on('data', (bytes) => {
        said += String(bytes)
        if (/Process \d+ attached/.test(said)) resolve()
      })
      process.once('error', reject)
      process.once('close', () => reject(new Error(`strace ended: ${said}`)))
    })
    return strace
  }

  /** Writes down every storage operation below `dataDir`. */
  static trace(pid: number, output: string): Promise<Strace> {
    return Strace.attach(pid, output, ['-e', `trace=${[...WRITING, ...READING, 'mmap', 'sendto'].join(',')}`])
  }

  /** Has one operation fail, or kills the process before it. `again` has all that follow on this path fail, too. */
  static inject(
    pid: number,
    output: string,
    { operation, fault, path, again = false }: { operation: Operation; fault: Fault; path: string; again?: boolean },
  ): Promise<Strace> {
    const what = fault === 'KILL' ? 'signal=KILL' : `error=${fault}`
    const when = `when=${operation.nth}${again ? '+' : ''}`
    const { call } = operation
    return Strace.attach(pid, output, ['-P', path, '-e', `trace=${call}`, '-e', `inject=${call}:${what}:${when}`])
  }

  /** Lets go, and returns what was written down. */
  async end(): Promise<string> {
    this.#process.kill('SIGINT')
    await this.#gone
    return readFile(this.#output, 'utf8')
  }
}

/** A line of strace: the thread, the call, and the file it is about. */
export interface Call {
  readonly thread: string
  readonly call: string
  readonly text: string
  /** In the directory of the log; undefined when it is about something else. */
  readonly path: string | undefined
}

/** In the order in which they began. */
export function callsIn(output: string, dataDir: string): Call[] {
  const calls: Call[] = []
  for (const line of output.split('\n')) {
    const match = /^(\d+) +([a-z0-9_]+)\((.*)$/.exec(line)
    if (!match) continue
    const [, thread = '', call = '', text = ''] = match
    // Of two paths, what is renamed is told by where it comes from.
    const full = /^\d+<([^>]+)>/.exec(text)?.[1] ?? /"([^"]+)"/.exec(text)?.[1] ?? mapped(call, text)
    const inside = full?.startsWith(dataDir) ? relative(dataDir, full) || '.' : undefined
    calls.push({ thread, call, text, path: inside })
  }
  return calls
}

const mapped = (call: string, text: string) => (call === 'mmap' ? /\d+<([^>]+)>/.exec(text)?.[1] : undefined)

/** Each once, in order. LevelDB's diary, `LOG`, is nobody's data: it writes it when it can. */
export function operationsOf(calls: readonly Call[]): Operation[] {
  const counts = new Map<string, number>()
  const found = new Map<string, Operation>()
  for (const { thread, call, path, text } of calls) {
    if (path === undefined || call === 'mmap' || path.startsWith('store/LOG')) continue
    const counter = `${thread} ${call} ${path}`
    const nth = (counts.get(counter) ?? 0) + 1
    counts.set(counter, nth)
    const reads = READING.includes(call) || (call.startsWith('open') && /O_RDONLY/.test(text))
    const operation = { call, path, nth, reads }
    found.set(nameOf(operation), operation)
  }
  return [...found.values()]
}
