import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { paths } from '../../../log-server/log.ts'
import { fsckData } from '../../../log-server/recovery/fsck.ts'
import { Guard } from '../../../log-server/storage/guard.ts'
import { BusyError, type Candidate, LogError } from '../../../log-server/types.ts'
import { policyCandidate, rawBody, signedAgain, TestLog } from '../test-log.ts'

/** Runs `body` with a fresh log and takes it away afterwards. */
async function withLog(body: (log: TestLog) => Promise<void>, limits = {}): Promise<void> {
  const log = await TestLog.create(limits)
  try {
    await body(log)
  } finally {
    await log.remove()
  }
}

/** What a promise is now, without waiting for it to become something else. */
async function stateOf(promise: Promise<unknown>): Promise<'pending' | 'answered' | 'refused'> {
  const pending = Symbol('pending')
  const next = new Promise((resolve) => setImmediate(() => setImmediate(() => resolve(pending))))
  return Promise.race([promise, next]).then(
    (value) => (value === pending ? 'pending' : 'answered'),
    () => 'refused',
  )
}

describe('the tree that the sequencer builds', () => {
  it('verifies whole after every batch on either side of a tile edge', () =>
    withLog(async (log) => {
      await log.checkLog(1)
      let size = 1
      for (const count of [1, 252, 1, 1, 1, 1, 252, 1, 1, 300]) {
        const indexes = await log.appendRaw(count)
        assert.deepEqual(
          indexes,
          Array.from({ length: count }, (_, i) => size + i),
        )
        size += count
        await log.checkLog(size)
      }
    }))

  it('verifies whole where the second level of tiles fills up, and after opening again there', () =>
    withLog(
      async (log) => {
        await log.appendRaw(65_534)
        await log.checkLog(65_535)
        for (const size of [65_536, 65_537]) {
          await log.appendRaw(1)
          await log.checkLog(size)
          await log.reopen()
          await log.checkLog(size)
        }
        await log.appendRaw(300)
        await log.checkLog(65_837)
      },
      { queueEntries: 200_000 },
    ))

  it('is the same after opening again at every size around a tile edge', () =>
    withLog(async (log) => {
      await log.appendRaw(253)
      for (let size = 255; size <= 258; size++) {
        await log.appendRaw(1)
        const checkpoint = log.reader.checkpoint()
        await log.reopen()
        assert.equal(log.reader.checkpoint(), checkpoint)
        await log.checkLog(size)
      }
    }))

  it('answers with receipts that verify, in the order of arrival, whatever the batches', () =>
    withLog(
      async (log) => {
        const candidates = await Promise.all(Array.from({ length: 23 }, (_, i) => policyCandidate(`policy ${i}`)))
        const answers = await Promise.all(candidates.map((candidate) => log.sequencer.append(candidate)))
        for (const [i, { index, receipt, duplicate }] of answers.entries()) {
          assert.equal(index, i + 1)
          assert.equal(duplicate, false)
          const size = await log.checkReceipt(receipt, candidates[i]!.entry, index)
          // Five to a batch, the last of three: each receipt is for the tree of its own batch.
          assert.equal(size, Math.min(24, 1 + 5 * Math.ceil((i + 1) / 5)))
        }
        await log.checkLog(24)
      },
      { batchEntries: 5 },
    ))

  it('gives entries that come together their indexes in order, and each its own answer', () =>
    withLog(
      async (log) => {
        const candidates = await Promise.all(Array.from({ length: 7 }, (_, i) => policyCandidate(`together ${i}`)))
        const twin = await signedAgain(candidates[1]!)
        const [later, first] = [log.sequencer.appendAll([...candidates, twin, candidates[0]!]), log.appendRaw(1)]
        const outcomes = await later
        assert.deepEqual(
          outcomes.map((outcome) => (outcome instanceof Error ? (outcome as LogError).code : outcome.index)),
          [1, 2, 3, 4, 5, 6, 7, 'conflict_signature', 1],
        )
        assert.deepEqual(await first, [8])
        for (const [i, outcome] of outcomes.entries()) {
          if (outcome instanceof Error) continue
          assert.equal(outcome.duplicate, i === 8)
          await log.checkReceipt(outcome.receipt, (candidates[i] ?? candidates[0]!).entry, outcome.index)
        }
        assert.deepEqual(await log.sequencer.appendAll([]), [])
        await log.checkLog(9)
      },
      { batchEntries: 3 },
    ))

  it('puts more entries than are worked on in one turn through in one batch', () =>
    withLog(async (log) => {
      const bodies = Array.from({ length: 1000 }, (_, i) => rawBody(-1000 - i))
      const commit = log.disk.holdNext('commit')
      const before = log.appendRaw(1)
      await commit.arrived
      const all = log.sequencer.appendRawAll([...bodies, bodies[3]!])
      assert.equal(await stateOf(all), 'pending')
      commit.release()
      await before
      assert.deepEqual(await all, [...bodies.map((_, i) => 2 + i), 5])
      await log.checkLog(1002)
    }))

  it('closes a batch at its bound of bytes, and takes an entry larger than that by itself', () =>
    withLog(
      async (log) => {
        const bodies = [400, 400, 400, 3000, 10].map((length, i) => new Uint8Array(length).fill(i))
        await Promise.all(bodies.map((body) => log.sequencer.appendRaw(body)))
        assert.deepEqual(
          log.disk.events.filter((event) => event.startsWith('commit')),
          ['commit 3', 'commit 4', 'commit 5', 'commit 6'],
        )
        await log.checkLog(6)
      },
      { batchBytes: 1000 },
    ))
})

describe('nothing is said before it is durable', () => {
  it('answers and shows a batch only after its commit and its guard, in this order', () =>
    withLog(async (log) => {
      const { disk, sequencer, reader } = log
      const commit = disk.holdNext('commit')
      const guard = disk.holdNext('guard')
      const candidate = await policyCandidate('held')
      const answer = sequencer.append(candidate).then((appended) => {
        disk.events.push('answer')
        return appended
      })

      await commit.arrived
      assert.equal(await stateOf(answer), 'pending')
      commit.release()
      await guard.arrived
      // Committed, and a crash now would keep it; but nobody is told, and no reader sees it.
      assert.equal(await stateOf(answer), 'pending')
      assert.equal(sequencer.size, 1)
      assert.equal(reader.treeHead().size, 1)
      assert.equal(await reader.statement(1), undefined)
      assert.equal(await reader.tile({ level: 0, index: 0, width: 2 }), undefined)
      const located = reader.locate(candidate.entry)
      assert.equal(await stateOf(located), 'pending')

      guard.release()
      assert.equal((await answer).index, 1)
      assert.equal((await located)?.index, 1)
      assert.deepEqual(disk.events, ['commit 2', 'guard 2', 'answer'])
      await log.checkLog(2)
    }))

  it('tells its listeners before anybody is answered', () =>
    withLog(async (log) => {
      const { events } = log.disk
      log.sequencer.onCommitted((batch) => events.push(`listener ${batch.map(({ index }) => index).join()}`))
      const candidates = await Promise.all(['a', 'b'].map((id) => policyCandidate(id)))
      await Promise.all(candidates.map((each) => log.sequencer.append(each).then(() => events.push('answer'))))
      assert.deepEqual(events, ['commit 3', 'guard 3', 'listener 1,2', 'answer', 'answer'])
    }))

  it('commits no batch before the one before it is published, and all that waited in one', () =>
    withLog(async (log) => {
      const guard = log.disk.holdNext('guard')
      const first = log.appendRaw(1)
      await guard.arrived
      const others = [log.appendRaw(1), log.appendRaw(1)]
      assert.equal(await stateOf(Promise.race(others)), 'pending')
      assert.deepEqual(log.disk.events, ['commit 2'])
      guard.release()
      await Promise.all([first, ...others])
      assert.deepEqual(log.disk.events, ['commit 2', 'guard 2', 'commit 4', 'guard 4'])
      await log.checkLog(4)
    }))
})

describe('when the disk fails', () => {
  for (const kind of ['lookup', 'commit', 'guard'] as const) {
    it(`a failing ${kind} ends the log, acknowledges nothing, and is never tried again`, () =>
      withLog(async (log) => {
        await log.appendRaw(3)
        const candidate = await policyCandidate('lost')
        log.disk.breakNext(kind)
        const waiting = [log.appendRaw(2), log.sequencer.append(candidate), log.appendRaw(1)]
        for (const result of await Promise.allSettled(waiting)) {
          assert.equal(result.status, 'rejected')
          assert.ok(result.reason instanceof BusyError && result.reason.code === 'log_stopped')
        }
        assert.equal(log.fatal.length, 1)
        assert.match(String(log.fatal[0]), new RegExp(`EIO in ${kind}`))
        assert.equal(log.sequencer.size, 4)
        await assert.rejects(log.appendRaw(1), { code: 'log_stopped' })
        const { length } = log.disk.events
        await log.close()
        assert.equal(log.disk.events.length, length)

        // What was acknowledged is there; what was not may be, and then it is whole.
        await log.open()
        const { size } = log.reader.treeHead()
        assert.ok(kind === 'guard' ? size > 4 : size === 4)
        await log.checkLog(size)
        await log.appendRaw(1)
        await log.checkLog(size + 1)
      }))
  }

  it('a crash between commit and guard leaves a log that serves what it had signed, byte for byte', () =>
    withLog(async (log) => {
      await log.appendRaw(3)
      log.disk.breakNext('guard')
      await assert.rejects(log.appendRaw(2))
      await log.close()
      assert.equal((await Guard.read(paths(log.dataDir).guard)).size, 4)

      await log.open()
      const checkpoint = log.reader.checkpoint()
      assert.equal((await Guard.read(paths(log.dataDir).guard)).size, 6)
      await log.checkLog(6)
      await log.reopen()
      assert.equal(log.reader.checkpoint(), checkpoint)
      await log.close()
      assert.deepEqual((await fsckData(log.dataDir)).findings, [])
    }))
})

describe('what the log has already', () => {
  it('answers the same statement with the same index and a receipt: in one batch, in flight, later, and after opening again', () =>
    withLog(async (log) => {
      const candidate = await policyCandidate('repeated')
      const commit = log.disk.holdNext('commit')
      const inOneBatch = [log.sequencer.append(candidate), log.sequencer.append(candidate)]
      await commit.arrived
      const inFlight = log.sequencer.append(candidate)
      commit.release()
      const answers = await Promise.all([...inOneBatch, inFlight])
      answers.push(await log.sequencer.append(candidate))
      await log.reopen()
      answers.push(await log.sequencer.append(candidate))

      assert.deepEqual(
        answers.map(({ duplicate }) => duplicate),
        [false, true, true, true, true],
      )
      for (const { index, receipt } of answers) {
        assert.equal(index, 1)
        await log.checkReceipt(receipt, candidate.entry, 1)
      }
      await log.checkLog(2)
    }))

  for (const [index, what] of [
    [2, 'another entry'],
    [99, 'no entry'],
  ] as const) {
    it(`answers a repetition with no place but its own: an index that leads to ${what} stops the log`, () =>
      withLog(async (log) => {
        const candidates = await Promise.all(['one', 'two'].map((id) => policyCandidate(`misplaced ${id}`)))
        await log.sequencer.appendAll(candidates)
        log.disk.misread = (holders) => ({ ...holders, entry: index })
        await assert.rejects(log.sequencer.append(candidates[0]!), { code: 'log_stopped' })
        assert.deepEqual(
          log.fatal.map((error) => (error as LogError).code),
          ['log_damaged'],
        )
      }))
  }

  it('keeps the wraps that came first', () =>
    withLog(async (log) => {
      const candidate = await policyCandidate('wrapped', [Uint8Array.of(1, 2), Uint8Array.of(3)])
      await log.sequencer.append(candidate)
      await log.sequencer.append({ ...candidate, wraps: [Uint8Array.of(9)] })
      assert.deepEqual(await log.reader.wraps(candidate.entry), [Uint8Array.of(1, 2), Uint8Array.of(3)])
    }))

  it('gives the same raw entry one index', () =>
    withLog(async (log) => {
      const body = rawBody(-1)
      const indexes = await Promise.all([log.sequencer.appendRaw(body), log.sequencer.appendRaw(body)])
      assert.deepEqual(indexes, [1, 1])
      assert.equal(await log.sequencer.appendRaw(body), 1)
      await log.checkLog(2)
    }))

  it('knows a repetition from several batches back, that the store could not know of when it was asked', () =>
    withLog(
      async (log) => {
        const bodies = Array.from({ length: 10 }, (_, i) => rawBody(-10 - i))
        const commit = log.disk.holdNext('commit')
        const first = bodies.map((body) => log.sequencer.appendRaw(body))
        await commit.arrived
        // Asked about now, while not one of them is durable; sequenced three commits later.
        const again = bodies.toReversed().map((body) => log.sequencer.appendRaw(body))
        assert.equal(await stateOf(again[0]!), 'pending')
        commit.release()
        const indexes = Array.from({ length: 10 }, (_, i) => 1 + i)
        assert.deepEqual(await Promise.all(first), indexes)
        assert.deepEqual(await Promise.all(again), indexes.toReversed())
        await log.checkLog(11)
      },
      { batchEntries: 3 },
    ))

  // Each takes something that the holder has, and is otherwise a statement of its own.
  const claims: [what: string, code: string, claim: (holder: Candidate) => Promise<Candidate>][] = [
    ['the same content under another signature', 'conflict_signature', signedAgain],
    ['a recorded credential', 'duplicate_credential', (holder) => taking(holder, 'credential:')],
    ['a unique tag', 'duplicate_unique_tag', (holder) => taking(holder, 'unique:')],
    ['a record id', 'duplicate_record_id', (holder) => taking(holder, 'record:')],
    ['another revocation', 'already_revoked', (holder) => taking(holder, 'revoked:')],
    ['a status after the revocation', 'already_revoked', excludedBy],
  ]
  for (const [what, code, claim] of claims) {
    it(`refuses ${what} (${code}) and names the holder: in one batch, in flight, later, and after opening again`, () =>
      withLog(async (log) => {
        const original = await policyCandidate(`holder of ${code}`)
        const keys = ['credential:aa', 'unique:kid:bb', 'revoked:aa', ...original.uniqueKeys]
        const holder = { ...original, uniqueKeys: keys }
        const refused = { name: 'EvidenceError', code, index: 2 }
        const claims = await Promise.all(Array.from({ length: 4 }, () => claim(holder)))

        await log.appendRaw(1)
        const commit = log.disk.holdNext('commit')
        const held = log.sequencer.append(holder)
        const inOneBatch = assert.rejects(log.sequencer.append(claims[0]!), refused)
        await commit.arrived
        const inFlight = log.sequencer.append(claims[1]!)
        assert.equal(await stateOf(inFlight), 'pending')
        commit.release()
        assert.equal((await held).index, 2)
        await Promise.all([inOneBatch, assert.rejects(inFlight, refused)])
        await assert.rejects(log.sequencer.append(claims[2]!), refused)
        await log.reopen()
        await assert.rejects(log.sequencer.append(claims[3]!), refused)
        await log.checkLog(3)
      }))
  }

  it('lets a key that a refused candidate wanted go to the next one', () =>
    withLog(async (log) => {
      const [holder, refused, next] = await Promise.all(['holder', 'refused', 'next'].map((id) => policyCandidate(id)))
      const answers = await Promise.allSettled([
        log.sequencer.append({ ...holder!, uniqueKeys: ['unique:k:1'] }),
        log.sequencer.append({ ...refused!, uniqueKeys: ['unique:k:2', 'unique:k:1'] }),
        log.sequencer.append({ ...next!, uniqueKeys: ['unique:k:2'] }),
      ])
      assert.deepEqual(
        answers.map(({ status }) => status),
        ['fulfilled', 'rejected', 'fulfilled'],
      )
      await log.checkLog(3)
    }))
})

describe('a change of authority', () => {
  it('ends its batch, and whoever was admitted before it is asked again', () =>
    withLog(async (log) => {
      const [before, authority, after, later] = await Promise.all(
        ['before', 'authority', 'after', 'later'].map((id) => policyCandidate(id)),
      )
      const asked: string[] = []
      const recheck = (name: string, refuse = false) => ({
        recheck: () => {
          asked.push(name)
          if (refuse) throw new LogError('not_found', 'no longer authorized')
        },
      })
      const answers = await Promise.allSettled([
        log.sequencer.append({ ...before!, ...recheck('before') }),
        // Its type alone matters here: the sequencer reads no record.
        log.sequencer.append({ ...authority!, type: 'key-authorization', ...recheck('authority') }),
        log.sequencer.append({ ...after!, ...recheck('after', true) }),
        log.sequencer.append({ ...later!, ...recheck('later') }),
      ])
      assert.deepEqual(asked, ['after', 'later'])
      assert.deepEqual(
        answers.map(({ status }) => status),
        ['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
      )
      assert.deepEqual(
        log.disk.events.filter((event) => event.startsWith('commit')),
        ['commit 3', 'commit 4'],
      )
      await log.checkLog(4)
    }))

  it('is waited for by whoever comes while it is committed', () =>
    withLog(async (log) => {
      const [authority, behind] = await Promise.all(['authority', 'behind'].map((id) => policyCandidate(id)))
      const commit = log.disk.holdNext('commit')
      const changed = log.sequencer.append({ ...authority!, type: 'key-authorization' })
      await commit.arrived
      let isAsked = false
      const recheck = () => {
        isAsked = true
      }
      const appended = log.sequencer.append({ ...behind!, recheck })
      while (log.disk.lookedUp < 2) await nextTurn()
      await nextTurn()
      assert.equal(isAsked, false)
      commit.release()
      assert.deepEqual([(await changed).index, (await appended).index, isAsked], [1, 2, true])
    }))
})

describe('the next batch', () => {
  it('is on the edge before the one under way is on the disk, and nobody sees it', () =>
    withLog(async (log) => {
      const candidates = await Promise.all(['one', 'two'].map((id) => policyCandidate(id)))
      for (const held of ['commit', 'guard'] as const) {
        const { size } = log.sequencer
        const step = log.disk.holdNext(held)
        const under = log.appendRaw(200)
        await step.arrived
        // It fills the tile that the other began, and one more.
        const { appended } = await log.queueRaw(400)
        for (let turn = 0; turn < 1000 && log.edge.size < size + 600; turn++) await nextTurn()
        assert.equal(log.edge.size, size + 600)
        await log.checkLog(size)
        const known = log.sequencer.append(candidates.pop()!)
        step.release()
        await under
        const indexes = await appended
        assert.deepEqual(
          indexes,
          indexes.map((_, i) => size + 200 + i),
        )
        await log.checkReceipt((await known).receipt, (await log.reader.entryAt(size + 600))!, size + 600)
        await log.checkLog(size + 601)
        await log.reopen()
        await log.checkLog(size + 601)
      }
    }))

  it('refuses what the one under way has, and names it when it is published', () =>
    withLog(async (log) => {
      const original = await policyCandidate('original')
      const commit = log.disk.holdNext('commit')
      const first = log.sequencer.append(original)
      await commit.arrived
      const again = log.sequencer.appendAll([original, await signedAgain(original)])
      assert.equal(await stateOf(again), 'pending')
      commit.release()
      const [repeated, refused] = await again
      assert.deepEqual([(await first).index, (repeated as { index: number }).index], [1, 1])
      assert.equal((refused as LogError).code, 'conflict_signature')
      assert.deepEqual(log.disk.events, ['commit 2', 'guard 2'])
    }))

  it('is never signed when the one under way cannot be committed', () =>
    withLog(async (log) => {
      for (const kind of ['commit', 'guard'] as const) {
        const { size } = log.sequencer
        const { events } = log.disk
        const step = log.disk.holdNext(kind, new Error(`EIO in ${kind}`))
        const under = log.appendRaw(2)
        await step.arrived
        const { appended } = await log.queueRaw(300)
        step.release()
        for (const lost of [under, appended]) await assert.rejects(lost, { code: 'log_stopped' })
        assert.deepEqual(events.slice(-1), kind === 'commit' ? [] : [`commit ${size + 2}`])
        await log.close()
        await log.open()
        await log.checkLog(kind === 'commit' ? size : size + 2)
      }
      await log.close()
      assert.deepEqual((await fsckData(log.dataDir)).findings, [])
    }))
})

describe('the queue', () => {
  it('is bounded by entries: what is past it is refused, to come again, and takes nothing from those who wait', () =>
    withLog(
      async (log) => {
        const commit = log.disk.holdNext('commit')
        const first = log.appendRaw(1, 'first')
        await commit.arrived
        const second = log.appendRaw(2, 'second')
        const refusal = { name: 'UnavailableError', code: 'queue_full', retryAfter: 1 }
        for (const caller of ['first', 'second']) await assert.rejects(log.appendRaw(1, caller), refusal)
        const third = log.appendRaw(1, 'third')
        for (const caller of ['third', 'fourth']) await assert.rejects(log.appendRaw(1, caller), refusal)
        commit.release()
        // In turn.
        assert.deepEqual(await Promise.all([first, second, third]), [[1], [2, 4], [3]])
        assert.deepEqual(await log.appendRaw(1), [5])
        await log.checkLog(6)
      },
      { queueEntries: 4 },
    ))

  it('gives one caller no more of itself than it leaves to others', () =>
    withLog(
      async (log) => {
        const commit = log.disk.holdNext('commit')
        const outcomes = Promise.allSettled(Array.from({ length: 1000 }, () => log.appendRaw(1, 'abuser')))
        assert.equal(log.sequencer.waiting, 500)
        const honest = log.appendRaw(100, 'honest')
        assert.equal(log.sequencer.waiting, 600)
        commit.release()
        assert.equal((await honest).length, 100)
        assert.equal((await outcomes).filter(({ status }) => status === 'rejected').length, 500)
        await log.checkLog(601)
      },
      { queueEntries: 1000 },
    ))

  it('has nobody wait behind what one caller brought before, single entries nor batches', () =>
    withLog(
      async (log) => {
        const commit = log.disk.holdNext('commit')
        // Under way, looked up for the next batch, and waiting.
        const abuser = [log.appendRaw(200, 'abuser')]
        await commit.arrived
        const together = Array.from({ length: 150 }, (_, i) => new TextEncoder().encode(`together ${i}`))
        abuser.push(log.sequencer.appendRawAll(together, 'abuser'))
        while (log.disk.lookedUp < 32) await nextTurn()
        const honest = [log.appendRaw(1, 'honest'), log.appendRaw(3, 'another')]
        commit.release()
        const indexes = (await Promise.all(honest)).flat()
        // Of the commit after the one that was looked up already: 16 entries each.
        assert.ok(
          indexes.every((index) => index > 32 && index <= 48),
          indexes.join(),
        )
        assert.equal((await Promise.all(abuser)).flat().length, 350)
        // What came together stays in order.
        const [, batch] = await Promise.all(abuser)
        assert.deepEqual(
          batch,
          [...batch!].sort((a, b) => a - b),
        )
        await log.checkLog(355)
      },
      { batchEntries: 16 },
    ))

  it('takes all that come together, or none of them', () =>
    withLog(
      async (log) => {
        const candidates = await Promise.all(Array.from({ length: 5 }, (_, i) => policyCandidate(`queued ${i}`)))
        for (const outcome of await log.sequencer.appendAll(candidates)) {
          assert.ok(outcome instanceof BusyError && outcome.code === 'queue_full')
        }
        assert.equal(log.sequencer.waiting, 0)
        assert.equal((await log.sequencer.appendAll(candidates.slice(1))).length, 4)
        await log.checkLog(5)
      },
      { queueEntries: 4 },
    ))

  it('is bounded by bytes, wraps included', () =>
    withLog(
      async (log) => {
        const commit = log.disk.holdNext('commit')
        const accepted = log.sequencer.appendRaw(new Uint8Array(2000))
        const large = await policyCandidate('large', [new Uint8Array(1000)])
        await assert.rejects(log.sequencer.append(large), { code: 'queue_full' })
        commit.release()
        await accepted
        assert.equal((await log.sequencer.append(large)).index, 2)
        assert.equal(log.sequencer.waiting, 0)
      },
      { queueBytes: 2900 },
    ))

  it('is emptied before the log goes down, and takes nothing more', () =>
    withLog(async (log) => {
      const candidate = await policyCandidate('last')
      const accepted = [log.sequencer.append(candidate), log.sequencer.append(candidate)]
      const drained = log.sequencer.drain()
      assert.equal(log.sequencer.accepting, false)
      await assert.rejects(log.appendRaw(1), { code: 'shutting_down' })
      await drained
      for (const answer of accepted) assert.equal(await stateOf(answer), 'answered')
      await log.checkLog(2)
    }))
})

async function taking(holder: Candidate, kind: string): Promise<Candidate> {
  const own = await policyCandidate('claimant')
  return { ...own, uniqueKeys: holder.uniqueKeys.filter((key) => key.startsWith(kind)) }
}

async function excludedBy(holder: Candidate): Promise<Candidate> {
  const own = await policyCandidate('kept out')
  return { ...own, excludedBy: holder.uniqueKeys.filter((key) => key.startsWith('revoked:')) }
}
