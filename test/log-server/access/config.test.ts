// `server.access`: what is misspelt, impossible or about nobody is refused at the start, and no name is the name of something else.
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Rules } from '../../../log-server/access/authorize.ts'
import { serverConfig } from '../../../log-server/config.ts'
import { parseWorkloadIdentifier } from '../../../provenance/index.ts'

let dir: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'provlog-access-config-'))
})
after(() => rm(dir, { recursive: true }))

const ISSUER = 'spiffe://bank.example/issuer'
const honest = {
  trustDomains: {
    'bank.example': { bundle: 'trust/bank.json' },
    'partner.example': { bundle: '/trust/partner.json', profile: 'wimse' },
  },
  rules: [{ who: [ISSUER], may: ['append:issuer', 'read'] }],
}
const read = async (access: unknown, server: object = {}) => {
  const text = typeof access === 'string' ? access : JSON.stringify(access)
  await writeFile(join(dir, 'config.json'), `{"server":{"access":${text},"x":0}}`.replace(',"x":0', membersOf(server)))
  return (await serverConfig(dir)).access!
}
const membersOf = (server: object) =>
  Object.entries(server)
    .map(([name, value]) => `,${JSON.stringify(name)}:${JSON.stringify(value)}`)
    .join('')

describe('server.access', () => {
  it('has defaults, absolute paths, and maps', async () => {
    assert.deepEqual(await read(honest), {
      clientCertificate: 'optional',
      trustDomains: new Map([
        ['bank.example', { bundle: join(dir, 'trust/bank.json') }],
        ['partner.example', { bundle: '/trust/partner.json', profile: 'wimse' }],
      ]),
      audience: [],
      proxies: new Map(),
      rules: [{ who: [ISSUER], may: ['append:issuer', 'read'], recipientKeys: [] }],
      limits: new Map(),
      audit: { file: 'stderr', sync: false },
    })
  })

  it('is read whole', async () => {
    const access = await read(
      {
        ...honest,
        clientCertificate: 'required',
        trustDomains: { 'bank.example': { bundle: 'b', profile: 'spiffe', maxLifetime: 60, crls: ['c.crl'] } },
        audience: ['https://log.bank.example', 'urn:log'],
        proxies: [{ who: 'spiffe://bank.example/edge', header: 'client-cert', trustDomains: ['bank.example'] }],
        rules: [
          { who: ['anonymous'], may: ['read:general'] },
          { trustDomain: 'bank.example', may: ['read'] },
          { who: [ISSUER], may: ['wraps'], recipientKeys: ['A'.repeat(43)] },
        ],
        limits: {
          default: { requestsPerSecond: 0.5 },
          [ISSUER]: { requestsPerSecond: 1, burst: 3 },
          anonymous: { bytesPerSecond: 9 },
        },
        admin: { listen: { host: '127.0.0.1', port: 8788 } },
        audit: { file: 'audit.jsonl', sync: true },
      },
      { tls: { cert: 'c', key: 'k' } },
    )
    assert.equal(access.clientCertificate, 'required')
    assert.deepEqual(access.trustDomains.get('bank.example')?.crls, [join(dir, 'c.crl')])
    assert.deepEqual(access.proxies.get('spiffe://bank.example/edge'), {
      header: 'client-cert',
      trustDomains: new Set(['bank.example']),
    })
    assert.deepEqual([...access.limits.keys()], ['default', ISSUER, 'anonymous'])
    assert.deepEqual(access.admin, { listen: { host: '127.0.0.1', port: 8788 }, tls: false })
    assert.deepEqual(access.audit, { file: join(dir, 'audit.jsonl'), sync: true })
  })

  const rule = (change: object) => ({ ...honest, rules: [{ who: [ISSUER], may: ['read'], ...change }] })
  const domains = (names: readonly string[]) => ({
    ...honest,
    rules: [],
    trustDomains: Object.fromEntries(names.map((name) => [name, { bundle: 'b' }])),
  })
  const refused: readonly (readonly [what: string, access: unknown, server?: object])[] = [
    ['no object', 7],
    ['no rules', { trustDomains: {} }],
    ['no trust domains', { rules: [] }],
    ['a member that does not exist', { ...honest, rule: [] }],
    ['a right that does not exist', rule({ may: ['write'] })],
    ['a right with a capital', rule({ may: ['Read'] })],
    ['no right', rule({ may: [] })],
    ['a right of a prototype', rule({ may: ['constructor'] })],
    ['a rule about nobody', { ...honest, rules: [{ may: ['read'] }] }],
    ['an empty who', rule({ who: [] })],
    ['a path for who', rule({ who: ['/issuer'] })],
    ['a trust domain for who', rule({ who: ['bank.example'] })],
    ['a pattern for who', rule({ who: ['spiffe://bank.example/*'] })],
    ['a whole trust domain for who', rule({ who: ['spiffe://bank.example'] })],
    ['an identifier of a trust domain that is not there', rule({ who: ['spiffe://other.example/issuer'] })],
    ['an identifier of another scheme', rule({ who: ['wimse://bank.example/issuer'] })],
    ['a trust domain that is not there', rule({ trustDomain: 'other.example' })],
    ['a trust domain of a prototype', rule({ trustDomain: 'constructor' })],
    ['keys of several recipients', rule({ who: [ISSUER, `${ISSUER}2`], recipientKeys: ['A'.repeat(43)] })],
    ['keys of nobody', rule({ who: ['anonymous'], recipientKeys: ['A'.repeat(43)] })],
    ['keys that are none', rule({ recipientKeys: ['A'] })],
    ['a name that is no trust domain', domains(['Bank.example'])],
    ['an empty name of a trust domain', domains([''])],
    ['a trust domain without anchors', { ...honest, trustDomains: { 'bank.example': {} } }],
    ['a lifetime of nothing', { ...honest, trustDomains: { 'bank.example': { bundle: 'b', maxLifetime: 0 } } }],
    [
      'a profile that does not exist',
      { ...honest, trustDomains: { 'bank.example': { bundle: 'b', profile: 'x509' } } },
    ],
    ['a proxy as text', { ...honest, proxies: ['spiffe://bank.example/edge'] }],
    ['a proxy without a header', { ...honest, proxies: [{ who: 'spiffe://bank.example/edge' }] }],
    [
      'a proxy with a header that nobody reads',
      { ...honest, proxies: [{ who: 'spiffe://bank.example/edge', header: 'x-spiffe-id' }] },
    ],
    [
      'a proxy of another trust domain',
      { ...honest, proxies: [{ who: 'spiffe://other.example/edge', header: 'client-cert' }] },
    ],
    [
      'a proxy that speaks for another trust domain',
      {
        ...honest,
        proxies: [{ who: 'spiffe://bank.example/edge', header: 'client-cert', trustDomains: ['other.example'] }],
      },
    ],
    [
      'a proxy twice',
      { ...honest, proxies: [1, 2].map(() => ({ who: 'spiffe://bank.example/edge', header: 'client-cert' })) },
    ],
    ['an audience with a path’s end', { ...honest, audience: ['https://log.example/'] }],
    ['an audience with a query', { ...honest, audience: ['https://log.example?x'] }],
    ['an empty audience', { ...honest, audience: [''] }],
    ['limits of a stranger', { ...honest, limits: { 'spiffe://other.example/x': {} } }],
    ['limits of a prototype', { ...honest, limits: { constructor: {} } }],
    ['a limit of nothing', { ...honest, limits: { default: { requestsPerSecond: 0 } } }],
    ['a burst of nothing', { ...honest, limits: { default: { burst: 3 } } }],
    ['a burst of an hour', { ...honest, limits: { default: { requestsPerSecond: 1, burst: 3600 } } }],
    ['certificates without tls', { ...honest, clientCertificate: 'required' }],
    ['admins elsewhere in clear text', { ...honest, admin: { listen: { host: '0.0.0.0', port: 1 } } }],
    [
      'admins elsewhere in clear text, though that is meant for others',
      { ...honest, admin: { listen: { host: '0.0.0.0', port: 1 } } },
      { insecureListen: true },
    ],
    [
      'admins over tls without a certificate',
      { ...honest, admin: { tls: true, listen: { host: '127.0.0.1', port: 1 } } },
    ],
    ['an audit file without a name', { ...honest, audit: { file: '' } }],
    ['an audit of an option that does not exist', { ...honest, audit: { file: 'a', fsync: true } }],
  ]
  for (const [what, access, server] of refused) {
    it(`refuses ${what} (malformed_config)`, async () => {
      await assert.rejects(read(access, server), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'malformed_config')
        assert.match(error.message, /server\.access|server/)
        return true
      })
    })
  }

  it('takes names of prototypes for what they are', async () => {
    const text = `{"trustDomains":{"__proto__":{"bundle":"b"},"constructor":{"bundle":"c"}},
      "rules":[{"who":["spiffe://constructor/toString"],"may":["read"]},{"trustDomain":"__proto__","may":["read:general"]}],
      "limits":{"spiffe://__proto__/x":{"concurrent":1}}}`
    const { trustDomains, rules, limits } = await read(text)
    assert.deepEqual([...trustDomains.keys()].sort(), ['__proto__', 'constructor'])
    assert.deepEqual([...limits.keys()], ['spiffe://__proto__/x'])
    const compiled = new Rules(rules, (uri) => parseWorkloadIdentifier(uri).trustDomain)
    const grants = (identifier: string) => compiled.grantsOf(parsed(identifier))
    assert.ok(grants('spiffe://constructor/toString').has('read'))
    assert.ok(!grants('spiffe://constructor/valueOf').has('read'))
    assert.ok(grants('spiffe://__proto__/x').has('read:general'))
    for (const name of ['hasOwnProperty', 'toString', 'bank.example']) {
      assert.deepEqual([...compiled.grantsOf({ identifier: name, trustDomain: name })], ['anyone'])
    }
  })
})

const parsed = (uri: string) => ({ identifier: uri, trustDomain: parseWorkloadIdentifier(uri).trustDomain })

describe('Rules', () => {
  it('add up: of the identifier, of its trust domain, and of everybody', () => {
    const rules = new Rules(
      [
        { who: ['anonymous'], may: ['read:general'], recipientKeys: [] },
        { who: [], trustDomain: 'bank.example', may: ['read'], recipientKeys: [] },
        { who: [ISSUER], may: ['append:issuer'], recipientKeys: [] },
        { who: [ISSUER, 'spiffe://bank.example/other'], may: ['wraps'], recipientKeys: [] },
      ],
      (uri) => parseWorkloadIdentifier(uri).trustDomain,
    )
    const rights = (uri?: string) => rules.grantsOf(uri === undefined ? {} : parsed(uri))
    for (const right of ['append:issuer', 'wraps', 'read', 'read:general'] as const)
      assert.ok(rights(ISSUER).has(right))
    assert.ok(!rights('spiffe://bank.example/other').has('append:issuer'))
    assert.ok(rights('spiffe://bank.example/third').has('read'))
    assert.ok(!rights('spiffe://bank.example/third').has('wraps'))
    assert.ok(!rights().has('read'))
    assert.ok(rights().has('read:general'))
  })
})
