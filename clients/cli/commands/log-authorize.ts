/** `log authorize`: the log admin lets a key write, in one role, for one identifier, for a period. @module */
import { toHex } from '../../../merkle/index.ts'
import { encodePublicKey, parseWorkloadIdentifier } from '../../../provenance/index.ts'
import { importSigningKey, kidOf } from '../../../statement/index.ts'
import { type Command, Exit, UsageError } from '../command.ts'
import { readPrivateKey, readPublicKey } from '../key-files.ts'
import { logClient, logFlags } from '../log-access.ts'

const ROLES = ['issuer', 'verifier', 'auditor', 'gateway', 'vendor'] as const

export const logAuthorize: Command = {
  name: 'log authorize',
  summary: 'authorise a key for a role and a trust domain, by a record on the log',
  flags: {
    ...logFlags,
    'admin-key': { value: 'KEY.jwk', about: 'the log admin’s private key', required: true },
    role: { value: ROLES.join('|'), about: 'what the key may write', required: true },
    'trust-domain': { value: 'TD', about: 'the trust domain it may speak for', required: true },
    id: { value: 'URI', about: 'the workload identifier it signs as, in that trust domain', required: true },
    key: { value: 'PUB.jwk', about: 'the public key', required: true },
    'encryption-key': { value: 'PUB.jwk', about: 'the key to seal records to, for auditors' },
    'not-before': { value: 'T', about: 'POSIX seconds or ISO 8601; default now' },
    'not-after': { value: 'T', about: 'POSIX seconds or ISO 8601; default never' },
  },

  async run(args, io) {
    const client = await logClient(args, io)
    const admin = await readPrivateKey(io, args.text('admin-key'))
    const key = await readPublicKey(io, args.text('key'))
    const encryptionPath = args.optional('encryption-key')
    const subject = parseWorkloadIdentifier(args.text('id'))
    const trustDomain = args.text('trust-domain')
    if (subject.trustDomain !== trustDomain) throw new UsageError(`--id ${subject.uri} is not in ${trustDomain}`)

    const now = io.now()
    const notAfter = args.time('not-after')
    const policy = await client.policy()
    const registered = await client.registerRecord(
      {
        type: 'key-authorization',
        fields: {
          role: args.choice('role', ROLES),
          trustDomain,
          subject: subject.uri,
          key: encodePublicKey(key),
          notBefore: args.time('not-before') ?? now,
          ...(notAfter === undefined ? {} : { notAfter }),
          ...(encryptionPath === undefined
            ? {}
            : { encryptionKey: encodePublicKey(await readPublicKey(io, encryptionPath)) }),
        },
      },
      { key: await importSigningKey(admin), issuer: policy.fields.origin, now, random: io.random },
    )
    const result = { kid: kidOf(key), entry: toHex(registered.entry), index: registered.index }
    io.out(
      args.has('json')
        ? JSON.stringify(result)
        : `authorised ${result.kid} as ${args.text('role')}: entry ${result.index}`,
    )
    return Exit.ok
  },
}
