/**
 * That a credential was asked for and not issued: requests leave a trace whatever becomes of them.
 *
 * @module
 */
import { text } from '../schema.ts'
import { decision } from './decision.ts'
import { defineRecord } from './define-record.ts'

export const issuanceDenied = defineRecord({
  type: 'issuance-denied',
  fields: {
    required: {
      /** A stable code, as `policy_denied` or `result_expired`. */
      reason: text({ max: 64 }),
    },
  },
  // Optional: a request may fail before there is anything to decide.
  sections: { optional: { decision } },
})
