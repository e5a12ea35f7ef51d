/**
 * Concise problem details (RFC 9290): what a SCITT service answers when it says no, in CBOR.
 *
 *     {-1: title, -2: detail, ? -4: status, ? "code": our own error code}
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
  /** The `code` of the error behind it, for programs. Not in RFC 9290, which lets text keys be added. */
  readonly code?: string
  /** HTTP status. RFC 9290 means CoAP's, which has the same shape for those SCRAPI uses. */
  readonly status?: number
}

export function encodeProblem({ title, detail, code, status }: Problem): Uint8Array {
  const problem = new Map<number | string, CborValue>([
    [TITLE, title],
    [DETAIL, detail],
  ])
  if (status !== undefined) problem.set(RESPONSE_CODE, status)
  if (code !== undefined) problem.set(CODE, code)
  return encodeCbor(problem)
}

/**
 * Reads problem details of any service. Keys we do not know are skipped, as RFC 9290 §3 asks; a title or detail that is not there
 * is empty text.
 *
 * @throws {@link StatementError} `malformed_problem` and what decoding throws
 */
export function decodeProblem(bytes: Uint8Array): Problem {
  // Ours are sorted; nobody else's need be.
  const problem = decodeCbor(bytes, { maxBytes: 65_536, sortedKeys: false })
  return readingAs('malformed_problem', () => {
    const map = asMap(problem, 'problem details')
    const [code, status] = [map.get(CODE), map.get(RESPONSE_CODE)]
    return {
      title: asText(map.get(TITLE) ?? '', 'the title'),
      detail: asText(map.get(DETAIL) ?? '', 'the detail'),
      ...(code !== undefined && { code: asText(code, 'the code') }),
      ...(status !== undefined && { status: asUint(status, 'the response code') }),
    }
  })
}

const TITLE = -1
const DETAIL = -2
const RESPONSE_CODE = -4
const CODE = 'code'
