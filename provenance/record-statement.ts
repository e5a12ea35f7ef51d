/**
 * Making a record: seal what is not for everybody, sign the whole, and wrap the keys for those who may read.
 *
 *     sections ──seal──► ciphertexts ──┐
 *                  └──► keys           ├─► record ──sign──► statement      registered, kept forever
 *     fields, links ───────────────────┘
 *                       keys ──wrap──► one per recipient                   kept beside the log, may be destroyed
 *
 * @module
 */
import { assert } from '../merkle/error.ts'
import { type CborValue, decodeCbor, encodeCbor } from '../statement/cbor.ts'
import type { PublicJwk } from '../statement/cose-key.ts'
import { openSection, type Sealed, sealSections } from '../statement/seal.ts'
import type { SigningKey } from '../statement/signature.ts'
import { type SignedStatement, signStatement } from '../statement/signed-statement.ts'
import { wrapKeys } from '../statement/wrap.ts'
import {
  type AnyRecordOf,
  encodeAndRead,
  type Link,
  type ProvenanceRecord,
  RECORD_CONTENT_TYPE,
  type RecordOf,
  type RecordStatement,
  recordSubject,
  recordTyp,
} from './record.ts'
import { SECTION_LABELS } from './records/define-record.ts'
import { definitionOf, type FieldsOf, type SectionsOf } from './records/index.ts'
import type { RecordType } from './rules/link-rules.ts'

/** What is to be said. */
export interface NewRecord<T extends RecordType> {
  readonly type: T
  readonly fields: FieldsOf<T>
  readonly links?: readonly Link[]
  readonly tags?: readonly Uint8Array[]
  readonly unique?: readonly Uint8Array[]
  /** By label. Those that the type demands must be there. */
  readonly sections?: SectionsOf<T>
  /** Who may open all of the sections. Keys of single sections can be handed out later. */
  readonly recipients?: readonly PublicJwk[]
}

/** Who says it, and when. */
export interface Author {
  readonly key: SigningKey
  /** `iss`: the workload identifier that the key is authorized for; the log's origin, for its admin. */
  readonly issuer: string
  /** POSIX seconds. */
  readonly now: number
  /** So many bytes, unpredictable and never the same. */
  readonly random: (length: number) => Uint8Array
}

export interface BuiltRecord<T extends RecordType> {
  readonly statement: SignedStatement
  readonly record: RecordOf<T>
  /** One for each recipient, in their order; none when nothing is sealed. */
  readonly wraps: Uint8Array[]
  /** Content keys by label. Secret. */
  readonly keys: ReadonlyMap<string, Uint8Array>
}

/**
 * Seals, signs and wraps a record with a fresh id.
 *
 * @throws {@link ProvenanceError} for a record that would be refused, before anything is signed
 */
export async function buildRecordStatement<T extends RecordType>(
  newRecord: NewRecord<T>,
  author: Author,
): Promise<BuiltRecord<T>> {
  const { type, fields, links = [], tags = [], unique = [], recipients = [] } = newRecord
  const id = author.random(16)
  const plaintexts = encodeSections(type, newRecord.sections)
  const { sealed, keys } = await seal({ issuer: author.issuer, recordId: id }, plaintexts, author.random)

  const said: RecordOf<T> = { type, id, links, tags, unique, fields, ...(sealed && { sealed }) }
  const { payload, record } = encodeAndRead<T>(said as AnyRecordOf<T>)
  const statement = await signStatement(
    {
      issuer: author.issuer,
      subject: recordSubject(id),
      issuedAt: author.now,
      contentType: RECORD_CONTENT_TYPE,
      typ: recordTyp(type),
      payload,
    },
    author.key,
  )
  const wraps = keys.size === 0 ? [] : await Promise.all(recipients.map((recipient) => wrapKeys(id, keys, recipient)))
  return { statement, record: record as RecordOf<T>, wraps, keys }
}

/**
 * The sections of a record for which `keys` has a key. Each key is checked against the signed commitment before anything is
 * decrypted, and what comes out against the type of the record.
 *
 * @throws StatementError `wrong_key`, `decryption_failed`, `malformed_padding`, `malformed_cbor`
 * @throws {@link ProvenanceError} `malformed_record`
 */
export async function openSections<T extends RecordType>(
  { statement, record }: Pick<RecordStatement<T>, 'record'> & { readonly statement: SignedStatement },
  keys: ReadonlyMap<string, Uint8Array>,
): Promise<Partial<SectionsOf<T>>> {
  const { id, type, sealed } = record as ProvenanceRecord
  const { schemas } = definitionOf(type).sections
  const opened: Record<string, unknown> = {}
  for (const section of sealed?.sections ?? []) {
    const key = keys.get(section.label)
    if (!key) continue
    const plaintext = await openSection({ issuer: statement.header.issuer, recordId: id }, section, key)
    const schema = schemas.get(section.label as (typeof SECTION_LABELS)[number])
    assert(schema, 'a decoded record has only the sections of its type')
    opened[section.label] = schema.decode(decodeCbor(plaintext), section.label)
  }
  return opened as Partial<SectionsOf<T>>
}

/** Plaintexts by label, in the one order that a record may have them. */
function encodeSections(type: RecordType, sections: unknown): ReadonlyMap<string, Uint8Array> {
  const given = (sections ?? {}) as Readonly<Record<string, unknown>>
  const { schemas } = definitionOf(type).sections
  const unknown = Object.keys(given).find((label) => !(schemas as ReadonlyMap<string, unknown>).has(label))
  assert(unknown === undefined, `a ${type} has no section ${unknown}`)
  const plaintexts = new Map<string, Uint8Array>()
  for (const label of SECTION_LABELS) {
    const schema = schemas.get(label)
    if (!schema || given[label] === undefined) continue
    const value: CborValue = schema.encode(given[label])
    // Nobody sees a mistake in here once it is sealed, so it is read back before.
    schema.decode(value, label)
    plaintexts.set(label, encodeCbor(value))
  }
  return plaintexts
}

async function seal(
  context: { readonly issuer: string; readonly recordId: Uint8Array },
  plaintexts: ReadonlyMap<string, Uint8Array>,
  random: Author['random'],
): Promise<{ sealed?: Sealed; keys: ReadonlyMap<string, Uint8Array> }> {
  return plaintexts.size === 0 ? { keys: new Map() } : sealSections(context, plaintexts, random)
}
