/**
 * A server process: started, told what to serve, stopped, and asked how it ended.
 *
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Order } from './server-child.ts'
import { Violation } from './violation.ts'

/** How long a log may take to open its data and listen, in milliseconds: with both cores taken by others, and 64 MiB to replay. */
export const RECOVERY_LIMIT = 30_000
/** Likewise to go down when asked to, with requests under way. */
const CLOSE_LIMIT = 30_000

export interface ChildOptions {
  /** Of `ulimit`: `-n 64`. */
  readonly ulimit?: string
  readonly nodeOptions?: readonly string[]
  /** One thread has all storage operations in one order. */
  readonly oneThread?: boolean
}

export interface End {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** What a command came to. */
export interface Answer extends End {
  /** With `--json`; empty when it had no time to say anything. */
  readonly said: Readonly<Record<string, unknown>>
}

/** What came of starting: it serves, or it ended. */
export type Started = { readonly url: string; readonly milliseconds: number } | End

export class Child {
  readonly #process: ChildProcess
  readonly #lines: string[] = []
  readonly #waiting: ((line: string | undefined) => void)[] = []
  readonly ended: Promise<End>
  /** What it wrote to stderr. */
  complaint = ''
  #end: End | undefined

  /** @param program - a script and its arguments, for Node */
  constructor(program: readonly string[], { ulimit, nodeOptions = [], oneThread = false }: ChildOptions = {}) {
    const words = [process.execPath, ...nodeOptions, ...program]
    const limited = ulimit === undefined ? words : ['sh', '-c', `ulimit ${ulimit} && exec "$@"`, 'sh', ...words]
    const env: NodeJS.ProcessEnv = { ...process.env, ...(oneThread && { UV_THREADPOOL_SIZE: '1' }) }
    this.#process = spawn(limited[0]!, limited.slice(1), { stdio: ['pipe', 'pipe', 'pipe'], env })
    this.#process.stdin?.on('error', () => {})
    const lines = createInterface({ input: this.#process.stdout! })
    lines.on('line', (line) => {
      const next = this.#waiting.shift()
      if (next) next(line)
      else this.#lines.push(line)
    })
    this.#process.stderr!.on('data', (bytes) => {
      this.complaint += String(bytes)
    })
    this.ended = once(this.#process, 'close').then(([code, signal]) => {
      this.#end = { code, signal }
      for (const next of this.#waiting) next(undefined)
      return this.#end
    })
  }

  get pid(): number {
    return this.#process.pid!
  }

  get alive(): boolean {
    return this.#end === undefined
  }

  async ready(): Promise<void> {
    const line = await this.#line()
    if (line !== '{"ready":true}') throw new Error(`the child did not load: ${line ?? this.complaint}`)
  }

  order(order: Order): void {
    this.#process.stdin!.write(`${JSON.stringify(order)}\n`)
  }

  /** Serves a log. @throws {@link Violation} I10 */
  serve(dataDir: string, options: Omit<Order, 'words'> = {}): Promise<Started> {
    this.order({ ...options, words: servingWords(dataDir) })
    return this.started(dataDir)
  }

  /** What came of the order to serve. @throws {@link Violation} I10 */
  async started(dataDir: string): Promise<Started> {
    const start = performance.now()
    const line = await within(RECOVERY_LIMIT, this.#line())
    if (line === 'late') {
      await this.kill()
      throw new Violation('I10', `${dataDir} was not served after ${RECOVERY_LIMIT} ms`)
    }
    const said = line === undefined ? undefined : (JSON.parse(line) as { url?: string })
    if (said?.url !== undefined) return { url: said.url, milliseconds: performance.now() - start }
    return this.ended
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<End> {
    if (this.alive) this.#process.kill(signal)
    return this.ended
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal)
  }

  /** SIGTERM, and what it ended with. @throws {@link Violation} I8 when it does not end */
  async terminate(): Promise<End> {
    this.signal('SIGTERM')
    return this.end(CLOSE_LIMIT)
  }

  /** How it ended. @throws {@link Violation} I8 when it does not */
  async end(limit = CLOSE_LIMIT): Promise<End> {
    const end = await within(limit, this.ended)
    if (end !== 'late') return end
    await this.kill()
    throw new Violation('I8', `the process had not ended after ${limit} ms`)
  }

  /** How a command ended, and with what answer. @throws {@link Violation} I8 when it does not end */
  async answer(): Promise<Answer> {
    const end = await this.end()
    const line = this.#lines.shift()
    return { ...end, said: line === undefined ? {} : JSON.parse(line) }
  }

  #line(): Promise<string | undefined> {
    const line = this.#lines.shift()
    if (line !== undefined) return Promise.resolve(line)
    if (!this.alive) return Promise.resolve(undefined)
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}

export const servingWords = (dataDir: string) => ['--data', dataDir, '--listen', '127.0.0.1:0', '--json']

/** `provlog log serve` of a checkout, from its source, as anybody would start it. */
export function serveFrom(root: string, dataDir: string): Child {
  const script = join(root, 'clients/cli/bin.ts')
  const nodeOptions = ['--conditions=provlog-source', '--import', 'tsx']
  return new Child([script, 'log', 'serve', ...servingWords(dataDir)], { nodeOptions })
}

/** Children of the usual kind are loaded while others work. */
export class Children {
  readonly #script: string
  readonly #all = new Set<Child>()
  #spare: Child | undefined

  constructor(script: string) {
    this.#script = script
  }

  async take(options?: ChildOptions): Promise<Child> {
    const child = options ? this.#spawn(options) : (this.#spare ?? this.#spawn())
    if (!options) this.#spare = undefined
    await child.ready()
    return child
  }

  /** Has the next one ready by the time it is needed. */
  prepare(): void {
    this.#spare ??= this.#spawn()
  }

  async close(): Promise<void> {
    await Promise.all([...this.#all].map((child) => child.kill()))
  }

  #spawn(options?: ChildOptions): Child {
    const child = new Child([this.#script], options)
    this.#all.add(child)
    void child.ended.then(() => this.#all.delete(child))
    return child
  }
}

export async function within<T>(milliseconds: number, promise: Promise<T>): Promise<T | 'late'> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), milliseconds)
  })
  const first = await Promise.race([promise, late])
  clearTimeout(timer)
  return first
}
