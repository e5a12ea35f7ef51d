/**
 * What a client says about the representation it wants, as RFC 9110 has it: validators (§13), encodings (§12.5.3), ranges (§14).
 *
 * Pure, and total: a header that cannot be read is one that was not sent, as the RFC demands of each of these.
 *
 * @module
 */
import { toBase64url } from '../../merkle/bytes.ts'
import type { Hash } from '../../merkle/hash.ts'

/** Bytes [start, end). */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/** A strong validator of the bytes that hash to `digest`. Each encoding of them has its own (§8.8.3.3). */
export function entityTag(digest: Hash, encoding?: 'gzip'): string {
  return `"${toBase64url(digest.subarray(0, 16))}${encoding === undefined ? '' : `.${encoding}`}"`
}

/**
 * Whether `If-None-Match` names the representation: then a GET is answered with 304. By weak comparison (§13.1.2), because proxies
 * that compress on their own make strong tags weak.
 */
export function isNoneMatch(header: string | undefined, tag: string): boolean {
  if (header === undefined) return true
  if (header.trim() === '*') return false
  return !entityTags(header).some((each) => each.replace(/^W\//, '') === tag)
}

/** Whether a range may be served: `If-Range` names this very representation, by strong comparison (§13.1.5). Dates we do not give. */
export function isIfRange(header: string | undefined, tag: string): boolean {
  return header === undefined || header.trim() === tag
}

/** The tags of a list, weak ones with their `W/`; none, when it is no such list. */
function entityTags(header: string): string[] {
  const tags: string[] = []
  // Sticky, and each alternative begins with another character: no backtracking, whatever is sent.
  const next = /[ \t]*(?:,|((?:W\/)?"[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?:,|$)|$)/y
  while (next.lastIndex < header.length) {
    const found = next.exec(header)
    if (!found) return []
    if (found[1] !== undefined) tags.push(found[1])
  }
  return tags
}

/**
 * Whether the client would rather have gzip than the bytes as they are: it says that it takes it, with no less weight than `identity`.
 * `identity;q=0` without gzip is not refused with 406: whoever asked can still see what the answer is.
 */
export function prefersGzip(header: string | undefined): boolean {
  const weights = new Map<string, number>()
  for (const part of (header ?? '').toLowerCase().split(',')) {
    const [, coding, q = '1'] =
      /^[ \t]*([a-z0-9!#$%&'*+.^_`|~-]+)[ \t]*(?:;[ \t]*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*)?$/.exec(part) ?? []
    if (coding !== undefined) weights.set(coding, Number(q))
  }
  const gzip = weights.get('gzip') ?? weights.get('x-gzip') ?? weights.get('*') ?? 0
  return gzip > 0 && gzip >= (weights.get('identity') ?? 0)
}

/**
 * The one range that a `Range` header asks for; undefined when the whole is to be sent: no header, another unit, several ranges (which
 * a server need not serve, and which have been used to have bytes sent many times over), or nonsense.
 */
export function rangeOf(header: string | undefined, length: number): ByteRange | 'unsatisfiable' | undefined {
  const [, first, last] = /^bytes=[ \t]*([0-9]{0,15})-([0-9]{0,15})[ \t]*$/i.exec(header ?? '') ?? []
  if (first === undefined || last === undefined || (first === '' && last === '')) return undefined
  if (first === '') {
    const suffix = Math.min(Number(last), length)
    return suffix === 0 ? 'unsatisfiable' : { start: length - suffix, end: length }
  }
  const start = Number(first)
  if (last !== '' && Number(last) < start) return undefined
  if (start >= length) return 'unsatisfiable'
  return { start, end: last === '' ? length : Math.min(Number(last) + 1, length) }
}
