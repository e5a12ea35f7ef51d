/**
 * How trustworthy an attested thing is: the claims and tiers of AR4SI (draft-ietf-rats-ar4si-09 §2.3).
 *
 * A Verifier gives each of eight aspects a code between −128 and 127; codes fall into four tiers:
 *
 *     affirming   2…31, −2…−32       contraindicated   96…127, −97…−128
 *     warning    32…95, −33…−96      none              0, 1, −1: nothing said, or the Verifier could not tell
 *
 * @module
 */

/** From the best to the worst. `none` ranks below `warning`: nothing known is less than something known to be so-so. */
export const TIERS = ['affirming', 'warning', 'none', 'contraindicated'] as const
export type Tier = (typeof TIERS)[number]

export const CLAIMS = [
  'instance-identity',
  'configuration',
  'executables',
  'file-system',
  'hardware',
  'runtime-opaque',
  'storage-opaque',
  'sourced-data',
] as const
export type Claim = (typeof CLAIMS)[number]

/** Codes by aspect, each −128 to 127. */
export type TrustVector = { readonly [C in Claim]?: number }

export function tierOfCode(code: number): Tier {
  const distance = code >= 0 ? code : -code - 1
  // Negative codes are shifted by one: −1 goes with 0 and 1, −2 with 2 (−128 has no positive twin).
  if (code === 1 || distance === 0) return 'none'
  if (code < 0) return distance < 32 ? 'affirming' : distance < 96 ? 'warning' : 'contraindicated'
  return code < 32 ? 'affirming' : code < 96 ? 'warning' : 'contraindicated'
}

/**
 * The best status that a vector allows: that of its worst claim. Code 0, "no claim is being made", takes no part unless
 * nothing else was claimed; 1 and −1, where the Verifier looked and could not tell, do.
 */
export function tierOfVector(vector: TrustVector): Tier {
  const codes = Object.values(vector).filter((code) => code !== 0)
  return codes.length === 0 ? 'none' : worstTier(codes.map(tierOfCode))
}

/** The worst of some tiers; of none at all, `none`. */
export function worstTier(tiers: readonly Tier[]): Tier {
  if (tiers.length === 0) return 'none'
  return TIERS[Math.max(...tiers.map((tier) => TIERS.indexOf(tier)))]!
}

export function isAtLeast(tier: Tier, minimum: Tier): boolean {
  return TIERS.indexOf(tier) <= TIERS.indexOf(minimum)
}
