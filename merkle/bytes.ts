/**
 * Bytes: comparison, joining, and the text encodings the standards use, each in its one canonical form.
 *
 * @module
 */
import { MerkleError } from './error.ts'

/** Throws unless `value` is a `Uint8Array` of `length` bytes: `TypeError` for the type, `RangeError` for the length. */
export function assertBytes(value: unknown, length: number | undefined, title: string): asserts value is Uint8Array {
  if (!(value instanceof Uint8Array)) throw new TypeError(`${title} must be a Uint8Array`)
  if (length !== undefined && value.length !== length) {
    throw new RangeError(`${title} must be ${length} bytes, not ${value.length}`)
  }
}

/** Whether two byte strings are equal. Not constant-time: for public values only. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let i = 0
  if (a.length >= WORTH_VIEWING) {
    const [viewA, viewB] = [new DataView(a.buffer, a.byteOffset), new DataView(b.buffer, b.byteOffset)]
    for (; i + 4 <= a.length; i += 4) if (viewA.getInt32(i) !== viewB.getInt32(i)) return false
  }
  for (; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

/** Bytes from which on four at a time make up for what it takes to look at them so. */
const WORTH_VIEWING = 256

/** As {@link equalBytes}, in time that depends on the lengths alone: for values derived from secrets. */
export function equalSecretBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!
  return difference === 0
}

/** Byte-wise lexicographic order, shorter first on a tie: the map-key order of RFC 8949 §4.2.1. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length)
  for (let i = 0; i < shared; i++) if (a[i] !== b[i]) return a[i]! - b[i]!
  return a.length - b.length
}

/** One new array holding `parts` in order. */
export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  const whole = new Uint8Array(length)
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}

const hexOfByte = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))
// Most hashes that are written are those of a moment before: what one signer's records link to. So the text of a hash is remembered until
// another one has its place, which is found by its first bytes (a hash is as good as its own hash), and compared whole.
const HASH_BYTES = 32
const PLACES = 1024
const remembered = new Uint8Array(PLACES * HASH_BYTES)
const rememberedHex = new Array<string | undefined>(PLACES).fill(undefined)

/** Lower-case hex. For public values: those of 32 bytes are remembered for a while. */
export function toHex(bytes: Uint8Array): string {
  if (bytes.length < HASH_BYTES) return hexAtOnce(bytes)
  if (bytes.length > HASH_BYTES) {
    let text = ''
    for (const byte of bytes) text += hexOfByte[byte]
    return text
  }
  const place = (bytes[0]! | (bytes[1]! << 8)) % PLACES
  const start = place * HASH_BYTES
  const known = rememberedHex[place]
  if (known !== undefined) {
    let same = 0
    while (same < HASH_BYTES && remembered[start + same] === bytes[same]) same++
    if (same === HASH_BYTES) return known
  }
  const text = hexAtOnce(bytes)
  remembered.set(bytes, start)
  rememberedHex[place] = text
  return text
}

const codeOfDigit = Array.from('0123456789abcdef', (digit) => digit.charCodeAt(0))

/** Of a hash or less: text that is put together leaves a string behind for each of its parts. */
function hexAtOnce(bytes: Uint8Array): string {
  const codes = codesOfLength[2 * bytes.length]!
  for (let i = 0; i < bytes.length; i++) {
    codes[2 * i] = codeOfDigit[bytes[i]! >> 4]!
    codes[2 * i + 1] = codeOfDigit[bytes[i]! & 0xf]!
  }
  return String.fromCharCode.apply(null, codes)
}

/** @throws {@link MerkleError} `malformed_encoding` unless `text` is lower-case hex of whole bytes. */
export function fromHex(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length >> 1)
  let wrong = text.length % 2
  for (let i = 0; i < bytes.length; i++) {
    const value = (digitAt(text, 2 * i) << 4) | digitAt(text, 2 * i + 1)
    wrong |= value & NO_HEX
    bytes[i] = value
  }
  if (wrong !== 0) throw new MerkleError('malformed_encoding', 'not lower-case hex')
  return bytes
}

/** A bit that no byte has. */
const NO_HEX = 0x1000

function digitAt(text: string, at: number): number {
  const code = text.charCodeAt(at)
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  return code >= 0x61 && code <= 0x66 ? code - 0x57 : NO_HEX
}

/**
 * A text with a character for each byte of [from, to), of which there are at most 64: what is known to be ASCII, or a name that never leaves
 * the process.
 */
export function shortLatin1(bytes: Uint8Array, from = 0, to = bytes.length): string {
  const codes = codesOfLength[to - from]!
  for (let i = 0; i < codes.length; i++) codes[i] = bytes[from + i]!
  return String.fromCharCode.apply(null, codes)
}

/** For each length, what codes of characters are written into before they are text: an array of their own for each text is garbage. */
const codesOfLength = Array.from({ length: 2 * HASH_BYTES + 1 }, (_, length) => new Array<number>(length).fill(0))

/** Base64 with padding (RFC 4648 §4). */
export function toBase64(bytes: Uint8Array): string {
  return withAlphabet(bytes, BASE64_CODES) + '='.repeat((3 - (bytes.length % 3)) % 3)
}

/** @throws {@link MerkleError} `malformed_encoding` unless `text` is the canonical base64, with padding, of some bytes. */
export function fromBase64(text: string): Uint8Array {
  if (text.length % 4 !== 0) throw new MerkleError('malformed_encoding', 'not base64')
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  return fromAlphabet(text, text.length - padding, BASE64)
}

/** Base64url without padding (RFC 4648 §5, as JOSE uses it). */
export function toBase64url(bytes: Uint8Array): string {
  return withAlphabet(bytes, BASE64URL_CODES)
}

/** Without padding. Not by `btoa`, which wants a text with a character for each byte first: seven times as long for a token. */
function withAlphabet(bytes: Uint8Array, codes: readonly number[]): string {
  let text = ''
  // In pieces: an argument list of a megabyte overflows the stack.
  for (let from = 0; from < bytes.length; from += PIECE) {
    const end = Math.min(from + PIECE, bytes.length)
    const piece = new Array<number>(Math.ceil(((end - from) * 4) / 3))
    let at = 0
    for (let i = from; i < end; i += 3) {
      const group = (bytes[i]! << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0)
      piece[at++] = codes[group >> 18]!
      piece[at++] = codes[(group >> 12) & 63]!
      if (i + 1 < end) piece[at++] = codes[(group >> 6) & 63]!
      if (i + 2 < end) piece[at++] = codes[group & 63]!
    }
    text += String.fromCharCode.apply(null, piece)
  }
  return text
}

/** @throws {@link MerkleError} `malformed_encoding` unless `text` is canonical, unpadded base64url. */
export function fromBase64url(text: string): Uint8Array {
  if (text.length % 4 === 1) throw new MerkleError('malformed_encoding', 'not base64url')
  return fromAlphabet(text, text.length, BASE64URL)
}

const NO_DIGIT = 64
const LETTERS_AND_DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
/** Whole groups of three bytes. */
const PIECE = 3 * 1024
const BASE64_CODES = codesOf(`${LETTERS_AND_DIGITS}+/`)
const BASE64URL_CODES = codesOf(`${LETTERS_AND_DIGITS}-_`)
const BASE64 = valuesOf(`${LETTERS_AND_DIGITS}+/`)
const BASE64URL = valuesOf(`${LETTERS_AND_DIGITS}-_`)

function codesOf(alphabet: string): readonly number[] {
  return Array.from(alphabet, (character) => character.charCodeAt(0))
}

/** The six bits that each character stands for, by its code. */
function valuesOf(alphabet: string): Uint8Array {
  const values = new Uint8Array(128).fill(NO_DIGIT)
  for (let i = 0; i < alphabet.length; i++) values[alphabet.charCodeAt(i)] = i
  return values
}

/**
 * The bytes that the first `end` characters of `text` write. Not by `atob`, which in Node 20 looks each character up in a list (6 ms for
 * 64 KiB), and skips white space, forgives missing padding and drops stray bits: several texts of the same bytes.
 */
function fromAlphabet(text: string, end: number, values: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(Math.floor((end * 6) / 8))
  let held = 0
  let bits = 0
  let length = 0
  for (let i = 0; i < end; i++) {
    const value = values[text.charCodeAt(i)] ?? NO_DIGIT
    if (value === NO_DIGIT) throw new MerkleError('malformed_encoding', 'a character that is not of base64')
    held = ((held << 6) | value) & 0x3fff
    bits += 6
    if (bits < 8) continue
    bits -= 8
    bytes[length++] = held >> bits
  }
  if ((held & ((1 << bits) - 1)) !== 0) throw new MerkleError('malformed_encoding', 'not canonical base64')
  return bytes
}

const encoder = new TextEncoder()
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** UTF-8 bytes of well-formed text. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text)
}

/** @throws {@link MerkleError} `malformed_encoding` when `bytes` are not UTF-8. A byte-order mark is kept as a character. */
export function fromUtf8(bytes: Uint8Array): string {
  try {
    return strictDecoder.decode(bytes)
  } catch (cause) {
    throw new MerkleError('malformed_encoding', 'not UTF-8', { cause })
  }
}
