import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type Counted, Limits, networkOf, type RateLimit } from '../../../log-server/access/limits.ts'
import { RequestError } from '../../../log-server/problem.ts'

const at = (address: string): Counted => ({ address })
const of = (trustDomain: string, path: string): Counted => ({
  identifier: `spiffe://${trustDomain}/${path}`,
  trustDomain,
})

function world(
  limits: Readonly<Record<string, RateLimit>>,
  options: { maxBuckets?: number; trustDomains?: number } = {},
) {
  const clock = { now: 1000 }
  const all = new Limits({ limits: new Map(Object.entries(limits)), now: () => clock.now, trustDomains: 1, ...options })
  /** How long the caller is told to wait; 0 when it was let in. */
  const ask = (counted: Counted, bytes = 0): number => {
    try {
      all.enter(counted).leave(bytes)
      return 0
    } catch (error) {
      assert.ok(error instanceof RequestError && error.code === 'too_many_requests')
      return error.retryAfter!
    }
  }
  return { clock, all, ask }
}

describe('limits', () => {
  it('let a burst through, then as many as are said, and tell honestly when', () => {
    const { clock, ask } = world({ default: { requestsPerSecond: 0.25, burst: 3 } })
    assert.deepEqual(
      Array.from({ length: 5 }, () => ask(at('192.0.2.1'))),
      [0, 0, 0, 4, 4],
    )
    clock.now += 3.5
    assert.equal(ask(at('192.0.2.1')), 1)
    clock.now += 1
    assert.deepEqual([ask(at('192.0.2.1')), ask(at('192.0.2.1'))], [0, 4])
    clock.now += 1e6
    assert.deepEqual(
      Array.from({ length: 4 }, () => ask(at('192.0.2.1'))),
      [0, 0, 0, 4],
    )
  })

  it('never let through more than the burst and what time has brought, and who waits as told is let in', () => {
    const steps = fc.array(fc.tuple(fc.float({ min: 0, max: 5, noNaN: true }), fc.boolean()), { maxLength: 200 })
    fc.assert(
      fc.property(steps, (all) => {
        const { clock, ask } = world({ default: { requestsPerSecond: 2, burst: 5 } })
        const began = clock.now
        let through = 0
        for (const [pause, patient] of all) {
          clock.now += pause
          const wait = ask(at('a'))
          if (wait === 0) through++
          else if (patient) {
            clock.now += wait
            assert.equal(ask(at('a')), 0)
            through++
          }
          assert.ok(through <= 5 + 2 * (clock.now - began) + 1e-6)
        }
      }),
    )
  })

  it('count bytes of the past against the next request', () => {
    const { clock, ask } = world({ default: { bytesPerSecond: 100 } })
    assert.deepEqual([ask(at('a'), 1050), ask(at('a')), ask(at('b'))], [0, 10, 0])
    clock.now += 9
    assert.equal(ask(at('a')), 1)
    clock.now += 1
    assert.equal(ask(at('a')), 0)
  })

  it('bound what is under way at one time, and let the next in when one ends, once', () => {
    const { all, ask } = world({ default: { concurrent: 2 } })
    const [first] = [all.enter(at('a')), all.enter(at('a'))]
    assert.deepEqual([ask(at('a')), ask(at('b'))], [1, 0])
    first.leave(0)
    first.leave(0)
    all.enter(at('a'))
    assert.equal(ask(at('a')), 1)
  })

  it('are those of the identifier, of anonymous callers, or the default; and none without any', () => {
    const { ask } = world({
      'spiffe://bank.example/issuer': { requestsPerSecond: 1, burst: 3 },
      anonymous: { requestsPerSecond: 1, burst: 1 },
      default: { requestsPerSecond: 1, burst: 2 },
    })
    const let_in = (counted: Counted) =>
      Array.from({ length: 9 }, () => ask(counted)).filter((wait) => wait === 0).length
    assert.equal(let_in(of('bank.example', 'issuer')), 3)
    assert.equal(let_in(of('bank.example', 'other')), 2)
    assert.equal(let_in(at('192.0.2.1')), 1)
    assert.equal(world({}).ask(at('192.0.2.1')), 0)
    // A workload that is named like an address, or like the default, has no bucket of theirs.
    assert.equal(let_in({ identifier: 'anonymous', trustDomain: 'anonymous' }), 1)
  })

  it('do not start anew for whoever comes back, nor when the clock goes back', () => {
    const { clock, ask } = world({ default: { requestsPerSecond: 1, burst: 1 } })
    assert.equal(ask(at('a')), 0)
    clock.now -= 500
    assert.equal(ask(at('a')), 1)
  })
})

describe('a flood of callers', () => {
  const limits = {
    default: { requestsPerSecond: 1, burst: 2 },
    'spiffe://bank.example/issuer': { requestsPerSecond: 1, burst: 2 },
  }

  it('grows nothing past its bound, and takes no bucket away from those who are there', () => {
    const { all, ask } = world(limits, { maxBuckets: 200, trustDomains: 1 })
    assert.deepEqual([ask(at('honest')), ask(at('honest'))], [0, 0])
    let refused = 0
    for (let i = 0; i < 5000; i++) if (ask(at(`198.51.100.${i}`)) > 0) refused++
    assert.ok(all.size <= 200)
    // Newcomers share one bucket: they are refused, and nobody else is forgotten for them.
    assert.ok(refused > 4800)
    assert.ok(ask(at('honest')) > 0, 'its bucket is as empty as it was')
    // Callers of another kind are not concerned.
    assert.deepEqual([ask(of('bank.example', 'reader')), ask(of('bank.example', 'issuer'))], [0, 0])
  })

  it('of one trust domain is of no concern to another, nor to whoever is named in the configuration', () => {
    const { all, ask } = world(limits, { maxBuckets: 300, trustDomains: 2 })
    for (let i = 0; i < 5000; i++) ask(of('evil.example', `w${i}`))
    assert.ok(all.size <= 101)
    assert.deepEqual(
      [ask(of('bank.example', 'issuer')), ask(of('bank.example', 'new')), ask(at('192.0.2.1'))],
      [0, 0, 0],
    )
    for (let i = 0; i < 5000; i++) ask(of('bank.example', `w${i}`))
    assert.equal(ask(of('bank.example', 'issuer')), 0)
  })

  it('gives way when it is over: buckets that are full again say nothing, but not those with a request on them', () => {
    const { clock, all, ask } = world(limits, { maxBuckets: 20, trustDomains: 1 })
    const long = all.enter(at('long'))
    all.enter(at('long')).leave(0)
    for (let i = 0; i < 100; i++) ask(at(`flood ${i}`))
    clock.now += 10
    for (let i = 0; i < 9; i++) assert.equal(ask(at(`later ${i}`)), 0)
    assert.ok(all.size <= 20)
    assert.deepEqual([ask(at('long')), ask(at('long'))], [0, 0])
    long.leave(0)
  })

  it('costs the same for each', () => {
    const { all } = world({ default: { requestsPerSecond: 1 } }, { maxBuckets: 2000 })
    const started = performance.now()
    for (let i = 0; i < 200_000; i++) {
      try {
        all.enter(at(`${i}`)).leave(1)
      } catch {}
    }
    assert.ok(performance.now() - started < 8000)
  })
})

describe('networkOf', () => {
  const cases: Readonly<Record<string, string>> = {
    '192.0.2.1': '192.0.2.1',
    '::ffff:192.0.2.1': '192.0.2.1',
    '2001:db8:1:2:3:4:5:6': '2001:db8:1:2::/64',
    '2001:DB8:1:2::1': '2001:db8:1:2::/64',
    '2001:db8::1': '2001:db8:0:0::/64',
    '2001:0db8:0001:0002::': '2001:db8:1:2::/64',
    '::1': '0:0:0:0::/64',
    'fe80::1%eth0': 'fe80:0:0:0::/64',
    '64:ff9b::192.0.2.1': '64:ff9b:0:0::/64',
    '': '',
  }
  for (const [address, network] of Object.entries(cases)) {
    it(`${JSON.stringify(address)} is ${network}`, () => assert.equal(networkOf(address), network))
  }
})
