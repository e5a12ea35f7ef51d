/**
 * The hashes of whole entry bundles, made in a thread while the main thread fetches the next ones, into memory that both have: a bundle takes as long to
 * hash as to fetch.
 *
 * This file is both sides: the thread runs it too.
 *
 * @module
 */
import { isMainThread, parentPort, type Worker, workerData } from 'node:worker_threads'
import { hashEntryBundle } from '../../merkle/entry-bundle.ts'
import { assert, MerkleError } from '../../merkle/error.ts'
import { hashPairs } from '../../merkle/hash.ts'
import { TILE_WIDTH } from '../../merkle/tile.ts'
import { startThread } from './thread.ts'

/** Where bundles begin in the memory of both. The first request says which memory that is. */
interface Request {
  readonly id: number
  readonly starts: readonly number[]
  readonly memory?: SharedArrayBuffer
}

/** A root for each; zeros of what is no bundle. */
interface Reply {
  readonly id: number
  readonly roots: Uint8Array
}

interface Waiting {
  readonly room: Uint8Array
  readonly resolve: (root: Uint8Array | undefined) => void
  readonly reject: (error: Error) => void
}

export class HashThread {
  readonly #worker: Worker
  readonly #memory: SharedArrayBuffer
  readonly #rooms: Uint8Array[]
  readonly #asked = new Map<number, readonly Waiting[]>()
  /** Came while the thread was busy: they go together, for each message wakes a thread. */
  #together: Waiting[] = []
  #next = 0
  #failure: Error | undefined

  /** @param rooms - bundles at one time */
  constructor(rooms: number) {
    this.#memory = new SharedArrayBuffer(rooms * ROOM_BYTES)
    this.#rooms = Array.from({ length: rooms }, (_, i) => new Uint8Array(this.#memory, i * ROOM_BYTES, ROOM_BYTES))
    this.#worker = startThread(import.meta.url, THREAD)
    this.#worker.on('message', ({ id, roots }: Reply) => {
      const asked = this.#asked.get(id) ?? []
      this.#asked.delete(id)
      for (const [i, { resolve }] of asked.entries()) {
        const root = roots.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES)
        resolve(root.some((byte) => byte !== 0) ? root : undefined)
      }
      if (this.#together.length > 0) this.#send()
    })
    this.#worker.on('error', (error) => this.#fail(error))
    this.#worker.on('exit', (code) => this.#fail(new Error(`the thread that hashes ended with ${code}`)))
  }

  /** Where the next bundle may go, of which nobody knows how long it is. Until {@link release}. */
  room(): Uint8Array {
    const room = this.#rooms.pop()
    assert(room, 'there are as many rooms as bundles at one time')
    return room
  }

  release(room: Uint8Array): void {
    this.#rooms.push(room)
  }

  /**
   * The root over a bundle of 256 entries; undefined when it is not 256 entries, or not of 32 bytes each.
   *
   * @param bytes - in `room` already; or copied to it
   */
  rootOf(bytes: Uint8Array, room: Uint8Array): Promise<Uint8Array | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure)
      if (bytes.length !== ROOM_BYTES) return resolve(undefined)
      if (bytes.buffer !== this.#memory) room.set(bytes)
      const count = this.#together.push({ room, resolve, reject })
      // One that it works on, and one that it begins with at once when it has done that.
      if (this.#asked.size === 0 || (this.#asked.size === 1 && count >= TOGETHER)) this.#send()
    })
  }

  close(): void {
    void this.#worker.terminate()
  }

  #send(): void {
    const together = this.#together
    this.#together = []
    const id = this.#next++
    this.#asked.set(id, together)
    const starts = together.map(({ room }) => room.byteOffset)
    this.#worker.postMessage({ id, starts, ...(id === 0 && { memory: this.#memory }) } satisfies Request)
  }

  #fail(error: Error): void {
    this.#failure = error
    const waiting = [...this.#asked.values(), this.#together].flat()
    this.#asked.clear()
    this.#together = []
    for (const { reject } of waiting) reject(error)
  }
}

/** @throws MerkleError `malformed_entry_bundle` */
export function rootOfBundle(bytes: Uint8Array): Uint8Array {
  let row = hashEntryBundle(bytes, TILE_WIDTH)
  // In place: of a new array for each row the collector had a tenth of the work.
  while (row.length > HASH_BYTES) row = hashPairs(row, row.subarray(0, row.length / 2))
  return row.slice()
}

const HASH_BYTES = 32
/** A bundle of our entries. */
const ROOM_BYTES = TILE_WIDTH * (2 + HASH_BYTES)
/** Bundles of a message. */
const TOGETHER = 8
const THREAD = 'provlog auditor: hashes'

function answer({ id, starts }: Request, memory: Uint8Array): Reply {
  const roots = new Uint8Array(starts.length * HASH_BYTES)
  for (const [i, start] of starts.entries()) {
    try {
      roots.set(rootOfBundle(memory.subarray(start, start + ROOM_BYTES)), i * HASH_BYTES)
    } catch (error) {
      if (!(error instanceof MerkleError)) throw error
    }
  }
  return { id, roots }
}

if (!isMainThread && workerData === THREAD) {
  let memory: Uint8Array = new Uint8Array()
  parentPort?.on('message', (request: Request) => {
    if (request.memory) memory = new Uint8Array(request.memory)
    parentPort?.postMessage(answer(request, memory))
  })
}
