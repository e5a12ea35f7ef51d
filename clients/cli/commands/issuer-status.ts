/** `issuer status`: suspends, revokes, reinstates or supersedes a credential, by a record on the log. @module */
import { fromHex, toHex } from '../../../merkle/index.ts'
import { setCredentialStatus } from '../../issuer/index.ts'
import { type Command, Exit } from '../command.ts'
import { logClient, signer, signerFlags } from '../log-access.ts'

/** A migration has its own command, which looks at the results. */
const STATUSES = ['suspended', 'revoked', 'reinstated', 'superseded'] as const

export const issuerStatus: Command = {
  name: 'issuer status',
  summary: 'log a change of a credential’s status',
  positionals: {
    CREDENTIAL_DIGEST: 'SHA-256 of the token or of the DER certificate, in hex: issuer issue --json prints it',
  },
  flags: {
    ...signerFlags,
    status: { value: STATUSES.join('|'), about: 'the new status', required: true },
    reason: { value: 'CODE', about: 'a reason code' },
    successor: { value: 'DIGEST', about: 'of the credential that takes its place: lower-case hex' },
    'effective-at': { value: 'T', about: 'since when; default now' },
  },

  async run(args, io) {
    const reasonCode = args.optional('reason')
    const effectiveAt = args.time('effective-at')
    const successor = args.optional('successor')
    const { entry, index } = await setCredentialStatus({
      client: await logClient(args, io),
      key: (await signer(args, io)).key,
      credentialDigest: fromHex(args.positionals[0] ?? ''),
      status: args.choice('status', STATUSES),
      ...(reasonCode === undefined ? {} : { reasonCode }),
      ...(effectiveAt === undefined ? {} : { effectiveAt }),
      ...(successor !== undefined && { successor: fromHex(successor) }),
      now: io.now(),
      random: io.random,
    })
    io.out(args.has('json') ? JSON.stringify({ entry: toHex(entry), index }) : `entry ${index} ${toHex(entry)}`)
    return Exit.ok
  },
}
