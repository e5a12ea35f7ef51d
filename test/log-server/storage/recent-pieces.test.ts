import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Piece, RecentPieces } from '../../../log-server/storage/recent-pieces.ts'

const piece = (first: number, count: number, bytes = 100): Piece => ({ first, count, value: new Uint8Array(bytes) })

describe('RecentPieces', () => {
  it('finds the piece that an index is in, and none beside it', () => {
    const recent = new RecentPieces(1000)
    const pieces = [piece(3, 2), piece(5, 1), piece(256, 10)]
    for (const each of pieces) recent.add(each)
    const found = [2, 3, 4, 5, 6, 255, 256, 265, 266].map((index) => recent.find(index)?.first)
    assert.deepEqual(found, [undefined, 3, 3, 5, undefined, undefined, 256, 256, undefined])
  })

  it('lets the tiles go that were not asked for the longest', () => {
    const recent = new RecentPieces(300)
    for (const tile of [0, 1, 2]) recent.add(piece(256 * tile, 1))
    recent.find(0)
    recent.add(piece(256 * 3, 1))
    const kept = [0, 1, 2, 3].filter((tile) => recent.find(256 * tile))
    assert.deepEqual(kept, [0, 2, 3])
    recent.add(piece(256 * 9, 1, 1000))
    assert.deepEqual(
      [0, 2, 3, 9].filter((tile) => recent.find(256 * tile)),
      [],
    )
  })

  it('takes in nothing twice, and nothing that was read before something was forgotten', () => {
    const recent = new RecentPieces(1000)
    const { state } = recent
    const first = piece(3, 2)
    recent.add(first)
    recent.add(piece(3, 2))
    assert.equal(recent.find(4), first)
    recent.forget()
    recent.add(piece(3, 2), state)
    assert.equal(recent.find(4), undefined)
    recent.add(piece(3, 2), recent.state)
    assert.equal(recent.find(4)?.first, 3)
  })
})
