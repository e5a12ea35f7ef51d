/**
 * Internal binding: where in a credential stands which entry of which log announced it.
 *
 *     WIT    "urn:oid:1.2.840.…": { "log": "log.example", "entry": "<hex>", "index": 41 }
 *     X.509  extension 1.2.840.…, not critical:
 *            LogReference ::= SEQUENCE { log UTF8String, entry OCTET STRING (SIZE (32)), index INTEGER OPTIONAL }
 *
 * One name in both worlds. It is an OID that nobody else can have been given: a UUID in seven arcs, by the scheme that Microsoft published
 * for whoever has no arc of his own. The arc for UUIDs, 2.25, has one number of 128 bits, and Go's X.509 parser refuses a whole
 * certificate for an arc of more than 31. Not critical, so that who does not know it takes the certificate for what it is besides.
 *
 * The entry is that of an `issuance-intent`, which commits to what the credential says (RFC 6962's precertificates, by commitment).
 *
 * @module
 */
import { concatBytes, equalBytes, fromHex, fromUtf8, toHex, utf8 } from '../merkle/bytes.ts'
import { EvidenceError } from '../merkle/error.ts'
import { type Hash, sha256 } from '../merkle/hash.ts'
import { encodeCbor } from '../statement/cbor.ts'
import { DerReader, derUnsigned, readDer, TAG } from './certificates/der.ts'
import { ProvenanceError } from './error.ts'
import { isJsonObject, type Json, type JsonObject } from './json.ts'
import type { FieldsOf } from './records/index.ts'

/** UUID 4db2ea27-0f5e-402c-bfe3-dfdc7f75295a. */
export const LOG_REFERENCE_OID = '1.2.840.113556.1.8000.2554.19890.59943.3934.16428.49123.14670975.7678298'
export const LOG_REFERENCE_CLAIM = `urn:oid:${LOG_REFERENCE_OID}`

export interface LogReference {
  /** Origin of the log. */
  readonly log: string
  readonly entry: Hash
  readonly index?: number
}

export function logReferenceClaim({ log, entry, index }: LogReference): JsonObject {
  return { log, entry: toHex(entry), ...(index !== undefined && { index }) }
}

/** @throws {@link ProvenanceError} `malformed_credential` */
export function parseLogReferenceClaim(claim: Json): LogReference {
  if (!isJsonObject(claim)) throw refuse('is no object')
  const { log, entry, index, ...others } = claim
  if (Object.keys(others).length > 0) throw refuse('has members that mean nothing')
  if (typeof entry !== 'string' || !/^[0-9a-f]{64}$/.test(entry)) throw refuse('has no entry')
  if (index !== undefined && typeof index !== 'number') throw refuse('has an index that is none')
  return checked({ log, entry: fromHex(entry), ...(index !== undefined && { index }) })
}

export function encodeLogReference({ log, entry, index }: LogReference): Uint8Array {
  const parts = [der(UTF8_STRING, utf8(log)), der(TAG.octetString, entry)]
  if (index !== undefined) parts.push(der(TAG.integer, unsigned(index)))
  return der(TAG.sequence, concatBytes(...parts))
}

/** @throws {@link ProvenanceError} `malformed_credential`, `malformed_der` */
export function decodeLogReference(value: Uint8Array): LogReference {
  const reader = new DerReader(readDer(value, TAG.sequence).content)
  const log = text(reader.next(UTF8_STRING).content)
  const entry = reader.next(TAG.octetString).content
  const last = reader.optional(TAG.integer)
  reader.end()
  const digits = last && derUnsigned(last)
  if (digits && digits.length > 7) throw refuse('has an index that is none')
  const index = digits?.reduce((sum, byte) => sum * 256 + byte, 0)
  return checked({ log, entry, ...(index !== undefined && { index }) })
}

/** What a credential will say, before it says it. */
export interface Announced {
  readonly kind: 'wit' | 'wic'
  /** `jti` or serial number. */
  readonly identifier: string
  readonly subject: string
  readonly keyThumbprint: string
}

type Commitments = Pick<FieldsOf<'issuance-intent'>, 'identifierCommitment' | 'subjectCommitment' | 'keyCommitment'>

/**
 * What an intent says of subject, key and identifier to who has the credential, and to nobody else: the identifier is 120 random bits or
 * more, and salts what could be guessed.
 */
export function intentCommitments({ kind, identifier, subject, keyThumbprint }: Announced): Commitments {
  const commit = (what: string, value: string) =>
    sha256(encodeCbor(['provlog/intent/v1', what, kind, identifier, value]))
  return {
    identifierCommitment: commit('identifier', identifier),
    subjectCommitment: commit('subject', subject),
    keyCommitment: commit('key', keyThumbprint),
  }
}

/** @throws {@link ProvenanceError} `intent_mismatch` */
export function checkCommitments(fields: Commitments, announced: Announced): void {
  for (const [name, value] of Object.entries(intentCommitments(announced)) as [keyof Commitments, Hash][]) {
    if (equalBytes(fields[name], value)) continue
    throw new ProvenanceError('intent_mismatch', `the ${name} of the intent is to something else`)
  }
}

const UTF8_STRING = 0x0c
const MAX_ORIGIN_LENGTH = 256

function checked({ log, entry, index }: { log?: Json | undefined; entry: Hash; index?: number }): LogReference {
  if (typeof log !== 'string' || log === '' || log.length > MAX_ORIGIN_LENGTH) throw refuse('names no log')
  if (entry.length !== 32) throw refuse('has no entry')
  if (index !== undefined && (!Number.isSafeInteger(index) || index < 0)) throw refuse('has an index that is none')
  return { log, entry, ...(index !== undefined && { index }) }
}

function text(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes)
  } catch (cause) {
    if (!(cause instanceof EvidenceError)) throw cause
    throw refuse('names no log')
  }
}

function der(tag: number, content: Uint8Array): Uint8Array {
  const { length } = content
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return concatBytes(Uint8Array.of(tag, ...head), content)
}

/** Big-endian, with a zero before a first bit that is set. */
function unsigned(value: number): Uint8Array {
  const bytes: number[] = []
  for (let rest = value; rest > 0 || bytes.length === 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256)
  return Uint8Array.from(bytes[0]! >= 0x80 ? [0, ...bytes] : bytes)
}

function refuse(why: string): ProvenanceError {
  return new ProvenanceError('malformed_credential', `its reference to a log ${why}`)
}
