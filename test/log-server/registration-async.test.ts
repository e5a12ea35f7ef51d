// SCRAPI's second form of an answer: a client that would rather ask again is sent away, and hears later what it would have heard.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import fastify, { type FastifyInstance } from 'fastify'
import { OPEN } from '../../log-server/access/door.ts'
import type { Admission } from '../../log-server/admission/admission.ts'
import type { Admitted } from '../../log-server/admission/admission-batch.ts'
import { PendingRegistrations } from '../../log-server/http/pending.ts'
import { wishesOf } from '../../log-server/http/prefer.ts'
import { registerProblems } from '../../log-server/problem.ts'
import { roomForBodies } from '../../log-server/routes/body.ts'
import { entryRoutes } from '../../log-server/routes/entries.ts'
import { registerRoutes } from '../../log-server/routes/register.ts'
import { BusyError } from '../../log-server/types.ts'
import { toHex } from '../../merkle/index.ts'
import { ProvenanceError } from '../../provenance/index.ts'
import { parseReceipt } from '../../statement/index.ts'
import { assertRefused, assertUnchanged, type ServedLog, serveLog } from './served-log.ts'

let world: ServedLog
before(async () => {
  world = await serveLog()
})
after(() => world.close())

/** An application whose admission and whose timer do what the test says, over the log of this file. */
interface Slow {
  readonly app: FastifyInstance
  /** Registers for real what was posted, or refuses it; returns how many were waiting for that. */
  readonly settle: (error?: Error) => Promise<number>
  /** Lets the deadline of all that wait pass. */
  readonly timesUp: () => void
  /** Milliseconds that the timer was set to. */
  readonly deadlines: number[]
  readonly post: (body: Uint8Array, url?: string, headers?: Record<string, string>) => ReturnType<ServedLog['post']>
  readonly get: (url: string) => ReturnType<ServedLog['get']>
}

function slow(): Slow {
  const waiting: { register: () => void; refuse: (error: Error) => void }[] = []
  const timers = new Set<() => void>()
  const deadlines: number[] = []
  const admission: Pick<Admission, 'admit' | 'expect' | 'maxBytes'> = {
    maxBytes: 100_000,
    expect: () => {},
    admit: (body) =>
      new Promise<Admitted>((resolve, refuse) => {
        waiting.push({
          refuse,
          register: () =>
            void world.post(body).then(async ({ headers, rawPayload }) => {
              const index = Number(String(headers['location']).split('.')[1])
              resolve({ entry: (await world.log.reader.entryAt(index))!, index, receipt: rawPayload, duplicate: false })
            }, refuse),
        })
      }),
  }
  const pending = new PendingRegistrations({ now: () => 0 })
  const app = fastify()
  app.removeAllContentTypeParsers()
  registerProblems(app)
  const timer = (callback: () => void, milliseconds: number) => {
    deadlines.push(milliseconds)
    timers.add(callback)
    return () => void timers.delete(callback)
  }
  app.register(registerRoutes, { admission, bodies: roomForBodies(), pending, door: OPEN, timer, deadline: 5 })
  app.register(entryRoutes, { log: world.log.reader, pending, door: OPEN })
  return {
    app,
    deadlines,
    async settle(error) {
      const settled = waiting.splice(0)
      for (const { register, refuse } of settled) {
        if (error) refuse(error)
        else register()
      }
      // Until the promises behind it have settled.
      await new Promise((resolve) => setImmediate(resolve))
      return settled.length
    },
    timesUp: () => {
      for (const callback of timers) callback()
    },
    post: async (body, url = '/entries', headers = {}) =>
      app.inject({
        method: 'POST',
        url,
        headers: { 'content-type': 'application/cose', ...headers },
        payload: Buffer.from(body),
      }),
    get: async (url) => app.inject({ url }),
  }
}

/** Turns of the event loop, until `done`. */
async function until(done: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 10_000 && !(await done()); turn++) await new Promise((resolve) => setImmediate(resolve))
}

describe('a registration that takes longer than its client is asked to wait', () => {
  it('is a 303 without a word, then 302s, then 200 and a receipt', async () => {
    const { app, settle, timesUp, deadlines, post, get } = slow()
    const { statement, submission } = await world.build('credential-status')
    const posted = post(submission)
    await until(() => deadlines.length === 1)
    assert.deepEqual(deadlines, [5000])
    timesUp()
    const answer = await posted
    const location = `/entries/${toHex(statement.entry)}`
    assert.equal(answer.statusCode, 303)
    assert.equal(answer.headers['location'], location)
    assert.equal(answer.headers['retry-after'], '1')
    assert.equal(answer.headers['cache-control'], 'no-store')
    assert.equal(answer.rawPayload.length, 0)
    assert.equal(answer.headers['content-type'], undefined)

    const running = await get(location)
    assert.equal(running.statusCode, 302)
    assert.equal(running.headers['location'], location)
    assert.equal(running.headers['retry-after'], '1')
    assert.equal(running.rawPayload.length, 0)
    // Nothing is promised, so nothing else knows of it.
    assertRefused(await get(`${location}/statement`), { status: 404, code: 'not_found' })

    await settle()
    await until(async () => (await get(location)).statusCode !== 302)
    const done = await get(location)
    assert.equal(done.statusCode, 200)
    assert.ok(parseReceipt(new Uint8Array(done.rawPayload)))
    await app.close()
  })

  it('is refused at the Location as it would have been refused at once', async () => {
    const { app, settle, timesUp, deadlines, post, get } = slow()
    const { statement, submission } = await world.build('credential-status')
    const refusals = [
      [new ProvenanceError('link_dangling', 'x'), 400, 'link_dangling'],
      [new ProvenanceError('unknown_key', 'x'), 403, 'unknown_key'],
      // In the end it was not taken, and may be posted again: our own client does.
      [new BusyError('queue_full', 'x', 7), 503, 'queue_full'],
    ] as const
    for (const [i, [error, status, code]] of refusals.entries()) {
      const posted = post(submission)
      await until(() => deadlines.length === i + 1)
      timesUp()
      const location = String((await posted).headers['location'])
      assert.equal((await get(location)).statusCode, 302)
      await settle(error)
      const answer = await get(location)
      assertRefused(answer, { status, code })
      assert.equal(answer.headers['retry-after'], status === 503 ? '7' : undefined)
    }
    assert.equal(await world.log.reader.locate(statement.entry), undefined)
    await app.close()
  })

  it('is over for a client that is still there, at 201 or with the refusal', async () => {
    const { app, settle, deadlines, post } = slow()
    const { submission } = await world.build('credential-status')
    const posted = post(submission)
    await until(() => deadlines.length === 1)
    await settle(new ProvenanceError('link_dangling', 'x'))
    assertRefused(await posted, { status: 400, code: 'link_dangling' })
    const again = post(submission)
    await until(() => deadlines.length === 2)
    await settle()
    assert.equal((await again).statusCode, 201)
    await app.close()
  })

  it('waits as long as Prefer says, and says so', async () => {
    const { app, timesUp, deadlines, post } = slow()
    const { submission } = await world.build('credential-status')
    const cases = [
      ['respond-async', 0, 'respond-async'],
      ['respond-async, wait=2', 2000, 'respond-async, wait=2'],
      ['wait=9', 9000, 'wait=9'],
      ['wait=600', 30_000, undefined],
      ['handling=strict', 5000, undefined],
    ] as const
    for (const [i, [prefer, milliseconds, applied]] of cases.entries()) {
      const posted = post(submission, '/entries', { prefer })
      await until(() => deadlines.length === i + 1)
      timesUp()
      const answer = await posted
      assert.equal(answer.statusCode, 303)
      assert.equal(answer.headers['preference-applied'], applied)
      assert.equal(deadlines[i], milliseconds)
    }
    await app.close()
  })

  it('says of what Prefer asked only what it did: an answer in time is no respond-async', async () => {
    const cases = [
      ['respond-async', undefined],
      ['respond-async, wait=600', 'wait=600'],
      ['wait=9', 'wait=9'],
    ] as const
    const { app, settle, deadlines, post } = slow()
    for (const [i, [prefer, applied]] of cases.entries()) {
      const { submission } = await world.build('credential-status')
      const posted = post(submission, '/entries', { prefer })
      await until(() => deadlines.length === i + 1)
      await settle()
      const answer = await posted
      assert.deepEqual([answer.statusCode, answer.headers['preference-applied']], [201, applied])
    }
    await app.close()
  })

  it('is waited for without end when the client says so', async () => {
    const { app, settle, deadlines, post } = slow()
    const { submission } = await world.build('credential-status')
    const posted = post(submission, '/entries?waitForCommit=true', { prefer: 'respond-async' })
    await until(async () => (await settle()) > 0)
    const answer = await posted
    assert.equal(answer.statusCode, 201)
    assert.deepEqual(deadlines, [])
    await app.close()
  })
})

describe('a client that asks for the form of CCF', () => {
  it('gets a redirect to an entry that has its index, and its receipt there', async () => {
    const { submission } = await world.build('credential-status')
    const answer = await world.app.inject({
      method: 'POST',
      url: '/entries?api-version=2026-03-26',
      headers: { 'content-type': 'application/cose' },
      payload: Buffer.from(submission),
    })
    assert.equal(answer.statusCode, 303)
    const location = String(answer.headers['location'])
    // What pyscitt takes for a transaction id.
    assert.match(location, /\/entries\/\d+\.\d+$/)
    assert.equal(answer.headers['x-ms-ccf-transaction-id'], location.split('/').at(-1))
    assert.equal(answer.rawPayload.length, 0)
    assert.equal((await world.get(`${location}?api-version=2026-03-26`)).statusCode, 200)
  })

  it('gets 201 when it waits for the commit', async () => {
    const { submission } = await world.build('credential-status')
    const answer = await world.app.inject({
      method: 'POST',
      url: '/entries?api-version=2026-03-26&waitForCommit=true',
      headers: { 'content-type': 'application/cose' },
      payload: Buffer.from(submission),
    })
    assert.equal(answer.statusCode, 201)
    assert.match(String(answer.headers['x-ms-ccf-transaction-id']), /^0\.\d+$/)
  })
})

it('no header and no query has a say in what is registered', async () => {
  const { submission: unknown } = await world.build('credential-status', { links: [] })
  const signals: readonly (readonly [query: string, headers: Record<string, string>])[] = [
    ['', {}],
    ['?waitForCommit=true', {}],
    ['?api-version=2026-03-26&policy=none&force=true', {}],
    ['', { prefer: 'wait=5, handling=lenient' }],
    ['', { authorization: 'Bearer admin', 'x-forwarded-client-cert': 'By=x;URI=spiffe://bank.example/issuer' }],
  ]
  for (const [query, headers] of signals) {
    await assertUnchanged(world, async () => {
      const answer = await world.app.inject({
        method: 'POST',
        url: `/entries${query}`,
        headers: { 'content-type': 'application/cose', ...headers },
        payload: Buffer.from(unknown),
      })
      assertRefused(answer, { status: 400, code: 'link_missing' })
    })
  }
})

describe('wishesOf', () => {
  const cases: readonly (readonly [
    url: string,
    prefer: string | undefined,
    wait: number | undefined,
    redirect: boolean,
  ])[] = [
    ['/entries', undefined, undefined, false],
    ['/entries?x', undefined, undefined, false],
    ['/entries', 'RESPOND-ASYNC', 0, false],
    ['/entries', 'respond-asynchronously', undefined, false],
    ['/entries', 'wait="3"', 3, false],
    ['/entries', 'wait = 3; x=y, wait=9', 3, false],
    ['/entries', 'wait=-1', undefined, false],
    ['/entries', 'wait=1e9', undefined, false],
    ['/entries', 'wait=', undefined, false],
    ['/entries', 'foo, respond-async;x, bar', 0, false],
    ['/entries?waitForCommit=true', 'respond-async', Number.POSITIVE_INFINITY, false],
    ['/entries?waitForCommit=TRUE', undefined, undefined, false],
    ['/entries?api-version=1', undefined, undefined, true],
    ['/entries?api-version=1&waitForCommit=true', undefined, Number.POSITIVE_INFINITY, false],
    ['/entries?%', ',;=,', undefined, false],
    ['/entries', `${'x,'.repeat(2000)}respond-async`, undefined, false],
  ]
  for (const [url, prefer, wait, redirect] of cases) {
    it(`of ${url}${prefer === undefined ? '' : ` and Prefer: ${prefer.slice(0, 40)}`}`, () => {
      const wishes = wishesOf(url, prefer)
      assert.deepEqual([wishes.wait, wishes.redirect], [wait, redirect])
    })
  }
})

describe('PendingRegistrations', () => {
  const never = new Promise<never>(() => {})

  it('knows an entry for as long as one post of it is under way', async () => {
    const pending = new PendingRegistrations({ now: () => 0 })
    let finish = () => {}
    const first = pending.follow('a', new Promise<void>((resolve) => (finish = resolve)))
    void pending.follow('a', never)
    void pending.follow('b', never)
    assert.equal(pending.isUnderWay('a'), true)
    finish()
    await first
    assert.equal(pending.isUnderWay('a'), true)
    assert.equal(pending.isUnderWay('c'), false)
    const done = pending.follow('c', Promise.resolve())
    await done
    assert.equal(pending.isUnderWay('c'), false)
    assert.equal(pending.refusalOf('c'), undefined)
  })

  it('keeps a refusal for a time, and not past the next post of that entry', async () => {
    let now = 100
    const pending = new PendingRegistrations({ now: () => now, keepRefusals: 10 })
    const error = new Error('no')
    await pending.follow('a', Promise.reject(error))
    assert.equal(pending.refusalOf('a'), error)
    void pending.follow('a', never)
    assert.equal(pending.refusalOf('a'), undefined)
    await pending.follow('b', Promise.reject(error))
    now = 109
    assert.equal(pending.refusalOf('b'), error)
    now = 110
    assert.equal(pending.refusalOf('b'), undefined)
  })

  it('keeps no more than so many, the newest', async () => {
    const pending = new PendingRegistrations({ now: () => 0, maxRefusals: 3 })
    for (const entry of ['a', 'b', 'c', 'a', 'd']) await pending.follow(entry, Promise.reject(new Error(entry)))
    const known = ['a', 'b', 'c', 'd'].filter((entry) => pending.refusalOf(entry) !== undefined)
    assert.deepEqual(known, ['c', 'a', 'd'].sort())
  })
})
