/**
 * `provlog`: finds the command, runs it, and turns what it throws into an exit code. The only place that does.
 *
 * @module
 */
import { EvidenceError, UnavailableError } from '../../merkle/error.ts'
import { redact, redactSecrets } from '../../provenance/index.ts'
import { RefusedError } from '../log-client/index.ts'
import { type Command, Exit, helpText, parseArguments, UsageError, usageLine } from './command.ts'
import { commands } from './commands/index.ts'
import type { Io } from './io.ts'
import { writeMisbehaviour } from './misbehaviour.ts'

/** Runs one command line (without `node` and the script) and returns the process's exit code. */
export async function main(words: readonly string[], process: Io): Promise<Exit> {
  const io = withoutSecrets(process)
  const command = findCommand(words)
  if (command === undefined) return overview(words, io)

  const json = words.includes('--json')
  try {
    const args = parseArguments(command, words.slice(command.name.split(' ').length), io.env)
    if (args.has('help')) {
      io.out(helpText(command))
      return Exit.ok
    }
    return await command.run(args, io)
  } catch (error) {
    const failure = await describe(error, command, io)
    if (json) io.out(JSON.stringify({ ok: false, code: failure.code, message: failure.message, ...failure.extra }))
    io.err(`${io.style('red', failure.label)} (${failure.code}): ${failure.message}`)
    if (failure.exit === Exit.usage) io.err(`usage: ${usageLine(command)}`)
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
  if (error instanceof UsageError) return { exit: Exit.usage, label: 'usage', code: 'usage', message: error.message }
  if (error instanceof RefusedError) {
    const exit = error.status === 404 ? Exit.notFound : Exit.refused
    return { exit, label: 'refused by the log', code: error.code, message: error.message }
  }
  if (error instanceof EvidenceError) {
    return { exit: Exit.refused, label: 'refused', code: error.code, message: error.message }
  }
  if (error instanceof UnavailableError) {
    return { exit: Exit.unavailable, label: 'unavailable', code: 'unavailable', message: error.message }
  }
  throw new Error(`provlog ${command.name} failed: this is a bug`, { cause: error })
}

/** The command named by the first two words, or by the first alone. */
function findCommand(words: readonly string[]): Command | undefined {
  return commands.find(({ name }) => name === words.slice(0, name.split(' ').length).join(' '))
}

function overview(words: readonly string[], io: Io): Exit {
  const [group] = words
  const asked = group === undefined || group === 'help' || group === '--help'
  const inGroup = commands.filter(({ name }) => name.startsWith(`${group} `))
  const listed = inGroup.length > 0 ? inGroup : commands
  const lines = listed.map(({ name, summary }) => `  provlog ${name.padEnd(34)} ${summary}`)
  const text = [
    'A transparency log for credential provenance.',
    '',
    ...lines,
    '',
    'provlog COMMAND --help tells its flags.',
  ]
  if (asked || (inGroup.length > 0 && words.includes('--help'))) {
    io.out(text.join('\n'))
    return Exit.ok
  }
  io.err(
    `unknown command: ${words
      .filter((word) => !word.startsWith('-'))
      .slice(0, 2)
      .join(' ')}`,
  )
  io.err(text.join('\n'))
  return Exit.usage
}
