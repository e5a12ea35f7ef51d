/**
 * The keys of signed notes, c2sp.org/signed-note: names, key ids, and verifier keys as text.
 *
 * ```
 *   log.example/prov+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx     a vkey
 *   └── name ──────┘ └─ id ─┘ └─ base64(type ‖ public key) ──────────────────┘
 * ```
 *
 * The id is a hint of four bytes, not an identity: what makes a signature somebody's is that it verifies.
 *
 * @module
 */
import { concatBytes, toBase64, utf8 } from './bytes.ts'
import { sha256 } from './hash.ts'

/** Signature types that this code knows; others on a note are other people's. */
export const NoteKeyType = {
  /** Ed25519 over the note's text. What a log signs with. */
  ed25519: 0x01,
  /** cosignature/v1, c2sp.org/tlog-cosignature: Ed25519 over a time and a checkpoint. What a witness signs with. */
  cosignature: 0x04,
} as const

/** Somebody whose signature on a note we can check, and are willing to. */
export interface NoteVerifier {
  /** Key name: not empty, without white space and `+`. For a log, its origin. */
  readonly name: string
  /** First four bytes of the key hash, as an unsigned integer. */
  readonly keyId: number
  /** Signature type, one of {@link NoteKeyType}. */
  readonly type: number
  /** The 32-byte Ed25519 key, by which two names for one key are found out. */
  readonly publicKey: Uint8Array
  /** Whether `signature` (what follows the key id in the signature line) is this key's over the note's text. */
  verify(text: Uint8Array, signature: Uint8Array): boolean
}

/** Somebody who signs notes. */
export interface NoteSigner {
  readonly name: string
  readonly keyId: number
  /** The verifier key to give to others. */
  readonly vkey: string
  /** What follows the key id in the signature line over this text. */
  sign(text: Uint8Array): Uint8Array
}

/** The first four bytes of SHA-256(name ‖ LF ‖ type ‖ public key). */
export function noteKeyId(name: string, type: number, publicKey: Uint8Array): number {
  const hash = sha256(concatBytes(utf8(`${name}\n`), Uint8Array.of(type), publicKey))
  return new DataView(hash.buffer, hash.byteOffset).getUint32(0)
}

/** The verifier key as text. */
export function formatVkey(name: string, type: number, publicKey: Uint8Array): string {
  return `${name}+${formatKeyId(noteKeyId(name, type, publicKey))}+${toBase64(concatBytes(Uint8Array.of(type), publicKey))}`
}

/** Eight lower-case hex digits. */
export function formatKeyId(keyId: number): string {
  return keyId.toString(16).padStart(8, '0')
}

/** Whether `name` can be a key name: not empty, no Unicode white space, no `+`, nothing that a note may not contain. */
export function isKeyName(name: string): boolean {
  return name.length > 0 && !/[\p{White_Space}+]/u.test(name) && isNoteText(name)
}

/** Whether `text` may stand in a note: well-formed Unicode, and below U+0020 nothing but line feeds. */
export function isNoteText(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) < 0x20 && text[i] !== '\n') return false
  return !/\p{Surrogate}/u.test(text)
}
