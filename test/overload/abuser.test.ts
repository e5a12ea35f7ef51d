// One caller who sends whatever they can, and others who are answered all the same. Each answer is the right one: an entry that is on the log,
// or that there is no room for it now. The form with load, and its figures, are in `bench/overload.ts`.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { LightMyRequestResponse } from 'fastify'
import { Limits } from '../../log-server/access/limits.ts'
import { buildApp } from '../../log-server/app.ts'
import { Slots } from '../../log-server/turns.ts'
import type { LogReader } from '../../log-server/types.ts'
import { encodeCborSequence, splitCborSequence } from '../../statement/index.ts'
import { guard, may } from '../log-server/access/guarded-log.ts'
import { NOW, type ServedLog, serveLog } from '../log-server/served-log.ts'
import { FIELDS } from '../provenance/small-log.ts'

const [ABUSER, HONEST] = ['192.0.2.1', '192.0.2.2']

let made = 0
async function statementsFor(log: ServedLog, count: number): Promise<Uint8Array[]> {
  const built = Array.from({ length: count }, () => {
    const fields = { ...FIELDS['issuance-policy'], policyId: `overload ${++made}` }
    return log.build('issuance-policy', { fields })
  })
  return (await Promise.all(built)).map(({ submission }) => submission)
}

function post(log: ServedLog, remoteAddress: string, body: Uint8Array, url = '/entries') {
  const type = url === '/entries' ? 'application/cose' : 'application/cbor-seq'
  const headers = { 'content-type': type }
  return log.app.inject({ method: 'POST', url, remoteAddress, headers, payload: Buffer.from(body) })
}

function assertShed(answer: LightMyRequestResponse, status: number, code: string): void {
  assert.equal(answer.statusCode, status)
  assert.ok(answer.rawPayload.includes(code), code)
  assert.match(String(answer.headers['retry-after']), /^[1-9]\d*$/)
}

async function within(log: ServedLog, body: () => Promise<void>): Promise<void> {
  try {
    await body()
  } finally {
    await log.close()
  }
}

describe('a caller who sends all at once, without a limit', () => {
  it('has half of the places and is told to come again for the rest, and others are answered', async () => {
    const log = await serveLog(4, { limits: { maxPending: 40 } })
    await within(log, async () => {
      const { size } = log.log.reader.treeHead()
      const [many, few] = [await statementsFor(log, 200), await statementsFor(log, 10)]
      const abuse = many.map((statement) => post(log, ABUSER, statement))
      const honest = await Promise.all(few.map((statement) => post(log, HONEST, statement)))
      assert.deepEqual(
        honest.map(({ statusCode }) => statusCode),
        few.map(() => 201),
      )
      const answers = await Promise.all(abuse)
      const registered = answers.filter(({ statusCode }) => statusCode === 201)
      for (const answer of answers) if (answer.statusCode !== 201) assertShed(answer, 503, 'queue_full')
      // Half of what the others leave.
      assert.ok(registered.length >= 15 && registered.length < 200, `${registered.length}`)
      assert.equal(log.log.reader.treeHead().size, size + 10 + registered.length)
      // And comes again.
      const again = await post(log, ABUSER, many[answers.findIndex(({ statusCode }) => statusCode === 503)]!)
      assert.equal(again.statusCode, 201)
    })
  })

  it('in batches: none of them is half registered, and a batch of somebody else finds room', async () => {
    const log = await serveLog(4, { limits: { maxPending: 400 } })
    await within(log, async () => {
      const { size } = log.log.reader.treeHead()
      const batches = await Promise.all(Array.from({ length: 12 }, () => statementsFor(log, 50)))
      const theirs = await statementsFor(log, 100)
      const abuse = batches.map((batch) => post(log, ABUSER, encodeCborSequence(batch), '/v1/entries'))
      const honest = await post(log, HONEST, encodeCborSequence(theirs), '/v1/entries')
      assert.equal(honest.statusCode, 200)
      const answers = await Promise.all(abuse)
      const taken = answers.filter(({ statusCode }) => statusCode === 200)
      for (const answer of answers) if (answer.statusCode !== 200) assertShed(answer, 503, 'queue_full')
      assert.ok(taken.length >= 3 && taken.length < 12, `${taken.length}`)
      for (const { rawPayload } of [honest, ...taken]) {
        const receipts = splitCborSequence(new Uint8Array(rawPayload), 100)
        // A byte string each: no refusal.
        assert.ok(receipts.every(([head]) => head! >> 5 === 2))
      }
      assert.equal(log.log.reader.treeHead().size, size + 100 + 50 * taken.length)
    })
  })

  it('is known by who they are where there is a door: others from the same address are answered', async () => {
    const log = await serveLog(4)
    const [abuser, honest] = ['spiffe://bank.example/abuser', 'spiffe://bank.example/honest']
    const rules = [may(abuser, 'append:any'), may(honest, 'append:any')]
    const guarded = guard(log, rules, { limits: { maxPending: 40 } })
    const behind = { ...log, app: guarded.app }
    await within(log, async () => {
      const [many, few] = [await statementsFor(log, 200), await statementsFor(log, 5)]
      guarded.peer = abuser
      const abuse = many.map((statement) => post(behind, HONEST, statement))
      let shed = 0
      for (const answer of abuse) void answer.then(({ statusCode }) => statusCode === 503 && shed++)
      // Who it is was asked of all of them by then.
      while (shed === 0) await nextTurn()
      guarded.peer = honest
      for (const { statusCode } of await Promise.all(few.map((statement) => post(behind, HONEST, statement)))) {
        assert.equal(statusCode, 201)
      }
      for (const answer of await Promise.all(abuse)) {
        if (answer.statusCode !== 201) assertShed(answer, 503, 'queue_full')
      }
      await guarded.app.close()
    })
  })

  it('is refused before the body is read, and before anything is looked up', async () => {
    const log = await serveLog(4)
    const never = new Promise<never>(() => {})
    const { reader, sequencer, authorities, keys } = log.log
    let lookedUp = 0
    const stuck = Object.create(reader, {
      locate: {
        value: () => {
          lookedUp++
          return never
        },
      },
    }) as LogReader
    const limits = { maxPending: 3 }
    const app = buildApp({ log: { reader: stuck, sequencer, authorities, keys }, now: () => NOW, limits })
    await within(log, async () => {
      await app.listen({ host: '127.0.0.1', port: 0 })
      const { port } = app.server.address() as { port: number }
      const [statement] = await statementsFor(log, 1)
      const head = `POST /entries HTTP/1.1\r\nHost: x\r\nContent-Type: application/cose\r\nContent-Length: ${statement!.length}\r\n\r\n`
      const from = (localAddress: string) => connect({ port, host: '127.0.0.1', localAddress })
      const [first, second, other] = ['127.0.0.2', '127.0.0.2', '127.0.0.3'].map(from)
      first!.write(Buffer.concat([Buffer.from(head), statement!]))
      other!.write(Buffer.concat([Buffer.from(head), statement!]))
      while (lookedUp < 2) await nextTurn()
      second!.write(head)
      const [answer] = (await once(second!, 'data')) as [Buffer]
      assert.match(answer.toString('latin1'), /^HTTP\/1\.1 503 .*\r\nretry-after: 1\r\n/s)
      assert.ok(answer.includes('queue_full'))
      assert.equal(lookedUp, 2)
      for (const socket of [first, second, other]) socket!.destroy()
      app.server.closeAllConnections()
      await app.close()
    })
  })
})

describe('a caller who sends ten times what they may', () => {
  it('is answered for what they may (too_many_requests), and others for all that they send', async () => {
    const limit = { requestsPerSecond: 10, burst: 10 }
    const callerLimits = new Limits({ limits: new Map([['anonymous', limit]]), now: () => 0, trustDomains: 0 })
    const log = await serveLog(1)
    const app = buildApp({ log: log.log, now: () => NOW, callerLimits })
    await within(log, async () => {
      const get = (remoteAddress: string) => app.inject({ url: '/checkpoint', remoteAddress })
      const abuse = Array.from({ length: 100 }, () => get(ABUSER))
      const honest = await Promise.all(Array.from({ length: 10 }, () => get(HONEST)))
      assert.ok(honest.every(({ statusCode }) => statusCode === 200))
      const answers = await Promise.all(abuse)
      assert.equal(answers.filter(({ statusCode }) => statusCode === 200).length, 10)
      for (const answer of answers) if (answer.statusCode !== 200) assertShed(answer, 429, 'too_many_requests')
      await app.close()
    })
  })
})

describe('signatures to be checked', () => {
  it('are checked for one caller after another, whoever brought more', async () => {
    const slots = new Slots(2)
    const order: string[] = []
    const work = (caller: string) => async () => {
      order.push(caller)
      await new Promise((resolve) => setImmediate(resolve))
    }
    const abuse = Array.from({ length: 100 }, () => slots.run(work('abuser'), 'abuser'))
    const honest = [slots.run(work('honest'), 'honest'), slots.run(work('another'), 'another')]
    await Promise.all(honest)
    assert.ok(order.length <= 8, order.join())
    await Promise.all(abuse)
    assert.equal(order.length, 102)
  })
})
