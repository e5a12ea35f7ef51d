/**
 * What a command is: a name, its flags as data, and a function that touches the process only through {@link Io}.
 *
 * The flags are declared once and give the parser, the `--help` text and the check for missing ones.
 *
 * @module
 */
import { parseArgs } from 'node:util'
import type { Io } from './io.ts'

/** Exit codes of every command; part of the command's contract. */
export const Exit = {
  ok: 0,
  /** The evidence does not hold. */
  refused: 1,
  usage: 2,
  unavailable: 3,
  notFound: 4,
  /** The log misbehaved; an evidence file was written. */
  misbehaved: 5,
} as const
export type Exit = (typeof Exit)[keyof typeof Exit]

export interface Flag {
  /** What stands for the value in the usage line; absent for a switch. */
  readonly value?: string
  readonly about: string
  readonly required?: boolean
  readonly repeated?: boolean
  readonly default?: string
}

export interface Command {
  /** As typed after `provlog`, e.g. `log init`. */
  readonly name: string
  readonly summary: string
  /** What each positional argument is, by name; a trailing `…` takes one or more, and one in brackets need not be there. */
  readonly positionals?: Readonly<Record<string, string>>
  readonly flags: Readonly<Record<string, Flag>>
  run(args: Arguments, io: Io): Promise<Exit>
}

/** The words on the command line do not fit the command. Becomes exit code 2 and the usage line. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Parsed flags and positionals, asked for by name. */
export class Arguments {
  readonly positionals: readonly string[]
  private readonly values: Readonly<Record<string, string | boolean | readonly string[] | undefined>>

  constructor(values: Arguments['values'], positionals: readonly string[]) {
    this.values = values
    this.positionals = positionals
  }

  /** A flag declared as required, or with a default. */
  text(name: string): string {
    const value = this.values[name]
    if (typeof value !== 'string') throw new UsageError(`--${name} is missing`)
    return value
  }

  optional(name: string): string | undefined {
    const value = this.values[name]
    return typeof value === 'string' ? value : undefined
  }

  /** All values of a flag that may be repeated. */
  all(name: string): readonly string[] {
    const value = this.values[name]
    return Array.isArray(value) ? value : []
  }

  has(name: string): boolean {
    return this.values[name] === true
  }

  /** One of `choices`. */
  choice<T extends string>(name: string, choices: readonly T[]): T {
    const value = this.text(name)
    const found = choices.find((choice) => choice === value)
    if (found === undefined) throw new UsageError(`--${name} is one of ${choices.join(', ')}, not ${value}`)
    return found
  }

  /** POSIX seconds, given as such or as an ISO 8601 instant with a time zone. */
  time(name: string): number | undefined {
    const value = this.optional(name)
    if (value === undefined) return undefined
    if (/^[0-9]{1,12}$/.test(value)) return Number(value)
    const milliseconds = /^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)$/.test(value) ? Date.parse(value) : Number.NaN
    if (Number.isNaN(milliseconds))
      throw new UsageError(`--${name} is POSIX seconds or an instant such as 2026-11-22T08:00:00Z`)
    return Math.floor(milliseconds / 1000)
  }

  /** A whole number of at least 1. */
  count(name: string): number | undefined {
    const value = this.optional(name)
    if (value === undefined) return undefined
    if (!/^[1-9][0-9]{0,11}$/.test(value)) throw new UsageError(`--${name} is a whole number of at least 1`)
    return Number(value)
  }
}

/** Flags that every command takes. */
export const commonFlags: Readonly<Record<string, Flag>> = {
  json: { about: 'print one machine-readable JSON object per result' },
  help: { about: 'print this text' },
}

/**
 * Reads `words` as `command` declares. A flag that is absent is looked up in the environment as `PROVLOG_<FLAG>`.
 *
 * A value that is empty comes from a variable that nobody set, and a flag said twice from two scripts that do not know of each other. What is
 * trusted or judged would then be another file than somebody believes: neither is taken.
 *
 * @throws {@link UsageError}
 */
export function parseArguments(command: Command, words: readonly string[], env: Io['env']): Arguments {
  const flags = { ...command.flags, ...commonFlags }
  const options = Object.fromEntries(
    Object.entries(flags).map(([name, flag]) => [
      name,
      flag.value === undefined
        ? { type: 'boolean' as const, ...(name === 'help' && { short: 'h' }) }
        : { type: 'string' as const, multiple: true },
    ]),
  )
  let parsed: { values: Record<string, boolean | string[] | undefined>; positionals: string[] }
  try {
    parsed = parseArgs({ args: [...words], options, allowPositionals: true, strict: true }) as typeof parsed
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }

  const values: Record<string, string | boolean | string[] | undefined> = { ...parsed.values }
  if (values['help'] === true) return new Arguments(values, [])
  for (const [name, given] of Object.entries(parsed.values)) {
    if (!Array.isArray(given)) continue
    if (given.includes('')) throw new UsageError(`--${name} is empty`)
    if (flags[name]?.repeated) continue
    if (given.length > 1) throw new UsageError(`--${name} is given ${given.length} times`)
    values[name] = given[0]
  }
  if (parsed.positionals.includes('')) throw new UsageError('an argument is empty')
  for (const [name, flag] of Object.entries(flags)) {
    if (flag.value === undefined) continue
    const fromEnvironment = env[`PROVLOG_${name.toUpperCase().replaceAll('-', '_')}`] || undefined
    // What may be repeated is there a list, separated by white space: of the values that we take, only paths can have any.
    values[name] ??= flag.repeated ? fromEnvironment?.split(/\s+/).filter(Boolean) : (fromEnvironment ?? flag.default)
    if (flag.repeated) continue
    if (flag.required && values[name] === undefined) throw new UsageError(`--${name} is missing`)
  }
  for (const [name, flag] of Object.entries(flags)) {
    if (flag.required && flag.repeated && values[name] === undefined) throw new UsageError(`--${name} is missing`)
  }

  const wanted = Object.keys(command.positionals ?? {})
  const open = /…\]?$/.test(wanted.at(-1) ?? '')
  if (parsed.positionals.length < wanted.filter((name) => !name.startsWith('[')).length) {
    throw new UsageError(`${wanted[parsed.positionals.length]} is missing`)
  }
  if (parsed.positionals.length > wanted.length && !open) {
    throw new UsageError(`unexpected argument ${parsed.positionals[wanted.length]}`)
  }
  return new Arguments(values, parsed.positionals)
}

/** `provlog log init --data DIR --origin ORIGIN [FLAG…]`: what has to be said. */
export function usageLine(command: Command): string {
  const required = Object.entries(command.flags).filter(([, flag]) => flag.required)
  const words = required.map(([name, flag]) => flagText(name, flag))
  return ['provlog', command.name, ...Object.keys(command.positionals ?? {}), ...words, '[FLAG…]'].join(' ')
}

function flagText(name: string, flag: Flag): string {
  return flag.value === undefined ? `--${name}` : `--${name} ${flag.value}${flag.repeated ? '…' : ''}`
}

/** The `--help` text of one command. */
export function helpText(command: Command): string {
  const operands = Object.entries(command.positionals ?? {}).map(
    ([name, about]) => `${`  ${name}`.padEnd(30)} ${about}`,
  )
  const rows = Object.entries({ ...command.flags, ...commonFlags }).map(([name, flag]) => {
    return `${`  ${flagText(name, flag)}`.padEnd(30)} ${flag.about}${flag.default === undefined ? '' : ` (default ${flag.default})`}`
  })
  return `${command.summary}\n\nusage: ${usageLine(command)}\n\n${[...operands, ...rows].join('\n')}`
}
