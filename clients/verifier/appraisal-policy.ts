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
 * claim the worse stays. `stale`, `undated` and `wrongNonce` may be left out, and such evidence is then refused instead of being
 * given a result. With `referenceValues` (ids) only those are compared with, and otherwise all that the Verifier has published.
 *
 * For evidence from hardware (docs/evidence.md) the cases that are about the platform have defaults, and a policy may also have
 *
 * ```json
 *   "accept": ["uncheckedRevocation"],               what it goes without knowing
 *   "keyBinding": "report_data=sha512(nonce|spki)",  how evidence names the workload's key
 *   "roots": ["<hex>"]                               SHA-256 of root certificates, in the place of the vendor's own
 * ```
 *
 * For results of other Verifiers (`ear`), `claims.match` names the claims that are passed on, each at best as good as it says, and
 *
 * ```json
 *   "profiles": ["tag:github.com,2023:veraison/ear"],   the dialects that are taken
 *   "policyIds": ["policy:PSA_IOT"]                     what that Verifier must have applied, and nothing else
 * ```
 *
 * The document does not name itself: its id and version are those of the record that it is logged in.
 *
 * @module
 */
import { type Static, Type } from 'typebox'
import {
  CLAIMS,
  type Claim,
  EAR_PROFILES,
  type EarProfile,
  type TrustVector,
  tierOfCode,
} from '../../provenance/index.ts'
import { readDocument } from './document.ts'
import { VerifierError } from './error.ts'
import {
  APPRAISAL_CASES,
  type AppraisalCase,
  type EvidenceFormat,
  IGNORANCE,
  type Ignorance,
} from './evidence/format.ts'
import { evidenceFormat } from './evidence/formats.ts'

export interface AppraisalPolicy {
  readonly format: EvidenceFormat
  /** Older evidence is `stale`. */
  readonly maxEvidenceAgeSeconds: number
  /** From the appraisal to the result's `exp`. */
  readonly resultLifetimeSeconds: number
  /** Ids; 1 to 8 of them, or undefined for all of the Verifier's own. */
  readonly referenceValues?: readonly string[]
  readonly claims: { readonly match: TrustVector } & { readonly [C in AppraisalCase]?: TrustVector }
  /** What it goes without knowing: these cases take nothing away. */
  readonly accept?: readonly Ignorance[]
  readonly keyBinding?: string
  /** SHA-256 fingerprints, lower-case hex. */
  readonly roots?: readonly string[]
  /** Of results of other Verifiers: the dialects that are taken; any, when absent. */
  readonly profiles?: readonly EarProfile[]
  /** Of results of other Verifiers: the policies that may have been applied; any, when absent. */
  readonly policyIds?: readonly string[]
}

/** Refused where the policy is silent. */
const MAY_BE_REFUSED: readonly AppraisalCase[] = ['stale', 'undated', 'wrongNonce']

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
        ...(Object.fromEntries(
          APPRAISAL_CASES.filter((name) => name !== 'match').map((name) => [name, Type.Optional(Vector)]),
        ) as Record<Exclude<AppraisalCase, 'match'>, ReturnType<typeof Type.Optional<typeof Vector>>>),
      },
      { additionalProperties: false },
    ),
    accept: Type.Optional(Type.Array(Type.Enum([...IGNORANCE]), { maxItems: 8 })),
    keyBinding: Type.Optional(Type.String({ maxLength: 64 })),
    roots: Type.Optional(Type.Array(Type.String({ pattern: '^[0-9a-f]{64}$' }), { minItems: 1, maxItems: 16 })),
    profiles: Type.Optional(Type.Array(Type.Enum([...EAR_PROFILES]), { minItems: 1, maxItems: 8 })),
    policyIds: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 512 }), { minItems: 1, maxItems: 64 })),
  },
  { additionalProperties: false },
)

/** @throws {@link VerifierError} `malformed_policy`, `unknown_evidence_format`, `unsupported_claim`, `lenient_policy` */
export function parseAppraisalPolicy(content: Uint8Array): AppraisalPolicy {
  const { format: name, ...document } = readDocument(Document, content, 'malformed_policy')
  const format = evidenceFormat(name)
  checkFits(document, format)
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

/** That the policy says something of all that the format can show, and nothing of what it cannot. */
function checkFits(document: Omit<Static<typeof Document>, 'format'>, format: EvidenceFormat): void {
  const named = Object.keys(document.claims) as AppraisalCase[]
  const foreign = [...named, ...(document.accept ?? [])].find((name) => !format.cases.includes(name))
  if (foreign) throw malformed(`/claims/${foreign}`, `${format.name} evidence never shows it`)
  const silent = format.cases.find(
    (name) => !named.includes(name) && !MAY_BE_REFUSED.includes(name) && !(name in format.defaults),
  )
  if (silent) throw malformed(`/claims/${silent}`, 'must have an entry')
  // A result has to say something.
  if (Object.keys(document.claims.match).length === 0) throw malformed('/claims/match', 'claims nothing')
  // One that is accepted and also counted against the evidence: which of the two was meant is not for us to guess.
  const both = document.accept?.find((name) => named.includes(name))
  if (both) throw malformed(`/accept/${both}`, 'is also in /claims')

  const { keyBinding, roots } = document
  if (keyBinding !== undefined && !format.keyBindings.includes(keyBinding)) {
    throw malformed('/keyBinding', `is not one of: ${format.keyBindings.join(', ') || `nothing, for ${format.name}`}`)
  }
  if (roots && (!format.references || format.attesters)) {
    throw malformed('/roots', `${format.name} evidence has no root certificates`)
  }
  const aboutResults = (['profiles', 'policyIds'] as const).find((name) => document[name] && !format.resultIn)
  if (aboutResults) throw malformed(`/${aboutResults}`, `${format.name} evidence is no attestation result`)
}

function malformed(path: string, why: string): VerifierError {
  return new VerifierError('malformed_policy', `${path} ${why}`)
}
