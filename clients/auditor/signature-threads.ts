/**
 * The signatures of a bundle, checked in threads of their own, while the main thread reads the next bundle and judges the one before.
 *
 * ```
 *   main thread   [key · signature ‖ what was signed …]  one buffer, handed over ──▶  thread
 *                 [valid · SHA-256 of what was signed …] ◀── one buffer back ───────
 * ```
 *
 * Node's own way, one call of `crypto.verify` for each signature, costs the main thread 20 µs a statement besides the check (measured), and
 * its thread pool is the one that files and names are looked up in. A signature that verifies is a fact about bytes: who may sign is asked
 * afterwards, in the order of the log (`statements.ts`).
 *
 * This file is both sides: the thread runs it too.
 *
 * @module
 */
import { availableParallelism } from 'node:os'
import { isMainThread, parentPort, type Worker, workerData } from 'node:worker_threads'
import { HASH_LENGTH, type Hash, sha256 } from '../../merkle/index.ts'
import {
  importVerificationKey,
  type PublicJwk,
  type SignedStatement,
  sigStructure,
  type VerificationKey,
} from '../../statement/index.ts'
import { startThread } from './thread.ts'

/** A statement, and the key that it names. */
export interface Signed {
  readonly statement: SignedStatement
  readonly kid: string
  readonly jwk: PublicJwk
}

export interface Verdict {
  readonly valid: boolean
  /** `statementIdentity`. */
  readonly identity: Hash
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
  readonly verdicts?: Uint8Array
  readonly failure?: string
}

const VERDICT_BYTES = 1 + HASH_LENGTH
/** u16 key, u16 length of the signature, u32 length of what was signed. */
const JOB_HEAD = 8
const MAX_LENGTH = 0xffff

/** Started when first needed, and until {@link close}. */
export class SignatureThreads {
  readonly #threads: Thread[]
  #turn = 0

  constructor(count: number = availableParallelism()) {
    this.#threads = Array.from({ length: count }, () => new Thread())
  }

  /** Whether each signature holds, in this order. Rejects when that cannot be found out, and then nothing is known of any. */
  async verify(all: readonly Signed[]): Promise<Verdict[]> {
    if (all.length === 0) return []
    const share = Math.ceil(all.length / this.#threads.length)
    const pieces: Promise<Verdict[]>[] = []
    for (let at = 0; at < all.length; at += share) {
      const thread = this.#threads[this.#turn++ % this.#threads.length]!
      pieces.push(thread.verify(all.slice(at, at + share)))
    }
    return (await Promise.all(pieces)).flat()
  }

  close(): void {
    for (const thread of this.#threads) thread.close()
  }
}

class Thread {
  #worker: Worker | undefined
  #closed = false
  #next = 0
  readonly #waiting = new Map<number, { resolve: (verdicts: Uint8Array) => void; reject: (error: Error) => void }>()

  async verify(signed: readonly Signed[]): Promise<Verdict[]> {
    const request = requestOf(this.#next++, signed)
    const verdicts = await new Promise<Uint8Array>((resolve, reject) => {
      if (this.#closed) return reject(new Error('the audit has ended'))
      this.#waiting.set(request.id, { resolve, reject })
      this.#worker ??= this.#start()
      this.#worker.postMessage(request, [request.jobs.buffer as ArrayBuffer])
    })
    return signed.map((_, i) => {
      const at = i * VERDICT_BYTES
      return { valid: verdicts[at] === 1, identity: verdicts.subarray(at + 1, at + VERDICT_BYTES) }
    })
  }

  close(): void {
    this.#closed = true
    void this.#worker?.terminate()
  }

  #start(): Worker {
    const worker = startThread(import.meta.url, THREAD)
    worker.on('message', ({ id, verdicts, failure }: Reply) => {
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

function requestOf(id: number, signed: readonly Signed[]): Request {
  const keys: { kid: string; jwk: PublicJwk }[] = []
  const places = new Map<string, number>()
  const contents = signed.map(({ statement: { sign1, payload } }) => sigStructure(sign1.protectedBytes, payload))
  let length = 0
  for (const [i, { statement }] of signed.entries()) {
    length += JOB_HEAD + Math.min(statement.sign1.signature.length, MAX_LENGTH) + contents[i]!.length
  }
  const jobs = new Uint8Array(length)
  const view = new DataView(jobs.buffer)
  let at = 0
  for (const [i, { statement, kid, jwk }] of signed.entries()) {
    let place = places.get(kid)
    if (place === undefined) {
      place = keys.push({ kid, jwk }) - 1
      places.set(kid, place)
    }
    // One that is too long to be a signature is cut, which leaves it none.
    const signature = statement.sign1.signature.subarray(0, MAX_LENGTH)
    const content = contents[i]!
    view.setUint16(at, place)
    view.setUint16(at + 2, signature.length)
    view.setUint32(at + 4, content.length)
    jobs.set(signature, at + JOB_HEAD)
    jobs.set(content, at + JOB_HEAD + signature.length)
    at += JOB_HEAD + signature.length + content.length
  }
  return { id, keys, count: signed.length, jobs }
}

// The thread's side.

const imported = new Map<string, Promise<VerificationKey>>()
const MAX_IMPORTED = 4096

async function answer({ id, keys, count, jobs }: Request): Promise<Reply> {
  const verdicts = new Uint8Array(count * VERDICT_BYTES)
  const view = new DataView(jobs.buffer, jobs.byteOffset, jobs.byteLength)
  const ready = await Promise.all(keys.map(({ kid, jwk }) => importedKey(kid, jwk)))
  let at = 0
  for (let i = 0; i < count; i++) {
    const key = ready[view.getUint16(at)]!
    const signed = at + JOB_HEAD + view.getUint16(at + 2)
    const end = signed + view.getUint32(at + 4)
    const content = jobs.subarray(signed, end)
    const valid = await key.verify(content, jobs.subarray(at + JOB_HEAD, signed))
    verdicts[i * VERDICT_BYTES] = valid ? 1 : 0
    verdicts.set(sha256(content), i * VERDICT_BYTES + 1)
    at = end
  }
  return { id, verdicts }
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
      .catch((error: unknown): Reply => ({ id: request.id, failure: String(error) }))
      .then((reply) => parentPort?.postMessage(reply, reply.verdicts ? [reply.verdicts.buffer as ArrayBuffer] : []))
      .catch((error: unknown) => {
        throw error
      })
  })
}
