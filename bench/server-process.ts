/**
 * A log in a process of its own, so that what is measured is not measured on the thread that it waits for.
 *
 * @module
 */
import { type ChildProcess, fork } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { startServer } from '../log-server/main.ts'

export class ServerProcess {
  readonly url: string
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, url: string) {
    this.#child = child
    this.url = url
  }

  /** Serves the log in `dataDir` until {@link close}. */
  static start(dataDir: string): Promise<ServerProcess> {
    const child = fork(new URL(import.meta.url), ['--serve', dataDir])
    return new Promise((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`the log ended with ${code}`)))
      child.once('message', (url) => resolve(new ServerProcess(child, url as string)))
    })
  }

  /** Its memory in bytes. Of Linux alone. */
  async rss(): Promise<number> {
    const status = await readFile(`/proc/${this.#child.pid}/status`, 'utf8')
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024
  }

  /** Processor time that it has used, of all its threads: milliseconds. */
  cpuMilliseconds(): Promise<number> {
    return new Promise((resolve) => {
      this.#child.once('message', ({ user, system }: NodeJS.CpuUsage) => resolve((user + system) / 1000))
      this.#child.send(CPU_USAGE)
    })
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#child.removeAllListeners('exit').once('exit', () => resolve())
      this.#child.disconnect()
    })
  }
}

/** A question to the process of the log. */
const CPU_USAGE = 'cpu-usage'

const at = process.argv.indexOf('--serve')
if (at > 0 && process.send) {
  const server = await startServer({ dataDir: process.argv[at + 1]!, listen: { host: '127.0.0.1', port: 0 } })
  process.once('disconnect', () => void server.close())
  process.on('message', (question) => question === CPU_USAGE && process.send!(process.cpuUsage()))
  process.send(server.url)
}
