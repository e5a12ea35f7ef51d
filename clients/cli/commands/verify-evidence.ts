/** `verify-evidence`: what a file that was written when a log misbehaved proves to somebody else. @module */
import { checkEvidence } from '../../log-client/index.ts'
import { type Command, Exit } from '../command.ts'
import { readTrust } from '../log-access.ts'

export const verifyEvidence: Command = {
  name: 'verify-evidence',
  summary: 'check a file of evidence offline: what the log’s own signatures prove, and what is only reported',
  positionals: { FILE: 'what a command wrote when it caught a log: provlog-evidence-….json' },
  flags: { trust: { value: 'TRUST.json', about: 'the logs that you trust, by their keys', required: true } },

  async run(args, io) {
    const trust = await readTrust(io, args.text('trust'))
    const found = checkEvidence(await io.readFile(args.positionals[0] ?? ''), trust)
    const { verdict, code, origin, holds, reported } = found
    const ok = verdict === 'proven'
    if (args.has('json')) io.out(JSON.stringify({ ok, ...(ok ? {} : { reason: 'not_proven' }), ...found }))
    else {
      for (const each of holds) io.out(`holds     ${each}`)
      for (const each of reported) io.out(`reported  ${each}: the word of whoever wrote the file, for nobody signed it`)
      io.out(ok ? `proven: ${origin} misbehaved (${code})` : `not proven: ${code} of ${origin} is a report`)
    }
    return ok ? Exit.ok : Exit.refused
  },
}
