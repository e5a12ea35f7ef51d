/** `submit`: registers any signed statements and keeps the receipt. @module */
import { toHex } from '../../../merkle/index.ts'
import { redact } from '../../../provenance/index.ts'
import { RefusedError, type Registered } from '../../log-client/index.ts'
import { type Command, Exit, UsageError } from '../command.ts'
import type { Io } from '../io.ts'
import { logClient, logFlags } from '../log-access.ts'

export const submit: Command = {
  name: 'submit',
  summary: 'register SCITT signed statements and check their receipts; several go in few requests, in this order',
  positionals: { 'STATEMENT.cose…': 'signed statements (COSE_Sign1, RFC 9943)' },
  flags: { ...logFlags, receipt: { value: 'OUT', about: 'where the receipt goes, of one statement' } },

  async run(args, io) {
    const path = args.optional('receipt')
    if (args.positionals.length > 1 && path !== undefined) throw new UsageError('--receipt is for one statement')
    const client = await logClient(args, io)
    const [file = '', ...others] = args.positionals
    if (others.length === 0) {
      const registered = await client.register(await io.readFile(file))
      if (path !== undefined) await io.writeFile(path, registered.receipt)
      print(registered, args.has('json'), io)
      return Exit.ok
    }
    const statements = await Promise.all(args.positionals.map((each) => io.readFile(each)))
    const outcomes = await client.registerAll(statements)
    let refused: RefusedError | undefined
    for (const [i, outcome] of outcomes.entries()) {
      const name = args.positionals[i]!
      if (!(outcome instanceof Error)) print(outcome, args.has('json'), io, name)
      else if (!(outcome instanceof RefusedError)) throw outcome
      else {
        refused ??= outcome
        if (args.has('json')) io.out(JSON.stringify({ file: name, code: outcome.code, detail: outcome.detail }))
        io.err(redact(`${name}: ${outcome.message} (${outcome.code})`, 2048))
      }
    }
    return refused ? Exit.refused : Exit.ok
  },
}

function print({ entry, index }: Registered, json: boolean, io: Io, file?: string): void {
  const name = file === undefined ? {} : { file }
  const text = `entry ${index}: ${toHex(entry)}${file === undefined ? '' : `  ${file}`}`
  io.out(json ? JSON.stringify({ ...name, entry: toHex(entry), index }) : text)
}
