/** `log retract`, `issuer retract`, `verifier retract`: withdraws a key, a policy or reference values from a time on. @module */
import { toHex } from '../../../merkle/index.ts'
import { signingKeyOf } from '../../../statement/index.ts'
import { retract as retractAsIssuer } from '../../issuer/index.ts'
import { publishRetraction, type Withdrawal } from '../../log-client/retract.ts'
import { retract as retractAsVerifier } from '../../verifier/index.ts'
import { type Arguments, type Command, Exit } from '../command.ts'
import { parseEntryHash } from '../entry.ts'
import type { Io } from '../io.ts'
import { readPrivateKey } from '../key-files.ts'
import { logClient, logFlags, signer, signerFlags } from '../log-access.ts'

const flags = {
  from: { value: 'T', about: 'from when on nothing may rest on it; may be in the past; default now' },
  reason: { value: 'CODE', about: 'why, in a word: everybody can read it' },
}

const HEX = '64 digits of hex, as the command that registered it printed them'

export const issuerRetract: Command = {
  name: 'issuer retract',
  summary: 'withdraw an issuance policy, or your key, from a time on',
  positionals: { ENTRY: `the policy, or the authorization of your key: ${HEX}` },
  flags: { ...signerFlags, ...flags },

  async run(args, io) {
    return tell(await retractAsIssuer({ ...(await caller(args, io)), ...withdrawal(args) }), args, io)
  },
}

export const verifierRetract: Command = {
  name: 'verifier retract',
  summary: 'withdraw reference values, an appraisal policy, or your key, from a time on',
  positionals: { ENTRY: `the values, the policy, or the authorization of your key: ${HEX}` },
  flags: { ...signerFlags, ...flags },

  async run(args, io) {
    return tell(await retractAsVerifier({ ...(await caller(args, io)), ...withdrawal(args) }), args, io)
  },
}

export const logRetract: Command = {
  name: 'log retract',
  summary: 'withdraw a key that the log authorized, from a time on',
  positionals: { ENTRY: `the key’s authorization: ${HEX}` },
  flags: {
    ...logFlags,
    'admin-key': { value: 'KEY.jwk', about: 'the log admin’s private key', required: true },
    ...flags,
  },

  async run(args, io) {
    const client = await logClient(args, io)
    const key = await signingKeyOf(await readPrivateKey(io, args.text('admin-key')))
    const author = { key, issuer: await client.origin(), now: io.now(), random: io.random }
    return tell(await publishRetraction(client, author, withdrawal(args)), args, io)
  },
}

async function caller(args: Arguments, io: Io) {
  const client = await logClient(args, io)
  return { client, key: (await signer(args, io)).key, now: io.now(), random: io.random }
}

function withdrawal(args: Arguments): Withdrawal {
  const [effectiveAt, reasonCode] = [args.time('from'), args.optional('reason')]
  return {
    target: parseEntryHash(args.positionals[0] ?? ''),
    ...(effectiveAt !== undefined && { effectiveAt }),
    ...(reasonCode !== undefined && { reasonCode }),
  }
}

function tell({ entry, index }: Awaited<ReturnType<typeof publishRetraction>>, args: Arguments, io: Io): Exit {
  const retracted = args.positionals[0]
  const result = { retracted, entry: toHex(entry), index }
  io.out(args.has('json') ? JSON.stringify(result) : `withdrawn ${retracted}: entry ${index} ${result.entry}`)
  return Exit.ok
}
