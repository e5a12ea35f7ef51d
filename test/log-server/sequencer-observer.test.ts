// What whoever counts is told of the sequencer.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { rawBody, TestLog } from './test-log.ts'

async function withLog(body: (log: TestLog) => Promise<void>): Promise<void> {
  const log = await TestLog.create()
  try {
    await body(log)
  } finally {
    await log.remove()
  }
}

describe('an observer of the sequencer', () => {
  it('is told of each batch once, with the moment of each step', () =>
    withLog(async (log) => {
      log.milliseconds = 100
      const commit = log.disk.holdNext('commit')
      const guard = log.disk.holdNext('guard')
      const first = log.appendRaw(1)
      await commit.arrived
      log.milliseconds = 107
      const { appended } = await log.queueRaw(3)
      log.milliseconds = 110
      commit.release()
      await guard.arrived
      log.milliseconds = 125
      guard.release()
      await Promise.all([first, appended])
      assert.equal(log.observed.length, 2)
      const [one, two] = log.observed
      assert.deepEqual(
        { ...one, bytes: 0 },
        {
          queuedAt: [100],
          bytes: 0,
          ...{ takenAt: 100, signedAt: 100, committedAt: 110, guardedAt: 125, answeredAt: 125 },
        },
      )
      assert.deepEqual([two!.queuedAt, two!.takenAt], [[107, 107, 107], 125])
      assert.ok(two!.bytes >= 3 * 'raw entry 0'.length)
    }))

  it('hears nothing of a batch that brought nothing new, nor of one that never became durable', () =>
    withLog(async (log) => {
      const body = rawBody(-1)
      await log.sequencer.appendRaw(body)
      await log.sequencer.appendRaw(body)
      assert.equal(log.observed.length, 1)
      log.disk.breakNext('commit')
      await assert.rejects(log.appendRaw(1))
      assert.equal(log.observed.length, 1)
    }))
})

describe('the longest wait', () => {
  it('is that of the one who has waited longest, whoever came since, and none when everybody has an answer', () =>
    withLog(async (log) => {
      assert.equal(log.sequencer.longestWait, 0)
      const commit = log.disk.holdNext('commit')
      log.milliseconds = 1000
      const first = log.appendRaw(1)
      await commit.arrived
      log.milliseconds = 6000
      const { appended } = await log.queueRaw(2)
      log.milliseconds = 11_500
      assert.equal(log.sequencer.longestWait, 10_500)
      assert.ok(log.sequencer.waitingBytes > 0)
      commit.release()
      await first
      await appended
      assert.equal(log.sequencer.longestWait, 0)
      assert.equal(log.sequencer.waitingBytes, 0)
    }))
})
