/**
 * From "the log says so" to "it is in the tree that the log signed".
 *
 * A receipt is signed by another key than checkpoints are. Both sign the same root, so a receipt of the checkpoint's size is
 * settled by comparing roots; any other entry is looked up in the tiles under the checkpoint.
 *
 * @module
 */
import {
  checkInclusion,
  equalBytes,
  type Hash,
  hashLeaf,
  MerkleError,
  readInclusionProof,
  toHex,
  type VerifiedCheckpoint,
} from '../../merkle/index.ts'
import {
  parseReceipt,
  type Receipt,
  type VerifiedReceipt,
  type VerifiedTreeHead,
  verifyConsistencyReceipt,
  verifyReceipt,
} from '../../statement/index.ts'
import { AnswerError, MisbehaviourError } from './error.ts'
import { isUnserved, type LogView } from './log-view.ts'
import { type LogPolicy, receiptKeyOf } from './policy.ts'
import type { HttpTileReader } from './tile-reader.ts'

/**
 * Checks that `entry` is leaf `index` under `checkpoint`, by its tiles.
 *
 * @throws `MisbehaviourError` `not_included`
 */
export async function proveIncluded(
  entry: Hash,
  index: number,
  checkpoint: VerifiedCheckpoint,
  tiles: HttpTileReader,
): Promise<void> {
  try {
    const proof = await readInclusionProof(index, checkpoint.size, tiles)
    checkInclusion({ index, size: checkpoint.size, leafHash: hashLeaf(entry), proof }, checkpoint.root)
  } catch (error) {
    tiles.forget()
    if (!(error instanceof MerkleError) && !isUnserved(error)) throw error
    throw new MisbehaviourError(
      'not_included',
      `entry ${toHex(entry)} is not where the log says it is, at ${index} of ${checkpoint.size}`,
      { origin: checkpoint.origin, after: checkpoint.note, entry: toHex(entry), index: String(index) },
      { cause: error },
    )
  }
}

/**
 * Checks a receipt's path and signature.
 *
 * @throws `AnswerError` `unknown_receipt_key`; `StatementError` and `MerkleError` of `verifyReceipt`
 */
export async function checkReceipt(
  receipt: Uint8Array,
  entry: Hash,
  origin: string,
  policies: readonly LogPolicy[],
): Promise<VerifiedReceipt> {
  const parsed = parseReceipt(receipt)
  return verifyReceipt(parsed, entry, keyFor(parsed, policies), { origin })
}

/**
 * Checks a consistency receipt: that the log signed a tree which starts with that of `from`.
 *
 * @throws as {@link checkReceipt}, and `root_mismatch`
 */
export async function checkGrowth(
  receipt: Uint8Array,
  from: { readonly size: number; readonly root: Hash },
  origin: string,
  policies: readonly LogPolicy[],
): Promise<VerifiedTreeHead> {
  const parsed = parseReceipt(receipt)
  return verifyConsistencyReceipt(parsed, from, keyFor(parsed, policies), { origin })
}

/** @throws `AnswerError` `unknown_receipt_key` */
function keyFor({ kid = '', treeSize = Number.POSITIVE_INFINITY }: Receipt, policies: readonly LogPolicy[]) {
  const key = receiptKeyOf(policies, kid, treeSize)
  if (key !== undefined) return key
  throw new AnswerError(
    'unknown_receipt_key',
    `the log policy in force at ${treeSize} names no receipt key ${JSON.stringify(kid)}`,
  )
}

/**
 * Checks that the tree a receipt is about is the one of our checkpoints, and that `entry` is in it.
 *
 * @throws `MisbehaviourError` `checkpoint_fork`, `not_included`, and what a refresh throws
 */
export async function bindToView(
  receipt: VerifiedReceipt,
  bytes: Uint8Array,
  entry: Hash,
  view: LogView,
  tiles: HttpTileReader,
): Promise<void> {
  let checkpoint = await view.current()
  if (receipt.size > checkpoint.size) checkpoint = await view.refresh()
  if (receipt.size === checkpoint.size) {
    if (equalBytes(receipt.root, checkpoint.root)) return
    throw new MisbehaviourError(
      'checkpoint_fork',
      `a receipt and a checkpoint sign two roots for ${receipt.size} entries`,
      {
        origin: checkpoint.origin,
        after: checkpoint.note,
        receipt: toHex(bytes),
        entry: toHex(entry),
      },
    )
  }
  await proveIncluded(entry, receipt.index, checkpoint, tiles)
}
