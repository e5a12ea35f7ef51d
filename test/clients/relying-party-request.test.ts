// A request to a relying party: the credential's provenance and the proof of possession in one report, and what is written down of it.
import assert from 'node:assert/strict'
import { createPrivateKey, type JsonWebKey } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { describe, it } from 'node:test'
import { connect, createServer, type TLSSocket } from 'node:tls'
import {
  decisionRecord,
  parseDecisionRecord,
  type RequestInput,
  verifyOffline,
  verifyRequest,
} from '../../clients/relying-party/index.ts'
import { fromUtf8, toHex, utf8 } from '../../merkle/index.ts'
import {
  decodePem,
  type FieldLine,
  type HttpRequest,
  MemoryReplayCache,
  signHttpRequest,
  signWpt,
  type VerificationReport,
} from '../../provenance/index.ts'
import { AT, buildWorld, SUBJECT } from '../provenance/world.ts'

const world = await buildWorld()
const certified = await buildWorld({ kind: 'wic' })
const wit = fromUtf8(world.credential)
const [audience, target] = ['https://rp.example/pay', '/pay?now']

let count = 0
const nonce = () => `nonce-of-sufficient-length-${count++}`
const post = (...fields: readonly FieldLine[]): HttpRequest => ({ method: 'POST', target, fields })
const withWpt = async (key = world.keys.workload): Promise<HttpRequest> => {
  const wpt = await signWpt({ wit, audience, expiresAt: AT + 60, jti: nonce() }, key)
  return post(['Workload-Identity-Token', wit], ['Workload-Proof-Token', wpt])
}
const input = async (request: HttpRequest): Promise<RequestInput> => ({
  request,
  bundle: await world.encoded(),
  trust: world.trust,
  at: AT,
  audience: { origins: ['https://rp.example'] },
  replay: new MemoryReplayCache(),
})
const possessionOf = ({ checks }: VerificationReport) => checks.find(({ id }) => id === 'possession')!

describe('a request to a relying party', () => {
  it('is reported with its proof and its provenance', async () => {
    const report = await verifyRequest(await input(await withWpt()))
    assert.equal(report.ok, true, JSON.stringify(report.checks))
    assert.equal(report.credential?.subject, SUBJECT)
    assert.deepEqual(possessionOf(report).outcome, 'passed')
    assert.deepEqual(report.possession, { ways: ['wpt'], replay: 'first-use' })
  })

  it('may be signed as a whole', async () => {
    const request = { ...post(), content: utf8('1 EUR') }
    const times = { created: AT, expires: AT + 60 }
    const fields = await signHttpRequest(request, { wit, audience, nonce: nonce(), ...times }, world.keys.workload)
    const report = await verifyRequest(await input({ ...request, fields }))
    assert.equal(report.ok, true, JSON.stringify(report.checks))
    const swapped = await verifyRequest(await input({ ...request, fields, content: utf8('9 EUR') }))
    assert.equal(possessionOf(swapped).code, 'content_digest_mismatch')
  })

  it('says so when nobody looked for replays', async () => {
    const report = await verifyRequest({ ...(await input(await withWpt())), replay: 'not-looked-for' })
    assert.equal(report.ok, true)
    assert.match(possessionOf(report).detail, /nobody looked whether it was used before/)
  })

  it('is refused with everything else in order, when the proof is missing, of another key, or used', async () => {
    const bare = await verifyRequest(await input(post(['Workload-Identity-Token', wit])))
    assert.equal(bare.ok, false)
    assert.equal(possessionOf(bare).code, 'proof_missing')
    assert.deepEqual(
      bare.checks.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id),
      ['possession'],
    )

    const once = await input(await withWpt())
    assert.equal((await verifyRequest(once)).ok, true)
    assert.equal(possessionOf(await verifyRequest(once)).code, 'proof_replayed')
  })

  it('is proven in the way that the record demands, or refused (wrong_proof_way)', async () => {
    const demanding = await buildWorld({
      record: (name, record) =>
        name === 'credential-provenance'
          ? ({ ...record, fields: { ...record.fields, pop: 'httpsig' } } as typeof record)
          : record,
    })
    const { credential, trust, keys } = demanding
    const own = fromUtf8(credential)
    const common = { ...(await input(post())), bundle: await demanding.encoded(), trust }
    const way = ({ checks }: VerificationReport) => checks.find(({ id }) => id === 'proof-way')
    const times = { created: AT, expires: AT + 60 }
    const fields = await signHttpRequest(post(), { wit: own, audience, nonce: nonce(), ...times }, keys.workload)
    assert.equal(way(await verifyRequest({ ...common, request: post(...fields) }))?.outcome, 'passed')
    const wpt = await signWpt({ wit: own, audience, expiresAt: AT + 60, jti: nonce() }, keys.workload)
    const request = post(['Workload-Identity-Token', own], ['Workload-Proof-Token', wpt])
    const report = await verifyRequest({ ...common, request })
    assert.equal(report.ok, false)
    assert.equal(way(report)?.code, 'wrong_proof_way')
    // A file is not a presentation.
    assert.equal((await verifyOffline({ credential, bundle: common.bundle, trust, at: AT })).ok, true)
  })

  it('without one credential is nothing to report about', async () => {
    await assert.rejects(verifyRequest(await input(post())), { code: 'credential_missing' })
    const bearer = post(['Authorization', `Bearer ${wit}`])
    await assert.rejects(verifyRequest(await input(bearer)), { code: 'credential_as_bearer' })
  })

  it('proves nothing for a credential that is not good: the key is one that anybody could have named', async () => {
    const report = await verifyRequest({ ...(await input(await withWpt())), at: AT + 86_400 })
    assert.equal(possessionOf(report).outcome, 'not-checked')
    assert.equal(report.ok, false)
  })

  it('is not the request of another credential', async () => {
    const { bundle, trust, at, ...presented } = await input(await withWpt())
    const other = fromUtf8(world.credential).replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'))
    const report = await verifyOffline({ credential: utf8(other), bundle, trust, at, presented })
    assert.equal(report.ok, false)
    const file = { ...certified, bundle: await certified.encoded(), at: AT, presented }
    assert.equal(possessionOf(await verifyOffline(file)).code, 'credential_mismatch')
  })
})

describe('a connection to a relying party', () => {
  const offline = async (peerCertificate: Uint8Array, { credential, trust, ...told } = certified) =>
    verifyOffline({ credential, bundle: await told.encoded(), trust, at: AT, presented: { peerCertificate } })

  it('proves possession of the certificate that it was made with, and of no other', async () => {
    const [der] = decodePem(fromUtf8(certified.credential))
    const report = await offline(der!)
    assert.equal(report.ok, true, JSON.stringify(report.checks))
    assert.deepEqual(report.possession, { ways: ['mtls'], replay: 'handshake' })
    assert.equal(possessionOf(await offline(der!.slice(1))).code, 'peer_certificate_mismatch')
    assert.equal(possessionOf(await offline(world.credential, world)).code, 'peer_certificate_mismatch')
  })

  it('is one by TLS, as Node makes it', async (t) => {
    const cert = fromUtf8(certified.credential)
    const key = createPrivateKey({ key: certified.keys.workload as JsonWebKey, format: 'jwk' })
    const pem = key.export({ format: 'pem', type: 'pkcs8' })
    // Node's own verdict is not asked for: it cannot keep anchors of trust domains apart. The report's path check is.
    const server = createServer({ cert, key: pem, requestCert: true, rejectUnauthorized: false })
    const connected = once(server, 'secureConnection') as Promise<[TLSSocket]>
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const { port } = server.address() as AddressInfo
    const client = connect({ port, host: '127.0.0.1', cert, key: pem, rejectUnauthorized: false })
    t.after(() => {
      client.destroy()
      server.close()
    })
    const [socket] = await connected
    const report = await offline(new Uint8Array(socket.getPeerX509Certificate()!.raw))
    socket.destroy()
    assert.equal(report.ok, true, JSON.stringify(report.checks))
    assert.deepEqual(report.possession?.ways, ['mtls'])
  })
})

describe('a decision record', () => {
  it('says what was decided, on which entry, and what was not looked at', async () => {
    const line = decisionRecord(await verifyRequest(await input(await withWpt())), AT)
    const decision = parseDecisionRecord(line)
    assert.equal(decision.credential, toHex(world.digest))
    assert.equal(decision.outcome, 'accepted')
    assert.deepEqual(decision.possession, ['wpt'])
    assert.equal(decision.log?.index, world.indexOf('credential-provenance'))
    assert.equal(decision.statusCurrent, false)
    assert.ok(decision.notChecked.includes('status-current'))
    for (const secret of [SUBJECT, wit, 'bank.example']) assert.ok(!line.includes(secret), secret)
  })

  it('says why it was refused, and tells a file from a request', async () => {
    const refused = decisionRecord(await verifyRequest(await input(post(['Workload-Identity-Token', wit]))), AT)
    assert.deepEqual(parseDecisionRecord(refused).failed, ['proof_missing'])
    const file = await verifyOffline({ ...world, bundle: await world.encoded(), at: AT })
    assert.equal(parseDecisionRecord(decisionRecord(file, AT)).possession, null)
    const nothing = await verifyOffline({ ...world, credential: utf8('x'), bundle: utf8('x'), at: AT })
    assert.equal(parseDecisionRecord(decisionRecord(nothing, AT)).credential, null)
  })

  it('is refused when it is none (malformed_decision)', async () => {
    const honest = JSON.parse(decisionRecord(await verifyRequest(await input(await withWpt())), AT))
    const lies = [
      { type: 'x' },
      { at: '1' },
      { at: -1 },
      { credential: 'ab' },
      { outcome: 'ok' },
      { possession: 'wpt' },
      { log: [] },
      { log: { ...honest.log, entry: 'x' } },
      { log: { ...honest.log, signedAt: 'x' } },
      { statusCurrent: 1 },
      { failed: [1] },
      { notChecked: null },
    ]
    for (const lie of lies) {
      assert.throws(() => parseDecisionRecord(JSON.stringify({ ...honest, ...lie })), { code: 'malformed_decision' })
    }
    assert.throws(() => parseDecisionRecord('['), { code: 'malformed_json' })
    assert.throws(() => parseDecisionRecord(' '.repeat(16_385)), { code: 'malformed_decision' })
  })
})
