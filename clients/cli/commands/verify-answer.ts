/** `verify-answer`: checks the answer of somebody's audit, with its proofs and a trust file. @module */
import { toHex } from '../../../merkle/index.ts'
import { redact } from '../../../provenance/index.ts'
import { verifyAnswer } from '../../auditor/index.ts'
import { type Command, Exit } from '../command.ts'
import { readTrust } from '../log-access.ts'

export const verifyAnswerCommand: Command = {
  name: 'verify-answer',
  summary: 'check an answer that an auditor proved: every row is about a statement on the log, signed by who may',
  positionals: { DIR: 'what audit query --prove wrote' },
  flags: { trust: { value: 'TRUST.json', about: 'the logs and witnesses you trust', required: true } },

  async run(args, io) {
    const { answer, checkpoint, rows } = await verifyAnswer(
      args.positionals[0] ?? '',
      await readTrust(io, args.text('trust')),
    )
    const { question, complete } = answer
    const absent = rows.filter(({ type }) => type === 'absent').length
    if (args.has('json')) {
      const { origin, size, root } = checkpoint
      io.out(
        JSON.stringify({
          ok: true,
          question,
          rows,
          complete: { origin, size, root: toHex(root), words: complete.words },
        }),
      )
      return Exit.ok
    }
    for (const { index, entry, type, signer } of rows) {
      io.out(`entry ${index} ${entry}: ${type}${signer === undefined ? '' : `, signed by ${redact(signer, 2048)}`}`)
    }
    const without = absent === 0 ? '' : `; of ${absent} the statement did not come along`
    io.out(
      io.style(
        'green',
        `ok: ${rows.length} rows to ${redact(question)}, each about an entry of ${checkpoint.origin}${without}`,
      ),
    )
    io.out(`The auditor’s word, which replaying the log to that checkpoint confirms: ${redact(complete.words, 2048)}`)
    return Exit.ok
  },
}
