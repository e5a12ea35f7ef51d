/**
 * What a recipient expects of a proof, whichever way it is made: for whom, for how long, and never twice.
 *
 * @module
 */
import { toBase64url, utf8 } from '../../merkle/bytes.ts'
import { assert } from '../../merkle/error.ts'
import { sha256 } from '../../merkle/hash.ts'
import type { Credential } from '../credential.ts'
import { ProvenanceError } from '../error.ts'
import { pathOfTarget } from './http-message.ts'
import type { ReplayCache } from './replay-cache.ts'

/**
 * Whom a proof may be for. From configuration, and from nothing in the request: with the authority of `Host` or
 * `X-Forwarded-Host`, whoever got a proof for himself could send it on to us (wpt, "Audience validation").
 */
export interface Audience {
  /** `https://host`, without a slash at the end: the proof is then for one of these and the path of the request. */
  readonly origins?: readonly string[]
  /** Names that this recipient has besides, whatever the path is. */
  readonly aliases?: readonly string[]
}

export interface ProofBounds {
  /** POSIX seconds. */
  readonly at: number
  /** Where uses are remembered. `'not-looked-for'` where nothing could be: a file that is judged afterwards. */
  readonly replay: ReplayCache | 'not-looked-for'
  /** Seconds from now that a proof may last; {@link MAX_PROOF_LIFETIME} unless said otherwise. */
  readonly maximumLifetime?: number
  /** Seconds that the clocks may differ; {@link CLOCK_SKEW} unless said otherwise. */
  readonly clockSkew?: number
}

export interface ProofExpectations extends ProofBounds {
  readonly audience: Audience
  /** The content has not arrived yet: whoever asks holds it against the signed digest (`checkContentDigest`) when it has. */
  readonly content?: 'to-come'
}

/** "On the order of minutes or seconds" (wpt §2). */
export const MAX_PROOF_LIFETIME = 300
export const CLOCK_SKEW = 30
/** Longest `jti` and `nonce`, in characters. 128 bits are 22. */
const MAX_NONCE_LENGTH = 256

/**
 * Checks the audience of a proof.
 *
 * @param target - of the request; absent when the proof came without one, and then only an alias is right
 * @throws {@link ProvenanceError} `wrong_audience`
 */
export function checkAudience(claimed: string, { origins = [], aliases = [] }: Audience, target?: string): void {
  if (aliases.includes(claimed)) return
  const uri = claimed.replace(/[?#].*$/s, '')
  if (target !== undefined && origins.length > 0) {
    const path = pathOfTarget(target)
    if (origins.some((origin) => uri === `${origin}${path}`)) return
  }
  throw new ProvenanceError('wrong_audience', `for ${JSON.stringify(claimed.slice(0, 256))}`)
}

/**
 * Checks that a proof is good now, and not for long.
 *
 * @param beginsAt - where the proof says it
 * @throws {@link ProvenanceError} `proof_expired`, `proof_not_yet_valid`, `proof_lifetime_too_long`
 */
export function checkProofTimes(
  { beginsAt, expiresAt }: { readonly beginsAt?: number | undefined; readonly expiresAt: number },
  bounds: ProofBounds,
): void {
  const { at, maximumLifetime = MAX_PROOF_LIFETIME, clockSkew = CLOCK_SKEW } = bounds
  assert(Number.isFinite(at), 'a proof is judged at a moment')
  if (expiresAt <= at - clockSkew) {
    throw new ProvenanceError('proof_expired', `ended at ${expiresAt}, and it is ${at}`)
  }
  if (expiresAt > at + maximumLifetime + clockSkew) {
    throw new ProvenanceError('proof_lifetime_too_long', `until ${expiresAt}, ${expiresAt - at} s from now`)
  }
  if (beginsAt === undefined) return
  if (beginsAt > at + clockSkew) throw new ProvenanceError('proof_not_yet_valid', `from ${beginsAt}, and it is ${at}`)
  if (beginsAt > expiresAt) throw new ProvenanceError('proof_expired', 'ends before it begins')
  if (expiresAt - beginsAt > maximumLifetime + clockSkew) {
    throw new ProvenanceError('proof_lifetime_too_long', `from ${beginsAt} until ${expiresAt}`)
  }
}

/**
 * Remembers a proof that is good in every other way.
 *
 * @throws {@link ProvenanceError} `proof_replayed`; UnavailableError when the cache cannot tell
 */
export async function checkFirstUse(
  { nonce, expiresAt, way }: { readonly nonce: string; readonly expiresAt: number; readonly way: string },
  { subject, keyThumbprint }: Credential,
  { replay, at, clockSkew = CLOCK_SKEW }: ProofBounds,
): Promise<void> {
  if (replay === 'not-looked-for') return
  // By key, not by token: a key that is in two tokens is one sender, and two instances with a key each are two. As a digest,
  // so that what is remembered is as long as we say and not as the sender says.
  const id = toBase64url(sha256(utf8(`${way} ${keyThumbprint} ${nonce}`)))
  const use = { sender: subject.uri, id, until: expiresAt + clockSkew, now: at }
  if (!(await replay.isFirstUse(use))) throw new ProvenanceError('proof_replayed', 'this proof was used before')
}

/** Whether `value` can be a `jti` or a `nonce`. */
export function isNonce(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= MAX_NONCE_LENGTH
}
