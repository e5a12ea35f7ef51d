/** `log fsck`: recomputes everything a log stores, from the inside (--data) or as anybody can (--log). @module */
import { fsckData } from '../../../log-server/index.ts'
import { redact } from '../../../provenance/index.ts'
import { replayHashes } from '../../auditor/index.ts'
import { checkSigner, policyInForce } from '../../log-client/index.ts'
import { type Command, Exit, UsageError } from '../command.ts'
import { logClient, logFlags } from '../log-access.ts'

export const logFsck: Command = {
  name: 'log fsck',
  summary: 'recompute a log’s tree and compare everything with it',
  flags: {
    data: { value: 'DIR', about: 'a stopped log’s data' },
    ...logFlags,
    log: { value: 'URL', about: 'or a serving log, through its public tiles' },
  },

  async run(args, io) {
    const directory = args.optional('data')
    const remote = args.optional('log')
    if ((directory === undefined) === (remote === undefined)) throw new UsageError('give --data DIR or --log URL')

    const report = directory === undefined ? await remoteReport() : await fsckData(directory)
    if (args.has('json')) io.out(JSON.stringify(report))
    else {
      for (const { code, detail } of report.findings) io.err(`${io.style('red', code)}: ${redact(detail, 2048)}`)
      io.out(
        report.findings.length === 0
          ? `sound: ${report.size} entries`
          : `not sound: ${report.findings.length} findings`,
      )
    }
    return report.findings.length === 0 ? Exit.ok : Exit.misbehaved

    async function remoteReport() {
      const client = await logClient(args, io)
      const checkpoint = await client.checkpoint()
      await replayHashes(client, checkpoint)
      checkSigner(checkpoint, policyInForce(await client.policies(), checkpoint.size))
      return { size: checkpoint.size, findings: [] as { code: string; detail: string }[] }
    }
  },
}
