import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type IssuerLog, issuingLog, publishIssuancePolicy } from '../../clients/issuer/index.ts'
import { type LogClient, RefusedError, type Submission } from '../../clients/log-client/index.ts'
import { utf8 } from '../../merkle/index.ts'
import type { Author } from '../../provenance/index.ts'
import { importSigningKey } from '../../statement/index.ts'
import { createWorld, ISSUER, issuer, type World } from './issuer-world.ts'

/** A client that counts what it is asked. */
function counted(client: LogClient): { client: LogClient; asked: (name: string) => number; largest: () => number } {
  const calls = new Map<string, number>()
  let largest = 0
  const proxy = new Proxy(client, {
    get(target, name: keyof LogClient) {
      const member = target[name]
      if (typeof member !== 'function') return member
      return (...args: unknown[]) => {
        calls.set(name, (calls.get(name) ?? 0) + 1)
        if (name === 'registerAll') largest = Math.max(largest, (args[0] as unknown[]).length)
        return (member as (...args: unknown[]) => unknown).apply(target, args)
      }
    },
  })
  return { client: proxy, asked: (name) => calls.get(name) ?? 0, largest: () => largest }
}

describe('issuingLog', () => {
  let world: World
  before(async () => {
    world = await createWorld()
  })
  after(() => world.close())

  const shared = (maxAge = 10) => {
    const { client, ...counts } = counted(world.client)
    return { log: issuingLog({ client, clock: () => world.clock.now, maxAge }), ...counts }
  }
  const issueBy = async (log: IssuerLog, results: string[]) => world.issue({ client: log as LogClient, results })

  it('asks once for what many credentials have in common, and logs the workload once', async () => {
    const { log, asked } = shared()
    const result = await world.result()
    const first = await issueBy(log, [result])
    // That nothing was said of the workload before is asked twice: what is not there yet is not remembered.
    await issueBy(log, [result])
    const before = asked('latest') + asked('authorizations')
    const second = await issueBy(log, [result])
    assert.equal(asked('latest') + asked('authorizations'), before)
    assert.notDeepEqual(first.digest, second.digest)
    // Of the second credential nothing was logged but why it was issued.
    assert.equal(second.index, first.index + 2)
    // Its bundle came with the receipt.
    assert.equal(asked('stories'), 0)
  })

  it('registers what arrives together in one request, and gets the bundles with the receipts', async () => {
    const { log, asked, largest } = shared()
    const result = await world.result()
    await issueBy(log, [result])
    const before = asked('registerAll')
    const all = await Promise.all(Array.from({ length: 12 }, () => issueBy(log, [result])))
    assert.equal(new Set(all.map(({ index }) => index)).size, 12)
    assert.ok(asked('registerAll') - before < 12 && largest() > 1, `${asked('registerAll') - before} requests`)
    assert.equal(asked('stories'), 0)
  })

  it('asks for the bundle where the log answered with a receipt alone', async () => {
    const { client, asked } = counted(world.client)
    const silent = new Proxy(client, {
      get: (target, name: keyof LogClient) =>
        name === 'registerAll'
          ? (statements: readonly Submission[]) => target.registerAll(statements.map(({ bytes }) => bytes))
          : target[name],
    })
    const log = issuingLog({ client: silent, clock: () => world.clock.now })
    assert.equal((await issueBy(log, [await world.result()])).kind, 'wit')
    assert.equal(asked('stories'), 1)
  })

  it('one record that the log refuses does not take the others with it', async () => {
    const { log } = shared()
    const author: Author = {
      key: await importSigningKey(issuer),
      issuer: ISSUER,
      now: world.clock.now,
      random: world.random,
    }
    const status = (credentialDigest: Uint8Array) =>
      log.registerRecord(
        {
          type: 'workload-provenance',
          fields: { subject: credentialDigest },
          links: credentialDigest[0] === 0 ? [] : [{ rel: 'previous', entry: credentialDigest }],
        },
        author,
      )
    const [good, bad] = await Promise.allSettled([status(new Uint8Array(32)), status(new Uint8Array(32).fill(9))])
    assert.equal(good.status, 'fulfilled')
    assert.equal(bad.status, 'rejected')
    assert.equal(bad.reason.code, 'link_dangling')
    // And is not taken for registered when it is asked for again.
    await assert.rejects(status(new Uint8Array(32).fill(9)), { code: 'link_dangling' })
  })

  it('takes no two descriptions for one that differ in a map alone', async () => {
    const { log } = shared()
    const author: Author = {
      key: await importSigningKey(issuer),
      issuer: ISSUER,
      now: world.clock.now,
      random: world.random,
    }
    const describe = (commit: string) => {
      const materials = [{ uri: 'git+https://code.example/a', digests: new Map([['gitCommit', commit]]) }]
      const build = [
        { predicateType: 'https://slsa.dev/provenance/v1', digest: new Uint8Array(32), verified: true, materials },
      ]
      const content = {
        type: 'workload-provenance' as const,
        fields: { subject: new Uint8Array(32).fill(7) },
        links: [],
      }
      return log.registerRecord({ ...content, sections: { workload: { sbom: [], build, compliance: [] } } }, author)
    }
    const [good, bad] = [await describe('a'.repeat(40)), await describe('b'.repeat(40))]
    assert.notDeepEqual(good.entry, bad.entry)
    assert.deepEqual((await describe('a'.repeat(40))).entry, good.entry)
  })

  it('hears of a new policy when its answer is older than maxAge', async () => {
    const { log } = shared(30)
    const publish = (text: string) =>
      publishIssuancePolicy({
        ...world.as(issuer),
        id: 'changing',
        content: utf8(`${text}(principal, action, resource);`),
      })
    const issueNow = () => world.issue({ client: log as LogClient, policyId: 'changing' })
    await publish('permit')
    await issueNow()
    await publish('forbid')
    world.clock.now += 29
    await issueNow()
    world.clock.now += 1
    await assert.rejects(issueNow(), { code: 'issuance_denied' })
  })

  it('does not remember that there was nothing', async () => {
    const { log } = shared()
    assert.deepEqual(await log.latest('issuance-policy', 'x'.repeat(43), 'no such'), undefined)
    await assert.rejects(world.issue({ client: log as LogClient, policyId: 'later' }), { code: 'unknown_policy' })
    const content = utf8('permit(principal, action, resource);')
    await publishIssuancePolicy({ ...world.as(issuer), id: 'later', content })
    assert.equal((await world.issue({ client: log as LogClient, policyId: 'later' })).kind, 'wit')
  })

  it('asks anew after the log has refused something, and says what the log said', async () => {
    const { client, asked } = counted(world.client)
    const refusal = new RefusedError({ status: 409, code: 'link_erased', title: 'Rejected', detail: 'erased' })
    let refusing = false
    const log = issuingLog({
      client: new Proxy(client, {
        get: (target, name: keyof LogClient) =>
          name === 'registerAll' && refusing
            ? async (statements: readonly Uint8Array[]) => statements.map(() => refusal)
            : target[name],
      }),
      clock: () => world.clock.now,
    })
    const result = await world.result()
    for (const _ of [1, 2]) await issueBy(log, [result])
    const before = asked('latest')
    refusing = true
    await assert.rejects(issueBy(log, [result]), refusal)
    assert.equal(asked('latest'), before)
    refusing = false
    const { index } = await issueBy(log, [result])
    assert.ok(asked('latest') > before)
    // The workload is logged again, since what was refused may be the link to it.
    assert.equal(index, (await world.client.checkpoint()).size - 1)
  })
})
