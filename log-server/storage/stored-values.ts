/**
 * What stands under the keys of a store, and the keys, as bytes: `store.ts` has the list. Written by one version and read by those after it.
 *
 * @module
 */
import { fromUtf8, toHex } from '../../merkle/bytes.ts'
import { assert } from '../../merkle/error.ts'
import type { Hash } from '../../merkle/hash.ts'
import { asBytes, asMap, asText, asUint, decodeCbor, encodeCbor } from '../../statement/cbor.ts'
import type { SignedTreeHead } from '../../statement/receipt.ts'
import { type EntryMeta, LogError } from '../types.ts'
import type { DatabaseRange } from './database.ts'

/** What was signed for one size: the two signatures over one root. */
export interface Signed {
  readonly head: SignedTreeHead
  /** The checkpoint, a signed note. */
  readonly checkpoint: string
}

export const NOTHING = new Uint8Array(0)
/** The letters of what has a checksum, where the format has any; and of what the signed root tells. */
export const CHECKED_LETTERS = 'acdgikpruwx'
const BOUND_LETTERS = 'seh'
const LETTERS = (CHECKED_LETTERS + BOUND_LETTERS).split('').sort()
export const BOUND: ReadonlySet<number> = new Set(Buffer.from(BOUND_LETTERS))
/**
 * Of the keys that make another answer when they are not found, and not only none. Without the newest of a series (`r`) the one before is the latest; without the
 * status of a credential (`c`), or what says who may write (`a`), it is valid; and where nothing says that a statement was erased (`g`), it is damaged. They are few.
 */
export const TELLING_LETTERS: readonly number[] = [...Buffer.from('acgkr')]
/** Of those that an append asks for, and which nobody may have yet: entries, identities, unique keys. */
export const ASKED_FOR_LETTERS: readonly number[] = [...Buffer.from('diu')]
export const HEAD_KEY = textKey('k', 'head')
export const ERASED_KEY = textKey('k', 'erased')
export const SWEPT_KEY = textKey('k', 'swept')

// Keys and small values come out of Node's buffer pool: what has a backing store of its own costs LevelDB's binding an allocation
// when it is handed over, and the garbage collector another turn.

export function hashKey(letter: string, hash: Hash): Uint8Array {
  const key = Buffer.allocUnsafe(1 + hash.length)
  key[0] = letter.charCodeAt(0)
  key.set(hash, 1)
  return key
}

export function textKey(letter: string, text: string): Uint8Array {
  const key = Buffer.allocUnsafe(1 + Buffer.byteLength(text))
  key[0] = letter.charCodeAt(0)
  key.write(text, 1)
  return key
}

export function integerKey(letter: string, integer: number): Uint8Array {
  const key = Buffer.allocUnsafe(7)
  key[0] = letter.charCodeAt(0)
  writeInteger(key, 1, integer)
  return key
}

export function tileKey(level: number, index: number): Uint8Array {
  const key = new Uint8Array(8)
  key[0] = 'h'.charCodeAt(0)
  key[1] = level
  writeInteger(key, 2, index)
  return key
}

export function statusKey(credentialDigest: string, index: number): Uint8Array {
  const text = textKey('c', credentialDigest)
  const key = Buffer.allocUnsafe(text.length + 6)
  key.set(text)
  writeInteger(key, text.length, index)
  return key
}

/** All keys that start with `prefix`, which does not end in 0xff. */
export function prefixRange(prefix: Uint8Array): { gte: Uint8Array; lt: Uint8Array } {
  const lt = new Uint8Array(prefix)
  lt[lt.length - 1]!++
  return { gte: prefix, lt }
}

/** What lies before, between and behind the keys of {@link LETTERS}. */
export function betweenLetters(): DatabaseRange[] {
  const ranges = LETTERS.map((letter) => prefixRange(textKey(letter, '')))
  return [...ranges, undefined].map((range, i) => {
    const gte = ranges[i - 1]?.lt ?? Uint8Array.of(0)
    return { gte, ...(range && { lt: range.gte }) }
  })
}

/** concat(u32 BE length ‖ part). */
export function pack(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += 4 + part.length
  const bytes = Buffer.allocUnsafe(length)
  let at = 0
  for (const part of parts) {
    at = bytes.writeUInt32BE(part.length, at)
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

/** The parts, as views. @throws {@link LogError} `log_damaged` */
export function* unpack(bytes: Uint8Array): Generator<Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at < bytes.length; ) {
    const end = at + 4 <= bytes.length ? at + 4 + view.getUint32(at) : Number.POSITIVE_INFINITY
    if (end > bytes.length) throw new LogError('log_damaged', 'a packed value ends within a part')
    yield bytes.subarray(at + 4, end)
    at = end
  }
}

export function encodeMeta(index: number, { issuedAt, type, signer }: Omit<EntryMeta, 'index' | 'entry'>): Uint8Array {
  const value = Buffer.allocUnsafe(13 + type.length + signer.length)
  writeInteger(value, 0, index)
  writeInteger(value, 6, issuedAt)
  value[12] = type.length
  // Both ASCII by their grammars; anything else would be cut here and found by the comparison on reading.
  for (let i = 0; i < type.length; i++) value[13 + i] = type.charCodeAt(i)
  for (let i = 0; i < signer.length; i++) value[13 + type.length + i] = signer.charCodeAt(i)
  return value
}

export function decodeMeta(entry: Hash, value: Uint8Array): EntryMeta {
  const signerAt = 13 + (value[12] ?? 0)
  if (value.length < signerAt) throw new LogError('log_damaged', `the index of ${toHex(entry)} is cut short`)
  const [type, signer] = [value.subarray(13, signerAt), value.subarray(signerAt)].map(fromUtf8)
  return { index: readInteger(value, 0), entry, issuedAt: readInteger(value, 6), type: type!, signer: signer! }
}

export function encodeSigned({ head, checkpoint }: Signed): Uint8Array {
  const { origin, size, root, issuedAt, protectedBytes, signature } = head
  return encodeCbor(new Map(Object.entries({ origin, size, root, issuedAt, protectedBytes, signature, checkpoint })))
}

export function decodeSigned(value: Uint8Array): Signed {
  try {
    const map = asMap(decodeCbor(value), 'the stored tree head')
    const head = {
      origin: asText(map.get('origin'), 'origin'),
      size: asUint(map.get('size'), 'size'),
      root: asBytes(map.get('root'), 'root', 32),
      issuedAt: asUint(map.get('issuedAt'), 'issuedAt'),
      protectedBytes: asBytes(map.get('protectedBytes'), 'protectedBytes'),
      signature: asBytes(map.get('signature'), 'signature'),
    }
    return { head, checkpoint: asText(map.get('checkpoint'), 'checkpoint') }
  } catch (cause) {
    throw new LogError('log_damaged', 'the stored tree head cannot be read', { cause })
  }
}

export function encodeInteger(integer: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(6)
  writeInteger(bytes, 0, integer)
  return bytes
}

function writeInteger(bytes: Uint8Array, at: number, integer: number): void {
  assert(Number.isSafeInteger(integer) && integer >= 0 && integer < 2 ** 48, `a 48-bit integer, not ${integer}`)
  let rest = integer
  for (let i = at + 5; i >= at; i--) {
    bytes[i] = rest % 256
    rest = Math.floor(rest / 256)
  }
}

export function readInteger(bytes: Uint8Array, at: number): number {
  if (bytes.length < at + 6) throw new LogError('log_damaged', 'an index value is cut short')
  let integer = 0
  for (let i = at; i < at + 6; i++) integer = integer * 256 + bytes[i]!
  return integer
}

/** The index that a key ends with. @param value of that key, which holds nothing */
export function indexInKey(key: Uint8Array, value: Uint8Array): number {
  if (value.length > 0) throw new LogError('log_damaged', 'there is something under a key that stands for itself')
  return readInteger(key, key.length - 6)
}
