/** `log init`: a new log's keys, its policy as entry 0, and its first checkpoint. @module */
import { initLog } from '../../../log-server/index.ts'
import { type Command, Exit } from '../command.ts'

export const logInit: Command = {
  name: 'log init',
  summary: 'create a log: its keys, its policy as entry 0, its first checkpoint',
  flags: {
    data: { value: 'DIR', about: 'where the log lives; must not hold one yet', required: true },
    origin: { value: 'ORIGIN', about: 'the log’s name, a schema-less URL such as log.example/2026', required: true },
  },

  async run(args, io) {
    const created = await initLog({
      dataDir: args.text('data'),
      origin: args.text('origin'),
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
