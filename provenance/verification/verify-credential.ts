/**
 * The verification of a credential's provenance: one list of checks, in the order of {@link TITLES}.
 *
 * It answers three questions. Is this a good credential? Was its issuance put on the log that I know, by somebody who may, on
 * grounds that I accept? And has nothing happened since? Trust comes from TRUST.json alone (`trust.ts`); the bundle proves
 * or fails to. Unknown record types, versions and critical fields fail.
 *
 * Evidence that does not hold is a failed check in the report, never an exception. What was not looked at is in the report too.
 *
 * @module
 */
import { toHex } from '../../merkle/bytes.ts'
import { openCheckpoint, type VerifiedCheckpoint } from '../../merkle/checkpoint.ts'
import { checkConsistency } from '../../merkle/consistency.ts'
import { assert } from '../../merkle/error.ts'
import type { Hash } from '../../merkle/hash.ts'
import { checkQuorum } from '../../merkle/witness-policy.ts'
import type { PrivateJwk } from '../../statement/cose-key.ts'
import { type Credential, parseCredential, verifyCredentialSignature } from '../credential.ts'
import { lifetimeOf } from '../credential-rules.ts'
import { ProvenanceError } from '../error.ts'
import {
  checkPossession,
  checkProofWay,
  type Possession,
  type Presentation,
} from '../proof-of-possession/possession.ts'
import type { SectionsOf } from '../records/index.ts'
import type { WorkloadDescription } from '../records/workload-provenance.ts'
import type { Authorities } from '../rules/authorities.ts'
import { type Bundle, decodeBundle } from './bundle.ts'
import { EvidenceMemory, type KnownTree } from './evidence-memory.ts'
import {
  checkAllIncluded,
  checkReceipts,
  checkRecords,
  type LoggedRecord,
  linked,
  openAuthorities,
  openBundleCheckpoint,
} from './log-evidence.ts'
import {
  checkAttestation,
  checkBinding,
  checkClearFields,
  checkDigest,
  checkIssuerAttestation,
  checkPolicies,
  checkRetractions,
  checkStatus,
  checkTrusted,
  generalizationOf,
  issuedAt,
  partyOf,
  provenanceOf,
  time,
} from './record-checks.ts'
import {
  checkAttestationSection,
  checkAudience,
  checkCredentialSection,
  checkDecision,
  checkSealedResult,
  checkUniqueTag,
  type OpenedResult,
  openRecord,
  policyTextOf,
  tryOpenRecord,
} from './sealed-evidence.ts'
import type { Trust } from './trust.ts'
import { type Check, Checklist, type Finding, type NotChecked, notChecked, type Step } from './verification-report.ts'

export type { Check, CheckOutcome } from './verification-report.ts'

export interface VerificationInput {
  /** The credential file: compact JWS, PEM or DER; or what `parseCredential` made of it. */
  readonly credential: Uint8Array | Credential
  /** The `.provlog` file; or what `decodeBundle` made of it, and nobody writes to any more. */
  readonly bundle: Uint8Array | Bundle
  readonly trust: Trust
  /** The moment asked about, POSIX seconds. */
  readonly at: number
  /** What was found of evidence before, under this very trust: for whoever verifies many. */
  readonly memory?: EvidenceMemory
  /** Opens the sealed sections that were wrapped for this key. */
  readonly openWith?: PrivateJwk
  /** How it was presented: a request with its proof, or a connection. Absent when all there is is a file. */
  readonly presented?: Presentation
  /** What the log says now, fetched by the caller. Checked here. */
  readonly fresh?: {
    /** Signed note, of the tree that the `bundle` here leads to. */
    readonly checkpoint: string
    /** From the tree of the first bundle to this one. */
    readonly consistencyProof: readonly Hash[]
    readonly bundle: Uint8Array
  }
}

export interface VerificationReport {
  /** No check failed, and all that must pass did. */
  readonly ok: boolean
  /** What the credential says; believe it only if `ok`. */
  readonly credential?: {
    readonly kind: Credential['kind']
    readonly subject: string
    /** Lower-case hex. */
    readonly digest: string
    readonly identifier?: string
    readonly notBefore?: number
    readonly notAfter: number
  }
  /** Where the provenance record stands. `size` is that of the tree that proves it, `signedAt` the log's clock. */
  readonly log?: {
    readonly origin: string
    readonly size: number
    readonly index: number
    readonly entry: string
    readonly signedAt?: number
  }
  /** How whoever presented it proved to have its key, when that was checked and holds. */
  readonly possession?: Possession
  /** `run-time`: the log was asked, and what it says now was checked. `offline`: all is as of the bundle, and of when that was made. */
  readonly mode: 'run-time' | 'offline'
  /** A general credential, in the place of one inside. Which one, when that could be opened. */
  readonly standsFor?: {
    /** Workload identifier of the gateway. */
    readonly by: string
    /** Of the `identity-generalization`, lower-case hex. */
    readonly entry: string
    readonly internal?: SectionsOf<'identity-generalization'>['credential']
  }
  /** Every check, in order. */
  readonly checks: readonly Check[]
  /** What the sealed sections say, when they were opened and hold. */
  readonly opened?: {
    readonly credential?: SectionsOf<'credential-provenance'>['credential']
    readonly decision?: SectionsOf<'credential-provenance'>['decision']
    readonly results?: readonly OpenedResult[]
    readonly workload?: WorkloadDescription
    /** Why it was issued on no attestation, where that was said at length. */
    readonly unattestedBecause?: string
  }
}

/** The checks by id, in order. Ids are API. */
export const TITLES = {
  // The credential by itself.
  credential: 'The credential is well formed',
  signature: 'The credential is signed by an anchor of its trust domain and valid at the time asked about',
  possession: 'Whoever presents the credential has its key',
  // The log.
  bundle: 'The bundle is well formed and about this credential',
  checkpoint: 'The checkpoint is signed by a log that you trust',
  witnesses: 'Enough witnesses have seen the checkpoint',
  inclusion: 'Every statement in the bundle is in the tree of the checkpoint',
  'log-policy': "The log's own records begin at its entry 0 and are signed by its administrator",
  receipts: 'Every receipt is signed by the log, for its origin and tree size',
  'checkpoint-age': 'The tree was signed recently enough',
  consistency: 'The log has only grown since',
  // The records.
  records: 'Every record is signed by a key that the log authorized for it, and its links resolve',
  record: 'The provenance record says the same about the credential as the credential',
  'proof-way': 'Possession was proven in the way that the record demands',
  binding: 'Credential and log name each other, where either of them says so',
  issuer: 'The issuer is one that you trust, for the trust domain of the credential',
  attestation: 'The workload was attested well enough, and the results were current at issuance',
  verifiers: 'The verifiers are ones that you trust',
  'issuer-attestation': 'The issuer was attested well enough, where it shows a result about itself',
  policies: 'Every policy was in force when it was applied, and published by a party that you trust',
  status: 'The credential is not revoked or suspended',
  retractions: 'Nothing that it was issued on had been withdrawn by then',
  'status-current': 'Status and withdrawals are the latest',
  'stands-for': 'For whom it stands is said once, by its issuer, and nobody else is meant',
  // The sealed sections.
  'sealed-credential': 'The sealed identity is that of the credential',
  'sealed-audience': 'The credential is meant for your trust domain',
  'sealed-uniqueness': 'The log keeps the serial number or jti unique',
  'sealed-results': 'The sealed attestation results are signed and say what the records say',
  'sealed-decision': 'The issuance decision follows from the policy and the evidence',
} as const

/** Those whose answer changes as the log grows: without a look at the log they are of the past. */
const OF_THE_PRESENT = ['checkpoint', 'witnesses', 'consistency', 'status', 'retractions', 'status-current']

/** Those that may stay unchecked: because nobody asked, or nothing was supplied to check them with. */
const OPTIONAL = [
  'possession',
  'proof-way',
  'witnesses',
  'checkpoint-age',
  'consistency',
  'issuer-attestation',
  'status-current',
  'stands-for',
  'sealed-credential',
  'sealed-audience',
  'sealed-uniqueness',
  'sealed-results',
  'sealed-decision',
]

/**
 * Verifies a credential and the story of its issuance.
 *
 * Not looked at: proof of possession, unless the request or connection that the credential came with is given; and whether an
 * offline bundle withholds a later status, unless `fresh` is given.
 */
export async function verifyCredential(input: VerificationInput): Promise<VerificationReport> {
  const { trust, at, openWith } = input
  // No date is before or after NaN: whatever expired or was revoked would pass.
  assert(Number.isFinite(at), 'a verification is about a moment')
  const { memory = new EvidenceMemory(trust) } = input
  assert(memory.trust === trust, 'what was found under another trust proves nothing here')
  const list = new Checklist(TITLES, OPTIONAL)

  const credential = await list.check('credential', {}, () => {
    const value = input.credential instanceof Uint8Array ? parseCredential(input.credential) : input.credential
    return { value, detail: `${value.kind} for ${value.subject.uri}, until ${time(value.notAfter)}` }
  })
  const signature = await list.check('signature', { credential }, async (found) => {
    const { trustDomain } = found.credential.subject
    const anchors = trust.trustDomains.get(trustDomain)
    if (!anchors) throw new ProvenanceError('unknown_trust_domain', `you have no anchors for ${trustDomain}`)
    await verifyCredentialSignature(found.credential, anchors, at)
    const lifetime = lifetimeOf(found.credential, at)
    return { value: anchors, detail: `by an anchor of ${trustDomain}, valid at ${time(at)}, made for ${lifetime} s` }
  })
  // After the credential's own signature: a proof is made with the key that it names, whoever signed it.
  const proven = await list.check('possession', { credential, signature }, async (found) => {
    if (!input.presented) return notChecked('no proof of possession was given')
    const value = await checkPossession(found.credential, input.presented, at)
    const replay = value.replay === 'not-looked-for' ? '; nobody looked whether it was used before' : ''
    return { value, detail: `by ${value.ways.join(' and ')}${replay}` }
  })

  const bundle = await list.check('bundle', { credential }, (found) => {
    const value = input.bundle instanceof Uint8Array ? decodeBundle(input.bundle) : input.bundle
    checkDigest(value.credentialDigest, found.credential, 'the bundle')
    return { value, detail: `${value.statements.length} statements of ${value.origin}` }
  })
  const tree = await list.check('checkpoint', { bundle }, (found) => {
    const value = treeOf(found.bundle, memory)
    const { size, signedBy } = value.checkpoint
    return { value, detail: `${size} entries, signed by ${signedBy.join(', ')}` }
  })
  await list.check('witnesses', { tree }, (found) => {
    if (!trust.witnessPolicy) return notChecked('you have no witness policy')
    const value = checkQuorum(trust.witnessPolicy, found.tree.checkpoint.note)
    return {
      value,
      detail: `cosigned by ${value.map(({ witness }) => witness).join(', ') || 'nobody, as the policy allows'}`,
    }
  })
  const included = await list.check('inclusion', { bundle, tree }, (found) => {
    const value = checkAllIncluded(found.bundle, found.tree)
    return { value, detail: `the record is entry ${value[0]!.index} of ${found.tree.checkpoint.size}` }
  })
  const own = await list.check('log-policy', { included, tree }, async (found) => {
    const value = await openAuthorities(found.included, found.tree)
    return { value, detail: `policy at entry ${value.authorities.policy().index}, ${value.records.length} records` }
  })
  const head = await list.check('receipts', { included, own, tree }, async (found) => {
    const value = await checkReceipts(found.included, found.own.authorities, found.tree)
    return { value, detail: `signed at ${time(value.signedAt)} by the log's clock` }
  })
  await list.check('checkpoint-age', { head }, ({ head: { signedAt } }) => {
    const { maximumCheckpointAge } = trust
    if (maximumCheckpointAge === undefined) return notChecked('you have set no greatest age')
    if (at - signedAt > maximumCheckpointAge) {
      throw new ProvenanceError('checkpoint_too_old', `${at - signedAt} s old, and you allow ${maximumCheckpointAge}`)
    }
    return { value: undefined, detail: `${Math.max(0, at - signedAt)} s old, and you allow ${maximumCheckpointAge}` }
  })
  const grown = await list.check('consistency', { tree }, (found) => checkGrowth(found.tree.checkpoint, input))

  const records = await list.check('records', { included, own, head, tree }, async (found) => {
    const { authorities, records } = found.own
    const value = await checkRecords(found.included, authorities, records, found.head.signedAt, found.tree)
    return { value, detail: `${value.length} records` }
  })
  const record = await list.check('record', { records, included, credential }, (found) => {
    const value = provenanceOf(found.records, found.included[0]!.index)
    checkClearFields(value, found.credential)
    return { value, detail: `entry ${value.index}, signed at ${time(issuedAt(value))}` }
  })
  await list.check('proof-way', { record }, (found) => {
    const demanded = found.record.signed.record.fields.pop
    if (!demanded) return notChecked('the record leaves it open')
    if (!proven.finding) return notChecked(`the record demands ${demanded}, and nothing was proven`)
    checkProofWay(proven.finding.value, demanded)
    return { value: undefined, detail: `by ${demanded}, as the record demands` }
  })
  await list.check('binding', { record, records, credential, tree }, (found) =>
    checkBinding(found.record, found.records, found.credential, found.tree.checkpoint.origin),
  )
  await list.check('issuer', { record, credential }, (found) => {
    const { subject, trustDomain } = partyOf(found.record)
    const actual = found.credential.subject.trustDomain
    if (trustDomain !== actual) {
      throw new ProvenanceError('trust_domain_mismatch', `an issuer for ${trustDomain}, and a credential of ${actual}`)
    }
    checkTrusted(found.record, trust.issuers, 'untrusted_issuer')
    return { value: subject, detail: `${subject}, authorized for ${trustDomain}` }
  })
  await list.check('attestation', { record, records }, (found) => checkAttestation(found.record, found.records, trust))
  await list.check('verifiers', { record, records }, (found) => {
    const results = linked(found.records, found.record, 'attestation-result')
    for (const result of results) checkTrusted(result, trust.verifiers, 'untrusted_verifier')
    const names = new Set(results.map((result) => partyOf(result).subject))
    return { value: names, detail: [...names].join(', ') || 'no results, so no verifiers' }
  })
  await list.check('issuer-attestation', { record, records }, (found) =>
    checkIssuerAttestation(found.record, found.records, trust),
  )
  await list.check('policies', { record, records }, (found) => checkPolicies(found.record, found.records, trust))
  await list.check('status', { record, records }, (found) => checkStatus(found.record, found.records, at))
  const moment = { at, strict: trust.strictRetractions }
  await list.check('retractions', { record, records, own }, (found) =>
    checkRetractions(found.record, found.records, found.own.authorities, moment),
  )
  const current = await list.check(
    'status-current',
    input.fresh ? { record, credential, grown } : { record, credential },
    async (found) => {
      if (!input.fresh) return notChecked('offline: a bundle cannot show that there is no later change')
      const { record: current, records: now, authorities } = await freshRecords(input, found.credential, memory)
      if (toHex(current.signed.entry) !== toHex(found.record.signed.entry))
        throw new ProvenanceError('credential_mismatch', 'the log now gives another record for this credential')
      const { detail } = checkRetractions(current, now, authorities, moment)
      const status = checkStatus(current, now, at)
      return { ...status, detail: `${status.detail}, ${detail}` }
    },
  )

  const general = await list.check('stands-for', { record, records, bundle }, async (found) => {
    const generalization = generalizationOf(found.record, found.records)
    if (!generalization) return notChecked('it stands for itself')
    const by = partyOf(generalization).subject
    const opened = openWith && (await tryOpenRecord(generalization, found.bundle.wraps, openWith))?.credential
    const value = { by, entry: toHex(generalization.signed.entry), ...(opened && { internal: opened }) }
    return { value, detail: opened ? `for ${opened.subject}, says ${by}` : `for somebody inside, says ${by}` }
  })

  const sections = await list.check('sealed-credential', { record, bundle, credential }, async (found) => {
    if (!openWith) return notChecked('sealed: no key to open it was given')
    const value = await openRecord(found.record, found.bundle.wraps, openWith)
    if (!value?.credential) return notChecked('sealed: no wrapped keys came with the bundle')
    checkCredentialSection(value.credential, found.credential)
    return {
      value: { ...value, credential: value.credential },
      detail: `${value.credential.subject}, its key and identifier`,
    }
  })
  await list.check('sealed-audience', { sections }, (found) => {
    const { ownTrustDomain } = trust
    if (ownTrustDomain === undefined) return notChecked('you have not said which trust domain is yours')
    const { audiences } = found.sections.credential
    if (!audiences) return notChecked('its issuer says of no trust domain that it is meant for it')
    checkAudience(audiences, ownTrustDomain)
    return { value: undefined, detail: `for ${audiences.join(', ')}` }
  })
  await list.check('sealed-uniqueness', { record, sections }, (found) => {
    const { tags, credential } = found.sections
    if (!tags) return notChecked('the issuer did not seal its tag key')
    checkUniqueTag(found.record.signed.record, tags.key, credential)
    return { value: undefined, detail: `by tag, for ${credential.identifier}` }
  })
  const results = await list.check('sealed-results', { record, records, bundle, sections }, async (found) => {
    const opened = await openResults(found.record, found.records, found.bundle, openWith!)
    if ('value' in opened) checkAttestationSection(found.record.signed.record, found.sections, opened.value)
    return opened
  })
  const decided = await list.check(
    'sealed-decision',
    { record, records, bundle, sections, credential },
    async (found) => {
      const { decision } = found.sections
      if (!decision) return notChecked('the decision is sealed for others')
      const policy = linked(found.records, found.record, 'issuance-policy')[0]!
      const policyText = policyTextOf(policy, await tryOpenRecord(policy, found.bundle.wraps, openWith!))
      if (policyText === undefined) return notChecked('the text of the issuance policy is not known to you')
      const description = await describeWorkload(found.record, found.records, found.bundle, openWith!)
      const { reasons } = await checkDecision({
        credential: found.credential,
        audiences: found.sections.credential.audiences ?? [],
        record: found.record,
        records: found.records,
        trace: decision,
        policyText,
        ...(results.finding ? { results: results.finding.value } : {}),
        ...(description ? { workload: description } : {}),
      })
      const facts = results.finding ? (description ? 'all facts' : 'facts of the attestation') : 'clear facts'
      const value = { decision, ...(description ? { workload: description } : {}) }
      return { value, detail: `allowed by ${reasons.join(', ')}; ${facts} recomputed` }
    },
  )

  return {
    ok: list.ok,
    ...describe({ credential, tree, record, head }),
    ...(general.finding && { standsFor: general.finding.value }),
    mode: current.finding && grown.finding ? 'run-time' : 'offline',
    checks: list.checks.map((check) =>
      OF_THE_PRESENT.includes(check.id) ? { ...check, fresh: Boolean(current.finding && grown.finding) } : check,
    ),
    ...(proven.finding && { possession: proven.finding.value }),
    ...(sections.finding && {
      opened: {
        credential: sections.finding.value.credential,
        ...(results.finding && { results: results.finding.value }),
        ...decided.finding?.value,
        ...(sections.finding.value.detail && { unattestedBecause: sections.finding.value.detail.text }),
      },
    }),
  }
}

/** What is known of the tree that a bundle leads to, once its checkpoint holds. */
function treeOf(bundle: Bundle, memory: EvidenceMemory): KnownTree {
  return memory.tree(bundle.origin, bundle.checkpoint, () => openBundleCheckpoint(bundle, memory.trust))
}

/** RP check 6: the log's present tree begins with the tree that the bundle leads to. */
function checkGrowth(
  checkpoint: VerifiedCheckpoint,
  { fresh, trust }: VerificationInput,
): Finding<unknown> | NotChecked {
  if (!fresh) return notChecked('offline: the log was not asked for its present checkpoint')
  const verifiers = trust.logs.filter(({ origin }) => origin === checkpoint.origin).map(({ verifier }) => verifier)
  const now = openCheckpoint(fresh.checkpoint, { origin: checkpoint.origin, verifiers }, trust.witnessPolicy)
  if (now.size < checkpoint.size) {
    throw new ProvenanceError('checkpoint_rollback', `${now.size} entries now, and ${checkpoint.size} in the bundle`)
  }
  checkConsistency({
    size1: checkpoint.size,
    root1: checkpoint.root,
    size2: now.size,
    root2: now.root,
    proof: fresh.consistencyProof,
  })
  return { value: now, detail: `from ${checkpoint.size} to ${now.size} entries` }
}

/** The records of the bundle that the log gives now, checked from the top like those of the first. */
async function freshRecords(
  { fresh }: VerificationInput,
  credential: Credential,
  memory: EvidenceMemory,
): Promise<{
  record: LoggedRecord<'credential-provenance'>
  records: readonly LoggedRecord[]
  authorities: Authorities
}> {
  const bundle = decodeBundle(fresh!.bundle)
  checkDigest(bundle.credentialDigest, credential, "the log's bundle")
  const tree = treeOf({ ...bundle, checkpoint: fresh!.checkpoint }, memory)
  const included = checkAllIncluded(bundle, tree)
  const { authorities, records: own } = await openAuthorities(included, tree)
  const { signedAt } = await checkReceipts(included, authorities, tree)
  const records = await checkRecords(included, authorities, own, signedAt, tree)
  return { record: provenanceOf(records, included[0]!.index), records, authorities }
}

async function openResults(
  record: LoggedRecord<'credential-provenance'>,
  records: readonly LoggedRecord[],
  { wraps }: Bundle,
  openWith: PrivateJwk,
): Promise<Finding<readonly OpenedResult[]> | NotChecked> {
  const value: OpenedResult[] = []
  for (const logged of linked(records, record, 'attestation-result')) {
    const section = (await tryOpenRecord(logged, wraps, openWith))?.attestation
    if (!section) return notChecked('an attestation result is not sealed, or sealed for others')
    value.push(await checkSealedResult(logged, section, records))
  }
  return { value, detail: value.map(({ verifier }) => `by ${verifier}`).join(', ') || 'no results' }
}

/** What the workload is made of; undefined when that is sealed for others. */
async function describeWorkload(
  record: LoggedRecord<'credential-provenance'>,
  records: readonly LoggedRecord[],
  { wraps }: Bundle,
  openWith: PrivateJwk,
): Promise<WorkloadDescription | undefined> {
  const [provenance] = linked(records, record, 'workload-provenance')
  if (!provenance!.signed.record.sealed) return { sbom: [], build: [], compliance: [] }
  return (await tryOpenRecord(provenance!, wraps, openWith))?.workload
}

interface Found {
  readonly credential: Step<Credential>
  readonly tree: Step<KnownTree>
  readonly record: Step<LoggedRecord<'credential-provenance'>>
  readonly head: Step<{ readonly signedAt: number }>
}

function describe({ credential, tree, record, head }: Found): Pick<VerificationReport, 'credential' | 'log'> {
  const about = credential.finding?.value
  const log = tree.finding?.value.checkpoint
  const logged = record.finding?.value
  return {
    ...(about && {
      credential: {
        kind: about.kind,
        subject: about.subject.uri,
        digest: toHex(about.digest),
        ...(about.identifier === undefined ? {} : { identifier: about.identifier }),
        ...(about.notBefore === undefined ? {} : { notBefore: about.notBefore }),
        notAfter: about.notAfter,
      },
    }),
    ...(log &&
      logged && {
        log: {
          origin: log.origin,
          size: log.size,
          index: logged.index,
          entry: toHex(logged.signed.entry),
          ...(head.finding ? { signedAt: head.finding.value.signedAt } : {}),
        },
      }),
  }
}
