/**
 * What happens on a made log: workloads are attested, credentials are issued, announced, denied, suspended, replaced. Each story is whole, so
 * that an audit finds nothing in it; what goes wrong is `faults.ts`'s business, which tells the same stories with one thing changed.
 *
 * @module
 */
import { type Hash, sha256, toBase64url, toHex, utf8 } from '../../merkle/index.ts'
import {
  attestationFacts,
  componentsOf,
  credentialTag,
  decideIssuance,
  deriveTagKey,
  type EarClaims,
  type FieldsOf,
  type IssuanceDecision,
  intentCommitments,
  type Link,
  loadCedar,
  parseWorkloadIdentifier,
  type SectionsOf,
  signEar,
  spkiOfJwk,
  type Tier,
  workloadFacts,
} from '../../provenance/index.ts'
import { jwkThumbprint, type PublicJwk, publicJwkOf } from '../../statement/index.ts'
import { type Party, p256KeyOf, pick } from './cast.ts'
import type { Chapter } from './chapter.ts'
import { APPRAISAL_POLICY, type Roots, type Workload } from './roots.ts'

export const RESULT_LIFETIME = 3600
const LIFETIMES = [300, 900, 3600]

/** A workload with its key, somewhere. */
export interface Instance {
  readonly workload: Workload
  readonly publicJwk: PublicJwk
  readonly keyThumbprint: string
}

export interface Result {
  readonly entry: Hash
  readonly instance: Instance
  readonly verifier: string
  readonly claims: EarClaims
  /** Lower-case hex. */
  readonly measurement: string
}

/** What of an honest result or credential is to be otherwise. */
export interface ResultChange {
  readonly fields?: Partial<FieldsOf<'attestation-result'>>
  readonly section?: Partial<NonNullable<SectionsOf<'attestation-result'>['attestation']>>
  readonly links?: (links: Link[]) => Link[]
  readonly nonce?: Uint8Array
  readonly tier?: Tier
  readonly part?: string
}

export interface CredentialChange {
  readonly fields?: Partial<FieldsOf<'credential-provenance'>>
  readonly credential?: Partial<SectionsOf<'credential-provenance'>['credential']>
  readonly decision?: Partial<SectionsOf<'credential-provenance'>['decision']>
  readonly links?: (links: Link[]) => Link[]
  readonly unique?: readonly Uint8Array[]
  readonly lifetime?: number
  /** In the place of the newest. */
  readonly policy?: { readonly entry: Hash; readonly text: string }
  /** The entry of its intent. */
  readonly intent?: Hash
  /** The `jti` or serial number. */
  readonly identifier?: string
}

export interface Issued {
  readonly entry: Hash
  readonly digest: Hash
  readonly subject: string
  readonly issuer: Party
}

export function instanceOf(workload: Workload, chapter: Chapter): Instance {
  const publicJwk = publicJwkOf(p256KeyOf(chapter.random))
  return { workload, publicJwk, keyThumbprint: jwkThumbprint(publicJwk) }
}

/** A Verifier's result about an instance, logged now. */
export async function attest(
  chapter: Chapter,
  roots: Roots,
  instance: Instance,
  verifier: Party,
  change: ResultChange = {},
): Promise<Result> {
  const { random, now: issuedAt } = chapter
  const { workload, publicJwk, keyThumbprint } = instance
  const { tier = 'affirming', part = 'workload', nonce = utf8(toBase64url(random(16))) } = change
  const code = { affirming: 2, warning: 33, none: 0, contraindicated: 96 }[tier]
  const claims: EarClaims = {
    issuedAt,
    expiresAt: issuedAt + RESULT_LIFETIME,
    verifier: { developer: 'https://provlog.example', build: 'made' },
    status: tier,
    nonces: [new TextDecoder().decode(nonce)],
    appraisals: new Map([
      [
        part,
        {
          status: tier,
          vector: { 'instance-identity': 2, executables: code },
          policyIds: [APPRAISAL_POLICY],
          attestedKey: spkiOfJwk(publicJwk),
        },
      ],
    ]),
  }
  const ear = await signEar(claims, verifier.key)
  const { measurement } = workload
  const links: Link[] = [
    { rel: 'appraisal-policy', entry: roots.appraisalPolicies.get(verifier)!.entry },
    { rel: 'reference-values', entry: roots.referenceValues.get(verifier)!.entry },
    { rel: 'key-authorization', entry: roots.authorizations.get(verifier)! },
  ]
  const fields = {
    resultDigest: sha256(utf8(ear)),
    evidenceDigest: random(32),
    format: 'measured-files',
    tier,
    issuedAt,
    expiresAt: issuedAt + RESULT_LIFETIME,
    ...change.fields,
  }
  const attestation = { result: ear, measurement, keyThumbprint, nonce, ...change.section }
  const entry = await chapter.add(
    {
      type: 'attestation-result',
      fields,
      links: change.links?.(links) ?? links,
      sections: { attestation },
    },
    verifier,
  )
  return { entry, instance, verifier: verifier.issuer, claims, measurement: toHex(attestation.measurement) }
}

/** A credential on some results, logged now; on none, by the policy for those that nobody attests. */
export async function issueOn(
  chapter: Chapter,
  roots: Roots,
  instance: Instance,
  results: readonly Result[],
  change: CredentialChange = {},
): Promise<Issued> {
  const { random, now } = chapter
  const { workload, keyThumbprint } = instance
  const { issuer } = workload
  const lifetime = change.lifetime ?? LIFETIMES[pick(random, LIFETIMES.length)]!
  const drawn = pick(random, 4) === 0 ? 'wic' : 'wit'
  const kind = change.fields?.kind ?? drawn
  const policy = change.policy ?? policyFor(roots, issuer, results)
  const decision = await decide(chapter, instance, results, policy.text, { kind, lifetimeSeconds: lifetime })
  const identifier = change.identifier ?? (kind === 'wic' ? toHex(random(16)) : toBase64url(random(16)))
  const components = componentsOf(results, keyThumbprint)
  const digest = random(32)
  const credential = {
    subject: workload.subject,
    trustDomain: issuer.trustDomain,
    identifier,
    keyThumbprint,
    attributes: new Map([['environment', pick(random, 2) === 0 ? 'production' : 'staging']]),
    ...change.credential,
  }
  const links: Link[] = [
    ...groundsOf(roots, instance, results, policy.entry),
    ...(change.intent ? [{ rel: 'issuance-intent' as const, entry: change.intent }] : []),
  ]
  const tagKey = deriveTagKey(issuer.jwk)
  const fields: FieldsOf<'credential-provenance'> = {
    kind,
    credentialDigest: digest,
    notBefore: now,
    notAfter: now + lifetime,
    delivery: 'file',
    attestation: results.length > 0 ? 'attested' : 'none',
    ...(results.length === 0 && { unattestedReason: 'legacy-platform' }),
    ...(components.length > 0 && { components: components.length }),
    ...change.fields,
  }
  const { errors: _errors, ...trace } = decision
  const entry = await chapter.add(
    {
      type: 'credential-provenance',
      fields,
      links: change.links?.(links) ?? links,
      unique: change.unique ?? [
        credentialTag(tagKey, { kind: fields.kind, trustDomain: issuer.trustDomain, identifier }),
      ],
      sections: {
        credential,
        ...(components.length > 0 && { attestation: { components } }),
        decision: { ...trace, ...change.decision },
        tags: { key: tagKey },
      },
    },
    issuer,
  )
  return { entry, digest: fields.credentialDigest, subject: workload.subject, issuer }
}

/** Announced, and issued as announced unless `change` says otherwise. */
export async function announceAndIssue(
  chapter: Chapter,
  roots: Roots,
  instance: Instance,
  results: readonly Result[],
): Promise<Issued> {
  const { intent, fields, identifier } = await announce(chapter, roots, instance, results)
  return issueOn(chapter, roots, instance, results, { intent, fields, identifier, lifetime: 900 })
}

export async function announce(
  chapter: Chapter,
  roots: Roots,
  instance: Instance,
  results: readonly Result[],
): Promise<{
  intent: Hash
  identifier: string
  fields: Pick<FieldsOf<'credential-provenance'>, 'kind' | 'notAfter' | 'notBefore'>
}> {
  const { random, now } = chapter
  const { workload, keyThumbprint } = instance
  const { subject, issuer } = workload
  const policy = policyFor(roots, issuer, results)
  const credential = { kind: 'wit' as const, lifetimeSeconds: 900 }
  const { errors: _errors, ...decision } = await decide(chapter, instance, results, policy.text, credential)
  const identifier = toBase64url(random(16))
  const fields = { kind: 'wit' as const, notBefore: now, notAfter: now + 900 }
  const intent = await chapter.add(
    {
      type: 'issuance-intent',
      fields: {
        ...fields,
        attestation: results.length > 0 ? 'attested' : 'none',
        ...intentCommitments({ kind: 'wit', identifier, subject, keyThumbprint }),
      },
      links: groundsOf(roots, instance, results, policy.entry),
      sections: { credential: { subject }, decision },
    },
    issuer,
  )
  return { intent, identifier, fields }
}

/** A request that the policy turns down. */
export async function deny(
  chapter: Chapter,
  roots: Roots,
  instance: Instance,
  results: readonly Result[],
  change: Partial<SectionsOf<'credential-provenance'>['decision']> = {},
): Promise<Hash> {
  const { workload, keyThumbprint } = instance
  const policy = policyFor(roots, workload.issuer, results)
  const credential = { kind: 'wit' as const, lifetimeSeconds: 300 }
  const { errors: _errors, ...decision } = await decide(chapter, instance, results, policy.text, credential)
  return chapter.add(
    {
      type: 'issuance-denied',
      fields: { reason: 'policy_denied' },
      links: groundsOf(roots, instance, results, policy.entry),
      sections: {
        credential: { subject: workload.subject, kind: 'wit', keyThumbprint },
        decision: { ...decision, ...change },
      },
    },
    workload.issuer,
  )
}

export async function setStatus(
  chapter: Chapter,
  roots: Roots,
  { entry, digest, issuer }: Issued,
  status: FieldsOf<'credential-status'>['status'],
  { results = [], successor }: { results?: readonly Result[]; successor?: Hash } = {},
): Promise<Hash> {
  return chapter.add(
    {
      type: 'credential-status',
      fields: { credentialDigest: digest, status, effectiveAt: chapter.now, ...(successor && { successor }) },
      links: [
        { rel: 'credential-provenance', entry },
        ...results.map((result) => ({ rel: 'attestation-result' as const, entry: result.entry })),
        { rel: 'key-authorization', entry: roots.authorizations.get(issuer)! },
      ],
    },
    issuer,
  )
}

/** The first issuer is an egress gateway too: its general credential stands for `inside`. */
export async function generalize(
  chapter: Chapter,
  roots: Roots,
  inside: Issued,
  change: Partial<SectionsOf<'identity-generalization'>['credential']> = {},
): Promise<Hash> {
  const gateway = chapter.cast.issuers[0]!
  const workload = roots.workloads.find((each) => each.issuer === gateway && each.name.endsWith('gateway'))!
  const general = await issueOn(chapter, roots, instanceOf(workload, chapter), [])
  const { digest, subject, entry } = inside
  return chapter.add(
    {
      type: 'identity-generalization',
      fields: { credentialDigest: general.digest },
      links: [
        { rel: 'credential-provenance', entry: general.entry },
        { rel: 'key-authorization', entry: roots.gateway },
      ],
      sections: { credential: { digest, subject, entry, origin: chapter.cast.origin, rule: 'egress', ...change } },
    },
    gateway,
  )
}

/** Tells one story, of at most `room` entries. */
export async function tellStory(chapter: Chapter, roots: Roots, room: number): Promise<void> {
  const { random, cast } = chapter
  const workload = roots.workloads[pick(random, roots.workloads.length)]!
  const instance = instanceOf(workload, chapter)
  const verifier = cast.verifiers[pick(random, 2)]!
  const chance = pick(random, 100)
  if (room < 6 || chance < 8) {
    await issueOn(chapter, roots, instance, [])
  } else if (chance < 16) {
    await deny(chapter, roots, instance, [await attest(chapter, roots, instance, verifier, { tier: 'warning' })])
  } else if (chance < 26) {
    await announceAndIssue(chapter, roots, instance, [await attest(chapter, roots, instance, verifier)])
  } else if (chance < 34) {
    const parts = [
      await attest(chapter, roots, instance, cast.verifiers[0]!, { part: 'cpu' }),
      await attest(chapter, roots, instance, cast.verifiers[1]!, { part: 'gpu' }),
    ]
    await issueOn(chapter, roots, instance, parts)
  } else if (chance < 42) {
    await tellOfStatus(chapter, roots, instance, verifier)
  } else if (chance < 46) {
    await generalize(
      chapter,
      roots,
      await issueOn(chapter, roots, instance, [await attest(chapter, roots, instance, verifier)]),
    )
  } else {
    const results = [await attest(chapter, roots, instance, verifier)]
    for (let i = pick(random, 4); i >= 0; i--) await issueOn(chapter, roots, instance, results)
  }
}

async function tellOfStatus(chapter: Chapter, roots: Roots, instance: Instance, verifier: Party): Promise<void> {
  const issued = await issueOn(chapter, roots, instance, [await attest(chapter, roots, instance, verifier)])
  const chance = pick(chapter.random, 4)
  if (chance === 0) {
    await setStatus(chapter, roots, issued, 'suspended')
    await setStatus(chapter, roots, issued, 'reinstated')
  } else if (chance === 1) {
    const there = await attest(chapter, roots, instance, verifier)
    await setStatus(chapter, roots, issued, 'migrated', { results: [there] })
  } else if (chance === 2) {
    const successor = await issueOn(chapter, roots, instance, [])
    await setStatus(chapter, roots, issued, 'superseded', { successor: successor.digest })
  } else {
    await setStatus(chapter, roots, issued, 'revoked')
  }
}

function policyFor(roots: Roots, issuer: Party, results: readonly Result[]) {
  return (results.length === 0 ? roots.legacyPolicies : roots.issuancePolicies).get(issuer)!
}

function groundsOf(roots: Roots, { workload }: Instance, results: readonly Result[], policy: Hash): Link[] {
  return [
    { rel: 'workload-provenance', entry: workload.provenance },
    ...results.map(({ entry }) => ({ rel: 'attestation-result' as const, entry })),
    { rel: 'issuance-policy', entry: policy },
    { rel: 'key-authorization', entry: roots.authorizations.get(workload.issuer)! },
  ]
}

/** The same facts are decided once: they differ in nothing but the age of a result, which is a few steps. */
const decisions = new Map<string, IssuanceDecision>()
const MAX_DECISIONS = 4096

async function decide(
  { now }: Chapter,
  { workload, keyThumbprint }: Instance,
  results: readonly Result[],
  policyText: string,
  credential: { readonly kind: 'wit' | 'wic'; readonly lifetimeSeconds: number },
): Promise<IssuanceDecision> {
  await loadCedar()
  const attestation = attestationFacts(results, keyThumbprint, now)
  const name = JSON.stringify([policyText, workload.name, toHex(workload.measurement), attestation, credential])
  const known = decisions.get(name)
  if (known) return known
  const record = {
    subject: toHex(workload.measurement),
    subjectKind: 'measurement',
    publisher: workload.publisher.issuer,
  }
  const facts = workloadFacts(workload.description, record, attestation.measurements)
  const request = { subject: parseWorkloadIdentifier(workload.subject), attestation, workload: facts, credential }
  const decision = decideIssuance(policyText, request)
  if (decisions.size >= MAX_DECISIONS) decisions.clear()
  decisions.set(name, decision)
  return decision
}
