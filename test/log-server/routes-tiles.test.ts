// The public log: checkpoint, tiles, bundles and proofs, read over HTTP as any C2SP client would and checked against each other.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import {
  checkConsistency,
  checkInclusion,
  decodeEntryBundle,
  EMPTY_ROOT,
  equalBytes,
  formatEntriesPath,
  formatTilePath,
  fromBase64,
  fromHex,
  hashLeaf,
  openCheckpoint,
  parseVkey,
  readRoot,
  sha256,
  type TileReader,
} from '../../merkle/index.ts'
import { assertRefused, JSON_PROBLEM, type ServedLog, serveLog } from './served-log.ts'

let world: ServedLog
before(async () => {
  world = await serveLog()
})
after(() => world.close())

const IMMUTABLE = 'public, max-age=31536000, immutable'

async function bytesAt(path: string): Promise<Uint8Array> {
  const answer = await world.get(path)
  assert.equal(answer.statusCode, 200, `${path}: ${answer.payload}`)
  return new Uint8Array(answer.rawPayload)
}

async function checkpoint() {
  const { origin, vkey } = world.log
  return openCheckpoint(await bytesAt('/checkpoint'), { origin, verifiers: [parseVkey(vkey)] })
}

const tiles: TileReader = { readTiles: (ids) => Promise.all(ids.map((id) => bytesAt(`/${formatTilePath(id)}`))) }

describe('GET /checkpoint', () => {
  it('is a note signed with the key of the log, as text that every cache asks about and any page may read', async () => {
    const answer = await world.get('/checkpoint')
    assert.equal(answer.headers['content-type'], 'text/plain; charset=utf-8')
    assert.equal(answer.headers['cache-control'], 'no-cache')
    assert.equal(answer.headers['access-control-allow-origin'], '*')
    assert.equal(answer.headers['x-content-type-options'], 'nosniff')
    assert.equal((await checkpoint()).size, 9)
  })

  it('answers HEAD with the same headers and no body', async () => {
    const answer = await world.app.inject({ method: 'HEAD', url: '/checkpoint' })
    assert.equal(answer.statusCode, 200)
    assert.equal(answer.headers['content-type'], 'text/plain; charset=utf-8')
    assert.equal(answer.rawPayload.length, 0)
  })
})

describe('GET /tile/…', () => {
  it('leads to the root of the checkpoint', async () => {
    const { size, root } = await checkpoint()
    assert.ok(equalBytes(await readRoot(size, tiles), root))
  })

  it('is octets that never change, and that any page may read', async () => {
    for (const [path, caching] of [
      ['/tile/0/000.p/9', IMMUTABLE],
      ['/tile/entries/000.p/9', IMMUTABLE],
      // These change when something is erased.
      ['/v1/statements/000.p/9', 'public, max-age=86400, immutable'],
    ] as const) {
      const { headers } = await world.get(path)
      assert.equal(headers['content-type'], 'application/octet-stream')
      assert.equal(headers['cache-control'], caching)
      assert.equal(headers['access-control-allow-origin'], '*')
    }
  })

  it('answers a narrower width with the same hashes, cut short', async () => {
    const whole = await bytesAt('/tile/0/000.p/9')
    for (let width = 1; width < 9; width++) {
      assert.deepEqual(await bytesAt(`/tile/0/000.p/${width}`), whole.slice(0, width * 32))
    }
  })

  it('has the leaf hash of each entry of the bundle under it, and each entry is the hash of its statement', async () => {
    const hashes = await bytesAt('/tile/0/000.p/9')
    const entries = decodeEntryBundle(await bytesAt(`/${formatEntriesPath(0, 9)}`), 9)
    const statements = splitStatements(await bytesAt('/v1/statements/000.p/9'))
    assert.equal(statements.length, 9)
    for (const [i, entry] of entries.entries()) {
      assert.deepEqual(hashes.slice(32 * i, 32 * i + 32), hashLeaf(entry))
      assert.deepEqual(sha256(statements[i]!), entry)
      assert.deepEqual(statements[i], world.statements[i]!.bytes)
    }
  })

  it('is 404 for what the tree is too small for, and for what a published tree cannot have (not_found)', async () => {
    for (const path of [
      '0/000',
      '0/000.p/10',
      '0/001.p/1',
      '1/000.p/1',
      '63/000.p/1',
      'entries/000',
      'entries/000.p/10',
    ]) {
      assertRefused(await world.get(`/tile/${path}`), { status: 404, code: 'not_found', type: JSON_PROBLEM })
    }
    for (const path of ['000', '000.p/10', '001.p/1', 'x999/999']) {
      assertRefused(await world.get(`/v1/statements/${path}`), { status: 404, code: 'not_found', type: JSON_PROBLEM })
    }
  })

  // One tile, one path: each of these is some path's second spelling, or an attempt at another file. (`inject` resolves dot segments
  // and backslashes before the server sees them: those are in hostile.test.ts, over a socket.)
  const malformed = [
    ['no tile', ''],
    ['no index', '0'],
    ['a level with a leading zero', '00/000.p/9'],
    ['a level past the last', '64/000.p/9'],
    ['a negative level', '-1/000.p/9'],
    ['an index of two digits', '0/00.p/9'],
    ['an index with a leading group of zeros', '0/x000/000.p/9'],
    ['an index past 2⁵³', '0/x999/x999/x999/x999/x999/999'],
    ['more groups than any index', `0/${'x001/'.repeat(40)}001`],
    ['width 0', '0/000.p/0'],
    ['width 256', '0/000.p/256'],
    ['a width with a leading zero', '0/000.p/09'],
    ['a plus', '0/000.p/+9'],
    ['an escaped digit', '0/%30%30%30.p/9'],
    ['an escaped slash', '0%2f000.p/9'],
    ['an escaped dot', '0/000%2ep/9'],
    ['two slashes', '0//000.p/9'],
    ['a slash at the end', '0/000.p/9/'],
    ['a NUL', '0/000.p/9%00'],
    ['full-width digits', `0/${encodeURIComponent('０００')}.p/9`],
    ['entries of entries', 'entries/entries/000'],
  ] as const
  for (const [what, path] of malformed) {
    it(`refuses ${what} (malformed_tile_path)`, async () => {
      const refusal = { status: 400, code: 'malformed_tile_path', type: JSON_PROBLEM }
      assertRefused(await world.get(`/tile/${path}`), refusal)
      const index = path.replace(/^0\//, '')
      if (index !== path) assertRefused(await world.get(`/v1/statements/${index}`), refusal)
    })
  }

  it('does not read the query', async () => {
    assert.deepEqual(await bytesAt('/tile/0/000.p/9?level=1'), await bytesAt('/tile/0/000.p/9'))
  })
})

describe('GET /v1/proof/…', () => {
  it('proves every entry in every tree that has it', async () => {
    const roots = [EMPTY_ROOT]
    for (let size = 1; size <= 9; size++) roots.push(await readRoot(size, tiles))
    for (let size = 1; size <= 9; size++) {
      for (let index = 0; index < size; index++) {
        const answer = await world.get(`/v1/proof/inclusion/${index}/${size}`)
        assert.equal(answer.headers['cache-control'], IMMUTABLE)
        const { entry, proof, ...rest } = answer.json()
        assert.deepEqual(rest, { index, size })
        assert.equal(equalBytes(fromHex(entry), world.statements[index]!.entry), true)
        checkInclusion({ index, size, leafHash: hashLeaf(fromHex(entry)), proof: proof.map(fromBase64) }, roots[size]!)
      }
    }
    for (let to = 1; to <= 9; to++) {
      for (let from = 1; from <= to; from++) {
        const answer = await world.get(`/v1/proof/consistency/${from}/${to}`)
        const { proof, ...rest } = answer.json()
        assert.deepEqual(rest, { from, to })
        const [root1, root2] = [roots[from]!, roots[to]!]
        checkConsistency({ size1: from, root1, size2: to, root2, proof: proof.map(fromBase64) })
      }
    }
  })

  const refused: readonly (readonly [path: string, status: number, code: string])[] = [
    ['inclusion/9/9', 400, 'invalid_locator'],
    ['inclusion/0/0', 400, 'invalid_locator'],
    ['inclusion/0/10', 404, 'not_found'],
    ['inclusion/9007199254740991/9007199254740991', 404, 'not_found'],
    ['inclusion/0/9007199254740992', 400, 'invalid_locator'],
    ['inclusion/9007199254740992/9', 400, 'invalid_locator'],
    ['inclusion/0/99999999999999999999', 400, 'invalid_locator'],
    ['inclusion/-1/9', 400, 'invalid_locator'],
    ['inclusion/00/9', 400, 'invalid_locator'],
    ['inclusion/1e0/9', 400, 'invalid_locator'],
    ['inclusion/0x1/9', 400, 'invalid_locator'],
    ['inclusion/1.0/9', 400, 'invalid_locator'],
    ['inclusion/%20/9', 400, 'invalid_locator'],
    ['inclusion//9', 400, 'invalid_locator'],
    ['consistency/2/1', 400, 'invalid_locator'],
    ['consistency/1/10', 404, 'not_found'],
    ['consistency/a/b', 400, 'invalid_locator'],
    ['inclusion/0', 404, 'not_found'],
    ['inclusion/0/9/', 404, 'not_found'],
    ['inclusion', 404, 'not_found'],
  ]
  for (const [path, status, code] of refused) {
    it(`refuses ${path} (${code})`, async () => {
      assertRefused(await world.get(`/v1/proof/${path}`), { status, code, type: JSON_PROBLEM })
    })
  }
})

function splitStatements(bytes: Uint8Array): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const statements: Uint8Array[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = view.getUint32(at)
    statements.push(bytes.slice(at + 4, at + 4 + length))
    at += 4 + length
  }
  return statements
}
