/**
 * The facts about a workload that an issuance policy decides on, out of its workload provenance.
 *
 * What was compared is true or false, and what could not be compared is absent. What nobody signed, or nobody checked, stands apart from
 * what was: a policy that asks for a builder must not be content with a file that names one.
 *
 * @module
 */
import { equalBytes, fromHex } from '../../merkle/bytes.ts'
import type { WorkloadDescription } from '../records/workload-provenance.ts'
import { packageOf, releaseOf } from '../workload/purl.ts'

/** `context.workload` of the schema. Sets are sorted. */
export interface WorkloadFacts {
  readonly measured: boolean
  readonly publisher: string
  readonly sbomFormats: readonly string[]
  readonly sbomSubjectMatches?: boolean
  readonly sbomVerified: boolean
  readonly components: readonly string[]
  readonly releases: readonly string[]
  readonly packages: readonly string[]
  readonly others: readonly string[]
  readonly cpes: readonly string[]
  readonly builders: readonly string[]
  readonly unverifiedBuilders: readonly string[]
  readonly buildTypes: readonly string[]
  readonly buildSigners: readonly string[]
  readonly buildIdentities: readonly string[]
  readonly materials: readonly string[]
  readonly slsaLevels: readonly string[]
  readonly summaryVerifiers: readonly string[]
  readonly summaryFailures: readonly string[]
  readonly passed: readonly string[]
  readonly failed: readonly string[]
  readonly complianceVerified: boolean
  readonly tools: readonly string[]
  readonly vendor?: string
  readonly vendorId?: string
  readonly saas?: string
}

/** A workload-provenance record, as everybody sees it. */
export interface ProvenanceRecordFacts {
  /** What it is about, lower-case hex. */
  readonly subject: string
  readonly subjectKind?: string
  /** Workload identifier of who signed it. */
  readonly publisher: string
}

/**
 * What a workload's provenance says.
 *
 * @param description - the sealed section; undefined when there is none
 * @param measurements - what the Verifiers measured, lower-case hex
 */
export function workloadFacts(
  description: WorkloadDescription | undefined,
  record: ProvenanceRecordFacts,
  measurements: readonly string[],
): WorkloadFacts {
  const { sbom = [], vendor } = description ?? {}
  const components = set(sbom.flatMap((bill) => bill.components))
  const matches = sbomSubjectMatches(sbom, record)
  return {
    measured: measurements.length > 0 && measurements.every((measurement) => measurement === record.subject),
    publisher: record.publisher,
    sbomFormats: set(sbom.map(({ format }) => format)),
    ...(matches === undefined ? {} : { sbomSubjectMatches: matches }),
    sbomVerified: sbom.length > 0 && sbom.every(({ signer, identity }) => (signer ?? identity) !== undefined),
    components,
    releases: set(components.map(releaseOf)),
    packages: set(components.map(packageOf)),
    others: set(sbom.flatMap(({ others = [] }) => others.map(({ name, version }) => nameAtVersion(name, version)))),
    cpes: set(sbom.flatMap(({ cpes = [] }) => cpes)),
    ...buildFacts(description?.build ?? []),
    ...complianceFacts(description?.compliance ?? []),
    ...(vendor ? { vendor: vendor.name } : {}),
    ...(vendor?.id === undefined ? {} : { vendorId: vendor.id }),
    ...(vendor?.saas === undefined ? {} : { saas: vendor.saas }),
  }
}

/** Only these are digests of the software. */
const COMPARABLE: ReadonlySet<string | undefined> = new Set(['measurement', 'image', undefined])

/** False as soon as one names another subject; undefined as long as one names none, or there is nothing to compare with. */
function sbomSubjectMatches(
  sbom: WorkloadDescription['sbom'],
  { subject, subjectKind }: ProvenanceRecordFacts,
): boolean | undefined {
  if (sbom.length === 0 || !COMPARABLE.has(subjectKind)) return undefined
  const digest = fromHex(subject)
  const compared = sbom.map(({ subjects = [] }) =>
    subjects.length === 0 ? undefined : subjects.some((each) => equalBytes(each, digest)),
  )
  if (compared.includes(false)) return false
  return compared.includes(undefined) ? undefined : true
}

function buildFacts(build: WorkloadDescription['build']) {
  const verified = build.filter((each) => each.verified)
  const builds = verified.filter(({ verification }) => !verification)
  const summaries = verified.filter(({ verification }) => verification)
  const [passed, failed] = [summaries.filter(hasPassed), summaries.filter((each) => !hasPassed(each))]
  return {
    builders: set(builds.flatMap(builderOf)),
    unverifiedBuilders: set(build.filter((each) => !each.verified && !each.verification).flatMap(builderOf)),
    buildTypes: set(builds.flatMap(({ buildType }) => (buildType === undefined ? [] : [buildType]))),
    buildSigners: set(verified.flatMap(({ signer }) => (signer === undefined ? [] : [signer]))),
    buildIdentities: set(
      verified.flatMap(({ identity }) => (identity ? [`${identity.issuer} ${identity.subject}`] : [])),
    ),
    materials: set(builds.flatMap(({ materials = [] }) => materials.flatMap(namesOfMaterial))),
    slsaLevels: set(passed.flatMap(({ verification }) => verification?.levels ?? [])),
    summaryVerifiers: set(passed.flatMap(builderOf)),
    summaryFailures: set(failed.flatMap(builderOf)),
  }
}

type Build = WorkloadDescription['build'][number]

function hasPassed({ verification }: Build): boolean {
  return verification?.result === 'PASSED'
}

function builderOf({ builderId }: Build): string[] {
  return builderId === undefined ? [] : [builderId]
}

/** A material goes by its location, and by each of its digests: `sha256:…`, `gitCommit:…`. */
function namesOfMaterial({ uri, digests }: NonNullable<Build['materials']>[number]): string[] {
  return [...(uri === undefined ? [] : [uri]), ...[...digests].map(([algorithm, value]) => `${algorithm}:${value}`)]
}

function complianceFacts(compliance: WorkloadDescription['compliance']) {
  const tests = (passed: boolean) =>
    set(compliance.filter(({ result }) => (result === 'pass') === passed).map(({ test }) => test))
  return {
    passed: tests(true),
    // Whatever is not plainly a pass: "skipped" and "PASS?" must not read as one.
    failed: tests(false),
    complianceVerified: compliance.length > 0 && compliance.every(({ verified }) => verified),
    tools: set(compliance.flatMap(({ tool }) => (tool === undefined ? [] : [tool]))),
  }
}

function nameAtVersion(name: string, version: string | undefined): string {
  return version === undefined ? name : `${name}@${version}`
}

function set(values: readonly string[]): string[] {
  return [...new Set(values)].sort()
}
