import type { Hash } from '../../merkle/index.ts'
import type { FieldsOf } from '../../provenance/index.ts'
import type { VerificationKey } from '../../statement/index.ts'

/** A log-policy record that is in the log, signed by the admin in force before it. */
export interface LogPolicy {
  readonly entry: Hash
  readonly index: number
  readonly fields: FieldsOf<'log-policy'>
  /** By kid. */
  readonly receiptKeys: ReadonlyMap<string, VerificationKey>
  readonly adminKeys: ReadonlyMap<string, VerificationKey>
}
