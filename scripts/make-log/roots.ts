/**
 * What the stories of a made log rest on: who may write, what the workloads are made of, and the policies, in versions that follow each
 * other. All of it follows from the seed, so that every worker knows what to link to without having been told.
 *
 * @module
 */
import { type Hash, sha256, toHex, utf8 } from '../../merkle/index.ts'
import {
  encodePublicKey,
  type FieldsOf,
  type Link,
  readSbom,
  type WorkloadDescription,
} from '../../provenance/index.ts'
import { type Cast, type Party, randomOf } from './cast.ts'
import { Chapter, STEP } from './chapter.ts'

/** 1 January 2026. */
export const BEGINNING = 1_767_225_600
/** Entries of a chapter, and chapters from one version of the policies to the next. */
export const CHAPTER_ENTRIES = 1024
export const CHAPTERS_PER_EPOCH = 8
const LONGEST_RESULT = 3600

/** Software that runs in some trust domain. */
export interface Workload {
  readonly name: string
  readonly subject: string
  readonly issuer: Party
  /** Of the release that runs now. */
  readonly measurement: Hash
  readonly description: WorkloadDescription
  readonly provenance: Hash
  readonly publisher: Party
}

/** What there is to link to from some moment on. */
export interface Roots {
  readonly authorizations: ReadonlyMap<Party, Hash>
  readonly workloads: readonly Workload[]
  readonly issuancePolicies: ReadonlyMap<Party, Version>
  /** For workloads that nobody attests. */
  readonly legacyPolicies: ReadonlyMap<Party, Version>
  readonly appraisalPolicies: ReadonlyMap<Party, Version>
  readonly referenceValues: ReadonlyMap<Party, Version>
  /** That of a gateway: of the first issuer. */
  readonly gateway: Hash
}

export interface Version {
  readonly entry: Hash
  readonly text: string
  readonly version: number
}

export const APPRAISAL_POLICY = 'measured'
const PARTS = ['api', 'worker', 'ledger', 'gateway']

/** When a chapter begins. */
export function chapterStart(chapter: number): number {
  return BEGINNING + chapter * (CHAPTER_ENTRIES * STEP + LONGEST_RESULT)
}

/** The roots as of each epoch, the earlier ones kept for nobody. */
export class RootSeries {
  readonly #cast: Cast
  readonly #documents: readonly object[]
  #roots: Roots | undefined
  #epoch = -1

  /** @param documents bills of materials: CycloneDX */
  constructor(cast: Cast, documents: readonly object[]) {
    this.#cast = cast
    this.#documents = documents
  }

  /** The roots of an epoch, and the records that make them what they are, to be put at its beginning. Epochs must not go back. */
  async at(epoch: number, wrapEvery: number): Promise<{ roots: Roots; chapter: Chapter }> {
    for (;;) {
      const now = chapterStart((this.#epoch + 1) * CHAPTERS_PER_EPOCH)
      const random = randomOf(`${this.#cast.seed} roots ${this.#epoch + 1}`)
      const chapter = new Chapter(this.#cast, { random, now, wrapEvery: this.#epoch + 1 === epoch ? wrapEvery : 0 })
      if (this.#epoch === epoch) return { roots: this.#roots!, chapter }
      this.#epoch++
      this.#roots = await this.#next(chapter)
      if (this.#epoch === epoch) return { roots: this.#roots, chapter }
    }
  }

  async #next(chapter: Chapter): Promise<Roots> {
    const { issuers, verifiers } = this.#cast
    const before = this.#roots
    const authorizations = before?.authorizations ?? (await this.#authorize(chapter))
    const gateway = before?.gateway ?? (await this.#authorizeAs('gateway', issuers[0]!, chapter))
    const workloads = await this.#release(chapter, before?.workloads)
    const referenceValues = new Map<Party, Version>()
    const appraisalPolicies = new Map<Party, Version>()
    for (const party of verifiers) {
      const measured = workloads.map(({ name, measurement }) => ({ name, digest: toHex(measurement) }))
      const values = (version: number) => JSON.stringify({ format: 'measured-files', version, measurements: measured })
      const policy = (version: number) =>
        JSON.stringify({ format: 'measured-files', version, maxEvidenceAgeSeconds: 300 })
      referenceValues.set(
        party,
        await publish('reference-values', 'release', values, party, chapter, before?.referenceValues.get(party)),
      )
      appraisalPolicies.set(
        party,
        await publish(
          'appraisal-policy',
          APPRAISAL_POLICY,
          policy,
          party,
          chapter,
          before?.appraisalPolicies.get(party),
        ),
      )
      // What was measured against the values before is history: nothing more is to rest on them.
      const old = before?.referenceValues.get(party)
      if (old) {
        const links = [{ rel: 'retracts' as const, entry: old.entry }]
        await chapter.add(
          { type: 'retraction', fields: { effectiveAt: chapter.now, reasonCode: 'superseded' }, links },
          party,
        )
      }
    }
    const issuancePolicies = new Map<Party, Version>()
    const legacyPolicies = new Map<Party, Version>()
    for (const party of issuers) {
      const previous = before?.issuancePolicies.get(party)
      const text = (version: number) => policyText(party.trustDomain, version)
      issuancePolicies.set(party, await publish('issuance-policy', 'workloads', text, party, chapter, previous))
      const legacy = before?.legacyPolicies.get(party)
      const legacyText = () => legacyPolicyText(party.trustDomain)
      legacyPolicies.set(party, legacy ?? (await publish('issuance-policy', 'legacy', legacyText, party, chapter)))
    }
    return { authorizations, gateway, workloads, referenceValues, appraisalPolicies, issuancePolicies, legacyPolicies }
  }

  async #authorize(chapter: Chapter): Promise<Map<Party, Hash>> {
    const { issuers, verifiers, vendor, auditor } = this.#cast
    const authorizations = new Map<Party, Hash>()
    for (const party of issuers) authorizations.set(party, await this.#authorizeAs('issuer', party, chapter))
    for (const party of verifiers) authorizations.set(party, await this.#authorizeAs('verifier', party, chapter))
    authorizations.set(vendor, await this.#authorizeAs('vendor', vendor, chapter))
    authorizations.set(auditor, await this.#authorizeAs('auditor', auditor, chapter))
    return authorizations
  }

  #authorizeAs(role: FieldsOf<'key-authorization'>['role'], party: Party, chapter: Chapter): Promise<Hash> {
    const encryptionKey = role === 'auditor' ? { encryptionKey: encodePublicKey(this.#cast.auditorEncryption) } : {}
    const longest = role === 'issuer' ? { maxCredentialLifetime: 7200 } : {}
    const fields = {
      role,
      trustDomain: party.trustDomain,
      subject: party.issuer,
      key: encodePublicKey(party.publicJwk),
      notBefore: BEGINNING,
      ...encryptionKey,
      ...longest,
    }
    return chapter.add({ type: 'key-authorization', fields }, this.#cast.admin)
  }

  /** Every third workload has a new release with each epoch; at first all of them have one. */
  async #release(chapter: Chapter, before: readonly Workload[] | undefined): Promise<Workload[]> {
    const released: Workload[] = []
    for (const [i, issuer] of this.#cast.issuers.entries()) {
      for (const [j, part] of PARTS.entries()) {
        const place = i * PARTS.length + j
        const old = before?.[place]
        if (old && (this.#epoch + place) % 3 !== 0) {
          released.push(old)
          continue
        }
        const name = `${issuer.trustDomain.split('.')[0]}-${part}`
        const subject = `spiffe://${issuer.trustDomain}/${part}`
        const measurement = sha256(utf8(`${this.#cast.seed} ${name} release ${this.#epoch}`))
        const document = this.#documents[place % this.#documents.length]!
        const description = describe(name, this.#epoch, measurement, document)
        const publisher = part === 'ledger' ? this.#cast.vendor : issuer
        const provenance = await chapter.add(
          {
            type: 'workload-provenance',
            fields: { subject: measurement, subjectKind: 'measurement' },
            sections: { workload: description },
          },
          publisher,
        )
        released.push({ name, subject, issuer, measurement, description, provenance, publisher })
      }
    }
    return released
  }
}

/** A bill of materials as `npm sbom` made it, about this release. */
function describe(name: string, release: number, measurement: Hash, document: object): WorkloadDescription {
  const hashes = [{ alg: 'SHA-256', content: toHex(measurement) }]
  const about = { metadata: { component: { type: 'application', name, version: `1.${release}.0`, hashes } } }
  return {
    name,
    sbom: [readSbom(utf8(JSON.stringify({ ...document, ...about })))],
    build: [
      {
        predicateType: 'https://slsa.dev/provenance/v1',
        digest: sha256(utf8(`build of ${toHex(measurement)}`)),
        verified: true,
        signer: 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs',
        builderId: `https://builder.example/${release % 2 === 0 ? 'release' : 'hotfix'}`,
      },
    ],
    compliance: [{ test: 'cis-docker-4.1', result: 'pass', tool: 'docker-bench', verified: true }],
    ...(name.endsWith('ledger') && { vendor: { name: 'Example Software', id: 'EX-1', saas: 'ledger' } }),
  }
}

async function publish(
  type: 'issuance-policy' | 'appraisal-policy' | 'reference-values',
  policyId: string,
  textOf: (version: number) => string,
  party: Party,
  chapter: Chapter,
  previous?: Version,
): Promise<Version> {
  const version = (previous?.version ?? 0) + 1
  const text = textOf(version)
  const content = utf8(text)
  const mediaType = type === 'issuance-policy' ? 'text/vnd.cedar' : 'application/json'
  const fields = { policyId, version, mediaType, digest: sha256(content), content, notBefore: chapter.now }
  const links: Link[] = previous ? [{ rel: 'previous', entry: previous.entry }] : []
  return { entry: await chapter.add({ type, fields, links }, party), text, version }
}

/** Each version forbids one package more. */
function policyText(trustDomain: string, version: number): string {
  const scope = `principal in TrustDomain::"${trustDomain}", action == Action::"issue", resource == TrustDomain::"${trustDomain}"`
  const withdrawn = Array.from({ length: Math.min(version, 40) }, (_, i) => `"pkg:npm/withdrawn-${version - i}"`)
  return `// Version ${version}.
@id("attested")
permit (${scope})
when {
  context.attestation.tier == "affirming" &&
  context.attestation.keyAttested &&
  context.attestation.ageSeconds <= 900
}
when {
  context.workload.measured &&
  context.workload.sbomFormats.contains("CycloneDX") &&
  context.workload has sbomSubjectMatches && context.workload.sbomSubjectMatches
}
when { context.credential.lifetimeSeconds <= 3600 };

@id("no-withdrawn-components")
forbid (principal, action == Action::"issue", resource)
when { context.workload.packages.containsAny([${withdrawn.join(', ')}]) };
`
}

function legacyPolicyText(trustDomain: string): string {
  const scope = `principal in TrustDomain::"${trustDomain}", action == Action::"issue", resource == TrustDomain::"${trustDomain}"`
  return `@id("legacy")\npermit (${scope})\nwhen { context.attestation.results == 0 && context.credential.lifetimeSeconds <= 3600 };\n`
}
