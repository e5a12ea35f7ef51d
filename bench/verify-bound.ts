/**
 * What checking signatures takes, and nothing else: over messages and keys that are there already, in a thread for each core. By `crypto.verify`, which
 * is what figures are held against; or as our own threads check them, Ed25519 by libsodium, which is twice as fast.
 *
 * This file is both sides: the thread runs it too.
 *
 * @module
 */
import { createPublicKey, type JsonWebKey, type KeyObject, verify } from 'node:crypto'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { isMainThread, parentPort, type Worker, workerData } from 'node:worker_threads'
import { importVerificationKey } from '#signature'
import { startThread } from '../clients/auditor/thread.ts'
import type { PublicJwk } from '../statement/index.ts'

/** What was signed, by whom: nearly all with Ed25519, some with ES256. */
export interface Signed {
  readonly content: Uint8Array
  readonly signature: Uint8Array
  readonly jwk: PublicJwk
}

export type CheckedBy = 'crypto.verify' | 'our threads'

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
  async run(by: CheckedBy = 'crypto.verify'): Promise<void> {
    const done = this.#threads.map((thread) => once(thread, 'message'))
    for (const thread of this.#threads) thread.postMessage(by)
    if ((await Promise.all(done)).some(([valid]) => valid !== true)) throw new Error('a signature does not hold')
  }

  close(): void {
    for (const thread of this.#threads) void thread.terminate()
  }
}

/** By one way and by the other. */
type Check = Readonly<Record<CheckedBy, () => boolean>>

function byCrypto(content: Uint8Array, signature: Uint8Array, key: KeyObject): boolean {
  if (key.asymmetricKeyType === 'ed25519') return verify(null, content, key, signature)
  return verify('sha256', content, { key, dsaEncoding: 'ieee-p1363' }, signature)
}

async function keyFor(jwk: PublicJwk) {
  const { holds } = await importVerificationKey(jwk)
  return { object: createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' }), holds: holds! }
}

if (!isMainThread && workerData === THREAD) {
  let all: Check[] = []
  const keys = new Map<string, ReturnType<typeof keyFor>>()
  const prepared = async ({ content, signature, jwk }: Signed): Promise<Check> => {
    const name = JSON.stringify(jwk)
    if (!keys.has(name)) keys.set(name, keyFor(jwk))
    const { object, holds } = await keys.get(name)!
    return {
      'crypto.verify': () => byCrypto(content, signature, object),
      'our threads': () => holds(content, signature),
    }
  }
  parentPort?.on('message', async (message: readonly Signed[] | CheckedBy) => {
    if (typeof message !== 'string') {
      all = await Promise.all(message.map(prepared))
      parentPort?.postMessage(true)
    } else parentPort?.postMessage(all.every((check) => check[message]()))
  })
}
