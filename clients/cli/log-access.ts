/**
 * How commands reach a log: one place for `--log`, `--vkey`, `--trust` and the remembered checkpoint.
 *
 * @module
 */
import { fromUtf8 } from '../../merkle/index.ts'
import { parseTrust, type Trust } from '../../provenance/index.ts'
import { kidOf, type PrivateJwk, publicJwkOf } from '../../statement/index.ts'
import { type CheckpointMemory, LogClient } from '../log-client/index.ts'
import { type Arguments, type Flag, UsageError } from './command.ts'
import type { Io } from './io.ts'
import { readPrivateKey } from './key-files.ts'

export const caFlag: Flag = {
  value: 'FILE',
  about: 'PEM: trust these anchors for the log’s TLS, and not those of this machine',
}

/** Flags of a command that talks to a log. */
export const logFlags: Readonly<Record<string, Flag>> = {
  log: { value: 'URL', about: 'the log', required: true },
  ca: caFlag,
  vkey: { value: 'VKEY', about: 'the log’s verifier key; without it the key that the log names is used, and said so' },
}

/** Flags of a command that signs as somebody the log knows. */
export const signerFlags: Readonly<Record<string, Flag>> = {
  ...logFlags,
  key: { value: 'KEY.jwk', about: 'the private key to sign with; the log must have authorised it', required: true },
}

/** A client for `--log`, pinned to `--vkey` when given. */
export async function logClient(args: Arguments, io: Io, memory?: CheckpointMemory): Promise<LogClient> {
  const vkey = args.optional('vkey')
  if (vkey === undefined) {
    io.err(io.style('dim', 'note: no --vkey given; the log is believed about its own key'))
  }
  return openClient(args, args.text('log'), vkey, io, memory)
}

/** A client pinned to the log of `trust` that serves `--log`, or to its only log. */
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
  return openClient(args, address, log.vkey, io, memory)
}

async function openClient(
  args: Arguments,
  url: string,
  vkey: string | undefined,
  io: Io,
  memory: CheckpointMemory | undefined,
): Promise<LogClient> {
  const ca = args.optional('ca')
  return new LogClient({
    url,
    ...(ca !== undefined && { tls: { ca: fromUtf8(await io.readFile(ca)) } }),
    clock: io.now,
    sleep: io.sleep,
    ...(vkey === undefined ? {} : { pinned: { origin: vkey.slice(0, vkey.indexOf('+')), vkey } }),
    ...(memory === undefined ? {} : { remembered: memory }),
  })
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
