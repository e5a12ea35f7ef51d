/**
 * How commands reach a log: one place for `--log`, `--vkey`, `--trust` and the remembered checkpoint.
 *
 * @module
 */
import { formatVkey, fromUtf8, parseWitnessPolicy, type WitnessPolicy } from '../../merkle/index.ts'
import { parseTrust, type Trust } from '../../provenance/index.ts'
import { kidOf, type PrivateJwk, publicJwkOf } from '../../statement/index.ts'
import { type CheckpointMemory, type ClientTls, createProver, LogClient, type Prover } from '../log-client/index.ts'
import { type Arguments, type Flag, UsageError } from './command.ts'
import type { Io } from './io.ts'
import { readPrivateKey } from './key-files.ts'

/** Flags of whatever connects to a log: whom we believe to be it, and who we say that we are. */
export const connectionFlags: Readonly<Record<string, Flag>> = {
  ca: { value: 'FILE', about: 'PEM: trust these anchors for the log’s TLS, and not those of this machine' },
  'server-id': {
    value: 'URI',
    about: 'the workload identifier that the log’s server must have, besides its name where --log has one',
  },
  'server-bundle': {
    value: 'FILE',
    about: 'the bundle of its trust domain: SPIFFE, or PEM; read again while it changes',
  },
  'server-crl': {
    value: 'FILE',
    about: 'revocation list, PEM or DER; with any, each certificate of the server needs one of its issuer',
    repeated: true,
  },
  'server-max-lifetime': { value: 'SECONDS', about: 'that the certificate of the server may be made for' },
  'client-cert': {
    value: 'FILE',
    about: 'PEM: our own certificate and those above it; read again while it is renewed',
  },
  'client-key': { value: 'FILE', about: 'PEM: the private key of --client-cert' },
  wit: { value: 'FILE', about: 'the Workload Identity Token to call the log with; read again while it is renewed' },
  'wit-key': { value: 'KEY.jwk', about: 'the private key that it names' },
  'wit-proof': {
    value: 'wpt|httpsig',
    about: 'proof of that key: a token for each request, or a signature over it; a token when not said',
  },
  'wit-audience': { value: 'NAME', about: 'what the log calls itself, where that is not the URL that we ask at' },
}

/** Flags of a command that talks to a log. */
export const logFlags: Readonly<Record<string, Flag>> = {
  log: { value: 'URL', about: 'the log', required: true },
  ...connectionFlags,
  vkey: {
    value: 'VKEY',
    about:
      'the log’s verifier key; twice while it changes; without it the log is believed about its keys, and that is said',
    repeated: true,
  },
  'witness-policy': {
    value: 'FILE',
    about: 'witnesses that a checkpoint must carry (C2SP tlog-policy); its log lines pin the log where no --vkey does',
  },
}

/** Flags of a command that signs as somebody the log knows. */
export const signerFlags: Readonly<Record<string, Flag>> = {
  ...logFlags,
  key: { value: 'KEY.jwk', about: 'the private key to sign with; the log must have authorised it', required: true },
}

/** A client for `--log`, pinned to `--vkey` when given. */
export async function logClient(args: Arguments, io: Io, memory?: CheckpointMemory): Promise<LogClient> {
  const [url, given] = [args.text('log'), args.all('vkey')]
  const policyPath = args.optional('witness-policy')
  const policy = policyPath === undefined ? undefined : parseWitnessPolicy(await io.readFile(policyPath))
  const vkeys = given.length > 0 || !policy ? given : vkeysIn(policy, url)
  if (vkeys.length === 0) {
    io.err(io.style('dim', 'note: no --vkey given; the log is believed about its own key'))
  }
  return openClient(args, url, vkeys, io, memory, policy)
}

/** A client pinned to the log of `trust` that serves `--log`, or to its only log: to all keys that it has there. */
export async function trustedClient(
  trust: Trust,
  args: Arguments,
  io: Io,
  memory?: CheckpointMemory,
): Promise<LogClient> {
  const url = args.optional('log')
  const log = trust.logs.find((candidate) => candidate.url === url) ?? trust.logs[0]
  const address = url ?? log?.url
  if (log === undefined || address === undefined) throw new UsageError('the trust file names no log URL; give --log')
  const vkeys = trust.logs.filter(({ origin }) => origin === log.origin).map(({ vkey }) => vkey)
  return openClient(args, address, vkeys, io, memory, trust.witnessPolicy)
}

/** The keys of the one log that a policy lists, or of the one that it says is at `url`. None when it lists no log. */
function vkeysIn({ logs }: WitnessPolicy, url: string): string[] {
  const here = logs.filter((log) => log.url === url)
  const meant = here.length > 0 ? here : logs
  if (new Set(meant.map(({ verifier }) => verifier.name)).size > 1) {
    throw new UsageError('--witness-policy lists several logs, and none at this URL: say with --vkey which one it is')
  }
  return meant.map(({ verifier: { name, type, publicKey } }) => formatVkey(name, type, publicKey))
}

/** @param vkeys - of one log; none to believe the log about them */
export async function openClient(
  args: Arguments,
  url: string,
  vkeys: readonly string[],
  io: Io,
  memory?: CheckpointMemory,
  policy?: WitnessPolicy,
): Promise<LogClient> {
  const [origin] = vkeys.map((vkey) => vkey.slice(0, vkey.indexOf('+')))
  if (vkeys.some((vkey) => !vkey.startsWith(`${origin}+`))) throw new UsageError('--vkey: keys of two logs')
  return new LogClient({
    url,
    tls: await tlsOf(args, io),
    ...proverOf(args, io),
    clock: io.now,
    sleep: io.sleep,
    ...(origin === undefined ? {} : { pinned: { origin, vkey: vkeys } }),
    ...(memory === undefined ? {} : { remembered: memory }),
    ...(policy === undefined ? {} : { policy }),
  })
}

/** @throws {@link UsageError} */
export async function tlsOf(args: Arguments, io: Io): Promise<ClientTls> {
  const [ca, cert, key] = ['ca', 'client-cert', 'client-key'].map((name) => args.optional(name))
  const [identifier, bundle, crls] = [
    args.optional('server-id'),
    args.optional('server-bundle'),
    args.all('server-crl'),
  ]
  const maximumLifetime = args.count('server-max-lifetime')
  if ((cert === undefined) !== (key === undefined)) throw new UsageError('--client-cert and --client-key come together')
  if ((identifier === undefined) !== (bundle === undefined)) {
    throw new UsageError('--server-id and --server-bundle come together')
  }
  if (bundle === undefined && (crls.length > 0 || maximumLifetime !== undefined)) {
    throw new UsageError('--server-crl and --server-max-lifetime are for a server of --server-id')
  }
  const text = async (path: string) => fromUtf8(await io.readFile(path))
  return {
    ...(ca !== undefined && { ca: await text(ca) }),
    ...(cert !== undefined &&
      key !== undefined && { certificate: async () => ({ cert: await text(cert), key: await text(key) }) }),
    ...(identifier !== undefined &&
      bundle !== undefined && {
        server: {
          identifier,
          bundle: () => io.readFile(bundle),
          ...(crls.length > 0 && { crls: () => Promise.all(crls.map((path) => io.readFile(path))) }),
          ...(maximumLifetime !== undefined && { maximumLifetime }),
        },
      }),
  }
}

/** @throws {@link UsageError} */
function proverOf(args: Arguments, io: Io): { prover?: Prover } {
  const [wit, key, audience] = [args.optional('wit'), args.optional('wit-key'), args.optional('wit-audience')]
  if (wit === undefined && key === undefined) return {}
  if (wit === undefined || key === undefined) throw new UsageError('--wit and --wit-key come together')
  const by = args.optional('wit-proof') === undefined ? 'wpt' : args.choice('wit-proof', ['wpt', 'httpsig'])
  const load = async () => ({
    wit: fromUtf8(await io.readFile(wit)).trimEnd(),
    key: await readPrivateKey(io, key),
  })
  const { now, random } = io
  return { prover: createProver({ load, by, now, random, ...(audience !== undefined && { audience }) }) }
}

/** Who signs: the key and the identifier under which the log knows it. */
export async function signer(args: Arguments, io: Io): Promise<{ key: PrivateJwk; kid: string }> {
  const key = await readPrivateKey(io, args.text('key'))
  return { key, kid: kidOf(publicJwkOf(key)) }
}

/** @throws `malformed_trust` */
export async function readTrust(io: Io, path: string): Promise<Trust> {
  return parseTrust(fromUtf8(await io.readFile(path)))
}
