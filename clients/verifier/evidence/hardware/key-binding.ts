/**
 * How evidence from hardware vouches for a workload's key: somewhere in it are bytes that the workload chose, and they are the key,
 * or a digest of it. Which bytes, and which digest, is a convention between workload and Verifier, so it is written out:
 *
 *     report_data=sha512(nonce|spki)
 *     │           │      │     └─ SubjectPublicKeyInfo of the workload's key, DER
 *     │           │      └─ the challenge as UTF-8; nothing, when there is none
 *     │           └─ zeros follow, where the field is longer than the digest
 *     └─ the field
 *
 * `hex(nonce)` is for challenges that are hexadecimal text, whose bytes stand in the field.
 *
 * A policy chooses one of those that the format has, and the result says which one held.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { concatBytes, equalBytes, fromHex, utf8 } from '../../../../merkle/index.ts'
import { jwkOfSpki, spkiOfJwk } from '../../../../provenance/index.ts'
import type { VerificationJwk } from '../../../../statement/index.ts'
import { VerifierError } from '../../error.ts'

/** In the order in which documents list them. */
export const FORMULAS = [
  'sha512(nonce|spki)',
  'sha384(nonce|spki)',
  'sha256(nonce|spki)',
  'sha256(spki)',
  'nonce',
  'hex(nonce)',
  'spki',
] as const
type Formula = (typeof FORMULAS)[number]

export interface Binding {
  readonly workloadKey?: VerificationJwk
  /** Whether the field answers the challenge. */
  readonly answersNonce: boolean
}

interface Offered {
  /** Undefined where the evidence leaves the field out. */
  readonly field: Uint8Array | undefined
  /** Whether the field always has its full length, so that shorter content is followed by zeros. */
  readonly padded: boolean
  readonly nonce?: string
  readonly workloadKey?: VerificationJwk
}

/**
 * What the field vouches for under `formula`.
 *
 * @throws {@link VerifierError} `key_not_bound` when a key was given and the evidence is not about it, `workload_key_missing` when a
 *   challenge can only be checked together with the key
 */
export function checkBinding(formula: Formula, offered: Offered): Binding {
  const { field = new Uint8Array(), nonce, workloadKey } = offered
  if (formula === 'nonce' || formula === 'hex(nonce)') {
    if (workloadKey) throw new VerifierError('key_not_bound', 'by the policy the field holds the challenge and no key')
    const challenge = formula === 'nonce' ? nonce && utf8(nonce) : bytesOfHex(nonce)
    return { answersNonce: challenge !== undefined && challenge !== '' && holds(field, challenge, offered.padded) }
  }
  if (formula === 'spki') return { ...keyIn(field, workloadKey), answersNonce: false }

  if (!workloadKey) {
    if (nonce !== undefined && formula.includes('nonce')) {
      throw new VerifierError('workload_key_missing', `${formula} cannot be recomputed without the workload’s key`)
    }
    return { answersNonce: false }
  }
  const withNonce = formula.includes('nonce')
  const content = concatBytes(withNonce ? utf8(nonce ?? '') : new Uint8Array(), spkiOfJwk(workloadKey))
  const digest = createHash(formula.slice(0, formula.indexOf('(')))
    .update(content)
    .digest()
  if (!holds(field, digest, offered.padded)) {
    const challenge = withNonce && nonce !== undefined ? ' and this challenge' : ''
    throw new VerifierError('key_not_bound', `the field is not ${formula} of this workload key${challenge}`)
  }
  return { workloadKey, answersNonce: withNonce && nonce !== undefined }
}

function bytesOfHex(nonce: string | undefined): Uint8Array | undefined {
  const hex = nonce?.toLowerCase()
  return hex !== undefined && /^([0-9a-f]{2})+$/.test(hex) ? fromHex(hex) : undefined
}

/** Here the evidence tells the key. One that was given must be the same. */
function keyIn(field: Uint8Array, expected: VerificationJwk | undefined): { workloadKey?: VerificationJwk } {
  let found: VerificationJwk | undefined
  try {
    found = jwkOfSpki(field)
  } catch {
    // Bytes that are no key: the field is free to use, and then vouches for nothing.
  }
  if (expected && !(found && equalBytes(spkiOfJwk(found), spkiOfJwk(expected)))) {
    throw new VerifierError('key_not_bound', 'the field is not the SubjectPublicKeyInfo of this workload key')
  }
  return found ? { workloadKey: found } : {}
}

function holds(field: Uint8Array, content: Uint8Array, padded: boolean): boolean {
  if (!padded) return equalBytes(field, content)
  const rest = field.subarray(content.length)
  return equalBytes(field.subarray(0, content.length), content) && rest.every((byte) => byte === 0)
}
