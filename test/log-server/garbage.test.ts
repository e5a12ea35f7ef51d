// Garbage on every path by every method: each refusal has a status and a code that the description of the API lists for that path, in the
// form that the path is for. What is tried is made of a seed, so that a failure can be had again.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { COMMON_PROBLEMS } from '../../log-server/http/openapi.ts'
import { type ProblemCode, problemTable, statusOf } from '../../log-server/problem.ts'
import { CBOR_PROBLEM, JSON_PROBLEM, problemIn, type ServedLog, serveLog } from './served-log.ts'

const METHODS = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'PROPFIND',
  'LINK',
  'SEARCH',
] as const

/** In the place of a parameter: what a careless client sends, and what a careful enemy does. */
const VALUES = [
  'x',
  '0',
  '-1',
  '1e3',
  '0x10',
  '00',
  '9007199254740993',
  '9'.repeat(40),
  'ab'.repeat(32),
  'AB'.repeat(32),
  '0.0',
  '0.999',
  'x'.repeat(43),
  '000.p/1',
  '000.p/256',
  'x999/999',
  '..',
  '%2e%2e%2f',
  '%',
  '%00',
  '%ff',
  '%0d%0aX-A:%20b',
  '__proto__',
  'constructor',
  'issuance-policy',
  '<script>',
  '💥',
  'a'.repeat(1025),
  'a'.repeat(5000),
  ';a=b',
  '?x=y',
]

const TYPES = [
  undefined,
  'application/cose',
  'application/cbor-seq',
  'application/json',
  'text/plain',
  '/',
  'a'.repeat(300),
]

let world: ServedLog
interface Path {
  readonly path: string
  /** By method, in lower case: the codes that it may answer with. */
  readonly operations: Readonly<Record<string, ReadonlySet<string>>>
}
let paths: readonly Path[]
before(async () => {
  world = await serveLog(4)
  const { paths: described } = (await world.get('/openapi.json')).json() as {
    paths: Record<string, Record<string, { responses: Record<string, { description: string }> }>>
  }
  const known = new Set<string>(problemTable().map(({ code }) => code))
  paths = Object.entries(described).map(([path, item]) => ({
    path,
    operations: Object.fromEntries(
      Object.entries(item).map(([method, { responses }]) => [
        method,
        new Set([
          ...COMMON_PROBLEMS,
          ...Object.values(responses).flatMap(({ description }) =>
            [...description.matchAll(/`([a-z0-9_]+)`/g)].map(([, code = '']) => code).filter((code) => known.has(code)),
          ),
        ]),
      ]),
    ),
  }))
})
after(() => world.close())

/** `length` bytes that nobody chose. */
function noise(seed: string, length: number): Buffer {
  const pieces: Buffer[] = []
  for (let have = 0; have < length; have += 32) pieces.push(createHash('sha256').update(`${seed} ${have}`).digest())
  return Buffer.concat(pieces).subarray(0, length)
}

const BODIES = [
  Buffer.alloc(0),
  noise('a', 1),
  noise('b', 100),
  noise('c', 5000),
  Buffer.from('{}'),
  Buffer.concat([Buffer.from('d28443a10126a0', 'hex'), noise('d', 200)]),
  Buffer.from('41004100', 'hex'),
]

interface Attempt {
  readonly method: (typeof METHODS)[number]
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly payload?: Buffer
}

/** Sends it, and holds the answer to what is said of that path. */
async function judge(path: Path, { method, url, headers = {}, payload }: Attempt): Promise<void> {
  const what = `${method} ${url.slice(0, 100)} ${JSON.stringify(headers).slice(0, 100)}`
  const answer = await world.app.inject({
    method: method as 'GET',
    url,
    headers,
    ...(payload && method !== 'GET' && method !== 'HEAD' && { payload }),
  })
  const { statusCode: status } = answer
  // A browser's question, which is about a method and none itself (`cors.ts`).
  if (status === 204 && method === 'OPTIONS' && 'access-control-request-method' in headers) return
  if (status < 400) {
    assert.ok(Object.hasOwn(path.operations, method.toLowerCase()), `${what}: ${status}`)
    return
  }
  const form = answer.headers['content-type']
  assert.ok(form === CBOR_PROBLEM || form === JSON_PROBLEM, `${what}: ${String(form)}`)
  const scitt = /^\/(?:entries|\.well-known\/scitt-keys)(?:\/|$)/.test(new URL(url, 'http://x').pathname)
  if (headers['accept'] === undefined) assert.equal(form, scitt ? CBOR_PROBLEM : JSON_PROBLEM, what)
  assert.equal(answer.headers['cache-control'], 'no-store', what)
  assert.equal(answer.headers['x-content-type-options'], 'nosniff', what)
  assert.equal(answer.headers['x-a'], undefined, what)
  if (method === 'HEAD') {
    assert.equal(answer.rawPayload.length, 0, what)
    return
  }
  const { code, status: said } = problemIn(answer)
  assert.equal(said, status, what)
  assert.equal(statusOf(code as ProblemCode), status, `${what}: ${code}`)
  assert.notEqual(code, 'internal', what)
  // A value that is no one path segment may lead to another path, or to none.
  const elsewhere = ['not_found', 'unknown_kid', 'malformed_tile_path'].includes(code ?? '')
  const allowed =
    path.operations[method.toLowerCase()] ?? new Set<string>([...COMMON_PROBLEMS, 'unsupported_media_type'])
  assert.ok(allowed.has(code ?? '') || elsewhere, `${what}: ${code} is not described`)
  if (code === 'method_not_allowed') assert.ok(String(answer.headers['allow']).length > 2, what)
}

describe('garbage is answered as the API is described', () => {
  it('in the place of parameters', async () => {
    for (const path of paths) {
      const names = path.path.match(/\{[A-Za-z]+\}/g) ?? []
      for (const value of names.length > 0 ? VALUES : ['', '?', '?x=%', '/', ';x', '%20']) {
        const url = names.length > 0 ? path.path.replace(/\{[A-Za-z]+\}/g, value) : `${path.path}${value}`
        for (const method of METHODS) await judge(path, { method, url })
      }
    }
  })

  it('as bodies, of types and codings of all kinds', async () => {
    for (const path of paths) {
      const url = path.path.replace(/\{[A-Za-z]+\}/g, 'x')
      for (const method of ['POST', 'PUT'] as const) {
        for (const type of TYPES) {
          for (const payload of BODIES) {
            await judge(path, { method, url, payload, headers: type === undefined ? {} : { 'content-type': type } })
          }
        }
        const coded = { 'content-type': 'application/cose', 'content-encoding': 'gzip' }
        await judge(path, { method, url, payload: BODIES[2]!, headers: coded })
      }
    }
  })

  it('as headers', async () => {
    const accepts = [
      '',
      ',',
      ';q=',
      'q=1',
      '*/*;q=2',
      'a/b;q=0.0001',
      ','.repeat(3000),
      'application/cbor',
      'application/json',
    ]
    const others = [
      { prefer: 'wait=99999999999999999999, respond-async=\u0001' },
      { 'if-none-match': '"'.repeat(500), range: 'bytes=-1,,5-' },
      { 'x-http-method-override': 'DELETE', 'x-forwarded-host': 'evil' },
      { origin: 'null', 'access-control-request-method': 'POST' },
    ]
    for (const path of paths) {
      const url = path.path.replace(/\{[A-Za-z]+\}/g, 'x')
      for (const method of ['GET', 'POST', 'OPTIONS'] as const) {
        for (const accept of accepts) await judge(path, { method, url, headers: { accept } })
        for (const headers of others) await judge(path, { method, url, headers })
      }
    }
  })

  it('and the log is as it was', async () => {
    assert.equal(world.log.reader.treeHead().size, 4)
    assert.equal((await world.get('/readyz')).statusCode, 200)
  })
})
