/**
 * That a credential was asked for and not issued: requests leave a trace whatever becomes of them.
 *
 * @module
 */
import { map, oneOf, text } from '../schema.ts'
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
  sections: {
    optional: {
      /** What was asked for, as it was asked: nobody checked it. */
      credential: map({
        required: { subject: text({ max: 2048 }), kind: oneOf('wit', 'wic'), keyThumbprint: text() },
      }),
      /** A request may fail before there is anything to decide. */
      decision,
      detail: map({ required: { text: text({ max: 4096, lines: true }) } }),
    },
  },
})
