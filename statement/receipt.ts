/**
 * Receipts (RFC 9942) over an RFC 9162 tree: that an entry is in a log, or that a log only grew, provable offline.
 *
 *     18([ << {1: alg, 4: kid, 395: 1,                                     the tree head: signed, the same in every
 *              15: {1: origin, 2: "provlog/tree-head",                     receipt of a batch
 *                   6: iat, "tree_size": 8}} >>,
 *          {396: {-1: [ << [8, 2, [h, h, h]] >> ]}},                       size, index, path: one entry's proof
 *          nil,                                                            the root, which the reader computes
 *          signature ])
 *
 * RFC 9942 signs the root and nothing else, so a path of three hashes for leaf 2 proves a tree of 5, 6, 7 or 8 leaves, of
 * whichever log has the key. Ours also sign the size and the log, in claims that speak of the tree head alone: one
 * signature serves a whole batch. `verifyReceipt` demands them; `verifyGenericReceipt` takes what RFC 9942 gives.
 *
 * @module
 */
import { equalBytes } from '../merkle/bytes.ts'
import { impliedRoots } from '../merkle/consistency.ts'
import { HASH_LENGTH, type Hash, hashLeaf } from '../merkle/hash.ts'
import { impliedRoot } from '../merkle/inclusion.ts'
import {
  asArray,
  asBytes,
  asInt,
  asMap,
  asText,
  asUint,
  type CborMap,
  type CborValue,
  decodeCbor,
  encodeCbor,
} from './cbor.ts'
import { headLength, MAJOR, writeHead } from './cbor-write.ts'
import {
  type CoseSign1,
  decodeCoseSign1,
  encodeCoseSign1,
  kidText,
  LABEL,
  signSign1,
  verifySign1,
} from './cose-sign1.ts'
import { readingAs, StatementError } from './error.ts'
import type { SigningKey, VerificationKey } from './signature.ts'
import { asTime, CWT } from './signed-statement.ts'

/** The state of a log at one size. */
export interface TreeHead {
  /** As in its checkpoints. */
  readonly origin: string
  readonly size: number
  readonly root: Hash
  /** POSIX seconds, by the log's clock. */
  readonly issuedAt: number
}

export interface SignedTreeHead extends TreeHead {
  readonly protectedBytes: Uint8Array
  readonly signature: Uint8Array
}

/** The one signature that all receipts of this size carry. */
export async function signTreeHead(head: TreeHead, key: SigningKey): Promise<SignedTreeHead> {
  const claims = new Map<number | string, CborValue>([
    [CWT.iss, head.origin],
    [CWT.sub, TREE_HEAD],
    [CWT.iat, head.issuedAt],
    [TREE_SIZE, head.size],
  ])
  const protectedHeader = new Map<number, CborValue>([
    [LABEL.cwtClaims, claims],
    [LABEL.vds, RFC9162_SHA256],
  ])
  const { protectedBytes, signature } = await signSign1({ protectedHeader, payload: head.root, detached: true }, key)
  return { ...head, protectedBytes, signature }
}

/** A receipt that the entry at `index` is in the tree of `head`. No signing, no waiting. */
export function buildReceipt(
  head: SignedTreeHead,
  inclusion: { readonly index: number; readonly proof: readonly Hash[] },
): Uint8Array {
  return encodeReceipt(head, INCLUSION, encodeCbor([head.size, inclusion.index, inclusion.proof]))
}

/**
 * {@link buildReceipt} for some `count` entries under one head: all that they have in common is encoded once, and some of them at a time share
 * a piece of memory.
 */
export function receiptBuilder(
  head: SignedTreeHead,
  count = 1,
): (inclusion: { readonly index: number; readonly proof: readonly Hash[] }) => Uint8Array {
  // The proof is a byte string in the middle, and the only part that differs. So: a receipt with an empty one, cut there.
  const frame = encodeReceipt(head, INCLUSION, EMPTY)
  const afterProof = encodeCbor(null).length + encodeCbor(head.signature).length
  const before = frame.subarray(0, frame.length - afterProof - encodeCbor(EMPTY).length)
  const after = frame.subarray(frame.length - afterProof)
  let left = count
  let room = EMPTY
  // Written at once into the array that is returned: every statement that is registered gets one.
  return ({ index, proof }) => {
    const hashHead = headLength(HASH_LENGTH)
    const length =
      1 + headLength(head.size) + headLength(index) + headLength(proof.length) + proof.length * (hashHead + HASH_LENGTH)
    const total = before.length + headLength(length) + length + after.length
    // Neighbours have proofs of about one length.
    if (room.length < total) room = new Uint8Array(Math.min(Math.max(left, 1), RECEIPTS_TOGETHER) * total)
    left--
    const bytes = room.subarray(0, total)
    room = room.subarray(total)
    bytes.set(before)
    let at = writeHead(bytes, before.length, MAJOR.bytes, length)
    at = writeHead(bytes, at, MAJOR.array, 3)
    at = writeHead(bytes, at, MAJOR.unsigned, head.size)
    at = writeHead(bytes, at, MAJOR.unsigned, index)
    at = writeHead(bytes, at, MAJOR.array, proof.length)
    for (const hash of proof) {
      at = writeHead(bytes, at, MAJOR.bytes, HASH_LENGTH)
      bytes.set(hash, at)
      at += HASH_LENGTH
    }
    bytes.set(after, at)
    return bytes
  }
}

/** A receipt that the tree of `head` starts with the tree of `size1` leaves; 0 < `size1` < `head.size`. */
export function buildConsistencyReceipt(
  head: SignedTreeHead,
  consistency: { readonly size1: number; readonly proof: readonly Hash[] },
): Uint8Array {
  return encodeReceipt(head, CONSISTENCY, encodeCbor([consistency.size1, head.size, consistency.proof]))
}

/** A receipt as it came; nothing in it has been checked but its form. */
export interface Receipt {
  readonly bytes: Uint8Array
  readonly sign1: CoseSign1
  /** `provlog` when it signs all that {@link verifyReceipt} needs. */
  readonly profile: 'provlog' | 'generic'
  readonly kid?: string
  readonly origin?: string
  readonly subject?: string
  readonly issuedAt?: number
  /** As signed; the sizes in the proofs are not. */
  readonly treeSize?: number
  readonly inclusion: readonly { readonly size: number; readonly index: number; readonly proof: readonly Hash[] }[]
  readonly consistency: readonly { readonly size1: number; readonly size2: number; readonly proof: readonly Hash[] }[]
}

/**
 * Reads a receipt over an RFC 9162 SHA-256 tree.
 *
 * @throws {@link StatementError} `malformed_cbor`, `too_large`, `malformed_cose`, `malformed_receipt`, and `unsupported_vds` for
 *   another kind of tree: a relying party may pass over such a receipt (RFC 9943 §7)
 */
export function parseReceipt(bytes: Uint8Array): Receipt {
  // One copy, of which all else is a view: a path has a score of hashes.
  const copy = new Uint8Array(bytes)
  const sign1 = decodeCoseSign1(copy, { maxBytes: MAX_RECEIPT_BYTES, views: true })
  return readingAs('malformed_receipt', () => ({
    bytes: copy,
    sign1,
    ...readSigned(sign1),
    ...readProofs(sign1),
  }))
}

declare const verified: unique symbol

/** A tree head that a log signed. Only the functions below make one. */
export type VerifiedTreeHead = TreeHead & { readonly [verified]: true; readonly kid: string }

/** That `entry` is at `index` in a tree whose head its log signed. */
export type VerifiedReceipt = VerifiedTreeHead & { readonly entry: Hash; readonly index: number }

/**
 * Checks that `entry` is in the log `expect.origin`, by a receipt of our profile.
 *
 * @param key the receipt key of that log, known from elsewhere
 * @throws {@link StatementError} `unbound_receipt`, `wrong_origin`, `wrong_key`, `wrong_tree_size`, `malformed_receipt`,
 *   `bad_signature` (another entry, index or root, too) and what `verifySign1` throws; `MerkleError` `proof_wrong_length`, `index_out_of_range`
 */
export async function verifyReceipt(
  receipt: Receipt,
  entry: Hash,
  key: VerificationKey,
  expect: { readonly origin: string },
): Promise<VerifiedReceipt> {
  const head = boundHead(receipt, key, expect)
  checkSize(only(receipt.inclusion, 'inclusion').size, head.size)
  const { root, index, size } = await verifyGenericReceipt(receipt, entry, key)
  return { ...head, size, root, kid: key.kid, entry, index } as VerifiedReceipt
}

/**
 * The half of {@link verifyReceipt} that is the same for all receipts of a batch: that the log signed a head with this root.
 *
 * @param root - what the receipt's path was found to lead to
 * @throws as {@link verifyReceipt}, but nothing about paths
 */
export async function verifyReceiptHead(
  receipt: Receipt,
  root: Hash,
  key: VerificationKey,
  expect: { readonly origin: string },
): Promise<VerifiedTreeHead> {
  const head = boundHead(receipt, key, expect)
  checkSize(only(receipt.inclusion, 'inclusion').size, head.size)
  await verifySign1(receipt.sign1, key, { payload: root, processed: [LABEL.vds] })
  return { ...head, root, kid: key.kid } as VerifiedTreeHead
}

/**
 * Checks that the log `expect.origin` grew from a head that is known, by a consistency receipt of our profile.
 *
 * @param from the earlier tree; it must have been verified
 * @throws as {@link verifyReceipt}, and `root_mismatch` when the proof is for another earlier tree
 */
export async function verifyConsistencyReceipt(
  receipt: Receipt,
  from: { readonly size: number; readonly root: Hash },
  key: VerificationKey,
  expect: { readonly origin: string },
): Promise<VerifiedTreeHead> {
  const head = boundHead(receipt, key, expect)
  checkSize(only(receipt.consistency, 'consistency').size2, head.size)
  const { root, size } = await verifyGenericConsistencyReceipt(receipt, from, key)
  return { ...head, size, root, kid: key.kid } as VerifiedTreeHead
}

/**
 * Checks a receipt as far as RFC 9942 goes: somebody with this key signed a root above `entry`.
 *
 * @returns the root; and the index and size that the receipt claims, **which nobody signed**: neither is good for arithmetic
 * @throws {@link StatementError} `malformed_receipt`, `bad_signature` and what `verifySign1` throws; `MerkleError` `proof_wrong_length`, `index_out_of_range`
 */
export async function verifyGenericReceipt(
  receipt: Receipt,
  entry: Hash,
  key: VerificationKey,
): Promise<{ root: Hash; index: number; size: number }> {
  const { size, index, proof } = only(receipt.inclusion, 'inclusion')
  const root = impliedRoot({ size, index, proof, leafHash: hashLeaf(entry) })
  await verifySign1(receipt.sign1, key, { payload: root, processed: [LABEL.vds] })
  return { root, index, size }
}

/**
 * As {@link verifyGenericReceipt}, for consistency with the tree `from`.
 *
 * @throws as there, and `root_mismatch`
 */
export async function verifyGenericConsistencyReceipt(
  receipt: Receipt,
  from: { readonly size: number; readonly root: Hash },
  key: VerificationKey,
): Promise<{ root: Hash; size: number }> {
  const { size1, size2, proof } = only(receipt.consistency, 'consistency')
  if (size1 !== from.size)
    throw new StatementError('root_mismatch', `the receipt starts at ${size1} leaves, not ${from.size}`)
  const implied = impliedRoots({ size1, root1: from.root, size2, proof })
  if (!equalBytes(implied.root1, from.root)) {
    throw new StatementError('root_mismatch', `the receipt starts at another tree of ${size1} leaves`)
  }
  await verifySign1(receipt.sign1, key, { payload: implied.root2, processed: [LABEL.vds] })
  return { root: implied.root2, size: size2 }
}

const EMPTY = new Uint8Array()
/** Some 20 KiB: what keeps one of them keeps all, and nobody keeps one for long. */
const RECEIPTS_TOGETHER = 32
const RFC9162_SHA256 = 1
const INCLUSION = -1
const CONSISTENCY = -2
const TREE_HEAD = 'provlog/tree-head'
const TREE_SIZE = 'tree_size'
const MAX_PROOFS = 16
/** 53 levels is the deepest tree there can be, and a consistency proof has one hash more. */
const MAX_PATH = 54
const MAX_RECEIPT_BYTES = 65_536

function encodeReceipt(head: SignedTreeHead, label: number, proof: Uint8Array): Uint8Array {
  const { protectedBytes, signature } = head
  const unprotected = new Map([[LABEL.vdp, new Map([[label, [proof]]])]])
  return encodeCoseSign1({ protectedBytes, protectedHeader: new Map(), unprotected, payload: null, signature })
}

function readSigned({ protectedHeader }: CoseSign1) {
  // Where the tree is described decides what the proof means, so it must be signed (RFC 9942 §4.2).
  const vds = asInt(protectedHeader.get(LABEL.vds), 'the vds of a receipt')
  if (vds !== RFC9162_SHA256) throw new StatementError('unsupported_vds', `a receipt over a tree of kind ${vds}`)

  const kid = protectedHeader.get(LABEL.kid)
  const claims: CborMap = protectedHeader.has(LABEL.cwtClaims)
    ? asMap(protectedHeader.get(LABEL.cwtClaims), 'the CWT claims of a receipt')
    : new Map()
  const [iss, sub, iat, size] = [claims.get(CWT.iss), claims.get(CWT.sub), claims.get(CWT.iat), claims.get(TREE_SIZE)]
  const isOurs = kid !== undefined && iss !== undefined && sub === TREE_HEAD && iat !== undefined && size !== undefined
  return {
    profile: isOurs ? ('provlog' as const) : ('generic' as const),
    ...(kid !== undefined && { kid: kidText(asBytes(kid, 'kid')) }),
    ...(iss !== undefined && { origin: asText(iss, 'the issuer of a receipt') }),
    ...(sub !== undefined && { subject: asText(sub, 'the subject of a receipt') }),
    ...(iat !== undefined && { issuedAt: asTime(iat, 'the time of a receipt') }),
    ...(size !== undefined && { treeSize: asUint(size, 'the tree size of a receipt') }),
  }
}

function readProofs({ unprotected }: CoseSign1) {
  const vdp = asMap(unprotected.get(LABEL.vdp), 'the proofs of a receipt')
  const proofs = (label: number) =>
    readProofList(vdp, label).map((proof) => {
      const [a, b, path] = asArray(decodeCbor(asBytes(proof, 'a proof'), { views: true }), 'a proof', 3)
      const hashes = asArray(path, 'a path')
      if (hashes.length > MAX_PATH) throw new StatementError('malformed_receipt', 'a path longer than any tree is high')
      return {
        a: asUint(a, 'a tree size'),
        b: asUint(b, 'a proof'),
        proof: hashes.map((hash) => asBytes(hash, 'a hash of a path', 32)),
      }
    })
  const inclusion = proofs(INCLUSION).map(({ a, b, proof }) => ({ size: a, index: b, proof }))
  const consistency = proofs(CONSISTENCY).map(({ a, b, proof }) => ({ size1: a, size2: b, proof }))
  if (inclusion.length + consistency.length === 0)
    throw new StatementError('malformed_receipt', 'a receipt without a proof')
  return { inclusion, consistency }
}

function readProofList(vdp: CborMap, label: number): readonly CborValue[] {
  if (!vdp.has(label)) return []
  const list = asArray(vdp.get(label), 'the list of proofs')
  if (list.length === 0) throw new StatementError('malformed_receipt', 'an empty list of proofs')
  if (list.length > MAX_PROOFS) throw new StatementError('too_large', `more than ${MAX_PROOFS} proofs in a receipt`)
  return list
}

/** What a receipt of our profile says of the tree head, once it is about the right log and by the right key. */
function boundHead(receipt: Receipt, key: VerificationKey, expect: { readonly origin: string }) {
  const { profile, origin, treeSize, issuedAt, kid } = receipt
  if (profile !== 'provlog')
    throw new StatementError('unbound_receipt', 'the receipt does not sign its log and tree size')
  if (origin !== expect.origin)
    throw new StatementError('wrong_origin', `a receipt of ${origin}, not of ${expect.origin}`)
  if (kid !== key.kid) throw new StatementError('wrong_key', `signed with ${kid}, not ${key.kid}`)
  return { origin: expect.origin, size: treeSize!, issuedAt: issuedAt! }
}

/** With several proofs a plain yes would not say of which. */
function only<T>(proofs: readonly T[], kind: string): T {
  if (proofs.length !== 1)
    throw new StatementError('malformed_receipt', `${proofs.length} ${kind} proofs where one is expected`)
  return proofs[0]!
}

function checkSize(size: number, signedSize: number): void {
  if (size !== signedSize) {
    throw new StatementError('wrong_tree_size', `a proof for ${size} leaves under a signature for ${signedSize}`)
  }
}
