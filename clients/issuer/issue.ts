/**
 * Issuance, from top to bottom:
 *
 *     who am I          key-authorization of this issuer
 *     the rules         issuance-policy, the latest version of the id
 *     the results       each on the log, signed by an authorized Verifier, not expired, about this key
 *     the workload      workload-provenance: logged now, or linked
 *     the decision      Cedar, on all of the above ── no ──► issuance-denied, and nothing is issued
 *     the credential    signed
 *     the record        credential-provenance, linked to everything that was decided on ── not logged ──► nothing is issued
 *     the check         the bundle that a relying party will get, verified as one would
 *
 * A credential leaves this file only when its record is in the log, with a receipt that was verified.
 *
 * @module
 */
import { fromUtf8, type Hash, sha256, toBase64url, toHex, utf8 } from '../../merkle/index.ts'
import {
  attestationFacts,
  type Bootstrap,
  type Credential,
  componentsOf,
  credentialTag,
  type DecisionTrace,
  decideIssuance,
  deriveTagKey,
  type IssuanceDecision,
  type Link,
  loadCedar,
  parseCertificate,
  parseCredential,
  parseWorkloadIdentifier,
  resultBytes,
  type SectionsOf,
  type SignedResult,
  type Tier,
  type WorkloadIdentifier,
  workloadFacts,
} from '../../provenance/index.ts'
import { jwkThumbprint, kidOf, type PrivateJwk, type PublicJwk } from '../../statement/index.ts'
import type { LogClient } from '../log-client/index.ts'
import { contentInForce } from '../log-client/policy-version.ts'
import { type AuthorizedParty, authorizedIssuer } from './author.ts'
import type { WorkloadFiles } from './describe-workload.ts'
import { IssuanceDenied, IssuerError } from './error.ts'
import { type AcceptedResult, acceptResult, MAX_RESULTS } from './results.ts'
import { checkAsRelyingParty } from './self-check.ts'
import { issueWit } from './wit.ts'
import { workloadProvenance } from './workload.ts'
import { encodePem, issueCertificate } from './x509.ts'

/** What this role asks of a log. */
export type IssuerLog = Pick<
  LogClient,
  'authorizations' | 'bundle' | 'latest' | 'origin' | 'policy' | 'record' | 'registerRecord' | 'wraps'
>

export interface IssueRequest extends WorkloadFiles {
  readonly client: IssuerLog
  /** The Credential Issuer's key: signs the credential and the records. */
  readonly key: PrivateJwk
  /** Id of the issuance policy to decide by. */
  readonly policyId: string
  /** The workload identifier to issue for. */
  readonly subject: string
  readonly workloadKey: PublicJwk
  /** Attestation results as their Verifiers signed them: several for a composite workload, none only if the policy takes that. */
  readonly results: readonly SignedResult[]
  /** The entry of an earlier workload-provenance record to link, instead of logging one. */
  readonly workloadProvenance?: Hash
  /** A key that the earlier record is sealed for. */
  readonly openWith?: PrivateJwk
  readonly kind: 'wit' | 'wic'
  /** DER of the anchor to issue under: for `wic`. */
  readonly anchor?: Uint8Array
  /** Seconds. An hour, or as long as this issuer may, unless said otherwise. */
  readonly lifetime?: number
  /** How the credential will reach the workload; `file` unless said otherwise. */
  readonly delivery?: 'file' | 'env' | 'local-api' | 'direct' | 'agent'
  /** Verifiers of other trust domains whose results are accepted, by workload identifier. */
  readonly verifiers?: readonly string[]
  /** What the workload showed to get this, where it had no credential to show. Sealed. */
  readonly bootstrap?: Bootstrap
  /** Which of several credentials of one workload this is. */
  readonly usage?: 'inbound' | 'outbound' | 'internal'
  /** How the holder must prove possession of the key. */
  readonly pop?: 'wpt' | 'httpsig' | 'mtls'
  /** A confidential workload: issued on attestation or not at all. */
  readonly confidential?: boolean
  /** Trust domains that it is meant for. Sealed. */
  readonly audiences?: readonly string[]
  /** What of the workload is attested, which agent did it for the workload, and how it is bound to its platform. Sealed. */
  readonly attested?: Omit<NonNullable<SectionsOf<'credential-provenance'>['attestation']>, 'components'>
  /** What an audit may want to know later, sealed into the record. */
  readonly attributes?: Readonly<Record<string, string>>
  /** Who may open the sealed record. Those for whom the log requires a wrap must be among them. */
  readonly recipients?: readonly PublicJwk[]
  /** POSIX seconds. */
  readonly now: number
  readonly random: (length: number) => Uint8Array
}

export interface Issued {
  readonly kind: 'wit' | 'wic'
  /** The exact bytes that the record names: compact JWS in ASCII, or DER. */
  readonly credential: Uint8Array
  /** What to write to a file: the compact JWS, or PEM. */
  readonly text: string
  /** `.provlog` */
  readonly bundle: Uint8Array
  /** SHA-256 of `credential`. */
  readonly digest: Hash
  /** jti, or serial number in lower-case hex. */
  readonly identifier: string
  /** POSIX seconds. */
  readonly notBefore: number
  readonly notAfter: number
  /** The weakest of the results. */
  readonly tier: Tier
  readonly entry: Hash
  readonly index: number
}

/**
 * Decides, issues and logs.
 *
 * @throws {@link IssuanceDenied} `issuance_denied` when the policy says no
 * @throws {@link IssuerError} VersionError `not_in_force`, … for a policy that cannot be decided by
 * @throws ProvenanceError `malformed_identifier`, those of {@link describeWorkload}; RefusedError when the log turns a record down
 * @throws UnavailableError when the log does not answer: nothing is issued that is not on the log
 */
export async function issue(request: IssueRequest): Promise<Issued> {
  const { client, now } = request
  const party = await authorizedIssuer(request)
  const subject = parseWorkloadIdentifier(request.subject)
  if (subject.trustDomain !== party.authorization.trustDomain) {
    throw new IssuerError('wrong_trust_domain', `${subject.uri} is not in ${party.authorization.trustDomain}`)
  }
  const notAfter = now + lifetimeOf(request, party)
  const policy = await client.latest('issuance-policy', party.author.key.kid, request.policyId)
  if (!policy) throw new IssuerError('unknown_policy', `no issuance policy ${JSON.stringify(request.policyId)}`)
  const policyText = fromUtf8(contentInForce(policy, now))

  const links: Link[] = [
    { rel: 'issuance-policy', entry: policy.entry },
    { rel: 'key-authorization', entry: party.authorization.entry },
  ]
  const recipients = distinctKeys([party.authorization.encryptionKey, ...(request.recipients ?? [])])
  const results = await acceptResults(request, party, links)
  links.push(...results.map(({ entry }) => ({ rel: 'attestation-result' as const, entry })))

  const attestation = attestationFacts(results, jwkThumbprint(request.workloadKey), now)
  const { measurements } = attestation
  const workload = await workloadProvenance({ ...request, author: party.author, measurements, recipients })
  links.push({ rel: 'workload-provenance', entry: workload.entry })

  await loadCedar()
  const decision = decideIssuance(policyText, {
    subject,
    attestation,
    workload: workloadFacts(workload.description, workload.record, measurements),
    credential: { kind: request.kind, lifetimeSeconds: notAfter - now },
  })
  if (decision.decision === 'deny') throw await logDenial(request, party, { links, decision, recipients })

  const credential = await signCredential(request, { subject, issuer: party.author.issuer, notAfter })
  const components = componentsOf(results, credential.keyThumbprint)
  const tagKey = deriveTagKey(request.key)
  const named = { kind: request.kind, trustDomain: subject.trustDomain, identifier: credential.identifier! }
  const { entry, index } = await client.registerRecord(
    {
      type: 'credential-provenance',
      fields: {
        kind: request.kind,
        credentialDigest: credential.digest,
        notBefore: now,
        notAfter,
        delivery: request.delivery ?? 'file',
        attestation: results.length > 0 ? 'attested' : 'none',
        ...(components.length > 0 && { components: components.length }),
        ...(request.confidential && { confidential: true }),
        ...(request.usage && { usage: request.usage }),
        ...(request.pop && { pop: request.pop }),
      },
      links,
      unique: [credentialTag(tagKey, named)],
      sections: {
        credential: {
          subject: subject.uri,
          trustDomain: subject.trustDomain,
          identifier: named.identifier,
          keyThumbprint: credential.keyThumbprint,
          ...(request.audiences && { audiences: request.audiences }),
          ...(request.bootstrap && { bootstrap: request.bootstrap }),
          ...(request.attributes ? { attributes: new Map(Object.entries(request.attributes)) } : {}),
        },
        ...(components.length > 0 && { attestation: { ...request.attested, components } }),
        decision: sealedDecision(decision),
        tags: { key: tagKey },
      },
      recipients,
    },
    party.author,
  )

  const bundle = await client.bundle(credential.digest)
  const verifiers = attestation.verifiers
  await checkAsRelyingParty({ client, credential, bundle, issuer: party, anchor: request.anchor, verifiers, now })
  return {
    kind: request.kind,
    credential: credential.bytes,
    text: request.kind === 'wit' ? fromUtf8(credential.bytes) : encodePem(credential.bytes),
    bundle,
    digest: credential.digest,
    identifier: named.identifier,
    notBefore: now,
    notAfter,
    tier: attestation.tier,
    entry,
    index,
  }
}

/** Seconds. A credential outlives neither what the log's admin allows, nor its issuer's key, nor its anchor. */
function lifetimeOf({ kind, anchor, lifetime, now }: IssueRequest, { authorization }: AuthorizedParty): number {
  if (kind === 'wic' && !anchor) throw new IssuerError('anchor_required', 'a certificate is issued under an anchor')
  const longest = Math.min(
    authorization.maxCredentialLifetime ?? Number.POSITIVE_INFINITY,
    (authorization.notAfter ?? Number.POSITIVE_INFINITY) - now,
    (kind === 'wic' && anchor ? parseCertificate(anchor).notAfter : Number.POSITIVE_INFINITY) - now,
  )
  const wanted = lifetime ?? Math.min(3600, longest)
  if (wanted > longest) throw new IssuerError('lifetime_too_long', `${wanted} s, where ${longest} s are allowed`)
  if (wanted <= 0) throw new IssuerError('anchor_expired', 'nothing can be issued any more')
  return wanted
}

/** All results, or none: a refused one leaves a trace in the log, as whatever was asked for and not given. */
async function acceptResults(
  request: IssueRequest,
  party: AuthorizedParty,
  links: readonly Link[],
): Promise<AcceptedResult[]> {
  const { client, workloadKey, verifiers = [], now } = request
  const { key } = party.author
  const distinct = new Map(request.results.map((result) => [toHex(sha256(resultBytes(result))), result]))
  try {
    if (distinct.size > MAX_RESULTS) throw new IssuerError('too_many_results', `${distinct.size} results`)
    const context = {
      client,
      issuer: key.kid,
      trustDomain: party.authorization.trustDomain,
      verifiers,
      workloadKey,
      now,
    }
    return await Promise.all([...distinct.values()].map((result) => acceptResult(result, context)))
  } catch (error) {
    if (error instanceof IssuerError) {
      await client.registerRecord({ type: 'issuance-denied', fields: { reason: error.code }, links }, party.author)
    }
    throw error
  }
}

async function logDenial(
  { client }: IssueRequest,
  { author }: AuthorizedParty,
  denied: {
    readonly links: readonly Link[]
    readonly decision: IssuanceDecision
    readonly recipients: readonly PublicJwk[]
  },
): Promise<IssuanceDenied> {
  const { links, decision, recipients } = denied
  const { entry, index } = await client.registerRecord(
    {
      type: 'issuance-denied',
      fields: { reason: 'policy_denied' },
      links,
      sections: { decision: sealedDecision(decision) },
      recipients,
    },
    author,
  )
  const { reasons, errors } = decision
  const why = [...reasons, ...errors].join('; ') || 'nothing in the policy permits it'
  return new IssuanceDenied(`the issuance policy denies: ${why}`, { reasons, entry, index })
}

interface Granted {
  readonly subject: WorkloadIdentifier
  /** Workload identifier of the issuer. */
  readonly issuer: string
  readonly notAfter: number
}

async function signCredential(request: IssueRequest, { subject, issuer, notAfter }: Granted): Promise<Credential> {
  const { key, kind, anchor, workloadKey, now, random } = request
  if (kind === 'wic' && anchor) {
    const certified = { subject: subject.uri, workloadJwk: workloadKey, serial: random(16), notBefore: now, notAfter }
    return parseCredential(await issueCertificate({ anchor, key, ...certified }))
  }
  const token = { subject: subject.uri, workloadJwk: workloadKey, issuer, jti: toBase64url(random(16)) }
  return parseCredential(utf8(await issueWit({ ...token, issuedAt: now, expiresAt: notAfter }, key)))
}

function sealedDecision({ errors: _errors, ...trace }: IssuanceDecision): DecisionTrace {
  return trace
}

function distinctKeys(keys: readonly (PublicJwk | undefined)[]): PublicJwk[] {
  const byKid = new Map<string, PublicJwk>()
  for (const key of keys) if (key) byKid.set(kidOf(key), key)
  return [...byKid.values()]
}
