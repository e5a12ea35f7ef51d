/** `audit replay`: a log’s tree and every signature on it again, without a database and without judging what records say. @module */
import { join } from 'node:path'
import { replayLog } from '../../auditor/index.ts'
import { memoryInFile } from '../../log-client/index.ts'
import { type Command, Exit } from '../command.ts'
import { connectionFlags, readTrust, trustedClient } from '../log-access.ts'
import { progressOn } from '../progress.ts'
import { printFindings } from './audit-run.ts'

export const auditReplay: Command = {
  name: 'audit replay',
  summary: 'recompute a log’s tree, and check that every statement is signed by whom the log had authorised there',
  flags: {
    log: { value: 'URL', about: 'the log', required: true },
    ...connectionFlags,
    trust: { value: 'TRUST.json', about: 'the logs you trust', required: true },
    state: {
      value: 'DIR',
      about: 'how far it came, and the next run goes on from there; may be that of audit run',
      required: true,
    },
    hashes: { about: 'the tree alone, out of its entries: no statement is asked for' },
  },

  async run(args, io) {
    const trust = await readTrust(io, args.text('trust'))
    const state = args.text('state')
    const client = await trustedClient(trust, args, io, memoryInFile(join(state, 'checkpoint')))
    const report = await replayLog({
      client,
      trust,
      stateDir: state,
      kind: args.has('hashes') ? 'hashes' : 'signatures',
      now: io.now(),
      onProgress: progressOn(io),
    })
    io.progress('')

    const amiss = report.findings.filter(({ severity }) => severity !== 'info')
    if (args.has('json')) io.out(JSON.stringify(report))
    else {
      printFindings(report.findings, io)
      const { kind, records, foreign, size, origin, notChecked } = report
      const signed = kind === 'hashes' ? '' : `, ${records + foreign} signatures`
      io.out(`${origin}: ${size} entries hashed${signed}, ${amiss.length} findings`)
      io.out(io.style('dim', `not checked: ${notChecked.join('; ')}`))
    }
    return amiss.length === 0 ? Exit.ok : Exit.refused
  },
}
