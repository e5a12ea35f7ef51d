/**
 * A record: the payload of a Signed Statement on this log, as deterministic CBOR.
 *
 *     { "v": 1, "id": h'…16', "links": [["issuance-policy", h'…32'], …],
 *       "tags"?: [h'…16', …], "unique"?: [h'…16', …],
 *       "kind": "wit", "credentialDigest": h'…32', …         the clear fields of its type
 *       "sealed"?: {"suite": 1, "sections": […]} }
 *
 * The type is not in the payload. It is the `typ` of the protected header, so a statement cannot be read as two types.
 *
 * @module
 */
import { equalBytes, toHex } from '../merkle/bytes.ts'
import type { Hash } from '../merkle/hash.ts'
import { type CborValue, encodeCbor } from '../statement/cbor.ts'
import { DEFAULT_LIMITS, readCbor } from '../statement/cbor-read.ts'
import { decodeSealed, encodeSealed, type Sealed } from '../statement/seal.ts'
import type { SignedStatement, VerifiedStatement } from '../statement/signed-statement.ts'
import { ProvenanceError } from './error.ts'
import { RECORD_CONTENT_TYPE, recordTypeOf } from './record-type.ts'
import type { RecordDefinition } from './records/define-record.ts'
import { definitionOf, type FieldsOf } from './records/index.ts'
import { LINK_RELATIONS, type LinkRelation, type RecordType } from './rules/link-rules.ts'
import { byEncoding, bytes, list, malformed, oneOf, uint } from './schema.ts'
import { refuseTokensIn } from './token-in-clear.ts'

export interface Link {
  readonly rel: LinkRelation
  /** Of the statement linked to. */
  readonly entry: Hash
}

/** A record of one type, as decoded: well formed, and nothing more. */
export interface RecordOf<T extends RecordType> {
  readonly type: T
  /** 16 random bytes. */
  readonly id: Uint8Array
  /** At most {@link MAX_LINKS}. */
  readonly links: readonly Link[]
  /** For lookup by whoever has the tag key: 16 bytes each. */
  readonly tags: readonly Uint8Array[]
  /** Values that this signer may use once: 16 bytes each. */
  readonly unique: readonly Uint8Array[]
  readonly fields: FieldsOf<T>
  readonly sealed?: Sealed
}

/** A record of one of the types `T`: `record.type` tells which, and TypeScript follows. */
export type AnyRecordOf<T extends RecordType> = { readonly [K in T]: RecordOf<K> }[T]
export type ProvenanceRecord = AnyRecordOf<RecordType>

/** A record whose statement is signed by `statement.signer`. Whether that key may say so is `checkRecord`'s question. */
export interface RecordStatement<T extends RecordType = RecordType> {
  readonly statement: VerifiedStatement
  readonly record: AnyRecordOf<T>
  readonly entry: Hash
}

export { RECORD_CONTENT_TYPE, recordTyp, recordTypeOf } from './record-type.ts'

export const MAX_LINKS = 64

/** The `sub` of a statement that carries the record with this id. */
export function recordSubject(id: Uint8Array): string {
  return `urn:provlog:record:${toHex(id)}`
}

/**
 * The payload.
 *
 * @throws {@link ProvenanceError} whatever {@link decodeRecord} would refuse it for
 */
export function encodeRecord(record: ProvenanceRecord): Uint8Array {
  return encodeAndRead(record).payload
}

/** Through the reader, so that we never sign what we would refuse; and what it read. @throws as {@link encodeRecord} */
export function encodeAndRead<T extends RecordType>(
  record: AnyRecordOf<T>,
): { readonly payload: Uint8Array; readonly record: AnyRecordOf<T> } {
  const payload = writeRecord(record as ProvenanceRecord)
  return { payload, record: decodeRecord(record.type as T, payload) }
}

function writeRecord(record: ProvenanceRecord): Uint8Array {
  const { type, id, links, tags, unique, fields, sealed } = record
  const entries: [string, CborValue][] = [
    ['v', VERSION],
    ['id', id],
    ['links', links.map(({ rel, entry }) => [rel, entry])],
    ...(definitionOf(type).fields.schema.encode(fields) as ReadonlyMap<string, CborValue>),
  ]
  if (tags.length > 0) entries.push(['tags', tags])
  if (unique.length > 0) entries.push(['unique', unique])
  if (sealed) entries.push(['sealed', encodeSealed(sealed)])
  return encodeCbor(new Map(entries.sort(([a], [b]) => byEncoding(a, b))))
}

/**
 * The record in a payload whose statement says that it is of `type`. It has views of the payload, which must not change any more.
 *
 * @throws {@link ProvenanceError} `malformed_record` naming the path, `duplicate_link`, `section_missing`, `token_in_clear`
 * @throws StatementError `malformed_cbor`, `too_large`, `malformed_seal`
 */
export function decodeRecord<T extends RecordType>(type: T, payload: Uint8Array): AnyRecordOf<T> {
  return readRecord(type, readCbor(payload, VIEWS), payload) as AnyRecordOf<T>
}

/** Whether a statement says that it carries one of our records: not somebody else's payload, nor the hash of a record. */
export function isRecordStatement({ header }: SignedStatement): boolean {
  return header.contentType === RECORD_CONTENT_TYPE && header.payloadHashAlg === undefined
}

/**
 * The record that a statement carries, if the two say the same about it.
 *
 * @throws {@link ProvenanceError} `unknown_record_type`, and those of {@link decodeRecord}
 */
export function recordOfStatement(statement: SignedStatement): ProvenanceRecord {
  const { header, payload } = statement
  if (!isRecordStatement(statement)) throw malformed('the content type', `must be ${RECORD_CONTENT_TYPE}`)
  // Labels that nobody here reads are kept as well, and are as public.
  const { protectedBytes, protectedHeader } = statement.sign1
  refuseTokensIn(protectedBytes, protectedHeader, 'the header')
  const type = recordTypeOf(header.typ)
  if (!type) throw unknownType(header.typ)
  if (header.kid === undefined) throw malformed('kid', 'is missing')
  if (header.issuedAt === undefined) throw malformed('iat', 'is missing')
  const record: ProvenanceRecord = decodeRecord(type, payload)
  if (header.subject !== recordSubject(record.id)) throw malformed('sub', 'must name the id of the record')
  return record
}

/**
 * As {@link recordOfStatement}, with the statement whose signature was verified.
 *
 * @param read - what {@link recordOfStatement} gave for this statement, where it was asked before
 * @throws {@link ProvenanceError} also `malformed_record` when `kid` names another key than the one that verified
 */
export function recordStatementOf(statement: VerifiedStatement, read?: ProvenanceRecord): RecordStatement {
  // Records are found by signer. One found under a name that is not its signer's would be somebody else's word.
  if (statement.header.kid !== statement.signer.kid) throw malformed('kid', 'must name the key that signed')
  return { statement, record: read ?? recordOfStatement(statement), entry: statement.entry }
}

/** When the signer says that it signed: POSIX seconds. */
export function issuedAtOf({ statement: { header } }: RecordStatement): number {
  if (header.issuedAt === undefined) throw malformed('iat', 'is missing')
  return header.issuedAt
}

function unknownType(typ: string | number | undefined): ProvenanceError {
  const type = /^application\/vnd\.provlog\.([a-z-]+)\+cose$/.exec(String(typ))?.[1]
  const named = type === undefined ? 'no type of ours' : `type ${type.slice(0, 64)}`
  return new ProvenanceError('unknown_record_type', `records of ${named} are unknown here`)
}

const VIEWS = { ...DEFAULT_LIMITS, views: true }
const VERSION = 1
const tags = bytes(16)
const relation = oneOf(...LINK_RELATIONS)
const anEntry = bytes(32)

/** The part that all types share, by key: what is left over are the type's own fields. */
const common = {
  v: uint(),
  id: bytes(16),
  tags: list(tags, { min: 1, max: 64 }),
  unique: list(tags, { min: 1, max: 16 }),
}

/** @param encoded - what `value` was decoded from */
function readRecord(type: RecordType, value: CborValue, encoded: Uint8Array): ProvenanceRecord {
  if (!(value instanceof Map)) throw malformed('a record', 'must be a map')
  const all: ReadonlyMap<unknown, CborValue> = value
  const take = (key: string): CborValue => {
    const inner = all.get(key)
    if (inner === undefined) throw malformed(key, 'is missing')
    return inner
  }
  // Before anything else has a reason to quote a part of it.
  refuseTokensIn(encoded, value, '')
  if (take('v') !== VERSION) throw malformed('v', `must be ${VERSION}`)

  const definition = definitionOf(type)
  const record: Writable<RecordOf<RecordType>> = {
    type,
    id: common.id.decode(take('id'), 'id'),
    links: readLinks(take('links')),
    tags: all.has('tags') ? distinct(common.tags.decode(take('tags'), 'tags'), 'tags') : [],
    unique: all.has('unique') ? distinct(common.unique.decode(take('unique'), 'unique'), 'unique') : [],
    fields: definition.fields.schema.decode(value, '') as FieldsOf<RecordType>,
  }
  if (all.has('sealed')) record.sealed = decodeSealed(take('sealed'))
  checkSections(definition, record.sealed)
  return record as ProvenanceRecord
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }

function readLinks(value: CborValue): Link[] {
  if (!Array.isArray(value)) throw malformed('links', 'must be an array')
  const pairs: readonly CborValue[] = value
  if (pairs.length > MAX_LINKS) throw malformed('links', `must have at most ${MAX_LINKS} elements`)
  const links = pairs.map((pair, i) => (isLink(pair) ? { rel: pair[0], entry: pair[1] } : linkOf(pair, `links[${i}]`)))
  // A repeated link would meet the minimum of a rule for two.
  for (let i = 1; i < links.length; i++) {
    for (let j = 0; j < i; j++) {
      if (links[j]!.rel === links[i]!.rel && equalBytes(links[j]!.entry, links[i]!.entry))
        throw new ProvenanceError('duplicate_link', `links[${i}] repeats an earlier link`)
    }
  }
  return links
}

/** Whether {@link linkOf} has no complaint: asked first, for the place of each link is then never put into words. */
function isLink(pair: CborValue): pair is readonly [LinkRelation, Hash] {
  if (!Array.isArray(pair) || pair.length !== 2) return false
  const [rel, entry]: readonly CborValue[] = pair
  return LINK_RELATIONS.includes(rel as LinkRelation) && entry instanceof Uint8Array && entry.length === 32
}

function linkOf(pair: CborValue, path: string): Link {
  if (!Array.isArray(pair) || pair.length !== 2) throw malformed(path, 'must be a relation and an entry')
  return { rel: relation.decode(pair[0], `${path}[0]`), entry: anEntry.decode(pair[1], `${path}[1]`) }
}

function distinct(values: readonly Uint8Array[], path: string): readonly Uint8Array[] {
  if (new Set(values.map(toHex)).size !== values.length) throw malformed(path, 'must not repeat')
  return values
}

/** One encoding: known labels only, each at most once, in the order that the definition has. */
function checkSections(definition: RecordDefinition<RecordType, unknown, unknown>, sealed: Sealed | undefined): void {
  const { labels, required } = definition.sections
  const sections = sealed?.sections ?? []
  let previous = -1
  for (const { label } of sections) {
    const position = labels.indexOf(label)
    if (position < 0) throw malformed('sealed', `must not have a section ${JSON.stringify(label)}`)
    if (position <= previous) throw malformed('sealed', 'must have its sections in order, each once')
    previous = position
  }
  for (const label of required) {
    if (!sections.some((section) => section.label === label))
      throw new ProvenanceError('section_missing', `a ${definition.type} must seal ${label}`)
  }
}
