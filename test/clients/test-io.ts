/**
 * The {@link Io} of a test: real files in a temporary folder, collected output, a clock and an end of its own.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Io, processIo } from '../../clients/cli/io.ts'
import { main } from '../../clients/cli/main.ts'

export class TestCommand {
  readonly directory = mkdtempSync(join(tmpdir(), 'provlog-test-'))
  /** Seconds added to the real clock. */
  skew = 0

  path(name: string): string {
    return join(this.directory, name)
  }

  /** Runs one command line; words that start with `@` are files in the test's folder. */
  async run(...words: readonly string[]): Promise<{ exit: number; out: string; err: string }> {
    const lines = { out: [] as string[], err: [] as string[] }
    const exit = await main(this.resolve(words), this.io(lines, Promise.resolve()))
    return { exit, out: lines.out.join('\n'), err: lines.err.join('\n') }
  }

  /** As {@link run}, expecting success and `--json` output, of which the last line is returned. */
  async json(...words: readonly string[]): Promise<Record<string, unknown>> {
    const { exit, out, err } = await this.run(...words, '--json')
    if (exit !== 0) throw new Error(`provlog ${words.join(' ')} exited with ${exit}: ${err}`)
    return JSON.parse(out.split('\n').at(-1) ?? '')
  }

  /** Starts a command that runs until stopped, and waits for its first line of output: by then it can be asked to stop. */
  async start(...words: readonly string[]): Promise<{ first: Record<string, unknown>; stop: () => Promise<number> }> {
    let stopNow = () => {}
    const stopped = new Promise<void>((resolve) => {
      stopNow = resolve
    })
    let announce = (_line: string) => {}
    const announced = new Promise<string>((resolve) => {
      announce = resolve
    })
    let canBeAsked = false
    const untilAskedToStop = () => {
      canBeAsked = true
      return stopped
    }
    const out = (line: string) => {
      assert.ok(canBeAsked || line.startsWith('{"ok":false'), `says that it runs, and SIGTERM would kill it: ${line}`)
      announce(line)
    }
    const io: Io = { ...this.io({ out: [], err: [] }, stopped), out, untilAskedToStop }
    const running = main(this.resolve([...words, '--json']), io)
    const first = await Promise.race([announced, running.then((exit) => `{"exit":${exit}}`)])
    return {
      first: JSON.parse(first),
      stop: async () => {
        stopNow()
        return running
      },
    }
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true })
  }

  private resolve(words: readonly string[]): string[] {
    return words.map((word) => word.replace(/^((?:[^@=]+=)?)@/, (_, prefix) => `${prefix}${this.directory}/`))
  }

  private io(lines: { out: string[]; err: string[] }, stopped: Promise<void>): Io {
    const real = processIo()
    return {
      ...real,
      env: { PROVLOG_EVIDENCE_DIR: this.directory },
      now: () => real.now() + this.skew,
      out: (line) => lines.out.push(line),
      err: (line) => lines.err.push(line),
      progress: () => {},
      style: (_style, text) => text,
      untilAskedToStop: () => stopped,
    }
  }
}
