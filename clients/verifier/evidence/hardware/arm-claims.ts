/**
 * What Arm's tokens claim: the claims of a PSA token (RFC 9783 §4, and the profile before it), of a CCA platform and of a realm (draft-ffm-rats-cca-token §4). All that
 * must be there is, and all that may be there is of its form, whether anything here is made of it or not: another Verifier would refuse
 * the token, and two that disagree on what a token is can be shown different ones.
 *
 * @module
 */
import { createHash, createPublicKey, type KeyObject } from 'node:crypto'
import { toBase64url, toHex } from '../../../../merkle/index.ts'
import {
  asArray,
  asBytes,
  asMap,
  asText,
  asUint,
  type CborMap,
  type CborValue,
  encodeCbor,
} from '../../../../statement/cbor.ts'
import { type CoseSign1, decodeLoosely } from './cose-sign1.ts'

/** CBOR map keys of claims: RFC 9783 §4, draft-ffm-rats-cca-token §4. */
const CLAIM = {
  nonce: 10,
  instanceId: 256,
  profile: 265,
  clientId: 2394,
  lifecycle: 2395,
  implementationId: 2396,
  bootSeed: 2397,
  certificationReference: 2398,
  components: 2399,
  serviceIndicator: 2400,
  platformConfiguration: 2401,
  platformHash: 2402,
  manufacturingConfiguration: 2403,
  extensions: 2404,
  bootKeys: 2405,
  peerSigners: 2406,
  personalization: 44235,
  realmHash: 44236,
  realmKey: 44237,
  initialMeasurement: 44238,
  extensibleMeasurements: 44239,
  realmKeyHash: 44240,
  memoryEncryption: 44243,
  liveFirmware: 44244,
  devices: 44257,
}
/** Members of a software component: RFC 9783 §4.4.1. */
const COMPONENT = { value: 2, signer: 5 }
const PSA_PROFILES = ['http://arm.com/psa/2.0.0', 'tag:psacertified.org,2023:psa#tfm']
/** Of the drafts before RFC 9783, as Trusted Firmware-M wrote it: with numbers of its own, and the one that is meant where none is named. */
const FIRST_PROFILE = 'PSA_IOT_PROFILE_1'
const FIRST_CLAIMS: ReadonlyMap<unknown, number> = new Map([
  [-75000, CLAIM.profile],
  [-75001, CLAIM.clientId],
  [-75002, CLAIM.lifecycle],
  [-75003, CLAIM.implementationId],
  [-75004, CLAIM.bootSeed],
  [-75005, CLAIM.certificationReference],
  [-75006, CLAIM.components],
  [-75008, CLAIM.nonce],
  [-75009, CLAIM.instanceId],
  [-75010, CLAIM.serviceIndicator],
])
const SECOND_PLATFORM_PROFILE = 'tag:arm.com,2024:cca_platform#2.0.0'
const CCA_PROFILES = ['http://arm.com/CCA-SSD/1.0.0', 'tag:arm.com,2023:cca_platform#1.0.0', SECOND_PLATFORM_PROFILE]
const SECOND_REALM_PROFILE = 'tag:arm.com,2024:realm#2.0.0'
const REALM_PROFILES: readonly CborValue[] = ['tag:arm.com,2023:realm#1.0.0', SECOND_REALM_PROFILE]
/** MEC_POLICY: whether a realm has a key for its memory to itself. Numbers in Arm's specification of the RMM, words in the draft. */
const MEMORY_ENCRYPTION: ReadonlyMap<CborValue | undefined, string> = new Map<CborValue, string>([
  [0, '00'],
  [1, '01'],
  ['shared', '00'],
  ['private', '01'],
])
/** LFA_POLICY: whether the firmware below it may be replaced while it runs. */
const LIVE_FIRMWARE: ReadonlyMap<CborValue | undefined, string> = new Map<CborValue, string>([
  [0, '00'],
  [1, '01'],
])

export const MAX_COMPONENTS = 32

export interface PlatformClaims {
  readonly nonce: Uint8Array
  readonly implementationId: Uint8Array
  readonly lifecycle: number
  readonly measurements: Readonly<Record<string, string>>
}

/** Throws `StatementError`, or an ordinary error that says why. */
export function psaClaims(token: CoseSign1): PlatformClaims {
  const { claims, isFirst } = psaNamed(asMap(decodeLoosely(token.payload), 'claims'))
  const said = platformClaims(claims, isFirst ? [FIRST_PROFILE] : PSA_PROFILES)
  const [client, seed, reference] = [CLAIM.clientId, CLAIM.bootSeed, CLAIM.certificationReference].map((key) =>
    claims.get(key),
  )
  // §4.1.2: negative in the non-secure world. §4.3.2 and §4.2.3 are optional.
  if (typeof client !== 'number' && typeof client !== 'bigint') throw new Error('no client id')
  if (seed !== undefined || isFirst) {
    const { length } = asBytes(seed, 'boot seed')
    if (length < (isFirst ? 32 : 8) || length > 32) throw new Error(`a boot seed of ${length} bytes`)
  }
  const form = isFirst ? /^[0-9]{13}(?:-[0-9]{5})?$/ : /^[0-9]{13}-[0-9]{5}$/
  if (reference !== undefined && !form.test(asText(reference, 'certification reference'))) {
    throw new Error('a certification reference of another form')
  }
  return said
}

/** The claims by the numbers of RFC 9783. With some by either, two readers would see two tokens. */
function psaNamed(claims: CborMap): { readonly claims: CborMap; readonly isFirst: boolean } {
  const labels = [...claims.keys()]
  if (!labels.some((label) => FIRST_CLAIMS.has(label))) return { claims, isFirst: false }
  const numbers: readonly unknown[] = [...FIRST_CLAIMS.values()]
  if (labels.some((label) => numbers.includes(label))) throw new Error('claims of two profiles')
  const named = [...claims].map(([label, value]) => [FIRST_CLAIMS.get(label) ?? label, value] as const)
  return { claims: new Map([[CLAIM.profile, FIRST_PROFILE], ...named]), isFirst: true }
}

/** Throws as {@link psaClaims}. */
export function ccaPlatformClaims(token: CoseSign1): PlatformClaims {
  const claims = asMap(decodeLoosely(token.payload), 'claims')
  asBytes(claims.get(CLAIM.platformConfiguration), 'platform configuration')
  hashNamed(claims.get(CLAIM.platformHash), 'hash of the platform')
  const said = platformClaims(claims, CCA_PROFILES)
  if (claims.get(CLAIM.profile) === SECOND_PLATFORM_PROFILE) checkSecondVersion(claims)
  return said
}

/** Nothing is made of these. */
function checkSecondVersion(claims: CborMap): void {
  if (claims.get(CLAIM.clientId) !== 1) throw new Error('a client id other than 1')
  for (const key of [CLAIM.manufacturingConfiguration, CLAIM.peerSigners]) {
    const value = claims.get(key)
    if (value !== undefined && asBytes(value, `claim ${key}`).length === 0) throw new Error(`claim ${key} is empty`)
  }
  for (const key of [CLAIM.extensions, CLAIM.bootKeys]) {
    const list = claims.get(key)
    if (list === undefined) continue
    const parts = asArray(list, `claim ${key}`)
    if (parts.length === 0) throw new Error(`claim ${key} is empty`)
    for (const part of parts) asMap(part, `claim ${key}`)
  }
}

function platformClaims(claims: CborMap, profiles: readonly string[]): PlatformClaims {
  const profile = asText(claims.get(CLAIM.profile), 'profile')
  if (!profiles.includes(profile)) throw new Error(`the profile ${JSON.stringify(profile)}`)
  const implementationId = asBytes(claims.get(CLAIM.implementationId), 'implementation id', 32)
  const instanceId = asBytes(claims.get(CLAIM.instanceId), 'instance id', 33)
  // RFC 9711 §4.2.1.1: a UEID of type RAND.
  if (instanceId[0] !== 1) throw new Error('an instance id of another type')
  const components = asArray(claims.get(CLAIM.components), 'software components')
  if (components.length === 0 || components.length > MAX_COMPONENTS) throw new Error(`${components.length} components`)
  const indicator = claims.get(CLAIM.serviceIndicator)
  if (indicator !== undefined && asText(indicator, 'verification service') === '') throw new Error('no service named')
  const lifecycle = asUint(claims.get(CLAIM.lifecycle), 'lifecycle')
  // Shifting takes 32 bits: of a longer number it would see the end alone.
  if (lifecycle > 0xffff || !LIFECYCLES.has(lifecycle >> 8)) throw new Error(`the lifecycle ${lifecycle}`)
  return {
    nonce: hashSized(claims.get(CLAIM.nonce), 'nonce'),
    implementationId,
    lifecycle,
    measurements: {
      IMPLEMENTATION_ID: toHex(implementationId),
      INSTANCE_ID: toHex(instanceId),
      // All of them at once, with their names and versions: what a list of some of them would leave open.
      COMPONENTS: createHash('sha256').update(encodeCbor(components)).digest('hex'),
      ...Object.assign({}, ...components.map((component, i) => componentOf(asMap(component, 'component'), i))),
    },
  }
}

/** RFC 9783 §4.3.1, by the higher byte: unknown, assembly, provisioning, secured, two of debugging, decommissioned. */
const LIFECYCLES: ReadonlySet<number> = new Set([0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60])

function componentOf(component: CborMap, i: number): Record<string, string> {
  return {
    [`component:${i}`]: toHex(hashSized(component.get(COMPONENT.value), 'measurement value')),
    [`signer:${i}`]: toHex(hashSized(component.get(COMPONENT.signer), 'signer id')),
  }
}

/** `psa-hash-type`: 32, 48 or 64 bytes. */
function hashSized(value: CborValue | undefined, title: string): Uint8Array {
  const bytes = asBytes(value, title)
  if (![32, 48, 64].includes(bytes.length)) throw new Error(`${title} of ${bytes.length} bytes`)
  return bytes
}

export interface RealmClaims {
  readonly challenge: Uint8Array
  readonly keyBytes: Uint8Array
  readonly key: KeyObject
  readonly keyHash: 'sha256' | 'sha384' | 'sha512'
  readonly measurements: Readonly<Record<string, string>>
}

/** Throws as {@link psaClaims}. */
export function realmClaims(token: CoseSign1): RealmClaims {
  const claims = asMap(decodeLoosely(token.payload), 'realm claims')
  const profile = claims.get(CLAIM.profile)
  // The first realms had none, and a bare point as their key.
  if (profile !== undefined && !REALM_PROFILES.includes(profile))
    throw new Error(`the profile ${JSON.stringify(profile)}`)
  const keyBytes = asBytes(claims.get(CLAIM.realmKey), 'realm key')
  const keyHash = hashNamed(claims.get(CLAIM.realmKeyHash), 'hash of the realm key')
  hashNamed(claims.get(CLAIM.realmHash), 'hash of the realm')
  const extensible = asArray(claims.get(CLAIM.extensibleMeasurements), 'extensible measurements', 4)
  return {
    challenge: asBytes(claims.get(CLAIM.nonce), 'challenge', 64),
    keyBytes,
    key: realmKey(keyBytes, profile !== undefined),
    keyHash,
    measurements: {
      RIM: toHex(hashSized(claims.get(CLAIM.initialMeasurement), 'initial measurement')),
      RPV: toHex(asBytes(claims.get(CLAIM.personalization), 'personalization value', 64)),
      ...Object.fromEntries(extensible.map((value, i) => [`REM${i}`, toHex(hashSized(value, `REM${i}`))])),
      ...(profile === SECOND_REALM_PROFILE ? secondVersion(claims) : {}),
    },
  }
}

function secondVersion(claims: CborMap): Record<string, string> {
  const instance = claims.get(CLAIM.instanceId)
  if (instance !== undefined && asBytes(instance, 'instance id', 33)[0] !== 1)
    throw new Error('an instance id of another type')
  // What is assigned to the realm reads and writes its memory, and is in a part of the token that nobody here reads.
  if (claims.has(CLAIM.devices)) throw new Error('a realm with devices')
  const memory = MEMORY_ENCRYPTION.get(claims.get(CLAIM.memoryEncryption))
  if (memory === undefined) throw new Error('a memory encryption of no kind')
  if (!claims.has(CLAIM.liveFirmware)) return { MEC_POLICY: memory }
  const firmware = LIVE_FIRMWARE.get(claims.get(CLAIM.liveFirmware))
  if (firmware === undefined) throw new Error('a policy on live firmware of no kind')
  return { MEC_POLICY: memory, LFA_POLICY: firmware }
}

/** By its IANA name, or as the first tokens had it. */
function hashNamed(value: CborValue | undefined, title: string): 'sha256' | 'sha384' | 'sha512' {
  const name = asText(value, title).replace('-', '')
  const hash = (['sha256', 'sha384', 'sha512'] as const).find((known) => known === name)
  if (!hash) throw new Error(`the ${title} ${JSON.stringify(name)}`)
  return hash
}

/** P-384: an uncompressed point, or a COSE_Key { 1: 2, −1: 2, −2: x, −3: y }. */
function realmKey(bytes: Uint8Array, isCoseKey: boolean): KeyObject {
  let [x, y] = [bytes.subarray(1, 49), bytes.subarray(49)]
  if (isCoseKey) {
    const key = asMap(decodeLoosely(bytes), 'realm key')
    if (key.get(1) !== 2 || key.get(-1) !== 2) throw new Error('a realm key of another kind')
    x = asBytes(key.get(-2), 'x', 48)
    y = asBytes(key.get(-3), 'y', 48)
  } else if (bytes.length !== 97 || bytes[0] !== 4) throw new Error('a realm key that is no point of P-384')
  return createPublicKey({ key: { kty: 'EC', crv: 'P-384', x: toBase64url(x), y: toBase64url(y) }, format: 'jwk' })
}
