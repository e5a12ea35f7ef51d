/**
 * Endorsements of Oak: whoever built a binary says so in an in-toto statement (https://project-oak.github.io/oak/tr/endorsement/v1), signs it, and has
 * the signature written into a log.
 *
 *     { "_type": "https://in-toto.io/Statement/v1", "subject": [{ "name", "digest": { "sha256" } }],
 *       "predicate": { "validity": { "notBefore", "notAfter" }, "claims": [{ "type": URI }, …] } }
 *
 * Whose word it is, and in which log it must be, is for reference values to say: by the SHA-256 of the keys, which come along or are collateral.
 *
 * @module
 */
import type { KeyObject } from 'node:crypto'
import { fromUtf8, sha256, toHex, utf8 } from '../../../../../merkle/index.ts'
import { canonicalJson, isJsonObject, type Json, type JsonObject, parseJson } from '../../../../../provenance/index.ts'
import { malformedCollateral, VerifierError } from '../../../error.ts'
import { type Finding, outside } from '../chain.ts'
import { isSignedBy, keyId } from './ecdsa.ts'
import { type LogEntry, readLogEntry, verifyLogEntry } from './rekor.ts'

/** As it comes, in either of the messages that there are for it. Nobody has checked anything. */
export interface SignedEndorsement {
  /** The in-toto statement, JSON. */
  readonly statement: Uint8Array
  /** ECDSA, DER. */
  readonly signature: Uint8Array
  /** What the statement has the digest of, where it had to come along. */
  readonly subject?: Uint8Array
  /** As Rekor answers, JSON. */
  readonly logEntry?: Uint8Array
}

/** An endorsement that somebody signed. Who that is, the reference values know. */
export interface Endorsement {
  /** SHA-256 of what is endorsed, as it stands in the statement. */
  readonly digest: string
  readonly subject?: Uint8Array
  readonly claims: readonly string[]
  /** SHA-256 of the SubjectPublicKeyInfo of the key that signed, hex. */
  readonly endorser: string
  /** The same of the key of the log that it is proven to be in. Absent without an entry, and without that key. */
  readonly log?: string
  /** `expiredCollateral`. */
  readonly findings: readonly Finding[]
}

const STATEMENT = 'https://in-toto.io/Statement/v1'
const PREDICATE = 'https://project-oak.github.io/oak/tr/endorsement/v1'
const MAX_STATEMENT_BYTES = 64 * 1024
const MAX_CLAIMS = 256

/**
 * Undefined where nothing says with which key: of an endorser who is not among `keys`, and whose log entry did not come along.
 *
 * @param keys - given as collateral: of endorsers and of logs
 * @param at - POSIX seconds
 * @throws {@link VerifierError} `malformed_collateral`, `wrong_collateral` where it is not signed, or not in the log, as it says
 */
export function verifyEndorsement(
  { statement, signature, subject, logEntry }: SignedEndorsement,
  keys: readonly KeyObject[],
  at: number,
): Endorsement | undefined {
  const entry = logEntry && readLogEntry(logEntry)
  const key = [...(entry ? [entry.endorserKey] : []), ...keys].find((each) => isSignedBy(each, statement, signature))
  if (!key) {
    if (entry) throw wrong('an endorsement that is not signed by its endorser')
    return undefined
  }
  const { digest, claims, notBefore, notAfter, name } = readStatement(statement)
  if (subject && toHex(sha256(subject)) !== digest)
    throw wrong(`what came with the endorsement of ${name} is not what it endorses`)
  const log = entry && logOf(entry, { statement, key, keys })
  return {
    digest,
    ...(subject ? { subject } : {}),
    claims,
    endorser: keyId(key),
    ...(log === undefined ? {} : { log }),
    findings: at < notBefore || at > notAfter ? [outside(`the endorsement of ${name}`, notBefore, notAfter)] : [],
  }
}

/** The claims by one digest: SHA-256 of their types, sorted, as JSON (RFC 8785). */
export function claimsDigest(claims: readonly string[]): string {
  return toHex(sha256(utf8(canonicalJson([...new Set(claims)].sort()))))
}

/** An entry of a log whose key was not given says nothing. */
function logOf(
  entry: LogEntry,
  { statement, key, keys }: { statement: Uint8Array; key: KeyObject; keys: readonly KeyObject[] },
): string | undefined {
  const logKey = keys.find((candidate) => keyId(candidate) === entry.logId)
  if (!logKey) return undefined
  if (keyId(entry.endorserKey) !== keyId(key)) throw wrong('the log has the signature of another endorser')
  verifyLogEntry(entry, statement, logKey)
  return entry.logId
}

interface Statement {
  readonly name: string
  readonly digest: string
  readonly claims: readonly string[]
  /** POSIX seconds. */
  readonly notBefore: number
  readonly notAfter: number
}

function readStatement(bytes: Uint8Array): Statement {
  if (bytes.length > MAX_STATEMENT_BYTES) throw malformedCollateral(`a statement of ${bytes.length} bytes`)
  const { _type, predicateType, subject, predicate } = object(parsed(bytes), 'the statement')
  if (_type !== STATEMENT || predicateType !== PREDICATE) throw malformedCollateral('a statement of another kind')
  const [first, ...more] = list(subject, 'subject')
  if (more.length > 0) throw malformedCollateral(`${more.length + 1} subjects`)
  const { name, digest } = object(first, 'subject')
  const { validity, claims = [] } = object(predicate, 'predicate')
  const { notBefore, notAfter } = object(validity, 'validity')
  const types = list(claims, 'claims').map((claim) => text(object(claim, 'a claim')['type'], 'the type of a claim'))
  if (types.length > MAX_CLAIMS) throw malformedCollateral(`${types.length} claims`)
  return {
    name: JSON.stringify(name ?? '').slice(0, 128),
    digest: text(object(digest, 'digest')['sha256'], 'sha256'),
    claims: types,
    notBefore: time(notBefore),
    notAfter: time(notAfter),
  }
}

function parsed(bytes: Uint8Array): Json {
  try {
    return parseJson(fromUtf8(bytes))
  } catch (cause) {
    throw malformedCollateral('an endorsement that is not JSON', cause)
  }
}

/** RFC 3339 in UTC, with fractions of a second. */
function time(value: Json | undefined): number {
  const milliseconds =
    typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/.test(value)
      ? Date.parse(value)
      : Number.NaN
  if (Number.isNaN(milliseconds)) throw malformedCollateral('a validity that has no times')
  return milliseconds / 1000
}

function object(value: Json | undefined, what: string): JsonObject {
  if (!isJsonObject(value)) throw malformedCollateral(`${what} is no object`)
  return value
}

function list(value: Json | undefined, what: string): readonly Json[] {
  if (!Array.isArray(value)) throw malformedCollateral(`${what} is no list`)
  return value
}

function text(value: Json | undefined, what: string): string {
  if (typeof value !== 'string') throw malformedCollateral(`${what} is no text`)
  return value
}

function wrong(why: string): VerifierError {
  return new VerifierError('wrong_collateral', why)
}
