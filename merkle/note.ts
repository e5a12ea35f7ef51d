/**
 * Signed notes, c2sp.org/signed-note: text, an empty line, and signature lines.
 *
 * ```
 *   This is an example message.
 *
 *   — example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
 * ```
 *
 * The text is everything up to the *last* empty line, its own line feed included; nothing but that text is signed, so lines can be added to a note and
 * taken away. The base64 is key id (4 bytes) ‖ signature.
 *
 * @module
 */
import { ed25519PublicKey, ed25519Sign, ed25519Verify, isStrongEd25519Key } from '#ed25519'
import { concatBytes, fromBase64, fromUtf8, toBase64, utf8 } from './bytes.ts'
import { createCosignatureVerifier } from './cosignature.ts'
import { assert, MerkleError } from './error.ts'
import type { NoteSigner, NoteVerifier } from './note-key.ts'
import { formatKeyId, formatVkey, isKeyName, isNoteText, NoteKeyType, noteKeyId } from './note-key.ts'

export type { NoteSigner, NoteVerifier }

/** A note is at most this long: far above a checkpoint with a hundred post-quantum signatures, far below what would hurt. */
export const MAX_NOTE_BYTES = 1_000_000
/** The standard asks for at least 16. */
export const MAX_NOTE_SIGNATURES = 100

/** One signature line. */
export interface NoteSignature {
  readonly name: string
  readonly keyId: number
  /** What follows the key id: its shape is the key type's business. */
  readonly signature: Uint8Array
}

/** A note that reads as one. Nobody has checked a signature. */
export interface UnverifiedNote {
  /** Ends in a line feed. */
  readonly text: string
  /** At least one. */
  readonly signatures: readonly NoteSignature[]
}

/** A note with at least one signature that verified, and none by a known key that did not. */
export interface OpenedNote {
  readonly text: string
  /** The signatures that verified and whose they are, in the order of the note. */
  readonly verified: readonly { readonly verifier: NoteVerifier; readonly signature: Uint8Array }[]
}

/**
 * Checks the signatures of the keys we know. Lines by other keys are ignored; a line that claims a known key and does not
 * verify spoils the whole note, because no honest party would have passed it on.
 *
 * @throws {@link MerkleError} `malformed_note`, `unknown_signer` (no line by a known key), `bad_signature`
 */
export function openNote(note: UnverifiedNote | string, verifiers: readonly NoteVerifier[]): OpenedNote {
  const { text, signatures } = typeof note === 'string' ? parseNote(note) : note
  const bytes = utf8(text)
  const verified: { verifier: NoteVerifier; signature: Uint8Array }[] = []
  for (const { name, keyId, signature } of signatures) {
    // Ids have four bytes: two keys of one name may share one, and either may then have signed.
    const known = verifiers.filter((verifier) => verifier.name === name && verifier.keyId === keyId)
    if (known.length === 0) continue
    const verifier = known.find((candidate) => candidate.verify(bytes, signature))
    if (!verifier)
      throw new MerkleError('bad_signature', `the signature of ${name}+${formatKeyId(keyId)} does not verify`)
    verified.push({ verifier, signature })
  }
  if (verified.length === 0) throw new MerkleError('unknown_signer', 'no signature by a known key')
  return { text, verified }
}

/** @throws {@link MerkleError} `malformed_note`: not UTF-8, control characters, no signature, too long, or a line that is not one. */
export function parseNote(note: Uint8Array | string): UnverifiedNote {
  if (note.length > MAX_NOTE_BYTES) throw malformed(`longer than ${MAX_NOTE_BYTES} bytes`)
  const whole = typeof note === 'string' ? note : decodeText(note)
  if (!isNoteText(whole)) throw malformed('control characters or lone surrogates')
  const end = whole.lastIndexOf('\n\n')
  if (end < 0) throw malformed('no empty line before the signatures')
  const lines = whole.slice(end + 2).split('\n')
  if (lines.pop() !== '' || lines.length === 0) throw malformed('no signature lines, each ended by a line feed')
  if (lines.length > MAX_NOTE_SIGNATURES) throw malformed(`more than ${MAX_NOTE_SIGNATURES} signatures`)
  return { text: whole.slice(0, end + 1), signatures: lines.map(parseSignatureLine) }
}

/** The note of `text`, which ends in a line feed, signed by each of `signers` in turn. */
export function signNote(text: string, signers: readonly NoteSigner[]): string {
  assert(
    text.endsWith('\n') && isNoteText(text),
    'the text of a note ends in a line feed and has no control characters',
  )
  assert(signers.length > 0, 'a note has a signature')
  const bytes = utf8(text)
  const lines = signers.map((signer) =>
    formatSignatureLine({ name: signer.name, keyId: signer.keyId, signature: signer.sign(bytes) }),
  )
  return `${text}\n${lines.join('')}`
}

/** `— name base64(key id ‖ signature)` and a line feed: what a witness answers, and what is appended to a note. */
export function formatSignatureLine({ name, keyId, signature }: NoteSignature): string {
  const id = new Uint8Array(4)
  new DataView(id.buffer).setUint32(0, keyId)
  return `— ${name} ${toBase64(concatBytes(id, signature))}\n`
}

/** @throws {@link MerkleError} `malformed_note`. `line` is without its line feed. */
export function parseSignatureLine(line: string): NoteSignature {
  const [dash, name, base64, ...rest] = line.split(' ')
  if (dash !== '—' || name === undefined || base64 === undefined || rest.length > 0 || !isKeyName(name)) {
    throw malformed('a line after the empty line that is no signature')
  }
  let bytes: Uint8Array
  try {
    bytes = fromBase64(base64)
  } catch (cause) {
    throw malformed(`the signature of ${name} is not base64`, cause)
  }
  if (bytes.length < 5) throw malformed(`the signature of ${name} is too short`)
  return { name, keyId: new DataView(bytes.buffer, bytes.byteOffset).getUint32(0), signature: bytes.slice(4) }
}

/** A signer of type 0x01: Ed25519 over the text. `seed` has 32 bytes. */
export function createNoteSigner(name: string, seed: Uint8Array): NoteSigner {
  assert(isKeyName(name), `not a key name: ${name}`)
  const publicKey = ed25519PublicKey(seed)
  return {
    name,
    keyId: noteKeyId(name, NoteKeyType.ed25519, publicKey),
    vkey: formatVkey(name, NoteKeyType.ed25519, publicKey),
    sign: (text) => ed25519Sign(seed, text),
  }
}

/**
 * The verifier that a vkey describes, type 0x01 (Ed25519) or 0x04 (cosignature/v1).
 *
 * @throws {@link MerkleError} `malformed_vkey` (its id is not that of its key, too), `unsupported_key` (another type, or a weak key)
 */
export function parseVkey(vkey: string): NoteVerifier {
  // Base64 may contain `+`; names and ids may not.
  const [, name, id, base64] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/su.exec(vkey) ?? []
  if (name === undefined || id === undefined || base64 === undefined || !isKeyName(name)) throw malformedVkey(vkey)
  const [type, ...key] = decodeKey(vkey, base64)
  const publicKey = Uint8Array.from(key)
  if (type !== NoteKeyType.ed25519 && type !== NoteKeyType.cosignature) {
    throw new MerkleError('unsupported_key', `${name}: signature type ${type}`)
  }
  if (publicKey.length !== 32 || formatKeyId(noteKeyId(name, type, publicKey)) !== id) throw malformedVkey(vkey)
  if (type === NoteKeyType.cosignature) return createCosignatureVerifier(name, publicKey)
  if (!isStrongEd25519Key(publicKey)) throw new MerkleError('unsupported_key', `${name}: not a strong Ed25519 key`)
  return {
    name,
    keyId: Number.parseInt(id, 16),
    type,
    publicKey,
    verify: (text, signature) => ed25519Verify(publicKey, text, signature),
  }
}

function decodeKey(vkey: string, base64: string): Uint8Array {
  try {
    return fromBase64(base64)
  } catch {
    throw malformedVkey(vkey)
  }
}

function decodeText(note: Uint8Array): string {
  try {
    return fromUtf8(note)
  } catch (cause) {
    throw malformed('not UTF-8', cause)
  }
}

function malformed(why: string, cause?: unknown): MerkleError {
  return new MerkleError('malformed_note', `not a signed note: ${why}`, { cause })
}

function malformedVkey(vkey: string): MerkleError {
  return new MerkleError('malformed_vkey', `not a verifier key: ${JSON.stringify(vkey.slice(0, 128))}`)
}
