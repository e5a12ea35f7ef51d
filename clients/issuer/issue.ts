/**
 * Issuance, from top to bottom:
 *
 *     who am I          key-authorization of this issuer
 *     the rules         issuance-policy, the latest version of the id                        ┐
 *     the results       each on the log, signed by an authorized Verifier, not expired,      │ grounds.ts
 *                       about this key                                                       │
 *     the workload      workload-provenance: logged now, or linked                           │
 *     the decision      Cedar, on all of the above                                           ┘
 *     the credential    with `embed` announced on the log by an issuance-intent, and signed    sign-credential.ts
 *     the record        credential-provenance, linked to everything that was decided on
 *     the check         the bundle that a relying party will get, verified as one would        self-check.ts
 *
 * Where it goes no further, an issuance-denied says so (`denial.ts`). A credential leaves this file only when its record is in the log, with
 * a receipt that was verified.
 *
 * @module
 */
import { componentsOf, credentialTag, deriveTagKey, encodeBundle } from '../../provenance/index.ts'
import { kidOf, type PublicJwk } from '../../statement/index.ts'
import type { RegisteredRecord } from '../log-client/index.ts'
import { type AuthorizedParty, authorizedIssuer } from './author.ts'
import { logDenial, logRefusal, traceOf } from './denial.ts'
import { IssuerError } from './error.ts'
import { type Grounds, gatherGrounds, type Trail } from './grounds.ts'
import type { Issued, IssueRequest } from './request.ts'
import { checkAsRelyingParty } from './self-check.ts'
import { credentialText, type SignedCredential, signCredential } from './sign-credential.ts'

/**
 * Decides, issues and logs.
 *
 * @throws {@link IssuanceDenied} `issuance_denied` when the policy says no
 * @throws {@link IssuerError} VersionError `not_in_force`, … for a policy that cannot be decided by
 * @throws ProvenanceError `malformed_identifier`, those of {@link describeWorkload}; RefusedError when the log turns a record down
 * @throws UnavailableError when the log does not answer: nothing is issued that is not on the log
 */
export async function issue(request: IssueRequest): Promise<Issued> {
  const { client, now, anchor, above = [] } = request
  const party = await authorizedIssuer(request)
  const recipients = distinctKeys([party.authorization.encryptionKey, ...(request.recipients ?? [])])
  const trail: Trail = { links: [], recipients }
  try {
    const grounds = await gatherGrounds(request, party, trail)
    const { decision, attestation } = grounds
    if (decision.decision === 'deny') throw await logDenial(client, party, trail, request, decision)
    if (grounds.results.length === 0 && !request.unattested?.reasonCode) {
      throw new IssuerError('reason_missing', 'a record of an issuance on no attestation says why there is none')
    }
    trail.links.push({ rel: 'key-authorization', entry: party.authorization.entry })
    const signed = await signCredential(request, party, grounds, trail)
    const { credential } = signed
    const record = await logIssuance(request, party, grounds, trail, signed)
    const { entry, index } = record
    // What came with the receipt is what the log would say if it were asked again.
    const story = record.story ?? (await client.story(credential.digest))
    const { verifiers } = attestation
    await checkAsRelyingParty({
      client,
      credential,
      story,
      record,
      issuer: party,
      anchor: above.at(-1) ?? anchor,
      verifiers,
      now,
    })
    return issued(request, grounds, signed, { entry, index, bundle: encodeBundle(story) })
  } catch (error) {
    const links = trail.links.filter(({ rel }) => rel !== 'key-authorization')
    await logRefusal(client, party, { links, recipients }, request, error)
    throw error
  }
}

function logIssuance(
  request: IssueRequest,
  { author }: AuthorizedParty,
  { subject, notAfter, confidential, results, decision }: Grounds,
  { links, recipients }: Trail,
  { credential, intent }: SignedCredential,
): Promise<RegisteredRecord<'credential-provenance'>> {
  const { client, key, kind, now, usage, pop, audiences, bootstrap, issuerAttestation } = request
  const unattested = results.length === 0 ? request.unattested : undefined
  const components = componentsOf(results, credential.keyThumbprint)
  const tagKey = deriveTagKey(key)
  const named = { kind, trustDomain: subject.trustDomain, identifier: credential.identifier! }
  return client.registerRecord(
    {
      type: 'credential-provenance',
      fields: {
        kind,
        credentialDigest: credential.digest,
        notBefore: now,
        notAfter,
        delivery: request.delivery ?? 'file',
        attestation: results.length > 0 ? 'attested' : 'none',
        ...(unattested && { unattestedReason: unattested.reasonCode }),
        ...(components.length > 0 && { components: components.length }),
        ...(confidential && { confidential }),
        ...(usage && { usage }),
        ...(pop && { pop }),
      },
      links: [
        ...links,
        ...(intent ? [{ rel: 'issuance-intent' as const, entry: intent.entry }] : []),
        ...(issuerAttestation ? [{ rel: 'issuer-attestation' as const, entry: issuerAttestation }] : []),
      ],
      unique: [credentialTag(tagKey, named)],
      sections: {
        credential: {
          subject: subject.uri,
          trustDomain: subject.trustDomain,
          identifier: named.identifier,
          keyThumbprint: credential.keyThumbprint,
          ...(audiences && { audiences }),
          ...(bootstrap && { bootstrap }),
          ...(request.attributes ? { attributes: new Map(Object.entries(request.attributes)) } : {}),
        },
        ...(components.length > 0 && { attestation: { ...request.attested, components } }),
        decision: traceOf(decision),
        ...(unattested?.detail !== undefined && { detail: { text: unattested.detail } }),
        tags: { key: tagKey },
      },
      recipients,
    },
    author,
  )
}

function issued(
  { kind, now }: IssueRequest,
  { notAfter, attestation }: Grounds,
  { credential, intent }: SignedCredential,
  logged: Pick<Issued, 'entry' | 'index' | 'bundle'>,
): Issued {
  return {
    kind,
    credential: credential.bytes,
    text: credentialText(credential),
    digest: credential.digest,
    identifier: credential.identifier!,
    notBefore: now,
    notAfter,
    tier: attestation.tier,
    ...logged,
    ...(intent && { intent: { entry: intent.entry, index: intent.index } }),
  }
}

function distinctKeys(keys: readonly (PublicJwk | undefined)[]): PublicJwk[] {
  const byKid = new Map<string, PublicJwk>()
  for (const key of keys) if (key) byKid.set(kidOf(key), key)
  return [...byKid.values()]
}
