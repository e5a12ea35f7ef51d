/**
 * Keys that are used again and again: each is imported once, and what it was found to have signed is remembered.
 *
 * That a signature verifies is a fact about bytes, and stays one. All receipts of a bundle carry the one signature over its tree head, and
 * the bundles of one issuer share all records but one: a relying party that sees a hundred of them would check the same few signatures
 * a hundred times. Verdicts are kept by SHA-256 over all that was asked, and only those of yes: whoever sends garbage fills nothing.
 *
 * For clients; a log that admits statements sees each signature once, and keeps its keys itself. What is signed and verified here is so at once,
 * on Node: the way through the thread pool costs a client as much processor time as the signature, and credentials that are issued together did
 * not stay together, but went to the log in twice as many requests. Signatures that take longer than 0.1 ms do go there: a log asks here about
 * the tokens of its callers too, and who forges those is to keep nobody waiting.
 *
 * @module
 */
import { importSigningKey, importVerificationKey, type SigningKey, type VerificationKey, type Verify } from '#signature'
import { concatBytes, toHex } from '../merkle/bytes.ts'
import { sha256 } from '../merkle/hash.ts'
import type { VerificationAlgorithm } from './algorithm.ts'
import type { PrivateJwk, VerificationJwk } from './cose-key.ts'

/**
 * The key, as `importVerificationKey` gives it, and quicker to answer what it was asked before.
 *
 * @throws as `importVerificationKey`
 */
export function verificationKeyOf(jwk: VerificationJwk, algorithm?: VerificationAlgorithm): Promise<VerificationKey> {
  const before = lastAsked.get(jwk)
  if (before && before.algorithm === algorithm) return before.key
  const key = keyNamed(jwk, algorithm)
  // One that could not be imported is asked for again.
  key.then(
    () => lastAsked.set(jwk, { algorithm, key }),
    () => {},
  )
  return key
}

/** By identity, as a JWK does not change; and no longer than whoever holds it. */
const lastAsked = new WeakMap<
  VerificationJwk,
  { readonly algorithm: VerificationAlgorithm | undefined; readonly key: Promise<VerificationKey> }
>()

function keyNamed(jwk: VerificationJwk, algorithm: VerificationAlgorithm | undefined): Promise<VerificationKey> {
  const members = jwk.kty === 'RSA' ? [jwk.n, jwk.e] : [jwk.crv, jwk.x, 'y' in jwk ? jwk.y : '']
  // As a list: whoever calls with what nobody has read yet must not get another key for a separator in a member.
  const name = JSON.stringify([jwk.kty, ...members, jwk.alg, algorithm])
  const known = verificationKeys.get(name)
  if (known) return known
  const imported = importVerificationKey(jwk, algorithm).then(remembering)
  // A key that cannot be imported costs its import each time, and no room.
  imported.catch(() => verificationKeys.delete(name))
  keep(verificationKeys, name, imported, MAX_KEYS)
  return imported
}

/**
 * The key, as `importSigningKey` gives it: which checks by a signature that the two halves belong together.
 *
 * @throws as `importSigningKey`
 */
export function signingKeyOf(jwk: PrivateJwk): Promise<SigningKey> {
  const known = signingKeys.get(jwk)
  if (known) return known
  const imported = importSigningKey(jwk).then(atOnce)
  signingKeys.set(jwk, imported)
  return imported
}

const MAX_KEYS = 256
/** Of one key, so that nobody's signatures crowd out those of others. */
const MAX_VERDICTS = 512

const verificationKeys = new Map<string, Promise<VerificationKey>>()
/** By identity, and no longer than whoever holds the key: nothing here keeps a private key alive, or a text of it. */
const signingKeys = new WeakMap<PrivateJwk, Promise<SigningKey>>()

function atOnce(key: SigningKey): SigningKey {
  const { signNow } = key
  return signNow ? { ...key, sign: async (data) => signNow(data) } : key
}

function remembering(key: VerificationKey): VerificationKey {
  const verified = new Map<string, true>()
  /** What is being asked: the receipts of one batch arrive together, with one signature. */
  const asking = new Map<string, Promise<boolean>>()
  const holdsNow = isQuick(key) ? key.holds : undefined
  const verify: Verify = holdsNow ? async (data, signature) => holdsNow(data, signature) : key.verify
  return {
    ...key,
    async verify(data, signature) {
      const length = new Uint8Array(4)
      new DataView(length.buffer).setUint32(0, data.length)
      // With the length in front, no other pair of data and signature has these bytes.
      const asked = toHex(sha256(concatBytes(length, data, signature)))
      if (verified.has(asked)) return true
      const already = asking.get(asked)
      if (already) return already
      const asks = verify(data, signature).finally(() => asking.delete(asked))
      asking.set(asked, asks)
      const holds = await asks
      if (holds) keep(verified, asked, true, MAX_VERDICTS)
      return holds
    },
  }
}

/** Under 0.1 ms; of curves and moduli that are larger, up to a millisecond. */
function isQuick({ algorithm }: VerificationKey): boolean {
  return algorithm === 'ES256' || algorithm === 'Ed25519'
}

/** The oldest goes. */
function keep<K, V>(map: Map<K, V>, key: K, value: V, max: number): void {
  if (map.size >= max) map.delete(map.keys().next().value!)
  map.set(key, value)
}
