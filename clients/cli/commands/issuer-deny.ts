/** `issuer deny`: logs that a request was refused, by whatever refused it. @module */
import { toHex } from '../../../merkle/index.ts'
import { deny } from '../../issuer/index.ts'
import { type Command, Exit, UsageError } from '../command.ts'
import { readPublicKey, readSignerKey } from '../key-files.ts'
import { logClient, signer, signerFlags } from '../log-access.ts'

export const issuerDeny: Command = {
  name: 'issuer deny',
  summary: 'log that a request for a credential was refused',
  flags: {
    ...signerFlags,
    reason: { value: 'CODE', about: 'why, in a word: everybody can read it', required: true },
    detail: { value: 'TEXT', about: 'the rest of it: sealed' },
    subject: { value: 'URI', about: 'the workload identifier that was asked for: sealed' },
    'workload-key': { value: 'PUB.jwk', about: 'the key that it was asked for: sealed' },
    kind: { value: 'wit|wic', about: 'what was asked for', default: 'wit' },
    recipient: { value: 'PUB.jwk', about: 'who may open what is sealed', repeated: true },
  },

  async run(args, io) {
    const [subject, keyPath, detail] = [
      args.optional('subject'),
      args.optional('workload-key'),
      args.optional('detail'),
    ]
    if ((subject === undefined) !== (keyPath === undefined)) throw new UsageError('--subject goes with --workload-key')
    const asked = subject !== undefined &&
      keyPath !== undefined && {
        subject,
        kind: args.choice('kind', ['wit', 'wic']),
        workloadKey: await readSignerKey(io, keyPath),
      }
    const { entry, index } = await deny({
      client: await logClient(args, io),
      key: (await signer(args, io)).key,
      reason: args.text('reason'),
      ...(detail !== undefined && { detail }),
      ...asked,
      recipients: await Promise.all(args.all('recipient').map((path) => readPublicKey(io, path))),
      now: io.now(),
      random: io.random,
    })
    io.out(args.has('json') ? JSON.stringify({ entry: toHex(entry), index }) : `entry ${index} ${toHex(entry)}`)
    return Exit.ok
  },
}
