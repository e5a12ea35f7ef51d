/**
 * What several routes say in the same words: path parameters, media types, caching.
 *
 * @module
 */
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { parseAccept, weightOf } from '../http/accept.ts'
import { RequestError } from '../problem.ts'

/** For bytes that the path names for good. */
export const IMMUTABLE = 'public, max-age=31536000, immutable'

/** Seconds, where a registration is under way. The header has no smaller unit; most are done long before. */
export const RETRY_AFTER = '1'

/**
 * For bytes that the path names as long as nothing in them is erased. Whoever keeps them asks again after a day, and until then may show what
 * was erased meanwhile; most answers to asking are 304.
 */
export const IMMUTABLE_FOR_A_DAY = 'public, max-age=86400, immutable'

/** The names that a receipt and a statement go by; the bytes are the same. */
export const RECEIPT_TYPES = ['application/cose', 'application/scitt-receipt+cose'] as const
export const STATEMENT_TYPES = ['application/cose', 'application/scitt-statement+cose'] as const

/** An entry: the hex of its hash, or `0.<index>` as clients that know CCF's transaction ids expect. */
export const EntryId = Type.String({
  pattern: '^(?:[0-9a-f]{64}|0\\.(?:0|[1-9][0-9]{0,15}))$',
  description: 'The entry in hex, or `0.` and its index.',
})

/** A SHA-256 value in hex. */
export const HexDigest = Type.String({ pattern: '^[0-9a-f]{64}$', description: 'A SHA-256 in lower-case hex.' })

/** An RFC 9679 thumbprint in base64url. */
export const Kid = Type.String({
  pattern: '^[A-Za-z0-9_-]{43}$',
  description: 'The base64url RFC 9679 thumbprint of a key.',
})

/** A count or an index, in its one decimal form. {@link integer} gives its value. */
export const Decimal = Type.String({
  pattern: '^(?:0|[1-9][0-9]{0,15})$',
  description: 'A number below 2⁵³, in its one decimal form.',
})

/** @throws {@link RequestError} `invalid_locator` past 2⁵³ − 1 */
export function integer(decimal: string): number {
  const value = Number(decimal)
  if (!Number.isSafeInteger(value)) throw new RequestError('invalid_locator', 'a number past 2⁵³ − 1')
  return value
}

/** `bytes` as Fastify sends them, uncopied. */
export function octets(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** `named` when the `Accept` header names it and weighs it no less than `application/cose`, which it is otherwise: the bytes are the same. */
export function coseType({ headers: { accept } }: FastifyRequest, named: string): string {
  // A look before reading: few ask, and registering is the hot path.
  if (accept === undefined || !/scitt/i.test(accept)) return 'application/cose'
  const accepted = parseAccept(accept)
  const weight = accepted.get(named) ?? 0
  return weight > 0 && weight >= weightOf('application/cose', accepted) ? named : 'application/cose'
}
