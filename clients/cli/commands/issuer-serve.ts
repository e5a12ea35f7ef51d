/** `issuer serve`: the issuer as a service in the foreground, until SIGTERM or SIGINT. @module */
import { dirname, resolve } from 'node:path'
import { fromUtf8 } from '../../../merkle/index.ts'
import { parseServiceConfig, runIssuer } from '../../issuer/index.ts'
import { type Command, Exit } from '../command.ts'

export const issuerServe: Command = {
  name: 'issuer serve',
  summary: 'issue to the workloads of a configuration and renew before expiry, over a Unix socket and into directories',
  flags: {
    config: { value: 'FILE', about: 'who may have which credential, and how (docs/delivery.md)', required: true },
  },

  async run(args, io) {
    const path = args.text('config')
    const config = parseServiceConfig(fromUtf8(await io.readFile(path)))
    const issuer = await runIssuer({
      config,
      directory: resolve(dirname(path)),
      readFile: (file) => io.readFile(file),
      now: io.now,
      random: io.random,
      sleep: io.sleep,
      write: (line) => io.err(line),
    })
    // Before it is said that it issues, as `log serve` does.
    const asked = io.untilAskedToStop()
    const socket = config.socket === undefined ? undefined : resolve(dirname(path), config.socket)
    const where = socket === undefined ? 'into directories' : `at ${socket}`
    io.out(args.has('json') ? JSON.stringify({ workloads: config.workloads.length, socket }) : `issuing ${where}`)
    try {
      await Promise.race([asked, issuer.failed])
    } finally {
      await issuer.stop()
    }
    return Exit.ok
  },
}
