/**
 * What the sealed sections of a bundle say, for whoever has a key, and whether it agrees with what everybody can see.
 *
 * Sealing commits (`statement/seal.ts`): a section opens to what its signer sealed or not at all. What is left to check is
 * that the signer did not seal one thing and show another, and that the decision follows from the evidence:
 *
 *   credential section  ==  the credential
 *   EAR                 ==  clear fields of its record, signed by the same Verifier
 *   policy text + facts ──Cedar──▶ the decision that was recorded
 *
 * @module
 */
import { loadCedar } from '#cedar'
import { equalBytes, fromUtf8, toHex, utf8 } from '../../merkle/bytes.ts'
import { type Hash, sha256 } from '../../merkle/hash.ts'
import { kidOf, type PrivateJwk, publicJwkOf, type VerificationJwk } from '../../statement/cose-key.ts'
import { StatementError } from '../../statement/error.ts'
import { parseVerificationJwk } from '../../statement/verification-jwk.ts'
import { unwrapKeys, wrapRecipientKid } from '../../statement/wrap.ts'
import { resultBytes, type SignedResult, verifyEar } from '../attestation/attestation-result.ts'
import { type EarClaims, tierOfResult } from '../attestation/ear-claims.ts'
import { worstTier } from '../attestation/tier.ts'
import type { Credential } from '../credential.ts'
import { ProvenanceError } from '../error.ts'
import { parseWorkloadIdentifier } from '../identifier.ts'
import { attestationFacts, componentsOf } from '../issuance/issuance-facts.ts'
import { contextFor, type IssuanceDecision, reevaluate } from '../issuance/issuance-policy.ts'
import { workloadFacts } from '../issuance/workload-facts.ts'
import { canonicalJson, isJsonObject, type Json, parseJson } from '../json.ts'
import type { RecordOf } from '../record.ts'
import { openSections } from '../record-statement.ts'
import type { DecisionTrace } from '../records/decision.ts'
import type { SectionsOf } from '../records/index.ts'
import type { WorkloadDescription } from '../records/workload-provenance.ts'
import type { RecordType } from '../rules/link-rules.ts'
import { credentialTag } from '../tags.ts'
import type { Bundle } from './bundle.ts'
import { type LoggedRecord, linked } from './log-evidence.ts'

/** An attestation result that was sealed in its record, checked. */
export interface OpenedResult {
  /** Of the record that it was sealed in. */
  readonly entry: Hash
  /** Workload identifier of the Verifier. */
  readonly verifier: string
  /** The EAR as the Verifier signed it. */
  readonly result: SignedResult
  readonly claims: EarClaims
  /** Lower-case hex. */
  readonly measurement: string
}

/**
 * Opens the sections of a record for a recipient.
 *
 * @returns undefined when no wraps came along: there may never have been any, or they were destroyed to erase the record
 * @throws `wrong_recipient` when all wraps are for others, `wrong_key` when a key is not the one that was committed to
 */
export async function openRecord<T extends RecordType>(
  { signed }: LoggedRecord<T>,
  wraps: Bundle['wraps'],
  recipient: PrivateJwk,
): Promise<Partial<SectionsOf<T>> | undefined> {
  const candidates = wraps.get(toHex(signed.entry)) ?? []
  if (candidates.length === 0) return undefined
  const kid = kidOf(publicJwkOf(recipient))
  const wrap = candidates.find((each) => wrapRecipientKid(each) === kid)
  if (!wrap) throw new StatementError('wrong_recipient', `no wrap of the ${signed.record.type} is for ${kid}`)
  const { recordId, keys } = await unwrapKeys(wrap, recipient)
  if (!equalBytes(recordId, signed.record.id)) throw new StatementError('wrong_key', 'a wrap of another record')
  return openSections<T>(signed as Parameters<typeof openSections<T>>[0], keys)
}

/** As {@link openRecord}, for what others sealed, perhaps not for us. */
export async function tryOpenRecord<T extends RecordType>(
  logged: LoggedRecord<T>,
  wraps: Bundle['wraps'],
  recipient: PrivateJwk,
): Promise<Partial<SectionsOf<T>> | undefined> {
  try {
    return await openRecord(logged, wraps, recipient)
  } catch (error) {
    if (error instanceof StatementError && error.code === 'wrong_recipient') return undefined
    throw error
  }
}

type CredentialSection = SectionsOf<'credential-provenance'>['credential']

/** The issuer's words about the credential against the credential. @throws `section_mismatch` */
export function checkCredentialSection(section: CredentialSection, credential: Credential): void {
  const { subject, identifier, keyThumbprint } = credential
  const pairs: [string, string, string | undefined][] = [
    ['subject', section.subject, subject.uri],
    ['trust domain', section.trustDomain, subject.trustDomain],
    ['identifier', section.identifier, identifier],
    ['key thumbprint', section.keyThumbprint, keyThumbprint],
  ]
  for (const [name, sealed, actual] of pairs) {
    if (sealed !== actual)
      throw mismatch(`the sealed ${name} is ${sealed}, and the credential's is ${actual ?? 'absent'}`)
  }
}

/** Whoever is not meant refuses: a credential that is good at home is not for use elsewhere. @throws `audience_mismatch` */
export function checkAudience(audiences: readonly string[], own: string): void {
  if (!audiences.includes(own)) {
    throw new ProvenanceError('audience_mismatch', `meant for ${audiences.join(', ')}, and you are ${own}`)
  }
}

/** The `unique` tag made again, by the issuer's sealed tag key. @throws `section_mismatch` */
export function checkUniqueTag(
  record: RecordOf<'credential-provenance'>,
  key: Uint8Array,
  { trustDomain, identifier }: CredentialSection,
): void {
  const tag = credentialTag(key, { kind: record.fields.kind, trustDomain, identifier })
  if (!record.unique.some((each) => equalBytes(each, tag))) {
    throw mismatch('the log was not asked to keep this serial number or jti unique')
  }
}

/**
 * Checks a sealed EAR: signed with the key that signed its record, and saying what the record says in clear.
 *
 * @throws `section_mismatch`, and those of `verifyEar`
 */
export async function checkSealedResult(
  logged: LoggedRecord<'attestation-result'>,
  section: SectionsOf<'attestation-result'>['attestation'] & object,
  records: readonly LoggedRecord[],
): Promise<OpenedResult> {
  const { record, statement } = logged.signed
  const { result, measurement, keyThumbprint } = section
  const { fields } = record
  if (!equalBytes(sha256(resultBytes(result)), fields.resultDigest)) {
    throw mismatch('another attestation result than in clear')
  }
  const claims = await verifyEar(result, statement.signer.jwk)
  if (tierOfResult(claims) !== fields.tier)
    throw mismatch(`the result is ${tierOfResult(claims)}, in clear ${fields.tier}`)
  if (claims.issuedAt !== fields.issuedAt || (claims.expiresAt ?? fields.expiresAt) !== fields.expiresAt) {
    throw mismatch('the result has other times than in clear')
  }
  const applied = linked(records, logged, 'appraisal-policy').map(({ signed }) => signed.record.fields.policyId)
  const named = [...claims.appraisals.values()].flatMap(({ policyIds = [] }) => policyIds)
  const stranger = named.find((id) => !applied.includes(id))
  if (stranger !== undefined)
    throw mismatch(`the result was appraised by ${stranger}, and the record links to another policy`)

  if (section.external !== undefined) await checkExternal(section.external, claims, logged, records)

  const hex = toHex(measurement)
  const opened = { entry: logged.signed.entry, verifier: statement.header.issuer, result, claims, measurement: hex }
  if (keyThumbprint !== undefined && !attestationFacts([opened], keyThumbprint, 0).keyAttested) {
    throw mismatch('the result does not attest the key that its record names')
  }
  return opened
}

/**
 * What the issuer says was attested, part by part, against the results: no part left out, none that is better than its Verifier said, and
 * none said to have the workload's key that has not.
 *
 * @param results - those that the record links to, every one of them
 * @throws `section_mismatch`
 */
export function checkAttestationSection(
  { fields }: RecordOf<'credential-provenance'>,
  sections: Partial<SectionsOf<'credential-provenance'>>,
  results: readonly OpenedResult[],
): void {
  const said = sections.attestation?.components
  if (fields.components !== undefined && said && fields.components !== said.length) {
    throw mismatch(`${fields.components} parts in clear, and ${said.length} sealed`)
  }
  // Also where no section says which: the number in clear is what those go by who can open nothing.
  const count = results.reduce((sum, { claims }) => sum + claims.appraisals.size, 0)
  if (fields.components !== undefined && fields.components !== count) {
    throw mismatch(`${fields.components} parts in clear, and the results are about ${count}`)
  }
  const keyThumbprint = sections.credential?.keyThumbprint
  if (!said || keyThumbprint === undefined) return
  const nameOf = ({ result, label, tier, keyAttested }: (typeof said)[number]) =>
    JSON.stringify([toHex(result), label, tier, keyAttested])
  const actual = componentsOf(results, keyThumbprint).map(nameOf).sort()
  const stranger = said
    .map(nameOf)
    .toSorted()
    .find((name, i) => name !== actual[i])
  if (stranger !== undefined || said.length !== actual.length) {
    throw mismatch(`of the parts attested, the results have ${actual.length}, not ${said.length}; not ${stranger}`)
  }
}

/** The result of another Verifier that was vouched for: by one whose key is among the linked reference values, and no worse than what was made of it. */
async function checkExternal(
  external: SignedResult,
  claims: EarClaims,
  logged: LoggedRecord<'attestation-result'>,
  records: readonly LoggedRecord[],
): Promise<void> {
  const { evidenceDigest } = logged.signed.record.fields
  if (!equalBytes(sha256(resultBytes(external)), evidenceDigest)) throw mismatch('another result was vouched for')
  const keys = linked(records, logged, 'reference-values').flatMap(({ signed }) =>
    attestersIn(signed.record.fields.content),
  )
  const theirs = await verifiedByAny(external, keys)
  if (!theirs) {
    // Of a Verifier that is not named there nothing good may be said.
    if (tierOfResult(claims) === 'affirming') throw mismatch('the other Verifier is not in the reference values')
    return
  }
  const [ours, said] = [tierOfResult(claims), tierOfResult(theirs)]
  if (worstTier([ours, said]) !== ours)
    throw mismatch(`the result says ${ours}, and the one that it vouches for ${said}`)
}

async function verifiedByAny(result: SignedResult, keys: readonly VerificationJwk[]): Promise<EarClaims | undefined> {
  for (const key of keys) {
    try {
      return await verifyEar(result, key)
    } catch (error) {
      if (!(error instanceof ProvenanceError && error.code === 'bad_signature')) throw error
    }
  }
  return undefined
}

/** Keys of other Verifiers in a document of reference values, where it is in clear. */
function attestersIn(content: Uint8Array | undefined): VerificationJwk[] {
  const document = content && parseJson(fromUtf8(content))
  const attesters = isJsonObject(document) ? document['attesters'] : undefined
  return Array.isArray(attesters) ? attesters.map(parseVerificationJwk) : []
}

/** All that a decision was made on, as far as it could be opened. */
export interface DecisionEvidence {
  readonly credential: Pick<Credential, 'subject' | 'keyThumbprint'>
  /** For which trust domains the record seals that it is meant. */
  readonly audiences?: readonly string[]
  readonly record: LoggedRecord<'credential-provenance'>
  readonly records: readonly LoggedRecord[]
  readonly trace: SectionsOf<'credential-provenance'>['decision']
  /** The text that the linked issuance policy has the digest of. */
  readonly policyText: string
  /** Absent unless every result could be opened. */
  readonly results?: readonly OpenedResult[]
  /** Absent unless the workload's provenance could be opened. */
  readonly workload?: WorkloadDescription
}

/** Between deciding and signing the record of it, in seconds. */
const MAX_DECISION_DELAY = 60

/**
 * Makes the decision again, and holds what it was based on against the evidence.
 *
 * @throws `decision_mismatch`, and those of `reevaluate`
 */
export async function checkDecision(evidence: DecisionEvidence): Promise<IssuanceDecision> {
  const { trace, policyText, credential } = evidence
  if (trace.decision !== 'allow') throw wrong('it was to deny')
  const again = await checkTrace(trace, policyText, credential.subject.uri)
  checkFacts(parseJson(trace.context), evidence)
  return again
}

/**
 * Makes a decision again, whichever it was, on what its trace says that it was made on.
 *
 * @throws `decision_mismatch`, `malformed_identifier`, and those of `reevaluate`
 */
export async function checkTrace(trace: DecisionTrace, policyText: string, subject: string): Promise<IssuanceDecision> {
  if (!equalBytes(sha256(utf8(trace.context)), trace.contextDigest)) throw wrong('its context is another one')
  if (!equalBytes(sha256(utf8(policyText)), trace.policyDigest)) throw wrong('it was made by another policy')
  await loadCedar()
  const again = reevaluate(policyText, parseWorkloadIdentifier(subject), trace.context)
  if (again.decision !== trace.decision) throw wrong(`the policy says to ${again.decision} this`)
  if (again.reasons.join() !== trace.reasons.toSorted().join()) {
    throw wrong(`it was for ${trace.reasons.join(', ')}, and the policy says ${again.reasons.join(', ')}`)
  }
  return again
}

/** The context against what the evidence gives: the issuer must not have decided on something better. */
function checkFacts(context: Json, evidence: DecisionEvidence): void {
  const { credential, audiences = [], record, records, results, workload, policyText } = evidence
  if (!isJsonObject(context)) throw wrong('its context is no object')
  const { fields } = record.signed.record
  const logged = linked(records, record, 'attestation-result').map(({ signed }) => signed.record.fields.tier)
  const decidedAt = record.signed.statement.header.issuedAt!
  const lifetimeSeconds = fields.notAfter - fields.notBefore
  const audience = [...new Set(audiences)].sort()
  compare(context['credential'], { kind: fields.kind, lifetimeSeconds, audience })
  compare(context['attestation'], { results: logged.length, tier: worstTier(logged) })
  if (!results) return
  const facts = attestationFacts(results, credential.keyThumbprint, decidedAt)
  const age = isJsonObject(context['attestation']) ? context['attestation']['ageSeconds'] : undefined
  if (typeof age !== 'number' || age > facts.ageSeconds || age < facts.ageSeconds - MAX_DECISION_DELAY) {
    throw wrong(`the results were ${facts.ageSeconds} s old, not ${JSON.stringify(age)}`)
  }
  // Whole objects from here on: what the evidence does not give, the decision must not have seen.
  compare(context, { attestation: { ...facts, ageSeconds: age } })
  const { record: provenance, statement } = linked(records, record, 'workload-provenance')[0]!.signed
  const { subject, subjectKind } = provenance.fields
  const about = { subject: toHex(subject), ...(subjectKind === undefined ? {} : { subjectKind }) }
  const described = workloadFacts(workload, { ...about, publisher: statement.header.issuer }, facts.measurements)
  const { measured, publisher } = described
  if (workload || !provenance.sealed) {
    compare(context, {
      workload: contextFor(policyText, credential.subject, { ...context, workload: { ...described } })['workload']!,
    })
  } else compare(context['workload'], { measured, publisher })
}

function compare(context: Json | undefined, facts: { readonly [name: string]: Json }): void {
  for (const [name, fact] of Object.entries(facts)) {
    const said = isJsonObject(context) ? context[name] : undefined
    const [saw, is] = [said ?? null, fact].map(canonicalJson)
    if (saw !== is)
      throw wrong(`it was based on ${name} ${saw!.slice(0, 500)}, and the evidence gives ${is!.slice(0, 500)}`)
  }
}

/** The text of a policy record: in clear, or from its section; undefined when this reader has neither. @throws `section_mismatch` */
export function policyTextOf(
  { signed }: LoggedRecord<'issuance-policy'>,
  sections: Partial<SectionsOf<'issuance-policy'>> | undefined,
): string | undefined {
  const { content, digest } = signed.record.fields
  const bytes = content ?? sections?.policy?.content
  if (!bytes) return undefined
  if (!equalBytes(sha256(bytes), digest)) throw mismatch('the text of the policy has another digest')
  return fromUtf8(bytes)
}

function mismatch(why: string): ProvenanceError {
  return new ProvenanceError('section_mismatch', why)
}

function wrong(why: string): ProvenanceError {
  return new ProvenanceError('decision_mismatch', `the decision: ${why}`)
}
