/**
 * How an issuer decided: enough to decide again, years later, and compare.
 *
 * @module
 */
import { type Infer, list, map, oneOf, text } from '../schema.ts'
import { digest } from './field-types.ts'

export const decision = map({
  required: {
    /** As `cedar`, and the version that evaluated. */
    engine: text(),
    engineVersion: text(),
    /** SHA-256 of the policy text: that of the `issuance-policy` linked to. */
    policyDigest: digest,
    /** SHA-256 of `context` in UTF-8. */
    contextDigest: digest,
    /** What was decided on: canonical JSON (RFC 8785). */
    context: text({ max: 256 * 1024, lines: true }),
    decision: oneOf('allow', 'deny'),
    /** Ids of the policies that determined it. */
    reasons: list(text(), { max: 256 }),
  },
})

export type DecisionTrace = Infer<typeof decision>
