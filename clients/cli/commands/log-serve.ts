/** `log serve`: the transparency service in the foreground, until SIGTERM or SIGINT. @module */
import { startServer } from '../../../log-server/index.ts'
import { type Command, Exit, UsageError } from '../command.ts'

export const logServe: Command = {
  name: 'log serve',
  summary: 'serve a log until SIGTERM',
  flags: {
    data: { value: 'DIR', about: 'the log', required: true },
    listen: { value: 'HOST:PORT', about: 'where to listen; loopback only', default: '127.0.0.1:8787' },
  },

  async run(args, io) {
    const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:]+)):([0-9]{1,5})$/.exec(args.text('listen'))
    const port = Number(match?.[3])
    if (match === null || port > 65535) throw new UsageError('--listen is HOST:PORT')

    const server = await startServer({
      dataDir: args.text('data'),
      listen: { host: match[1] ?? match[2] ?? '', port },
    })
    const { url, origin, vkey } = server
    io.out(args.has('json') ? JSON.stringify({ url, origin, vkey }) : `${origin} at ${url}\nvkey ${vkey}`)

    await io.untilAskedToStop()
    await server.close()
    return Exit.ok
  },
}
