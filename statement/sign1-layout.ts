/**
 * Where the parts of a registered statement are, and what its header is about, found in a glance: for whoever has millions of them sorted by
 * key before each is read.
 *
 * ```
 *   d2 84 │ 58 b2 … protected header │ a0 │ 59 03 10 … payload │ 58 40 … signature
 *         ╰─────────────── Sig_structure, but for its first bytes and the a0 ╯
 * ```
 *
 * It says nothing of whether a statement is well formed: that says `parseSignedStatement`, to which everything that is found here must be put.
 * Of what that takes, both say the same.
 *
 * @module
 */

import { textOf } from './cbor-read.ts'
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
  readonly kid?: string
  readonly typ?: string
  readonly issuer?: string
  readonly issuedAt?: number
}

/** Undefined of what is no COSE_Sign1 with an empty unprotected header, or not in the one form that is registered. */
export function layoutOf(bytes: Uint8Array): Sign1Layout | undefined {
  if (bytes[0] !== SIGN1_TAG || bytes[1] !== ARRAY_OF_4 || bytes[2]! >> 5 !== BYTES) return undefined
  const unprotected = skip(bytes, 2, 0)
  if (bytes[unprotected] !== EMPTY_MAP || (bytes[unprotected + 1] ?? 0) >> 5 !== BYTES) return undefined
  const end = skip(bytes, unprotected + 1, 0)
  if ((bytes[end] ?? 0) >> 5 !== BYTES || skip(bytes, end, 0) !== bytes.length) return undefined
  const header = 2 + headLength(bytes[2]!)
  // An empty header is signed in another form than it may be sent in.
  if (unprotected - header < 2) return undefined
  try {
    const layout = { start: 2, unprotected, end, signature: end + headLength(bytes[end]!) }
    return readHeader(bytes, header, unprotected, layout)
  } catch (error) {
    if (error instanceof StatementError) return undefined
    throw error
  }
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }

function readHeader(
  bytes: Uint8Array,
  from: number,
  to: number,
  layout: Writable<Sign1Layout>,
): Sign1Layout | undefined {
  if (bytes[from]! >> 5 !== MAP) return undefined
  const count = argumentAt(bytes, from)
  let at = from + headLength(bytes[from]!)
  for (let i = 0; i < count && at < to; i++) {
    const label = labelAt(bytes, at)
    const value = skip(bytes, at, LEVELS)
    at = skip(bytes, value, LEVELS)
    if (at > to) return undefined
    const major = bytes[value]! >> 5
    const inner = value + headLength(bytes[value]!)
    if (label === LABEL.kid && major === BYTES) layout.kid = kidText(bytes.subarray(inner, at))
    if (label === LABEL.typ && major === TEXT) layout.typ = textOf(bytes, inner, at)
    if (label === LABEL.cwtClaims && major === MAP) readClaims(bytes, value, layout)
  }
  return at === to ? layout : undefined
}

function readClaims(bytes: Uint8Array, from: number, layout: Writable<Sign1Layout>): void {
  const count = argumentAt(bytes, from)
  let at = from + headLength(bytes[from]!)
  for (let i = 0; i < count; i++) {
    const claim = labelAt(bytes, at)
    const value = skip(bytes, at, LEVELS)
    at = skip(bytes, value, LEVELS)
    if (claim === CWT.iss && bytes[value]! >> 5 === TEXT) {
      layout.issuer = textOf(bytes, value + headLength(bytes[value]!), at)
    }
    if (claim === CWT.iat && bytes[value]! >> 5 === UINT) layout.issuedAt = argumentAt(bytes, value)
  }
}

const UINT = 0
const BYTES = 2
const TEXT = 3
const ARRAY = 4
const MAP = 5
const TAG = 6
const SIGN1_TAG = 0xd2
const ARRAY_OF_4 = 0x84
const EMPTY_MAP = 0xa0
/** As deep as headers are read. */
const LEVELS = 16

/** A label that is a number from 0 on, as all are that are looked for. */
function labelAt(bytes: Uint8Array, at: number): number | undefined {
  return bytes[at]! >> 5 === UINT ? argumentAt(bytes, at) : undefined
}

/** Where the item after the one at `at` is; past the end when there is none. Each step is a byte at least, whatever a length claims. */
function skip(bytes: Uint8Array, at: number, levels: number): number {
  const first = bytes[at]
  if (first === undefined || (first & 0x1f) > 27) return Number.POSITIVE_INFINITY
  const major = first >> 5
  let next = at + headLength(first)
  if (major === BYTES || major === TEXT) return next + argumentAt(bytes, at)
  if (major < BYTES || major > TAG) return next
  if (levels === 0) return Number.POSITIVE_INFINITY
  const items = major === TAG ? 1 : argumentAt(bytes, at) * (major === ARRAY ? 1 : 2)
  for (let i = 0; i < items && next < bytes.length; i++) next = skip(bytes, next, levels - 1)
  return next
}

function headLength(first: number): number {
  const info = first & 0x1f
  return info < 24 ? 1 : 1 + (1 << (info - 24))
}

function argumentAt(bytes: Uint8Array, at: number): number {
  const info = bytes[at]! & 0x1f
  if (info < 24) return info
  let value = 0
  const width = 1 << (info - 24)
  for (let i = 1; i <= width; i++) value = value * 256 + (bytes[at + i] ?? 0)
  return value
}
