/**
 * `provlog`: finds the command and runs it.
 *
 * @module
 */
import { createRequire } from 'node:module'
import { redactSecrets } from '../../provenance/index.ts'
import { type Command, Exit } from './command.ts'
import { commands } from './commands/index.ts'
import type { Io } from './io.ts'
import { runCommand } from './run-command.ts'

/** Runs one command line (without `node` and the script) and returns the process's exit code. */
export async function main(words: readonly string[], io: Io): Promise<Exit> {
  const [first, ...rest] = words
  if (first === 'help') return main([...rest, '--help'], io)
  if (first === 'version' || first === '--version') {
    io.out(version)
    return Exit.ok
  }
  const command = findCommand(words)
  if (command) return runCommand(command, words.slice(command.name.split(' ').length), io)
  return overview(words, { ...io, err: (line) => io.err(redactSecrets(line)) })
}

const { version } = createRequire(import.meta.url)('provlog/package.json') as { readonly version: string }

/** The command named by the first two words, or by the first alone. */
function findCommand(words: readonly string[]): Command | undefined {
  return commands.find(({ name }) => name === words.slice(0, name.split(' ').length).join(' '))
}

function overview(words: readonly string[], io: Io): Exit {
  const [group] = words
  const askedFor = (word: string | undefined) => word === '--help' || word === '-h'
  const asked = group === undefined || askedFor(group)
  const inGroup = commands.filter(({ name }) => name.startsWith(`${group} `))
  const listed = inGroup.length > 0 ? inGroup : commands
  const lines = listed.map(({ name, summary }) => `  provlog ${name.padEnd(34)} ${summary}`)
  const text = [
    'A transparency log for credential provenance.',
    '',
    ...lines,
    '',
    'provlog COMMAND --help tells its flags; provlog --version which one this is.',
  ]
  if (asked || (inGroup.length > 0 && askedFor(words[1]))) {
    io.out(text.join('\n'))
    return Exit.ok
  }
  // Words, and not what stands behind a flag, which may be anything.
  const flag = words.findIndex((word) => word.startsWith('-'))
  io.err(`unknown command: ${words.slice(0, flag > 0 ? Math.min(flag, 2) : 2).join(' ')}`)
  io.err(text.join('\n'))
  return Exit.usage
}
