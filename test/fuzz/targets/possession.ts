/**
 * Proofs of possession: what every caller sends, before anybody knows who he is.
 *
 * @module
 */
import * as theirs from 'structured-headers'
import { parseDecisionRecord, parseRequestFile } from '../../../clients/relying-party/index.ts'
import { type Forwarded, readForwarded } from '../../../log-server/access/proxy-headers.ts'
import { concatBytes, equalBytes, fromUtf8, utf8 } from '../../../merkle/index.ts'
import { authenticateRequest, type HttpRequest } from '../../../provenance/index.ts'
import {
  type Dictionary,
  parseDictionary,
  serializeDictionary,
} from '../../../provenance/proof-of-possession/structured-field.ts'
import { expectations, newCaller, signed, trustDomains, withWpt } from '../../provenance/proof-of-possession/caller.ts'
import { demand, type Target } from '../engine.ts'
import { bytesMutator, jsonMutator, type Mutator, textMutator } from '../mutate.ts'

export function possessionTargets(): readonly Target[] {
  return [structuredField, presentedRequest, forwarded, decision].map((target) => target as Target)
}

const structuredField: Target<Dictionary> = {
  name: 'structured-field',
  seeds: [
    'wimse=("@method" "@request-target" "content-type";req);created=1785155797;nonce="a\\"b";tag="t";x;y=?0',
    'a=:AQID:, b=tok/en;q=-1, c, d=(), e=("x" 1 :AA==:);p',
    'sha-256=:UHKweBl9cpjdVqgTB65El8SexXlJYGG+XIslAYqC1mY=:, md5=:AAAA:',
  ].map(utf8),
  mutators: [
    textMutator(['=', ';', ', ', '("x")', '?1', ':AA:', '1.0', '=@1', '"\\"', '*', '()', ';x=1;x=2', ' ', '  ']),
    bytesMutator,
  ],
  maxBytes: 16 * 1024,
  codes: ['malformed_structured_field', 'malformed_encoding'],
  read: (input) => parseDictionary(fromUtf8(input)),
  check(value, input) {
    const text = serializeDictionary(value)
    let other: string
    try {
      other = theirs.serializeDictionary(theirs.parseDictionary(fromUtf8(input)))
    } catch (error) {
      demand(false, `structured-headers refuses it: ${(error as Error).message}`)
    }
    demand(other === text, 'structured-headers reads another value')
    demand(serializeDictionary(parseDictionary(text)) === text, 'has two canonical forms')
    return `${Math.min(value.size, 2)} ${[...value.values()].some((member) => 'items' in member)}`
  },
}

const caller = await newCaller()
const content = utf8('{"pay":1}')
const honest: readonly HttpRequest[] = [
  await withWpt(caller, { accessToken: 'abc', fields: [['Authorization', 'Bearer abc']] }),
  await signed(caller, { content, fields: [['Content-Type', 'application/json']] }),
]

function written({ method, target, fields, content = new Uint8Array() }: HttpRequest): Uint8Array {
  const lines = [`${method} ${target} HTTP/1.1`, ...fields.map(([name, value]) => `${name}: ${value}`), '', '']
  return concatBytes(utf8(lines.join('\r\n')), content)
}

/** One header line again, under a name that is nearly the same, or without its end: where smugglers begin. */
const smuggler: Mutator = (input, random) => {
  const lines = fromLatin1(input).split('\r\n')
  const at = 1 + random.below(Math.max(1, lines.length - 3))
  const line = lines[at] ?? ''
  const kind = random.below(5)
  if (kind === 0) lines.splice(at, 0, line)
  else if (kind === 1)
    lines.splice(
      at,
      0,
      line.toUpperCase().replace(/^[^:]*/, (name) => name.replaceAll('-', '_')),
    )
  else if (kind === 2) lines[at] = line.replace(':', random.pick([' :', ':\t', '::', '']))
  else if (kind === 3) lines.splice(at, 1)
  else lines[at] = `${line}${random.pick([' ', '\t', ', ', '\r', '\n ', ';', '\0'])}`
  return toLatin1(lines.join('\r\n'))
}
const fromLatin1 = (bytes: Uint8Array) => new TextDecoder('latin1').decode(bytes)
const toLatin1 = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0))

/** Nobody but the caller has his key: what is accepted is what he proved, whatever else was changed. */
const presentedRequest: Target<{ request: HttpRequest; ways: readonly string[] }> = {
  name: 'presented-request',
  seeds: honest.map(written),
  mutators: [
    smuggler,
    textMutator(['Bearer ', 'wimse=', 'Workload-Proof-Token: ', ';req', '\r\n', 'eyJ']),
    bytesMutator,
  ],
  maxBytes: 64 * 1024,
  codes: [
    ...['malformed_message', 'duplicate_field', 'credential_missing', 'credential_as_bearer', 'proof_missing'],
    ...['malformed_jws', 'malformed_json', 'malformed_encoding', 'unsupported_algorithm', 'malformed_credential'],
    ...['malformed_identifier', 'malformed_key', 'unsupported_key', 'weak_key', 'unknown_critical_extension'],
    ...['unknown_trust_domain', 'unknown_anchor', 'bad_signature', 'credential_expired', 'algorithm_mismatch'],
    ...['malformed_structured_field', 'signature_not_found', 'malformed_signature_input', 'component_not_covered'],
    ...['content_digest_missing', 'content_digest_mismatch', 'wrong_audience', 'token_binding_mismatch'],
    ...['malformed_proof_token', 'malformed_der', 'credential_mismatch'],
  ],
  async read(input) {
    const request = parseRequestFile(input)
    const { possession } = await authenticateRequest(request, trustDomains, expectations())
    return { request, ways: possession.ways }
  },
  check({ request, ways }) {
    const original = honest[ways.includes('wpt') ? 0 : 1]!
    const of = (name: string, { fields }: HttpRequest) =>
      fields.filter(([own]) => own.toLowerCase() === name).map(([, value]) => value.replace(/^[ \t]+|[ \t]+$/g, ''))
    const same = ['workload-identity-token', 'content-type', 'content-digest', 'authorization', 'txn-token']
    if (ways.includes('httpsig')) {
      demand(request.method === original.method && request.target === original.target, 'another request was accepted')
      demand(equalBytes(request.content ?? new Uint8Array(), original.content ?? new Uint8Array()), 'other content')
      for (const name of same) demand(of(name, request).join() === of(name, original).join(), `another ${name}`)
    }
    demand(of('workload-identity-token', request).join() === caller.wit, 'another credential was accepted')
    return ways.join()
  },
}

/** What a proxy says of whom it saw: whoever else reads it must find the same one name. */
const forwarded: Target<Forwarded> = {
  name: 'forwarded-identity',
  seeds: [
    'By=spiffe://bank.example/edge;Hash=468e;Subject="CN=a\\",URI=b;c=\\\\";URI=spiffe://bank.example/payments',
    'URI="wimse://bank.example/a=b";DNS=x.example;DNS=y.example',
    'hash=0;uri=spiffe://bank.example/x',
  ].map(utf8),
  mutators: [
    textMutator([';', ',', '"', '\\', '\\"', 'URI=', ';URI=spiffe://bank.example/other', '"";', '=', 'uri="']),
    bytesMutator,
  ],
  maxBytes: 8 * 1024,
  codes: ['malformed_message', 'malformed_credential', 'malformed_encoding'],
  read(input) {
    const header = 'x-forwarded-client-cert'
    const found = readForwarded(new Map([[header, fromUtf8(input)]]), header)
    demand(found !== undefined, 'a header that is there was not found')
    return found
  },
  check({ uri, chain }, input) {
    const values = readByHand(fromUtf8(input))
    const uris = values.filter(([key]) => key === 'uri').map(([, value]) => value)
    demand(uris.length === (uri === undefined ? 0 : 1), 'another number of names')
    demand(uri === undefined || uris[0] === uri, 'another name')
    demand((uri ?? chain) !== undefined, 'nobody')
    return `${uri === undefined} ${values.length}`
  },
}

/** Pairs of one element, a character at a time. A pair with a backslash before it ends nothing. */
function readByHand(text: string): [key: string, value: string][] {
  const pairs: [string, string][] = [['', '']]
  let [inKey, isQuoted, isEscaped] = [true, false, false]
  for (const character of text) {
    const pair = pairs.at(-1)!
    if (isEscaped) isEscaped = false
    else if (isQuoted && character === '\\') isEscaped = true
    else if (character === '"') {
      isQuoted = !isQuoted
      continue
    } else if (!isQuoted && character === ',') demand(false, 'two elements')
    else if (!isQuoted && character === ';') {
      pairs.push(['', ''])
      inKey = true
      continue
    } else if (inKey && character === '=') {
      inKey = false
      continue
    }
    if (inKey) pair[0] += character.toLowerCase()
    else pair[1] += character
  }
  demand(!isQuoted, 'a quotation without an end')
  return pairs
}

const decision: Target<ReturnType<typeof parseDecisionRecord>> = {
  name: 'decision-record',
  seeds: [
    '{"at":1785155800,"credential":"' +
      'ab'.repeat(32) +
      '","failed":["proof_missing"],"log":{"entry":"' +
      'cd'.repeat(32) +
      '","index":8,"origin":"log.example","signedAt":3,"size":12},"notChecked":["a"],"outcome":"accepted","possession":["wpt"],"statusCurrent":false,"type":"provlog-decision/1"}',
    '{"at":1,"credential":null,"failed":[],"log":null,"notChecked":[],"outcome":"refused","possession":null,"statusCurrent":true,"type":"provlog-decision/1"}',
  ].map(utf8),
  mutators: [jsonMutator, jsonMutator, textMutator()],
  maxBytes: 16 * 1024,
  codes: ['malformed_decision', 'malformed_json', 'malformed_encoding'],
  read: (input) => parseDecisionRecord(fromUtf8(input)),
  check: ({ outcome, log }) => `${outcome} ${log === null}`,
}
