/**
 * Appraisal policies for evidence: what a Verifier makes of each thing that evidence can show. JSON; `docs/examples/appraisal-policy.json`:
 *
 * ```json
 * { "format": "measured-files", "maxEvidenceAgeSeconds": 300, "resultLifetimeSeconds": 3600,
 *   "claims": {
 *     "match":           { "instance-identity": 2, "executables": 2 },
 *     "mismatch":        { "executables": 96 },
 *     "unknownFile":     { "executables": 33 },
 *     "unknownAttester": { "instance-identity": 97 } } }
 * ```
 *
 * `claims.match` is what a clean appraisal says, as AR4SI codes. Every other case takes away from it: of two codes for one
 * claim the worse stays. `stale` and `wrongNonce` may be left out, and such evidence is then refused instead of being given a
 * result. With `referenceValues` (ids) only those are compared with, and otherwise all that the Verifier has published.
 *
 * The document does not name itself: its id and version are those of the record that it is logged in.
 *
 * @module
 */
import { Type } from 'typebox'
import { CLAIMS, type Claim, type TrustVector, tierOfCode } from '../../provenance/index.ts'
import { readDocument } from './document.ts'
import { VerifierError } from './error.ts'
import type { AppraisalCase, EvidenceFormat } from './evidence/format.ts'
import { measuredFiles } from './evidence/measured-files.ts'

export interface AppraisalPolicy {
  readonly format: EvidenceFormat
  /** Older evidence is `stale`. */
  readonly maxEvidenceAgeSeconds: number
  /** From the appraisal to the result's `exp`. */
  readonly resultLifetimeSeconds: number
  /** Ids; 1 to 8 of them, or undefined for all of the Verifier's own. */
  readonly referenceValues?: readonly string[]
  readonly claims: Readonly<Record<RequiredCase, TrustVector>> & { readonly [C in AppraisalCase]?: TrustVector }
}

type RequiredCase = 'match' | 'mismatch' | 'unknownFile' | 'unknownAttester'

const Code = Type.Optional(Type.Integer({ minimum: -128, maximum: 127 }))
const Vector = Type.Object(Object.fromEntries(CLAIMS.map((claim) => [claim, Code])) as Record<Claim, typeof Code>, {
  additionalProperties: false,
})

const Document = Type.Object(
  {
    format: Type.String({ maxLength: 64 }),
    maxEvidenceAgeSeconds: Type.Integer({ minimum: 1 }),
    resultLifetimeSeconds: Type.Integer({ minimum: 1 }),
    referenceValues: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 256 }), { minItems: 1, maxItems: 8 }),
    ),
    claims: Type.Object(
      {
        match: Vector,
        mismatch: Vector,
        unknownFile: Vector,
        unknownAttester: Vector,
        stale: Type.Optional(Vector),
        wrongNonce: Type.Optional(Vector),
      },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false },
)

const FORMATS: ReadonlyMap<string, EvidenceFormat> = new Map([[measuredFiles.name, measuredFiles]])

/** @throws {@link VerifierError} `unknown_evidence_format` */
export function evidenceFormat(name: string): EvidenceFormat {
  const format = FORMATS.get(name)
  if (!format) {
    throw new VerifierError(
      'unknown_evidence_format',
      `${JSON.stringify(name)} is not one of: ${[...FORMATS.keys()].join(', ')}`,
    )
  }
  return format
}

/** @throws {@link VerifierError} `malformed_policy`, `unknown_evidence_format`, `unsupported_claim`, `lenient_policy` */
export function parseAppraisalPolicy(content: Uint8Array): AppraisalPolicy {
  const { format: name, ...document } = readDocument(Document, content, 'malformed_policy')
  const format = evidenceFormat(name)
  for (const [title, vector] of Object.entries(document.claims)) {
    const unsupported = (Object.keys(vector) as Claim[]).find((claim) => !format.claims.includes(claim))
    if (unsupported) {
      // The honest limit of a format is not for a policy to lift.
      throw new VerifierError('unsupported_claim', `/claims/${title}/${unsupported}: ${name} evidence cannot show it`)
    }
    if (title === 'match') continue
    const tiers = Object.values(vector).map(tierOfCode)
    if (tiers.includes('affirming') || !tiers.some((tier) => tier === 'warning' || tier === 'contraindicated')) {
      throw new VerifierError('lenient_policy', `/claims/${title} must warn or contraindicate, and affirm nothing`)
    }
  }
  return { format, ...document }
}
