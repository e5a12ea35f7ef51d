/**
 * What HTTP says around the bytes of the C2SP and the replay face: validators, HEAD, compression, ranges, and who may read.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { decodeEntryBundle } from '../../merkle/index.ts'
import { assertRefused, JSON_PROBLEM, type ServedLog, serveLog } from './served-log.ts'

let world: ServedLog
before(async () => {
  world = await serveLog()
})
after(() => world.close())

const TILE = '/tile/0/000.p/9'
const ENTRIES = '/tile/entries/000.p/9'
const STATEMENTS = '/v1/statements/000.p/9'
const ALL = ['/checkpoint', TILE, ENTRIES, STATEMENTS]

const tagOf = async (path: string, headers = {}) => String((await world.get(path, headers)).headers['etag'])
const head = (url: string, headers = {}) => world.app.inject({ method: 'HEAD', url, headers })

describe('validators', () => {
  it('are strong, one for each content and each encoding', async () => {
    const tags = new Set<string>()
    for (const path of [...ALL, '/tile/0/000.p/8', '/v1/statements/000.p/8']) {
      const tag = await tagOf(path)
      assert.match(tag, /^"[A-Za-z0-9_-]{22}"$/)
      assert.equal(await tagOf(path), tag)
      tags.add(tag)
    }
    for (const path of [ENTRIES, STATEMENTS]) tags.add(await tagOf(path, { 'accept-encoding': 'gzip' }))
    assert.equal(tags.size, 8)
  })

  it('spare the body to whoever names one: 304, with what a cache must know', async () => {
    for (const path of ALL) {
      const whole = await world.get(path)
      const tag = String(whole.headers['etag'])
      for (const names of [tag, `W/${tag}`, '*', ` "other" , ${tag}`, `"a,b", W/${tag} ,`, `,, ${tag}`]) {
        for (const method of ['GET', 'HEAD'] as const) {
          const answer = await world.app.inject({ method, url: path, headers: { 'if-none-match': names } })
          assert.equal(answer.statusCode, 304, `${path} ${names}`)
          assert.equal(answer.rawPayload.length, 0)
          for (const name of ['etag', 'cache-control', 'vary', 'access-control-allow-origin']) {
            assert.equal(answer.headers[name], whole.headers[name], name)
          }
        }
      }
      for (const names of ['"other"', tag.slice(1, -1), `x${tag}`, '', `"${tag}"`, `${tag} ${tag}`]) {
        assert.equal((await world.get(path, { 'if-none-match': names })).statusCode, 200, `${path} ${names}`)
      }
    }
  })

  it('of one encoding are not those of the other', async () => {
    const gzip = { 'accept-encoding': 'gzip' }
    const [plain, compressed] = [await tagOf(ENTRIES), await tagOf(ENTRIES, gzip)]
    assert.equal((await world.get(ENTRIES, { ...gzip, 'if-none-match': plain })).statusCode, 200)
    assert.equal((await world.get(ENTRIES, { ...gzip, 'if-none-match': compressed })).statusCode, 304)
    assert.equal((await world.get(ENTRIES, { 'if-none-match': compressed })).statusCode, 200)
  })
})

describe('HEAD', () => {
  it('is GET without the body, length included', async () => {
    for (const path of ALL) {
      const [got, asked] = [await world.get(path), await head(path)]
      assert.equal(asked.statusCode, 200)
      assert.equal(asked.rawPayload.length, 0)
      assert.equal(asked.headers['content-length'], String(got.rawPayload.length))
      for (const name of Object.keys(got.headers)) {
        if (name !== 'date' && name !== 'x-request-id')
          assert.equal(asked.headers[name], got.headers[name], `${path} ${name}`)
      }
    }
  })

  it('looks at no range, which is for GET alone', async () => {
    const answer = await head(STATEMENTS, { range: 'bytes=0-1' })
    assert.equal(answer.statusCode, 200)
    assert.equal(answer.headers['content-range'], undefined)
  })

  it('is refused as GET is', async () => {
    for (const path of ['/tile/0/000.p/7x', '/tile/0/001', '/v1/statements/001']) {
      const [got, asked] = [await world.get(path), await head(path)]
      assert.equal(asked.statusCode, got.statusCode)
      assert.equal(asked.headers['cache-control'], 'no-store')
    }
  })
})

describe('compression', () => {
  const taken = [
    'gzip',
    'gzip, identity',
    'x-gzip',
    '*',
    'br;q=1, gzip;q=0.2',
    'GZIP',
    'gzip;q=1.000',
    'identity;q=0, gzip',
    'identity;q=0, *',
  ]
  const left = [
    '',
    'identity',
    'br',
    'gzip;q=0',
    'gzip;q=0.000, *',
    'gzip;q=0.1, identity',
    'gzip;q=2',
    'identity;q=0',
    '*;q=0',
    'gzip;level=9',
  ]

  for (const path of [ENTRIES, STATEMENTS]) {
    it(`of ${path} is for whoever takes gzip`, async () => {
      const whole = (await world.get(path)).rawPayload
      for (const accepted of taken) {
        const answer = await world.get(path, { 'accept-encoding': accepted })
        assert.equal(answer.headers['content-encoding'], 'gzip', accepted)
        assert.equal(answer.headers['vary'], 'accept-encoding')
        assert.equal(answer.headers['accept-ranges'], undefined)
        assert.deepEqual(gunzipSync(answer.rawPayload), whole)
      }
      for (const accepted of left) {
        const answer = await world.get(path, { 'accept-encoding': accepted })
        assert.equal(answer.headers['content-encoding'], undefined, accepted)
        // Whoever caches this must know too that there is another one.
        assert.equal(answer.headers['vary'], 'accept-encoding')
        assert.deepEqual(answer.rawPayload, whole)
      }
    })
  }

  it('is not for tiles and checkpoints', async () => {
    for (const path of [TILE, '/checkpoint']) {
      const answer = await world.get(path, { 'accept-encoding': 'gzip, identity;q=0' })
      assert.equal(answer.headers['content-encoding'], undefined)
      assert.equal(answer.headers['vary'], undefined)
    }
  })

  it('leaves an entry bundle that any C2SP client can read', async () => {
    const answer = await world.get(ENTRIES, { 'accept-encoding': 'gzip, identity' })
    const entries = decodeEntryBundle(new Uint8Array(gunzipSync(answer.rawPayload)), 9)
    for (const [i, entry] of entries.entries()) assert.deepEqual(entry, world.statements[i]!.entry)
  })
})

describe('ranges of a statement bundle', () => {
  it('are every part of it, from one byte to the whole', async () => {
    const whole = await world.get(STATEMENTS)
    const { length } = whole.rawPayload
    assert.equal(whole.headers['accept-ranges'], 'bytes')
    for (const [range, start, end] of [
      ['bytes=0-0', 0, 1],
      ['bytes=0-', 0, length],
      [`bytes=${length - 1}-`, length - 1, length],
      ['bytes=-1', length - 1, length],
      [`bytes=-${length + 5}`, 0, length],
      ['bytes=100-999999', 100, length],
      ['bytes=700-1499', 700, 1500],
      ['BYTES=3-5', 3, 6],
    ] as const) {
      const part = await world.get(STATEMENTS, { range })
      assert.equal(part.statusCode, 206, range)
      assert.equal(part.headers['content-range'], `bytes ${start}-${end - 1}/${length}`)
      assert.equal(part.headers['content-length'], String(end - start))
      assert.equal(part.headers['etag'], whole.headers['etag'])
      assert.deepEqual(part.rawPayload, whole.rawPayload.subarray(start, end), range)
    }
  })

  it('at every offset go on where the first part ended', async () => {
    const whole = (await world.get(STATEMENTS)).rawPayload
    for (let cut = 1; cut < whole.length; cut += 97) {
      const rest = await world.get(STATEMENTS, { range: `bytes=${cut}-` })
      assert.deepEqual(Buffer.concat([whole.subarray(0, cut), rest.rawPayload]), whole)
    }
  })

  it('past the end are refused with the length, and not kept (range_not_satisfiable)', async () => {
    const { length } = (await world.get(STATEMENTS)).rawPayload
    for (const range of [`bytes=${length}-`, 'bytes=999999-', 'bytes=-0']) {
      const answer = await world.get(STATEMENTS, { range })
      assertRefused(answer, { status: 416, code: 'range_not_satisfiable', type: JSON_PROBLEM })
      assert.equal(answer.headers['content-range'], `bytes */${length}`)
    }
  })

  it('that are several, of another unit, or nonsense are answered with the whole', async () => {
    const { rawPayload } = await world.get(STATEMENTS)
    for (const range of [
      'bytes=0-1,5-6',
      'lines=0-1',
      'bytes=5-1',
      'bytes=-',
      'bytes',
      'bytes=a-b',
      'bytes=1-2-3',
      `bytes=${'9'.repeat(40)}-`,
    ]) {
      const answer = await world.get(STATEMENTS, { range })
      assert.equal(answer.statusCode, 200, range)
      assert.deepEqual(answer.rawPayload, rawPayload)
    }
  })

  it('are of the bundle that the client has begun with, or the whole of the new one', async () => {
    const tag = await tagOf(STATEMENTS)
    for (const [ifRange, status] of [
      [tag, 206],
      ['"other"', 200],
      [`W/${tag}`, 200],
      ['Sat, 29 Oct 1994 19:43:31 GMT', 200],
    ] as const) {
      assert.equal(
        (await world.get(STATEMENTS, { range: 'bytes=5-', 'if-range': ifRange })).statusCode,
        status,
        ifRange,
      )
    }
  })

  it('are not given of what is compressed on the way, nor of tiles', async () => {
    const compressed = await world.get(STATEMENTS, { range: 'bytes=5-', 'accept-encoding': 'gzip' })
    assert.equal(compressed.statusCode, 200)
    assert.equal((await world.get(TILE, { range: 'bytes=5-' })).statusCode, 200)
  })
})

describe('pages', () => {
  it('may read every answer, refusals too, and see by what to ask again', async () => {
    for (const path of [...ALL, '/tile/0/001', '/tile/nonsense', '/nowhere', '/v1/statements/000.p/10']) {
      const { headers } = await world.get(path)
      assert.equal(headers['access-control-allow-origin'], '*', path)
      for (const name of ['etag', 'retry-after', 'content-range']) {
        assert.ok(String(headers['access-control-expose-headers']).split(', ').includes(name))
      }
    }
  })

  const preflight = (url: string, headers: Record<string, string>) =>
    world.app.inject({ method: 'OPTIONS', url, headers })

  it('may ask with what a reader asks with', async () => {
    for (const path of [...ALL, '/entries/0.1', '/tile/0/777']) {
      const answer = await preflight(path, {
        origin: 'https://explorer.example',
        'access-control-request-method': 'GET',
        'access-control-request-headers': 'if-none-match,range',
      })
      assert.equal(answer.statusCode, 204, path)
      assert.equal(answer.headers['access-control-allow-origin'], '*')
      assert.equal(answer.headers['access-control-allow-methods'], 'GET, HEAD')
      assert.ok(String(answer.headers['access-control-allow-headers']).includes('if-none-match'))
      assert.equal(answer.headers['access-control-allow-credentials'], undefined)
    }
  })

  it('may not register statements', async () => {
    const headers = { origin: 'https://evil.example', 'access-control-request-method': 'POST' }
    assertRefused(await preflight('/entries', headers), { status: 405, code: 'method_not_allowed' })
    const answer = await world.app.inject({
      method: 'POST',
      url: '/entries',
      headers: { origin: 'https://evil.example' },
    })
    assert.equal(answer.headers['access-control-allow-origin'], undefined)
  })

  it('ask with OPTIONS; anybody else who does is told which methods there are (method_not_allowed)', async () => {
    const answer = await preflight(TILE, {})
    assertRefused(answer, { status: 405, code: 'method_not_allowed', type: JSON_PROBLEM })
    assert.equal(answer.headers['allow'], 'GET, HEAD')
  })
})

describe('a refusal', () => {
  it('is kept by nobody, whatever its path would be', async () => {
    for (const path of ['/tile/0/001', '/tile/entries/000.p/10', '/tile/64/000', '/v1/statements/000.p/0']) {
      const { headers } = await world.get(path)
      assert.equal(headers['cache-control'], 'no-store')
      assert.equal(headers['etag'], undefined)
    }
  })
})
