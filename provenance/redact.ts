/**
 * The one redactor: what leaves a process of ours as a line of a log, a reason on a terminal or the detail of a refusal goes through here.
 *
 *     tokens (compact JWS and JWE, whole or a piece)      [redacted]
 *     Authorization, Cookie, Signature, Txn-Token,
 *     Workload-Identity-Token, Workload-Proof-Token       the name stays, the value is [redacted]
 *     PEM, private members of a JWK, CEKs by name         [redacted]
 *     anything longer than a digest in hex                [redacted]
 *     line breaks, controls, what turns text around       \n, \u001b, …                so that no line forges a second one
 *     what is invisible                                   nothing
 *
 * It is the second wall: no code of ours puts a secret into a message. A library that quotes what it could not read does, and so does a
 * peer whose answer is quoted. Digests, key names, identifiers and paths stay readable: without them a log says nothing.
 *
 * @module
 */
import { JSON_HEAD } from './secrets.ts'

const CUT = '[redacted]'

/** `text` on one line without secrets, at most `max` UTF-16 units of it. */
export function redact(text: string, max = 512): string {
  const left = escapeControls(redactSecrets(text.slice(0, SCANNED * max)))
  // A pair of surrogates is not cut in two.
  return left.slice(0, /[\ud800-\udbff]/.test(left.charAt(max - 1)) ? max - 1 : max)
}

/** How much more than what stays is looked at: what was cut makes room. */
const SCANNED = 8

/** `text` without secrets: its lines stay, as of a help text. */
export function redactSecrets(text: string): string {
  let left = text.replace(/\p{Cf}/gu, '')
  for (const [pattern, replacement] of SECRETS) left = left.replace(pattern, replacement)
  return left.replace(LONG_RUN, (run) => (VKEY.test(run) || PATH.test(run) ? run : CUT))
}

/** Control characters, and separators of lines and paragraphs, as they are written in JSON; half a character too. */
export function escapeControls(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]/gu, (character) => {
    if (character === '\n') return '\\n'
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}

/** What is said about an error, and of its causes. */
export interface RedactedError {
  readonly type: string
  readonly code?: string
  readonly message: string
  /** Where it was thrown: our own lines and those of libraries, and nothing of the message. */
  readonly at?: readonly string[]
  readonly cause?: RedactedError
  readonly errors?: readonly RedactedError[]
}

/** Causes of causes, and errors beside one another. */
const MAX_CAUSES = 4

/** Of an error its name, code, message, place and causes: other members may hold what was being read. */
export function redactError(error: unknown, causes = MAX_CAUSES): RedactedError {
  if (!(error instanceof Error)) return { type: typeof error, message: redact(String(error)) }
  const { name, message, stack, cause } = error
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  const errors: readonly unknown[] = error instanceof AggregateError ? error.errors : []
  const at = framesOf(stack, message)
  return {
    type: redact(name, 64),
    ...(code !== undefined && { code: redact(code, 64) }),
    message: redact(message),
    ...(at.length > 0 && { at }),
    ...(cause !== undefined && causes > 0 && { cause: redactError(cause, causes - 1) }),
    ...(errors.length > 0 &&
      causes > 0 && { errors: errors.slice(0, MAX_CAUSES).map((each) => redactError(each, causes - 1)) }),
  }
}

/** Any value as a line of a log may have it: of plain data all, of what lives only its kind, and nothing deeper than a few levels. */
export function redactValue(value: unknown, levels = 8): unknown {
  if (typeof value === 'string') return redact(value)
  if (value instanceof Error) return redactError(value)
  if (typeof value !== 'object' || value === null) return typeof value === 'bigint' ? String(value) : value
  if (value instanceof Uint8Array) return `${value.length} bytes`
  if (levels === 0) return CUT
  if (Array.isArray(value)) return value.slice(0, MAX_MEMBERS).map((each) => redactValue(each, levels - 1))
  const kind = Object.getPrototypeOf(value) as object | null
  if (kind !== null && kind !== Object.prototype) return `[${redact(String(value.constructor?.name), 64)}]`
  const entries = Object.entries(value).slice(0, MAX_MEMBERS)
  return Object.fromEntries(
    entries.map(([name, each]) => [
      redact(name, 64),
      SECRET_NAME.test(name) && each !== undefined ? CUT : redactValue(each, levels - 1),
    ]),
  )
}

const MAX_MEMBERS = 64

/** Fields of requests, and members of keys, whose values are not said whatever they are. */
const SECRET_FIELD =
  '(?:proxy-)?authorization|(?:set-)?cookie|(?:workload-(?:identity|proof)|txn)-token|dpop|signature(?:-input)?'
const SECRET_MEMBER =
  'd|k|p|q|dp|dq|qi|priv|cek|secret|client_secret|password|passphrase|private_?key|(?:access|refresh|id)_token|encrypted_key'
const SECRET_NAME = new RegExp(`^(?:${SECRET_FIELD}|${SECRET_MEMBER})$`, 'i')

/** In this order: what is cut by name is cut whole, and not first in pieces. */
const SECRETS: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN[\s\S]*?(?:-----END[^-]{0,64}-----|$)/g, CUT],
  // A value in quotes, to the quote; another to the end of the word, the scheme of an Authorization before it.
  [new RegExp(`\\b(${SECRET_FIELD})(\\\\?["']?\\s*[:=,]\\s*\\\\?)(["'])[^"']*\\3?`, 'gi'), `$1$2${CUT}`],
  [new RegExp(`\\b(${SECRET_FIELD})(["']?\\s*[:=]\\s*)(?:[A-Za-z]+\\s+)?[^\\s"']{8,}`, 'gi'), `$1$2${CUT}`],
  [/\b(Bearer|DPoP)\s+[A-Za-z0-9._~+/=-]{8,}/gi, `$1 ${CUT}`],
  [new RegExp(`(\\\\?["']?\\b(?:${SECRET_MEMBER})\\\\?["']?\\s*[:=]\\s*)\\\\?(["'])[^"']*\\2?`, 'gi'), `$1${CUT}`],
  [/\b(?:AGE-SECRET-KEY-1|PRIVATE\+KEY\+)\S*/g, CUT],
  // With its other parts, and those lines that are as long as only wrapped tokens have them.
  [new RegExp(`(?<![A-Za-z0-9_-])${JSON_HEAD}[A-Za-z0-9_.=-]*(?:(?:\\s|\\\\[nr])+[A-Za-z0-9_.=-]{24,})*`, 'g'), CUT],
]

/** Longer than a digest in hex. */
const LONG_RUN = /[A-Za-z0-9+/_=-]{65,}/g
/** The end of a log's verifier key, which is public. */
const VKEY = /\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}$/
/** A path of short names: base64 has a slash in some sixty characters. */
const PATH = /^(?:\/[A-Za-z0-9_=-]{1,40}){3,}\/?$/

/** Lines of a stack, each with a place in a file at its end; the message is above them, and may be made to look like some. */
function framesOf(stack: unknown, message: string): readonly string[] {
  if (typeof stack !== 'string') return []
  const after = stack.indexOf(message)
  const frames = (after < 0 ? stack : stack.slice(after + message.length)).split('\n')
  return frames
    .map((line) => line.trim())
    .filter((line) => /^at .*:\d+:\d+\)?$/.test(line))
    .slice(0, 16)
    .map((line) => escapeControls(line.replace(TOKEN, CUT)).slice(0, 256))
}

/** Paths are long runs too, so of frames only this is cut. */
const TOKEN = new RegExp(`(?<![A-Za-z0-9_-])${JSON_HEAD}[A-Za-z0-9_-]{8,}[A-Za-z0-9_.=-]*`, 'g')
