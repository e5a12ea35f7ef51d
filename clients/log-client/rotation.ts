/**
 * A change of a log's keys, as two versions of its policy:
 *
 * ```
 *   policy                vkeys           signs checkpoints    who can read on
 *   ────────────────────────────────────────────────────────────────────────────────────────────
 *   before                [old]           old                  pinned: old
 *   withNewKeys           [new, old]      new and old          pinned: old, new, or both: now they change their pins
 *   withoutOldKeys        [new]           new                  pinned: new, or both
 * ```
 *
 * The same for receipt keys, of which the first signs alone: a receipt has one signature, and readers find its key in the policies.
 *
 * @module
 */
import { EvidenceError } from '../../merkle/error.ts'
import type { VerifiedCheckpoint } from '../../merkle/index.ts'
import { decodePublicKey, encodePublicKey, type FieldsOf } from '../../provenance/index.ts'
import { kidOf, type PublicJwk, parseReceipt } from '../../statement/index.ts'

type Policy = FieldsOf<'log-policy'>

/** Which of its keys a log changes. */
export interface RotatedKinds {
  readonly checkpoint: boolean
  readonly receipt: boolean
}

/** Why a log's keys cannot be changed now. Codes are API. */
export type RotationErrorCode =
  | 'rotation_under_way' //    the policy names keys besides the first already
  | 'no_rotation_under_way' // it names one of each
  | 'new_key_does_not_sign' // the policy names it, and the server has no private key for it

export class RotationError extends EvidenceError<RotationErrorCode> {}

/**
 * Refuses to begin while a rotation is under way: what was begun twice would look like one with two old keys.
 *
 * @param keep - vkeys and kids that are named besides the first for another reason, as one kept offline for bad days
 * @throws {@link RotationError} `rotation_under_way`
 */
export function checkNoneUnderWay(
  policy: Policy,
  { checkpoint, receipt }: RotatedKinds,
  keep: readonly string[],
): void {
  const others = [...(checkpoint ? policy.vkeys.slice(1) : []), ...(receipt ? kidsOf(policy).slice(1) : [])]
  const old = others.filter((name) => !keep.includes(name))
  if (old.length === 0) return
  throw new RotationError('rotation_under_way', `finish it first, which retires ${old.join(', ')}`)
}

/** Begins: the new keys sign first, and the old ones go on. */
export function withNewKeys(policy: Policy, made: { readonly vkey?: string; readonly receiptKey?: PublicJwk }): Policy {
  const { vkey, receiptKey } = made
  return {
    ...policy,
    ...(vkey !== undefined && { vkeys: [vkey, ...policy.vkeys] }),
    ...(receiptKey && { receiptKeys: [encodePublicKey(receiptKey), ...policy.receiptKeys] }),
  }
}

/**
 * After the first step: the log signs with the new keys. A policy may name keys that the server does not have, so a wrong one, or a file
 * in another directory, would be found out only when the old key is to go.
 *
 * @throws {@link RotationError} `new_key_does_not_sign`
 */
export function checkNewKeysSign(
  { vkey, receiptKey }: { readonly vkey?: string; readonly receiptKey?: PublicJwk },
  { signedBy }: Pick<VerifiedCheckpoint, 'signedBy'>,
  receipt: Uint8Array | undefined,
): void {
  const silent = [
    ...(vkey !== undefined && !signedBy.includes(vkey) ? [vkey] : []),
    ...(receiptKey && receipt && parseReceipt(receipt).kid !== kidOf(receiptKey) ? [kidOf(receiptKey)] : []),
  ]
  if (silent.length === 0) return
  const names = silent.join(' and ')
  throw new RotationError('new_key_does_not_sign', `the policy names ${names}, and the log does not sign with it`)
}

/** Finishes: the first of each kind is left, and what is to be kept. @throws {@link RotationError} `no_rotation_under_way` */
export function withoutOldKeys(policy: Policy, { checkpoint, receipt }: RotatedKinds, keep: readonly string[]): Policy {
  const kids = kidsOf(policy)
  const vkeys = policy.vkeys.filter((vkey, i) => i === 0 || !checkpoint || keep.includes(vkey))
  const receiptKeys = policy.receiptKeys.filter((_, i) => i === 0 || !receipt || keep.includes(kids[i]!))
  if (vkeys.length === policy.vkeys.length && receiptKeys.length === policy.receiptKeys.length) {
    throw new RotationError('no_rotation_under_way', 'the log policy in force names no old key that could be retired')
  }
  return { ...policy, vkeys, receiptKeys }
}

/** Of the receipt keys that a policy names, in its order. */
export function kidsOf({ receiptKeys }: Policy): string[] {
  return receiptKeys.map((key) => kidOf(decodePublicKey(key)))
}
