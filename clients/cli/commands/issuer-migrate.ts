/** `issuer migrate`: the workload runs elsewhere, attested there, and its credential stays what it is. @module */
import { toHex } from '../../../merkle/index.ts'
import { resultOfFile } from '../../../provenance/index.ts'
import { migrateCredential } from '../../issuer/index.ts'
import { type Command, Exit } from '../command.ts'
import { logClient, signer, signerFlags } from '../log-access.ts'

export const issuerMigrate: Command = {
  name: 'issuer migrate',
  summary: 'log that a workload runs elsewhere, if its credential says there what it said before',
  positionals: { CREDENTIAL: 'the credential that stays: a token, or a certificate in PEM or DER' },
  flags: {
    ...signerFlags,
    result: { value: 'R.ear', about: 'an attestation result about it there', required: true, repeated: true },
    verifier: { value: 'URI', about: 'a Verifier of another trust domain whose results are accepted', repeated: true },
  },

  async run(args, io) {
    const { entry, index } = await migrateCredential({
      client: await logClient(args, io),
      key: (await signer(args, io)).key,
      credential: await io.readFile(args.positionals[0] ?? ''),
      results: await Promise.all(args.all('result').map(async (path) => resultOfFile(await io.readFile(path)))),
      verifiers: args.all('verifier'),
      now: io.now(),
      random: io.random,
    })
    io.out(args.has('json') ? JSON.stringify({ entry: toHex(entry), index }) : `entry ${index} ${toHex(entry)}`)
    return Exit.ok
  },
}
