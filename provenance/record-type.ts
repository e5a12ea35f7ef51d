/**
 * How the header of a statement says that it carries a record, and of which type: for whoever reads headers and no records.
 *
 * @module
 */
import { RECORD_TYPES, type RecordType } from './rules/link-rules.ts'

export const RECORD_CONTENT_TYPE = 'application/vnd.provlog.record+cbor'

/** The `typ` of a statement that carries a record of this type. */
export function recordTyp(type: RecordType): string {
  return `application/vnd.provlog.${type}+cose`
}

/** The record type that a `typ` names, if it is one of ours. */
export function recordTypeOf(typ: string | number | undefined): RecordType | undefined {
  return TYPES.get(typ)
}

const TYPES: ReadonlyMap<string | number | undefined, RecordType> = new Map(
  RECORD_TYPES.map((type) => [recordTyp(type), type]),
)
