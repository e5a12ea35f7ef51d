/** `log rotate`: a log changes its keys while it serves, in two steps with as much time between them as its readers need. @module */

import { createSigningKeys, heldKeys } from '../../../log-server/index.ts'
import { toHex } from '../../../merkle/index.ts'
import { importSigningKey } from '../../../statement/index.ts'
import { checkNoneUnderWay, kidsOf, publishLogPolicy, withNewKeys, withoutOldKeys } from '../../log-client/index.ts'
import { type Command, Exit, UsageError } from '../command.ts'
import { readPrivateKey } from '../key-files.ts'
import { caFlag, openClient } from '../log-access.ts'

export const logRotate: Command = {
  name: 'log rotate',
  summary: 'change a serving log’s keys: --begin lets new ones sign beside the old, --finish retires the old',
  flags: {
    data: { value: 'DIR', about: 'the log, which is being served: new keys are made in DIR/keys', required: true },
    log: { value: 'URL', about: 'where it is served', required: true },
    ca: caFlag,
    'admin-key': { value: 'KEY.jwk', about: 'the log admin’s private key', required: true },
    begin: { about: 'make new keys; from now on they sign, and the old ones go on' },
    finish: { about: 'from now on the new keys sign alone' },
    checkpoint: { about: 'only the key of checkpoints' },
    receipt: { about: 'only the key of receipts' },
    keep: { value: 'VKEY|KID', about: 'a further key that stays in the policy, as one kept offline', repeated: true },
  },

  async run(args, io) {
    const data = args.text('data')
    const begin = args.has('begin')
    if (begin === args.has('finish')) throw new UsageError('give --begin or --finish')
    const neither = !args.has('checkpoint') && !args.has('receipt')
    const kinds = { checkpoint: neither || args.has('checkpoint'), receipt: neither || args.has('receipt') }
    const keep = args.all('keep')
    const key = await importSigningKey(await readPrivateKey(io, args.text('admin-key')))

    // Whoever has the private keys needs nobody to tell them the public ones: this log is pinned by what is in DIR.
    const connect = async () => openClient(args, args.text('log'), (await heldKeys(data)).vkeys, io)
    let client = await connect()
    if (begin) checkNoneUnderWay((await client.policy()).fields, kinds, keep)
    const made = begin ? await createSigningKeys(data, kinds, io.random) : {}
    client = await connect()
    const published = await publishLogPolicy(client, { key, now: io.now(), random: io.random }, (policy) =>
      begin ? withNewKeys(policy, made) : withoutOldKeys(policy, kinds, keep),
    )

    const { size, signedBy } = await client.checkpoint()
    const [vkeys, kids] = [published.fields.vkeys, kidsOf(published.fields)]
    if (args.has('json')) {
      const entry = toHex(published.entry)
      io.out(
        JSON.stringify({ stage: begin ? 'begun' : 'finished', entry, index: published.index, vkeys, kids, signedBy }),
      )
      return Exit.ok
    }
    io.out(`${begin ? 'begun' : 'finished'}: log policy at entry ${published.index}; checkpoint of ${size} signed by`)
    for (const vkey of signedBy) io.out(`  vkey ${vkey}`)
    io.out(`receipts signed by\n  kid  ${kids[0]}`)
    if (begin && kinds.checkpoint)
      io.out('Let everybody who pins this log pin the new vkey too, then run this with --finish.')
    return Exit.ok
  },
}
