/** `log backup`: all that a log stores, at one tree, while it is served or not. @module */
import { backupLog, connectControl, controlRows } from '../../../log-server/index.ts'
import { type Command, Exit } from '../command.ts'

export const logBackup: Command = {
  name: 'log backup',
  summary: 'copy all that a log stores, at one signed tree; a running server goes on meanwhile',
  flags: {
    data: { value: 'DIR', about: 'the log, served or not', required: true },
    out: { value: 'DIR', about: 'where the backup goes; must not be there yet, or be empty', required: true },
    'with-keys': { about: 'private keys too, but the admin’s: without them a backup holds no secret' },
  },

  async run(args, io) {
    const dataDir = args.text('data')
    const server = await connectControl(dataDir)
    const made = await backupLog({
      ...{ dataDir, out: args.text('out'), now: io.now(), withKeys: args.has('with-keys') },
      ...(server && { rows: controlRows(server) }),
      progress: (bytes) => io.progress(`${Math.floor(bytes / 2 ** 20)} MiB`),
    }).finally(() => server?.destroy())
    const { origin, size, root, withKeys } = made
    if (args.has('json')) io.out(JSON.stringify({ ...made, served: server !== undefined }))
    else io.out(`${origin}: ${size} entries, root ${root}, ${withKeys ? 'with' : 'without'} private keys`)
    return Exit.ok
  },
}
