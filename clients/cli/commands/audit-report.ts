/** `audit report`: what an audit found, as one HTML page, and signed on the log. @module */
import { toBase64, toHex } from '../../../merkle/index.ts'
import { Questions, readReport, renderReport, type SignedReport, signReport } from '../../auditor/index.ts'
import { type Arguments, type Command, Exit, UsageError } from '../command.ts'
import type { Io } from '../io.ts'
import { connectionFlags, openClient, signer } from '../log-access.ts'

export const auditReport: Command = {
  name: 'audit report',
  summary: 'write what an audit found as one HTML page, or sign it and log it: what was checked and what was not',
  flags: {
    state: { value: 'DIR', about: 'where the audit was kept', required: true },
    out: {
      value: 'FILE.html',
      about: 'findings, charts, tables; for its owner alone, for it shows what is in the findings',
    },
    sign: {
      about: 'log an audit-report: root, verdict, counts and digests of the findings, and none of what they say',
    },
    key: { value: 'KEY.jwk', about: 'the auditor’s key to sign with; the log must have authorised it' },
    receipt: { value: 'OUT', about: 'where the receipt of the record goes' },
    log: { value: 'URL', about: 'the log that was audited, where it is logged' },
    ...connectionFlags,
  },

  async run(args, io) {
    const out = args.optional('out')
    if (!args.has('sign') && (out === undefined || args.optional('receipt') !== undefined)) {
      throw new UsageError('give --out, or --sign, or both; --receipt is of what is signed')
    }
    const questions = await Questions.open(args.text('state'))
    try {
      const signed = args.has('sign') ? await sign(questions, args, io) : undefined
      const now = io.now()
      const data = { ...(await readReport(questions, now)), ...(signed && { signed }) }
      if (out !== undefined) await io.writeFile(out, renderReport(data, now), { secret: true })
      const { origin, size } = data.checkpoint
      const count = (severity: string) =>
        data.findings.filter((each) => each.severity === severity).reduce((sum, each) => sum + each.count, 0)
      const findings = { error: count('error'), warning: count('warning'), info: count('info') }
      if (args.has('json')) {
        io.out(
          JSON.stringify({ ok: true, ...(out !== undefined && { out }), origin, size, findings, ...logged(signed) }),
        )
        return Exit.ok
      }
      if (signed) {
        const { entry, index, fields, unchanged } = signed
        io.out(`${unchanged ? 'unchanged, ' : ''}${fields.verdict}: entry ${index} ${toHex(entry)}`)
      }
      if (out !== undefined)
        io.out(`${out}: ${size} entries of ${origin}, ${findings.error} errors, ${findings.warning} warnings`)
      return Exit.ok
    } finally {
      questions.close()
    }
  },
}

async function sign(questions: Questions, args: Arguments, io: Io): Promise<SignedReport> {
  const { key } = await signer(args, io)
  // Nothing is pinned but the checkpoint that was audited, which no other log signed.
  const client = await openClient(args, args.text('log'), [], io)
  try {
    const signed = await signReport({ questions, client, key, now: io.now(), random: io.random })
    const path = args.optional('receipt')
    if (path !== undefined) await io.writeFile(path, signed.receipt)
    return signed
  } finally {
    client.close()
  }
}

function logged(signed: SignedReport | undefined) {
  if (signed === undefined) return {}
  const { entry, index, fields, receipt, unchanged } = signed
  const { verdict, from, size } = fields
  return { signed: { entry: toHex(entry), index, verdict, from, size, unchanged, receipt: toBase64(receipt) } }
}
