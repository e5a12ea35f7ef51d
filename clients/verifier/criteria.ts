/**
 * What evidence is judged by: the versions of policy and reference values that the log has in force, and nothing else.
 *
 * @module
 */
import type { LogClient, LoggedRecord } from '../log-client/index.ts'
import { contentInForce } from '../log-client/policy-version.ts'
import { type AppraisalPolicy, parseAppraisalPolicy } from './appraisal-policy.ts'
import { VerifierError } from './error.ts'
import type { EvidenceFormat } from './evidence/format.ts'
import { parseReferenceValues, type ReferenceValues } from './reference-values.ts'

export const JSON_MEDIA_TYPE = 'application/json'

/** The most that `/v1/latest/{type}/{kid}` lists. */
const MAX_LISTED = 100

/** Whose documents. */
export interface Owner {
  readonly client: Pick<LogClient, 'latest' | 'latestAll'>
  /** kid of the Verifier. */
  readonly kid: string
  /** POSIX seconds. */
  readonly now: number
}

export interface ChosenPolicy {
  readonly logged: LoggedRecord<'appraisal-policy'>
  readonly policy: AppraisalPolicy
}

/** @throws {@link VerifierError} `unknown_policy`, `ambiguous_policy`, `wrong_format`; VersionError */
export async function choosePolicy(
  { client, kid, now }: Owner,
  { name: format }: EvidenceFormat,
  policyId: string | undefined,
): Promise<ChosenPolicy> {
  const read = (logged: LoggedRecord<'appraisal-policy'>): ChosenPolicy => ({
    logged,
    policy: parseAppraisalPolicy(contentInForce(logged, now)),
  })
  if (policyId !== undefined) {
    const logged = await client.latest('appraisal-policy', kid, policyId)
    if (!logged)
      throw new VerifierError('unknown_policy', `this verifier has no appraisal policy ${JSON.stringify(policyId)}`)
    const chosen = read(logged)
    if (chosen.policy.format.name !== format) {
      throw new VerifierError(
        'wrong_format',
        `the policy is for ${chosen.policy.format.name}, and the evidence is ${format}`,
      )
    }
    return chosen
  }

  const all = usable(await client.latestAll('appraisal-policy', kid), now).map(read)
  const [only, ...more] = all.filter(({ policy }) => policy.format.name === format)
  if (!only) throw new VerifierError('unknown_policy', `this verifier has no appraisal policy for ${format} in force`)
  if (more.length > 0)
    throw new VerifierError('ambiguous_policy', `more than one appraisal policy for ${format}: name one`)
  return only
}

export interface ChosenReferenceValues {
  readonly logged: LoggedRecord<'reference-values'>
  readonly values: ReferenceValues
}

/** Those that the policy names, or all of its format. @throws {@link VerifierError} `unknown_reference_values`, …; VersionError */
export async function chooseReferenceValues(
  { client, kid, now }: Owner,
  { format, referenceValues: ids }: AppraisalPolicy,
): Promise<ChosenReferenceValues[]> {
  const read = (logged: LoggedRecord<'reference-values'>): ChosenReferenceValues => ({
    logged,
    values: parseReferenceValues(contentInForce(logged, now)),
  })
  if (!ids) {
    const all = usable(await client.latestAll('reference-values', kid), now).map(read)
    const found = all.filter(({ values }) => values.format === format.name)
    if (found.length === 0) {
      throw new VerifierError(
        'unknown_reference_values',
        `this verifier has no reference values for ${format.name} in force`,
      )
    }
    // A record links at most eight. Leaving some out would judge by less than the log says.
    if (found.length > 8) throw new VerifierError('ambiguous_policy', 'more than 8 sets of reference values: name them')
    return found
  }

  return Promise.all(
    ids.map(async (id) => {
      const logged = await client.latest('reference-values', kid, id)
      if (!logged) throw new VerifierError('unknown_reference_values', `no reference values ${JSON.stringify(id)}`)
      const chosen = read(logged)
      if (chosen.values.format !== format.name) {
        throw new VerifierError(
          'wrong_format',
          `reference values ${JSON.stringify(id)} are for ${chosen.values.format}`,
        )
      }
      return chosen
    }),
  )
}

/** The versions that this code reads and that are in force: the others are passed over when none was named. */
function usable<L extends LoggedRecord<'appraisal-policy'> | LoggedRecord<'reference-values'>>(
  all: readonly L[],
  now: number,
): L[] {
  // The log lists so many. There may be more, and judging by some of them is judging by less than the log says.
  if (all.length >= MAX_LISTED) throw new VerifierError('ambiguous_policy', `${all.length} documents or more: name one`)
  return all.filter(({ record: { fields } }) => {
    const inForce = now >= fields.notBefore && (fields.notAfter === undefined || now < fields.notAfter)
    return inForce && fields.mediaType === JSON_MEDIA_TYPE
  })
}
