/**
 * A statement in the one form in which nearly all are written, read in a glance: for whoever has millions of them to sort by signer, and no time to
 * make objects of each.
 *
 * ```
 *   d2 84 │ 58 b2 … protected header │ a0 │ 59 03 10 … payload │ 58 40 … signature
 *         ╰─────────────── Sig_structure, but for its first bytes and the a0 ╯
 *   header  { 1: alg, 3: content type, 4: kid, 15: { 1: iss, 2: sub, 6: iat }, 16: typ }        in this order, and nothing else
 * ```
 *
 * What has another form may be as good a statement: `parseSignedStatement` says. What has this form it takes, and says the same of.
 *
 * @module
 */
import { COSE_ALGORITHMS, type VerificationAlgorithm } from './algorithm.ts'
import { DEFAULT_LIMITS, textOf } from './cbor-read.ts'
import { kidText, LABEL } from './cose-sign1.ts'
import { StatementError } from './error.ts'
import { CWT } from './signed-statement.ts'

export interface Sign1Layout {
  /** Of the head of the protected header. */
  readonly start: number
  /** Of the empty unprotected header, which is one byte. */
  readonly unprotected: number
  /** Of the head of the signature: where what is signed ends. */
  readonly end: number
  /** Of the signature itself, which is the rest. */
  readonly signature: number
  readonly algorithm: VerificationAlgorithm
  readonly contentType: string
  readonly kid: string
  readonly issuer: string
  /** POSIX seconds. */
  readonly issuedAt: number
  readonly typ: string
}

/** Undefined of what has another form. */
export function layoutOf(bytes: Uint8Array): Sign1Layout | undefined {
  if (bytes.length > DEFAULT_LIMITS.maxBytes || bytes[0] !== SIGN1_TAG || bytes[1] !== ARRAY_OF_4) return undefined
  try {
    return new LayoutReader(bytes).read()
  } catch (error) {
    // Of `textOf`: bytes that are no text.
    if (error instanceof StatementError) return undefined
    throw error
  }
}

class LayoutReader {
  private at = 2
  private readonly bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  read(): Sign1Layout | undefined {
    const { bytes } = this
    const header = this.item(BYTES)
    const unprotected = this.at
    if (header < 0 || bytes[unprotected] !== EMPTY_MAP) return undefined
    this.at++
    if (this.item(BYTES) < 0) return undefined
    const end = this.at
    const signature = this.item(BYTES)
    if (signature < 0 || this.at !== bytes.length) return undefined

    this.at = header
    if (this.head(MAP) !== 5 || !this.label(LABEL.alg)) return undefined
    const algorithm = COSE_ALGORITHMS.get(-1 - this.head(NINT))
    const contentType = this.label(LABEL.contentType) ? this.text() : undefined
    const kid = this.label(LABEL.kid) ? this.item(BYTES) : NONE
    const kidEnd = this.at
    if (!this.label(LABEL.cwtClaims) || this.head(MAP) !== 3) return undefined
    const issuer = this.label(CWT.iss) ? this.text() : undefined
    const isAbout = this.label(CWT.sub) && this.skipAscii()
    const issuedAt = this.label(CWT.iat) ? this.head(UINT) : NONE
    const typ = this.label(LABEL.typ) ? this.text() : undefined
    if (this.at !== unprotected || !isAbout || kid < 0 || issuedAt < 0) return undefined
    if (algorithm === undefined || contentType === undefined || !issuer || typ === undefined) return undefined
    if (issuer.length > LONGEST_ISSUER) return undefined
    const name = kidText(bytes.subarray(kid, kidEnd))
    // Named and not spread: spreading takes as long as all the reading.
    return { start: 2, unprotected, end, signature, algorithm, contentType, kid: name, issuer, issuedAt, typ }
  }

  /** The argument of the head here, in its shortest form and of this major type, and moves past it; negative when it is another. */
  private head(major: number): number {
    const { bytes } = this
    const first = bytes[this.at] ?? SIMPLE
    if (first >> 5 !== major) return NONE
    const info = first & 0x1f
    this.at++
    if (info < 24) return info
    if (info > 26) return NONE
    const width = 1 << (info - 24)
    let value = 0
    for (let i = 0; i < width; i++) value = value * 256 + (bytes[this.at + i] ?? 0)
    this.at += width
    return value < LEAST[info - 24]! ? NONE : value
  }

  /** Where the content of the string here begins, and moves past it. */
  private item(major: number): number {
    const length = this.head(major)
    const start = this.at
    if (length < 0 || length > this.bytes.length - start) return NONE
    this.at += length
    return start
  }

  private label(label: number): boolean {
    return this.bytes[this.at++] === label
  }

  private text(): string | undefined {
    const start = this.item(TEXT)
    return start < 0 ? undefined : textOf(this.bytes, start, this.at)
  }

  /** Of a text that nobody asks for it is enough that it is one. */
  private skipAscii(): boolean {
    const start = this.item(TEXT)
    if (start < 0) return false
    for (let at = start; at < this.at; at++) if (this.bytes[at]! >= 0x80) return false
    return true
  }
}

const UINT = 0
const NINT = 1
const BYTES = 2
const TEXT = 3
const MAP = 5
/** No head that anybody asks for. */
const SIMPLE = 0xff
const NONE = -1
const SIGN1_TAG = 0xd2
const ARRAY_OF_4 = 0x84
const EMPTY_MAP = 0xa0
/** The least argument that needs 1, 2 and 4 bytes. */
const LEAST = [24, 2 ** 8, 2 ** 16]
/** Characters; see `parseSignedStatement`. */
const LONGEST_ISSUER = 8192
