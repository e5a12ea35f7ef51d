/**
 * What is sealed in a record, for an auditor who was given a wrap: opened against its commitment, and held against the clear
 * record, the records it links to, and the decision made again. By the same checks that a relying party with a key makes.
 *
 * Without the commitment a signer could hand two auditors two stories; with it, a key that opens something else is a finding.
 *
 * @module
 */
import { EvidenceError, equalBytes, fromUtf8, type Hash, toHex } from '../../merkle/index.ts'
import {
  type AnyRecordOf,
  checkCommitments,
  type EarClaims,
  openSections,
  parseWorkloadIdentifier,
  type RecordStatement,
  type SectionsOf,
} from '../../provenance/index.ts'
import type { LoggedRecord } from '../../provenance/verification/log-evidence.ts'
import {
  checkAttestationSection,
  checkDecision,
  checkSealedResult,
  checkTrace,
  checkUniqueTag,
  type OpenedResult,
} from '../../provenance/verification/sealed-evidence.ts'
import { kidOf, type PrivateJwk, publicJwkOf, unwrapKeys, wrapRecipientKid } from '../../statement/index.ts'
import { type LogClient, RefusedError } from '../log-client/index.ts'
import type { Sections } from './audited-entry.ts'
import { checkPolicyText } from './check-clear.ts'
import type { CheckId } from './checks.ts'
import type { History } from './history.ts'
import { Marks } from './marks.ts'
import type { Report } from './statements.ts'

/** What opening asks of a log. */
export type SealedSource = Pick<LogClient, 'record' | 'wraps'>

/** A record of which something could be opened, and those that it links to. */
export interface OpenedRecord extends Pick<Opened, 'logged' | 'sections'> {
  /** Of a credential: all of them that could be found, opened as far as possible. */
  readonly linked: readonly Pick<OpenedRecord, 'logged' | 'sections'>[]
  /** Of an attestation result that holds. */
  readonly claims?: EarClaims
}

/** A record with the sections that this auditor can read: none of them, perhaps. */
interface Opened {
  readonly logged: LoggedRecord
  readonly sections: Sections
  /** Whether the log has a wrap for us. */
  readonly wrapped: boolean
  /** Why it does not open. */
  readonly flaw?: string
}

/** Opened records kept at most, for those that link to them. */
const KEPT = 2048

export class SealedReader {
  readonly marks: Marks
  readonly #source: SealedSource
  readonly #key: PrivateJwk
  readonly #kid: string
  /** By entry in hex, the oldest first. */
  readonly #opened = new Map<string, Promise<Opened>>()

  constructor(source: SealedSource, key: PrivateJwk) {
    this.#source = source
    this.#key = key
    this.#kid = kidOf(publicJwkOf(key))
    this.marks = new Marks(key)
  }

  /** Opens what can be opened and reports what does not hold. Undefined when nothing was opened. @throws `UnavailableError` */
  async check(logged: LoggedRecord, history: History, report: Report): Promise<OpenedRecord | undefined> {
    const { record } = logged.signed
    const opened = await this.#keep(logged)
    const { sections, wrapped, flaw } = opened
    if (flaw !== undefined) report('seal-broken', flaw)
    const requireWrapFor = history.authorities.policyAt(logged.index)?.fields.requireWrapFor
    if (record.sealed && !wrapped && requireWrapFor?.includes(this.#kid))
      report('wrap-missing', `none for ${this.#kid}`)

    if (sections.policy && 'digest' in record.fields) {
      checkPolicyText(sections.policy.content, record.fields.digest, report)
    }
    let result: OpenedResult | undefined
    if (record.type === 'attestation-result' && sections.attestation) {
      result = await holds('result-differs', () => this.#result(opened, history), report)
    }
    let linked: readonly Opened[] = []
    if (record.type === 'credential-provenance' && sections.credential) {
      linked = await this.#linksOf(logged, history)
      await this.#checkCredential(opened, linked, record, history, report)
    }
    if ((record.type === 'issuance-intent' || record.type === 'issuance-denied') && sections.decision) {
      await this.#checkTrace(opened, record.type === 'issuance-denied' ? 'deny' : 'allow', history, report)
    }
    if (record.type === 'identity-generalization' && sections.credential) {
      const inside = sections.credential as unknown as SectionsOf<'identity-generalization'>['credential']
      await this.#checkGeneral(inside, logged.index, history, report)
    }
    return Object.keys(sections).length > 0
      ? { logged, sections, linked, ...(result && { claims: result.claims }) }
      : undefined
  }

  /** The decision behind an intent or a denial, made again. On what it was made of the evidence, the record of a credential alone must show. */
  async #checkTrace({ logged, sections }: Opened, decision: string, history: History, report: Report): Promise<void> {
    const { decision: trace, credential } = sections
    const linked = await this.#linksOf(logged, history)
    const policy = linked.find((each) => each.logged.signed.record.type === 'issuance-policy')
    const policyText = policy && textOf(policy)
    if (!trace || !credential || policyText === undefined) return
    if (trace.decision !== decision)
      report('decision-differs', `it was to ${trace.decision}, and the record says ${decision}`)
    await holds('decision-differs', () => checkTrace(trace, policyText, credential.subject), report)
  }

  /** For whom a general credential stands. Where that is on another log, only its digest is here. */
  async #checkGeneral(
    { digest, subject, origin, entry }: SectionsOf<'identity-generalization'>['credential'],
    index: number,
    history: History,
    report: Report,
  ): Promise<void> {
    if (origin !== history.authorities.policy().fields.origin) return
    const target = history.targets.get(toHex(entry))
    // Erased: it was what it was, and nobody can tell any more.
    if (target?.type === 'erased') return
    // Asked for only when it is there: nobody checked what is sealed.
    const inside = target && target.index < index ? await this.#linked(entry, history) : undefined
    const record = inside?.logged.signed.record
    if (record?.type !== 'credential-provenance') {
      report('generalization-differs', `${toHex(entry)} is no earlier credential-provenance`)
    } else if (!equalBytes(record.fields.credentialDigest, digest)) {
      report(
        'generalization-differs',
        `sealed ${toHex(digest)}, and that record is about another credential`,
        toHex(entry),
      )
    } else if (inside?.sections.credential && inside.sections.credential.subject !== subject) {
      report('generalization-differs', 'sealed another name than that record', toHex(entry))
    }
  }

  async #checkCredential(
    opened: Opened,
    linked: readonly Opened[],
    record: AnyRecordOf<'credential-provenance'>,
    history: History,
    report: Report,
  ): Promise<void> {
    const { credential, decision, tags } = opened.sections
    const { authority } = opened.logged
    if (!credential) return
    const subject = parseWorkloadIdentifier(credential.subject)
    if (subject.trustDomain !== credential.trustDomain) {
      report('credential-differs', `${credential.subject} is not in ${credential.trustDomain}`)
    }
    if (authority !== 'admin' && authority.trustDomain !== credential.trustDomain) {
      report('credential-differs', `for ${credential.trustDomain}, by an issuer of ${authority.trustDomain}`)
    }
    if (tags) await holds('tag-differs', async () => checkUniqueTag(record, tags.key, credential), report)

    for (const { logged } of linked) {
      const intent = logged.signed.record
      if (intent.type !== 'issuance-intent') continue
      const announced = { ...credential, kind: record.fields.kind }
      await holds('credential-differs', async () => checkCommitments(intent.fields, announced), report)
    }
    const results = await this.#resultsOf(record, linked, history)
    if (results) {
      const said = async () => checkAttestationSection(record, opened.sections, results)
      await holds('components-differ', said, report)
    }
    const policy = linked.find(({ logged }) => logged.signed.record.type === 'issuance-policy')
    const policyText = policy && textOf(policy)
    // Known by its digest alone, or not sealed for us: nobody here can decide again.
    if (!decision || policyText === undefined) return
    // Of what is gone nobody can say whether the decision was made on it.
    if (linked.length < record.links.length) return
    const workload = linked.find(({ sections }) => sections.workload)?.sections.workload
    await holds(
      'decision-differs',
      () =>
        checkDecision({
          credential: { subject, keyThumbprint: credential.keyThumbprint },
          audiences: credential.audiences ?? [],
          record: opened.logged as LoggedRecord<'credential-provenance'>,
          records: linked.map(({ logged }) => logged),
          trace: decision,
          policyText,
          ...(results && { results }),
          ...(workload && { workload }),
        }),
      report,
    )
  }

  /** The attestation results linked to, if every one of them opened and held; what is wrong with one was reported with it. */
  async #resultsOf(
    { links }: AnyRecordOf<'credential-provenance'>,
    linked: readonly Opened[],
    history: History,
  ): Promise<OpenedResult[] | undefined> {
    // Not that of the issuer itself, to which another relation leads.
    const about = new Set(links.flatMap(({ rel, entry }) => (rel === 'attestation-result' ? [toHex(entry)] : [])))
    const results: OpenedResult[] = []
    for (const each of linked) {
      if (!about.has(toHex(each.logged.signed.entry))) continue
      try {
        const result = await this.#result(each, history)
        if (result === undefined) return undefined
        results.push(result)
      } catch (error) {
        if (error instanceof EvidenceError) return undefined
        throw error
      }
    }
    return results
  }

  async #result({ logged, sections }: Opened, history: History): Promise<OpenedResult | undefined> {
    if (!sections.attestation) return undefined
    const linked = (await this.#linksOf(logged, history)).map((each) => each.logged)
    return checkSealedResult(logged as LoggedRecord<'attestation-result'>, sections.attestation, linked)
  }

  /** The records linked to, opened as far as possible. One that is not there is left out: that is a finding already. */
  async #linksOf({ signed }: LoggedRecord, history: History): Promise<readonly Opened[]> {
    const linked = await Promise.all(signed.record.links.map(({ entry }) => this.#linked(entry, history)))
    return linked.filter((each) => each !== undefined)
  }

  async #linked(entry: Hash, history: History): Promise<Opened | undefined> {
    const known = this.#opened.get(toHex(entry))
    if (known) return known
    try {
      const { index, ...signed } = await this.#source.record(entry)
      return await this.#keep({ index, signed, authority: history.authorityOver(signed, index) })
    } catch (error) {
      // Not there, or not what it should be: a finding already. The log says so itself of what was erased.
      if (error instanceof EvidenceError) return undefined
      if (error instanceof RefusedError && (error.status === 404 || error.status === 410)) return undefined
      throw error
    }
  }

  #keep(logged: LoggedRecord): Promise<Opened> {
    const name = toHex(logged.signed.entry)
    let opened = this.#opened.get(name)
    if (opened === undefined) {
      opened = this.#open(logged)
      this.#opened.set(name, opened)
      const [oldest] = this.#opened.keys()
      if (this.#opened.size > KEPT && oldest !== undefined) this.#opened.delete(oldest)
    }
    return opened
  }

  async #open(logged: LoggedRecord): Promise<Opened> {
    const { entry, record } = logged.signed
    const closed: Opened = { logged, sections: {}, wrapped: false }
    if (!record.sealed) return closed
    const wraps = (await this.#source.wraps(entry)).filter((wrap) => wrapRecipientKid(wrap) === this.#kid)
    if (wraps.length === 0) return closed
    try {
      return { logged, sections: await this.#openWith(wraps, logged.signed), wrapped: true }
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error
      return { ...closed, wrapped: true, flaw: `${error.code}: ${error.message}` }
    }
  }

  async #openWith(wraps: readonly Uint8Array[], signed: RecordStatement): Promise<Sections> {
    const sections = {}
    for (const wrap of wraps) {
      const { recordId, keys } = await unwrapKeys(wrap, this.#key)
      // It would fail at the commitment; this says why.
      if (!equalBytes(recordId, signed.record.id)) throw new EvidenceError('wrong_key', 'a wrap of another record')
      Object.assign(sections, await openSections(signed as Parameters<typeof openSections>[0], keys))
    }
    return sections
  }
}

function textOf({ logged, sections }: Opened): string | undefined {
  const { record } = logged.signed
  const content = record.type === 'issuance-policy' ? (record.fields.content ?? sections.policy?.content) : undefined
  return content && fromUtf8(content)
}

/** Reports what does not hold as `check`. */
async function holds<T>(check: CheckId, run: () => Promise<T>, report: Report): Promise<T | undefined> {
  try {
    return await run()
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error
    report(check, `${error.code}: ${error.message}`)
    return undefined
  }
}
