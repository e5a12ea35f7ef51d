/**
 * What the formats of hardware vendors have in common. A reader verifies bytes under the vendor's root and gives facts in one shape;
 * comparing them with reference values, and saying which key they are bound to, is the same for all and is here.
 *
 * @module
 */
import { fromHex, type Hash, sha256, toHex } from '../../../../merkle/index.ts'
import type { Claim, JsonObject, TrustVector } from '../../../../provenance/index.ts'
import { encodeCbor, jwkThumbprint, type VerificationJwk } from '../../../../statement/index.ts'
import { malformedEvidence } from '../../error.ts'
import type { ReferenceMeasurement, ReferencePlatform, ReferenceValues } from '../../reference-values.ts'
import type { AppraisalCase, EvidenceFormat, Examination, Examined, ReferenceNames } from '../format.ts'
import type { Finding } from './chain.ts'
import { type Collateral, readCollateral } from './collateral.ts'
import { checkBinding, FORMULAS } from './key-binding.ts'

/** What evidence of any hardware comes down to, every signature verified up to a pinned root. */
export interface HardwareFacts {
  /** Lower-case hex by the name that the vendor gives it. */
  readonly measurements: Readonly<Record<string, string>>
  /** Those that no reference values match without naming them: of what is there, and nothing says what it is. */
  readonly mustBeNamed?: readonly string[]
  /** Security version numbers, of the software and of the platform below it. */
  readonly versions: Readonly<Record<string, number>>
  readonly platform: {
    /** The processor line, or whatever a minimum is set for. */
    readonly model: string
    /** Of this one machine or chip, where the evidence tells. */
    readonly id?: string
  }
  /** Absent where the platform has no such mode, or cannot tell. */
  readonly debug?: boolean
  /** What the vendor says of the platform's firmware. Absent where vendors say nothing and reference values decide. */
  readonly tcb?: { readonly status: string; readonly date?: string; readonly advisories?: readonly string[] }
  /** Set where vendors do for some platforms of the format and not for others, and for this one do: no minimum is missed then. */
  readonly isTcbJudged?: true
  /** POSIX seconds, where the platform has a clock. */
  readonly issuedAt?: number
  /** The challenge, where it has a field of its own. */
  readonly nonce?: Uint8Array
  /** What the workload chose, by the name of the field. */
  readonly chosen: Readonly<Record<string, Uint8Array | undefined>>
  /** The pinned root that it rests on; `none` where {@link needsEnrolment}. */
  readonly root: string
  /** Set where no root speaks for the platform: then it has to be listed in the reference values, by its id. */
  readonly needsEnrolment?: true
  /** Set where another Verifier vouches for it that the reference values do not name. */
  readonly unknownVerifier?: true
  /** What a policy must have an opinion about, besides what is compared here. */
  readonly findings: readonly Finding[]
}

/** One vendor's evidence. */
export interface HardwareReader {
  readonly name: string
  /** SHA-256 fingerprints of the vendor's own root certificates. */
  readonly roots: readonly string[]
  /** Where it bears on less than a confidential computing platform does. */
  readonly claims?: readonly Claim[]
  readonly references: ReferenceNames
  /** `field=formula`; the first is the default. */
  readonly keyBindings: readonly string[]
  /** Whether a chosen field has a fixed length. */
  readonly padded: boolean
  /** What can be found besides what is found in all hardware. */
  readonly cases: readonly AppraisalCase[]
  /** The evidence in a file that holds more. */
  readonly ofFile?: (file: Uint8Array) => Uint8Array
  /** Set where another Verifier vouches for the facts: its keys are in the reference values. */
  readonly attesters?: true
  /** Set where collateral may be files that are neither text nor DER. */
  readonly hasMessages?: true
  /**
   * The facts; of evidence about several devices, those of each by its name.
   *
   * @throws VerifierError for evidence that proves nothing
   */
  read(
    evidence: Uint8Array,
    context: ReaderContext,
  ): HardwareFacts | ReadonlyMap<string, HardwareFacts> | Promise<ReadonlyMap<string, HardwareFacts>>
}

export interface ReaderContext {
  readonly collateral: Collateral
  readonly roots: readonly string[]
  /** POSIX seconds. */
  readonly at: number
  /** Keys of other Verifiers, as the reference values have them. */
  readonly attesters: readonly VerificationJwk[]
}

/** Longest evidence of any hardware format. The event log of a machine, the largest part of any, has some 50 000 bytes. */
const MAX_EVIDENCE_BYTES = 512 * 1024

/** Not `file-system`, `storage-opaque` or `sourced-data`: a processor knows what was loaded into memory at launch, and no more. */
const CLAIMS: readonly Claim[] = ['instance-identity', 'configuration', 'executables', 'hardware', 'runtime-opaque']

/** As AR4SI §2.3.4 has it: 96 recognized and contraindicated, 97 not recognized, 32 genuine with known weaknesses. */
const DEFAULTS: { readonly [C in AppraisalCase]?: TrustVector } = {
  unknownAttester: { 'instance-identity': 97 },
  unknownPlatform: { 'instance-identity': 97 },
  undated: { 'instance-identity': 32 },
  debug: { configuration: 96, 'runtime-opaque': 96 },
  revoked: { 'instance-identity': 96, hardware: 96 },
  outdatedTcb: { hardware: 32 },
  unhardened: { configuration: 32, hardware: 32 },
  unknownTcb: { hardware: 32 },
  uncheckedRevocation: { 'instance-identity': 32 },
  expiredCollateral: { 'instance-identity': 32, hardware: 32 },
}

export function hardwareFormat(reader: HardwareReader): EvidenceFormat {
  const { claims = CLAIMS } = reader
  return {
    name: reader.name,
    submodule: reader.name,
    claims,
    cases: ['match', 'mismatch', 'unknownPlatform', 'stale', 'undated', 'wrongNonce', ...reader.cases],
    defaults: defaultsFor(claims),
    keyBindings: reader.keyBindings,
    references: reader.references,
    ...(reader.attesters ? { attesters: true as const } : {}),
    ofFile: reader.ofFile ?? ((file) => file),
    async examine(evidence, examination) {
      if (evidence.length > MAX_EVIDENCE_BYTES) {
        throw malformedEvidence(`longer than ${MAX_EVIDENCE_BYTES} bytes`)
      }
      const facts = await reader.read(evidence, {
        collateral: readCollateral(examination.collateral, reader.hasMessages),
        roots: examination.roots ?? reader.roots,
        at: examination.now,
        attesters: examination.references.flatMap(({ attesters }) => attesters),
      })
      if (!(facts instanceof Map)) return judge(facts as HardwareFacts, reader, examination)
      const devices = facts as ReadonlyMap<string, HardwareFacts>
      return together(new Map([...devices].map(([name, each]) => [name, judge(each, reader, examination)])))
    },
  }
}

/** What is made of each case, in the claims that the format bears on. */
function defaultsFor(claims: readonly Claim[]): EvidenceFormat['defaults'] {
  return Object.fromEntries(
    Object.entries(DEFAULTS).map(([name, vector]) => [
      name,
      Object.fromEntries(Object.entries(vector).filter(([claim]) => claims.includes(claim as Claim))),
    ]),
  )
}

/** The digest that stands for named measurements: SHA-256 over the deterministic CBOR of { name: bytes }. */
export function measurementDigest(values: Readonly<Record<string, string>>): Hash {
  return sha256(encodeCbor(new Map(Object.entries(values).map(([name, hex]) => [name, fromHex(hex)]))))
}

/**
 * Several things as one, which all the measurements together identify. A key is the workload's if it is that of each of them; or of one, where
 * somebody else vouches that they belong together.
 */
export function together(parts: ReadonlyMap<string, Examined>, { areOne = false } = {}): Examined {
  const all = [...parts.values()]
  const [first] = all
  if (!first) throw malformedEvidence('it is about nothing')
  const keys = all.flatMap(({ workloadKey }) => (workloadKey ? [workloadKey] : []))
  const isSame = new Set(keys.map(jwkThumbprint)).size === 1 && (areOne || keys.length === all.length)
  const measurements = [...parts].map(([name, { measurement }]) => [name, toHex(measurement)])
  return {
    cases: [...new Set(all.flatMap(({ cases }) => cases))],
    measurement: all.length === 1 ? first.measurement : measurementDigest(Object.fromEntries(measurements)),
    ...(isSame ? { workloadKey: keys[0]! } : {}),
    detail: {},
    parts,
  }
}

function judge(facts: HardwareFacts, reader: HardwareReader, examination: Examination): Examined {
  const { references, nonce, keyBinding = reader.keyBindings[0]! } = examination
  const [field, formula] = splitBinding(keyBinding)
  const binding = checkBinding(FORMULAS.find((known) => known === formula)!, {
    field: facts.chosen[field],
    padded: reader.padded,
    ...(nonce === undefined ? {} : { nonce }),
    ...(examination.workloadKey ? { workloadKey: examination.workloadKey } : {}),
  })
  const answersNonce = nonce !== undefined && (binding.answersNonce || isText(facts.nonce, nonce))
  // A platform is believed about the software that its own reference values are about, and no other.
  const believed = facts.unknownVerifier ? [] : references.filter((values) => admits(values, facts))
  const unknownAttester = facts.unknownVerifier || (facts.needsEnrolment && believed.length === 0)
  const compared = compare(facts, believed)
  const findings: Finding[] = [
    ...(unknownAttester
      ? [{ case: 'unknownAttester' as const, why: 'no root and no reference values speak for it' }]
      : []),
    ...(unknownAttester ? [] : comparePlatform(facts, references, reader)),
    ...(facts.debug ? [{ case: 'debug' as const, why: 'the platform says so' }] : []),
    ...(facts.issuedAt === undefined && !answersNonce
      ? [{ case: 'undated' as const, why: 'no clock, and no challenge answered' }]
      : []),
    ...facts.findings,
  ]
  return {
    cases: [
      ...new Set([
        ...(unknownAttester ? [] : [compared.matched ? ('match' as const) : ('mismatch' as const)]),
        ...findings.map((finding) => finding.case),
      ]),
    ],
    ...(facts.issuedAt === undefined ? {} : { issuedAt: facts.issuedAt }),
    ...(answersNonce ? { nonce } : {}),
    measurement: measurementDigest(compared.matched?.values ?? facts.measurements),
    // Of an attester that nobody knows nothing is passed on.
    ...(binding.workloadKey && !unknownAttester ? { workloadKey: binding.workloadKey } : {}),
    detail: {
      ...compared.detail,
      measurements: { ...facts.measurements },
      versions: { ...facts.versions },
      platform: { ...facts.platform },
      ...(facts.debug === undefined ? {} : { debug: facts.debug }),
      ...(facts.tcb ? { tcb: { ...facts.tcb } as JsonObject } : {}),
      chosen: Object.fromEntries(Object.entries(facts.chosen).flatMap(([n, v]) => (v ? [[n, toHex(v)]] : []))),
      keyBinding: binding.workloadKey && !unknownAttester ? keyBinding : 'none',
      root: facts.root,
      findings: findings.map((finding) => `${finding.case}: ${finding.why}`),
      collateral: examination.collateral.map((file) => toHex(sha256(file))),
    },
  }
}

export function splitBinding(binding: string): [field: string, formula: string] {
  const at = binding.indexOf('=')
  return [binding.slice(0, at), binding.slice(at + 1)]
}

function isText(bytes: Uint8Array | undefined, text: string): boolean {
  return bytes !== undefined && toHex(bytes) === toHex(new TextEncoder().encode(text))
}

/** Which reference measurement it is, or in what it differs from the one that it differs least from. */
function compare(
  facts: HardwareFacts,
  references: readonly ReferenceValues[],
): { matched?: ReferenceMeasurement; detail: JsonObject } {
  const ranked = references
    .flatMap(({ measurements }) => measurements)
    .map((reference) => ({ reference, different: differences(facts, reference) }))
  const nameOf = ({ name, version }: ReferenceMeasurement) => (version === undefined ? name : `${name} ${version}`)

  // Of several that fit, the one that says most about the software.
  const [fit] = ranked
    .filter(({ different }) => different.length === 0)
    .sort((a, b) => namesIn(b.reference) - namesIn(a.reference))
  if (fit) return { matched: fit.reference, detail: { matched: nameOf(fit.reference) } }
  const [nearest] = ranked.sort((a, b) => a.different.length - b.different.length)
  return { detail: nearest ? { nearest: nameOf(nearest.reference), different: nearest.different } : {} }
}

function namesIn({ values = {}, minimum = {} }: ReferenceMeasurement): number {
  return Object.keys(values).length + Object.keys(minimum).length
}

function differences(facts: HardwareFacts, { values = {}, minimum = {} }: ReferenceMeasurement): string[] {
  return [
    ...Object.entries(values).flatMap(([name, value]) => (facts.measurements[name] === value ? [] : [name])),
    ...(facts.mustBeNamed ?? []).filter((name) => !(name in values)),
    ...below(facts, minimum),
  ]
}

/** Names of the numbers that are too small. One that the evidence does not have is. */
function below({ versions }: HardwareFacts, minimum: Readonly<Record<string, number>>): string[] {
  return Object.entries(minimum).flatMap(([name, least]) => ((versions[name] ?? -1) >= least ? [] : [name]))
}

/** Whether the measurements of `values` may be made on this platform. One that no root speaks for has to be listed itself. */
function admits({ platforms }: ReferenceValues, facts: HardwareFacts): boolean {
  if (!platforms) return !facts.needsEnrolment
  return platforms.some((platform) => isAbout(platform, facts) && (platform.ids !== undefined || !facts.needsEnrolment))
}

function isAbout({ model, ids }: ReferencePlatform, { platform }: HardwareFacts): boolean {
  if (model !== undefined && model !== platform.model) return false
  return !ids || (platform.id !== undefined && ids.includes(platform.id))
}

function comparePlatform(
  facts: HardwareFacts,
  references: readonly ReferenceValues[],
  { references: names }: HardwareReader,
): Finding[] {
  const { model, id } = facts.platform
  const findings: Finding[] = []
  if (references.length > 0 && !references.some((values) => admits(values, facts))) {
    findings.push({ case: 'unknownPlatform', why: `${model} ${id ?? ''}`.trim() })
  }
  // Where the vendor says nothing of the TCB, only a minimum in the reference values can tell.
  if (names.platform.length === 0) return findings
  const known = references.flatMap(({ platforms = [] }) => platforms).filter((platform) => isAbout(platform, facts))
  const minimums = known.flatMap(({ minimum }) => (minimum ? [minimum] : []))
  const old = new Set(minimums.flatMap((minimum) => below(facts, minimum)))
  if (minimums.length === 0 && !facts.isTcbJudged) {
    findings.push({ case: 'unknownTcb', why: `no minimum is set for ${model}` })
  }
  // Every minimum that applies has to be met: a second set of reference values does not excuse from the first.
  else if (old.size > 0) findings.push({ case: 'outdatedTcb', why: `${[...old].join(', ')} of ${model}` })
  return findings
}
