/**
 * A log-policy as people read and write it: keys as JWKs, certificates as PEM.
 *
 *     {"index": 12, "entry": …, "origin": …, …,
 *      "foreign": {"contentTypes": [media type…], "issuers": [URI…], "keys": [JWK…], "anchors": [PEM…], "purposes": [OID…]}}
 *
 * What `log policy --json` prints is what `log policy --foreign FILE` reads, whole or its `foreign` alone: print it, change it, publish it.
 *
 * @module
 */
import { fromUtf8, toBase64, toHex } from '../../merkle/index.ts'
import { decodePem, decodePublicKey, type FieldsOf, type ForeignRules, ownKidOf } from '../../provenance/index.ts'
import { coseKeyOf, encodeCbor, kidOf, parsePublicJwk } from '../../statement/index.ts'
import type { LogPolicy } from '../log-client/index.ts'
import { type Arguments, type Flag, UsageError } from './command.ts'
import type { Io } from './io.ts'
import { readJson } from './key-files.ts'

/** Flags that say which statements of others a log registers; together they are the whole of it. */
export const foreignFlags: Readonly<Record<string, Flag>> = {
  foreign: { value: 'FILE.json', about: 'register what it says under "foreign" of log policy --json' },
  signer: { value: 'PUB.jwk', about: 'or: who may sign by kid; a kid in the file is one it goes by', repeated: true },
  anchor: { value: 'CERT.pem', about: 'who may certify signers', repeated: true },
  purpose: { value: 'OID', about: 'one of these in the signer’s extKeyUsage', repeated: true },
  'content-type': { value: 'TYPE', about: 'exact media types; default any', repeated: true },
  issuer: { value: 'URI', about: 'exact iss claims; default any', repeated: true },
  'records-only': { about: 'register provenance records, and nothing else any more' },
}

const LISTS = ['contentTypes', 'issuers', 'purposes'] as const

/** What the flags ask for: rules, `null` for none of them, or undefined when they do not speak of it. @throws {@link UsageError} */
export async function readForeignRules(args: Arguments, io: Io): Promise<ForeignRules | null | undefined> {
  const file = args.optional('foreign')
  const lists = {
    keys: args.all('signer'),
    anchors: args.all('anchor'),
    purposes: args.all('purpose'),
    contentTypes: args.all('content-type'),
    issuers: args.all('issuer'),
  }
  const named = Object.entries(lists).filter(([, values]) => values.length > 0)
  if (Number(args.has('records-only')) + Number(file !== undefined) + Number(named.length > 0) > 1) {
    throw new UsageError('give --records-only, or --foreign FILE, or what the policy is to say')
  }
  if (args.has('records-only')) return null
  if (file !== undefined) return rulesOf(foreignIn(await readJson(io, file)), file)
  if (named.length === 0) return undefined
  const keys = await Promise.all(lists.keys.map((path) => readJson(io, path)))
  const anchors = await Promise.all(lists.anchors.map(async (path) => fromUtf8(await io.readFile(path))))
  return rulesOf(
    {
      ...Object.fromEntries(named),
      ...(keys[0] !== undefined && { keys }),
      ...(anchors[0] !== undefined && { anchors }),
    },
    'the flags',
  )
}

/** The rules in a whole policy; or the rules alone. */
function foreignIn(value: unknown): unknown {
  return Object(value).foreign ?? value
}

/** @throws {@link UsageError} when it is not of that form; what it says is for the log to judge */
function rulesOf(value: unknown, title: string): ForeignRules {
  if (typeof value !== 'object' || value === null) throw new UsageError(`${title} is not an object`)
  const given = value as Readonly<Record<string, unknown>>
  const rules: { -readonly [K in keyof ForeignRules]: ForeignRules[K] } = {}
  for (const [name, items] of Object.entries(given)) {
    if (!Array.isArray(items)) throw new UsageError(`${name} in ${title} is not a list`)
    const list = LISTS.find((each) => each === name)
    if (list) rules[list] = items.map((item) => textOf(item, name))
    else if (name === 'keys') rules.keys = items.map(coseKeyIn)
    else if (name === 'anchors') rules.anchors = items.flatMap((item) => decodePem(textOf(item, name)))
    else throw new UsageError(`${title} must not have ${JSON.stringify(name)}`)
  }
  return rules
}

function textOf(value: unknown, name: string): string {
  if (typeof value !== 'string') throw new UsageError(`${name} has something that is no text`)
  return value
}

/** With the `kid` that the JWK gives it, where that is another one than its thumbprint. */
function coseKeyIn(value: unknown): Uint8Array {
  const jwk = parsePublicJwk(value)
  const { kid } = value as { kid?: unknown }
  return encodeCbor(coseKeyOf(jwk, typeof kid === 'string' && kid !== kidOf(jwk) ? kid : undefined))
}

/** The policy as JSON. */
export function policyJson({ index, entry, fields }: Pick<LogPolicy, 'index' | 'entry' | 'fields'>): object {
  const { receiptKeys, adminKeys, foreign, ...rest } = fields
  return {
    index,
    entry: toHex(entry),
    ...rest,
    receiptKeys: receiptKeys.map(jwkJson),
    adminKeys: adminKeys.map(jwkJson),
    ...(foreign && { foreign: rulesJson(foreign) }),
  }
}

function rulesJson({ keys, anchors, ...rest }: NonNullable<FieldsOf<'log-policy'>['foreign']>): object {
  return { ...rest, ...(keys && { keys: keys.map(jwkJson) }), ...(anchors && { anchors: anchors.map(pemOf) }) }
}

function jwkJson(coseKey: Uint8Array): object {
  const jwk = decodePublicKey(coseKey)
  return { ...jwk, kid: ownKidOf(coseKey) ?? kidOf(jwk) }
}

function pemOf(der: Uint8Array): string {
  const lines = toBase64(der).match(/.{1,64}/g) ?? []
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
}
