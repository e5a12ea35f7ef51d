/**
 * That something of an earlier statement was destroyed: the wraps that open its sealed sections, or the statement too. The log does it in
 * the commit that makes this record durable, so what is missing and why are one.
 *
 * @module
 */
import { map, oneOf, text } from '../schema.ts'
import { defineRecord } from './define-record.ts'

export const erasure = defineRecord({
  type: 'erasure',
  fields: {
    required: {
      /** `statement`: its wraps and its bytes, by the log's admin alone. The entry stays in the tree, and every proof holds. */
      scope: oneOf('keys', 'statement'),
    },
    optional: {
      /** Under which rule: the name of a retention policy, of a law. Read by everybody, so no place for details. */
      reasonCode: text({ max: 64 }),
    },
  },
  sections: { optional: { detail: map({ required: { text: text({ max: 4096, lines: true }) } }) } },
})
