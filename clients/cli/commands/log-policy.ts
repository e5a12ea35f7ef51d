/**
 * `log policy`: what a log registers and by which keys it is known, as its own records say it; and, with the admin's key, what it
 * registers from now on.
 *
 * @module
 */
import { importSigningKey } from '../../../statement/index.ts'
import { type LogPolicy, policyInForce, publishLogPolicy } from '../../log-client/index.ts'
import { type Arguments, type Command, Exit, UsageError } from '../command.ts'
import type { Io } from '../io.ts'
import { readPrivateKey } from '../key-files.ts'
import { logClient, logFlags } from '../log-access.ts'
import { foreignFlags, policyJson, readForeignRules } from '../registration-policy.ts'

export const logPolicy: Command = {
  name: 'log policy',
  summary: 'show what a log registers, or with the admin’s key say what it does from now on',
  flags: {
    ...logFlags,
    at: { value: 'INDEX', about: 'the policy that this entry is under; default the one in force' },
    'admin-key': { value: 'KEY.jwk', about: 'publish a new version, signed by this private key' },
    ...foreignFlags,
    'max-statement-bytes': { value: 'N', about: 'the longest statement that is registered' },
  },

  async run(args, io) {
    const client = await logClient(args, io)
    const adminKey = args.optional('admin-key')
    const foreign = await readForeignRules(args, io)
    const maxStatementBytes = args.count('max-statement-bytes')
    const changes = foreign !== undefined || maxStatementBytes !== undefined
    if (changes !== (adminKey !== undefined)) {
      throw new UsageError(changes ? '--admin-key is missing' : 'nothing to publish: say what the policy is to be')
    }
    if (adminKey === undefined) {
      const at = indexIn(args)
      const policies = await client.policies()
      const { size } = await client.checkpoint()
      // One past the end is the next entry, which is under what is in force.
      if (at !== undefined && at > size) throw new UsageError(`the log has ${size} entries, and --at is ${at}`)
      show(policyInForce(policies, at ?? size)!, args, io)
      return Exit.ok
    }

    if (args.optional('at') !== undefined) throw new UsageError('--at is for showing a policy')
    const key = await importSigningKey(await readPrivateKey(io, adminKey))
    const published = await publishLogPolicy(
      client,
      { key, now: io.now(), random: io.random },
      ({ foreign: before, ...rest }) => ({
        ...rest,
        ...(maxStatementBytes !== undefined && { maxStatementBytes }),
        ...(foreign === undefined ? before && { foreign: before } : foreign && { foreign }),
      }),
    )
    if (!args.has('json'))
      io.err(published.unchanged ? 'the policy in force says the same' : 'a new policy is in force')
    show(published, args, io)
    return Exit.ok
  },
}

function indexIn(args: Arguments): number | undefined {
  const value = args.optional('at')
  if (value !== undefined && !/^(?:0|[1-9][0-9]{0,14})$/.test(value)) throw new UsageError('--at is an index')
  return value === undefined ? undefined : Number(value)
}

function show(policy: Pick<LogPolicy, 'index' | 'entry' | 'fields'>, args: Arguments, io: Io): void {
  if (args.has('json')) {
    io.out(JSON.stringify(policyJson(policy)))
    return
  }
  const { origin, maxStatementBytes, requireWrapFor = [], foreign } = policy.fields
  io.out(`policy of ${origin}, entry ${policy.index}: statements of up to ${maxStatementBytes} bytes`)
  for (const kid of requireWrapFor) io.out(`  sealed records need a wrap for ${kid}`)
  if (!foreign) {
    io.out('  registers provenance records, and nothing else')
    return
  }
  const { contentTypes, issuers, purposes, keys = [], anchors = [] } = foreign
  io.out('  registers provenance records, and other statements')
  io.out(`    of ${contentTypes?.join(', ') ?? 'any content type'}`)
  io.out(`    by ${issuers?.join(', ') ?? 'any issuer'}`)
  const wanted = purposes ? `, for ${purposes.join(', ')}` : ''
  io.out(`    signed by ${keys.length} keys, or under ${anchors.length} anchors${wanted}`)
}
