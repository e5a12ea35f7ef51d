import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { FairQueue } from '../../log-server/sequencing/fair-queue.ts'
import { SharedRoom } from '../../log-server/shared-room.ts'

/** Takes one at a time until there is no more. */
function fill(room: SharedRoom, caller: string): number {
  let taken = 0
  while (room.take(caller, 1)) taken++
  return taken
}

describe('a room that callers share', () => {
  it('leaves to others as much as anybody has, however many came before', () => {
    const room = new SharedRoom({ count: 1200 })
    assert.deepEqual(
      ['a', 'b', 'c', 'd'].map((caller) => fill(room, caller)),
      [600, 300, 150, 75],
    )
    room.giveBack('a', 600)
    // To 488, with 487 left.
    assert.equal(fill(room, 'b'), 188)
  })

  it('is had whole by whoever has nothing of it yet', () => {
    const room = new SharedRoom({ count: 10, bytes: 100 })
    assert.equal(room.has('a', 11), false)
    assert.equal(room.has('a', 1, 101), false)
    assert.ok(room.take('a', 10, 100))
    assert.equal(room.has('a', 1), false)
    assert.equal(room.has('b', 1), false)
    room.giveBack('a', 10, 100)
    assert.deepEqual([room.count, room.bytes], [0, 0])
  })

  it('never holds more than its limits, and always has room for a newcomer while nobody came with all of it', () => {
    const steps = fc.array(
      fc.tuple(fc.constantFrom('a', 'b', 'c', '__proto__'), fc.integer({ min: 1, max: 40 }), fc.boolean()),
    )
    fc.assert(
      fc.property(steps, (all) => {
        const room = new SharedRoom({ count: 100, bytes: 1000 })
        const had: [string, number][] = []
        for (const [caller, count, leaves] of all) {
          const [mine] = [had.filter(([name]) => name === caller).reduce((sum, [, n]) => sum + n, 0)]
          if (leaves && had.length > 0) {
            const [name, n] = had.shift()!
            room.giveBack(name, n, n * 10)
          } else if (room.take(caller, count, count * 10)) {
            had.push([caller, count])
            assert.ok(mine + count <= 100 - (room.count - count))
          }
          assert.equal(
            room.count,
            had.reduce((sum, [, n]) => sum + n, 0),
          )
          assert.ok(room.count <= 100 && room.bytes <= 1000)
        }
        for (const [name, n] of had) room.giveBack(name, n, n * 10)
        assert.equal(fill(room, 'anybody'), 50)
      }),
    )
  })
})

describe('a queue in which callers take turns', () => {
  it('has each caller wait behind one of each other, and keeps what is of one in order', () => {
    const queue = new FairQueue<string>()
    for (let i = 0; i < 5000; i++) queue.push('a', `a${i}`)
    queue.push('b', 'b0')
    for (let i = 0; i < 2; i++) queue.push('c', `c${i}`)
    const out = Array.from({ length: 6 }, () => queue.shift())
    assert.deepEqual(out, ['a0', 'b0', 'c0', 'a1', 'c1', 'a2'])
    queue.push('b', 'b1')
    assert.deepEqual([queue.shift(), queue.shift(), queue.shift()], ['a3', 'b1', 'a4'])
    assert.equal(queue.length, 4995)
    for (let i = 5; i < 5000; i++) assert.equal(queue.shift(), `a${i}`)
    assert.equal(queue.shift(), undefined)
    assert.equal(queue.length, 0)
  })
})
