// A log behind its door, over real connections: certificates in handshakes, headers as bytes, two addresses, and a file of audit lines.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import tls from 'node:tls'
import { initLog } from '../../../log-server/init.ts'
import { type RunningServer, startServer } from '../../../log-server/main.ts'
import { toBase64 } from '../../../merkle/bytes.ts'
import { encodePublicKey } from '../../../provenance/index.ts'
import { buildRecordStatement } from '../../../provenance/record-statement.ts'
import { decodeProblem, importSigningKey, parsePrivateJwk } from '../../../statement/index.ts'
import { AT, certify, type Holder, keyPem, pem, uris, workload } from '../../certificates/authority.ts'
import { newCaller, SUBJECT, trustDomains, withWpt } from '../../provenance/proof-of-possession/caller.ts'
import { issuer, notRandom, ORIGIN } from '../../provenance/small-log.ts'
import { writeCertificates } from '../certificates.ts'
import { readLines, type WrittenLine } from './guarded-log.ts'

const ADMIN = 'spiffe://bank.example/admin'
const EDGE = 'spiffe://bank.example/edge'
const PARTNER = 'spiffe://partner.example/reader'

const root = await certify('bank root')
const partnerRoot = await certify('partner root')
const holder = (uri: string, authority: Holder, change = {}) =>
  certify(uri, { issuer: authority, extensions: workload(uris(uri)), ...change })

let dir: string
let dataDir: string
let server: RunningServer
let ca: string
let authorization: Uint8Array
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'provlog-door-'))
  const files = await writeCertificates(dir)
  ca = readFileSync(files.ca, 'utf8')
  dataDir = join(dir, 'log')
  const { adminKey } = await initLog({ dataDir, origin: ORIGIN, now: () => 100, random: notRandom('door') })
  await mkdir(join(dataDir, 'trust'))
  writeFileSync(join(dataDir, 'trust/bank.json'), await bundle(root))
  writeFileSync(join(dataDir, 'trust/partner.pem'), pem(partnerRoot))
  const config = JSON.parse(readFileSync(join(dataDir, 'config.json'), 'utf8')) as object
  const access = {
    trustDomains: {
      'bank.example': { bundle: 'trust/bank.json' },
      'partner.example': { bundle: 'trust/partner.pem' },
    },
    audience: ['https://localhost'],
    proxies: [{ who: EDGE, header: 'client-cert' }],
    rules: [
      { who: [SUBJECT], may: ['append:issuer', 'read'] },
      { who: [ADMIN], may: ['admin'] },
      { trustDomain: 'partner.example', may: ['read:general'] },
    ],
    admin: { listen: { host: '127.0.0.1', port: 0 }, tls: true },
    audit: { file: 'audit.jsonl' },
  }
  writeFileSync(join(dataDir, 'config.json'), JSON.stringify({ ...config, server: { access } }))
  server = await startServer({ dataDir, listen: { host: 'localhost', port: 0 }, tls: files.tls, now: () => AT })

  const key = await importSigningKey(parsePrivateJwk(JSON.parse(readFileSync(adminKey, 'utf8'))))
  const fields = {
    role: 'issuer' as const,
    trustDomain: 'bank.example',
    subject: issuer.issuer,
    key: encodePublicKey(issuer.publicJwk),
    notBefore: 0,
  }
  const author = { key, issuer: ORIGIN, now: AT, random: notRandom('door admin') }
  authorization = (await buildRecordStatement({ type: 'key-authorization', fields }, author)).statement.bytes
})
after(async () => {
  await server.close()
  await rm(dir, { recursive: true })
})

/** Anchors for certificates, and the key of WITs. */
async function bundle(authority: Holder): Promise<string> {
  const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', authority.keys.publicKey)
  const [[kid, jwk]] = [...trustDomains.get('bank.example')!.tokenKeys] as [[string, object]]
  return JSON.stringify({
    keys: [
      { use: 'x509-svid', kty, crv, x, y, x5c: [toBase64(authority.der)] },
      { ...jwk, use: 'wit-svid', kid },
    ],
  })
}

interface Answer {
  readonly status: number
  readonly code: string | undefined
}

/** What comes back for these bytes, by a client with this certificate. */
async function send(bytes: string | Uint8Array, client?: Holder, url = server.url): Promise<Answer> {
  const socket = tls.connect({
    port: Number(new URL(url).port),
    host: new URL(url).hostname,
    servername: 'localhost',
    ca,
    ...(client && { cert: pem(client), key: await keyPem(client) }),
  })
  socket.on('error', () => {})
  socket.end(bytes)
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk as Buffer)
  const answer = Buffer.concat(chunks)
  const end = answer.indexOf('\r\n\r\n')
  const head = answer.subarray(0, end).toString('latin1')
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1])
  const body = answer.subarray(end + 4)
  const problem = /problem-details\+cbor/.test(head)
    ? decodeProblem(new Uint8Array(body))
    : status >= 400 && JSON.parse(body.toString())
  return { status, code: (problem as { code?: string }).code }
}

const get = (path: string, ...headers: readonly string[]) =>
  [`GET ${path} HTTP/1.1`, 'Host: localhost', 'Connection: close', ...headers, '', ''].join('\r\n')
const post = (body: Uint8Array, ...headers: readonly string[]) =>
  Buffer.concat([
    Buffer.from(
      [
        'POST /entries HTTP/1.1',
        'Host: localhost',
        'Connection: close',
        'Content-Type: application/cose',
        `Content-Length: ${body.length}`,
        ...headers,
        '',
        '',
      ].join('\r\n'),
    ),
    body,
  ])
const written = async () => readLines(await readFile(join(dataDir, 'audit.jsonl'), 'utf8').catch(() => ''))
/** The last line, once it has this code: but for appends nobody waits for it. */
async function lastLine(code: string | undefined): Promise<WrittenLine> {
  let last: WrittenLine | undefined
  for (let turn = 0; turn < 1000 && (!last || last.code !== code); turn++) last = (await written()).at(-1)
  return last!
}

describe('a log behind its door', () => {
  it('knows its callers by their certificates', async () => {
    const mine = await holder(SUBJECT, root)
    assert.equal((await send(get('/v1/policies'), mine)).status, 200)
    assert.deepEqual(await send(get('/v1/policies')), { status: 403, code: 'access_denied' })
    const partner = await holder(PARTNER, partnerRoot)
    assert.equal((await send(get('/checkpoint'), partner)).status, 200)
    assert.deepEqual(await send(get('/v1/policies'), partner), { status: 403, code: 'access_denied' })
  })

  it('lets the authority of one trust domain vouch for no other (unknown_anchor)', async () => {
    const forged = await holder(SUBJECT, partnerRoot)
    assert.deepEqual(await send(get('/v1/policies'), forged), { status: 400, code: 'unknown_anchor' })
    const last = await lastLine('unknown_anchor')
    assert.deepEqual([last.who, last.code, last.operation], [null, 'unknown_anchor', 'listPolicies'])
  })

  it('takes from the admin what is the admin’s, at the address for admins', async () => {
    const admin = await holder(ADMIN, root)
    assert.match(server.adminUrl ?? '', /^https:\/\/127\.0\.0\.1:\d+$/)
    assert.deepEqual(await send(post(authorization), admin), { status: 403, code: 'access_denied' })
    const mine = await holder(SUBJECT, root)
    assert.deepEqual(await send(post(authorization), mine, server.adminUrl), { status: 403, code: 'access_denied' })
    assert.deepEqual(await send(post(authorization), undefined, server.adminUrl), {
      status: 400,
      code: 'credential_missing',
    })
    assert.equal((await send(post(authorization), admin, server.adminUrl)).status, 201)
    const last = await lastLine(undefined)
    assert.deepEqual([last.who, last.listener, last.index, last.status], [ADMIN, 'admin', 1, 201])
  })

  it('does not take a certificate in a header from whoever is no proxy, and says who sent it', async () => {
    const [mine, edge] = [await holder(SUBJECT, root), await holder(EDGE, root)]
    const header = `Client-Cert: :${toBase64(mine.der)}:`
    assert.equal((await send(get('/v1/policies', header), edge)).status, 200)
    assert.equal((await lastLine(undefined)).via, EDGE)
    assert.deepEqual(await send(get('/v1/policies', header)), { status: 403, code: 'access_denied' })
    const partner = await holder(PARTNER, partnerRoot)
    assert.deepEqual(await send(get('/checkpoint', header), partner), { status: 403, code: 'identity_conflict' })
    const last = await lastLine('identity_conflict')
    assert.deepEqual([last.who, last.asserted, last.code], [PARTNER, SUBJECT, 'identity_conflict'])
  })

  it('reads no header in two ways: as bytes, by a proxy', async () => {
    const [mine, edge] = [await holder(SUBJECT, root), await holder(EDGE, root)]
    const cert = `:${toBase64(mine.der)}:`
    const smuggled: readonly (readonly [code: string, ...headers: string[]])[] = [
      ['duplicate_field', `Client-Cert: ${cert}`, `Client-Cert: ${cert}`],
      ['duplicate_field', `Client-Cert: ${cert}`, `CLIENT_CERT: ${cert}`],
      ['duplicate_field', `Client_Cert: ${cert}`],
      // Before any of ours: what Node’s parser makes of them.
      ['malformed_request', `Client-Cert : ${cert}`],
      ['malformed_request', `X: 1\nClient-Cert: ${cert}`],
      ['malformed_request', ` Client-Cert: ${cert}`],
      ['malformed_request', `Client-Cert: ${cert.slice(0, 20)}\r\n ${cert.slice(20)}`],
      ['malformed_request', `Client-Cert:\r\n ${cert}`],
      ['malformed_request', `Client-Cert: ${cert}\0`],
    ]
    for (const [code, ...headers] of smuggled) {
      assert.deepEqual(await send(get('/v1/policies', ...headers), edge), { status: 400, code }, headers.join(' | '))
    }
  })

  it('knows a workload by its WIT and proof, once', async () => {
    const caller = await newCaller()
    const request = await withWpt(caller, { audience: 'https://localhost/v1/policies' })
    const headers = request.fields.map(([name, value]) => `${name}: ${value}`)
    assert.equal((await send(get('/v1/policies', ...headers))).status, 200)
    assert.deepEqual(await send(get('/v1/policies', ...headers)), { status: 400, code: 'proof_replayed' })
    assert.deepEqual(await send(get('/v1/policies', headers[0]!)), { status: 400, code: 'proof_missing' })
    assert.deepEqual(await send(get('/v1/policies', `Authorization: Bearer ${caller.wit}`)), {
      status: 400,
      code: 'credential_as_bearer',
    })
    const partner = await holder(PARTNER, partnerRoot)
    const again = await withWpt(caller, { audience: 'https://localhost/checkpoint' })
    const both = again.fields.map(([name, value]) => `${name}: ${value}`)
    assert.deepEqual(await send(get('/checkpoint', ...both), partner), { status: 403, code: 'identity_conflict' })
    const text = await readFile(join(dataDir, 'audit.jsonl'), 'utf8')
    for (const [, value] of [...request.fields, ...again.fields]) assert.ok(!text.includes(value.split('.')[1]!))
  })

  it('leaves one line of each request whose path leads nowhere, or cannot be read', async () => {
    const [mine, forged] = [await holder(SUBJECT, root), await holder(SUBJECT, partnerRoot)]
    const asked: readonly (readonly [path: string, client: Holder | undefined, answer: Answer, who: unknown])[] = [
      ['/nowhere', mine, { status: 404, code: 'not_found' }, SUBJECT],
      ['/%zz', mine, { status: 400, code: 'invalid_locator' }, SUBJECT],
      ['/entries/%', mine, { status: 400, code: 'invalid_locator' }, SUBJECT],
      ['/%zz', forged, { status: 400, code: 'unknown_anchor' }, null],
      // Nobody, of whom nothing is known, who was let in: as of all other paths.
      ['/%zz', undefined, { status: 400, code: 'invalid_locator' }, undefined],
      ['/nowhere', mine, { status: 404, code: 'not_found' }, SUBJECT],
    ]
    const before = (await written()).length
    for (const [path, client, answer] of asked) assert.deepEqual(await send(get(path), client), answer, path)
    // Behind all of them.
    await send(get('/v1/policies'), mine)
    await lastLine(undefined)
    const lines = (await written()).slice(before, -1)
    assert.deepEqual(
      lines.map(({ who, status, code, operation }) => [who, status, code, operation]),
      asked.filter(([, , , who]) => who !== undefined).map(([, , { status, code }, who]) => [who, status, code, null]),
    )
  })

  it('speaks no clear text', async () => {
    const socket = connect(Number(new URL(server.url).port), 'localhost')
    socket.on('error', () => {})
    socket.end(get('/checkpoint'))
    let text = ''
    for await (const chunk of socket) text += String(chunk)
    assert.doesNotMatch(text, /HTTP\/1.1 2/)
  })

  it('goes on in a new file when the old one was renamed', async () => {
    const mine = await holder(SUBJECT, root)
    await rename(join(dataDir, 'audit.jsonl'), join(dataDir, 'audit.jsonl.1'))
    await send(get('/v1/policies'), mine)
    await lastLine(undefined)
    assert.equal((await written()).length, 1)
  })
})
