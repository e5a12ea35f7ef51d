/** `log serve`: the transparency service in the foreground, until SIGTERM or SIGINT. @module */
import { startServer } from '../../../log-server/index.ts'
import { type Command, Exit, UsageError } from '../command.ts'

export const logServe: Command = {
  name: 'log serve',
  summary: 'serve a log until SIGTERM',
  flags: {
    data: { value: 'DIR', about: 'the log', required: true },
    listen: {
      value: 'HOST:PORT',
      about: 'where to listen, without TLS on loopback only; 127.0.0.1:8787, or as config.json says',
    },
    'tls-cert': { value: 'FILE', about: 'PEM: the server’s certificate and those between it and its anchor' },
    'tls-key': { value: 'FILE', about: 'PEM: the private key of that certificate' },
  },

  async run(args, io) {
    const listen = args.optional('listen')
    const [cert, key] = [args.optional('tls-cert'), args.optional('tls-key')]
    if ((cert === undefined) !== (key === undefined)) throw new UsageError('--tls-cert and --tls-key come together')

    const server = await startServer({
      dataDir: args.text('data'),
      ...(listen !== undefined && { listen: parseListen(listen) }),
      ...(cert !== undefined && key !== undefined && { tls: { cert, key } }),
    })
    // Before it is said that it serves: whoever hears that may ask at once, and would end it as a crash does.
    const asked = io.untilAskedToStop()
    const { url, adminUrl, origin, vkey } = server
    const admins = adminUrl === undefined ? '' : `\nadmins at ${adminUrl}`
    io.out(
      args.has('json') ? JSON.stringify({ url, adminUrl, origin, vkey }) : `${origin} at ${url}${admins}\nvkey ${vkey}`,
    )

    await asked
    await server.close()
    return Exit.ok
  },
}

function parseListen(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:]+)):([0-9]{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (match === null || port > 65535) throw new UsageError('--listen is HOST:PORT')
  return { host: match[1] ?? match[2] ?? '', port }
}
