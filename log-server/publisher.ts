/**
 * Signing a tree, and showing it once it may be shown.
 *
 * {@link Publisher} makes the two signatures over one root: the checkpoint (C2SP, Ed25519) and the tree head inside every
 * receipt of the batch (RFC 9942, ES256). {@link Publication} holds what is published; the sequencer alone moves it, and only
 * when the batch is durable and the guard knows of it.
 *
 * @module
 */
import { createPrivateKey, type JsonWebKey, sign } from 'node:crypto'
import { importSigningKey, type SigningKey } from '#signature'
import { signCheckpoint } from '../merkle/checkpoint.ts'
import { assert } from '../merkle/error.ts'
import type { Hash } from '../merkle/hash.ts'
import type { NoteSigner } from '../merkle/note.ts'
import type { PrivateJwk } from '../statement/cose-key.ts'
import { withLowS } from '../statement/ecdsa-malleability.ts'
import { signTreeHead } from '../statement/receipt.ts'
import type { Signed } from './store.ts'
import type { Clock } from './types.ts'

/** Unpublished: returned to the sequencer, which may let it out only after storing it. */
export class Publisher {
  readonly #origin: string
  readonly #checkpointKey: NoteSigner
  readonly #receiptKey: SigningKey
  readonly #now: Clock
  #lastIssuedAt: number

  constructor(options: {
    readonly origin: string
    readonly checkpointKey: NoteSigner
    readonly receiptKey: SigningKey
    readonly now: Clock
    readonly lastIssuedAt: number
  }) {
    this.#origin = options.origin
    this.#checkpointKey = options.checkpointKey
    this.#receiptKey = options.receiptKey
    this.#now = options.now
    this.#lastIssuedAt = options.lastIssuedAt
  }

  async sign(size: number, root: Hash): Promise<Signed> {
    // A clock that was set back must not make a larger tree look older.
    this.#lastIssuedAt = Math.max(this.#lastIssuedAt, this.#now())
    const tree = { origin: this.#origin, size, root }
    const head = await signTreeHead({ ...tree, issuedAt: this.#lastIssuedAt }, this.#receiptKey)
    return { head, checkpoint: signCheckpoint(tree, [this.#checkpointKey]) }
  }
}

/**
 * An ES256 key that signs where it is called. One signature a batch takes 0.1 ms of the main thread; the way through the thread pool and
 * back takes 3 ms under load, behind all that the event loop has to do, and the disk idles meanwhile.
 */
export async function importBlockingKey(jwk: PrivateJwk): Promise<SigningKey> {
  const key = await importSigningKey(jwk)
  assert(key.algorithm === 'ES256', 'tree heads are signed with ES256')
  const object = {
    key: createPrivateKey({ key: jwk as JsonWebKey, format: 'jwk' }),
    dsaEncoding: 'ieee-p1363' as const,
  }
  return { ...key, sign: async (data) => withLowS(new Uint8Array(sign('sha256', data, object))) }
}

/** What is published now. */
export class Publication {
  #current: Signed | undefined
  #waiting: { readonly size: number; readonly resolve: () => void }[] = []

  constructor(current: Signed | undefined) {
    this.#current = current
  }

  get current(): Signed {
    assert(this.#current, 'a log without an entry publishes nothing')
    return this.#current
  }

  get size(): number {
    return this.#current?.head.size ?? 0
  }

  advance(signed: Signed): void {
    assert(signed.head.size > this.size, 'a published size never shrinks')
    this.#current = signed
    const reached = this.#waiting.filter(({ size }) => size <= this.size)
    if (reached.length === 0) return
    this.#waiting = this.#waiting.filter(({ size }) => size > this.size)
    for (const { resolve } of reached) resolve()
  }

  /** Resolves when a tree of at least `size` is published. For sizes that are being committed, so this is milliseconds. */
  async reached(size: number): Promise<void> {
    if (size <= this.size) return
    await new Promise<void>((resolve) => this.#waiting.push({ size, resolve }))
  }
}
