/** `audit query`: asks what an audit left behind, and writes the answer so that others can check it. @module */
import {
  type Answer,
  type Argument,
  cellText,
  completenessText,
  MAX_PROVEN_ROWS,
  QUESTIONS,
  Questions,
  questionOf,
  type Row,
  writeProofs,
} from '../../auditor/index.ts'

import { type Arguments, type Command, Exit, UsageError } from '../command.ts'
import type { Io } from '../io.ts'
import { connectionFlags, readTrust, trustedClient } from '../log-access.ts'
import { printer } from '../table.ts'

export const auditQuery: Command = {
  name: 'audit query',
  summary: 'ask what an audit left behind: a named question, or SQL of your own',
  positionals: { '[QUESTION]': 'one that --list prints', '[NAME=VALUE…]': 'what it takes, as --list tells' },
  flags: {
    state: { value: 'DIR', about: 'where the audit was kept' },
    list: { about: 'print the questions and what they take' },
    sql: { value: 'SELECT', about: 'ask this in the place of a named question; docs/audit-database.md has the tables' },
    csv: { about: 'print comma-separated values (RFC 4180)' },
    prove: {
      value: 'DIR',
      about: 'also write the answer with proofs there: provlog verify-answer checks it with a trust file alone',
    },
    log: { value: 'URL', about: 'with --prove: the log' },
    ...connectionFlags,
    trust: { value: 'TRUST.json', about: 'with --prove: the logs you trust' },
  },

  async run(args, io) {
    if (args.has('list')) return list(args, io)
    const [id, ...words] = args.positionals
    const sql = args.optional('sql')
    if ((id === undefined) === (sql === undefined)) throw new UsageError('give a QUESTION, or --sql, or --list')
    if (args.has('csv') && args.has('json')) throw new UsageError('--csv or --json')
    const given = namedValues(words)
    const questions = await Questions.open(args.text('state'))
    try {
      const sealed = id === undefined || questionOf(id).sealed
      const answer = id === undefined ? await questions.askSql(sql!) : await questions.ask(id, given, io.now())
      const kept = await print(answer, args, io)
      const words = completenessText(questions.completeness, sealed)
      const { origin, size, root } = questions.completeness
      const complete = { origin, size, root: cellText(root), words }

      const directory = args.optional('prove')
      if (directory !== undefined) {
        const trust = await readTrust(io, args.text('trust'))
        const client = await trustedClient(trust, args, io)
        const asked = {
          question: id ?? sql!,
          arguments: Object.fromEntries(given),
          columns: answer.columns,
          rows: kept,
          sealed,
        }
        const missing = await writeProofs(directory, asked, questions, client)
        if (missing.length > 0) io.err(`without their statements, which the log has no longer: ${missing.join(', ')}`)
      }
      if (args.has('json')) {
        io.out(JSON.stringify({ ok: true, complete, ...(directory !== undefined && { proofs: directory }) }))
      } else io.err(io.style('dim', words))
      return Exit.ok
    } finally {
      questions.close()
    }
  },
}

/** Prints the rows as they come; those that are to be proven are kept. */
async function print({ columns, rows }: Answer, args: Arguments, io: Io): Promise<Row[]> {
  const keep = args.optional('prove') !== undefined
  const kept: Row[] = []
  const out = printer(args.has('json') ? 'json' : args.has('csv') ? 'csv' : 'table', columns, io)
  for await (const row of rows) {
    out.row(row)
    // One more than are proven at once: so that too many are seen to be too many.
    if (keep && kept.length <= MAX_PROVEN_ROWS) kept.push(row)
  }
  out.end()
  return kept
}

function list(args: Arguments, io: Io): Exit {
  if (args.has('json')) {
    io.out(JSON.stringify(QUESTIONS))
    return Exit.ok
  }
  for (const { id, asks, arguments: taken } of QUESTIONS) {
    io.out(`${io.style('bold', id)}  ${asks}`)
    for (const [name, argument] of Object.entries(taken))
      io.out(`    ${`${name}=${kindText(argument)}`.padEnd(28)} ${aboutText(argument)}`)
  }
  return Exit.ok
}

function kindText({ kind }: Argument): string {
  return typeof kind === 'object' ? kind.join('|') : kind.toUpperCase()
}

function aboutText({ about, default: otherwise }: Argument): string {
  const without = otherwise === undefined ? '' : otherwise === null ? '(may be left out)' : `(default ${otherwise})`
  return [about, without].filter(Boolean).join(' ')
}

function namedValues(words: readonly string[]): Map<string, string> {
  const given = new Map<string, string>()
  for (const word of words) {
    const at = word.indexOf('=')
    if (at <= 0)
      throw new UsageError(`arguments are given as name=value, and not as ${JSON.stringify(word.slice(0, 64))}`)
    const name = word.slice(0, at)
    if (given.has(name)) throw new UsageError(`${name} is given twice`)
    given.set(name, word.slice(at + 1))
  }
  return given
}
