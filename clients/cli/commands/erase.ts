/** `issuer erase`, `log erase`: destroys keys or statements, by a record on the log that says so. @module */
import { type Hash, toHex } from '../../../merkle/index.ts'
import { importSigningKey } from '../../../statement/index.ts'
import { eraseKeys } from '../../issuer/index.ts'
import { type Arguments, type Command, Exit } from '../command.ts'
import { parseEntryHash } from '../entry.ts'
import type { Io } from '../io.ts'
import { readPrivateKey } from '../key-files.ts'
import { logClient, logFlags, signer, signerFlags } from '../log-access.ts'

const reason = { value: 'CODE', about: 'under which rule, in a word: everybody can read it' }

export const issuerErase: Command = {
  name: 'issuer erase',
  summary: 'destroy the keys to what your own records seal: nobody can open them any more',
  positionals: { 'ENTRY…': 'your records: 64 digits of hex, as the command that registered it printed them' },
  flags: { ...signerFlags, reason },

  async run(args, io) {
    const client = await logClient(args, io)
    const { key } = await signer(args, io)
    const reasonCode = args.optional('reason')
    return eraseEach(args, io, (entry) =>
      eraseKeys({
        client,
        key,
        entry,
        ...(reasonCode !== undefined && { reasonCode }),
        now: io.now(),
        random: io.random,
      }),
    )
  },
}

export const logErase: Command = {
  name: 'log erase',
  summary: 'destroy the keys to a record, or a whole statement; that it was on the log stays proven',
  positionals: { 'ENTRY…': '64 digits of hex, as the command that registered it printed them' },
  flags: {
    ...logFlags,
    'admin-key': { value: 'KEY.jwk', about: 'the log admin’s private key', required: true },
    scope: { value: 'keys|statement', about: 'what is destroyed', required: true },
    reason,
  },

  async run(args, io) {
    const client = await logClient(args, io)
    const key = await importSigningKey(await readPrivateKey(io, args.text('admin-key')))
    const reasonCode = args.optional('reason')
    const fields = {
      scope: args.choice('scope', ['keys', 'statement']),
      ...(reasonCode !== undefined && { reasonCode }),
    }
    const author = { key, issuer: await client.origin(), now: io.now(), random: io.random }
    return eraseEach(args, io, (entry) =>
      client.registerRecord({ type: 'erasure', fields, links: [{ rel: 'erases', entry }] }, author),
    )
  },
}

/** One record each, one after another: the first that is refused ends it, and those before it stand. */
async function eraseEach(
  args: Arguments,
  io: Io,
  erase: (entry: Hash) => Promise<{ readonly entry: Hash; readonly index: number }>,
): Promise<Exit> {
  for (const erased of args.positionals.map(parseEntryHash)) {
    const { entry, index } = await erase(erased)
    const result = { erased: toHex(erased), entry: toHex(entry), index }
    io.out(args.has('json') ? JSON.stringify(result) : `erased ${result.erased}: entry ${index} ${result.entry}`)
  }
  return Exit.ok
}
