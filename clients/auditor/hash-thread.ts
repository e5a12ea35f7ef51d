/**
 * The hashes of whole entry bundles, made in a thread while the main thread fetches the next ones: a bundle takes as long to hash as to fetch.
 *
 * This file is both sides: the thread runs it too.
 *
 * @module
 */
import { isMainThread, parentPort, type Worker, workerData } from 'node:worker_threads'
import { hashEntryBundle } from '../../merkle/entry-bundle.ts'
import { MerkleError } from '../../merkle/error.ts'
import { hashPairs } from '../../merkle/hash.ts'
import { TILE_WIDTH } from '../../merkle/tile.ts'
import { startThread } from './thread.ts'

/** Bundles in a row, each after its length, u32. */
interface Request {
  readonly id: number
  readonly count: number
  readonly bytes: Uint8Array
}

/** A root for each; zeros of what is no bundle. */
interface Reply {
  readonly id: number
  readonly roots: Uint8Array
}

interface Waiting {
  readonly resolve: (root: Uint8Array | undefined) => void
  readonly reject: (error: Error) => void
}

export class HashThread {
  readonly #worker: Worker
  readonly #asked = new Map<number, readonly Waiting[]>()
  /** Came while the thread was busy: they go together, for each message wakes a thread. */
  #together: { readonly bytes: Uint8Array; readonly waiting: Waiting }[] = []
  #next = 0
  #failure: Error | undefined

  constructor() {
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

  /** The root over a bundle of 256 entries; undefined when it is not 256 entries. */
  rootOf(bytes: Uint8Array): Promise<Uint8Array | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure)
      const count = this.#together.push({ bytes, waiting: { resolve, reject } })
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
    const waiting = together.map((each) => each.waiting)
    const id = this.#next++
    this.#asked.set(id, waiting)
    const bytes = new Uint8Array(together.reduce((length, each) => length + LENGTH_BYTES + each.bytes.length, 0))
    const view = new DataView(bytes.buffer)
    let at = 0
    for (const each of together) {
      view.setUint32(at, each.bytes.length)
      bytes.set(each.bytes, at + LENGTH_BYTES)
      at += LENGTH_BYTES + each.bytes.length
    }
    this.#worker.postMessage({ id, count: together.length, bytes } satisfies Request, [bytes.buffer])
  }

  #fail(error: Error): void {
    this.#failure = error
    const waiting = [...this.#asked.values(), this.#together.map((each) => each.waiting)].flat()
    this.#asked.clear()
    this.#together = []
    for (const { reject } of waiting) reject(error)
  }
}

/** @throws MerkleError `malformed_entry_bundle` */
export function rootOfBundle(bytes: Uint8Array): Uint8Array {
  let row = hashEntryBundle(bytes, TILE_WIDTH)
  while (row.length > HASH_BYTES) row = hashPairs(row)
  return row
}

const HASH_BYTES = 32
const LENGTH_BYTES = 4
/** Bundles of a message. */
const TOGETHER = 8
const THREAD = 'provlog auditor: hashes'

function answer({ id, count, bytes }: Request): Reply {
  const roots = new Uint8Array(count * HASH_BYTES)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  for (let i = 0; i < count; i++) {
    const end = at + LENGTH_BYTES + view.getUint32(at)
    try {
      roots.set(rootOfBundle(bytes.subarray(at + LENGTH_BYTES, end)), i * HASH_BYTES)
    } catch (error) {
      if (!(error instanceof MerkleError)) throw error
    }
    at = end
  }
  return { id, roots }
}

if (!isMainThread && workerData === THREAD) {
  parentPort?.on('message', (request: Request) => {
    const reply = answer(request)
    parentPort?.postMessage(reply, [reply.roots.buffer as ArrayBuffer])
  })
}
