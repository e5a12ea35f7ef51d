/**
 * A page in a real browser: Chromium without a window, driven over a pipe by the DevTools protocol, so that nothing listens anywhere.
 *
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'

const PATHS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/** Undefined where there is none. */
export const CHROMIUM = PATHS.find((path) => existsSync(path))

interface Message {
  readonly id?: number
  readonly method?: string
  readonly params?: Record<string, unknown>
  readonly result?: Record<string, unknown>
  readonly error?: { readonly message: string }
}

/** One open page. */
export class Page {
  /** What the browser asked for, by its address. */
  readonly requests: string[] = []
  /** What the page wrote on the console, what it threw, and what its policy refused. */
  readonly complaints: string[] = []
  readonly #process: ChildProcess
  readonly #profile: string
  readonly #waiting = new Map<number, (message: Message) => void>()
  #session: string | undefined
  #loaded: (() => void) | undefined
  #next = 1

  private constructor(process: ChildProcess, profile: string) {
    this.#process = process
    this.#profile = profile
    let text = ''
    const answers = process.stdio[4] as Readable
    answers.setEncoding('utf8').on('data', (part: string) => {
      const messages = (text + part).split('\0')
      text = messages.pop()!
      for (const message of messages) this.#take(JSON.parse(message))
    })
    process.once('exit', () => {
      for (const take of this.#waiting.values()) take({ error: { message: 'the browser ended' } })
    })
  }

  static async open(url: string): Promise<Page> {
    const profile = await mkdtemp(join(tmpdir(), 'provlog-chromium-'))
    // Its sandbox refuses to run as root, as in a container.
    const root = process.getuid?.() === 0 ? ['--no-sandbox'] : []
    const flags = ['--headless', '--disable-gpu', '--remote-debugging-pipe', `--user-data-dir=${profile}`, ...root]
    const stdio = ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] as const
    const page = new Page(spawn(CHROMIUM!, flags, { stdio: [...stdio] }), profile)
    const { targetId } = await page.#send('Target.createTarget', { url: 'about:blank' })
    const { sessionId } = await page.#send('Target.attachToTarget', { targetId, flatten: true })
    page.#session = sessionId as string
    for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await page.#send(`${domain}.enable`)
    const loaded = new Promise<void>((resolve) => {
      page.#loaded = resolve
    })
    await page.#send('Page.navigate', { url })
    await loaded
    return page
  }

  /** The value of an expression in the page: what a policy forbids the page, this may. */
  async evaluate(expression: string): Promise<unknown> {
    const { result, exceptionDetails } = await this.#send('Runtime.evaluate', { expression, returnByValue: true })
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails))
    return (result as { value: unknown }).value
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once('exit', resolve))
    this.#session = undefined
    await this.#send('Browser.close').catch(() => {})
    await ended
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 5 })
  }

  #send(method: string, params: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const id = this.#next++
    const message = { id, method, params, ...(this.#session !== undefined && { sessionId: this.#session }) }
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ result, error }) => {
        this.#waiting.delete(id)
        if (error) reject(new Error(`${method}: ${error.message}`))
        else resolve(result ?? {})
      })
      ;(this.#process.stdio[3] as Writable).write(`${JSON.stringify(message)}\0`)
    })
  }

  #take({ id, method, params, ...rest }: Message): void {
    if (id !== undefined) this.#waiting.get(id)?.(rest)
    else if (method === 'Network.requestWillBeSent') this.requests.push((params!['request'] as { url: string }).url)
    else if (method === 'Page.loadEventFired') this.#loaded?.()
    else if (/^(Runtime\.(consoleAPICalled|exceptionThrown)|Log\.entryAdded)$/.test(method ?? '')) {
      this.complaints.push(JSON.stringify(params))
    }
  }
}
