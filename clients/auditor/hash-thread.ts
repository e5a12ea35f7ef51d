/**
 * The hashes of whole entry bundles, made in a thread while the main thread fetches the next ones: a bundle takes as long to hash as to fetch.
 *
 * This file is both sides: the thread runs it too.
 *
 * @module
 */
import { isMainThread, parentPort, type Worker, workerData } from 'node:worker_threads'
import { hashEntryBundle, hashPairs, MerkleError, TILE_WIDTH } from '../../merkle/index.ts'
import { startThread } from './thread.ts'

interface Request {
  readonly id: number
  readonly bytes: Uint8Array
}

interface Reply {
  readonly id: number
  /** Undefined of what is no bundle. */
  readonly root?: Uint8Array
}

export class HashThread {
  readonly #worker: Worker
  readonly #waiting = new Map<
    number,
    { resolve: (root: Uint8Array | undefined) => void; reject: (error: Error) => void }
  >()
  #next = 0
  #failure: Error | undefined

  constructor() {
    this.#worker = startThread(import.meta.url, THREAD)
    this.#worker.on('message', ({ id, root }: Reply) => {
      this.#waiting.get(id)?.resolve(root)
      this.#waiting.delete(id)
    })
    this.#worker.on('error', (error) => this.#fail(error))
    this.#worker.on('exit', (code) => this.#fail(new Error(`the thread that hashes ended with ${code}`)))
  }

  /** The root over a bundle of 256 entries; undefined when it is not 256 entries. */
  rootOf(bytes: Uint8Array): Promise<Uint8Array | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure)
      const id = this.#next++
      this.#waiting.set(id, { resolve, reject })
      // A copy: a view would be sent with all that is behind it, and others may still look at it.
      const copy = bytes.slice()
      this.#worker.postMessage({ id, bytes: copy } satisfies Request, [copy.buffer])
    })
  }

  close(): void {
    void this.#worker.terminate()
  }

  #fail(error: Error): void {
    this.#failure = error
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }
}

/** @throws MerkleError `malformed_entry_bundle` */
export function rootOfBundle(bytes: Uint8Array): Uint8Array {
  let row = hashEntryBundle(bytes, TILE_WIDTH)
  while (row.length > HASH_BYTES) row = hashPairs(row)
  return row
}

const HASH_BYTES = 32
const THREAD = 'provlog auditor: hashes'

function answer({ id, bytes }: Request): Reply {
  try {
    return { id, root: rootOfBundle(bytes) }
  } catch (error) {
    if (error instanceof MerkleError) return { id }
    throw error
  }
}

if (!isMainThread && workerData === THREAD) {
  parentPort?.on('message', (request: Request) => parentPort?.postMessage(answer(request)))
}
