/**
 * Concise problem details (RFC 9290): what a SCITT service answers when it says no, in CBOR.
 *
 *     {-1: title, -2: detail, ? "tag:provlog.example,2026:problem": {? "code": our own error code, ? "status": of HTTP}}
 *
 * What is ours is in a map of its own under a URI, the only place that §3.2 has for it. Not −4, the response code: that is CoAP's, in
 * one byte (4.04 is 132), and no HTTP status fits.
 *
 * @module
 */
import { asMap, asText, asUint, type CborValue, decodeCbor, encodeCbor } from './cbor.ts'
import { readingAs } from './error.ts'

export const PROBLEM_MEDIA_TYPE = 'application/concise-problem-details+cbor'

export interface Problem {
  /** A phrase that is the same for all problems of the kind. SCRAPI lists some: "Rejected", "Payload Missing". */
  readonly title: string
  /** A sentence about this one. */
  readonly detail: string
  /** The `code` of the error behind it, for programs. */
  readonly code?: string
  /** Of HTTP, for problems that travel without one of their own: one for each statement of a batch. */
  readonly status?: number
}

export function encodeProblem({ title, detail, code, status }: Problem): Uint8Array {
  const problem = new Map<number | string, CborValue>([
    [TITLE, title],
    [DETAIL, detail],
  ])
  const ours = new Map<string, CborValue>()
  if (code !== undefined) ours.set('code', code)
  if (status !== undefined) ours.set('status', status)
  if (ours.size > 0) problem.set(OURS, ours)
  return encodeCbor(problem)
}

/**
 * Reads problem details of any service. Entries we do not know are skipped, as RFC 9290 §3 asks; a title or detail that is not there
 * is empty text.
 *
 * @throws {@link StatementError} `malformed_problem` and what decoding throws
 */
export function decodeProblem(bytes: Uint8Array): Problem {
  // Ours are sorted; nobody else's need be.
  const problem = decodeCbor(bytes, { maxBytes: 65_536, sortedKeys: false })
  return readingAs('malformed_problem', () => {
    const map = asMap(problem, 'problem details')
    const ours = asMap(map.get(OURS) ?? new Map(), 'our own part')
    const [code, status] = [ours.get('code'), ours.get('status')]
    return {
      title: asText(map.get(TITLE) ?? '', 'the title'),
      detail: asText(map.get(DETAIL) ?? '', 'the detail'),
      ...(code !== undefined && { code: asText(code, 'the code') }),
      ...(status !== undefined && { status: asUint(status, 'the status') }),
    }
  })
}

const TITLE = -1
const DETAIL = -2
const OURS = 'tag:provlog.example,2026:problem'
