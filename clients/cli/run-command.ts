/**
 * Runs one command and turns what it throws into an exit code. The only place that does.
 *
 * @module
 */
import { EvidenceError, UnavailableError } from '../../merkle/error.ts'
import { redact, redactSecrets } from '../../provenance/index.ts'
import { RefusedError } from '../log-client/index.ts'
import { type Command, Exit, helpText, parseArguments, UsageError, usageLine } from './command.ts'
import type { Io } from './io.ts'
import { writeMisbehaviour } from './misbehaviour.ts'

/** @param words - those after the command's name */
export async function runCommand(command: Command, words: readonly string[], process: Io): Promise<Exit> {
  const io = withoutSecrets(process)
  const json = words.includes('--json')
  try {
    const args = parseArguments(command, words, io.env)
    if (args.has('help')) {
      io.out(helpText(command))
      return Exit.ok
    }
    return await command.run(args, io)
  } catch (error) {
    const failure = await describe(error, command, io)
    if (json) io.out(JSON.stringify({ ok: false, code: failure.code, message: failure.message, ...failure.extra }))
    io.err(`${io.style('red', failure.label)} (${failure.code}): ${failure.message}`)
    if (failure.exit === Exit.usage) io.err(`usage: ${usageLine(command)}; --help tells all`)
    return failure.exit
  }
}

/** Whatever a command says beside its results. Results are what was asked for, tokens among them. */
function withoutSecrets(io: Io): Io {
  return {
    ...io,
    err: (line) => io.err(redactSecrets(line)),
    progress: (line) => io.progress(redactSecrets(line)),
  }
}

interface Failure {
  readonly exit: Exit
  readonly label: string
  readonly code: string
  readonly message: string
  readonly extra?: Readonly<Record<string, string>>
}

/** The message may quote a log's answer, a file, or the words on the command line. */
async function describe(error: unknown, command: Command, io: Io): Promise<Failure> {
  const failure = await failureOf(error, command, io)
  return { ...failure, code: redact(failure.code, 128), message: redact(failure.message, 2048) }
}

async function failureOf(error: unknown, command: Command, io: Io): Promise<Failure> {
  const evidence = await writeMisbehaviour(error, io)
  if (evidence !== undefined) return { exit: Exit.misbehaved, label: 'the log misbehaved', ...evidence }
  if (error instanceof UsageError) return { exit: Exit.usage, label: 'refused', code: 'usage', message: error.message }
  if (error instanceof RefusedError) {
    const exit = error.status === 404 ? Exit.notFound : Exit.refused
    return { exit, label: 'refused by the log', code: error.code, message: error.message }
  }
  if (error instanceof EvidenceError) {
    // A log that would contradict what it signed: the same to its operator as to everybody else.
    const exit = CONTRADICTIONS.includes(error.code) ? Exit.misbehaved : Exit.refused
    return { exit, label: 'refused', code: error.code, message: error.message }
  }
  if (error instanceof UnavailableError) {
    return { exit: Exit.unavailable, label: 'unavailable', code: 'unavailable', message: error.message }
  }
  const system = systemCodeOf(error)
  if (system !== undefined) {
    return { exit: Exit.unavailable, label: 'unavailable', code: system, message: (error as Error).message }
  }
  throw new Error(`provlog ${command.name} failed: this is a bug`, { cause: error })
}

/** The database is older than what was signed, or another history; or nobody knows any more what was signed. */
const CONTRADICTIONS: readonly string[] = [
  'log_damaged',
  'log_behind_guard',
  'log_forked',
  'guard_missing',
  'guard_damaged',
  'backup_outdated',
]

/** What the machine would not do: a disk that is full or fails, too few descriptors, a port that is taken. No bug, and no stack helps. */
function systemCodeOf(error: unknown): string | undefined {
  const { code, errno } = error as NodeJS.ErrnoException
  if (!(error instanceof Error) || code === undefined) return undefined
  return errno !== undefined || code === 'LEVEL_IO_ERROR' ? code : undefined
}
