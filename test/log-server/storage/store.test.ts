import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { Batch, NewEntry } from '../../../log-server/storage/entry-rows.ts'
import { Store } from '../../../log-server/storage/store.ts'
import { unpack } from '../../../log-server/storage/stored-values.ts'
import { sha256 } from '../../../merkle/index.ts'

async function withStore(body: (store: Store, location: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'provlog-store-'))
  const location = join(directory, 'store')
  const store = await Store.open(location, { create: true })
  try {
    await body(store, location)
  } finally {
    await store.close()
    await rm(directory, { recursive: true })
  }
}

const statementOf = (n: number, length = 10): Uint8Array => new Uint8Array(length).fill(n).fill(n >> 8, 0, 1)

function entryOf(n: number, more: Partial<NewEntry> = {}): NewEntry {
  const statement = more.statement ?? statementOf(n)
  const identity = sha256(Uint8Array.of(1, n, n >> 8))
  return { statement, entry: sha256(statement), identity, type: 'issuance-policy', issuedAt: 5, signer: 'kid', ...more }
}

function batchOf(first: number, entries: readonly NewEntry[], more: Partial<Batch> = {}): Batch {
  const size = first + entries.length
  const [root, bytes] = [sha256(Uint8Array.of(size)), Uint8Array.of(size)]
  const head = { origin: 'log.example', size, root, issuedAt: 9, protectedBytes: bytes, signature: bytes }
  return { first, entries, tiles: [], bundles: [], signed: { head, checkpoint: `note ${size}` }, ...more }
}

describe('the store', () => {
  it('gives back every statement by its index, however the batches fell', () =>
    withStore(async (store) => {
      let size = 0
      for (const count of [1, 254, 1, 1, 600, 43]) {
        await store.commit(
          batchOf(
            size,
            Array.from({ length: count }, (_, i) => entryOf(size + i)),
          ),
        )
        size += count
      }
      for (let index = 0; index < size; index++) assert.deepEqual(await store.statement(index), statementOf(index))
      assert.equal(await store.statement(size), undefined)
    }))

  it('gives them back from the disk as from memory, an erased one from neither', () =>
    withStore(async (store, location) => {
      const entries = Array.from({ length: 300 }, (_, i) => entryOf(i))
      await store.commit(batchOf(0, entries))
      assert.deepEqual(await store.statement(7), statementOf(7))
      await store.commit(batchOf(300, [entryOf(300, { erases: { entry: entries[7]!.entry, scope: 'statement' } })]))
      const check = async (from: Store) => {
        for (const index of [0, 6, 8, 255, 256, 299, 300, 8]) {
          assert.deepEqual(await from.statement(index), statementOf(index))
        }
        for (const _ of [1, 2]) assert.deepEqual(await from.statement(7), new Uint8Array())
        assert.equal(await from.statement(301), undefined)
      }
      await check(store)
      await store.swept()
      await store.close()
      const reopened = await Store.open(location)
      try {
        await check(reopened)
        await reopened.commit(batchOf(301, [entryOf(301)]))
        assert.deepEqual(await reopened.statement(301), statementOf(301))
      } finally {
        await reopened.close()
      }
    }))

  it('packs a batch into pieces that never cross a multiple of 256 and stay small', () =>
    withStore(async (store) => {
      await store.commit(
        batchOf(
          0,
          Array.from({ length: 300 }, (_, i) => entryOf(i)),
        ),
      )
      assert.deepEqual(await piecesOf(store, 0), [256])
      assert.deepEqual(await piecesOf(store, 1), [44])
      const large = Array.from({ length: 5 }, (_, i) => entryOf(i, { statement: statementOf(300 + i, 30_000) }))
      await store.commit(batchOf(300, [...large, entryOf(305, { statement: statementOf(305, 200_000) }), entryOf(306)]))
      assert.deepEqual(await piecesOf(store, 1), [44, 2, 2, 1, 1, 1])
      assert.deepEqual(await store.statement(305), statementOf(305, 200_000))
    }))

  it('keeps all that is indexed about an entry', () =>
    withStore(async (store) => {
      const entry = entryOf(7, {
        issuedAt: 1_800_000_000,
        signer: 'k'.repeat(43),
        wraps: [statementOf(1), statementOf(2)],
      })
      await store.commit(batchOf(0, [entryOf(0), entry]))
      assert.deepEqual(await store.locate(entry.entry), {
        index: 1,
        entry: entry.entry,
        type: 'issuance-policy',
        issuedAt: 1_800_000_000,
        signer: 'k'.repeat(43),
      })
      assert.deepEqual(await store.wraps(entry.entry), [statementOf(1), statementOf(2)])
      assert.deepEqual(await store.wraps(entryOf(0).entry), [])
      assert.equal(await store.locate(sha256(Uint8Array.of(99))), undefined)
      const raw = { statement: statementOf(3), entry: sha256(statementOf(3)), type: 'raw', issuedAt: 0, signer: '' }
      await store.commit(batchOf(2, [raw]))
      assert.deepEqual(await store.locate(raw.entry), {
        index: 2,
        entry: raw.entry,
        type: 'raw',
        issuedAt: 0,
        signer: '',
      })
    }))

  it('says who holds what a batch would bring', () =>
    withStore(async (store) => {
      const held = entryOf(1, { uniqueKeys: ['record:1', 'credential:2'] })
      await store.commit(batchOf(0, [entryOf(0), held]))
      const fresh = entryOf(2, { uniqueKeys: ['record:3', 'credential:2'] })
      const twin = entryOf(3, { identity: held.identity! })
      assert.deepEqual(await store.holders([held, fresh, twin]), [
        { entry: 1, identity: 1, unique: [1, 1] },
        { entry: undefined, identity: undefined, unique: [undefined, 1] },
        { entry: undefined, identity: 1, unique: [] },
      ])
      assert.equal(await store.byUnique('credential:2'), 1)
      assert.equal(await store.byUnique('credential:'), undefined)
    }))

  it('finds the newest of a series, and the newest of all series under a prefix, and of no other', () =>
    withStore(async (store) => {
      const series = [
        'policy/k1/b',
        'policy/k1/a',
        'policy/k1/b',
        'policy/k10/a',
        'policy/k',
        'policy/k1/a/c',
        'policy/k0/z',
      ]
      await store.commit(
        batchOf(
          0,
          series.map((name, i) => entryOf(i, { series: name })),
        ),
      )
      assert.equal(await store.latest('policy/k1/b'), 2)
      assert.equal(await store.latest('policy/k1/'), undefined)
      assert.deepEqual(await store.latestAll('policy/k1/', 100), [1, 5, 2])
      assert.deepEqual(await store.latestAll('policy/k1/', 2), [1, 5])
      assert.deepEqual(await store.latestAll('policy/k2/', 100), [])
    }))

  it('lists the status records of a credential, the newest of them when there are many', () =>
    withStore(async (store) => {
      const status = (digest: string, i: number) => entryOf(i, { status: digest.repeat(64) })
      await store.commit(batchOf(0, [status('a', 0), status('b', 1), status('a', 2), status('a', 3)]))
      assert.deepEqual(await store.statuses('a'.repeat(64), 100), [0, 2, 3])
      assert.deepEqual(await store.statuses('a'.repeat(64), 2), [2, 3])
      assert.deepEqual(await store.statuses('c'.repeat(64), 100), [])
      assert.equal(await store.hasStatus('b'.repeat(64), 1), true)
      assert.equal(await store.hasStatus('b'.repeat(64), 2), false)
    }))

  it('finds the statuses behind the record of a credential, of this run and of those before', () =>
    withStore(async (store, location) => {
      const status = (digest: string, i: number) => entryOf(i, { status: digest.repeat(64) })
      const of = (digest: string, root: number, from = store) => from.statuses(digest.repeat(64), 100, root)
      await store.commit(batchOf(0, [entryOf(0), entryOf(1)]))
      assert.deepEqual(await of('a', 0), [])
      await store.commit(batchOf(2, [status('a', 2), entryOf(3), entryOf(4)]))
      assert.deepEqual([await of('a', 0), await of('a', 3)], [[2], []])
      await store.commit(batchOf(5, [status('b', 5)]))
      assert.deepEqual([await of('b', 3), await of('c', 3)], [[5], []])
      await store.close()
      const reopened = await Store.open(location)
      try {
        assert.deepEqual([await of('a', 0, reopened), await of('b', 3, reopened)], [[2], [5]])
        await reopened.commit(batchOf(6, [entryOf(6), status('d', 7)]))
        assert.deepEqual([await of('a', 0, reopened), await of('b', 3, reopened)], [[2], [5]])
        assert.deepEqual([await of('d', 6, reopened), await of('e', 8, reopened)], [[7], []])
      } finally {
        await reopened.close()
      }
    }))

  it('knows which statements say who may write', () =>
    withStore(async (store) => {
      const types = ['log-policy', 'issuance-policy', 'key-authorization', 'attestation-result', 'key-authorization']
      await store.commit(
        batchOf(
          0,
          types.map((type, i) => entryOf(i, { type })),
        ),
      )
      assert.deepEqual(await store.authorityStatements(), [0, 2, 4])
    }))

  it('keeps the newest signatures, tiles and bundles through closing', () =>
    withStore(async (store, location) => {
      assert.equal(await store.signed(), undefined)
      const [hashes, bytes] = [new Uint8Array(8192).fill(1), new Uint8Array(8704).fill(2)]
      await store.commit(batchOf(0, [entryOf(0)]))
      const batch = batchOf(1, [entryOf(1)], {
        tiles: [{ level: 3, index: 70_000, hashes }],
        bundles: [{ index: 5, bytes }],
      })
      await store.commit(batch)
      await store.close()
      const again = await Store.open(location)
      assert.deepEqual(await again.signed(), batch.signed)
      assert.deepEqual(await again.tile(3, 70_000), hashes)
      assert.deepEqual(await again.bundle(5), bytes)
      assert.equal(await again.tile(3, 70_001), undefined)
      assert.ok(!Buffer.isBuffer(await again.tile(3, 70_000)), 'no Buffer leaves the store')
      await again.close()
    }))

  it('belongs to one process at a time, is not made by opening, and is not made twice', () =>
    withStore(async (store, location) => {
      await assert.rejects(Store.open(location), { code: 'log_locked' })
      await assert.rejects(Store.open(`${location}-missing`), { code: 'log_missing' })
      await store.commit(batchOf(0, [entryOf(0)]))
      await store.close()
      await assert.rejects(Store.open(location, { create: true }), { code: 'log_exists' })
    }))
})

describe('unpacking', () => {
  it('refuses a value that ends within a part', () => {
    const packed = Uint8Array.of(0, 0, 0, 2, 7, 7, 0, 0, 0, 1, 8)
    assert.deepEqual([...unpack(packed)], [Uint8Array.of(7, 7), Uint8Array.of(8)])
    for (const length of [1, 3, 4, 5, 7, 9, 10]) {
      assert.throws(() => [...unpack(packed.subarray(0, length))], { code: 'log_damaged' })
    }
  })
})

async function piecesOf(store: Store, n: number): Promise<number[]> {
  const sizes: number[] = []
  for await (const piece of store.packedStatements(n)) sizes.push([...unpack(piece)].length)
  return sizes
}
