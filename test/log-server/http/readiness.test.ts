// Readiness says whether the next append would become durable; and what it says, whoever appends is told.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type DiskSpace, lookAt, Storage, type StorageOptions } from '../../../log-server/http/readiness.ts'
import { initLog } from '../../../log-server/init.ts'
import { startServer } from '../../../log-server/main.ts'
import { notRandom, ORIGIN } from '../../provenance/small-log.ts'
import { assertRefused, serveLog } from '../served-log.ts'
import { TestLog } from '../test-log.ts'

const MiB = 1024 * 1024
const ROOM: DiskSpace = { freeBytes: 4096 * MiB, totalBytes: 100_000 * MiB, freeInodes: 1000, totalInodes: 2000 }

function storageOver(options: Partial<StorageOptions> = {}) {
  const world = { space: ROOM as DiskSpace | Error, wait: 0, now: 0 }
  const storage = new Storage({
    look: async () => {
      if (world.space instanceof Error) throw world.space
      return world.space
    },
    longestWait: () => world.wait,
    milliseconds: () => world.now,
    ...options,
  })
  return { world, storage }
}

describe('the storage of a log', () => {
  it('has room above the floor, and none below: 512 MiB, a twentieth of a small disk, or as it was told', async () => {
    for (const [space, minFreeBytes, expected] of [
      [ROOM, undefined, undefined],
      [{ ...ROOM, freeBytes: 512 * MiB }, undefined, undefined],
      [{ ...ROOM, freeBytes: 512 * MiB - 1 }, undefined, 'disk_full'],
      [{ ...ROOM, totalBytes: 64 * MiB, freeBytes: 4 * MiB }, undefined, undefined],
      [{ ...ROOM, totalBytes: 64 * MiB, freeBytes: 3 * MiB }, undefined, 'disk_full'],
      [{ ...ROOM, freeBytes: 0 }, 0, undefined],
      [ROOM, 4097 * MiB, 'disk_full'],
      [{ ...ROOM, freeInodes: 255 }, undefined, 'disk_full'],
      // A file system that makes inodes as it needs them.
      [{ ...ROOM, freeInodes: 0, totalInodes: 0 }, undefined, undefined],
    ] as const) {
      const { world, storage } = storageOver({ minFreeBytes })
      world.space = space
      await storage.look()
      assert.equal(storage.failure(), expected, JSON.stringify([space, minFreeBytes]))
    }
  })

  it('is unwritable where the directory is, and again writable when it is looked at and is', async () => {
    const { world, storage } = storageOver()
    world.space = new Error('EROFS')
    await storage.look()
    assert.equal(storage.failure(), 'storage_unwritable')
    assert.throws(() => storage.demand(), { code: 'storage_unwritable', retryAfter: 10 })
    world.space = ROOM
    await storage.look()
    assert.equal(storage.failure(), undefined)
    storage.demand()
  })

  it('is unwritable while the file system does not answer, of which one question is asked', async () => {
    let asked = 0
    let answer = (_space: DiskSpace) => {}
    const { world, storage } = storageOver({
      look: () => {
        asked++
        return asked === 1
          ? Promise.resolve(ROOM)
          : new Promise((resolve) => {
              answer = resolve
            })
      },
    })
    await storage.look()
    const hanging = storage.look()
    world.now = 10_001
    assert.equal(storage.failure(), 'storage_unwritable')
    await storage.look()
    assert.equal(asked, 2)
    answer(ROOM)
    await hanging
    assert.equal(storage.failure(), undefined)
  })

  it('has stalled when somebody waits for longer than any commit takes', async () => {
    const { world, storage } = storageOver()
    await storage.look()
    world.wait = 10_000
    assert.equal(storage.failure(), undefined)
    world.wait = 10_001
    assert.equal(storage.failure(), 'commit_stalled')
  })

  it('is what the system says: of a directory that is there, and of one that is not', async () => {
    const { freeBytes, totalBytes } = await lookAt(tmpdir())
    assert.ok(freeBytes > 0 && freeBytes <= totalBytes)
    await assert.rejects(lookAt(join(tmpdir(), 'provlog-none', 'none')), { code: 'ENOENT' })
  })
})

describe('a log whose storage fails', () => {
  it('is not ready, refuses who appends before reading what, and answers everybody else', async () => {
    const { world, storage } = storageOver()
    await storage.look()
    const served = await serveLog(3, { storage, notReady: () => storage.failure() })
    try {
      for (const [change, code] of [
        [
          () => {
            world.space = { ...ROOM, freeBytes: 1 }
          },
          'disk_full',
        ],
        [
          () => {
            world.space = new Error('EROFS')
          },
          'storage_unwritable',
        ],
        [
          () => {
            world.space = ROOM
            world.wait = 60_000
          },
          'commit_stalled',
        ],
      ] as const) {
        change()
        await storage.look()
        const ready = await served.get('/readyz')
        assert.deepEqual([ready.statusCode, ready.json().ready, ready.json().reason], [503, false, code])
        const refused = await served.post(served.statements[2]!.bytes)
        assertRefused(refused, { status: 503, code })
        assert.equal(refused.headers['retry-after'], '10')
        const payload = Buffer.from([0x41, 0])
        const batch = {
          method: 'POST',
          url: '/v1/entries',
          headers: { 'content-type': 'application/cbor-seq' },
          payload,
        } as const
        assert.equal((await served.app.inject(batch)).json().code, code)
        for (const url of ['/healthz', '/checkpoint', '/entries/0.1', '/v1/policies'])
          assert.equal((await served.get(url)).statusCode, 200, url)
      }
      world.wait = 0
      assert.equal((await served.get('/readyz')).statusCode, 200)
      assert.equal((await served.post(served.statements[2]!.bytes)).statusCode, 201)
    } finally {
      await served.close()
    }
  })

  it('stalls while its fsync hangs, and goes on when that comes back', async () => {
    const log = await TestLog.create()
    const storage = new Storage({ look: async () => ROOM, longestWait: () => log.sequencer.longestWait })
    await storage.look()
    for (const kind of ['commit', 'guard'] as const) {
      const disk = log.disk.holdNext(kind)
      const append = log.appendRaw(1)
      await disk.arrived
      log.milliseconds += 10_001
      assert.equal(storage.failure(), 'commit_stalled', kind)
      disk.release()
      await append
      await nextTurn()
      assert.equal(storage.failure(), undefined)
    }
    await log.remove()
  })

  it('is what a server’s configuration makes of it', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'provlog-readiness-'))
    const dataDir = join(dir, 'log')
    await initLog({ dataDir, origin: ORIGIN, now: () => 100, random: notRandom('readiness') })
    const path = join(dataDir, 'config.json')
    const config = JSON.parse(readFileSync(path, 'utf8')) as object
    const listen = { host: '127.0.0.1', port: 0 }
    // More than any disk of ours has.
    writeFileSync(path, JSON.stringify({ ...config, server: { readiness: { minFreeBytes: 2 ** 50 } } }))
    const server = await startServer({ dataDir, listen })
    const ready = await fetch(`${server.url}/readyz`)
    assert.deepEqual([ready.status, ((await ready.json()) as { reason: string }).reason], [503, 'disk_full'])
    const headers = { 'content-type': 'application/cose' }
    const refused = await fetch(`${server.url}/entries`, { method: 'POST', headers, body: 'x' })
    assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '10'])
    assert.equal((await fetch(`${server.url}/healthz`)).status, 200)
    const numbers = await (await fetch(`${server.url}/metrics`)).text()
    assert.match(numbers, /^provlog_ready 0$/m)
    assert.match(numbers, /^provlog_not_ready\{reason="disk_full"\} 1$/m)
    assert.match(numbers, /^provlog_refusals_total\{code="disk_full"\} 1$/m)
    await server.close()
    for (const readiness of [{ minFreeBytes: -1 }, { maxCommitSeconds: 0 }, { minFree: 1 }, []]) {
      writeFileSync(path, JSON.stringify({ ...config, server: { readiness } }))
      await assert.rejects(startServer({ dataDir, listen }), { code: 'malformed_config' })
    }
    await rm(dir, { recursive: true })
  })
})
