/** `workload fetch`: our credential from an issuer on this machine, into a directory of ours. @module */
import { fromUtf8, toHex } from '../../../merkle/index.ts'
import { jwkThumbprint, publicJwkOf } from '../../../statement/index.ts'
import { deliverToDirectory } from '../../delivery/index.ts'
import { type FromIssuer, fetchCredential, type LocalIssuer, submitResults } from '../../workload/index.ts'
import { type Arguments, type Command, Exit, UsageError } from '../command.ts'
import type { Io } from '../io.ts'
import { generateKey, readPrivateKey } from '../key-files.ts'
import { readTrust } from '../log-access.ts'

export const workloadFetch: Command = {
  name: 'workload fetch',
  summary: 'get our own credential from the issuer on this machine, into a directory',
  flags: {
    socket: { value: 'PATH', about: 'where the issuer listens', required: true },
    'socket-owner': { value: 'UID', about: 'the user that the issuer runs as, where that is neither root nor ours' },
    subject: { value: 'URI', about: 'the workload identifier, where we may have several, and to submit results' },
    key: { value: 'KEY.jwk', about: 'our private key' },
    'new-key': { about: 'make a key, and put it beside the credential: they change together' },
    result: { value: 'R.ear', about: 'submit these attestation results', repeated: true },
    submit: { about: 'ask for a new credential, also without results' },
    env: { about: 'it will be handed on by environment variables: the record says so' },
    trust: { value: 'TRUST.json', about: 'take nothing that this does not accept' },
    wait: { value: 'SECONDS', about: 'for a credential, where there is none yet' },
    out: { value: 'DIR', about: 'a directory that is ours alone', required: true },
  },

  async run(args, io) {
    if (args.has('new-key') && args.optional('key') !== undefined) {
      throw new UsageError('--key and --new-key: which of them?')
    }
    const made = args.has('new-key') ? generateKey('ES256') : undefined
    const found = await ask(args, io, made)
    const { kind, digest, notAfter } = found.credential
    const { text, bundle, trustBundle } = found
    const delivery = {
      kind,
      text,
      bundle,
      ...(trustBundle !== undefined && { trustBundle }),
      ...(made && { key: made }),
    }
    const paths = await deliverToDirectory(args.text('out'), delivery, { random: io.random })

    const { renewAt, renewal, verified } = found
    const result = { kind, digest: toHex(digest), notAfter, renewAt, renewal, verified, ...paths }
    io.out(
      args.has('json')
        ? JSON.stringify(result)
        : `${paths.credential} and ${paths.bundle}: valid to ${new Date(notAfter * 1000).toISOString()}`,
    )
    return Exit.ok
  },
}

async function ask(args: Arguments, io: Io, made: ReturnType<typeof generateKey> | undefined): Promise<FromIssuer> {
  const keyPath = args.optional('key')
  const key = made ?? (keyPath === undefined ? undefined : await readPrivateKey(io, keyPath))
  const trust = args.optional('trust')
  const expected = {
    now: io.now(),
    ...(key && { key }),
    ...(trust !== undefined && { trust: await readTrust(io, trust) }),
  }
  const issuer: LocalIssuer = { socket: args.text('socket'), ...ownerOf(args.optional('socket-owner')) }
  const subject = args.optional('subject')
  const results = await Promise.all(args.all('result').map(async (path) => fromUtf8(await io.readFile(path)).trim()))
  if (results.length > 0 || args.has('submit') || made) {
    if (!key || subject === undefined) throw new UsageError('to submit takes --subject, and --key or --new-key')
    const delivery = args.has('env') ? 'env' : 'local-api'
    return submitResults(issuer, { subject, workloadKey: publicJwkOf(key), results, delivery }, expected)
  }
  const question = {
    ...(subject !== undefined && { subject }),
    ...(key && { keyThumbprint: jwkThumbprint(publicJwkOf(key)) }),
    wait: args.count('wait') ?? 0,
  }
  return (await fetchCredential(issuer, question, expected))!
}

function ownerOf(text: string | undefined): Pick<LocalIssuer, 'owners'> {
  if (text === undefined) return {}
  if (!/^[0-9]{1,10}$/.test(text)) throw new UsageError('--socket-owner is the number of a user')
  return { owners: [Number(text)] }
}
