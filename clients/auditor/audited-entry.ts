/**
 * An entry as the audit leaves it: what the database is filled with.
 *
 * @module
 */
import type { EarClaims, ProvenanceRecord, SectionsOf } from '../../provenance/index.ts'
import type { SignedStatement } from '../../statement/index.ts'
import type { Recorded } from './recorded.ts'

/** Every section there is, by label; which ones a record can have, and what is in one, is its type's business, and checked when it is opened. */
export type Sections = {
  readonly workload?: SectionsOf<'workload-provenance'>['workload']
  readonly attestation?: NonNullable<SectionsOf<'attestation-result'>['attestation']> &
    NonNullable<SectionsOf<'credential-provenance'>['attestation']>
  readonly policy?: SectionsOf<'issuance-policy'>['policy']
} & Omit<Partial<SectionsOf<'credential-provenance'>>, 'attestation'>

/** What the auditor's key opened. */
export interface OpenedContent {
  readonly sections: Sections
  /** Of a sealed attestation result, if it is the Verifier's and says what the record says. */
  readonly claims?: EarClaims
}

export interface AuditedEntry {
  readonly index: number
  readonly recorded: Recorded
  /**
   * `record`: it may be on the log. `refused`: it may not. `foreign`: no record of ours. `erased`: the log has no bytes for it.
   * `unreadable`: no statement, or not signed by the key that it names.
   */
  readonly state: 'record' | 'refused' | 'foreign' | 'erased' | 'unreadable'
  /** Absent where there is none; of `unreadable` ones nobody has vouched for it. */
  readonly statement?: SignedStatement
  /** Of `record` and `refused`. */
  readonly record?: ProvenanceRecord
  /** Of a `record` of which a section was opened. */
  opened?: OpenedContent
}
