/** `log init`: a new log's keys, its policy as entry 0, and its first checkpoint. @module */
import { initLog } from '../../../log-server/index.ts'
import { isKeyName } from '../../../merkle/index.ts'
import { type Command, Exit, UsageError } from '../command.ts'

export const logInit: Command = {
  name: 'log init',
  summary: 'create a log: its keys, its policy as entry 0, its first checkpoint',
  flags: {
    data: { value: 'DIR', about: 'where the log lives; must not hold one yet', required: true },
    origin: { value: 'ORIGIN', about: 'the log’s name, a schema-less URL such as log.example/2026', required: true },
  },

  async run(args, io) {
    const origin = args.text('origin')
    // It is in every checkpoint, note and trust file, for good: what others could not read, or would take for an address, is told now.
    if (!isKeyName(origin) || origin.includes('://') || origin.length > 256) {
      throw new UsageError(
        '--origin is a name such as log.example/2026: no scheme, no space, no plus sign, at most 256 characters',
      )
    }
    const created = await initLog({
      dataDir: args.text('data'),
      origin,
      now: io.now,
      random: io.random,
    })
    if (args.has('json')) io.out(JSON.stringify(created))
    else {
      io.out(`origin    ${created.origin}`)
      io.out(`vkey      ${created.vkey}`)
      io.out(`kid       ${created.kid}`)
      io.out(`admin key ${created.adminKey}  (authorises writers; keep it away from the server)`)
    }
    return Exit.ok
  },
}
