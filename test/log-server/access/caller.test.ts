// Who calls is what was proven. Everything else that is said about it, in whatever spelling, is refused or has no say.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Callers, type CallersOptions, type Identified } from '../../../log-server/access/caller.ts'
import { toBase64, toHex } from '../../../merkle/bytes.ts'
import { sha256 } from '../../../merkle/hash.ts'
import { parseCertificate } from '../../../provenance/certificates/certificate.ts'
import { verifyPeer } from '../../../provenance/certificates/peer-certificate.ts'
import {
  type FieldLine,
  type HttpRequest,
  MemoryReplayCache,
  ProvenanceError,
  signHttpRequest,
  signWpt,
} from '../../../provenance/index.ts'
import { certify, pem, workload } from '../../certificates/authority.ts'
import {
  AT,
  added,
  changed,
  issueWit,
  newCaller,
  newKey,
  nonce,
  ORIGIN,
  SUBJECT,
  signed,
  withWpt,
} from '../../provenance/proof-of-possession/caller.ts'
import { ENVOY, PROXY, peerNamed, trusted } from './guarded-log.ts'

const OTHER = 'spiffe://bank.example/other'
const root = await certify('root')
const leaf = await certify('leaf', { issuer: root, extensions: workload() })
const foreign = await certify('leaf', { issuer: await certify('root of nobody'), extensions: workload() })
const withAnchors = new Map(
  [...trusted].map(([name, trust]) => [name, { ...trust, certificates: [parseCertificate(root.der)] }]),
)
const caller = await newCaller()

type Peer = string | Error | undefined

function callers(change: Partial<CallersOptions<Peer>> = {}): Callers<Peer> {
  return new Callers<Peer>({
    peerOf: (peer) => {
      if (peer instanceof Error) return Promise.reject(peer)
      return peer === undefined ? undefined : peerNamed(peer)
    },
    peerOfChain: (chain) => verifyPeer(chain, 'client', (name) => withAnchors.get(name), AT),
    trustOf: (name) => withAnchors.get(name),
    audience: { origins: [ORIGIN] },
    replay: new MemoryReplayCache(),
    proxies: new Map([
      [PROXY, { header: 'client-cert', trustDomains: new Set() }],
      [ENVOY, { header: 'x-forwarded-client-cert', trustDomains: new Set(['bank.example']) }],
    ]),
    now: () => AT,
    ...change,
  })
}

async function ask(
  peer: Peer,
  request: Partial<HttpRequest>,
  change: Partial<CallersOptions<Peer>> = {},
): Promise<Identified> {
  const { method = 'GET', target = '/checkpoint', fields = [] } = request
  return callers(change).identify({ method, target, rawHeaders: fields.flat(), socket: peer })
}

const codeOf = ({ refusal }: Identified) => (refusal as { code?: string } | undefined)?.code
const header = (name: string, value: string): Partial<HttpRequest> => ({ fields: [[name, value]] })
const xfcc = (value: string) => header('X-Forwarded-Client-Cert', value)

describe('a caller', () => {
  it('is nobody without anything', async () => {
    assert.deepEqual(await ask(undefined, {}), { caller: { by: 'none' } })
  })

  it('is the workload of the certificate', async () => {
    assert.deepEqual(await ask(SUBJECT, {}), {
      caller: {
        by: 'mtls',
        identifier: SUBJECT,
        trustDomain: 'bank.example',
        credential: toHex(sha256(new TextEncoder().encode(SUBJECT))),
      },
    })
  })

  it('is refused with a certificate that does not hold, and not taken for nobody', async () => {
    const found = await ask(new ProvenanceError('credential_expired', 'ended'), {})
    assert.equal(codeOf(found), 'credential_expired')
    assert.deepEqual(found.caller, { by: 'none' })
  })

  it('is the workload of a WIT, by either proof', async () => {
    const byWpt = await ask(undefined, await withWpt(caller))
    assert.equal(byWpt.refusal, undefined)
    assert.equal(byWpt.caller.by, 'wit+wpt')
    assert.equal(byWpt.caller.identifier, SUBJECT)
    assert.equal(byWpt.contentToCheck, undefined)
    const content = new Uint8Array([1, 2, 3])
    const bySignature = await ask(undefined, await signed(caller, { content }))
    assert.equal(bySignature.caller.by, 'wit+httpsig')
    assert.equal(bySignature.caller.identifier, SUBJECT)
    assert.match(bySignature.contentToCheck?.digest ?? '', /^sha-256=:/)
  })

  it('is by its connection when a WIT says the same', async () => {
    const { caller: found, refusal } = await ask(SUBJECT, await withWpt(caller))
    assert.equal(refusal, undefined)
    assert.equal(found.by, 'mtls')
  })

  it('is refused when a WIT says another (identity_conflict), and known by its connection', async () => {
    const found = await ask(OTHER, await withWpt(caller))
    assert.equal(codeOf(found), 'identity_conflict')
    assert.equal(found.caller.identifier, OTHER)
    assert.equal(found.caller.asserted, SUBJECT)
  })
})

describe('a proof that does not hold', () => {
  const refused: readonly (readonly [what: string, code: string, request: () => Promise<Partial<HttpRequest>>])[] = [
    ['a stolen WIT without a proof', 'proof_missing', async () => header('Workload-Identity-Token', caller.wit)],
    [
      'a stolen WIT with a proof by another key',
      'bad_signature',
      async () => {
        const thief = await newCaller()
        const wpt = await signWpt(
          { wit: thief.wit, audience: `${ORIGIN}/entries`, expiresAt: AT + 60, jti: nonce() },
          thief.key,
        )
        return changed(await withWpt(caller), 'Workload-Proof-Token', () => wpt)
      },
    ],
    ['a WIT as a bearer token', 'credential_as_bearer', async () => header('Authorization', `Bearer ${caller.wit}`)],
    [
      'a WIT as a bearer token beside its proof',
      'credential_as_bearer',
      async () => added(await withWpt(caller), ['Authorization', `DPoP ${caller.wit}`]),
    ],
    [
      'a proof without a WIT',
      'credential_missing',
      async () => changed(await withWpt(caller), 'Workload-Identity-Token', () => undefined),
    ],
    [
      'a proof for another recipient',
      'wrong_audience',
      () => withWpt(caller, { audience: 'https://log.elsewhere.example/entries' }),
    ],
    [
      'a proof for the host that Host names',
      'wrong_audience',
      async () =>
        added(
          await withWpt(caller, { audience: 'https://evil.example/entries' }),
          ['Host', 'evil.example'],
          ['X-Forwarded-Host', 'evil.example'],
        ),
    ],
    ['a proof for another path', 'wrong_audience', () => withWpt(caller, { audience: `${ORIGIN}/v1/entries` })],
    ['a proof that ended', 'proof_expired', () => withWpt(caller, { expiresAt: AT - 60 })],
    ['a proof for a day', 'proof_lifetime_too_long', () => withWpt(caller, { expiresAt: AT + 86_400 })],
    [
      'a WIT that ended',
      'credential_expired',
      async () => {
        const key = newKey()
        return withWpt({ key, wit: await issueWit(key, { exp: AT - 1 }) })
      },
    ],
    [
      'a WIT of a trust domain that nobody configured',
      'unknown_trust_domain',
      async () => {
        const key = newKey()
        return withWpt({ key, wit: await issueWit(key, { sub: 'spiffe://evil.example/payments' }) })
      },
    ],
    [
      'a WIT of the trust domain of that name in another scheme',
      'unknown_trust_domain',
      async () => {
        const key = newKey()
        return withWpt({ key, wit: await issueWit(key, { sub: 'wimse://bank.example/payments' }) })
      },
    ],
    [
      'a WIT whose header says none',
      'unsupported_algorithm',
      async () =>
        changed(await withWpt(caller), 'Workload-Identity-Token', (wit) =>
          withHeader(wit, { alg: 'none', typ: 'wit+jwt' }, ''),
        ),
    ],
    [
      'a WIT with a MAC by the public key',
      'unsupported_algorithm',
      async () =>
        changed(await withWpt(caller), 'Workload-Identity-Token', (wit) =>
          withHeader(wit, { alg: 'HS256', typ: 'wit+jwt' }, 'AAAA'),
        ),
    ],
    [
      'a proof whose header says none',
      'unsupported_algorithm',
      async () =>
        changed(await withWpt(caller), 'Workload-Proof-Token', (wpt) =>
          withHeader(wpt, { alg: 'none', typ: 'wpt+jwt' }, ''),
        ),
    ],
    [
      'a proof by another algorithm than the WIT says',
      'algorithm_mismatch',
      async () =>
        changed(await withWpt(caller), 'Workload-Proof-Token', (wpt) =>
          withHeader(wpt, { alg: 'EdDSA', typ: 'wpt+jwt' }),
        ),
    ],
    [
      'a proof that is too long',
      'malformed_proof_token',
      async () => changed(await withWpt(caller), 'Workload-Proof-Token', () => 'a'.repeat(9000)),
    ],
    ['two WITs', 'duplicate_field', async () => added(await withWpt(caller), ['workload-identity-token', caller.wit])],
    [
      'a second WIT with underscores',
      'duplicate_field',
      async () => added(await withWpt(caller), ['Workload_Identity_Token', caller.wit]),
    ],
    ['a WIT with underscores, alone', 'duplicate_field', async () => header('WORKLOAD_IDENTITY_TOKEN', caller.wit)],
    [
      'a folded line',
      'malformed_message',
      async () => changed(await withWpt(caller), 'Workload-Identity-Token', (wit) => `${wit}\r\n ${wit}`),
    ],
    [
      'a signed response that is demanded',
      'not_implemented',
      async () => {
        const request = { method: 'GET', target: '/checkpoint', fields: [] as FieldLine[] }
        const fields = await signHttpRequest(
          request,
          {
            wit: caller.wit,
            audience: `${ORIGIN}/checkpoint`,
            nonce: nonce(),
            created: AT,
            expires: AT + 60,
            signResponse: true,
          },
          caller.key,
        )
        return { ...request, fields }
      },
    ],
  ]
  for (const [what, code, request] of refused) {
    it(`is refused: ${what} (${code})`, async () => {
      const found = await ask(undefined, await request())
      assert.equal(codeOf(found), code)
      assert.equal(found.caller.identifier, undefined)
      assert.equal(found.caller.by, 'none')
    })
  }

  it('is refused a second time (proof_replayed), also at the other door', async () => {
    const replay = new MemoryReplayCache()
    const request = await withWpt(caller)
    assert.equal((await ask(undefined, request, { replay })).refusal, undefined)
    assert.equal(codeOf(await ask(undefined, request, { replay })), 'proof_replayed')
  })

  it('is refused on a connection that is known, too', async () => {
    assert.equal(codeOf(await ask(SUBJECT, header('Workload-Identity-Token', caller.wit))), 'proof_missing')
  })

  it('is refused where nobody said who we are (wrong_audience)', async () => {
    assert.equal(codeOf(await ask(undefined, await withWpt(caller), { audience: {} })), 'wrong_audience')
  })

  it('tells the audit line whom it claimed, and no token', async () => {
    const { caller: found } = await ask(undefined, header('Workload-Identity-Token', caller.wit))
    assert.deepEqual(found, { by: 'none', asserted: SUBJECT })
    const unread = await ask(undefined, header('Workload-Identity-Token', `${caller.wit.slice(0, 40)}`))
    assert.deepEqual(unread.caller, { by: 'none', asserted: 'workload-identity-token' })
  })

  it('has no say where it is something else than a WIT', async () => {
    assert.deepEqual(
      await ask(SUBJECT, header('Authorization', 'Bearer something')).then((found) => found.refusal),
      undefined,
    )
    assert.deepEqual((await ask(undefined, header('Authorization', 'Basic YTpi'))).caller, { by: 'none' })
  })
})

describe('a header of whoever is no proxy of ours', () => {
  it('has no say, and is told as asserted', async () => {
    assert.deepEqual(await ask(undefined, xfcc(`URI=${SUBJECT}`)), { caller: { by: 'none', asserted: SUBJECT } })
    assert.deepEqual(await ask(undefined, header('Client-Cert', `:${toBase64(leaf.der)}:`)), {
      caller: { by: 'none', asserted: SUBJECT },
    })
    assert.deepEqual(await ask(undefined, header('X-SPIFFE-ID', SUBJECT)), {
      caller: { by: 'none', asserted: SUBJECT },
    })
  })

  it('is told by its name alone where it has no identifier in it', async () => {
    for (const value of ['', 'nonsense', 'URI=/issuer', `URI=${SUBJECT};URI=${SUBJECT}`, caller.wit]) {
      assert.deepEqual(await ask(undefined, xfcc(value)), {
        caller: { by: 'none', asserted: 'x-forwarded-client-cert' },
      })
    }
  })

  it('is refused where it names another than who is known to call (identity_conflict)', async () => {
    for (const request of [
      xfcc(`URI=${SUBJECT}`),
      header('x_forwarded_client_cert', `URI=${SUBJECT}`),
      header('X-Spiffe-Id', SUBJECT),
    ]) {
      const found = await ask(OTHER, request)
      assert.equal(codeOf(found), 'identity_conflict')
      assert.equal(found.caller.identifier, OTHER)
      assert.equal(found.caller.asserted, SUBJECT)
    }
    // Any of several.
    const both = await ask(OTHER, {
      fields: [
        ['X-Spiffe-Id', OTHER],
        ['X-Spiffe-Id', SUBJECT],
      ],
    })
    assert.equal(codeOf(both), 'identity_conflict')
  })

  it('is no obstacle where it names the same', async () => {
    const { caller: found, refusal } = await ask(SUBJECT, xfcc(`URI=${SUBJECT}`))
    assert.equal(refusal, undefined)
    assert.equal(found.by, 'mtls')
  })

  it('is no obstacle to a proof, which says who calls', async () => {
    const request = added(await withWpt(caller), ['X-Forwarded-Client-Cert', `URI=${OTHER}`])
    const { caller: found, refusal } = await ask(undefined, request)
    assert.equal(refusal, undefined)
    assert.deepEqual([found.by, found.identifier, found.asserted], ['wit+wpt', SUBJECT, OTHER])
  })
})

describe('a proxy', () => {
  it('speaks for whose certificate it saw', async () => {
    const { caller: found, refusal } = await ask(PROXY, header('Client-Cert', `:${toBase64(leaf.der)}:`))
    assert.equal(refusal, undefined)
    assert.deepEqual(found, {
      by: 'proxy',
      via: PROXY,
      identifier: SUBJECT,
      trustDomain: 'bank.example',
      credential: toHex(sha256(leaf.der)),
    })
  })

  it('speaks for an identifier of the trust domains that it is set up for', async () => {
    const { caller: found } = await ask(
      ENVOY,
      xfcc(`By=${ENVOY};Hash=${'0'.repeat(64)};Subject="CN=a\\",URI=b";URI=${SUBJECT}`),
    )
    assert.deepEqual(found, { by: 'proxy', via: ENVOY, identifier: SUBJECT, trustDomain: 'bank.example' })
  })

  it('speaks by a certificate in X-Forwarded-Client-Cert, which is verified', async () => {
    const value = (each: typeof leaf) => `Cert="${encodeURIComponent(pem(each))}";URI=${SUBJECT}`
    assert.equal((await ask(ENVOY, xfcc(value(leaf)))).caller.identifier, SUBJECT)
    assert.equal(codeOf(await ask(ENVOY, xfcc(value(foreign)))), 'unknown_anchor')
    const lied = `Cert="${encodeURIComponent(pem(leaf))}";URI=${OTHER}`
    assert.equal(codeOf(await ask(ENVOY, xfcc(lied))), 'identity_conflict')
  })

  it('is not who calls: without its header its client is nobody', async () => {
    assert.deepEqual(await ask(PROXY, {}), { caller: { by: 'none', via: PROXY } })
    // And the header that it does not set is what its client sent.
    assert.deepEqual(await ask(PROXY, xfcc(`URI=${SUBJECT}`)), { caller: { by: 'none', via: PROXY } })
    assert.deepEqual(await ask(ENVOY, header('Client-Cert', `:${toBase64(leaf.der)}:`)), {
      caller: { by: 'none', via: ENVOY },
    })
  })

  it('passes on what its client proves, and is refused where that is another (identity_conflict)', async () => {
    const { caller: found } = await ask(PROXY, await withWpt(caller))
    assert.deepEqual([found.by, found.via, found.identifier], ['wit+wpt', PROXY, SUBJECT])
    const both = added(await withWpt(caller), ['X-Forwarded-Client-Cert', `URI=${OTHER}`])
    assert.equal(codeOf(await ask(ENVOY, both)), 'identity_conflict')
  })

  const smuggled: readonly (readonly [what: string, code: string, ...fields: FieldLine[]])[] = [
    [
      'the header twice',
      'duplicate_field',
      ['X-Forwarded-Client-Cert', `URI=${SUBJECT}`],
      ['X-Forwarded-Client-Cert', `URI=${OTHER}`],
    ],
    [
      'the header in odd case, twice',
      'duplicate_field',
      ['x-FORWARDED-client-CERT', `URI=${SUBJECT}`],
      ['X-Forwarded-Client-Cert', `URI=${SUBJECT}`],
    ],
    ['the header with underscores', 'duplicate_field', ['X_Forwarded_Client_Cert', `URI=${SUBJECT}`]],
    [
      'the header with one underscore, beside it',
      'duplicate_field',
      ['X-Forwarded-Client-Cert', `URI=${SUBJECT}`],
      ['X-Forwarded-Client_Cert', `URI=${OTHER}`],
    ],
    ['two elements', 'malformed_message', ['X-Forwarded-Client-Cert', `URI=${OTHER},URI=${SUBJECT}`]],
    [
      'an element that its client sent, before it',
      'malformed_message',
      ['X-Forwarded-Client-Cert', `By=a;URI=${OTHER}, By=b;URI=${SUBJECT}`],
    ],
    ['two names', 'malformed_message', ['X-Forwarded-Client-Cert', `URI=${OTHER};URI=${SUBJECT}`]],
    ['two names in two cases', 'malformed_message', ['X-Forwarded-Client-Cert', `URI=${OTHER};uri=${SUBJECT}`]],
    ['a quotation that does not end', 'malformed_message', ['X-Forwarded-Client-Cert', `URI=${SUBJECT};Subject="CN=a`]],
    ['a quotation that ends early', 'malformed_message', ['X-Forwarded-Client-Cert', `Subject="CN=a"b;URI=${SUBJECT}`]],
    [
      'a quotation that ends early, and a name',
      'malformed_message',
      ['X-Forwarded-Client-Cert', `Subject="CN=";URI=${OTHER};x="";URI=${SUBJECT}`],
    ],
    [
      'a quoted end of a quotation',
      'malformed_message',
      ['X-Forwarded-Client-Cert', `Subject="CN=a\\";URI=${SUBJECT}`],
    ],
    ['space around', 'malformed_message', ['X-Forwarded-Client-Cert', `By=a; URI=${SUBJECT}`]],
    ['no name', 'malformed_message', ['X-Forwarded-Client-Cert', 'By=a;Hash=b']],
    ['an empty name', 'malformed_message', ['X-Forwarded-Client-Cert', 'URI=']],
    ['an empty header', 'malformed_message', ['X-Forwarded-Client-Cert', '']],
    ['a semicolon at the end', 'malformed_message', ['X-Forwarded-Client-Cert', `URI=${SUBJECT};`]],
    [
      'a name in another spelling',
      'malformed_identifier',
      ['X-Forwarded-Client-Cert', 'URI=spiffe://bank.example/a/../payments'],
    ],
    [
      'a name with a quoted character',
      'malformed_identifier',
      ['X-Forwarded-Client-Cert', 'URI="spiffe://bank.example/pay\\ments"'],
    ],
    [
      'a name that is no workload',
      'malformed_identifier',
      ['X-Forwarded-Client-Cert', 'URI=https://bank.example/payments'],
    ],
    [
      'a name of another scheme',
      'unknown_trust_domain',
      ['X-Forwarded-Client-Cert', 'URI=wimse://bank.example/payments'],
    ],
    [
      'a name of a trust domain that nobody configured',
      'unknown_trust_domain',
      ['X-Forwarded-Client-Cert', 'URI=spiffe://evil.example/payments'],
    ],
    ['a prototype for a key', 'malformed_message', ['X-Forwarded-Client-Cert', `__proto__=a;URI=${SUBJECT}`]],
    ['a line break', 'malformed_message', ['X-Forwarded-Client-Cert', `URI=${OTHER}\r\nURI=${SUBJECT}`]],
  ]
  for (const [what, code, ...fields] of smuggled) {
    it(`is refused with ${what} (${code})`, async () => {
      const found = await ask(ENVOY, { fields })
      assert.equal(codeOf(found), code)
      assert.equal(found.caller.identifier, undefined)
    })
  }

  const der = toBase64(leaf.der)
  const certificates: readonly (readonly [what: string, code: string, ...fields: FieldLine[]])[] = [
    ['no byte sequence', 'malformed_structured_field', ['Client-Cert', der]],
    ['two', 'malformed_structured_field', ['Client-Cert', `:${der}:, :${der}:`]],
    ['parameters', 'malformed_structured_field', ['Client-Cert', `:${der}:;a=1`]],
    ['base64 that is none', 'malformed_structured_field', ['Client-Cert', ':AAA:']],
    ['nothing in it', 'malformed_structured_field', ['Client-Cert', '::']],
    ['no certificate in it', 'malformed_der', ['Client-Cert', ':AAAA:']],
    ['the certificate of an authority', 'identifier_missing', ['Client-Cert', `:${toBase64(root.der)}:`]],
    ['the certificate of somebody else’s authority', 'unknown_anchor', ['Client-Cert', `:${toBase64(foreign.der)}:`]],
    ['a chain without a certificate', 'malformed_message', ['Client-Cert-Chain', `:${der}:`]],
    [
      'a chain that is too long',
      'malformed_message',
      ['Client-Cert', `:${der}:`],
      ['Client-Cert-Chain', Array(4).fill(`:${der}:`).join(', ')],
    ],
    ['the certificate twice', 'duplicate_field', ['Client-Cert', `:${der}:`], ['client-cert', `:${der}:`]],
  ]
  for (const [what, code, ...fields] of certificates) {
    it(`is refused with a Client-Cert of ${what} (${code})`, async () => {
      assert.equal(codeOf(await ask(PROXY, { fields })), code)
    })
  }

  it('does not speak for a trust domain by name alone that it was not set up for (trust_domain_mismatch)', async () => {
    const proxies = new Map([[ENVOY, { header: 'x-forwarded-client-cert' as const, trustDomains: new Set<string>() }]])
    assert.equal(codeOf(await ask(ENVOY, xfcc(`URI=${SUBJECT}`), { proxies })), 'trust_domain_mismatch')
  })

  it('is read in linear time', async () => {
    for (const value of [`Subject="${'\\"'.repeat(4000)}`, 'A='.repeat(4000), `${'URI=;'.repeat(1600)}`]) {
      // Of our own work: the machine may have others.
      const start = process.cpuUsage()
      await ask(ENVOY, xfcc(value))
      assert.ok(process.cpuUsage(start).user < 50_000)
    }
  })
})

/** `token` with another header, and signature where given. */
function withHeader(token: string, header: object, signature?: string): string {
  const [, payload, own] = token.split('.')
  return `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${payload}.${signature ?? own}`
}
