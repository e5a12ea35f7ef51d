/**
 * Statements hashed, and their signatures checked, in threads of their own, while the main thread judges those before.
 *
 * ```
 *   main thread   [key · places │ statement …]               one buffer for a bundle, handed over ──▶  thread
 *                 [valid · entry · identity …]               ◀── one buffer back ─────────────────────
 * ```
 *
 * Node's own way, one call of `crypto.verify` for each signature, costs the main thread 20 µs a statement besides the check (measured), and
 * its thread pool is the one that files and names are looked up in. A signature that verifies is a fact about bytes: whether they are a
 * statement, and who may sign, is asked afterwards, in the order of the log (`statements.ts`). What is to be read of a statement is read there:
 * records that were read ahead lay in the way of the collector, which took longer than all the reading.
 *
 * This file is both sides: the thread runs it too.
 *
 * @module
 */
import { availableParallelism } from 'node:os'
import { isMainThread, parentPort, type Worker, workerData } from 'node:worker_threads'
import { HASH_LENGTH, type Hash, sha256Into } from '../../merkle/index.ts'
import {
  importVerificationKey,
  type PublicJwk,
  SIGNATURE1,
  type Sign1Layout,
  type VerificationKey,
} from '../../statement/index.ts'
import { startThread } from './thread.ts'

/** A statement as it came. */
export interface Job {
  readonly bytes: Uint8Array
  /** With the key that it names, where both are known; otherwise it is hashed and nothing more. */
  readonly signed?: { readonly layout: Sign1Layout; readonly kid: string; readonly jwk: PublicJwk }
}

/** What the threads say of the statements of a bundle, by place. */
export class Verdicts {
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** Whether the signature holds; undefined where that was not asked. */
  validAt(place: number): boolean | undefined {
    const verdict = this.#bytes[place * VERDICT_BYTES]!
    return verdict === UNASKED ? undefined : verdict === VALID
  }

  /** SHA-256 of the bytes. */
  entryAt(place: number): Hash {
    const at = place * VERDICT_BYTES + 1
    return this.#bytes.subarray(at, at + HASH_LENGTH)
  }

  /** `statementIdentity`, where the signature was checked. */
  identityAt(place: number): Hash {
    const at = place * VERDICT_BYTES + 1 + HASH_LENGTH
    return this.#bytes.subarray(at, at + HASH_LENGTH)
  }
}

interface Request {
  readonly id: number
  /** Each at most once. */
  readonly keys: readonly { readonly kid: string; readonly jwk: PublicJwk }[]
  readonly count: number
  readonly jobs: Uint8Array
}

/** Without verdicts when the check itself failed, which no signature can bring about. */
interface Reply {
  readonly id: number
  /** To be used again: half a megabyte each, which the collector of a thread that makes no other garbage would let lie for long. */
  readonly jobs: Uint8Array
  readonly verdicts?: Uint8Array
  readonly failure?: string
}

const UNASKED = 2
const VALID = 1
const VERDICT_BYTES = 1 + 2 * HASH_LENGTH
/** u32 key or {@link NO_KEY}, then of the statement u32 length and u32 places: unprotected header, end of what is signed, signature. */
const JOB_HEAD = 20
const NO_KEY = 0xffffffff
/** The next bundle is about as long. */
const ROOM = 1.2

/** Started when first needed, and until {@link close}. */
export class SignatureThreads {
  readonly #threads: Thread[]
  #turn = 0

  constructor(count: number = availableParallelism()) {
    this.#threads = Array.from({ length: count }, () => new Thread())
  }

  /** Rejects when it cannot be found out, and then nothing is known of any. */
  check(jobs: readonly Job[]): Promise<Verdicts> {
    if (jobs.length === 0) return Promise.resolve(new Verdicts(new Uint8Array(0)))
    return this.#threads[this.#turn++ % this.#threads.length]!.check(jobs)
  }

  close(): void {
    for (const thread of this.#threads) thread.close()
  }
}

class Thread {
  #worker: Worker | undefined
  #closed = false
  #next = 0
  #spare: Uint8Array | undefined
  readonly #waiting = new Map<number, { resolve: (verdicts: Uint8Array) => void; reject: (error: Error) => void }>()

  async check(all: readonly Job[]): Promise<Verdicts> {
    const request = requestOf(this.#next++, all, this.#spare)
    this.#spare = undefined
    return new Verdicts(
      await new Promise<Uint8Array>((resolve, reject) => {
        if (this.#closed) return reject(new Error('the audit has ended'))
        this.#waiting.set(request.id, { resolve, reject })
        this.#worker ??= this.#start()
        this.#worker.postMessage(request, [request.jobs.buffer as ArrayBuffer])
      }),
    )
  }

  close(): void {
    this.#closed = true
    void this.#worker?.terminate()
  }

  #start(): Worker {
    const worker = startThread(import.meta.url, THREAD)
    worker.on('message', ({ id, jobs, verdicts, failure }: Reply) => {
      this.#spare = jobs
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (verdicts) waiting?.resolve(verdicts)
      else waiting?.reject(new Error(`a signature could not be checked: ${failure}`))
    })
    worker.on('error', (error) => this.#fail(error))
    worker.on('exit', (code) => this.#fail(new Error(`a thread that checks signatures ended with ${code}`)))
    return worker
  }

  /** Nothing it was asked is answered yes. */
  #fail(error: Error): void {
    this.#worker = undefined
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }
}

const THREAD = 'provlog auditor: signatures'

/** All of it in one buffer, which is handed over: what is cloned costs as much as what is checked. */
function requestOf(id: number, all: readonly Job[], spare: Uint8Array | undefined): Request {
  const keys: { kid: string; jwk: PublicJwk }[] = []
  const places = new Map<string, number>()
  let length = 0
  for (const { bytes } of all) length += JOB_HEAD + bytes.length
  const jobs = spare && spare.length >= length ? spare : new Uint8Array(Math.ceil(length * ROOM))
  const view = new DataView(jobs.buffer)
  let at = 0
  for (const { bytes, signed } of all) {
    view.setUint32(at, NO_KEY)
    view.setUint32(at + 4, bytes.length)
    if (signed) {
      const { layout, kid, jwk } = signed
      let place = places.get(kid)
      if (place === undefined) {
        place = keys.push({ kid, jwk }) - 1
        places.set(kid, place)
      }
      view.setUint32(at, place)
      view.setUint32(at + 8, layout.unprotected)
      view.setUint32(at + 12, layout.end)
      view.setUint32(at + 16, layout.signature)
    }
    jobs.set(bytes, at + JOB_HEAD)
    at += JOB_HEAD + bytes.length
  }
  return { id, keys, count: all.length, jobs }
}

// The thread's side.

const imported = new Map<string, Promise<VerificationKey>>()
const MAX_IMPORTED = 4096
const EMPTY_BYTES = 0x40
/** Of the two bytes that a COSE_Sign1 begins with, and a Sig_structure does not. */
const MESSAGE_HEAD = 2

async function answer({ id, keys, count, jobs }: Request): Promise<Reply> {
  const verdicts = new Uint8Array(count * VERDICT_BYTES)
  const view = new DataView(jobs.buffer, jobs.byteOffset, jobs.byteLength)
  const ready = await Promise.all(keys.map(({ kid, jwk }) => importedKey(kid, jwk)))
  let at = 0
  for (let i = 0; i < count; i++) {
    const key = ready[view.getUint32(at)]
    const start = at + JOB_HEAD
    const next = start + view.getUint32(at + 4)
    const verdict = i * VERDICT_BYTES
    sha256Into(jobs.subarray(start, next), verdicts, verdict + 1)
    if (key === undefined) verdicts[verdict] = UNASKED
    else {
      const end = start + view.getUint32(at + 12)
      const signature = jobs.subarray(start + view.getUint32(at + 16), next)
      const content = signedIn(jobs, start, start + view.getUint32(at + 8), end)
      verdicts[verdict] = (await key.verify(content, signature)) ? VALID : 0
      sha256Into(content, verdicts, verdict + 1 + HASH_LENGTH)
    }
    at = next
  }
  return { id, jobs, verdicts }
}

/**
 * The Sig_structure of a statement, made where the statement is: the same bytes in the same order, but for the unprotected header, in whose
 * place stands the external data, which is empty too, and for the beginning, which has room in the head of the job.
 */
function signedIn(jobs: Uint8Array, start: number, unprotected: number, end: number): Uint8Array {
  const from = start + MESSAGE_HEAD - SIGNATURE1.length
  jobs.set(SIGNATURE1, from)
  jobs[unprotected] = EMPTY_BYTES
  return jobs.subarray(from, end)
}

function importedKey(kid: string, jwk: PublicJwk): Promise<VerificationKey> {
  const known = imported.get(kid)
  if (known) return known
  if (imported.size >= MAX_IMPORTED) imported.clear()
  const key = importVerificationKey(jwk)
  imported.set(kid, key)
  return key
}

if (!isMainThread && workerData === THREAD) {
  parentPort?.on('message', (request: Request) => {
    answer(request)
      .catch((error: unknown): Reply => ({ id: request.id, jobs: request.jobs, failure: String(error) }))
      .then((reply) => {
        const buffers = [reply.jobs, ...(reply.verdicts ? [reply.verdicts] : [])]
        parentPort?.postMessage(
          reply,
          buffers.map(({ buffer }) => buffer as ArrayBuffer),
        )
      })
      .catch((error: unknown) => {
        throw error
      })
  })
}
