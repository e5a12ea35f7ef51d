/** `log rotate`: a log changes its keys while it serves, in two steps with as much time between them as its readers need. @module */

import { createSigningKeys, heldKeys, type NewKeys } from '../../../log-server/index.ts'
import { toHex } from '../../../merkle/index.ts'
import { importSigningKey, type PublicJwk } from '../../../statement/index.ts'
import {
  checkNewKeysSign,
  checkNoneUnderWay,
  kidsOf,
  type PublishedLogPolicy,
  publishLogPolicy,
  type RotatedKinds,
  withNewKeys,
  withoutOldKeys,
} from '../../log-client/index.ts'
import { type Arguments, type Command, Exit, UsageError } from '../command.ts'
import type { Io } from '../io.ts'
import { readPrivateKey, readPublicKey } from '../key-files.ts'
import { logFlags, openClient } from '../log-access.ts'

export const logRotate: Command = {
  name: 'log rotate',
  summary: 'change a serving log’s keys: --begin lets new ones sign beside the old, --finish retires the old',
  flags: {
    begin: { about: 'new keys sign from now on, and the old ones go on' },
    finish: { about: 'the new keys sign alone from now on' },
    make: { about: 'only make new keys in --data DIR, for an admin whose key is on another machine' },
    data: { value: 'DIR', about: 'the log, which goes on being served: new keys are made in DIR/keys' },
    ...logFlags,
    log: { value: 'URL', about: 'where it is served' },
    'admin-key': { value: 'KEY.jwk', about: 'the log admin’s private key' },
    checkpoint: { about: 'only the key of checkpoints' },
    receipt: { about: 'only the key of receipts' },
    'new-vkey': { value: 'VKEY', about: 'without --data: what --make printed' },
    'new-receipt-key': { value: 'PUB.jwk', about: 'without --data: what --make printed' },
    keep: { value: 'VKEY|KID', about: 'a further key that stays in the policy, as one kept offline', repeated: true },
  },

  async run(args, io) {
    const [step, ...more] = ['make', 'begin', 'finish'].filter((name) => args.has(name))
    if (step === undefined || more.length > 0) throw new UsageError('give one of --make, --begin and --finish')
    const neither = !args.has('checkpoint') && !args.has('receipt')
    const kinds = { checkpoint: neither || args.has('checkpoint'), receipt: neither || args.has('receipt') }
    if (step === 'make') {
      const { vkey, receiptKey } = await createSigningKeys(args.text('data'), kinds, io.random)
      io.out(args.has('json') ? JSON.stringify({ vkey, receiptKey }) : madeText({ vkey, receiptKey }))
      return Exit.ok
    }

    const keep = args.all('keep')
    const key = await importSigningKey(await readPrivateKey(io, args.text('admin-key')))
    const admin = { key, now: io.now(), random: io.random }
    let made: NewKeys = {}
    let client = await connect(args, io, made)
    if (step === 'begin') {
      checkNoneUnderWay((await client.policy()).fields, kinds, keep)
      made = await newKeys(args, io, kinds)
      client = await connect(args, io, made)
    }
    const published = await publishLogPolicy(client, admin, (policy) =>
      step === 'begin' ? withNewKeys(policy, made) : withoutOldKeys(policy, kinds, keep),
    )
    const checkpoint = await client.checkpoint()
    checkNewKeysSign(made, checkpoint, published.receipt)
    report(step === 'begin' ? 'begun' : 'finished', published, checkpoint.signedBy, args, io)
    if (step === 'begin' && kinds.checkpoint) {
      io.err('Everybody who pins this log has to pin the new vkey too before it is finished.')
    }
    return Exit.ok
  },
}

/** Whoever has the private keys needs nobody to tell them the public ones: with --data the log is pinned by what is there. */
async function connect(args: Arguments, io: Io, made: NewKeys) {
  const data = args.optional('data')
  const pins = args.all('vkey')
  if (data !== undefined) return openClient(args, args.text('log'), (await heldKeys(data)).vkeys, io)
  if (pins.length === 0) throw new UsageError('without --data DIR, --vkey says which log it is')
  return openClient(
    args,
    args.text('log'),
    [...new Set([...pins, ...(made.vkey === undefined ? [] : [made.vkey])])],
    io,
  )
}

/** Made here, or on the machine of the log before. */
async function newKeys(args: Arguments, io: Io, kinds: RotatedKinds): Promise<NewKeys> {
  const data = args.optional('data')
  if (data !== undefined) return createSigningKeys(data, kinds, io.random)
  return {
    ...(kinds.checkpoint && { vkey: args.text('new-vkey') }),
    ...(kinds.receipt && { receiptKey: await readPublicKey(io, args.text('new-receipt-key')) }),
  }
}

function madeText({ vkey, receiptKey }: { vkey: string | undefined; receiptKey: PublicJwk | undefined }): string {
  const lines = [vkey && `--new-vkey         ${vkey}`, receiptKey && `--new-receipt-key  ${JSON.stringify(receiptKey)}`]
  return lines.filter(Boolean).join('\n')
}

function report(
  stage: string,
  { entry, index, fields }: PublishedLogPolicy,
  signedBy: readonly string[],
  args: Arguments,
  io: Io,
): void {
  const { vkeys } = fields
  const kids = kidsOf(fields)
  if (args.has('json')) {
    io.out(JSON.stringify({ stage, entry: toHex(entry), index, vkeys, kids, signedBy }))
    return
  }
  io.out(`${stage}: log policy at entry ${index}`)
  for (const vkey of signedBy) io.out(`vkey ${vkey}`)
  io.out(`kid  ${kids[0]}`)
}
