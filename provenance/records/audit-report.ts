/**
 * What an auditor found when the whole log was replayed up to one of its trees: the root that it came to, and what it found on the way.
 *
 * The findings themselves stay with the auditor, who may show them: here are their digests, each over one line of text for each
 * finding, sorted by index and then as bytes, every line ended by a line feed:
 *
 *     <index> <check> <entry that it is about, in lower-case hex, or ->
 *
 * Two audits of one tree may honestly find different things: by a key that opens more, at another time, by another catalogue. So there are
 * two digests. That of `settled` findings is the same for whoever replays the same entries by the same catalogue, whenever and with whichever key.
 *
 * @module
 */
import { map, oneOf, uint } from '../schema.ts'
import { defineRecord } from './define-record.ts'
import { digest, kid, time } from './field-types.ts'

export const auditReport = defineRecord({
  type: 'audit-report',
  fields: {
    required: {
      /** Entries below this were in the auditor's report before, which is linked to; 0 in the first. All that is said is about all entries below `size`. */
      from: uint(),
      size: uint({ min: 1 }),
      /** Of the tree of `size` entries, recomputed from them. */
      root: digest,
      /** `passed`: neither errors nor warnings. */
      verdict: oneOf('passed', 'refused'),
      counts: map({ required: { error: uint(), warning: uint(), info: uint() } }),
      /** Of all findings. */
      findings: digest,
      /** Of those that follow from the entries alone. */
      settled: digest,
      /** Names what was looked for: every check with its severity, and the record types that were known. */
      catalogue: digest,
      /** The auditor's clock, when this audit began. */
      auditedAt: time,
    },
    optional: {
      /** The key that opened sealed sections. Without it none was opened. */
      openedWith: kid,
      /** Records of which it opened a section. */
      opened: uint(),
    },
  },
})
