/**
 * Flags that say how a credential was presented, and to whom.
 *
 * @module
 */
import { fromUtf8 } from '../../merkle/index.ts'
import { type Audience, type Presentation, parseCredential } from '../../provenance/index.ts'
import { parseRequestFile } from '../relying-party/index.ts'
import { type Arguments, type Flag, UsageError } from './command.ts'
import type { Io } from './io.ts'

export const presentationFlags: Readonly<Record<string, Flag>> = {
  request: { value: 'F', about: 'the HTTP request it came with, as on the wire: checks the proof that is in it' },
  proof: { value: 'F', about: 'a Workload Proof Token that came with it, without its request' },
  audience: {
    value: 'URL|NAME',
    about: 'who you are to those who prove: https://host for all of its paths, or what a proof says whole',
    repeated: true,
  },
  peer: { value: 'CERT', about: 'the certificate, PEM or DER, of the TLS connection that it was presented on' },
}

/** How the credential was presented, as far as the flags say; `undefined` where all there is is the file. */
export async function presentationOf(args: Arguments, io: Io): Promise<Presentation | undefined> {
  const [request, proof, peer] = ['request', 'proof', 'peer'].map((name) => args.optional(name))
  if ([request, proof, peer].filter((path) => path !== undefined).length > 1) {
    throw new UsageError('--request, --proof and --peer: one of them')
  }
  if (peer !== undefined) {
    // The first certificate is the peer's own, as everywhere.
    return { peerCertificate: parseCredential(await io.readFile(peer)).bytes }
  }
  if (request === undefined && proof === undefined) return undefined

  const audience = audienceOf(args.all('audience'))
  // A file is judged when somebody asks, as often as he asks.
  const replay = 'not-looked-for' as const
  if (request !== undefined) return { request: parseRequestFile(await io.readFile(request)), audience, replay }
  return { wpt: fromUtf8(await io.readFile(proof!)).trimEnd(), audience, replay }
}

function audienceOf(values: readonly string[]): Audience {
  if (values.length === 0)
    throw new UsageError('--audience is missing: a proof is for somebody, and never says for whom')
  const origins = values
    .filter((value) => /^https?:\/\/[^/?#]+\/?$/.test(value))
    .map((value) => value.replace(/\/$/, ''))
  return { origins, aliases: values }
}
