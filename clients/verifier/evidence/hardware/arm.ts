/**
 * Arm: the PSA attestation token (RFC 9783) of a device's root of trust, and the CCA token of a realm and the platform below it
 * (draft-ffm-rats-cca-token).
 *
 *     PSA    18(COSE_Sign1)                        signed by the device's attestation key
 *     CCA    907({ 44234: [263, platform token],   signed by the platform's attestation key
 *                  44241: [263, realm token] })    signed by a key of the realm, whose hash is the platform's challenge
 *
 * The first two drafts had tag 399, and tokens without their type (263: `application/eat+cwt`).
 *
 * There is no root to pin: whoever enrolls a device knows its key. The key is collateral, as a JWK or in PEM, and it is believed where the SHA-256 of its
 * SubjectPublicKeyInfo is among `platforms[].ids` of the reference values. Otherwise the attester is unknown.
 *
 * @module
 */
import { createHash, createPublicKey, type KeyObject } from 'node:crypto'
import { type Static, Type } from 'typebox'
import { equalBytes, toHex } from '../../../../merkle/index.ts'
import { asArray, asBytes, asMap, CborTag, type CborValue } from '../../../../statement/cbor.ts'
import { readDocument } from '../../document.ts'
import { malformedCollateral, malformedEvidence, readingEvidence, VerifierError } from '../../error.ts'
import type { EvidenceFormat } from '../format.ts'
import {
  ccaPlatformClaims,
  MAX_COMPONENTS,
  type PlatformClaims,
  psaClaims,
  type RealmClaims,
  realmClaims,
} from './arm-claims.ts'
import { type CoseSign1, decodeCoseSign1, decodeLoosely, type IgnoredHeaders, KEY_HINTS } from './cose-sign1.ts'
import { type HardwareFacts, hardwareFormat, type ReaderContext } from './hardware-format.ts'

const PLATFORM_TOKEN = 44234
const REALM_TOKEN = 44241
const [FIRST_COLLECTION, CMW_COLLECTION] = [399, 907]
/** CoAP's content format of `application/eat+cwt`. */
const EAT_CWT = 263
/** Attesters may name the key, or bring its certificates. Whoever enrolled the device knows the key already. */
const IGNORED: IgnoredHeaders = {
  protected: [KEY_HINTS.kid, KEY_HINTS.x5t],
  unprotected: [KEY_HINTS.kid, KEY_HINTS.x5chain],
}

/** What is handed over in the place of either, by the tag that it begins with. */
const MISTAKEN: readonly (readonly [format: 'psa' | 'cca', head: string, what: string])[] = [
  // Whoever can check it could have made it, so that no third party can be shown it.
  ['psa', 'd1', 'a COSE_Mac0: a MAC proves nothing to others, and only COSE_Sign1 is read'],
  ['psa', 'd862', 'a COSE_Sign, of several signers, and only COSE_Sign1 is read'],
  ['psa', 'd9018f', 'a CCA token, and no PSA token'],
  ['psa', 'd9038b', 'a CCA token, and no PSA token'],
  ['cca', 'd1', 'a COSE_Mac0, and no CCA token'],
  ['cca', 'd2', 'one COSE_Sign1, and no CCA token of two'],
]

function refuseMistaken(format: 'psa' | 'cca', bytes: Uint8Array): void {
  const head = toHex(bytes.subarray(0, 3))
  const found = MISTAKEN.find(([of, start]) => of === format && head.startsWith(start))
  if (found) throw malformedEvidence(found[2])
}

function readPsa(bytes: Uint8Array, context: ReaderContext): HardwareFacts {
  refuseMistaken('psa', bytes)
  const token = readingEvidence(() => decodeCoseSign1(bytes, true, IGNORED))
  const platform = readingEvidence(() => psaClaims(token))
  return { ...attested(token, platform, context), chosen: { nonce: platform.nonce } }
}

function readCca(bytes: Uint8Array, context: ReaderContext): HardwareFacts {
  refuseMistaken('cca', bytes)
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

interface Cca {
  readonly platformToken: CoseSign1
  readonly platform: PlatformClaims
  readonly realmToken: CoseSign1
  readonly realm: RealmClaims
}

function decodeCca(bytes: Uint8Array): Cca {
  const collection = decodeLoosely(bytes, [FIRST_COLLECTION, CMW_COLLECTION])
  if (!(collection instanceof CborTag)) throw new Error('no tag of a CCA token')
  const tokens = asMap(collection.value, 'token')
  // More of them would be of devices, which nobody here reads.
  if (tokens.size !== 2) throw new Error(`${tokens.size} tokens, and not 2`)
  const tokenOf = (label: number, title: string) => {
    const value = tokens.get(label)
    const token = collection.tag === CMW_COLLECTION ? ofRecord(value, title) : value
    return decodeCoseSign1(asBytes(token, title), true, IGNORED)
  }
  const platformToken = tokenOf(PLATFORM_TOKEN, 'platform token')
  const realmToken = tokenOf(REALM_TOKEN, 'realm token')
  return {
    platformToken,
    platform: ccaPlatformClaims(platformToken),
    realmToken,
    realm: realmClaims(realmToken),
  }
}

function ofRecord(value: CborValue | undefined, title: string): CborValue | undefined {
  const [type, token] = asArray(value, title, 2)
  if (type !== EAT_CWT) throw new Error(`a ${title} of another type`)
  return token
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
  const jwks = collateral.documents.map((text) => importJwk(readDocument(Jwk, text, 'malformed_collateral')))
  const keys = [...jwks, ...collateral.keys]
  if (keys.length === 0)
    throw new VerifierError('missing_collateral', 'no attestation key was given, as a JWK or in PEM')
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
    throw malformedCollateral('a JWK that is no key', cause)
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
  ['MEC_POLICY', [1]],
  ['LFA_POLICY', [1]],
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
