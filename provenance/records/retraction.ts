/**
 * That something which others rely on is withdrawn: a key that was stolen, a policy that let too much through, reference values for
 * firmware with a hole. What was decided by it before `effectiveAt` stands; what was decided since does not.
 *
 * Nothing takes a retraction back. A later version of the policy, or a new authorization of the key, begins anew.
 *
 * @module
 */
import { map, text } from '../schema.ts'
import { defineRecord } from './define-record.ts'
import { time } from './field-types.ts'

export const retraction = defineRecord({
  type: 'retraction',
  fields: {
    required: {
      /** From when on it must not be relied on: in the past when the harm was found late, in the future when it is planned. */
      effectiveAt: time,
    },
    optional: {
      /** Read by everybody: for keys as RFC 5280 §5.3.1 names them, else a word. */
      reasonCode: text({ max: 64 }),
    },
  },
  sections: { optional: { detail: map({ required: { text: text({ max: 4096, lines: true }) } }) } },
})
