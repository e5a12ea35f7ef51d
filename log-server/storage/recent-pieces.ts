/**
 * The packed statements that were written or read last, by tile, up to so many bytes.
 *
 * What is asked for in a story is mostly what was registered a moment before, and the few policies and keys that all stories have in common.
 * LevelDB finds the piece that an index is in by an iterator only, which takes five times as long as a get.
 *
 * @module
 */
import { TILE_WIDTH } from '../../merkle/tile.ts'

/** Statements in a row, as they are stored. */
export interface Piece {
  /** Index of the first. */
  readonly first: number
  readonly count: number
  readonly value: Uint8Array
}

export class RecentPieces {
  readonly #maxBytes: number
  #bytes = 0
  /** Least recently used first. */
  readonly #tiles = new Map<number, Piece[]>()
  #forgotten = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Changes with each {@link forget}: what was read before that may be what was forgotten. */
  get state(): number {
    return this.#forgotten
  }

  find(index: number): Piece | undefined {
    const n = Math.floor(index / TILE_WIDTH)
    const pieces = this.#tiles.get(n)
    const found = pieces?.find(({ first, count }) => first <= index && index < first + count)
    if (pieces && found) {
      this.#tiles.delete(n)
      this.#tiles.set(n, pieces)
    }
    return found
  }

  /** @param state - what {@link state} was before it was read */
  add(piece: Piece, state = this.#forgotten): void {
    if (state !== this.#forgotten || this.find(piece.first)) return
    const n = Math.floor(piece.first / TILE_WIDTH)
    const pieces = this.#tiles.get(n) ?? []
    pieces.push(piece)
    this.#tiles.delete(n)
    this.#tiles.set(n, pieces)
    this.#bytes += piece.value.length
    for (const [oldest, gone] of this.#tiles) {
      if (this.#bytes <= this.#maxBytes) break
      this.#tiles.delete(oldest)
      this.#bytes -= gone.reduce((sum, { value }) => sum + value.length, 0)
    }
  }

  /** All of it: something in it was erased. */
  forget(): void {
    this.#forgotten++
    this.#tiles.clear()
    this.#bytes = 0
  }
}
