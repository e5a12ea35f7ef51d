// The memory of proofs: first uses, its bounds, and clocks.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MemoryReplayCache } from '../../../provenance/proof-of-possession/index.ts'

const use = (id: string, change: Partial<{ sender: string; until: number; now: number }> = {}) => ({
  sender: 'spiffe://a.example/x',
  id,
  until: 100,
  now: 0,
  ...change,
})

describe('the replay cache', () => {
  it('knows a proof until it ends, by sender', () => {
    const cache = new MemoryReplayCache()
    assert.equal(cache.isFirstUse(use('a')), true)
    assert.equal(cache.isFirstUse(use('a', { now: 99 })), false)
    assert.equal(cache.isFirstUse(use('a', { sender: 'spiffe://a.example/y' })), true)
    assert.equal(cache.isFirstUse(use('b')), true)
    assert.equal(cache.size, 3)
  })

  it('forgets what has ended, soon, and nothing else', () => {
    const cache = new MemoryReplayCache()
    for (let i = 0; i < 100; i++) cache.isFirstUse(use(`${i}`, { until: 100 + i }))
    for (let now = 100; now < 200; now++) {
      for (let i = now - 99; i < 100; i += 7)
        assert.equal(cache.isFirstUse(use(`${i}`, { until: 100 + i, now })), false)
      // Within a quarter of a minute.
      assert.ok(cache.size <= 200 - now + 16, `${cache.size} at ${now}`)
    }
    cache.isFirstUse(use('last', { until: 300, now: 216 }))
    assert.equal(cache.size, 1)
  })

  it('refuses when it is full, and says when to come back: it forgets nothing that is still good', () => {
    const cache = new MemoryReplayCache({ total: 3, perSender: 2 })
    cache.isFirstUse(use('a'))
    cache.isFirstUse(use('b', { until: 48 }))
    assert.throws(() => cache.isFirstUse(use('c', { now: 10 })), { name: 'UnavailableError', retryAfter: 38 })
    assert.equal(cache.isFirstUse(use('c', { sender: 'spiffe://a.example/y' })), true)
    assert.throws(() => cache.isFirstUse(use('d', { sender: 'spiffe://a.example/z' })), { name: 'UnavailableError' })
    // Known ones it still knows.
    assert.equal(cache.isFirstUse(use('a')), false)
    assert.equal(cache.isFirstUse(use('c', { now: 48 })), true)
  })

  it('takes no proof that ended before the latest moment, though the clock was set back', () => {
    const cache = new MemoryReplayCache()
    cache.isFirstUse(use('a'))
    cache.isFirstUse(use('b', { until: 300, now: 200 }))
    assert.throws(() => cache.isFirstUse(use('a', { now: 50 })), { name: 'UnavailableError' })
    assert.equal(cache.isFirstUse(use('b', { until: 300, now: 50 })), false)
  })

  it('is empty again when all has ended', () => {
    const cache = new MemoryReplayCache()
    for (let i = 0; i < 1000; i++) cache.isFirstUse(use(`${i}`, { sender: `spiffe://a.example/${i % 7}` }))
    cache.isFirstUse(use('last', { until: 1001, now: 1000 }))
    assert.equal(cache.size, 1)
  })

  it('forgets a full memory at once, without holding the process', () => {
    const cache = new MemoryReplayCache()
    for (let i = 0; i < 100_000; i++) {
      cache.isFirstUse(use(`${i}`, { sender: `spiffe://a.example/${i % 10}`, until: 100 + (i % 90) }))
    }
    const began = process.cpuUsage()
    assert.equal(cache.isFirstUse(use('new', { until: 1001, now: 1000 })), true)
    // Microseconds, of all threads.
    assert.ok(process.cpuUsage(began).user < 5000 * 4)
    assert.equal(cache.size, 1)
  })
})
