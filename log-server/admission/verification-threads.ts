/**
 * Checking many signatures in threads of their own, by the piece of a batch.
 *
 * ```
 *   main thread     [job job job …] ── one buffer, handed over ──►  thread: verify, hash
 *                   [verdict …]     ◄── one buffer back ──────────
 *   job             u8 key · u16 BE length ‖ signature · u32 BE length ‖ what was signed
 *   verdict         u8 1 or 0 · SHA-256 of what was signed
 * ```
 *
 * Node's own way, one call of `crypto.verify` for each signature, takes some 20 µs of the main thread besides the check itself (measured: a
 * job, a copy of the data, a wake-up and a callback), and three objects with memory outside the heap for the collector to free. A piece costs
 * the main thread that much once: but for the checks, both sides together take some 2 µs a signature. Single statements go Node's way: they wait
 * behind nobody.
 *
 * This file is both sides: the thread runs it too.
 *
 * @module
 */
import { availableParallelism } from 'node:os'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { sha256Into } from '#sha256'
import { importVerificationKey, type VerificationKey } from '#signature'
import { HASH_LENGTH, type Hash } from '../../merkle/hash.ts'
import { sigStructureLength, writeSigStructure } from '../../statement/cose-sign1.ts'
import type { SignatureCheck } from '../../statement/signed-statement.ts'

/** What came of one check. */
export interface Verdict {
  readonly valid: boolean
  /** `statementIdentity`: the check has the bytes that it is the hash of at hand. */
  readonly identity: Hash
}

/** A piece on its way to a thread. */
interface Request {
  readonly id: number
  /** By the numbers that the jobs name them by. */
  readonly keys: readonly { readonly kid: string; readonly jwk: VerificationKey['jwk'] }[]
  readonly count: number
  readonly jobs: Uint8Array
}

/** And back. Without verdicts when the check itself failed, which no signature can bring about. */
interface Reply {
  readonly id: number
  readonly verdicts?: Uint8Array
  readonly failure?: string
}

/** As many pieces wait in a thread as keep it busy while the main thread is. What would wait longer is better not even read. */
export const PIECES_AT_ONCE = 2 * availableParallelism()
const MAX_KEYS = 256

/** The threads of this process: they are started when first needed, and keep it from ending only while they have work. */
class VerificationThreads {
  readonly #threads: Thread[] = []

  constructor(count: number) {
    for (let i = 0; i < count; i++) this.#threads.push(new Thread())
  }

  verify(checks: readonly SignatureCheck[]): Promise<Verdict[]> {
    const [least] = this.#threads.toSorted((a, b) => a.waiting - b.waiting)
    return least!.verify(checks)
  }
}

class Thread {
  #worker: Worker | undefined
  readonly #waiting = new Map<number, { resolve: (verdicts: Uint8Array) => void; reject: (error: Error) => void }>()
  #next = 0

  get waiting(): number {
    return this.#waiting.size
  }

  async verify(checks: readonly SignatureCheck[]): Promise<Verdict[]> {
    const id = this.#next++
    const request = requestOf(id, checks)
    const verdicts = await new Promise<Uint8Array>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      const worker = this.#started()
      worker.ref()
      worker.postMessage(request, [request.jobs.buffer as ArrayBuffer])
    })
    return checks.map((_, i) => {
      const at = i * VERDICT_BYTES
      return { valid: verdicts[at] === 1, identity: verdicts.subarray(at + 1, at + VERDICT_BYTES) }
    })
  }

  #started(): Worker {
    if (this.#worker) return this.#worker
    const worker = newWorker()
    worker.on('message', ({ id, verdicts, failure }: Reply) => {
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (this.#waiting.size === 0) worker.unref()
      if (verdicts) waiting?.resolve(verdicts)
      else waiting?.reject(new Error(`a signature could not be checked: ${failure}`))
    })
    worker.on('error', (error) => this.#ended(worker, error))
    worker.on('exit', (code) => this.#ended(worker, new Error(`a verification thread ended with ${code}`)))
    this.#worker = worker
    return worker
  }

  /** Nothing it was asked is answered yes; the next piece gets a new thread. */
  #ended(worker: Worker, error: Error): void {
    if (this.#worker !== worker) return
    this.#worker = undefined
    const waiting = Array.from(this.#waiting.values())
    this.#waiting.clear()
    for (const { reject } of waiting) reject(error)
  }
}

function newWorker(): Worker {
  const here = import.meta.url
  if (!here.endsWith('.ts')) return new Worker(new URL(here), { workerData: THREAD })
  // The sources as they are, as the tests run them: Node hands the loader that reads TypeScript on to no thread.
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'))
  const boot = `import(${loader}).then(({ register }) => { register(); return import(${JSON.stringify(here)}) })`
  return new Worker(boot, { eval: true, workerData: THREAD })
}

let threads: VerificationThreads | undefined

/**
 * Whether each signature holds, in the order of `checks`. Rejects when that cannot be found out, and then nothing is known of any.
 *
 * @param checks of at most 256 signers
 */
export function verifyTogether(checks: readonly SignatureCheck[]): Promise<Verdict[]> {
  threads ??= new VerificationThreads(availableParallelism())
  return threads.verify(checks)
}

const THREAD = 'provlog verification thread'
const VERDICT_BYTES = 1 + HASH_LENGTH
const JOB_HEAD = 1 + 2 + 4

function requestOf(id: number, checks: readonly SignatureCheck[]): Request {
  const keys: { kid: string; jwk: VerificationKey['jwk'] }[] = []
  let length = 0
  for (const { statement } of checks)
    length += jobLength(statement.sign1.protectedBytes, statement.payload, statement.sign1.signature)
  const jobs = new Uint8Array(length)
  const view = new DataView(jobs.buffer)
  let at = 0
  for (const { statement, key } of checks) {
    const { protectedBytes, signature } = statement.sign1
    let place = keys.findIndex(({ kid }) => kid === key.kid)
    if (place < 0) place = keys.push({ kid: key.kid, jwk: key.jwk }) - 1
    if (place >= MAX_KEYS) throw new RangeError(`statements of more than ${MAX_KEYS} signers`)
    jobs[at] = place
    // One that is too long to be a signature is cut, which leaves it none.
    const shown = signature.length > MAX_SIGNATURE_BYTES ? signature.subarray(0, MAX_SIGNATURE_BYTES) : signature
    view.setUint16(at + 1, shown.length)
    jobs.set(shown, at + 3)
    const lengthAt = at + 3 + shown.length
    at = writeSigStructure(jobs, lengthAt + 4, protectedBytes, statement.payload)
    view.setUint32(lengthAt, at - lengthAt - 4)
  }
  return { id, keys, count: checks.length, jobs }
}

const MAX_SIGNATURE_BYTES = 0xffff

function jobLength(protectedBytes: Uint8Array, payload: Uint8Array, signature: Uint8Array): number {
  return JOB_HEAD + Math.min(signature.length, MAX_SIGNATURE_BYTES) + sigStructureLength(protectedBytes, payload)
}

// The thread's side.

const imported = new Map<string, Promise<VerificationKey>>()
const MAX_IMPORTED = 4096

async function serve({ id, keys, count, jobs }: Request): Promise<Reply> {
  const verdicts = new Uint8Array(count * VERDICT_BYTES)
  const view = new DataView(jobs.buffer, jobs.byteOffset, jobs.byteLength)
  const ready = await Promise.all(keys.map(importedKey))
  let at = 0
  for (let i = 0; i < count; i++) {
    const key = ready[jobs[at]!]!
    const signed = at + 3 + view.getUint16(at + 1)
    const signature = jobs.subarray(at + 3, signed)
    at = signed + 4 + view.getUint32(signed)
    const data = jobs.subarray(signed + 4, at)
    const valid = key.holds ? key.holds(data, signature) : await key.verify(data, signature)
    verdicts[i * VERDICT_BYTES] = valid ? 1 : 0
    sha256Into(data, verdicts, i * VERDICT_BYTES + 1)
  }
  return { id, verdicts }
}

function importedKey({ kid, jwk }: Request['keys'][0]): Promise<VerificationKey> {
  const known = imported.get(kid)
  if (known) return known
  if (imported.size >= MAX_IMPORTED) imported.clear()
  const key = importVerificationKey(jwk)
  imported.set(kid, key)
  return key
}

if (!isMainThread && workerData === THREAD) {
  parentPort?.on('message', (request: Request) => {
    serve(request)
      .catch((error: unknown): Reply => ({ id: request.id, failure: String(error) }))
      .then((reply) => parentPort?.postMessage(reply, reply.verdicts ? [reply.verdicts.buffer as ArrayBuffer] : []))
      .catch((error: unknown) => {
        throw error
      })
  })
}
