// Bundles of several credentials by one request: what a log that lies, or knows no such path, can do about it.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { LogClient, RefusedError } from '../../clients/log-client/index.ts'
import { decodeBundle, decodeBundleSet, encodeBundleSet } from '../../provenance/index.ts'
import { encodeProblem } from '../../statement/index.ts'
import { createWorld, ORIGIN, type World } from './issuer-world.ts'
import { serveLies } from './served-log.ts'

type Lie = Parameters<typeof serveLies>[2]

describe('bundles', () => {
  let world: World
  let digests: Uint8Array[]
  before(async () => {
    world = await createWorld()
    const results = [await world.result()]
    digests = [(await world.issue({ results })).digest, (await world.issue({ results })).digest]
  })
  after(() => world.close())
  const unknown = new Uint8Array(32).fill(7)

  async function through(t: { after(close: () => void): void }, lie: Lie): Promise<LogClient> {
    const url = await serveLies(t, world.client.url, lie)
    const clock = () => world.clock.now
    const client = new LogClient({ url, pinned: { origin: ORIGIN, vkey: world.vkey }, clock })
    t.after(() => client.close())
    return client
  }

  it('are those that the log gives for one credential, in the order that was asked for', async () => {
    const alone = await Promise.all(digests.map((digest) => world.client.bundle(digest)))
    assert.deepEqual(await world.client.bundles(digests), alone)
    assert.deepEqual(await world.client.bundles(digests.toReversed()), alone.toReversed())
    assert.deepEqual(await world.client.bundles([]), [])
  })

  it('say of a credential that is not on the log what asking for it alone says', async () => {
    const alone = await world.client.bundle(unknown).catch((error: unknown) => error)
    assert.ok(alone instanceof RefusedError)
    for (const asked of [[unknown], [digests[0]!, unknown]]) {
      const refusal = (await world.client.bundles(asked)).at(-1)
      assert.ok(refusal instanceof RefusedError)
      assert.deepEqual([refusal.status, refusal.code], [alone.status, alone.code])
    }
  })

  it('are asked for one by one where there is no such path', async (t) => {
    for (const status of [404, 405]) {
      const answer = { status, headers: {}, body: new Uint8Array() }
      const client = await through(t, (path) => (path === 'v1/provenance' ? answer : undefined))
      const [first, second, third] = await client.bundles([...digests, unknown])
      assert.deepEqual([first, second], await world.client.bundles(digests))
      assert.ok(third instanceof RefusedError && third.status === 404)
    }
  })

  it('are asked for alone where they had no room beside the others', async (t) => {
    const full = encodeProblem({ title: 'Too large', detail: 'no room', code: 'bundle_too_large', status: 422 })
    const client = await through(t, (path, { body }) => {
      if (path !== 'v1/provenance') return undefined
      const set = decodeBundleSet(body)
      return { body: encodeBundleSet({ ...set, bundles: [set.bundles[0]!, full] }) }
    })
    assert.deepEqual(await client.bundles(digests), await world.client.bundles(digests))
  })

  it('are about the credentials that were asked about, whatever the log sends', async (t) => {
    const swapped = await through(t, (path, { body }) => {
      if (path !== 'v1/provenance') return undefined
      const set = decodeBundleSet(body)
      return { body: encodeBundleSet({ ...set, bundles: set.bundles.toReversed() }) }
    })
    // Each says whom it is for; that the record in it is of another, verification finds.
    for (const [i, bundle] of (await swapped.bundles(digests)).entries()) {
      assert.ok(!(bundle instanceof Error))
      assert.deepEqual(decodeBundle(bundle).credentialDigest, digests[i])
    }
    const fewer = await through(t, (path, { body }) => {
      if (path !== 'v1/provenance') return undefined
      const set = decodeBundleSet(body)
      return { body: encodeBundleSet({ ...set, bundles: set.bundles.slice(1) }) }
    })
    await assert.rejects(fewer.bundles(digests), { code: 'malformed_answer' })
    const garbage = await through(t, (path) =>
      path === 'v1/provenance' ? { body: new Uint8Array([0xa0]) } : undefined,
    )
    await assert.rejects(garbage.bundles(digests), { code: 'malformed_bundle' })
  })
})
