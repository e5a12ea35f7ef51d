import assert from 'node:assert/strict'
import { appendFile, cp, mkdtemp, readFile, rename, rm, truncate, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openLog, paths } from '../../../log-server/log.ts'
import { fsckData } from '../../../log-server/recovery/fsck.ts'
import { Guard } from '../../../log-server/storage/guard.ts'
import { EMPTY_ROOT, sha256, toHex } from '../../../merkle/index.ts'
import { NOW, TestLog } from '../test-log.ts'

const markOf = (size: number) => ({ size, root: sha256(Uint8Array.of(size)) })

async function withGuard(body: (path: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'provlog-guard-'))
  try {
    const path = join(directory, 'guard')
    await Guard.create(path, { size: 0, root: EMPTY_ROOT })
    await body(path)
  } finally {
    await rm(directory, { recursive: true })
  }
}

async function write(path: string, ...sizes: readonly number[]): Promise<void> {
  const guard = await Guard.open(path)
  for (const size of sizes) await guard.write(markOf(size))
  await guard.close()
}

describe('the guard file', () => {
  it('remembers the last mark, in two slots written in turn', () =>
    withGuard(async (path) => {
      assert.deepEqual(await Guard.read(path).then(({ size, root }) => ({ size, root })), { size: 0, root: EMPTY_ROOT })
      for (const size of [1, 5, 6, 1000]) {
        await write(path, size)
        const { root } = await Guard.read(path)
        assert.deepEqual(root, markOf(size).root)
      }
      const bytes = await readFile(path)
      assert.equal(bytes.length, 8192)
      assert.match(bytes.toString('latin1', 0, 200), new RegExp(`^provlog-guard/1 4 1000 ${toHex(markOf(1000).root)} `))
      assert.match(bytes.toString('latin1', 4096, 4300), /^provlog-guard\/1 3 6 /)
    }))

  it('still has the mark before when a write never reached the disk', () =>
    withGuard(async (path) => {
      await write(path, 1, 2)
      const before = await readFile(path)
      await write(path, 3)
      // The slot of the last write as it was before: what a power cut in the middle of it leaves.
      await writeFile(path, before)
      assert.equal((await Guard.read(path)).size, 2)
      await write(path, 3)
      assert.equal((await Guard.read(path)).size, 3)
    }))

  it('writes what it read once more before it counts: the kernel may have shown what the disk does not have', () =>
    withGuard(async (path) => {
      await write(path, 1, 2)
      const written: [length: number, position: number][] = []
      const bytes = await readFile(path)
      const file = {
        read: async (into: Uint8Array) => ({ bytesRead: bytes.copy(into) }),
        write: async (slot: Uint8Array, _: number, length: number, position: number) => {
          assert.deepEqual(Buffer.from(slot), bytes.subarray(position, position + length))
          written.push([length, position])
          return { bytesWritten: length }
        },
        datasync: async () => undefined,
        close: async () => undefined,
      }
      assert.equal((await Guard.over(file, path)).last.size, 2)
      assert.deepEqual(written, [[512, 0]])
      const failing = { ...file, write: () => Promise.reject(new Error('EIO')) }
      await assert.rejects(Guard.over(failing, path), /EIO/)
    }))

  it('is never replaced, and never goes back', () =>
    withGuard(async (path) => {
      await write(path, 7)
      await assert.rejects(Guard.create(path, markOf(1)), { code: 'log_exists' })
      assert.equal((await Guard.read(path)).size, 7)
      await assert.rejects(write(path, 6), /invariant broken/)
    }))

  it('is refused when any one bit of it is not as written', () =>
    withGuard(async (path) => {
      await write(path, 1, 2)
      const honest = await readFile(path)
      // Every byte of both records, and some of the emptiness around them.
      const places = [...range(0, 180), ...range(4096, 4276), 200, 600, 4095, 4300, 8191]
      for (const place of places) {
        const flipped = Buffer.from(honest)
        flipped[place]! ^= 1 << (place % 8)
        await writeFile(path, flipped)
        await assert.rejects(Guard.read(path), { code: 'guard_damaged' }, `byte ${place}`)
      }
      await writeFile(path, honest)
      assert.equal((await Guard.read(path)).size, 2)
    }))

  it('is refused when it is cut, lengthened, emptied, missing, or puts two that do not follow side by side', () =>
    withGuard(async (path) => {
      await write(path, 1)
      const early = await readFile(path)
      await write(path, 2, 3, 4)
      const honest = await readFile(path)
      const attempts: [string, () => Promise<void>][] = [
        ['cut', () => truncate(path, 4096)],
        ['lengthened', () => appendFile(path, '\0')],
        ['emptied', () => truncate(path, 0)],
        ['zeroed', () => writeFile(path, Buffer.alloc(8192))],
        ['a slot zeroed', () => writeFile(path, Buffer.concat([honest.subarray(0, 4096), Buffer.alloc(4096)]))],
        ['an older slot', () => writeFile(path, Buffer.concat([honest.subarray(0, 4096), early.subarray(4096)]))],
        ['slots swapped', () => writeFile(path, Buffer.concat([honest.subarray(4096), honest.subarray(0, 4096)]))],
      ]
      for (const [what, damage] of attempts) {
        await damage()
        await assert.rejects(Guard.open(path), { code: 'guard_damaged' }, what)
        await writeFile(path, honest)
      }
      await unlink(path)
      await assert.rejects(Guard.open(path), { code: 'guard_missing' })
    }))
})

describe('opening a log against its guard', () => {
  const now = () => NOW

  it('refuses a database that was restored from an older copy, and says which command to run', async () => {
    const log = await TestLog.create()
    await log.appendRaw(3)
    await log.close()
    const copy = await log.copy()
    await log.open()
    await log.appendRaw(1)
    await log.close()
    await rm(paths(log.dataDir).store, { recursive: true })
    await rename(paths(copy).store, paths(log.dataDir).store)

    await assert.rejects(openLog({ dataDir: log.dataDir, now }), {
      code: 'log_behind_guard',
      message: /provlog log fsck/,
    })
    const { findings } = await fsckData(log.dataDir)
    assert.deepEqual(
      findings.map(({ code }) => code),
      ['behind_guard'],
    )
    await Promise.all([copy, log.dataDir].map((directory) => rm(directory, { recursive: true })))
  })

  for (const [what, more] of [
    ['as long as', 1],
    ['longer than', 5],
  ] as const) {
    it(`refuses another history that is ${what} the one that was signed`, async () => {
      const log = await TestLog.create()
      await log.appendRaw(3)
      await log.close()
      const fork = await log.copy()
      await log.open()
      await log.appendRaw(1)
      await log.close()
      const other = await openLog({ dataDir: fork, now })
      for (let i = 0; i < more; i++) await other.sequencer.appendRaw(Uint8Array.of(i))
      await other.close()
      await cp(paths(log.dataDir).guard, paths(fork).guard)

      await assert.rejects(openLog({ dataDir: fork, now }), { code: 'log_forked' })
      const { findings } = await fsckData(fork)
      assert.deepEqual(
        findings.map(({ code }) => code),
        ['forked'],
      )
      await Promise.all([fork, log.dataDir].map((directory) => rm(directory, { recursive: true })))
    })
  }

  it('goes on when the guard is behind the database, as a crash between the two leaves it', async () => {
    const log = await TestLog.create()
    await log.appendRaw(3)
    const guard = await readFile(paths(log.dataDir).guard)
    await log.appendRaw(300)
    await log.close()
    await writeFile(paths(log.dataDir).guard, guard)
    const opened = await openLog({ dataDir: log.dataDir, now })
    assert.equal(opened.sequencer.size, 304)
    await opened.close()
    assert.equal((await Guard.read(paths(log.dataDir).guard)).size, 304)
    await rm(log.dataDir, { recursive: true })
  })
})

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i)
}
