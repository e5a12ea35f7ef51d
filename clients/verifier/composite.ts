/**
 * Several appraisals as one result: of the members of a collection, which make up one workload. The weakest governs.
 *
 * @module
 */
import { toHex } from '../../merkle/index.ts'
import { type Appraisal as PartAppraisal, worstTier } from '../../provenance/index.ts'
import type { Appraisal } from './appraise.ts'
import { measurementDigest } from './evidence/hardware/hardware-format.ts'
import type { Piece } from './evidence/submission.ts'

export interface AppraisedPiece extends Pick<Piece, 'label' | 'mediaType'> {
  readonly appraisal: Appraisal
}

/** One of one is itself. The others are named by their label in the collection, and where they have parts, by label and part. */
export function together(first: AppraisedPiece, others: readonly AppraisedPiece[]): Appraisal {
  const all = [first, ...others]
  const { issuedAt, verifier, nonces } = first.appraisal.claims
  const tier = worstTier(all.map(({ appraisal }) => appraisal.tier))
  const expiries = all.flatMap(({ appraisal: { claims } }) =>
    claims.expiresAt === undefined ? [] : [claims.expiresAt],
  )
  const thumbprints = new Set(all.map(({ appraisal }) => appraisal.keyThumbprint))
  const [keyThumbprint] = thumbprints
  const measurements = all.map(({ label, appraisal }) => [label ?? '', toHex(appraisal.measurement)])
  return {
    claims: {
      issuedAt,
      expiresAt: Math.min(...expiries),
      verifier,
      status: tier,
      ...(nonces && all.every(({ appraisal }) => appraisal.claims.nonces) ? { nonces } : {}),
      appraisals: new Map(all.flatMap(parts)),
    },
    tier,
    measurement:
      others.length === 0 ? first.appraisal.measurement : measurementDigest(Object.fromEntries(measurements)),
    // Of keys that differ none is the workload's.
    ...(thumbprints.size === 1 && keyThumbprint !== undefined ? { keyThumbprint } : {}),
  }
}

function parts({ label, mediaType, appraisal }: AppraisedPiece): [string, PartAppraisal][] {
  const { appraisals } = appraisal.claims
  return [...appraisals].map(([name, part]) => [
    label === undefined ? name : appraisals.size === 1 ? label : `${label}/${name}`,
    mediaType === undefined ? part : { ...part, annotatedEvidence: { ...part.annotatedEvidence, mediaType } },
  ])
}
