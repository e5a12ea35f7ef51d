/** `audit report`: what an audit found, as one HTML page. @module */
import { Questions, readReport, renderReport } from '../../auditor/index.ts'
import { type Command, Exit } from '../command.ts'

export const auditReport: Command = {
  name: 'audit report',
  summary: 'write what an audit found as one HTML page: what was checked and what was not, findings, charts, tables',
  flags: {
    state: { value: 'DIR', about: 'where the audit was kept', required: true },
    out: {
      value: 'FILE.html',
      about: 'the page; for its owner alone, for it shows what is in the findings',
      required: true,
    },
  },

  async run(args, io) {
    const out = args.text('out')
    const questions = await Questions.open(args.text('state'))
    try {
      const now = io.now()
      const data = await readReport(questions, now)
      await io.writeFile(out, renderReport(data, now), { secret: true })
      const { origin, size } = data.checkpoint
      const count = (severity: string) =>
        data.findings.filter((each) => each.severity === severity).reduce((sum, each) => sum + each.count, 0)
      const findings = { error: count('error'), warning: count('warning'), info: count('info') }
      if (args.has('json')) io.out(JSON.stringify({ ok: true, out, origin, size, findings }))
      else io.out(`${out}: ${size} entries of ${origin}, ${findings.error} errors, ${findings.warning} warnings`)
      return Exit.ok
    } finally {
      questions.close()
    }
  },
}
