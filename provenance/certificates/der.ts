/**
 * DER (X.690 §10): the part of it that certificates and keys are made of, read strictly.
 *
 *   30 06        SEQUENCE of 6 bytes
 *   ├─ 02 01 05  INTEGER 5
 *   └─ 01 01 ff  BOOLEAN true
 *
 * Every value has one encoding, and the others are refused: indefinite and long-form lengths that fit a shorter form,
 * padded integers, other bytes than 00 and FF for a Boolean, bytes after the end. Two readers that forgive different
 * things see two certificates in one.
 *
 * @module
 */
import { toHex } from '../../merkle/bytes.ts'
import { ProvenanceError } from '../error.ts'

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const

export interface DerElement {
  /** The identifier octet: class, constructed bit and number below 31. */
  readonly tag: number
  readonly content: Uint8Array
  /** Identifier, length and content: what is hashed, compared and signed. */
  readonly whole: Uint8Array
}

/** Takes elements one after another out of the content of a constructed one. */
export class DerReader {
  #rest: Uint8Array

  constructor(content: Uint8Array) {
    this.#rest = content
  }

  get done(): boolean {
    return this.#rest.length === 0
  }

  /** @throws {@link ProvenanceError} `malformed_der` at the end, or when the next element has another tag than asked for */
  next(tag?: number): DerElement {
    const element = readElement(this.#rest)
    if (tag !== undefined && element.tag !== tag) {
      throw refuse(`tag ${element.tag.toString(16)} in the place of ${tag.toString(16)}`)
    }
    this.#rest = this.#rest.subarray(element.whole.length)
    return element
  }

  /** The next element if it has this tag. */
  optional(tag: number): DerElement | undefined {
    return this.#rest[0] === tag ? this.next(tag) : undefined
  }

  sequence(): DerReader {
    return new DerReader(this.next(TAG.sequence).content)
  }

  /** @throws {@link ProvenanceError} `malformed_der` when something is left */
  end(): void {
    if (!this.done) throw refuse('bytes after the last element')
  }
}

/** Reads bytes that are one element and nothing more. @throws {@link ProvenanceError} `malformed_der` */
export function readDer(bytes: Uint8Array, tag?: number): DerElement {
  const reader = new DerReader(bytes)
  const element = reader.next(tag)
  reader.end()
  return element
}

function readElement(bytes: Uint8Array): DerElement {
  const [tag, first] = bytes
  if (tag === undefined || first === undefined) throw refuse('cut short')
  // Tag 0 and 31: end-of-contents belongs to BER, and nothing here has a number above 30.
  if (tag === 0 || (tag & 0x1f) === 0x1f) throw refuse(`tag ${tag.toString(16)}`)
  let start = 2
  let length = first
  if (first >= 0x80) {
    const digits = first & 0x7f
    if (digits === 0) throw refuse('an indefinite length')
    if (digits > 3) throw refuse('a length of more than 3 bytes')
    start += digits
    if (bytes.length < start) throw refuse('cut short')
    length = bytes.subarray(2, start).reduce((sum, byte) => sum * 256 + byte, 0)
    if (length < 0x80 || bytes[2] === 0) throw refuse('a length that fits a shorter form')
  }
  const end = start + length
  if (bytes.length < end) throw refuse('cut short')
  return { tag, content: bytes.subarray(start, end), whole: bytes.subarray(0, end) }
}

/** Refuses what is no DER inside of a value that is not read any further: what another reader would refuse must not pass for unread. */
export function checkUnread({ tag, content }: DerElement, depth = 8): void {
  const element = { tag, content, whole: content }
  if (tag === TAG.boolean) derBoolean(element)
  else if (tag === TAG.integer) checkInteger(content)
  else if (tag === TAG.oid) derOid(element)
  else if (tag === TAG.null && content.length > 0) throw refuse('not a NULL')
  else if (tag === TAG.bitString && (content[0] ?? 8) > (content.length > 1 ? 7 : 0)) throw refuse('not a BIT STRING')
  // Of the universal types DER has two that are made of others, and those are never anything else (X.690 §10.2).
  const [isUniversal, isMade] = [tag < 0x40, (tag & 0x20) !== 0]
  if (isUniversal && isMade !== [TAG.sequence, TAG.set].includes((tag | 0x20) as 0x30)) {
    throw refuse(`tag ${tag.toString(16)}, of no form that DER has`)
  }
  if (!isMade) return
  if (depth === 0) throw refuse('nested too deeply')
  for (const inner = new DerReader(content); !inner.done; ) checkUnread(inner.next(), depth - 1)
}

function checkInteger([first, second]: Uint8Array): void {
  if (first === undefined) throw refuse('an empty INTEGER')
  if (second !== undefined && first === (second < 0x80 ? 0x00 : 0xff)) throw refuse('a padded INTEGER')
}

export function derBoolean(element: DerElement): boolean {
  const [byte] = element.content
  if (element.tag !== TAG.boolean || element.content.length !== 1 || (byte !== 0 && byte !== 0xff)) {
    throw refuse('not a BOOLEAN')
  }
  return byte === 0xff
}

/** A non-negative INTEGER as big-endian bytes without padding; zero is one byte 00. */
export function derUnsigned(element: DerElement): Uint8Array {
  const { tag, content } = element
  const [first, second] = content
  if (tag !== TAG.integer || first === undefined) throw refuse('not an INTEGER')
  if (first >= 0x80) throw refuse('a negative INTEGER')
  if (first === 0 && second !== undefined) {
    if (second < 0x80) throw refuse('a padded INTEGER')
    return content.subarray(1)
  }
  return content
}

/** A non-negative INTEGER below 2³¹. */
export function derSmallUnsigned(element: DerElement): number {
  const bytes = derUnsigned(element)
  const value = bytes.reduce((sum, byte) => sum * 256 + byte, 0)
  if (bytes.length > 4 || value >= 2 ** 31) throw refuse('an INTEGER past 2³¹')
  return value
}

/** Dotted decimal. */
export function derOid(element: DerElement): string {
  if (element.tag !== TAG.oid || element.content.length === 0) throw refuse('not an OBJECT IDENTIFIER')
  const arcs: number[] = []
  let arc = 0
  let fresh = true
  for (const byte of element.content) {
    if (fresh && byte === 0x80) throw refuse('a padded OBJECT IDENTIFIER')
    arc = arc * 128 + (byte & 0x7f)
    if (arc > Number.MAX_SAFE_INTEGER / 128) throw refuse('an OBJECT IDENTIFIER with a huge arc')
    fresh = byte < 0x80
    if (!fresh) continue
    if (arcs.length === 0) {
      const root = Math.min(2, Math.floor(arc / 40))
      arcs.push(root, arc - 40 * root)
    } else arcs.push(arc)
    arc = 0
  }
  if (!fresh) throw refuse('an OBJECT IDENTIFIER cut short')
  return arcs.join('.')
}

/** A BIT STRING of whole bytes: keys and signatures. */
export function derBytesOfBits(element: DerElement): Uint8Array {
  if (element.tag !== TAG.bitString || element.content[0] !== 0) throw refuse('not a BIT STRING of whole bytes')
  return element.content.subarray(1)
}

/** The positions of the bits set in a named BIT STRING, which DER ends with its last set bit (X.690 §11.2.2). */
export function derNamedBits(element: DerElement): ReadonlySet<number> {
  const { tag, content } = element
  const [unused] = content
  const last = content.at(-1)!
  if (tag !== TAG.bitString || unused === undefined || unused > 7) throw refuse('not a BIT STRING')
  if (content.length === 1 ? unused !== 0 : last % 2 ** unused !== 0 || Math.floor(last / 2 ** unused) % 2 === 0) {
    throw refuse('a BIT STRING with trailing zeros')
  }
  const bits = new Set<number>()
  content.subarray(1).forEach((byte, at) => {
    for (let bit = 0; bit < 8; bit++) if (byte & (0x80 >> bit)) bits.add(8 * at + bit)
  })
  return bits
}

/** UTCTime or GeneralizedTime in the forms of RFC 5280 §4.1.2.5, as POSIX seconds. */
export function derTime({ tag, content }: DerElement): number {
  const digits = tag === TAG.utcTime ? 12 : tag === TAG.generalizedTime ? 14 : undefined
  // Before anything is made of it: whoever wrote it chose how long it is.
  if (digits === undefined || content.length !== digits + 1 || content[digits] !== 0x5a) throw notATime()
  let at = 0
  const two = (): number => {
    const [tens, ones] = [content[at++]! - 0x30, content[at++]! - 0x30]
    if (tens < 0 || tens > 9 || ones < 0 || ones > 9) throw notATime()
    return 10 * tens + ones
  }
  const first = two()
  // Two digits mean 1950 to 2049.
  const year = digits === 14 ? 100 * first + two() : first + (first >= 50 ? 1900 : 2000)
  const [month, day, hour, minute, second] = [two(), two(), two(), two(), two()]
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  // `Date` rolls 30 February over into March.
  const isThere = date.getUTCMonth() === month - 1 && date.getUTCDate() === day
  if (!isThere || hour > 23 || minute > 59 || second > 59) throw refuse('no such time')
  return date.getTime() / 1000 + 3600 * hour + 60 * minute + second
}

function notATime(): ProvenanceError {
  return refuse('not a time to the second in UTC')
}

/** Lower-case hex of a positive INTEGER, without padding: how serial numbers are written here. */
export function derSerial(element: DerElement): string {
  return toHex(derUnsigned(element))
}

function refuse(why: string): ProvenanceError {
  return new ProvenanceError('malformed_der', why)
}
