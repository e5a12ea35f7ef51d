/**
 * A credential as its own workload holds it: read, and held against the key before it is used.
 *
 * A workload cannot know whether its credential is any good without a trust file, and most have none: relying parties judge it. What it
 * can know is that this is a credential for its key, now, and that the bundle is about it; the rest it would only learn from refusals.
 *
 * @module
 */
import { toHex, utf8 } from '../../merkle/index.ts'
import { type Credential, decodeBundle, parseCredential, type Trust, verifyCredential } from '../../provenance/index.ts'
import { jwkThumbprint, type PrivateJwk, publicJwkOf } from '../../statement/index.ts'
import { DeliveryError } from '../delivery/index.ts'

/** What arrived, by whichever way. */
export interface Arrived {
  /** Compact JWS, or PEM. */
  readonly text: string
  /** `.provlog` */
  readonly bundle: Uint8Array
  /** JSON of a SPIFFE bundle, as it arrived: believed no more than the rest. */
  readonly trustBundle?: string
  /** The key that arrived with it. */
  readonly key?: PrivateJwk
}

export interface Expected {
  /** The workload's own key, where it did not arrive with the credential. */
  readonly key?: PrivateJwk
  /** Verifies credential and bundle as a relying party that has pinned this would. */
  readonly trust?: Trust
  /** POSIX seconds. */
  readonly now: number
}

/** A credential that is for our key and valid now. */
export interface OwnCredential extends Arrived {
  readonly credential: Credential
  /** That of `Expected`, or the one that arrived. Without either nobody can prove possession, and nothing was held against it. */
  readonly key?: PrivateJwk
  /** Whether a trust file accepted it; without one nobody asked. */
  readonly verified: boolean
}

/**
 * @throws DeliveryError `key_mismatch`, `bundle_mismatch`, `credential_expired`, `not_verified`
 * @throws ProvenanceError `malformed_credential`, `malformed_bundle`, … for what cannot be read
 */
export async function checkArrived(arrived: Arrived, { key: own, trust, now }: Expected): Promise<OwnCredential> {
  const credential = parseCredential(utf8(arrived.text))
  const { digest, keyThumbprint, notBefore = 0, notAfter } = credential
  const key = own ?? arrived.key
  for (const each of [own, arrived.key]) {
    if (each && jwkThumbprint(publicJwkOf(each)) !== keyThumbprint) {
      throw new DeliveryError('key_mismatch', `the credential is for the key ${keyThumbprint}`)
    }
  }
  const about = toHex(decodeBundle(arrived.bundle).credentialDigest)
  if (about !== toHex(digest)) {
    throw new DeliveryError('bundle_mismatch', `the bundle is about ${about}, not ${toHex(digest)}`)
  }
  if (now + CLOCK_TOLERANCE < notBefore || now >= notAfter) {
    throw new DeliveryError('credential_expired', `valid from ${notBefore} to ${notAfter}, and it is ${now}`)
  }
  if (trust) await checkTrusted(arrived, trust, Math.max(now, notBefore))
  return { ...arrived, credential, ...(key && { key }), verified: trust !== undefined }
}

/**
 * Seconds. It was issued moments ago, by another machine's clock, and a workload that is refused its first credential does not start.
 * Whoever it is presented to judges by a clock of their own.
 */
const CLOCK_TOLERANCE = 60

async function checkTrusted({ text, bundle }: Arrived, trust: Trust, at: number): Promise<void> {
  const { ok, checks } = await verifyCredential({ credential: utf8(text), bundle, trust, at })
  if (ok) return
  const failed = checks.filter(({ outcome }) => outcome === 'failed').map(({ id, code }) => `${id} (${code})`)
  throw new DeliveryError('not_verified', failed.length > 0 ? failed.join(', ') : 'a check could not be made')
}
