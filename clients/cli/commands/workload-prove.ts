/** `workload prove`: header fields for a request, by which its recipient knows that the sender has the key of the credential. @module */
import { fromUtf8, toBase64url } from '../../../merkle/index.ts'
import {
  type FieldLine,
  type HttpRequest,
  MAX_PROOF_LIFETIME,
  signHttpRequest,
  signWpt,
} from '../../../provenance/index.ts'
import { type Arguments, type Command, Exit, UsageError } from '../command.ts'
import type { Io } from '../io.ts'
import { readPrivateKey } from '../key-files.ts'

export const workloadProve: Command = {
  name: 'workload prove',
  summary: 'print the header fields of a request that prove who sends it: for curl -H @-',
  positionals: { URL: 'where the request goes' },
  flags: {
    credential: { value: 'F', about: 'the Workload Identity Token', required: true },
    key: { value: 'KEY.jwk', about: 'the private key that the token names', required: true },
    by: {
      value: 'wpt|httpsig',
      about: 'a proof token, or a signature over the whole request',
      default: 'wpt',
    },
    method: { value: 'METHOD', about: 'of the request, for a signature', default: 'GET' },
    body: { value: 'F', about: 'the content of the request, for a signature; give its Content-Type as a header' },
    header: {
      value: 'NAME:VALUE',
      about: 'another field of the request: printed, and bound as the profile demands',
      repeated: true,
    },
    audience: { value: 'NAME', about: 'what the recipient calls itself; default the URL without its query' },
    lifetime: { value: 'SECONDS', about: 'how long the proof lasts, 300 at most', default: '60' },
    'sign-response': { about: 'demand a signed response' },
  },

  async run(args, io) {
    const request = await requestOf(args, io)
    const wit = fromUtf8(await io.readFile(args.text('credential'))).trimEnd()
    const key = await readPrivateKey(io, args.text('key'))
    const audience = args.optional('audience') ?? args.positionals[0]!.replace(/[?#].*$/s, '')
    const now = io.now()
    const lifetime = args.count('lifetime') ?? 60
    if (lifetime > MAX_PROOF_LIFETIME)
      throw new UsageError(`--lifetime is ${MAX_PROOF_LIFETIME} at most: nobody takes a longer one`)
    const expiresAt = now + lifetime
    const nonce = toBase64url(io.random(16))

    const by = args.choice('by', ['wpt', 'httpsig'])
    const added =
      by === 'wpt'
        ? await proofFields(request, { wit, audience, expiresAt, jti: nonce }, key)
        : await signHttpRequest(
            request,
            { wit, audience, created: now, expires: expiresAt, nonce, signResponse: args.has('sign-response') },
            key,
          )
    const fields = [...request.fields, ...added]
    if (args.has('json')) io.out(JSON.stringify({ fields, expiresAt }))
    else for (const [name, value] of fields) io.out(`${name}: ${value}`)
    return Exit.ok
  },
}

async function requestOf(args: Arguments, io: Io): Promise<HttpRequest> {
  // As it will be on the wire. A URL parser would tidy it up, and another client would not.
  const url = /^https?:\/\/[^/?#]+(\/[^#]*)?$/.exec(args.positionals[0] ?? '')
  if (!url) throw new UsageError('URL is http(s)://host/path')
  const body = args.optional('body')
  const fields = args.all('header').map((line): FieldLine => {
    const field = /^([^:]+):[ \t]*(.*)$/.exec(line)
    if (!field) throw new UsageError('--header is NAME:VALUE')
    return [field[1]!, field[2]!]
  })
  return {
    method: args.text('method'),
    target: url[1] ?? '/',
    fields,
    ...(body === undefined ? {} : { content: await io.readFile(body) }),
  }
}

/** The WIT and its WPT, which binds the access token and Txn-Token of the request. */
async function proofFields(
  { fields }: HttpRequest,
  about: Pick<Parameters<typeof signWpt>[0], 'wit' | 'audience' | 'expiresAt' | 'jti'>,
  key: Parameters<typeof signWpt>[1],
): Promise<readonly FieldLine[]> {
  const given = (name: string) => fields.find(([own]) => own.toLowerCase() === name)?.[1].trim()
  const [authorization, transactionToken] = [given('authorization'), given('txn-token')]
  const accessToken = /^(?:bearer|dpop) +([^ ]+)$/i.exec(authorization ?? '')?.[1]
  const wpt = await signWpt(
    {
      ...about,
      ...(accessToken === undefined ? {} : { accessToken }),
      ...(transactionToken === undefined ? {} : { transactionToken }),
      ...(authorization !== undefined && accessToken === undefined ? { otherTokens: { authorization } } : {}),
    },
    key,
  )
  return [
    ['Workload-Identity-Token', about.wit],
    ['Workload-Proof-Token', wpt],
  ]
}
