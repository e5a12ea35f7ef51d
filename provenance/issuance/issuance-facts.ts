/**
 * The facts about a workload that an issuance policy decides on, out of attestation results; those out of workload provenance are in
 * `workload-facts.ts`.
 *
 * The issuer computes them to decide; whoever checks the decision computes them again from the same evidence, so that a
 * context which says something better than the evidence is found out.
 *
 * @module
 */
import type { Hash } from '../../merkle/hash.ts'
import { jwkThumbprint } from '../../statement/cose-key.ts'
import { attestedJwk } from '../attestation/attestation-result.ts'
import { type Appraisal, type EarClaims, tierOfResult } from '../attestation/ear-claims.ts'
import { type Claim, type Tier, tierOfCode, worstTier } from '../attestation/tier.ts'
import type { SectionsOf } from '../records/index.ts'

/** An attestation result whose signature was checked, with what its record adds. */
export interface AppraisedResult {
  readonly claims: EarClaims
  /** Workload identifier of the Verifier who signed it. */
  readonly verifier: string
  /** What identifies the measured software, lower-case hex. */
  readonly measurement?: string
}

/** `context.attestation` of the schema. Sets are sorted. */
export interface AttestationFacts {
  readonly results: number
  readonly tier: Tier
  readonly claims: { readonly [aspect: string]: number }
  readonly ageSeconds: number
  readonly keyAttested: boolean
  readonly verifiers: readonly string[]
  readonly policies: readonly string[]
  readonly measurements: readonly string[]
}

/**
 * What some attestation results say together: the weakest governs.
 *
 * @param keyThumbprint - RFC 7638, of the key that the credential is to be for
 * @param now - POSIX seconds, when the decision is made
 */
export function attestationFacts(
  results: readonly AppraisedResult[],
  keyThumbprint: string,
  now: number,
): AttestationFacts {
  const appraisals = results.flatMap(({ claims }) => [...claims.appraisals.values()])
  const worst: Record<string, number> = {}
  for (const { vector = {} } of appraisals) {
    for (const [claim, code] of Object.entries(vector) as [Claim, number][]) {
      const aspect = ASPECTS[claim]
      const before = worst[aspect]
      worst[aspect] = before === undefined ? code : worseCode(before, code)
    }
  }
  const binds = ({ claims }: AppraisedResult) =>
    [...claims.appraisals.values()].some((appraisal) => attestsKey(appraisal, keyThumbprint))
  return {
    results: results.length,
    tier: worstTier(results.map(({ claims }) => tierOfResult(claims))),
    claims: worst,
    ageSeconds: Math.max(0, ...results.map(({ claims }) => now - claims.issuedAt)),
    keyAttested: results.length > 0 && results.every(binds),
    verifiers: set(results.map(({ verifier }) => verifier)),
    policies: set(appraisals.flatMap(({ policyIds = [] }) => policyIds)),
    measurements: set(results.flatMap(({ measurement }) => (measurement === undefined ? [] : [measurement]))),
  }
}

/** One attested part of a workload, as its record names it. */
export type Component = NonNullable<SectionsOf<'credential-provenance'>['attestation']>['components'][number]

/**
 * The parts that some results are about, in their order: each submodule of each.
 *
 * @param keyThumbprint - as for {@link attestationFacts}
 */
export function componentsOf(
  results: readonly (AppraisedResult & { readonly entry: Hash })[],
  keyThumbprint: string,
): Component[] {
  return results.flatMap(({ claims, entry }) =>
    Array.from(claims.appraisals, ([label, appraisal]) => ({
      label,
      result: entry,
      tier: appraisal.status,
      keyAttested: attestsKey(appraisal, keyThumbprint),
    })),
  )
}

function attestsKey(appraisal: Appraisal, keyThumbprint: string): boolean {
  const jwk = attestedJwk(appraisal)
  return jwk !== undefined && jwkThumbprint(jwk) === keyThumbprint
}

const ASPECTS: Readonly<Record<Claim, string>> = {
  'instance-identity': 'instanceIdentity',
  configuration: 'configuration',
  executables: 'executables',
  'file-system': 'fileSystem',
  hardware: 'hardware',
  'runtime-opaque': 'runtimeOpaque',
  'storage-opaque': 'storageOpaque',
  'sourced-data': 'sourcedData',
}

/** The code of the worse tier; of one tier, the one further from zero, so that the order of results does not matter. */
function worseCode(a: number, b: number): number {
  const [tierA, tierB] = [tierOfCode(a), tierOfCode(b)]
  if (tierA !== tierB) return worstTier([tierA, tierB]) === tierA ? a : b
  if (Math.abs(a) !== Math.abs(b)) return Math.abs(a) > Math.abs(b) ? a : b
  return Math.max(a, b)
}

function set(values: readonly string[]): string[] {
  return [...new Set(values)].sort()
}
