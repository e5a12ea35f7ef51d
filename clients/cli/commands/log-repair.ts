/** `log repair`: makes again what follows from the statements under a signed root, or changes nothing. @module */
import { repairLog } from '../../../log-server/index.ts'
import { redact } from '../../../provenance/index.ts'
import { type Command, Exit } from '../command.ts'

export const logRepair: Command = {
  name: 'log repair',
  summary: 'make damaged tiles and indexes again, where nothing else is damaged; otherwise change nothing',
  flags: {
    data: { value: 'DIR', about: 'a stopped log’s data', required: true },
    'dry-run': { about: 'only say what would be done' },
  },

  async run(args, io) {
    const dryRun = args.has('dry-run')
    const report = await repairLog({ dataDir: args.text('data'), dryRun })
    const { sound, size, found, mended, left } = report
    const exit = sound ? Exit.ok : Exit.misbehaved
    if (args.has('json')) {
      io.out(JSON.stringify({ ...report, dryRun }))
      return exit
    }
    for (const { code, detail } of sound ? found : left) io.err(`${io.style('red', code)}: ${redact(detail, 2048)}`)
    for (const [what, count] of Object.entries(mended)) {
      io.out(`${dryRun ? 'would be made again' : 'made again'}: ${what}, ${count}`)
    }
    if (!sound) io.out(`not sound, and nothing was changed: there is damage that no statement mends. ${WAY_OUT}`)
    else if (found.length === 0) io.out(`sound, nothing to do: ${size} entries`)
    else io.out(`${dryRun ? 'sound then' : 'sound'}: ${size} entries`)
    return exit
  },
}

const WAY_OUT = 'Restore a backup that the log has not gone on from ("provlog log restore", docs/backup.md)'
