/**
 * Cosignatures, c2sp.org/tlog-cosignature: a witness says "at this time, this is the largest consistent tree of this log that I
 * have seen". Type 0x04, cosignature/v1.
 *
 * What is signed is the checkpoint's text under a header; what stands in the signature line is key id ‖ time (u64) ‖ signature:
 *
 * ```
 *   cosignature/v1
 *   time 1679315147
 *   example.com/behind-the-sofa
 *   20852163
 *   CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
 * ```
 *
 * The signed bytes do not name the cosigner, so one key must never serve two names: a witness policy refuses that.
 *
 * @module
 */
import { ed25519PublicKey, ed25519Sign, ed25519Verify, isStrongEd25519Key } from '#ed25519'
import { concatBytes, utf8 } from './bytes.ts'
import { assert, MerkleError } from './error.ts'
import { formatVkey, isKeyName, NoteKeyType, type NoteSigner, type NoteVerifier, noteKeyId } from './note-key.ts'

const TIME_LENGTH = 8
const COSIGNATURE_LENGTH = TIME_LENGTH + 64

/**
 * A signer whose signatures are cosignatures.
 *
 * `now` is asked at each signature for POSIX seconds. Signing is a promise that every tree signed for this origin extends the one
 * before; keeping it is the caller's (see `clients/witness`).
 */
export function createCosigner(name: string, seed: Uint8Array, now: () => number): NoteSigner {
  assert(isKeyName(name), `not a key name: ${name}`)
  const publicKey = ed25519PublicKey(seed)
  return {
    name,
    keyId: noteKeyId(name, NoteKeyType.cosignature, publicKey),
    vkey: formatVkey(name, NoteKeyType.cosignature, publicKey),
    sign(text) {
      const cosignedAt = now()
      assert(Number.isSafeInteger(cosignedAt) && cosignedAt > 0, 'POSIX seconds')
      const time = new Uint8Array(TIME_LENGTH)
      new DataView(time.buffer).setBigUint64(0, BigInt(cosignedAt))
      return concatBytes(time, ed25519Sign(seed, cosignatureMessage(text, cosignedAt)))
    },
  }
}

/** The verifier of one witness key. @throws {@link MerkleError} `unsupported_key` for a key that anybody could sign for. */
export function createCosignatureVerifier(name: string, publicKey: Uint8Array): NoteVerifier {
  if (!isStrongEd25519Key(publicKey)) throw new MerkleError('unsupported_key', `${name}: not a strong Ed25519 key`)
  const key = publicKey.slice()
  return {
    name,
    keyId: noteKeyId(name, NoteKeyType.cosignature, key),
    type: NoteKeyType.cosignature,
    publicKey: key,
    verify(text, signature) {
      const time = cosignatureTime(signature)
      return time !== undefined && ed25519Verify(key, cosignatureMessage(text, time), signature.subarray(TIME_LENGTH))
    },
  }
}

/**
 * The time in a cosignature, POSIX seconds, as the witness says; undefined when these bytes are not one. The standard's times go to 2⁶³ − 1;
 * past 2⁵³ − 1 is 285 million years ahead and refused here.
 */
export function cosignatureTime(signature: Uint8Array): number | undefined {
  if (signature.length !== COSIGNATURE_LENGTH) return undefined
  const time = Number(new DataView(signature.buffer, signature.byteOffset).getBigUint64(0))
  return Number.isSafeInteger(time) ? time : undefined
}

/** The bytes under a cosignature/v1: the checkpoint's whole text, without signatures, under its time. */
export function cosignatureMessage(text: Uint8Array, cosignedAt: number): Uint8Array {
  return concatBytes(utf8(`cosignature/v1\ntime ${cosignedAt}\n`), text)
}
