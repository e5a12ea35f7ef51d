/**
 * Running a program that prints what it checked, one line of JSON a check, and installing what it needs.
 *
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { FixtureFiles } from './fixture.ts'
import type { InteropLog } from './log.ts'
import type { Report } from './report.ts'

export interface Part {
  readonly log: InteropLog
  readonly fixture: FixtureFiles
  readonly report: Report
}

/** Where installed programs are kept between runs; git ignores it. */
export const CACHE = '.cache/interop'

export interface Run {
  readonly command: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Ends it. */
  readonly signal?: AbortSignal
  /** Seconds. A peer that hangs is a failure, not a hung suite. */
  readonly timeout?: number
}

interface Line {
  readonly check: string
  readonly ok?: boolean
  readonly skip?: string
  readonly detail?: string
}

/** Runs a program of checks, and reports each under `prefix`. */
export async function runChecks(report: Report, prefix: string, run: Run): Promise<void> {
  let lines = 0
  const ended = await execute(run, (text) => {
    lines++
    const { check, ok, skip, detail = 'no reason given' } = JSON.parse(text) as Line
    if (skip !== undefined) report.skip(`${prefix} ${check}`, skip)
    else if (ok === true) report.ok(`${prefix} ${check}`)
    else report.fail(`${prefix} ${check}`, detail)
  })
  if (ended.failure !== undefined) report.fail(`${prefix} ends`, ended.failure)
  else if (lines === 0) report.fail(`${prefix} ends`, 'it checked nothing')
}

export interface Ended {
  readonly stdout: string
  readonly stderr: string
  /** Why it did not end well. */
  readonly failure?: string
}

/** Runs a program to its end; `onLine` gets each line of its output. */
export async function execute(run: Run, onLine: (line: string) => void = () => {}): Promise<Ended> {
  const { command, args, env = {}, cwd, signal, timeout = 120 } = run
  const child: ChildProcess = spawn(command, [...args], {
    env: { ...process.env, ...env },
    ...(cwd !== undefined && { cwd }),
    ...(signal && { signal }),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeout * 1000,
    killSignal: 'SIGKILL',
  })
  // Whatever ends us ends what we started.
  const kill = () => void child.kill('SIGKILL')
  process.once('exit', kill)
  const output = { stdout: '', stderr: '' }
  let broken: string | undefined
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    output.stderr = (output.stderr + text).slice(-20_000)
  })
  createInterface({ input: child.stdout! }).on('line', (line) => {
    output.stdout += `${line}\n`
    try {
      onLine(line)
    } catch (error) {
      broken = `${String(error)} in its line ${line}`
    }
  })
  const status = await new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(error.message))
    child.on('close', (code, signal) => resolve(code === 0 ? '' : `ended with ${signal ?? code}`))
  })
  process.off('exit', kill)
  const failure = broken ?? (status && `${status}\n${output.stderr.trimEnd().split('\n').slice(-15).join('\n')}`)
  return failure ? { ...output, failure } : output
}
