/**
 * Signing a tree, and showing it once it may be shown.
 *
 * {@link Publisher} makes the two signatures over one root: the checkpoint (C2SP, Ed25519) and the tree head inside every
 * receipt of the batch (RFC 9942, ES256). {@link Publication} holds what is published; the sequencer alone moves it, and only
 * when the batch is durable and the guard knows of it.
 *
 * @module
 */
import { signCheckpoint } from '../../merkle/checkpoint.ts'
import { assert } from '../../merkle/error.ts'
import type { Hash } from '../../merkle/hash.ts'
import { signTreeHead } from '../../statement/receipt.ts'
import type { Signed } from '../storage/stored-values.ts'
import type { Clock } from '../types.ts'
import type { NamedKeys, Signers, SigningKeys } from './signing-keys.ts'

/** Signs as the log-policy in force says: whoever reads the log knows which signatures to expect. */
export class Publisher {
  readonly #origin: string
  readonly #keys: Pick<SigningKeys, 'signersOf'>
  readonly #now: Clock
  #signers: Signers | undefined
  #lastIssuedAt: number

  constructor(options: {
    readonly origin: string
    readonly keys: Pick<SigningKeys, 'signersOf'>
    /** The policy in force; undefined for a log whose first entry is still to come. */
    readonly policy: NamedKeys | undefined
    readonly now: Clock
    readonly lastIssuedAt: number
  }) {
    this.#origin = options.origin
    this.#keys = options.keys
    this.#signers = options.policy && options.keys.signersOf(options.policy)
    this.#now = options.now
    this.#lastIssuedAt = options.lastIssuedAt
  }

  /**
   * Both signatures over a tree. They are unpublished: the sequencer may let them out only after storing them.
   *
   * @param policy - the log-policy that is the last entry of this tree, if it is one: it is in force for it already, so that an idle
   *   log shows new keys at once
   */
  async sign(size: number, root: Hash, policy?: NamedKeys): Promise<Signed> {
    if (policy) this.#signers = this.#keys.signersOf(policy)
    assert(this.#signers, 'the first entry of a log is the policy that names its keys')
    const { checkpointKeys, receiptKey } = this.#signers
    // A clock that was set back must not make a larger tree look older.
    this.#lastIssuedAt = Math.max(this.#lastIssuedAt, this.#now())
    const tree = { origin: this.#origin, size, root }
    const head = await signTreeHead({ ...tree, issuedAt: this.#lastIssuedAt }, receiptKey)
    return { head, checkpoint: signCheckpoint(tree, checkpointKeys) }
  }
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
