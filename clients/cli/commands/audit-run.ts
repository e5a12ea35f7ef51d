/** `audit run`: replays a whole log and tells everything that is wrong with it. @module */
import { join } from 'node:path'
import { type Finding, replay } from '../../auditor/index.ts'
import { memoryInFile } from '../../log-client/index.ts'
import { type Command, Exit } from '../command.ts'
import type { Io } from '../io.ts'
import { readDecryptionKey } from '../key-files.ts'
import { connectionFlags, readTrust, trustedClient } from '../log-access.ts'
import { progressOn } from '../progress.ts'

export const auditRun: Command = {
  name: 'audit run',
  summary: 'replay a log: recompute the tree, check every record, open what your key opens',
  flags: {
    log: { value: 'URL', about: 'the log', required: true },
    ...connectionFlags,
    trust: { value: 'TRUST.json', about: 'the logs, trust domains, issuers and verifiers you trust', required: true },
    state: { value: 'DIR', about: 'what was audited so far; the next run goes on from there', required: true },
    key: { value: 'KEY.jwk', about: 'the auditor’s decryption key' },
  },

  async run(args, io) {
    const trust = await readTrust(io, args.text('trust'))
    const state = args.text('state')
    const keyPath = args.optional('key')
    const client = await trustedClient(trust, args, io, memoryInFile(join(state, 'checkpoint')))
    const report = await replay({
      client,
      trust,
      stateDir: state,
      now: io.now(),
      onProgress: progressOn(io),
      ...(keyPath === undefined ? {} : { key: await readDecryptionKey(io, keyPath) }),
    })
    io.progress('')

    const amiss = report.findings.filter(({ severity }) => severity !== 'info')
    if (args.has('json')) io.out(JSON.stringify(report))
    else {
      printFindings(report.findings, io)
      const foreign = report.foreign === 0 ? '' : ` and ${report.foreign} foreign statements`
      const opened = keyPath === undefined ? '' : `, ${report.opened} opened`
      io.out(
        `${report.origin}: ${report.records} records${foreign} of ${report.size} entries checked${opened}, ${amiss.length} findings`,
      )
    }
    return amiss.length === 0 ? Exit.ok : Exit.refused
  },
}

export function printFindings(findings: readonly Finding[], io: Io): void {
  for (const { severity, check, index, detail } of findings) {
    const style = severity === 'info' ? 'dim' : 'red'
    io.out(`${io.style(style, severity.padEnd(8))} ${check} at entry ${index}: ${detail}`)
  }
}
