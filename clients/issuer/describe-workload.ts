/**
 * What files say about a workload, bound to the digest that it is known by: the `workload` section of a workload-provenance record.
 *
 *     the subject      an image's digest, or what the Verifiers measured
 *     build            attestations; each must be about the subject, or the record is not made
 *     compliance       reports; likewise, where they say what they are about
 *     sbom             what it says that it is about is recorded, and whether that is the subject is for the policy to ask
 *
 * @module
 */
import { EvidenceError, fromHex, fromUtf8, type Hash, sha256, toHex, utf8 } from '../../merkle/index.ts'
import {
  type Build,
  type CertifiedVerifier,
  type ComplianceReport,
  type ComplianceResult,
  isAttestation,
  parseJson,
  readAttestations,
  readAttestedSbom,
  readBuild,
  readComplianceList,
  readTestResult,
  type WorkloadDescription,
} from '../../provenance/index.ts'
import { encodeCbor, jwkThumbprint, type VerificationJwk } from '../../statement/index.ts'
import { IssuerError } from './error.ts'
import { type AttestationRoots, certifiedVerifier } from './sigstore.ts'

/** Exact bytes of files, and what the author vouches for without any. */
export interface WorkloadFiles {
  /** A bill of materials: CycloneDX or SPDX, by itself or in an in-toto attestation. */
  readonly sbom?: Uint8Array
  /** in-toto attestations of a build: SLSA provenance, verification summaries. */
  readonly builds?: readonly Uint8Array[]
  /** in-toto test results, or plain lists of results. */
  readonly compliance?: readonly Uint8Array[]
  /** Whose signatures on attestations count. With none given they are recorded as unverified. */
  readonly attestationKeys?: readonly VerificationJwk[]
  /** By which attestations with certificates must verify. With none given their certificates are not looked at. */
  readonly attestationRoots?: AttestationRoots
  readonly vendor?: { readonly name: string; readonly id?: string; readonly saas?: string }
  /** SHA-256 of the image, or of whatever artifact the files are about: where that is not what is measured. */
  readonly image?: Hash
}

export interface DescribedWorkload {
  readonly subject: Hash
  readonly subjectKind: 'image' | 'measurement' | 'sbom' | 'key'
  /** Absent when there is nothing to say. */
  readonly description?: WorkloadDescription
}

export interface KnownBy {
  /** What the Verifiers measured, lower-case hex; empty without results that say. */
  readonly measurements: readonly string[]
  readonly workloadKey?: VerificationJwk
}

/**
 * Reads the files.
 *
 * @throws {@link IssuerError} `subject_unknown`, `subject_mismatch`, and as {@link certifiedVerifier}; ProvenanceError `malformed_sbom`, `unsupported_sbom`,
 *   `malformed_attestation`, `malformed_compliance`, `bad_signature`
 */
export function describeWorkload(files: WorkloadFiles, known: KnownBy): Promise<DescribedWorkload> {
  const name = nameOf(files, known)
  const before = name === undefined ? undefined : described.get(name)
  if (before) return before
  const found = describe(files, known)
  if (name === undefined) return found
  if (described.size === MAX_DESCRIBED) described.delete(described.keys().next().value!)
  described.set(name, found)
  found.catch(() => described.delete(name))
  return found
}

/** A workload renews with the same files many times, and they say the same each time. */
const described = new Map<string, Promise<DescribedWorkload>>()
const MAX_DESCRIBED = 1024
/** A description takes up some times what its files do. */
const MAX_REMEMBERED_BYTES = 16 * 1024

/** SHA-256 over all that a description is made from; undefined where it is long, or certificates are verified, which is about the moment too. */
function nameOf(files: WorkloadFiles, { measurements, workloadKey }: KnownBy): string | undefined {
  const { sbom, builds = [], compliance = [], attestationKeys = [], attestationRoots, vendor, image } = files
  const bytes = [sbom, ...builds, ...compliance].reduce((sum, file) => sum + (file?.length ?? 0), 0)
  if (attestationRoots || bytes > MAX_REMEMBERED_BYTES) return undefined
  const keys = [attestationKeys.map((key) => jwkThumbprint(key)), workloadKey ? jwkThumbprint(workloadKey) : null]
  const said = JSON.stringify([measurements, keys, vendor ?? null])
  return toHex(sha256(encodeCbor([said, sbom ?? null, builds, compliance, image ?? null])))
}

async function describe(files: WorkloadFiles, known: KnownBy): Promise<DescribedWorkload> {
  const { sbom, vendor, attestationKeys = [], attestationRoots } = files
  const verifyCertified = attestationRoots && (await certifiedVerifier(attestationRoots))
  const named = subjectOf(files, known)
  const subject = toHex(named.subject)
  const build: Build[] = []
  for (const file of files.builds ?? []) {
    for (const attestation of await readAttestations(file, attestationKeys, verifyCertified)) {
      checkSubject(attestation.statement.subjects, subject, 'a build attestation')
      build.push(readBuild(attestation))
    }
  }
  const compliance: ComplianceResult[] = []
  for (const file of files.compliance ?? []) {
    for (const { subjects, results } of await reportsOf(file, attestationKeys, verifyCertified)) {
      if (subjects) checkSubject(subjects, subject, 'a compliance report')
      compliance.push(...results)
    }
  }
  if (!sbom && build.length === 0 && compliance.length === 0 && !vendor) return named
  const bills = sbom ? [await readAttestedSbom(sbom, attestationKeys, verifyCertified)] : []
  return { ...named, description: { sbom: bills, build, compliance, ...(vendor ? { vendor } : {}) } }
}

/** What is measured, so that result and provenance are about one thing; else the best name there is that nobody can guess. */
function subjectOf(
  { image, sbom, builds = [] }: WorkloadFiles,
  { measurements, workloadKey }: KnownBy,
): Omit<DescribedWorkload, 'description'> {
  const [measurement] = measurements
  if (image) return { subject: image, subjectKind: 'image' }
  if (measurement !== undefined) return { subject: fromHex(measurement), subjectKind: 'measurement' }
  if (builds.length > 0) {
    throw new IssuerError(
      'subject_unknown',
      'a build is about a digest, and neither a measurement nor an image is given',
    )
  }
  if (sbom) return { subject: sha256(sbom), subjectKind: 'sbom' }
  if (workloadKey) return { subject: sha256(utf8(jwkThumbprint(workloadKey))), subjectKind: 'key' }
  throw new IssuerError('subject_unknown', 'nothing is given that the workload could be known by')
}

/** A record that cites somebody about another thing would lend this one their word. */
function checkSubject(subjects: readonly string[], subject: string, what: string): void {
  if (!subjects.includes(subject)) throw new IssuerError('subject_mismatch', `${what} is not about ${subject}`)
}

async function reportsOf(
  file: Uint8Array,
  keys: readonly VerificationJwk[],
  verifyCertified: CertifiedVerifier | undefined,
): Promise<ComplianceReport[]> {
  const document = listIn(file)
  if (document !== undefined) return [readComplianceList(document, file)]
  return (await readAttestations(file, keys, verifyCertified)).map(readTestResult)
}

/** The file as one JSON document that is no attestation. JSON Lines, and what is no JSON, are left to the reader of attestations. */
function listIn(file: Uint8Array) {
  try {
    const document = parseJson(fromUtf8(file))
    return isAttestation(document) ? undefined : document
  } catch (error) {
    if (error instanceof EvidenceError) return undefined
    throw error
  }
}
