/**
 * What checking signatures takes that nobody can save: `crypto.verify` over messages and keys that are there already, in a thread for each core.
 *
 * This file is both sides: the thread runs it too.
 *
 * @module
 */
import { createPublicKey, type JsonWebKey, type KeyObject, verify } from 'node:crypto'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { isMainThread, parentPort, type Worker, workerData } from 'node:worker_threads'
import { startThread } from '../clients/auditor/thread.ts'
import type { PublicJwk } from '../statement/index.ts'

/** What was signed, by whom: nearly all with Ed25519, some with ES256. */
export interface Signed {
  readonly content: Uint8Array
  readonly signature: Uint8Array
  readonly jwk: PublicJwk
}

const THREAD = 'provlog bench: signatures'

export class VerifyBound {
  readonly #threads: readonly Worker[]

  private constructor(threads: readonly Worker[]) {
    this.#threads = threads
  }

  static async start(signed: readonly Signed[]): Promise<VerifyBound> {
    const count = availableParallelism()
    const threads = Array.from({ length: count }, () => startThread(import.meta.url, THREAD))
    for (const [i, thread] of threads.entries()) {
      thread.postMessage(signed.filter((_, at) => at % count === i))
      await once(thread, 'message')
    }
    return new VerifyBound(threads)
  }

  /** Checks all of them once. */
  async run(): Promise<void> {
    const done = this.#threads.map((thread) => once(thread, 'message'))
    for (const thread of this.#threads) thread.postMessage('again')
    if ((await Promise.all(done)).some(([valid]) => valid !== true)) throw new Error('a signature does not hold')
  }

  close(): void {
    for (const thread of this.#threads) void thread.terminate()
  }
}

interface Message {
  readonly content: Uint8Array
  readonly signature: Uint8Array
  readonly key: KeyObject
}

function holds({ content, signature, key }: Message): boolean {
  if (key.asymmetricKeyType === 'ed25519') return verify(null, content, key, signature)
  return verify('sha256', content, { key, dsaEncoding: 'ieee-p1363' }, signature)
}

if (!isMainThread && workerData === THREAD) {
  let all: Message[] = []
  const keys = new Map<string, KeyObject>()
  const keyOf = (jwk: PublicJwk): KeyObject => {
    const name = JSON.stringify(jwk)
    const key = keys.get(name) ?? createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' })
    keys.set(name, key)
    return key
  }
  parentPort?.on('message', (message: readonly Signed[] | 'again') => {
    if (message !== 'again') {
      all = message.map(({ content, signature, jwk }) => ({ content, signature, key: keyOf(jwk) }))
      parentPort?.postMessage(true)
    } else parentPort?.postMessage(all.every(holds))
  })
}
