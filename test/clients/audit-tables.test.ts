/** What an audit remembers of entries, held against what a `Map` remembers: most of it is in a file by then. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { KeySet } from '../../clients/auditor/key-set.ts'
import { Scratch } from '../../clients/auditor/scratch.ts'
import { Column, DigestIndex, Digests } from '../../clients/auditor/tables.ts'
import { sha256, utf8 } from '../../merkle/index.ts'

const directory = mkdtempSync(join(tmpdir(), 'provlog-test-'))
const scratch = Scratch.create(directory)
after(() => {
  scratch.close()
  rmSync(directory, { recursive: true })
})

/** More rows than are held in memory, and then some. */
const ROWS = 20_000
const digestOf = (row: number) => sha256(utf8(`entry ${row}`))
/** Every row once, far from the one before. */
const scattered = Array.from({ length: ROWS }, (_, i) => (i * 7919) % ROWS)

describe('a column', () => {
  it('has what was pushed and what was set, of old rows as of new ones', () => {
    const column = new Column(scratch, (length) => new Float64Array(length))
    for (let row = 0; row < ROWS; row++) column.push(row * 1e9 + 0.5)
    for (const row of scattered) if (row % 3 === 0) column.set(row, -row)
    assert.equal(column.length, ROWS)
    for (const row of scattered) assert.equal(column.at(row), row % 3 === 0 ? -row : row * 1e9 + 0.5)
    for (const row of [-1, ROWS]) assert.throws(() => column.at(row), /no row/)
  })

  it('finds values that grow, and none that are not there', () => {
    const column = new Column(scratch, (length) => new Uint32Array(length))
    assert.equal(column.find(0), undefined)
    for (let row = 0; row < ROWS; row++) column.push(3 * row + 1)
    for (const row of scattered) {
      assert.equal(column.find(3 * row + 1), row)
      assert.equal(column.find(3 * row), undefined)
    }
    assert.equal(column.find(3 * ROWS + 1), undefined)
  })
})

describe('digests', () => {
  it('are where they were pushed', () => {
    const digests = new Digests(scratch)
    for (let row = 0; row < ROWS; row++) digests.push(digestOf(row))
    for (const row of scattered) {
      assert.deepEqual(digests.at(row), digestOf(row))
      assert.ok(!digests.isAt(row, digestOf(row + 1)))
    }
    assert.throws(() => digests.push(new Uint8Array(31)), /a digest/)
  })

  it('lead to their first row, and no other digest does, however much of one it has', () => {
    const index = new DigestIndex(scratch)
    for (let row = 0; row < ROWS; row++) index.push(digestOf(row % 15_000))
    for (const row of scattered) assert.equal(index.rowOf(digestOf(row)), row < 15_000 ? row : undefined)
    for (const row of scattered.slice(0, 1000)) {
      const other = index.at(row).with(31, index.at(row)[31]! ^ 1)
      assert.equal(index.rowOf(other), undefined)
    }
  })
})

describe('a set of names', () => {
  it('knows who was the first to hold each, through runs that are full', () => {
    const names = new KeySet(scratch)
    const count = 170_000
    for (let row = 0; row < count; row++) {
      names.add(`name ${row}`, row)
      // Somebody is second, lately and long after.
      if (row % 1000 === 0) names.add(`name ${row >>> 1}`, row)
    }
    for (let row = 0; row < count; row += 7) {
      assert.equal(names.holderOf(`name ${row}`), row)
      assert.equal(names.holderOf(`no name ${row}`), undefined)
    }
  })
})

describe('the file of them', () => {
  it('has no name', () => {
    assert.deepEqual(readdirSync(directory), [])
  })

  it('gives nothing that was not written', () => {
    assert.throws(() => scratch.read(Number.MAX_SAFE_INTEGER - 64, new Uint8Array(32)), /nothing was written there/)
  })
})
