/** `submit`: registers any signed statement and keeps its receipt. @module */
import { toHex } from '../../../merkle/index.ts'
import { type Command, Exit } from '../command.ts'
import { logClient, logFlags } from '../log-access.ts'

export const submit: Command = {
  name: 'submit',
  summary: 'register a SCITT signed statement and check its receipt',
  positionals: ['STATEMENT.cose'],
  flags: { ...logFlags, receipt: { value: 'OUT', about: 'where the receipt goes' } },

  async run(args, io) {
    const client = await logClient(args, io)
    const { entry, index, receipt } = await client.register(await io.readFile(args.positionals[0] ?? ''))
    const path = args.optional('receipt')
    if (path !== undefined) await io.writeFile(path, receipt)
    io.out(args.has('json') ? JSON.stringify({ entry: toHex(entry), index }) : `entry ${index}: ${toHex(entry)}`)
    return Exit.ok
  },
}
