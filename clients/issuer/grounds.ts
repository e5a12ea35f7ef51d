/**
 * What an issuance is decided on, and the decision: who is asked for, by which policy, on which results, about which workload.
 *
 * @module
 */
import { fromUtf8, sha256, toHex } from '../../merkle/index.ts'
import {
  type AttestationFacts,
  attestationFacts,
  decideIssuance,
  type IssuanceDecision,
  type Link,
  loadCedar,
  parseWorkloadIdentifier,
  resultBytes,
  type WorkloadIdentifier,
  workloadFacts,
} from '../../provenance/index.ts'
import { jwkThumbprint, type PublicJwk } from '../../statement/index.ts'
import { contentInForce } from '../log-client/policy-version.ts'
import type { AuthorizedParty } from './author.ts'
import { IssuerError } from './error.ts'
import { type IssueRequest, lifetimeOf } from './request.ts'
import { type AcceptedResult, acceptResult, MAX_RESULTS } from './results.ts'
import { workloadProvenance } from './workload.ts'

/** What was found so far: a refusal links to it. */
export interface Trail {
  readonly links: Link[]
  readonly recipients: readonly PublicJwk[]
}

export interface Grounds {
  readonly subject: WorkloadIdentifier
  /** POSIX seconds. */
  readonly notAfter: number
  /** Because it was asked for, or the policy is for nothing else. */
  readonly confidential: boolean
  readonly results: readonly AcceptedResult[]
  readonly attestation: AttestationFacts
  readonly decision: IssuanceDecision
}

/**
 * Gathers and decides; what it finds goes into the links of `trail`. That the decision is to deny is for the caller to see.
 *
 * @throws {@link IssuerError}; VersionError; ProvenanceError `malformed_identifier`, those of {@link describeWorkload}; UnavailableError
 */
export async function gatherGrounds(request: IssueRequest, party: AuthorizedParty, trail: Trail): Promise<Grounds> {
  const { client, now } = request
  const subject = parseWorkloadIdentifier(request.subject)
  if (subject.trustDomain !== party.authorization.trustDomain) {
    throw new IssuerError('wrong_trust_domain', `${subject.uri} is not in ${party.authorization.trustDomain}`)
  }
  const notAfter = now + lifetimeOf(request, party)
  const policy = await client.latest('issuance-policy', party.author.key.kid, request.policyId)
  if (!policy) throw new IssuerError('unknown_policy', `no issuance policy ${JSON.stringify(request.policyId)}`)
  trail.links.push({ rel: 'issuance-policy', entry: policy.entry })
  const policyText = fromUtf8(contentInForce(policy, now))
  const confidential = request.confidential === true || policy.record.fields.confidential === true
  if (confidential && request.results.length === 0) {
    throw new IssuerError('not_attested', 'a confidential workload is issued to on attestation, or not at all')
  }

  const results = await acceptResults(request, party)
  trail.links.push(...results.map(({ entry }) => ({ rel: 'attestation-result' as const, entry })))
  const attestation = attestationFacts(results, jwkThumbprint(request.workloadKey), now)
  const { measurements } = attestation
  const { recipients } = trail
  const workload = await workloadProvenance({ ...request, author: party.author, measurements, recipients })
  trail.links.push({ rel: 'workload-provenance', entry: workload.entry })

  await loadCedar()
  const decision = decideIssuance(policyText, {
    subject,
    attestation,
    workload: workloadFacts(workload.description, workload.record, measurements),
    credential: {
      kind: request.kind,
      lifetimeSeconds: notAfter - now,
      ...(request.audiences && { audience: request.audiences }),
    },
  })
  return { subject, notAfter, confidential, results, attestation, decision }
}

/** All results, or none. */
async function acceptResults(request: IssueRequest, party: AuthorizedParty): Promise<AcceptedResult[]> {
  const { client, workloadKey, verifiers = [], now } = request
  const { trustDomain } = party.authorization
  const distinct = new Map(request.results.map((result) => [toHex(sha256(resultBytes(result))), result]))
  if (distinct.size > MAX_RESULTS) throw new IssuerError('too_many_results', `${distinct.size} results`)
  const context = { client, issuer: party.author.key.kid, trustDomain, verifiers, workloadKey, now }
  return Promise.all([...distinct.values()].map((result) => acceptResult(result, context)))
}
