/**
 * What a record type is: its row in the link table, its clear fields, and its sealed sections.
 *
 * @module
 */
import { LINK_RULES, type RecordType } from '../rules/link-rules.ts'
import { type Fields, map, type Schema, type Shape } from '../schema.ts'

/** The audiences of sealed sections, in the order in which a record has them. */
export const SECTION_LABELS = ['workload', 'attestation', 'policy', 'credential', 'decision', 'tags', 'detail'] as const
export type SectionLabel = (typeof SECTION_LABELS)[number]
type Sections = Readonly<Partial<Record<SectionLabel, Schema<unknown>>>>

/** What records of all types have, and are read for it in one place (`record.ts`). */
const COMMON_KEYS = ['v', 'id', 'links', 'tags', 'unique', 'sealed'] as const

/** A record type. `signers` and `links` are those of {@link LINK_RULES}. */
export interface RecordDefinition<T extends RecordType, F, S> {
  readonly type: T
  readonly signers: (typeof LINK_RULES)[T]['signers']
  readonly links: (typeof LINK_RULES)[T]['links']
  /** Read by everybody. */
  readonly fields: {
    readonly keys: readonly string[]
    /** Of a whole record: what all types have is not looked at. */
    readonly schema: Schema<F>
  }
  /** Read by whoever is given the key of the section, one by one. */
  readonly sections: {
    readonly required: readonly SectionLabel[]
    readonly schemas: ReadonlyMap<SectionLabel, Schema<unknown>>
    /** In the order of {@link SECTION_LABELS}. */
    readonly labels: readonly string[]
    /** Only a type: {@link SectionsOf}. */
    readonly contents?: S
  }
}

export function defineRecord<
  T extends RecordType,
  R extends Shape,
  O extends Shape = Record<never, never>,
  SR extends Sections = Record<never, never>,
  SO extends Sections = Record<never, never>,
>(definition: {
  readonly type: T
  readonly fields: { readonly required: R; readonly optional?: O }
  readonly sections?: { readonly required?: SR; readonly optional?: SO }
}): RecordDefinition<T, Fields<R, O>, Fields<SR, SO>> {
  const { type, fields, sections = {} } = definition
  const schemas = new Map(
    Object.entries({ ...sections.required, ...sections.optional }) as [SectionLabel, Schema<unknown>][],
  )
  return {
    type,
    signers: LINK_RULES[type].signers,
    links: LINK_RULES[type].links,
    fields: {
      keys: Object.keys({ ...fields.required, ...fields.optional }),
      schema: map({ ...fields, beside: COMMON_KEYS }),
    },
    sections: {
      required: Object.keys(sections.required ?? {}) as SectionLabel[],
      schemas,
      labels: SECTION_LABELS.filter((label) => schemas.has(label)),
    },
  }
}
