import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { pooledRandom } from '../../clients/log-client/index.ts'
import { toHex } from '../../merkle/index.ts'

describe('pooledRandom', () => {
  it('hands out nothing twice, across pools and of any length', () => {
    const random = pooledRandom()
    const drawn = Array.from({ length: 2000 }, (_, i) => random(16 + (i % 5)))
    assert.ok(drawn.every(({ length }, i) => length === 16 + (i % 5)))
    assert.equal(new Set(drawn.map((bytes) => toHex(bytes.slice(0, 16)))).size, 2000)
    assert.equal(random(5000).length, 5000)
    assert.equal(random(0).length, 0)
    assert.ok(random(4096).some((byte) => byte !== 0))
  })

  it('keeps nothing of what it handed out, nor does what is written there reach the next', () => {
    const random = pooledRandom()
    const first = random(32)
    assert.equal(first.buffer.byteLength, 32)
    first.fill(0)
    assert.ok(random(32).some((byte) => byte !== 0))
  })
})
