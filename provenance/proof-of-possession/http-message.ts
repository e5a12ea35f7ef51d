/**
 * An HTTP message as those who prove and check possession look at it: the start line, the header fields as they came, the content.
 *
 * Fields are a list and not an object, because an object has already decided what two fields of one name mean, and the one
 * who decided otherwise is whom an attacker uses. Node gives the list as `rawHeaders`.
 *
 * @module
 */
import { assert } from '../../merkle/error.ts'
import { ProvenanceError } from '../error.ts'

/** One header field line, in the spelling in which it came. The value is text of one character for each byte. */
export type FieldLine = readonly [name: string, value: string]

interface HttpMessage {
  /** Every header field line, in order. */
  readonly fields: readonly FieldLine[]
  /** The bytes behind the header, before any content coding is undone. Absent or empty when there are none. */
  readonly content?: Uint8Array
}

export interface HttpRequest extends HttpMessage {
  /** As sent: methods have case. */
  readonly method: string
  /** The target of the request line: `/path?query` as a rule. With HTTP/2 and HTTP/3, `:path`. */
  readonly target: string
}

export interface HttpResponse extends HttpMessage {
  readonly status: number
}

/** By lower-case name, the value without white space around it. Several lines of one name are joined by `, `. */
export type Fields = ReadonlyMap<string, string>

/**
 * The fields that are credentials, proofs, or covered by them. Each may be there once: a second `Workload-Identity-Token`, or a
 * second `Content-Type`, is read by the next program as that one likes.
 */
const SINGLE_FIELDS = new Set([
  'authorization',
  'content-digest',
  'content-type',
  'signature',
  'signature-input',
  'txn-token',
  'workload-identity-token',
  'workload-proof-token',
])

const MAX_FIELDS = 256
/** Of all fields together, in characters. Node reads no more than 16 KiB unless told to. */
const MAX_FIELDS_LENGTH = 64 * 1024
const MAX_TARGET_LENGTH = 8 * 1024

/** RFC 9110 §5.6.2. Node and proxies refuse others; whoever comes from elsewhere is refused here. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/

/**
 * Reads the header fields of a message.
 *
 * @param single - further fields that may be there only once, by lower-case name
 * @throws {@link ProvenanceError} `malformed_message`, `duplicate_field`
 */
export function readFields({ fields }: Pick<HttpMessage, 'fields'>, single: readonly string[] = []): Fields {
  if (fields.length > MAX_FIELDS) throw refuse(`more than ${MAX_FIELDS} header fields`)
  const isSingle = (name: string) => SINGLE_FIELDS.has(name) || single.includes(name)
  let length = 0
  const read = new Map<string, string>()
  for (const [name, value] of fields) {
    length += name.length + value.length
    if (length > MAX_FIELDS_LENGTH) throw refuse(`more than ${MAX_FIELDS_LENGTH} characters of header fields`)
    if (!TOKEN.test(name)) throw refuse('a header field with a name that is none')
    // A line break in a value would end a line of the signature base, and begin another.
    if (!/^[\t -~\x80-\xff]*$/.test(value)) throw refuse(`${name} has control characters, or others than bytes`)
    const lower = name.toLowerCase()
    // Gateways hand fields on as variables, in which `_` and `-` are one.
    if (lower.includes('_') && isSingle(lower.replaceAll('_', '-'))) {
      throw new ProvenanceError('duplicate_field', `${name} is read as ${lower.replaceAll('_', '-')} by some`)
    }
    const before = read.get(lower)
    if (before !== undefined && isSingle(lower)) {
      throw new ProvenanceError('duplicate_field', `${name} is there more than once`)
    }
    const trimmed = trim(value)
    read.set(lower, before === undefined ? trimmed : `${before}, ${trimmed}`)
  }
  return read
}

/**
 * Method and target of a request, when they can be lines of a signature base.
 *
 * @throws {@link ProvenanceError} `malformed_message`
 */
export function checkRequestLine({ method, target }: Pick<HttpRequest, 'method' | 'target'>): void {
  if (method.length > 64 || !TOKEN.test(method)) throw refuse('a method that is none')
  if (target.length > MAX_TARGET_LENGTH || !/^[!"$-~]+$/.test(target)) {
    throw refuse('a request target that is empty, too long, or has what must be percent-encoded')
  }
}

/**
 * The path of a request target, without its query. The authority of a target in absolute form is left out: it is what the
 * client says, like `Host`.
 *
 * @throws {@link ProvenanceError} `malformed_message` for `*` and for the target of CONNECT, which have none
 */
export function pathOfTarget(target: string): string {
  const path = /^(?:[a-z][a-z0-9+.-]*:\/\/[^/?]*)?([^?]*)/i.exec(target)![1]!
  if (path.startsWith('/')) return path
  if (path === '' && target.includes('://')) return '/'
  throw refuse('a request target without a path')
}

/** Field lines from a list of names and values in turn: `rawHeaders` of Node, where `headers` has made one of several. */
export function fieldLinesOf(rawHeaders: readonly string[]): FieldLine[] {
  assert(rawHeaders.length % 2 === 0, 'names and values come in pairs')
  const lines: FieldLine[] = []
  for (let i = 0; i < rawHeaders.length; i += 2) lines.push([rawHeaders[i]!, rawHeaders[i + 1]!])
  return lines
}

/** Optional white space of RFC 9110 §5.6.3, and no other: `String.trim` takes away bytes of other texts, too. */
function trim(value: string): string {
  let [start, end] = [0, value.length]
  while (start < end && (value[start] === ' ' || value[start] === '\t')) start++
  while (end > start && (value[end - 1] === ' ' || value[end - 1] === '\t')) end--
  return value.slice(start, end)
}

function refuse(why: string): ProvenanceError {
  return new ProvenanceError('malformed_message', why)
}
