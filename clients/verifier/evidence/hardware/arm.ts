/**
 * Arm: the PSA attestation token (RFC 9783) of a device's root of trust, and the CCA token of a realm and the platform below it
 * (draft-ffm-rats-cca-token).
 *
 *     PSA    18(COSE_Sign1)                        signed by the device's attestation key
 *     CCA    399({ 44234: platform token,          signed by the platform's attestation key
 *                  44241: realm token })           signed by a key of the realm, whose hash is the platform's challenge
 *
 * There is no root to pin: whoever enrolls a device knows its key. The key is collateral, as a JWK, and it is believed where the SHA-256 of its
 * SubjectPublicKeyInfo is among `platforms[].ids` of the reference values. Otherwise the attester is unknown.
 *
 * @module
 */
import { createHash, createPublicKey, type KeyObject } from 'node:crypto'
import { type Static, Type } from 'typebox'
import { equalBytes, toBase64url, toHex } from '../../../../merkle/index.ts'
import {
  asArray,
  asBytes,
  asMap,
  asText,
  asUint,
  type CborMap,
  CborTag,
  type CborValue,
  encodeCbor,
} from '../../../../statement/cbor.ts'
import { readDocument } from '../../document.ts'
import { readingEvidence, VerifierError } from '../../error.ts'
import type { EvidenceFormat } from '../format.ts'
import { type CoseSign1, decodeCoseSign1, decodeLoosely } from './cose-sign1.ts'
import { type HardwareFacts, hardwareFormat, type ReaderContext } from './hardware-format.ts'

/** CBOR map keys of claims: RFC 9783 §4, draft-ffm-rats-cca-token §4. */
const CLAIM = {
  nonce: 10,
  instanceId: 256,
  profile: 265,
  lifecycle: 2395,
  implementationId: 2396,
  components: 2399,
  personalization: 44235,
  realmKey: 44237,
  initialMeasurement: 44238,
  extensibleMeasurements: 44239,
  realmKeyHash: 44240,
}
/** Members of a software component: RFC 9783 §4.4.1. */
const COMPONENT = { value: 2, signer: 5 }
const PLATFORM_TOKEN = 44234
const REALM_TOKEN = 44241
const CCA_COLLECTION = 399

const PSA_PROFILES = ['http://arm.com/psa/2.0.0', 'tag:psacertified.org,2023:psa#tfm']
const CCA_PROFILES = ['http://arm.com/CCA-SSD/1.0.0', 'tag:arm.com,2023:cca_platform#1.0.0']
const REALM_PROFILE = 'tag:arm.com,2023:realm#1.0.0'

const MAX_COMPONENTS = 32

function readPsa(bytes: Uint8Array, context: ReaderContext): HardwareFacts {
  const token = readingEvidence(() => decodeCoseSign1(bytes, true))
  const platform = readingEvidence(() => platformClaims(token, PSA_PROFILES))
  return { ...attested(token, platform, context), chosen: { nonce: platform.nonce } }
}

function readCca(bytes: Uint8Array, context: ReaderContext): HardwareFacts {
  const { platformToken, platform, realmToken, realm } = readingEvidence(() => decodeCca(bytes))
  // The platform vouches for one realm: for the key that is its challenge.
  const hash = createHash(realm.keyHash).update(realm.keyBytes).digest()
  if (!equalBytes(hash, platform.nonce)) throw refuse('the platform’s challenge is not the hash of the realm’s key')
  if (!realmToken.isSignedBy(realm.key)) throw refuse('the realm token is not signed by the realm’s key')
  const facts = attested(platformToken, platform, context)
  return {
    ...facts,
    measurements: { ...facts.measurements, ...realm.measurements },
    chosen: { challenge: realm.challenge },
  }
}

interface PlatformClaims {
  readonly nonce: Uint8Array
  readonly implementationId: Uint8Array
  readonly lifecycle: number
  readonly measurements: Readonly<Record<string, string>>
}

function platformClaims(token: CoseSign1, profiles: readonly string[]): PlatformClaims {
  const claims = asMap(decodeLoosely(token.payload), 'claims')
  const profile = asText(claims.get(CLAIM.profile), 'profile')
  if (!profiles.includes(profile)) throw new Error(`the profile ${JSON.stringify(profile)}`)
  const implementationId = asBytes(claims.get(CLAIM.implementationId), 'implementation id', 32)
  const instanceId = asBytes(claims.get(CLAIM.instanceId), 'instance id', 33)
  const components = asArray(claims.get(CLAIM.components), 'software components')
  if (components.length === 0 || components.length > MAX_COMPONENTS) throw new Error(`${components.length} components`)
  return {
    nonce: hashSized(claims.get(CLAIM.nonce), 'nonce'),
    implementationId,
    lifecycle: asUint(claims.get(CLAIM.lifecycle), 'lifecycle'),
    measurements: {
      IMPLEMENTATION_ID: toHex(implementationId),
      INSTANCE_ID: toHex(instanceId),
      // All of them at once, with their names and versions: what a list of some of them would leave open.
      COMPONENTS: createHash('sha256').update(encodeCbor(components)).digest('hex'),
      ...Object.assign({}, ...components.map((component, i) => componentOf(asMap(component, 'component'), i))),
    },
  }
}

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

interface Cca {
  readonly platformToken: CoseSign1
  readonly platform: PlatformClaims
  readonly realmToken: CoseSign1
  readonly realm: RealmClaims
}

interface RealmClaims {
  readonly challenge: Uint8Array
  readonly keyBytes: Uint8Array
  readonly key: KeyObject
  readonly keyHash: 'sha256' | 'sha384' | 'sha512'
  readonly measurements: Readonly<Record<string, string>>
}

function decodeCca(bytes: Uint8Array): Cca {
  const collection = decodeLoosely(bytes, [CCA_COLLECTION])
  if (!(collection instanceof CborTag)) throw new Error(`no tag ${CCA_COLLECTION}`)
  const tokens = asMap(collection.value, 'token')
  if (tokens.size !== 2) throw new Error(`${tokens.size} tokens, and not 2`)
  const platformToken = decodeCoseSign1(asBytes(tokens.get(PLATFORM_TOKEN), 'platform token'), true)
  const realmToken = decodeCoseSign1(asBytes(tokens.get(REALM_TOKEN), 'realm token'), true)
  return {
    platformToken,
    platform: platformClaims(platformToken, CCA_PROFILES),
    realmToken,
    realm: realmClaims(asMap(decodeLoosely(realmToken.payload), 'realm claims')),
  }
}

function realmClaims(claims: CborMap): RealmClaims {
  const profile = claims.get(CLAIM.profile)
  // The first realms had none, and a bare point as their key.
  if (profile !== undefined && profile !== REALM_PROFILE) throw new Error(`the profile ${JSON.stringify(profile)}`)
  const keyBytes = asBytes(claims.get(CLAIM.realmKey), 'realm key')
  const hash = asText(claims.get(CLAIM.realmKeyHash), 'hash of the realm key').replace('-', '')
  const keyHash = (['sha256', 'sha384', 'sha512'] as const).find((known) => known === hash)
  if (!keyHash) throw new Error(`the hash ${hash}`)
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
    },
  }
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

const Jwk = Type.Object({
  kty: Type.Literal('EC'),
  crv: Type.Enum(['P-256', 'P-384']),
  x: Type.String({ maxLength: 64 }),
  y: Type.String({ maxLength: 64 }),
})

/**
 * What a platform vouches for, its signature verified.
 *
 * @throws {@link VerifierError} `missing_collateral` without a key, `bad_evidence_signature`
 */
function attested(
  token: CoseSign1,
  platform: PlatformClaims,
  { collateral }: ReaderContext,
): Omit<HardwareFacts, 'chosen'> {
  const keys = collateral.documents.map((text) => importJwk(readDocument(Jwk, text, 'malformed_collateral')))
  if (keys.length === 0) throw new VerifierError('missing_collateral', 'no attestation key was given, as a JWK')
  const key = keys.find((candidate) => token.isSignedBy(candidate))
  if (!key) throw refuse('not signed by an attestation key that was given')
  return {
    measurements: platform.measurements,
    versions: {},
    platform: {
      model: toHex(platform.implementationId),
      id: createHash('sha256')
        .update(key.export({ format: 'der', type: 'spki' }))
        .digest('hex'),
    },
    // RFC 9783 §4.3.1: only 3000h to 30FFh is the secured state; the others are of manufacture, debugging and after use.
    debug: platform.lifecycle >> 8 !== 0x30,
    root: 'none',
    needsEnrolment: true,
    findings: [],
  }
}

function importJwk({ kty, crv, x, y }: Static<typeof Jwk>): KeyObject {
  try {
    return createPublicKey({ key: { kty, crv, x, y }, format: 'jwk' })
  } catch (cause) {
    throw new VerifierError('malformed_collateral', 'a JWK that is no key', { cause })
  }
}

function refuse(why: string): VerifierError {
  return new VerifierError('bad_evidence_signature', why)
}

const HASH_SIZES = [32, 48, 64]
const PLATFORM_VALUES: readonly [string, readonly number[]][] = [
  ['IMPLEMENTATION_ID', [32]],
  ['INSTANCE_ID', [33]],
  ['COMPONENTS', [32]],
  ...Array.from({ length: MAX_COMPONENTS }, (_, i): [string, number[]] => [`component:${i}`, HASH_SIZES]),
  ...Array.from({ length: MAX_COMPONENTS }, (_, i): [string, number[]] => [`signer:${i}`, HASH_SIZES]),
]
const REALM_VALUES: readonly [string, readonly number[]][] = [
  ['RIM', HASH_SIZES],
  ['RPV', [64]],
  ...[0, 1, 2, 3].map((i): [string, number[]] => [`REM${i}`, HASH_SIZES]),
]

const bindings = (field: string) => [
  `${field}=sha512(nonce|spki)`,
  `${field}=sha384(nonce|spki)`,
  `${field}=sha256(nonce|spki)`,
  `${field}=sha256(spki)`,
  `${field}=nonce`,
]

export const psa: EvidenceFormat = hardwareFormat({
  name: 'psa',
  roots: [],
  // A root of trust in a device: it knows what booted. Whether the device's memory is encrypted it does not say.
  claims: ['instance-identity', 'configuration', 'executables', 'hardware'],
  references: {
    values: new Map(PLATFORM_VALUES),
    identifying: [
      'COMPONENTS',
      ...PLATFORM_VALUES.map(([name]) => name).filter((name) => name.startsWith('component:')),
    ],
    software: [],
    platform: [],
  },
  keyBindings: bindings('nonce'),
  padded: false,
  cases: ['unknownAttester', 'debug'],
  read: readPsa,
})

export const cca: EvidenceFormat = hardwareFormat({
  name: 'cca',
  roots: [],
  references: {
    values: new Map([...PLATFORM_VALUES, ...REALM_VALUES]),
    identifying: ['RIM'],
    software: [],
    platform: [],
  },
  keyBindings: bindings('challenge'),
  padded: true,
  cases: ['unknownAttester', 'debug'],
  read: readCca,
})
