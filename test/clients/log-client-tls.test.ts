// How a client knows the server of a log, and shows who it is itself: by name, by identifier, by both, and as files are renewed.
import 'reflect-metadata'
import assert from 'node:assert/strict'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, describe, it } from 'node:test'
import type { TLSSocket, TlsOptions } from 'node:tls'
import { type ClientTls, createFetcher } from '../../clients/log-client/index.ts'
import { utf8 } from '../../merkle/bytes.ts'
import { parseCertificate } from '../../provenance/certificates/certificate.ts'
import { checkServerName } from '../../provenance/certificates/server-name.ts'
import {
  certify,
  type Edits,
  type Holder,
  keyPem,
  names,
  pem,
  SUBJECT,
  uris,
  workload,
} from '../certificates/authority.ts'

const NOW = Math.floor(Date.now() / 1000)
const issue = (name: string, edits: Edits = {}) =>
  certify(name, { notBefore: NOW - 3600, notAfter: NOW + 3600, ...edits })
const root = await issue('root')
const other = await issue('other')
const NAMES = {
  uri: { type: 'url', value: SUBJECT },
  localhost: { type: 'dns', value: 'localhost' },
  elsewhere: { type: 'dns', value: 'elsewhere.example' },
  address: { type: 'ip', value: '127.0.0.1' },
} as const
const shown = (...of: (keyof typeof NAMES)[]) =>
  issue('server', { issuer: root, extensions: workload(names(of.map((name) => NAMES[name]))) })
const pairOf = async (holder: Holder, ...between: Holder[]) => ({
  cert: pem(holder, ...between),
  key: await keyPem(holder),
})

const servers: https.Server[] = []
after(() => {
  for (const server of servers) {
    server.closeAllConnections()
    server.close()
  }
})

/** What clients showed, by request. */
interface Served {
  readonly port: number
  readonly serials: (string | undefined)[]
  readonly server: https.Server
}

async function serve(holder: Holder, options: TlsOptions = {}): Promise<Served> {
  const serials: (string | undefined)[] = []
  const server = https.createServer({ ...(await pairOf(holder)), ...options }, ({ socket }, response) => {
    serials.push((socket as TLSSocket).getPeerCertificate().serialNumber)
    response.end('ok')
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
  return { port: (server.address() as AddressInfo).port, serials, server }
}

const expecting = (identifier = SUBJECT, anchor = root): ClientTls => ({
  server: { identifier, bundle: async () => utf8(pem(anchor)) },
})

/** The status of an answer, or the code of why there is none. */
async function ask(url: string, tls: ClientTls): Promise<unknown> {
  const fetcher = createFetcher({ url, tls })
  try {
    return (await fetcher.fetch({ path: 'x', maxBytes: 100 })).status
  } catch (error) {
    return (error as { code?: unknown }).code ?? String(error)
  } finally {
    fetcher.close()
  }
}

describe('a server that is known', () => {
  const ca = { ca: pem(root) }
  type Row = readonly [
    what: string,
    outcome: unknown,
    holder: () => Promise<Holder>,
    host: 'localhost' | '127.0.0.1',
    tls: ClientTls,
  ]
  const rows: readonly Row[] = [
    ['by name, and has it', 200, () => shown('localhost'), 'localhost', ca],
    ['by name, and has another', 'untrusted_certificate', () => shown('elsewhere'), 'localhost', ca],
    [
      'by name, and has it as common name alone',
      'untrusted_certificate',
      () => issue('localhost', { issuer: root, extensions: workload() }),
      'localhost',
      ca,
    ],
    ['by address, and has it', 200, () => shown('address'), '127.0.0.1', ca],
    ['by address, and has an identifier alone', 'untrusted_certificate', () => shown('uri'), '127.0.0.1', ca],
    ['by identifier, at an address', 200, () => shown('uri'), '127.0.0.1', expecting()],
    ['by identifier, at a name that it lacks', 'server_name_mismatch', () => shown('uri'), 'localhost', expecting()],
    [
      'by identifier, at a name that is its common name',
      'server_name_mismatch',
      () => issue('localhost', { issuer: root, extensions: workload() }),
      'localhost',
      expecting(),
    ],
    ['by identifier and by name, and has both', 200, () => shown('uri', 'localhost'), 'localhost', expecting()],
    [
      'by identifier, and has another',
      'unexpected_peer',
      () => shown('uri'),
      '127.0.0.1',
      expecting('spiffe://bank.example/admin'),
    ],
    [
      'by identifier, and has one in another trust domain',
      'unknown_trust_domain',
      () => shown('uri'),
      '127.0.0.1',
      expecting('spiffe://partner.example/payments'),
    ],
    ['by identifier, and has the name alone', 'identifier_missing', () => shown('localhost'), 'localhost', expecting()],
    [
      'by identifier, under anchors that do not vouch for it',
      'unknown_anchor',
      () => shown('uri'),
      '127.0.0.1',
      expecting(SUBJECT, other),
    ],
    [
      'by identifier, and by anchors that vouch for it too',
      200,
      () => shown('uri'),
      '127.0.0.1',
      { ...expecting(), ...ca },
    ],
    [
      'by identifier, and by anchors that do not',
      'untrusted_certificate',
      () => shown('uri'),
      '127.0.0.1',
      { ...expecting(), ca: pem(other) },
    ],
    [
      'by identifier, of another scheme',
      'unknown_trust_domain',
      () => shown('uri'),
      '127.0.0.1',
      expecting('wimse://bank.example/payments'),
    ],
    ['by what is no identifier', 'malformed_identifier', () => shown('uri'), '127.0.0.1', expecting('bank.example')],
  ]
  for (const [what, outcome, holder, host, tls] of rows) {
    it(`${what}: ${String(outcome)}`, async () => {
      const { port, serials } = await serve(await holder())
      assert.equal(await ask(`https://${host}:${port}`, tls), outcome)
      assert.equal(serials.length, outcome === 200 ? 1 : 0)
    })
  }

  it('by identifier is not asked without TLS (insecure_url)', () => {
    assert.throws(() => createFetcher({ url: 'http://127.0.0.1:1', tls: expecting() }), { code: 'insecure_url' })
  })

  it('makes a client that must show a certificate, and does not, give up at once (certificate_refused)', async () => {
    const { port } = await serve(await shown('uri'), { requestCert: true, rejectUnauthorized: true, ca: pem(root) })
    assert.equal(await ask(`https://127.0.0.1:${port}`, expecting()), 'certificate_refused')
  })

  it('is judged anew on each connection: sessions are not resumed', async () => {
    const { port, server } = await serve(await shown('uri'))
    const reused: boolean[] = []
    server.on('secureConnection', (socket) => reused.push(socket.isSessionReused()))
    const fetcher = createFetcher({ url: `https://127.0.0.1:${port}`, tls: expecting() })
    for (let i = 0; i < 3; i++) {
      await fetcher.fetch({ path: 'x', maxBytes: 100 })
      server.closeAllConnections()
    }
    fetcher.close()
    assert.deepEqual(reused, [false, false, false])
  })
})

describe('a client', () => {
  /** Asked for, and looked at by nobody. */
  const open = { requestCert: true, rejectUnauthorized: false }

  /** A fetcher over files that change, at times that we say. */
  async function renewing(first: Holder, options: { readonly sockets?: number } = {}) {
    const served = await serve(await shown('uri'), open)
    const state = { now: NOW, pair: await pairOf(first), bundle: pem(root) }
    const fetcher = createFetcher({
      url: `https://127.0.0.1:${served.port}`,
      tls: {
        certificate: async () => state.pair,
        server: { identifier: SUBJECT, bundle: async () => utf8(state.bundle) },
      },
      now: () => state.now,
      ...options,
    })
    return { ...served, state, fetcher, ask: () => fetcher.fetch({ path: 'x', maxBytes: 100 }) }
  }
  const holder = (edits: Edits = {}) =>
    issue('client', { issuer: root, extensions: workload(uris('spiffe://bank.example/c')), ...edits })
  const upper = (...holders: Holder[]) => holders.map(({ serial }) => serial.toUpperCase())

  it('shows its certificate, and the renewed one a few seconds later, also where connections are kept', async () => {
    const [first, second] = [await holder(), await holder()]
    const { state, serials, ask, fetcher } = await renewing(first)
    await ask()
    state.pair = await pairOf(second)
    await ask()
    state.now += 5
    await ask()
    assert.deepEqual(serials, upper(first, first, second))
    fetcher.close()
  })

  it('shows what it has while one file is renewed and the other is not', async () => {
    const [first, second] = [await holder(), await holder({ keys: (await issue('another key')).keys })]
    const { state, serials, ask, fetcher } = await renewing(first)
    await ask()
    state.pair = { ...state.pair, cert: pem(second) }
    state.now += 5
    await ask()
    state.pair = { cert: '', key: '' }
    state.now += 5
    await ask()
    state.pair = await pairOf(second)
    state.now += 5
    await ask()
    assert.deepEqual(serials, upper(first, first, first, second))
    fetcher.close()
  })

  it('sends no request under a certificate that has ended', async () => {
    const [first, second] = [await holder({ notAfter: NOW + 60 }), await holder()]
    const { state, serials, ask, fetcher } = await renewing(first)
    await ask()
    state.pair = await pairOf(second)
    state.now = NOW + 56
    await ask()
    assert.deepEqual(serials, upper(first, second))
    fetcher.close()
  })

  it('ends connections to a server whose anchor was withdrawn (unknown_anchor)', async () => {
    const { state, ask, serials, fetcher } = await renewing(await holder())
    await ask()
    state.bundle = pem(other)
    state.now += 5
    await assert.rejects(ask(), { code: 'unknown_anchor' })
    assert.equal(serials.length, 1)
    fetcher.close()
  })

  it('ends connections to a server whose certificate has ended (credential_expired)', async () => {
    const { state, ask, fetcher } = await renewing(await holder({ notAfter: NOW + 9000 }))
    await ask()
    state.now = NOW + 3601
    await assert.rejects(ask(), { code: 'credential_expired' })
    fetcher.close()
  })

  it('keeps the anchors that it has when their file is damaged', async () => {
    const { state, ask, fetcher } = await renewing(await holder())
    await ask()
    state.bundle = pem(other).slice(0, -40)
    state.now += 5
    await ask()
    fetcher.close()
  })

  it('says so when it has no certificate to begin with (unusable_certificate)', async () => {
    const { state, ask, fetcher } = await renewing(await holder())
    const { cert } = state.pair
    for (const pair of [
      { cert: 'nothing', key: '' },
      { cert, key: await keyPem(other) },
      { cert: '', key: '' },
    ]) {
      state.pair = pair
      await assert.rejects(ask(), { code: 'unusable_certificate' })
    }
    fetcher.close()
  })

  it('opens no more connections than it may, however many requests there are', async () => {
    const { ask, server, fetcher, serials } = await renewing(await holder(), { sockets: 3 })
    let connections = 0
    server.on('secureConnection', () => connections++)
    await Promise.all(Array.from({ length: 40 }, () => ask()))
    assert.equal(serials.length, 40)
    assert.ok(connections <= 3, `${connections} connections`)
    fetcher.close()
  })
})

describe('checkServerName', () => {
  const at = async (host: string, ...of: Parameters<typeof names>[0]) => {
    const holder = await issue('server', { issuer: root, extensions: workload(names(of)) })
    checkServerName(parseCertificate(holder.der), host)
  }
  const dns = (value: string) => ({ type: 'dns', value }) as const
  const ip = (value: string) => ({ type: 'ip', value }) as const
  const rows: readonly (readonly [
    host: string,
    name: ReturnType<typeof dns> | ReturnType<typeof ip>,
    holds: boolean,
  ])[] = [
    ['log.example', dns('log.example'), true],
    ['LOG.example', dns('log.EXAMPLE'), true],
    ['log.example.', dns('log.example'), true],
    ['log.example', dns('log.example.org'), false],
    ['a.log.example', dns('*.log.example'), true],
    ['a.b.log.example', dns('*.log.example'), false],
    ['log.example', dns('*.log.example'), false],
    ['log.example', dns('*.example'), false],
    ['localhost', dns('*'), false],
    ['log.example', dns('*.*'), false],
    ['log.example', dns('l*.example'), false],
    ['a.log.example', dns('*.*.example'), false],
    ['example', dns('*.'), false],
    ['127.0.0.1', ip('127.0.0.1'), true],
    ['127.0.0.1', dns('127.0.0.1'), false],
    ['127.0.0.1', ip('127.0.0.2'), false],
    ['::1', ip('::1'), true],
    ['::1', ip('::2'), false],
    ['2001:db8::1:0:5', ip('2001:db8:0:0:0:1:0:5'), true],
  ]
  for (const [host, name, holds] of rows) {
    it(`${holds ? 'takes' : 'refuses'} ${name.type} ${name.value} for ${host}`, async () => {
      if (holds) await at(host, name)
      else await assert.rejects(at(host, name), { code: 'server_name_mismatch' })
    })
  }
})
