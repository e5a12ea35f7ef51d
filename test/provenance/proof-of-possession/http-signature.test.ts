// Signed requests and responses: the honest ones, and every attack on them that we know of.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { utf8 } from '../../../merkle/bytes.ts'
import { parseCredential } from '../../../provenance/credential.ts'
import { readFields } from '../../../provenance/proof-of-possession/http-message.ts'
import {
  authenticateRequest,
  authenticateResponse,
  type HttpRequest,
  type HttpResponse,
  MemoryReplayCache,
  type ProofBounds,
  signHttpRequest,
  signHttpResponse,
  verifyHttpResponse,
} from '../../../provenance/proof-of-possession/index.ts'
import { importSigningKey } from '../../../statement/signature.node.ts'
import {
  AT,
  type Attack,
  AUDIENCE,
  added,
  type Caller,
  changed,
  expectations,
  fieldOf,
  issueWit,
  newCaller,
  nonce,
  refuseEach,
  SUBJECT,
  signed,
  TARGET,
  trustDomains,
  withWpt,
} from './caller.ts'

const caller = await newCaller()
const stranger = await newCaller()
const content = utf8('{"pay":1}')
const contentType = ['Content-Type', 'application/json'] as const
const honest = await signed(caller, { content, fields: [contentType] })
const plain = await signed(caller)

const SIGNATURE = 'signature'
const INPUT = 'signature-input'

/** The lines of RFC 9421 §2.5, written out here once more: what a signer of others would sign. */
async function resign(request: HttpRequest, input: string, by: Caller = caller): Promise<HttpRequest> {
  const fields = readFields(request)
  const [, label, params] = /^([a-z]+)=(.*)$/s.exec(input)!
  const lines = [.../^\(([^)]*)\)/.exec(params!)![1]!.matchAll(/"([^"]+)"[^ ]*/g)].map(([identifier, name]) => {
    const derived = { '@method': request.method, '@request-target': request.target }[name!]
    return `${identifier}: ${derived ?? fields.get(name!)}`
  })
  const base = [...lines, `"@signature-params": ${params}`].join('\n')
  const signature = await (await importSigningKey(by.key)).sign(utf8(base))
  const others = request.fields.filter(([name]) => ![SIGNATURE, INPUT].includes(name.toLowerCase()))
  const value = `${label}=:${Buffer.from(signature).toString('base64')}:`
  return { ...request, fields: [...others, ['Signature-Input', input], ['Signature', value]] }
}

/** Signed again by the caller, after a change of the parameters. */
const reparameterized = (change: (input: string) => string, request = plain) => {
  const input = fieldOf(request, INPUT).replace(/nonce="[^"]*"/, `nonce="${nonce()}"`)
  return resign(request, change(input))
}
const without = (name: string) => (input: string) => input.replace(new RegExp(`;${name}(=("[^"]*"|[0-9]+))?`), '')
const uncovering = (name: string, request = honest) =>
  reparameterized((input) => input.replace(new RegExp(` ?"${name}"`), '').replace('( ', '('), request)

describe('a signed request', () => {
  it('is from the workload that the WIT names, with this content', async () => {
    for (const curve of ['P-256', 'Ed25519'] as const) {
      const request = await signed(await newCaller(curve), { content, fields: [contentType] })
      const { possession } = await authenticateRequest(request, trustDomains, expectations())
      assert.deepEqual(possession.ways, ['httpsig'])
      assert.equal(possession.signResponse, false)
    }
  })

  it('may cover more header fields, in any order, under any label when it is the only one', async () => {
    const dated = added(plain, ['Date', 'today'], ['X', 'a'], ['X', 'b'])
    const request = await reparameterized(
      (input) => input.replace('(', '("x" "date" ').replace('wimse=', 'sig='),
      dated,
    )
    await authenticateRequest(request, trustDomains, expectations())
  })

  it('may have signatures for other purposes beside it', async () => {
    const proxy = 'proxy=("@method");created=1;keyid="p"'
    const request = changed(
      changed(plain, INPUT, (value) => `${proxy}, ${value}`),
      SIGNATURE,
      (value) => `proxy=:AAAA:,${value}`,
    )
    await authenticateRequest(request, trustDomains, expectations())
  })

  it('may come with a WPT: both must hold', async () => {
    const wpt = fieldOf(await withWpt(caller), 'workload-proof-token')
    const both = added(await signed(caller), ['Workload-Proof-Token', wpt])
    const { possession } = await authenticateRequest(both, trustDomains, expectations())
    assert.deepEqual(possession.ways, ['wpt', 'httpsig'])
    const broken = { ...both, method: 'DELETE' }
    await assert.rejects(authenticateRequest(broken, trustDomains, expectations()), { code: 'bad_signature' })
    // A signature for another purpose says nothing about possession, and takes nothing away.
    const other = added(await withWpt(caller), ['Signature-Input', 'p=();created=1'], ['Signature', 'p=:AAAA:'])
    const { possession: alone } = await authenticateRequest(other, trustDomains, expectations())
    assert.deepEqual(alone.ways, ['wpt'])
  })

  it('by SHA-512, too', async () => {
    const digest = createHash('sha512').update(content).digest('base64')
    const request = await signed(caller, { content, fields: [['Content-Digest', `md5=:AAAA:, sha-512=:${digest}:`]] })
    await authenticateRequest(request, trustDomains, expectations())
  })
})

const attacks: readonly Attack[] = [
  ['a stolen WIT, signed by another key', 'bad_signature', () => resign(plain, fieldOf(plain, INPUT), stranger)],
  ['another method', 'bad_signature', () => ({ ...plain, method: 'DELETE' })],
  ['a method in another case', 'bad_signature', () => ({ ...plain, method: 'post' })],
  ['another target', 'bad_signature', () => ({ ...plain, target: `${TARGET}&more=1` })],
  ['a target with a line break', 'malformed_message', () => ({ ...plain, target: '/a\n"x": y' })],
  ['a method that is none', 'malformed_message', () => ({ ...plain, method: 'POST ' })],
  ['a swapped body', 'content_digest_mismatch', () => ({ ...honest, content: utf8('{"pay":9}') })],
  ['a body that was taken away', 'content_digest_mismatch', () => ({ ...honest, content: new Uint8Array() })],
  ['a body that was added', 'content_digest_missing', () => ({ ...plain, content })],
  [
    'a body with a digest that is not signed',
    'component_not_covered',
    () => {
      const digest = createHash('sha256').update(content).digest('base64')
      return { ...added(plain, ['Content-Digest', `sha-256=:${digest}:`]), content }
    },
  ],
  [
    'a body with a broken digest',
    'content_digest_missing',
    () => signed(caller, { content, fields: [['Content-Digest', 'md5=:AAAA:']] }),
  ],
  [
    'a swapped body and digest',
    'bad_signature',
    () => {
      const digest = createHash('sha256').update('x').digest('base64')
      return { ...changed(honest, 'content-digest', () => `sha-256=:${digest}:`), content: utf8('x') }
    },
  ],
  ['another content type', 'bad_signature', () => changed(honest, 'content-type', () => 'text/html')],
  ['a second content type', 'duplicate_field', () => added(honest, ['content-type', 'text/html'])],
  ['an Authorization that was added', 'component_not_covered', () => added(plain, ['Authorization', 'Bearer x'])],
  ['a Txn-Token that was added', 'component_not_covered', () => added(plain, ['Txn-Token', 'x'])],
  [
    'another WIT of the same key',
    'bad_signature',
    async () => {
      const other = await issueWit(caller.key, { exp: AT + 7200 })
      return changed(plain, 'workload-identity-token', () => other)
    },
  ],
  ...['@method', '@request-target', 'content-type', 'content-digest', 'workload-identity-token'].map(
    (name): Attack => [`a signature without ${name}`, 'component_not_covered', () => uncovering(name)],
  ),
  [
    'a signature over nothing',
    'component_not_covered',
    () => reparameterized((input) => input.replace(/\([^)]*\)/, '()')),
  ],
  [
    'a component twice',
    'malformed_signature_input',
    () => reparameterized((input) => input.replace('(', '("@method" ')),
  ],
  [
    'a component that is not there',
    'malformed_signature_input',
    () => reparameterized((input) => input.replace('(', '("x" ')),
  ],
  [
    'a component that we do not compute',
    'malformed_signature_input',
    () => reparameterized((input) => input.replace('(', '("@authority" ')),
  ],
  [
    'a component of a request to a request',
    'component_not_covered',
    () => reparameterized((input) => input.replace('"@method"', '"@method";req')),
  ],
  [
    'a component by another encoding',
    'component_not_covered',
    () => reparameterized((input) => input.replace('"content-type"', '"content-type";bs'), honest),
  ],
  [
    'very many components',
    'malformed_signature_input',
    () =>
      reparameterized((input) => input.replace('(', `(${Array.from({ length: 65 }, (_, i) => `"x${i}"`).join(' ')} `)),
  ],
  ['keyid', 'malformed_signature_input', () => reparameterized((input) => `${input};keyid="x"`)],
  ['alg', 'malformed_signature_input', () => reparameterized((input) => `${input};alg="ecdsa-p256-sha256"`)],
  ['no created', 'malformed_signature_input', () => reparameterized(without('created'))],
  ['no expires', 'malformed_signature_input', () => reparameterized(without('expires'))],
  ['no nonce', 'malformed_signature_input', () => reparameterized(without('nonce'))],
  ['no wimse-aud', 'malformed_signature_input', () => reparameterized(without('wimse-aud'))],
  ['no tag', 'malformed_signature_input', () => reparameterized(without('tag'))],
  [
    'another tag',
    'malformed_signature_input',
    () => reparameterized((input) => input.replace(/tag="[^"]*"/, 'tag="x"')),
  ],
  [
    'a nonce that is a token',
    'malformed_signature_input',
    () => reparameterized((input) => input.replace(/nonce="([^"]*)"/, 'nonce=$1')),
  ],
  [
    'a time that is text',
    'malformed_signature_input',
    () => reparameterized((input) => input.replace(/created=(\d+)/, 'created="$1"')),
  ],
  [
    'a time that is no integer',
    'malformed_structured_field',
    () => changed(plain, INPUT, (value) => value.replace(/created=(\d+)/, 'created=$1.0')),
  ],
  ['a parameter twice', 'malformed_structured_field', () => changed(plain, INPUT, (value) => `${value};created=1`)],
  ['a label twice', 'malformed_structured_field', () => changed(plain, INPUT, (value) => `${value}, ${value}`)],
  [
    'the nonce of a response',
    'malformed_signature_input',
    () => reparameterized((input) => `${input};wimse-req-nonce="x"`),
  ],
  ['another audience', 'wrong_audience', () => reparameterized((input) => input.replace('log.bank', 'log.evil'))],
  ['a signature that has ended', 'proof_expired', () => plain, { at: AT + 90 }],
  ['a signature from the future', 'proof_not_yet_valid', () => plain, { at: AT - 31 }],
  [
    'a signature that lasts',
    'proof_lifetime_too_long',
    () => reparameterized((input) => input.replace(/expires=\d+/, `expires=${AT + 331}`)),
  ],
  [
    'a signature made long ago',
    'proof_lifetime_too_long',
    () => reparameterized((input) => input.replace(/created=\d+/, `created=${AT - 400}`)),
  ],
  [
    'a signature that ends before it begins',
    'proof_expired',
    () =>
      reparameterized((input) =>
        input.replace(/created=\d+/, `created=${AT + 20}`).replace(/expires=\d+/, `expires=${AT + 10}`),
      ),
  ],
  [
    'several signatures, none with our label',
    'signature_not_found',
    () =>
      changed(
        changed(plain, INPUT, (v) => `a=(), ${v.replace('wimse=', 'b=')}`),
        SIGNATURE,
        (v) => v.replace('wimse=', 'b='),
      ),
  ],
  [
    'a signature under another label',
    'signature_not_found',
    () => changed(plain, SIGNATURE, (v) => v.replace('wimse=', 'other=')),
  ],
  ['Signature-Input alone', 'signature_not_found', () => changed(plain, SIGNATURE, () => undefined)],
  ['Signature alone', 'signature_not_found', () => changed(plain, INPUT, () => undefined)],
  [
    'very many signatures',
    'malformed_signature_input',
    () => changed(plain, INPUT, (v) => [v, ...Array.from({ length: 8 }, (_, i) => `a${i}=()`)].join(', ')),
  ],
  ['a signature that is no bytes', 'malformed_signature_input', () => changed(plain, SIGNATURE, () => 'wimse="x"')],
  ['a signature that is cut short', 'bad_signature', () => changed(plain, SIGNATURE, () => 'wimse=:AAAA:')],
  ['two signature fields', 'duplicate_field', () => added(plain, ['Signature', fieldOf(plain, SIGNATURE)])],
  [
    'an oversized signature field',
    'malformed_structured_field',
    () => changed(plain, INPUT, (v) => `${v};x="${'y'.repeat(16_384)}"`),
  ],
  ['a signature where only a WPT is taken', 'proof_missing', () => plain, { ways: ['wpt'] }],
]

describe('a signed request is refused', () => {
  refuseEach(attacks)

  it('the second time (proof_replayed)', async () => {
    const same = expectations()
    await authenticateRequest(plain, trustDomains, same)
    await assert.rejects(authenticateRequest(plain, trustDomains, same), { code: 'proof_replayed' })
  })

  it('when it cannot be signed: a control character, a field of the signer itself, the key of another WIT', async () => {
    const wanted = { wit: caller.wit, audience: AUDIENCE, created: AT, expires: AT + 60, nonce: nonce() }
    const request = { method: 'GET', target: TARGET, fields: [] }
    await assert.rejects(signHttpRequest({ ...request, target: '/ ' }, wanted, caller.key), {
      code: 'malformed_message',
    })
    const withOwn = { ...request, fields: [['Workload-Identity-Token', caller.wit]] as const }
    await assert.rejects(signHttpRequest(withOwn, wanted, caller.key), { code: 'duplicate_field' })
    await assert.rejects(signHttpRequest(request, wanted, stranger.key), { code: 'wrong_proof_key' })
  })
})

describe('a signed response', () => {
  const server = stranger
  const serverCredential = parseCredential(utf8(server.wit))
  const bounds = (): ProofBounds => ({ at: AT, replay: new MemoryReplayCache() })
  const unsigned: HttpResponse = { status: 201, fields: [contentType], content }
  const times = { created: AT, expires: AT + 60 }
  const sent = { request: plain, nonce: 'the nonce of the request' }
  const answer = async (response = unsigned, about = sent): Promise<HttpResponse> => {
    const own = { wit: server.wit, nonce: nonce(), ...times }
    const fields = await signHttpResponse(
      response,
      { request: about.request, requestNonce: about.nonce },
      own,
      server.key,
    )
    return { ...response, fields: [...response.fields, ...fields] }
  }

  it('answers this request, with this content', async () => {
    await verifyHttpResponse(await answer(), sent, serverCredential, bounds())
    const empty = await answer({ status: 204, fields: [] })
    await verifyHttpResponse(empty, sent, serverCredential, bounds())
  })

  const change = (response: HttpResponse, name: string, to: (value: string) => string | undefined): HttpResponse => ({
    ...response,
    fields: changed({ method: 'GET', target: '/', fields: response.fields }, name, to).fields,
  })
  const lies: readonly (readonly [string, string, (response: HttpResponse) => HttpResponse, typeof sent?])[] = [
    ['that answers another request', 'response_mismatch', (r) => r, { ...sent, nonce: 'another nonce' }],
    ['to another target', 'bad_signature', (r) => r, { ...sent, request: { ...plain, target: '/other' } }],
    ['with another status', 'bad_signature', (r) => ({ ...r, status: 200 })],
    ['with a status that is none', 'malformed_message', (r) => ({ ...r, status: 20 })],
    ['with other content', 'content_digest_mismatch', (r) => ({ ...r, content: utf8('x') })],
    ['with another content type', 'bad_signature', (r) => change(r, 'content-type', () => 'text/html')],
    ['without signature', 'response_unsigned', (r) => change(r, INPUT, () => undefined)],
    [
      'with a WIT of another server',
      'credential_mismatch',
      (r) => change(r, 'workload-identity-token', () => caller.wit),
    ],
    ['without WIT', 'credential_mismatch', (r) => change(r, 'workload-identity-token', () => undefined)],
    ['with an audience', 'malformed_signature_input', (r) => change(r, INPUT, (v) => `${v};wimse-aud="x"`)],
    ['that is a request', 'malformed_signature_input', (r) => ({ ...r, fields: plain.fields })],
  ]
  for (const [what, code, lie, about = sent] of lies) {
    it(`is refused ${what} (${code})`, async () => {
      const verified = verifyHttpResponse(lie(await answer()), about, serverCredential, bounds())
      await assert.rejects(verified, { code })
    })
  }

  it('is from the workload that was asked, and from no other of its trust domain (unexpected_peer)', async () => {
    const response = await answer()
    const asked = (peer: string) => authenticateResponse(response, sent, trustDomains, { ...bounds(), peer })
    assert.equal((await asked(SUBJECT)).subject.uri, SUBJECT)
    for (const peer of ['spiffe://bank.example/other', 'spiffe://bank.example', '/payments', '']) {
      await assert.rejects(asked(peer), { code: 'unexpected_peer' })
    }
    const about = { ...bounds(), peer: SUBJECT }
    const bare = authenticateResponse({ status: 200, fields: [] }, sent, trustDomains, about)
    await assert.rejects(bare, { code: 'response_unsigned' })
    const nobody = change(response, 'workload-identity-token', () => undefined)
    await assert.rejects(authenticateResponse(nobody, sent, trustDomains, about), { code: 'credential_missing' })
    await assert.rejects(authenticateResponse(response, sent, new Map(), about), { code: 'unknown_trust_domain' })
  })

  it('is refused the second time, and once it has ended', async () => {
    const [same, response] = [bounds(), await answer()]
    await verifyHttpResponse(response, sent, serverCredential, same)
    await assert.rejects(verifyHttpResponse(response, sent, serverCredential, same), { code: 'proof_replayed' })
    const late = verifyHttpResponse(response, sent, serverCredential, { ...bounds(), at: AT + 90 })
    await assert.rejects(late, { code: 'proof_expired' })
  })
})
