/**
 * What secrets look like in text and bytes. Two read this: the check that keeps them off the log (`token-in-clear.ts`), which must be right
 * when it says yes, and the redactor (`redact.ts`), which may cut too much.
 *
 *     compact JWS, JWE     a JSON object in base64url, then two dots and more:  eyJhbGciOi….eyJzdWIiOi….MEUCIQ…
 *     the same in JSON     "protected": "eyJ…" beside "signature" or "ciphertext"                         RFC 7515 §7.2, RFC 7516 §7.2
 *     PEM                  -----BEGIN … PRIVATE KEY-----
 *     private JWK          "kty" beside a private member                                                  RFC 7517, RFC 7518 §6
 *     others               AGE-SECRET-KEY-1…, PRIVATE+KEY+name+hash+…                                     age, C2SP signed-note (Go)
 *
 * Accidents are found, also those of mail and documents: wrapped lines, padding, soft hyphens, full-width dots, quotes escaped once more.
 * Whoever wants to smuggle can encode twice, and no search finds that.
 *
 * @module
 */

/** Shorter texts hold none: this is an unsecured JWS with nothing to say. */
const SHORTEST = 22
/** Shorter bytes are hashes, ids and names of keys, of which a record has a dozen. */
const SHORTEST_BYTES = 48

/** Whether a secret stands in `text`. Takes time in proportion to it. */
export function hasSecret(text: string): boolean {
  if (text.length < SHORTEST || harmless.has(text) || !SUSPICIOUS.test(text)) return false
  const folded = fold(text)
  const found =
    BEGINNING.test(folded) && (hasCompactToken(folded) || OTHERS.some((all) => all.every((each) => each.test(folded))))
  if (!found && text.length <= LONGEST_KEPT) {
    if (harmless.size >= MAX_KEPT) harmless.clear()
    harmless.add(text)
  }
  return found
}

/**
 * What looked suspicious and was not: the words of the format are in every record, and many have `ey` in them. Nothing is in here that was
 * found to be a secret.
 */
const harmless = new Set<string>()
const MAX_KEPT = 1024
const LONGEST_KEPT = 128

/** As {@link hasSecret}, of bytes that are text, or that have text in them. */
export function bytesHaveSecret(bytes: Uint8Array): boolean {
  return bytesMayHaveSecret(bytes, 0, bytes.length) && hasSecret(decodeText(bytes))
}

/** False only where {@link hasSecret} is, of the text whose UTF-8 is in [from, to): so that what is no suspect need not be decoded. */
export function textMayHaveSecret(bytes: Uint8Array, from: number, to: number): boolean {
  if (to - from < SHORTEST) return false
  for (let at = from; at < to; at++) {
    const place = IN_TEXT[bytes[at]!]!
    if (place === 0) continue
    if ((place & SUSPECT) !== 0) return true
    if ((place & FIRST) !== 0 && beginsAt(bytes, at, IN_TEXT, WORDS)) return true
  }
  return false
}

/** As {@link textMayHaveSecret}, for {@link bytesHaveSecret}. */
export function bytesMayHaveSecret(bytes: Uint8Array, from: number, to: number): boolean {
  return to - from >= SHORTEST_BYTES && (looksLikeText(bytes, from, to) || mayHold(bytes, from, to))
}

/**
 * How a JSON object begins in base64url: `{` before a quote, or before white space. As the source of an expression.
 */
export const JSON_HEAD = 'e(?:y[AIJ]|w[0gko])'

/** What all that is looked for has in it. */
const BEGINNING = /e[yw]|PRIV|SECR|kty/
/** What {@link fold} would change, or a beginning of what is looked for: nothing else needs a second look. */
const SUSPICIOUS = new RegExp(`[^!-~]|${BEGINNING.source}`)

/** `text` as the scan reads it: compatibility forms made plain; white space, what is invisible and backslashes gone. */
function fold(text: string): string {
  const plain = /[^\p{ASCII}]/u.test(text) ? text.normalize('NFKC').replace(/\p{Cf}/gu, '') : text
  return plain.replace(/[\s\\\p{Cc}]+/gu, '')
}

/** Each a list of what must all be there. */
const OTHERS: readonly (readonly RegExp[])[] = [
  [/-----BEGIN[A-Z0-9]*PRIVATEKEY/],
  [/AGE-SECRET-KEY-1[0-9A-Z]{16}/],
  [/PRIVATE\+KEY\+[^+]+\+[0-9a-f]{8}\+/],
  [/["']kty["']:["'](?:EC|OKP|RSA|oct|AKP)["']/, /["'](?:d|k|p|q|dp|dq|qi|priv)["']:["'][A-Za-z0-9_+/=-]{16}/],
  [/["']protected["']:["']e[yw]/, /["'](?:signature|ciphertext)["']:["'][A-Za-z0-9_+/=-]{16}/],
]

/**
 * Looks at each part between dots once: whether it ends in what a header begins with, and only base64url is between the next two dots.
 * The second part may be empty: a JWE with `alg: dir` has no encrypted key, a detached JWS no payload.
 */
function hasCompactToken(folded: string): boolean {
  const parts = folded.split('.')
  for (let i = 0; i + 2 < parts.length; i++) {
    if (!/^[A-Za-z0-9_+/=-]*$/.test(parts[i + 1]!)) continue
    const part = parts[i]!
    // A header may have anything before it: white space was what parted them.
    for (const { index } of part.matchAll(HEADS)) if (beginsObject(part, index)) return true
  }
  return false
}

const HEADS = new RegExp(JSON_HEAD, 'g')
/** A header's first member has a shorter name than this many characters of base64url. */
const LONGEST_HEAD = 64

/** Whether the base64url from `at` on, which ends with the part, decodes to `{"name":`. */
function beginsObject(part: string, at: number): boolean {
  const head = part.slice(at, at + LONGEST_HEAD)
  const run = /^[A-Za-z0-9_+/-]*/.exec(head)![0]
  // What is no base64url in the part, beyond padding at its end, is not of a token.
  if (run.length < head.length && !/^={1,2}$/.test(part.slice(at + run.length))) return false
  return /^\{\s*"[^"\\]{0,48}"\s*:/.test(decodeLoosely(run))
}

/** Whole groups of four characters, as Latin-1: names of members are ASCII. */
function decodeLoosely(run: string): string {
  return atob(
    run
      .slice(0, run.length - (run.length % 4))
      .replaceAll('-', '+')
      .replaceAll('_', '/'),
  )
}

/** Its beginning has no control character but those of lines: ciphertext has one among its first bytes. */
function looksLikeText(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to && at < from + 64; at++) {
    const byte = bytes[at]!
    if (byte < 0x20 ? byte !== 0x09 && byte !== 0x0a && byte !== 0x0d : byte === 0x7f) return false
  }
  return true
}

/**
 * Whether binary data has a beginning of what is looked for: all sealed sections pass here, and a kilobyte of them must cost less than a
 * microsecond. So every other byte is looked at: it is the first or the second letter of whatever stands there.
 */
function mayHold(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from + 1; at < to; at += 2) {
    const place = IN_BYTES[bytes[at]!]!
    if (place === 0) continue
    if ((place & FIRST) !== 0 && mayBeginAt(bytes, at, to)) return true
    if ((place & SECOND) !== 0 && mayBeginAt(bytes, at - 1, to)) return true
  }
  return false
}

/** Two letters stand together by chance in one section of twenty, and to look at its text takes as long as all else: so a third is asked for. */
function mayBeginAt(bytes: Uint8Array, at: number, to: number): boolean {
  if (!beginsAt(bytes, at, IN_BYTES, BEGINNINGS)) return false
  const thirds = THIRDS.get(bytes[at + 1]!)
  if (bytes[at] !== LETTER_E || thirds === undefined) return true
  let third = at + 2
  // What the scan leaves out, as white space is, and may leave out, as some of what is no ASCII.
  while (third < to && (bytes[third]! <= 0x20 || bytes[third]! >= 0x7f || bytes[third] === BACKSLASH)) third++
  return third < to && thirds.includes(bytes[third]!)
}

const codesOf = (word: string) => Array.from(word, (letter) => letter.charCodeAt(0))
/** {@link BEGINNING}. */
const WORDS = ['ey', 'ew', 'PRIV', 'SECR', 'kty'].map(codesOf)
/** In binary data, where three letters stand by chance too often. */
const BEGINNINGS = ['ey', 'ew', 'PRIV', 'SECR', '"kty'].map(codesOf)

const LETTER_E = 0x65
const BACKSLASH = 0x5c
/** {@link JSON_HEAD}, by its second letter. */
const THIRDS: ReadonlyMap<number, readonly number[]> = new Map(
  [
    ['y', 'AIJ'],
    ['w', '0gko'],
  ].map(([second, thirds]) => [second!.charCodeAt(0), codesOf(thirds!)]),
)

// Where in one of the words a letter stands, for each letter; or that it is what SUSPICIOUS has beside the words.
const FIRST = 1
const SECOND = 2
const SUSPECT = 4
const IN_BYTES = placesIn(BEGINNINGS)
const IN_TEXT = placesIn(WORDS).map((place, byte) => (byte < 0x21 || byte > 0x7e ? SUSPECT : place))

function placesIn(words: readonly (readonly number[])[]): Uint8Array {
  const places = new Uint8Array(256)
  for (const [first, second] of words) {
    places[first!]! |= FIRST
    places[second!]! |= SECOND
  }
  return places
}

/** Whether the letter at `at`, which is the first of a word, begins one. */
function beginsAt(bytes: Uint8Array, at: number, places: Uint8Array, words: readonly (readonly number[])[]): boolean {
  if ((places[bytes[at + 1] ?? 0]! & SECOND) === 0) return false
  return words.some((word) => word.every((letter, i) => bytes[at + i] === letter))
}

const decoder = new TextDecoder('utf-8')

/** What is no UTF-8 becomes a replacement character, which is part of nothing that is looked for. */
function decodeText(bytes: Uint8Array): string {
  return decoder.decode(bytes)
}
