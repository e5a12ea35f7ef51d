/** `log freeze`: nothing is appended any more, for good. @module */
import { askControl, connectControl, freezeLog, openLog } from '../../../log-server/index.ts'
import { toHex } from '../../../merkle/index.ts'
import { type Command, Exit, UsageError } from '../command.ts'

export const logFreeze: Command = {
  name: 'log freeze',
  summary: 'end a log: its last checkpoint stays its last, and it is served as ever',
  flags: {
    data: { value: 'DIR', about: 'the log, served or not', required: true },
    'for-good': { about: 'that there is no way back is understood' },
  },

  async run(args, io) {
    const dataDir = args.text('data')
    if (!args.has('for-good')) throw new UsageError('a frozen log never takes anything again: say --for-good')
    const server = await connectControl(dataDir)
    const { size, root, at } = server ? await askControl(server, 'freeze') : await freezeStopped(dataDir, io.now)
    if (args.has('json')) io.out(JSON.stringify({ frozen: true, size, root, at }))
    else io.out(`frozen at size ${String(size)}, root ${String(root)}`)
    return Exit.ok
  },
}

/** Opened as for serving: what is frozen was found to be sound. */
async function freezeStopped(dataDir: string, now: () => number) {
  const log = await openLog({ dataDir, now })
  try {
    const { size, root, at } = await freezeLog(dataDir, log, now())
    return { size, root: toHex(root), at }
  } finally {
    await log.close()
  }
}
