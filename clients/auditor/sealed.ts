/**
 * What is sealed in a record, for an auditor who was given a wrap: opened against its commitment, and held against the clear record,
 * the records it links to, and the decision made again.
 *
 * Without the commitment a signer could hand two auditors two stories; with it, a key that opens something else is a finding.
 *
 * @module
 */
import { EvidenceError, equalBytes, fromUtf8, type Hash, sha256, toHex, utf8 } from '../../merkle/index.ts'
import {
  attestedJwk,
  credentialTag,
  issuedAtOf,
  loadCedar,
  openSections,
  parseWorkloadIdentifier,
  type RecordOf,
  type RecordStatement,
  type RecordType,
  reevaluate,
  type SectionsOf,
  tierOfResult,
  verifyEar,
} from '../../provenance/index.ts'
import {
  jwkThumbprint,
  kidOf,
  type PrivateJwk,
  publicJwkOf,
  type SignedStatement,
  unwrapKeys,
  wrapRecipientKid,
} from '../../statement/index.ts'
import type { LogClient } from '../log-client/index.ts'
import { checkPolicyText } from './check-clear.ts'
import type { History } from './history.ts'
import type { Report } from './statements.ts'

/** What opening asks of a log. */
export type SealedSource = Pick<LogClient, 'record' | 'wraps'>

/** A record with the sections that this auditor can read: none of them, perhaps. */
interface Opened {
  readonly record: RecordStatement
  readonly sections: Readonly<Record<string, unknown>>
  /** Why there are none, if that is anybody's fault. */
  readonly flaw?: string
  readonly wrapped: boolean
}

type Sections<T extends RecordType> = Partial<SectionsOf<T>>

/** Opened records kept at most, for those that link to them. */
const KEPT = 2048

export class SealedReader {
  readonly #source: SealedSource
  readonly #key: PrivateJwk
  readonly #kid: string
  /** By entry in hex, the oldest first. */
  readonly #opened = new Map<string, Promise<Opened>>()

  constructor(source: SealedSource, key: PrivateJwk) {
    this.#source = source
    this.#key = key
    this.#kid = kidOf(publicJwkOf(key))
  }

  /** Opens what can be opened and reports what does not hold. True when something was opened. @throws `UnavailableError` */
  async check(r: RecordStatement, history: History, report: Report): Promise<boolean> {
    const { sections, flaw, wrapped } = await this.#keep(r)
    if (flaw !== undefined) report('seal-broken', flaw)
    const required = history.authorities.hasPolicy ? history.authorities.policy().fields.requireWrapFor : undefined
    if (r.record.sealed && !wrapped && required?.includes(this.#kid)) report('wrap-missing', `none for ${this.#kid}`)

    const { record } = r
    if (record.type === 'attestation-result') await checkResult(record, r, sections, report)
    if (record.type === 'credential-provenance') await this.#checkCredential(record, r, sections, report)
    if ('policy' in sections && 'digest' in record.fields) {
      checkPolicyText((sections as Sections<'issuance-policy'>).policy!.content, record.fields.digest, report)
    }
    return Object.keys(sections).length > 0
  }

  async #checkCredential(
    record: RecordOf<'credential-provenance'>,
    r: RecordStatement,
    opened: Opened['sections'],
    report: Report,
  ): Promise<void> {
    const sections = opened as Sections<'credential-provenance'>
    const { credential, decision } = sections
    if (credential === undefined) return
    const subject = parseWorkloadIdentifier(credential.subject)
    if (subject.trustDomain !== credential.trustDomain) {
      report('credential-differs', `${credential.subject} is not in ${credential.trustDomain}`)
    }
    checkTag(record, sections, report)

    const linked = await Promise.all(
      record.links.map(async ({ rel, entry }) => ({ rel, ...(await this.#linked(entry)) })),
    )
    const authorization = linked.find(({ rel }) => rel === 'key-authorization')?.record?.record
    if (authorization?.type === 'key-authorization' && authorization.fields.trustDomain !== credential.trustDomain) {
      report('credential-differs', `its issuer is authorized for ${authorization.fields.trustDomain}`)
    }
    checkResultsFit(record, r, credential, linked, report)

    if (decision === undefined) return
    const policy = linked.find(({ rel }) => rel === 'issuance-policy')
    await checkDecision(decision, credential.subject, policy, report)
  }

  /** The record linked to, opened as far as possible; nothing for one that is not there, which is a finding already. */
  async #linked(entry: Hash): Promise<Partial<Opened>> {
    const known = this.#opened.get(toHex(entry))
    if (known !== undefined) return known
    try {
      return await this.#keep(await this.#source.record(entry))
    } catch (error) {
      if (error instanceof EvidenceError) return {}
      throw error
    }
  }

  #keep(r: RecordStatement): Promise<Opened> {
    const name = toHex(r.entry)
    let opened = this.#opened.get(name)
    if (opened === undefined) {
      opened = this.#open(r)
      this.#opened.set(name, opened)
      const [oldest] = this.#opened.keys()
      if (this.#opened.size > KEPT && oldest !== undefined) this.#opened.delete(oldest)
    }
    return opened
  }

  async #open(record: RecordStatement): Promise<Opened> {
    const none = { record, sections: {}, wrapped: false }
    if (!record.record.sealed) return none
    const wraps = (await this.#source.wraps(record.entry)).filter((wrap) => wrapRecipientKid(wrap) === this.#kid)
    if (wraps.length === 0) return none
    try {
      return { record, sections: await this.#openWith(wraps, record), wrapped: true }
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error
      return { record, sections: {}, wrapped: true, flaw: `${error.code}: ${error.message}` }
    }
  }

  async #openWith(wraps: readonly Uint8Array[], record: RecordStatement): Promise<Opened['sections']> {
    const sections: Record<string, unknown> = {}
    for (const wrap of wraps) {
      const { recordId, keys } = await unwrapKeys(wrap, this.#key)
      // A wrap of another record would fail at the commitment; this says why.
      if (!equalBytes(recordId, record.record.id)) throw new EvidenceError('wrong_key', 'a wrap of another record')
      Object.assign(sections, await openSections(record as { statement: SignedStatement } & RecordStatement, keys))
    }
    return sections
  }
}

/** The result is the one of the digest, the Verifier's, and says what the clear record says. */
async function checkResult(
  { fields }: RecordOf<'attestation-result'>,
  { statement }: RecordStatement,
  opened: Opened['sections'],
  report: Report,
): Promise<void> {
  const { attestation } = opened as Sections<'attestation-result'>
  if (attestation === undefined) return
  if (!equalBytes(sha256(utf8(attestation.result)), fields.resultDigest)) {
    return report('result-invalid', 'not the result of the digest in clear')
  }
  try {
    const claims = await verifyEar(attestation.result, statement.signer.jwk)
    const tier = tierOfResult(claims)
    if (tier !== fields.tier) report('result-differs', `${fields.tier} in clear, and ${tier} in the result`)
    if (claims.issuedAt !== fields.issuedAt)
      report('result-differs', `issued at ${fields.issuedAt} in clear, and at ${claims.issuedAt}`)
    if ((claims.expiresAt ?? fields.expiresAt) !== fields.expiresAt) {
      report('result-differs', `expires at ${fields.expiresAt} in clear, and at ${claims.expiresAt}`)
    }
    const keys = [...claims.appraisals.values()].map(attestedJwk).filter((jwk) => jwk !== undefined)
    const { keyThumbprint } = attestation
    if (keyThumbprint !== undefined && !keys.some((jwk) => jwkThumbprint(jwk) === keyThumbprint)) {
      report('result-differs', 'the workload key beside the result is not the one attested in it')
    }
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error
    report('result-invalid', `${error.code}: ${error.message}`)
  }
}

function checkTag(
  { fields, unique }: RecordOf<'credential-provenance'>,
  { credential, tags }: Sections<'credential-provenance'>,
  report: Report,
): void {
  if (tags === undefined || credential === undefined) return
  const tag = credentialTag(tags.key, { kind: fields.kind, ...credential })
  if (!unique.some((each) => equalBytes(each, tag))) {
    report(
      'tag-differs',
      `no unique tag for the ${fields.kind === 'wit' ? 'jti' : 'serial number'} ${credential.identifier}`,
    )
  }
}

/** Some result is about the workload described, and some about the key certified: in a composite, not every part holds the key. */
function checkResultsFit(
  { fields }: RecordOf<'credential-provenance'>,
  r: RecordStatement,
  credential: NonNullable<Sections<'credential-provenance'>['credential']>,
  linked: readonly ({ readonly rel: string } & Partial<Opened>)[],
  report: Report,
): void {
  if (fields.attestation === 'none') return
  const results = linked.flatMap(({ rel, sections }) =>
    rel === 'attestation-result' ? ((sections as Sections<'attestation-result'>)?.attestation ?? []) : [],
  )
  if (results.length === 0) return
  const workload = linked.find(({ rel }) => rel === 'workload-provenance')?.record?.record
  if (
    workload?.type === 'workload-provenance' &&
    !results.some(({ measurement }) => equalBytes(measurement, workload.fields.subject))
  ) {
    report('result-unfit', `no result measured ${toHex(workload.fields.subject)}, at ${issuedAtOf(r)}`)
  }
  const keys = results.flatMap(({ keyThumbprint }) => keyThumbprint ?? [])
  if (keys.length > 0 && !keys.includes(credential.keyThumbprint)) {
    report('result-unfit', `no result attests the key ${credential.keyThumbprint}`)
  }
}

/** Cedar again, on the published text and the recorded context. */
async function checkDecision(
  recorded: NonNullable<Sections<'credential-provenance'>['decision']>,
  subject: string,
  policy: Partial<Opened> | undefined,
  report: Report,
): Promise<void> {
  const record = policy?.record?.record
  if (record?.type !== 'issuance-policy') return
  const text = record.fields.content ?? (policy?.sections as Sections<'issuance-policy'>)?.policy?.content
  if (!equalBytes(recorded.policyDigest, record.fields.digest)) {
    return report('decision-differs', 'decided by another text than that of the policy linked to')
  }
  // Known by its digest alone: nobody can decide again.
  if (text === undefined) return
  try {
    await loadCedar()
    const again = reevaluate(fromUtf8(text), parseWorkloadIdentifier(subject), recorded.context)
    if (again.decision !== recorded.decision)
      report('decision-differs', `${recorded.decision} recorded, and ${again.decision} again`)
    if (again.decision !== 'allow') report('decision-differs', 'a credential was issued against the decision')
    if (again.reasons.join('\n') !== recorded.reasons.join('\n')) {
      report(
        'decision-differs',
        `by ${recorded.reasons.join(', ')} as recorded, and by ${again.reasons.join(', ')} again`,
      )
    }
    if (!equalBytes(again.contextDigest, recorded.contextDigest))
      report('decision-differs', 'the context has another digest')
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error
    report('decision-differs', `${error.code}: ${error.message}`)
  }
}
