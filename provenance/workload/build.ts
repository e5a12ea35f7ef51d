/**
 * What attestations say about a build: SLSA provenance (v0.1, v0.2, v1), verification summaries (VSA v0.2, v1), and any other predicate by
 * its type and digest.
 *
 * @module
 */
import { isJsonObject, type Json, type JsonObject } from '../json.ts'
import type { Attestation } from './attestation.ts'
import { refuse, text } from './in-toto.ts'
import type { SignerIdentity } from './signer-identity.ts'

/** One of `build` in the `workload` section. */
export interface Build {
  readonly predicateType: string
  /** SHA-256 of the attestation. */
  readonly digest: Uint8Array
  /** Whether its signature verified under a key that the author of the record trusts, `signer`, or a certificate: `identity`. */
  readonly verified: boolean
  readonly signer?: string
  readonly identity?: SignerIdentity
  /** Who built, or who verified the build. */
  readonly builderId?: string
  readonly buildType?: string
  /** Of a verification summary. */
  readonly verification?: { readonly result: 'PASSED' | 'FAILED'; readonly levels: readonly string[] }
  /** What it was built from. */
  readonly materials: readonly Material[]
}

export interface Material {
  readonly uri?: string
  /** By algorithm, as hex. */
  readonly digests: ReadonlyMap<string, string>
}

/** Materials of one build at most. A record has room for no more, and leaving some out would say that they were not there. */
export const MAX_MATERIALS = 1024

/** @throws ProvenanceError `malformed_attestation` */
export function readBuild({ statement, digest, signer, identity }: Attestation): Build {
  const { predicateType, predicate } = statement
  const read = PREDICATES.get(predicateType)
  return {
    predicateType,
    digest,
    verified: signer !== undefined || identity !== undefined,
    ...(signer === undefined ? {} : { signer }),
    ...(identity ? { identity } : {}),
    ...(read ? read(predicate) : { materials: [] }),
  }
}

type Said = Pick<Build, 'builderId' | 'buildType' | 'verification' | 'materials'>

function provenanceV02(predicate: JsonObject): Said {
  const { buildType } = predicate
  return {
    builderId: idOf(predicate['builder'], 'builder'),
    ...(buildType === undefined ? {} : { buildType: text(buildType, 'buildType') }),
    materials: materialsOf(predicate['materials']),
  }
}

function provenanceV1({ buildDefinition, runDetails }: JsonObject): Said {
  if (!isJsonObject(buildDefinition) || !isJsonObject(runDetails)) {
    throw refuse('SLSA provenance without buildDefinition and runDetails')
  }
  return {
    builderId: idOf(runDetails['builder'], 'builder'),
    buildType: text(buildDefinition['buildType'], 'buildType'),
    materials: materialsOf(buildDefinition['resolvedDependencies']),
  }
}

/** `verifiedLevels` of v1, `policyLevel` of v0.2. */
function verificationSummary(predicate: JsonObject): Said {
  const { verificationResult: result, verifiedLevels = [], policy_level, policyLevel = policy_level } = predicate
  if (result !== 'PASSED' && result !== 'FAILED') throw refuse('verificationResult is neither PASSED nor FAILED')
  if (!Array.isArray(verifiedLevels) || verifiedLevels.length > 32) throw refuse('verifiedLevels is not a short list')
  const levels = [...verifiedLevels, ...(policyLevel === undefined ? [] : [policyLevel])]
  return {
    builderId: idOf(predicate['verifier'], 'verifier'),
    verification: { result, levels: levels.map((level: Json) => text(level, 'a level', 256)) },
    materials: materialsOf(predicate['inputAttestations'] ?? predicate['input_attestations']),
  }
}

const PREDICATES: ReadonlyMap<string, (predicate: JsonObject) => Said> = new Map([
  ['https://slsa.dev/provenance/v0.1', provenanceV02],
  ['https://slsa.dev/provenance/v0.2', provenanceV02],
  ['https://slsa.dev/provenance/v1', provenanceV1],
  ['https://slsa.dev/verification_summary/v0.2', verificationSummary],
  ['https://slsa.dev/verification_summary/v1', verificationSummary],
])

function idOf(value: Json | undefined, title: string): string {
  return text(isJsonObject(value) ? value['id'] : undefined, `${title}.id`)
}

function materialsOf(list: Json | undefined): Material[] {
  if (list === undefined || list === null) return []
  if (!Array.isArray(list)) throw refuse('the materials are not a list')
  if (list.length > MAX_MATERIALS) throw refuse(`more than ${MAX_MATERIALS} materials`)
  return list.map((each: Json) => {
    if (!isJsonObject(each)) throw refuse('a material is not an object')
    const { uri, digest } = each
    return {
      ...(uri === undefined || uri === '' ? {} : { uri: text(uri, 'the uri of a material') }),
      digests: digestsOf(digest),
    }
  })
}

function digestsOf(digest: Json | undefined): Map<string, string> {
  const digests = new Map<string, string>()
  if (digest === undefined || digest === null) return digests
  if (!isJsonObject(digest) || Object.keys(digest).length > 8)
    throw refuse('the digest of a material is not a small object')
  for (const [algorithm, value] of Object.entries(digest)) {
    digests.set(text(algorithm, 'an algorithm', 64), text(value, 'a digest', 256))
  }
  return digests
}
