// The id of a request is on its answer, in what is written down about it, and nobody's to choose but a proxy's.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { idOfProxy, requestIds } from '../../../log-server/http/request-id.ts'
import { notRandom } from '../../provenance/small-log.ts'
import { guard, may, PROXY } from '../access/guarded-log.ts'
import { type ServedLog, serveLog } from '../served-log.ts'

const UUID = '4bf92f35-77b3-4da6-a3ce-929d0e0e4736'
const SUBJECT = 'spiffe://bank.example/issuer'

let world: ServedLog
let lines: string[]
before(async () => {
  lines = []
  world = await serveLog(1, {
    requestIds: requestIds(notRandom('ids')),
    logger: { level: 'error', stream: { write: (line: string) => void lines.push(line) } },
  })
})
after(() => world.close())

describe('the id of a request', () => {
  it('is on every answer, and another each time', async () => {
    const seen = new Set<unknown>()
    const asked = [
      '/checkpoint',
      '/healthz',
      '/none',
      '/%c3%28',
      `/v1/provenance/${'x'.repeat(2000)}`,
      '/entries/nonsense',
    ]
    for (const url of asked) seen.add((await world.get(url)).headers['x-request-id'])
    seen.add((await world.post(Buffer.from('nothing'))).headers['x-request-id'])
    seen.add((await world.app.inject({ method: 'OPTIONS', url: '/checkpoint' })).headers['x-request-id'])
    assert.equal(seen.size, asked.length + 2)
    for (const id of seen) assert.match(String(id), /^[0-9a-f]{16}$/)
  })

  it('is no caller’s to choose', async () => {
    for (const id of [UUID, 'x', '', 'a'.repeat(5000)]) {
      const answer = await world.get('/checkpoint', { 'x-request-id': id })
      assert.match(String(answer.headers['x-request-id']), /^[0-9a-f]{16}$/)
    }
  })

  it('is in the line about an error of ours, and in the answer to it', async () => {
    const { reader } = world.log
    Object.assign(reader, { locate: () => Promise.reject(new Error('EIO')) })
    const answer = await world.get(`/entries/${'0'.repeat(64)}`)
    // What hid the real one.
    Reflect.deleteProperty(reader, 'locate')
    assert.equal(answer.statusCode, 500)
    const id = String(answer.headers['x-request-id'])
    assert.equal((JSON.parse(lines.at(-1)!) as { reqId: string }).reqId, id)
    assert.ok(answer.rawPayload.toString('latin1').includes(`request ${id}`))
  })

  it('is the one that an authenticated proxy gave, in a form that can be nothing else, in the audit line too', async () => {
    const seen = guard(world, [may(SUBJECT, 'read'), { who: ['anonymous'], may: ['read:general'] }])
    const ask = async (id: string | undefined) => {
      const answer = await seen.app.inject({
        url: '/checkpoint',
        headers: id === undefined ? {} : { 'x-request-id': id },
      })
      await seen.audit.written()
      const { request } = seen.sink.lines.at(-1)!
      assert.equal(answer.headers['x-request-id'], request)
      return request
    }
    seen.peer = SUBJECT
    assert.notEqual(await ask(UUID), UUID, 'a caller is no proxy')
    seen.peer = PROXY
    assert.equal(await ask(UUID), UUID)
    assert.equal(await ask(UUID.replaceAll('-', '')), UUID.replaceAll('-', ''))
    for (const other of [
      undefined,
      '',
      'req-1',
      `${UUID}x`,
      UUID.toUpperCase(),
      `${UUID}, ${UUID}`,
      '"}\\n{"forged":1',
    ])
      assert.match(await ask(other), /^req-/)
    await seen.app.close()
  })

  it('is another for longer than ids are drawn together', () => {
    const next = requestIds(notRandom('many'))
    const ids = new Set(Array.from({ length: 2000 }, () => next()))
    assert.equal(ids.size, 2000)
    for (const id of ids) assert.match(id, /^[0-9a-f]{16}$/)
  })

  it('of a proxy is read in one way', () => {
    for (const header of [undefined, [UUID, UUID], `${UUID} `, `${UUID}\n`, 'é'.repeat(36)])
      assert.equal(idOfProxy(header), undefined)
  })
})
