/**
 * The log over HTTP, and its configuration.
 *
 * An input of `http` is a request as it stands on the wire, of which one variant makes an `inject` and the other writes the bytes to a
 * socket: what Node refuses before there is a request is another half of the surface.
 *
 * @module
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { InjectOptions, LightMyRequestResponse } from 'fastify'
import { type ServerConfig, serverConfig } from '../../../log-server/config.ts'
import { concatBytes, toHex, utf8 } from '../../../merkle/index.ts'
import { parseWorkloadIdentifier } from '../../../provenance/index.ts'
import {
  decodeProblem,
  encodeCborSequence,
  importVerificationKey,
  parseSignedStatement,
  verifySignedStatement,
} from '../../../statement/index.ts'
import { CBOR_PROBLEM, JSON_PROBLEM, type ServedLog, serveLog } from '../../log-server/served-log.ts'
import { FIELDS, issuer } from '../../provenance/small-log.ts'
import { demand, type Target } from '../engine.ts'
import { bytesMutator, jsonMutator, type Mutator, splice, textMutator } from '../mutate.ts'
import { cborMutator } from '../mutate-cbor.ts'

/** Those named, or all; each `http` one has a log of its own. */
export async function serverTargets(names: readonly string[]): Promise<readonly Target[]> {
  const wanted = (name: string) => names.length === 0 || names.includes(name)
  const targets: Target[] = [configTarget()]
  if (wanted('http')) targets.push(await injectTarget())
  if (wanted('http-socket')) targets.push(await socketTarget())
  return names.length === 0 ? targets : targets.filter(({ name }) => wanted(name))
}

const ACCEPTS = [
  '*/*',
  'application/cose',
  'application/cbor',
  'application/json',
  'application/problem+json',
  'text/html',
  'application/concise-problem-details+cbor;q=0.1',
  'image/*;q=x,,;q=,application/cbor;q=NaN',
]
const METHODS = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'PATCH',
  'OPTIONS',
  'TRACE',
  'CONNECT',
  'QUERY',
  'get',
  'PROPFIND',
  'M-SEARCH',
]

/** Requests to every route, each right. */
async function requestsOf(world: ServedLog): Promise<Uint8Array[]> {
  const entry = toHex(world.statements[3]!.entry)
  const policy = toHex(world.statements[6]!.payload).slice(0, 64)
  const paths = [
    ...[
      '/checkpoint',
      '/tile/0/000.p/7',
      '/tile/1/000',
      '/tile/entries/000.p/7',
      '/v1/statements/000.p/7',
      '/healthz',
      '/readyz',
      '/metrics',
    ],
    ...[
      `/entries/${entry}`,
      '/entries/0.3',
      `/entries/${entry}/statement`,
      `/v1/entries/0.5/wraps`,
      '/.well-known/scitt-keys',
    ],
    ...[
      `/.well-known/scitt-keys/${world.log.authorities.policy().receiptKeys.length}`,
      `/v1/latest/issuance-policy/${issuer.kid}`,
    ],
    ...[
      `/v1/latest/issuance-policy/${issuer.kid}/payments`,
      `/v1/authorizations/${issuer.kid}`,
      '/v1/proof/inclusion/3/7',
    ],
    ...['/v1/proof/consistency/3/7', `/v1/provenance/${policy}`, '/openapi.json', '/docs', '/v1/tags/00', '/nothing'],
  ]
  const gets = paths.flatMap((path, i) => {
    const accept = ACCEPTS[i % ACCEPTS.length]
    return [utf8(`${i % 3 === 0 ? 'HEAD' : 'GET'} ${path} HTTP/1.1\r\nHost: x\r\nAccept: ${accept}\r\n\r\n`)]
  })
  const posts = await Promise.all(
    [1, 2, 3].map(async (n) => {
      const fields = { ...FIELDS['issuance-policy'], policyId: `fuzz ${n}` }
      const { submission } = await world.build('issuance-policy', { fields })
      return post(submission, n === 3 ? 'application/scitt-statement+cose' : 'application/cose')
    }),
  )
  const batch = post(await batchOf(world), 'application/cbor-seq', '/v1/entries')
  return [...gets, ...posts, batch, post(world.statements[3]!.bytes, 'application/cose; cose-type="cose-sign1"')]
}

/** Two that are new and one that is there already. */
async function batchOf(world: ServedLog): Promise<Uint8Array> {
  const built = await Promise.all(
    ['a', 'b'].map((id) =>
      world.build('issuance-policy', { fields: { ...FIELDS['issuance-policy'], policyId: `fuzz batch ${id}` } }),
    ),
  )
  return encodeCborSequence([...built.map(({ submission }) => submission), world.statements[3]!.bytes])
}

function post(body: Uint8Array, type: string, path = '/entries'): Uint8Array {
  return concatBytes(
    utf8(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n`),
    body,
  )
}

const words = [
  ...METHODS.map((method) => `${method} `),
  ...ACCEPTS.map((accept) => `Accept: ${accept}\r\n`),
  ...[
    'Content-Length: 0\r\n',
    'Content-Length: 5\r\n',
    'Transfer-Encoding: chunked\r\n',
    'Expect: 100-continue\r\n',
    'Host: y\r\n',
  ],
  ...[
    'Connection: close\r\n',
    'Upgrade: h2c\r\nConnection: Upgrade\r\n',
    'Range: bytes=0-1\r\n',
    'If-None-Match: *\r\n',
    'Prefer: respond-async\r\n',
  ],
  ...[
    'Content-Encoding: gzip\r\n',
    'Accept-Encoding: gzip, br\r\n',
    'Origin: null\r\n',
    'X-Forwarded-For: ::1\r\n',
    'If-Modified-Since: x\r\n',
  ],
  ...[
    '/entries',
    '/tile/',
    '/v1/',
    '/..',
    '%2f',
    '%00',
    '%',
    '?x=1',
    '?waitForCommit=true',
    '?api-version=1',
    'Prefer: wait=0\r\n',
    '#f',
    ';',
    '//',
    'http://y/',
    '*',
    '\r\n',
    '\r\n\r\n',
    '0\r\n\r\n',
  ],
  ...['0.', 'x001/', '.p/1', '9007199254740993', 'a'.repeat(1500)],
]

/** The head as text, or the body as CBOR with a length that fits, or anything at all. */
const httpMutator: Mutator = (input, random, others) => {
  const end = headLength(input)
  const [head, body] = [input.subarray(0, end), input.subarray(end)]
  if (body.length > 0 && random.chance(0.5)) {
    const changed = random.pick([cborMutator, bytesMutator])(body, random, others)
    const sized = new TextDecoder('latin1')
      .decode(head)
      .replace(/Content-Length: \d+/, `Content-Length: ${changed.length}`)
    return concatBytes(
      Uint8Array.from(sized, (char) => char.charCodeAt(0)),
      changed,
    )
  }
  if (random.chance(0.15)) {
    const at = new TextDecoder('latin1').decode(head).indexOf(' ')
    return splice(input, 0, Math.max(0, at + 1), utf8(`${random.pick(METHODS)} `))
  }
  return concatBytes(textMutator(words)(head, random, others), body)
}

function headLength(input: Uint8Array): number {
  for (let at = 0; at + 4 <= input.length; at++) {
    if (input[at] === 13 && input[at + 1] === 10 && input[at + 2] === 13 && input[at + 3] === 10) return at + 4
  }
  return input.length
}

/** The tree moves by statements that their issuers signed, when somebody is told of success, or it does not move. */
class Watched {
  readonly #world: ServedLog
  #size: number

  constructor(world: ServedLog) {
    this.#world = world
    this.#size = world.log.reader.treeHead().size
  }

  /** @param statuses of the answers since the last time */
  async check(statuses: readonly number[]): Promise<void> {
    const { reader, authorities } = this.#world.log
    const { size } = reader.treeHead()
    const successes = statuses.filter((status) => status >= 200 && status < 400).length
    demand(
      size === this.#size || (size > this.#size && successes > 0),
      `the tree grew from ${this.#size} to ${size} by ${statuses.join()}`,
    )
    for (; this.#size < size; this.#size++) {
      const statement = parseSignedStatement((await reader.statement(this.#size)) ?? new Uint8Array())
      const jwk = authorities.keyOf(statement.header.kid ?? '')
      demand(jwk !== undefined, 'the log has a statement by nobody')
      await verifySignedStatement(statement, await importVerificationKey(jwk))
    }
  }
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: Uint8Array
  readonly isHead: boolean
}

/** An answer that names what is wrong, in the form that it says it has; never 500. */
function checkAnswer({ status, type, body, isHead }: Answer): string {
  demand(status >= 100 && status < 600 && status !== 500, `status ${status}`)
  if (status < 400) return `${status} ${type}`
  if (isHead && body.length === 0) return `${status} HEAD`
  demand(type === CBOR_PROBLEM || type === JSON_PROBLEM, `${status} as ${type || 'nothing'}`)
  const problem =
    type === CBOR_PROBLEM
      ? decodeProblem(body)
      : (JSON.parse(new TextDecoder().decode(body)) as Record<string, unknown>)
  demand(
    typeof problem.code === 'string' && problem.status === status && typeof problem['title' as never] === 'string',
    `an answer without its code: ${JSON.stringify(problem)}`,
  )
  return `${status} ${problem.code} ${type}`
}

async function injectTarget(): Promise<Target> {
  const world = await serveLog(7)
  const watched = new Watched(world)
  const target: Target<LightMyRequestResponse | undefined> = {
    name: 'http',
    seeds: await requestsOf(world),
    mutators: [httpMutator],
    maxBytes: 321 * 1024,
    codes: [],
    read(input) {
      const request = requestOf(input)
      // Whatever happens in here, the application answers: what throws is the injection itself.
      return request && world.app.inject(request).catch(() => undefined)
    },
    async check(answer) {
      if (!answer) return 'no request'
      await watched.check([answer.statusCode])
      const type = String(answer.headers['content-type'] ?? '')
      const isHead = answer.raw.req.method === 'HEAD'
      return checkAnswer({ status: answer.statusCode, type, body: new Uint8Array(answer.rawPayload), isHead })
    },
    close: () => world.close(),
  }
  return target as Target
}

/** The request that the bytes spell, as far as they spell one. */
function requestOf(input: Uint8Array): InjectOptions | undefined {
  const end = headLength(input)
  // Longer ones do not get past the server.
  if (end > 8 * 1024) return undefined
  const [first = '', ...lines] = new TextDecoder('latin1').decode(input.subarray(0, end)).split('\r\n')
  const [method = '', url = ''] = first.split(' ')
  if (!METHODS.includes(method) || method === 'get' || !/^[\x21-\x7e]+$/.test(url)) return undefined
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const colon = line.indexOf(':')
    if (colon > 0 && /^[\x21-\x7e]+$/.test(line.slice(0, colon)))
      headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
  }
  const body = input.subarray(end)
  return { method: method as 'GET', url, headers, ...(body.length > 0 && { payload: Buffer.from(body) }) }
}

/** How long nothing may come back before a request counts as unfinished, in milliseconds. The client then closes its half. */
const PATIENCE = 15

async function socketTarget(): Promise<Target> {
  const world = await serveLog(7)
  await world.app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = world.app.server.address() as { port: number }
  const watched = new Watched(world)
  const target: Target<Uint8Array> = {
    name: 'http-socket',
    seeds: await requestsOf(world),
    mutators: [httpMutator, bytesMutator],
    maxBytes: 64 * 1024,
    // Of the client too, and of waiting for what does not come; `http` holds the server to its limit.
    timeLimit: 1000,
    codes: [],
    read: (input) => exchange(port, input),
    async check(bytes) {
      const answers = new TextDecoder('latin1').decode(bytes)
      const statuses = [...answers.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
      demand(!statuses.includes(500), 'status 500')
      demand(bytes.length === 0 || answers.startsWith('HTTP/1.1 '), 'answers with what is not HTTP')
      await watched.check(statuses)
      return [...new Set(statuses)].slice(0, 2).join()
    },
    close: () => world.close(),
  }
  return target as Target
}

/** Everything that comes back for these bytes, until the server closes or has said all it will. */
function exchange(port: number, input: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve) => {
    const pieces: Uint8Array[] = []
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    const finish = () => {
      clearTimeout(timer)
      socket.destroy()
      resolve(concatBytes(...pieces))
    }
    let timer = setTimeout(finish, 20 * PATIENCE)
    socket.on('data', (piece) => {
      pieces.push(piece)
      clearTimeout(timer)
      timer = setTimeout(finish, PATIENCE)
    })
    socket.on('end', finish)
    socket.on('error', finish)
    // Half closed, so that what waits for the rest of a request learns that there is none.
    socket.end(input)
  })
}

function configTarget(): Target {
  const directory = mkdtempSync(join(tmpdir(), 'provlog-fuzz-'))
  const target: Target<ServerConfig> = {
    name: 'config',
    seeds: [
      '{"format":1,"origin":"log.example","server":{"listen":{"host":"127.0.0.1","port":8787},"limits":{"maxClockSkew":300,"maxPending":1}}}',
      '{"server":{"access":{"trustDomains":{"bank.example":{"bundle":"b","profile":"spiffe","maxLifetime":60}},"audience":["https://log.example"],"proxies":[{"who":"spiffe://bank.example/edge","header":"client-cert","trustDomains":["bank.example"]}],"rules":[{"who":["spiffe://bank.example/x","anonymous"],"may":["read","wraps"]},{"trustDomain":"bank.example","may":["audit"]}],"limits":{"default":{"burst":1,"requestsPerSecond":1}},"admin":{"listen":{"host":"::1","port":1}},"audit":{"file":"a","sync":true}}}}',
      '{"server":{}}',
      '{}',
    ].map(utf8),
    mutators: [jsonMutator, jsonMutator, textMutator()],
    maxBytes: 16 * 1024,
    codes: ['malformed_config'],
    read(input) {
      writeFileSync(join(directory, 'config.json'), input)
      return serverConfig(directory)
    },
    check({ listen, limits, access }) {
      for (const { who, trustDomain } of access?.rules ?? []) {
        const domains = who.flatMap((each) => (each === 'anonymous' ? [] : parseWorkloadIdentifier(each).trustDomain))
        for (const domain of [...domains, ...(trustDomain === undefined ? [] : [trustDomain])]) {
          demand(access?.trustDomains.has(domain) === true, 'a rule about whom nobody can vouch for')
        }
      }
      demand(!access?.admin || /^(127\.|::1$|localhost$)/.test(access.admin.listen.host), 'admins in clear text')
      demand(Number.isInteger(listen.port) && listen.port >= 0 && listen.port < 65_536, `port ${listen.port}`)
      demand(/^(127\.|::1$|localhost$)/.test(listen.host), `listens on ${listen.host} without being told twice`)
      for (const limit of Object.values(limits))
        demand(Number.isSafeInteger(limit) && limit >= 0, `a limit of ${limit}`)
      return `${Object.keys(limits).length}`
    },
    close: async () => rmSync(directory, { recursive: true }),
  }
  return target as Target
}
