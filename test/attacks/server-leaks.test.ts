/**
 * Secrets at every door of a running server, through success, refusal and failure; and then a look at everything that it said, answered
 * and stored.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Level } from 'level'
import { createProver, type Prover } from '../../clients/log-client/index.ts'
import { buildApp } from '../../log-server/app.ts'
import { openLog } from '../../log-server/log.ts'
import { type RunningServer, startServer } from '../../log-server/main.ts'
import { toHex } from '../../merkle/index.ts'
import { buildRecordStatement, encodePublicKey, type FieldLine, recordTyp } from '../../provenance/index.ts'
import {
  attachWraps,
  type CborValue,
  decodeCbor,
  encodeCbor,
  encodeCborSequence,
  importSigningKey,
  publicJwkOf,
  signStatement,
} from '../../statement/index.ts'
import { NOW, type ServedLog, serveLog } from '../log-server/served-log.ts'
import { issueWit, newKey, SUBJECT, trustDomains } from '../provenance/proof-of-possession/caller.ts'
import { author, digestOf, ISSUER, issuer, notRandom, SECTIONS } from '../provenance/small-log.ts'
import { X25519_JWK } from '../statement/fixtures.ts'
import { Canaries, Outlets } from './canaries.ts'

const canaries = new Canaries()
const outlets = new Outlets()
/** What a careless hook would have written. */
const careless = new Outlets()
let world: ServedLog
let server: RunningServer
let prover: Prover

/** The lines of loggers; and whatever anybody writes past them. */
const logger = { level: 'trace', stream: { write: (line: string) => outlets.add('log', line) } }
const restore: (() => void)[] = []
function listenTo(stream: NodeJS.WriteStream, name: string): void {
  const write = stream.write.bind(stream)
  stream.write = ((chunk: string | Uint8Array, ...rest: []) => {
    outlets.add(name, chunk)
    return write(chunk, ...rest)
  }) as typeof stream.write
  restore.push(() => {
    stream.write = write
  })
}

before(async () => {
  world = await serveLog(9)
  await world.app.close()
  await world.log.close()
  const [[kid, jwk]] = [...trustDomains.get('bank.example')!.tokenKeys] as [[string, object]]
  await mkdir(join(world.dataDir, 'trust'))
  writeFileSync(join(world.dataDir, 'trust/bank.json'), JSON.stringify({ keys: [{ ...jwk, use: 'wit-svid', kid }] }))
  const config = JSON.parse(readFileSync(join(world.dataDir, 'config.json'), 'utf8')) as object
  const access = {
    trustDomains: { 'bank.example': { bundle: 'trust/bank.json' } },
    audience: ['https://log.bank.example'],
    rules: [{ who: [SUBJECT], may: ['append:issuer', 'append:verifier', 'append:foreign', 'audit', 'metrics'] }],
    limits: { default: { requestsPerSecond: 10_000 } },
    audit: { file: 'audit.jsonl' },
  }
  writeFileSync(join(world.dataDir, 'config.json'), JSON.stringify({ ...config, server: { access } }))
  listenTo(process.stderr, 'stderr')
  server = await startServer({ dataDir: world.dataDir, listen: { host: '127.0.0.1', port: 0 }, now: () => NOW, logger })

  const key = canaries.key('the key of the caller')
  const wit = await issueWit(key, { exp: NOW + 600 })
  canaries.plant('the token of the caller', wit.split('.').slice(1).join('.'))
  const honest = createProver({ load: async () => ({ wit, key }), now: () => NOW, random: notRandom('proofs') })
  prover = async (request) => {
    const fields = await honest({ ...request, url: `https://log.bank.example${request.target.replace(/\?.*/, '')}` })
    canaries.plant('a proof of the caller', fields[1]![1].split('.').slice(1).join('.'))
    return fields
  }
})
after(() => {
  for (const each of restore) each()
})

interface Sent {
  readonly method?: string
  readonly fields?: readonly FieldLine[]
  readonly body?: Uint8Array
  /** Shows no token: what is in `fields` is all. */
  readonly alone?: boolean
}

/** Sends bytes, and takes down all that comes back. */
async function sendBytes(bytes: string | Uint8Array, where: string, url = server.url): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  socket.end(bytes)
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk as Buffer)
  const answer = Buffer.concat(chunks).toString('latin1')
  outlets.add(`answer to ${where}`, answer)
  return answer
}

/** The status of the answer. */
async function send(
  target: string,
  { method = 'GET', fields = [], body, alone }: Sent = {},
  url?: string,
): Promise<number> {
  const proof = alone ? [] : await prover({ method, target, url: '', fields })
  const lines = [
    ['Host', 'log.bank.example'],
    ['Connection', 'close'],
    ...(body ? [['Content-Length', String(body.length)]] : []),
    ...fields,
    ...proof,
  ]
  const head = `${method} ${target} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
  const answer = await sendBytes(
    Buffer.concat([Buffer.from(head, 'latin1'), body ?? new Uint8Array()]),
    `${method} a path`,
    url,
  )
  return Number(answer.slice(9, 12))
}

const COSE: FieldLine = ['Content-Type', 'application/cose']
const TARGETS = [
  '/checkpoint', '/tile/0/000.p/9', '/tile/entries/000.p/9', '/entries/0.8', '/entries/0.8/statement', '/.well-known/scitt-keys',
  `/v1/provenance/${toHex(digestOf('credential'))}`, `/v1/latest/issuance-policy/${issuer.kid}`, '/v1/policies', '/v1/statements/000.p/9',
  '/v1/proof/inclusion/1/9', '/v1/receipts/consistency/3', '/v1/entries/0.8/wraps', '/openapi.json', '/docs', '/healthz', '/readyz', '/metrics', '/none',
] // biome-ignore format: a table

describe('a server', () => {
  it('says nothing of a caller’s token and proofs when all is well', async () => {
    const statuses = await Promise.all(TARGETS.map((target) => send(target)))
    assert.deepEqual(
      statuses.map((status) => status < 300),
      TARGETS.map((target) => !/none/.test(target)),
    )
  })

  it('repeats no header, on any path', async () => {
    const names = [
      'Authorization', 'Proxy-Authorization', 'Cookie', 'Signature', 'Signature-Input', 'Txn-Token', 'DPoP', 'X-Api-Key', 'Accept', 'Accept-Encoding',
      'Range', 'If-Range', 'If-None-Match', 'Prefer', 'Origin', 'Referer', 'User-Agent', 'X-Request-Id', 'X-Forwarded-Client-Cert', 'Client-Cert', 'Forwarded',
      'X-Forwarded-For', 'Content-Encoding', 'Content-Type', 'Content-Digest', 'Expect', 'Access-Control-Request-Method', 'Traceparent', 'X-SPIFFE-ID', 'Via',
    ] // biome-ignore format: a list
    for (const name of names) {
      const values = [
        canaries.text(`in ${name}`),
        `Bearer ${canaries.token(`a token in ${name}`)}`,
        `sig1=:${canaries.text(`signed in ${name}`)}:;k="${canaries.text(`quoted in ${name}`)}"`,
      ]
      for (const value of values) {
        for (const target of ['/checkpoint', '/entries/0.8', '/none']) await send(target, { fields: [[name, value]] })
        await send('/entries', {
          method: 'POST',
          fields: [[name, value], ...(name === 'Content-Type' ? [] : [COSE])],
          body: Buffer.from(canaries.text(`beside ${name}`)),
        })
      }
    }
  })

  it('repeats no token or proof that it refuses: forged, stolen, replayed, where bearer tokens are, too long, of no algorithm', async () => {
    const stolen = await prover({ method: 'GET', target: '/checkpoint', url: '', fields: [] })
    const other = await issueWit(newKey(), { exp: NOW + 600 })
    canaries.plant('a token whose key another has', other.split('.').slice(1).join('.'))
    const [wit, wpt] = stolen as [FieldLine, FieldLine]
    const attempts: readonly (readonly FieldLine[])[] = [
      stolen, stolen,
      [wit], [wpt],
      [['Workload-Identity-Token', other], wpt],
      [['Authorization', `Bearer ${wit[1]}`]],
      [['Authorization', `WIT ${wit[1]}`], wit, wpt],
      [wit, wpt, ['Txn-Token', canaries.token('a transaction token')]],
      [wit, wpt, ['Authorization', `Bearer ${canaries.token('an access token', { alg: 'RS256', typ: 'at+jwt' })}`]],
      ...['ES256', 'none', 'HS256', '__proto__'].flatMap((alg) => [
        [['Workload-Identity-Token', canaries.token(`forged by ${alg}`, { alg, typ: 'wit+jwt' })] as const, wpt],
        [wit, ['Workload-Proof-Token', canaries.token(`proof by ${alg}`, { alg, typ: 'wpt+jwt' })] as const],
      ]),
      [['Workload-Identity-Token', canaries.text('no token at all')], wpt],
      [['Workload-Identity-Token', `${canaries.token('long')}${'A'.repeat(5000)}`], wpt],
      [wit, wit, wpt],
      [wit, ['Signature-Input', `wimse=("@method");nonce="${canaries.text('a nonce')}"`], ['Signature', `wimse=:${canaries.text('a signature')}:`]],
    ] // biome-ignore format: a table
    const statuses = []
    for (const fields of attempts) statuses.push(await send('/checkpoint', { fields, alone: true }))
    assert.equal(statuses[0], 200)
    assert.ok(
      statuses.slice(1).every((status) => status === 400 || status === 403),
      statuses.join(),
    )
  })

  it('repeats nothing of a path or a query', async () => {
    for (const [i, target] of TARGETS.entries()) {
      const [token, text] = [canaries.token(`in query ${i}`), canaries.text(`in path ${i}`)]
      for (const each of [
        `${target}?token=${token}`,
        `${target}/${text}`,
        `${target}/${token}`,
        `${target}%0a${text}`,
        target.replace(/[^/]+$/, text),
        target.replace(/[^/]+$/, token),
      ]) {
        for (const method of ['GET', 'POST', 'PROPFIND', 'DELETE']) await send(each, { method })
      }
    }
  })

  it('repeats nothing of a statement that it refuses, and stores nothing that is sealed', async () => {
    const signer = await importSigningKey(canaries.key('the key of a stranger'))
    const token = () => canaries.token('a token in a statement', { alg: 'ES256', typ: 'JWT' })
    const sealed = {
      workload: {
        ...SECTIONS['workload-provenance'].workload!,
        name: canaries.text('sealed'),
        vendor: { name: canaries.token('sealed too') },
      },
    }
    const record = {
      type: 'workload-provenance' as const,
      fields: { subject: digestOf('canary'), subjectKind: 'measurement' },
      sections: sealed,
      recipients: [publicJwkOf(X25519_JWK)],
    }
    const { statement, wraps, keys } = await buildRecordStatement(record, author(issuer, NOW))
    for (const [label, key] of keys) canaries.plant(`the key of section ${label}`, key)
    const second = await buildRecordStatement(
      { ...record, fields: { ...record.fields, subject: digestOf('second') } },
      author(issuer, NOW),
    )
    const stored = attachWraps(statement.bytes, wraps)
    const stranger = await buildRecordStatement(record, {
      key: signer,
      issuer: ISSUER,
      now: NOW,
      random: notRandom('stranger'),
    })
    const content = {
      issuer: ISSUER,
      subject: 'urn:provlog:record:00',
      issuedAt: NOW,
      contentType: 'application/vnd.provlog.record+cbor',
      typ: recordTyp('workload-provenance'),
    }
    const said = (payload: Uint8Array, change: object = {}) =>
      signStatement({ ...content, payload, ...change }, issuer.key)
    // An honest record, but for one text, or some bytes, that everybody could read.
    const policy = await buildRecordStatement(
      {
        type: 'issuance-policy',
        fields: {
          policyId: 'p',
          version: 1,
          mediaType: 'text/plain',
          digest: digestOf('p'),
          notBefore: 0,
          content: new Uint8Array(50),
        },
      },
      author(issuer, NOW),
    )
    const told = (key: string, value: CborValue) =>
      signStatement(
        {
          ...content,
          typ: recordTyp('issuance-policy'),
          subject: policy.statement.header.subject,
          payload: encodeCbor(
            new Map([...(decodeCbor(policy.statement.payload) as ReadonlyMap<string, CborValue>), [key, value]]),
          ),
        },
        issuer.key,
      )
    const map = (entries: Record<string, string>) => encodeCbor(new Map(Object.entries({ v: '1', ...entries })))
    const bodies: readonly Uint8Array[] = [
      stored, stored,
      stranger.statement.bytes,
      attachWraps(second.statement.bytes, [Buffer.from(canaries.text('no wrap'))]),
      attachWraps(second.statement.bytes, [Buffer.from(JSON.stringify({ protected: canaries.token('a wrap'), ciphertext: canaries.text('of a wrap') }))]),
      Buffer.from(canaries.token('instead of a statement')),
      Buffer.from(JSON.stringify({ kty: 'EC', d: canaries.text('a private key'), token: canaries.token('in JSON') })),
      Buffer.from(canaries.pem('PEM')),
      encodeCbor(new Map([[canaries.text('a key of CBOR'), canaries.text('CBOR')]])),
      statement.bytes.slice(0, -70),
      ...(await Promise.all([
        told('policyId', token()),
          told('mediaType', canaries.pem('in a record')),
          told('content', Buffer.from(`permit (principal, action, resource); // ${token()}`)),
          told('content', Buffer.from(JSON.stringify(canaries.key('a key in a policy')))),
          said(Buffer.from(canaries.text('a payload'))),
        said(map({ [canaries.text('an unknown member')]: 'x' })),
        said(map({ comment: token() })),
        said(map({ [token()]: 'x' })),
        said(map({}), { typ: token() }),
        said(map({}), { typ: `application/${canaries.text('an unknown type')}` }),
        said(map({}), { contentType: token() }),
        said(map({}), { subject: token() }),
        said(map({}), { issuer: `https://${canaries.text('an unknown issuer')}/` }),
      ])).map(({ bytes }) => bytes),
    ] // biome-ignore format: a table
    const statuses = []
    for (const body of bodies) {
      statuses.push(await send('/entries', { method: 'POST', fields: [COSE], body }))
      for (const type of ['application/cbor', 'application/cose-x', canaries.text('a media type')])
        await send('/v1/provenance', { method: 'POST', fields: [['Content-Type', type]], body })
    }
    assert.deepEqual(statuses.slice(0, 2), [201, 201])
    assert.ok(
      statuses.slice(3).every((status) => status >= 400 && status < 500),
      statuses.join(),
    )
    await send('/v1/entries', {
      method: 'POST',
      fields: [['Content-Type', 'application/cbor-seq']],
      body: encodeCborSequence(bodies),
    })
    for (const target of ['/entries/0.9', '/entries/0.9/statement', '/v1/entries/0.9/wraps', '/v1/statements/000.p/10'])
      assert.equal(await send(target), 200)
  })

  it('repeats nothing of what is no HTTP', async () => {
    const text = () => canaries.token('no HTTP', { alg: 'ES256' })
    for (const bytes of [
      text(),
      `GET /${text()}\r\n\r\n`,
      `GET / HTTP/9.9\r\nauthorization: ${text()}\r\n\r\n`,
      `GET / HTTP/1.1\r\nhost: a\r\nhost: ${text()}\r\n\r\n`,
      `GET / HTTP/1.1\r\nhost: a\r\n authorization: ${text()}\r\n\r\n`,
      `GET / HTTP/1.1\r\nhost: a\r\nauthorization ${text()}\r\n\r\n`,
      `GET / HTTP/1.1\r\nhost: a\r\nx: ${text()}${'A'.repeat(9000)}\r\n\r\n`,
      `GET / HTTP/1.1\r\nhost: a\r\nx: \u0000${text()}\r\n\r\n`,
      `POST /entries HTTP/1.1\r\nhost: a\r\ncontent-type: application/cose\r\ntransfer-encoding: chunked\r\n\r\n5;x=${text()}\r\nhello\r\n${text()}\r\n`,
      `POST /entries HTTP/1.1\r\nhost: a\r\ncontent-type: ${text()}\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello`,
      `CONNECT ${text()}:443 HTTP/1.1\r\nhost: ${text()}\r\n\r\n`,
      `OPTIONS * HTTP/1.1\r\nhost: a\r\norigin: https://${text()}\r\n\r\n`,
      `GET http://user:${text()}@host/${text()} HTTP/1.1\r\nhost: a\r\n\r\n`,
    ]) {
      await sendBytes(bytes, 'what is no HTTP')
    }
  })

  it('has numbers that name nobody and nothing that came in, however much of it', async () => {
    await send('/metrics')
    await send('/metrics', {
      fields: [['Accept', `application/openmetrics-text, text/${canaries.text('a type')};q=0`]],
    })
    const numbers = outlets.from('answer to GET a path')
    const text = numbers.slice(numbers.lastIndexOf('# HELP provlog_entries_total'))
    const labels = [...text.matchAll(/(\w+)="([^"\n]*)"/g)].map(([, name, value]) => [name, value] as const)
    assert.ok(labels.length > 300 && labels.length < 3000, `${labels.length}`)
    const forms: Readonly<Record<string, RegExp>> = {
      // Routes as the application wrote them down.
      route: /^(?:none|[/a-zA-Z0-9.:*-]{2,40})$/,
      method: /^(?:GET|HEAD|POST|OPTIONS|other)$/,
      status: /^[1-5]xx$/,
      code: /^[a-z0-9_]+$/,
      le: /^(?:[0-9.]+|\+Inf)$/,
    }
    const routes = new Set(labels.flatMap(([name, value]) => (name === 'route' ? [value] : [])))
    assert.ok(routes.size < 40, [...routes].join())
    for (const [name, value] of labels) assert.match(value!, forms[name!] ?? /^[a-z0-9_]{1,24}$/, `${name}="${value}"`)
    assert.ok(!new RegExp(`spiffe|bank|example|${issuer.kid}`).test(text))
  })

  it('says of a failure of its own what failed and where, and nothing of what was being done', async () => {
    await server.close()
    const log = await openLog({ dataDir: world.dataDir, now: () => NOW })
    const failure = (name: string) => {
      const token = canaries.token(`in an error of ${name}`)
      const cause = Object.assign(new SyntaxError(`Unexpected token in JSON: ${token}`), {
        input: token,
        rawPacket: Buffer.from(token),
        headers: { authorization: canaries.text(`a header in an error of ${name}`) },
      })
      const error = new Error(
        `reading authorization: Bearer ${canaries.text(`in a message of ${name}`)}\n{"level":30,"msg":"forged"}`,
        { cause },
      )
      return Object.assign(
        new AggregateError([error, cause], `several, with "d":"${canaries.text(`a key in an error of ${name}`)}"`, {
          cause: error,
        }),
        { key: canaries.key(`a key of ${name}`) },
      )
    }
    const broken = new Proxy(log.reader, {
      get: (reader, name) =>
        name === 'treeHead'
          ? reader.treeHead.bind(reader)
          : () => {
              throw failure(String(name))
            },
    })
    const app = buildApp({ log: { ...log, reader: broken, authorities: log.authorities }, now: () => NOW, logger })
    app.addHook('onRequest', async ({ raw }) => careless.add('log', `${raw.url} ${raw.rawHeaders.join(' ')}`))
    await app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = app.server.address() as { port: number }
    const said = outlets.from('log').length
    const { statement } = await buildRecordStatement(
      {
        type: 'appraisal-policy',
        fields: { policyId: 'p', version: 1, mediaType: 'a/b', digest: digestOf('p'), notBefore: 0 },
      },
      author(issuer, NOW),
    )
    const statuses = await Promise.all([
      ...TARGETS.slice(0, 13).map((target) =>
        send(`${target}?${canaries.text('beside a failure')}`, {}, `http://127.0.0.1:${port}`),
      ),
      send('/entries', { method: 'POST', fields: [COSE], body: statement.bytes }, `http://127.0.0.1:${port}`),
    ])
    await app.close()
    await log.close()
    assert.ok(statuses.filter((status) => status === 500).length >= 8, statuses.join())
    const lines = outlets
      .from('log')
      .slice(said)
      .split('\n')
      .filter((line) => line.includes('"level":50'))
    assert.ok(lines.length >= 8)
    for (const line of lines) {
      const { err, msg } = JSON.parse(line) as {
        err?: { type: string; cause?: { cause?: { type: string } } }
        msg: string
      }
      assert.equal(msg, 'request failed', 'no line is forged')
      assert.ok(err, line)
      assert.deepEqual([err?.type, err?.cause?.cause?.type], ['AggregateError', 'SyntaxError'], line)
    }
  })

  it('has let none of it out: not in a line, an answer, a header, or what is stored', async () => {
    for (const file of readdirSync(world.dataDir, { recursive: true, encoding: 'utf8' })) {
      const path = join(world.dataDir, file)
      // Its own keys are where they belong.
      if (statSync(path).isFile() && !/\.jwk$|key/.test(file)) outlets.add(`file ${file}`, readFileSync(path))
    }
    const database = readdirSync(world.dataDir).find(
      (name) => statSync(join(world.dataDir, name)).isDirectory() && name !== 'trust' && name !== 'keys',
    )!
    const level = new Level<Uint8Array, Uint8Array>(join(world.dataDir, database), {
      keyEncoding: 'view',
      valueEncoding: 'view',
    })
    let values = 0
    for await (const [key, value] of level.iterator()) {
      values++
      outlets.add(`stored key ${Buffer.from(key).toString('latin1', 0, 1)}`, key)
      outlets.add(`stored value of ${Buffer.from(key).toString('latin1', 0, 1)}`, value)
    }
    await level.close()
    await world.close().catch(() => {})

    assert.ok(
      values > 30 && canaries.count > 400 && outlets.length > 300_000,
      `${values} ${canaries.count} ${outlets.length}`,
    )
    assert.ok(outlets.from('file audit.jsonl').includes(SUBJECT))
    assert.match(outlets.from('log'), /request failed/)
    const leaks = outlets.leaks(canaries)
    assert.deepEqual(leaks.slice(0, 5), [])
  })

  it('and what it was looked for with finds it', () => {
    const seen = new Set(careless.leaks(canaries).flatMap(({ secrets }) => secrets))
    for (const name of ['the token of the caller', 'a proof of the caller', 'beside a failure'])
      assert.ok(seen.has(name), name)
    const leaky = new Outlets()
    const [token, key] = [canaries.token('one that is let out'), canaries.key('a key that is')]
    const bytes = Buffer.from(key.d, 'base64url')
    for (const text of [
      token,
      token.slice(-40, -15),
      JSON.stringify({ token }),
      Buffer.from(`x${token}`).toString('base64'),
      Buffer.from(token).toString('hex'),
    ])
      leaky.add('text', text)
    for (const text of [bytes, bytes.toString('hex'), `a${key.d}b`, bytes.toString('base64')]) leaky.add('key', text)
    assert.equal(leaky.leaks(canaries).length, 9)
    assert.deepEqual(canaries.in(`${SUBJECT} ${issuer.kid} ${toHex(encodePublicKey(issuer.publicJwk))}`), [])
  })
})
