/**
 * One answer, one tree: everything that an answer proves, it proves at the tree head it started from.
 *
 * The log grows between two awaits. An answer made of parts of different ages would carry receipts of several sizes and a
 * checkpoint of yet another, and whoever holds it offline could not tell them to be one history. So a route takes a snapshot
 * first, and proves at its size whatever it reads later: entries below that size never change.
 *
 * @module
 */
import { equalBytes } from '../../merkle/bytes.ts'
import { assert } from '../../merkle/error.ts'
import { sha256 } from '../../merkle/hash.ts'
import { receiptBuilder, type SignedTreeHead } from '../../statement/receipt.ts'
import { attachCertificates, attachReceipts, lacksCertificates } from '../../statement/transparent-statement.ts'
import { LogError, type LogReader } from '../types.ts'

export type SnapshotSource = Pick<
  LogReader,
  'treeHead' | 'checkpoint' | 'statement' | 'entryAt' | 'inclusionProofs' | 'certificates'
>

export class Snapshot {
  readonly head: SignedTreeHead
  /** The signed note of the same tree. */
  readonly checkpoint: string
  readonly #source: SnapshotSource

  /** Of the last published tree. */
  constructor(source: SnapshotSource) {
    this.#source = source
    // Both in one go, with nothing awaited between: they are of one tree.
    this.head = source.treeHead()
    this.checkpoint = source.checkpoint()
  }

  /** Whether the entry at `index` is in this tree. `undefined` is no index, as lookups return it. */
  has(index: number | undefined): index is number {
    return index !== undefined && index < this.head.size
  }

  /** A receipt for the entry at `index`, which must be in this tree. */
  async receipt(index: number): Promise<Uint8Array> {
    const [receipt] = await this.receipts([index])
    return receipt!
  }

  /** As {@link receipt} for each of `indexes`, in their order. */
  async receipts(indexes: readonly number[]): Promise<Uint8Array[]> {
    for (const index of indexes) assert(this.has(index), `entry ${index} is not in a tree of ${this.head.size}`)
    const proofs = await this.#source.inclusionProofs(indexes, this.head.size)
    const build = receiptBuilder(this.head, indexes.length)
    return indexes.map((index, i) => build({ index, proof: proofs[i]! }))
  }

  /** The statement at `index`, as registered. */
  async statement(index: number): Promise<Uint8Array> {
    const bytes = await this.#source.statement(index)
    assert(bytes, `statement ${index} is not stored`)
    return bytes
  }

  /**
   * The statement at `index` with its receipt, and with the certificates kept beside it, if there are any.
   *
   * @throws {@link LogError} `log_damaged` when it is not the one that was registered: that is our fault, whatever it looks like
   */
  async transparentStatement(index: number): Promise<Uint8Array> {
    const [bytes, receipt, entry] = await Promise.all([
      this.statement(index),
      this.receipt(index),
      this.#source.entryAt(index),
    ])
    if (!entry || !equalBytes(sha256(bytes), entry)) {
      throw new LogError('log_damaged', `statement ${index} is stored otherwise than it was registered`)
    }
    const certificates = lacksCertificates(bytes) ? await this.#source.certificates(entry) : []
    return attachReceipts(certificates.length > 0 ? attachCertificates(bytes, certificates) : bytes, [receipt])
  }
}
