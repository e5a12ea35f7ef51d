/**
 * What the log is and whom it obeys: its names, its keys, and what it demands of a registration. Entry 0, and whatever
 * changes it, so that the policy in force at any index can be replayed (RFC 9943 §5.1.2).
 *
 * @module
 */
import { foreignRules } from '../rules/foreign-policy.ts'
import { list, text, uint } from '../schema.ts'
import { defineRecord } from './define-record.ts'
import { kid, signingKey, vkey } from './field-types.ts'

export const logPolicy = defineRecord({
  type: 'log-policy',
  fields: {
    required: {
      /** Of its checkpoints. Also the `iss` of what its admin signs. Never changes. */
      origin: text(),
      /** Of its checkpoint keys. */
      vkeys: list(vkey, { min: 1, max: 8 }),
      receiptKeys: list(signingKey, { min: 1, max: 8 }),
      /** Who may authorize keys, and sign the next version of this. */
      adminKeys: list(signingKey, { min: 1, max: 8 }),
      /** At most what readers of statements take when nobody tells them: auditors must be able to read whatever was admitted. */
      maxStatementBytes: uint({ min: 1, max: 2 ** 20 }),
    },
    optional: {
      /** Encryption keys, of auditors say, for which every sealed record must come with a wrap. */
      requireWrapFor: list(kid, { min: 1, max: 8 }),
      /** Which statements are registered that are no records of ours, and by whom. Absent: none. */
      foreign: foreignRules,
    },
  },
})
