/**
 * Whoever signs statements that are no records: certificate authorities, certificates, and statements under any header. Made with a
 * library that creates and does not validate: checking is ours.
 *
 * @module
 */
import 'reflect-metadata'
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'
import { utf8 } from '../../merkle/index.ts'
import type { ForeignRules, PolicyInForce } from '../../provenance/index.ts'
import { readForeignPolicy } from '../../provenance/index.ts'
import {
  type CborValue,
  encodeCbor,
  encodeCoseSign1,
  importSigningKey,
  type PrivateJwk,
  parsePrivateJwk,
  type SigningKey,
  sigStructure,
} from '../../statement/index.ts'
import { FIELDS } from './small-log.ts'

/** POSIX seconds: certificates are valid for a day around it. */
export const AT = 1_800_000_000
const HALF_A_DAY = 43_200

const ES256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const ED25519 = { name: 'Ed25519' }
const RSA = {
  name: 'RSASSA-PKCS1-v1_5',
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
  hash: 'SHA-256',
}
export const KINDS = {
  ES256,
  Ed25519: ED25519,
  RSA,
  ES384: { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' },
  RSA_PSS: { ...RSA, name: 'RSA-PSS' },
  RSA_1024: { ...RSA, modulusLength: 1024 },
}

export interface Holder {
  /** DER. */
  readonly der: Uint8Array
  readonly keys: CryptoKeyPair
  readonly name: string
  readonly algorithm: Algorithm
}

export interface Edits {
  readonly kind?: keyof typeof KINDS
  readonly notBefore?: number
  readonly notAfter?: number
  readonly extensions?: readonly Extension[]
  /** Signs it. Itself, when there is none. */
  readonly issuer?: Holder | undefined
  /** Somebody else's key under this name. */
  readonly keys?: CryptoKeyPair
}

/** A certificate called `name`. */
export async function certify(name: string, edits: Edits = {}): Promise<Holder> {
  const algorithm = KINDS[edits.kind ?? 'ES256']
  const keys = edits.keys ?? ((await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as CryptoKeyPair)
  const { issuer } = edits
  const certificate = await X509CertificateGenerator.create({
    subject: `CN=${name}`,
    issuer: `CN=${issuer?.name ?? name}`,
    notBefore: new Date((edits.notBefore ?? AT - HALF_A_DAY) * 1000),
    notAfter: new Date((edits.notAfter ?? AT + HALF_A_DAY) * 1000),
    publicKey: keys.publicKey,
    signingKey: issuer?.keys.privateKey ?? keys.privateKey,
    signingAlgorithm: issuer?.algorithm ?? algorithm,
    extensions: [...(edits.extensions ?? [usage(KeyUsageFlags.digitalSignature)])],
  })
  return { der: new Uint8Array(certificate.rawData), keys, name, algorithm }
}

export function usage(flags: KeyUsageFlags): Extension {
  return new KeyUsagesExtension(flags, true)
}

export function purposes(...oids: string[]): Extension {
  return new ExtendedKeyUsageExtension(oids)
}

/** What makes an authority. */
export function authority(pathLength?: number): Extension[] {
  return [new BasicConstraintsExtension(true, pathLength, true), usage(KeyUsageFlags.keyCertSign)]
}

export function createAuthority(name: string, edits: Edits = {}): Promise<Holder> {
  return certify(name, { extensions: authority(), ...edits })
}

/** The holder's key, as statements are signed with it. */
export async function signingKeyOf({ keys }: Holder): Promise<SigningKey> {
  const { kty, crv, x, y, d } = (await crypto.subtle.exportKey('jwk', keys.privateKey)) as PrivateJwk & { y?: string }
  return importSigningKey(parsePrivateJwk({ kty, crv, x, d, ...(y !== undefined && { y }) }))
}

export interface Headers {
  /** Beside alg and the CWT claims; `undefined` takes one away. */
  readonly header?: readonly (readonly [number | string, CborValue | undefined])[]
  readonly unprotected?: ReadonlyMap<number | string, CborValue>
  readonly claims?: readonly (readonly [number, CborValue | undefined])[]
  readonly payload?: Uint8Array
}

/** A statement under exactly these headers, signed. Dated {@link AT}, of text, by `did:example:vendor`, unless said otherwise. */
export async function signForeign(key: SigningKey, change: Headers = {}): Promise<Uint8Array> {
  const { header = [], unprotected = new Map(), claims = [], payload = utf8('what is said') } = change
  const protectedHeader = without<number | string>([
    [1, key.algorithm === 'ES256' ? -7 : -8],
    [3, 'text/plain'],
    [15, without([[1, 'did:example:vendor'], [2, 'urn:example:1'], [6, AT], ...claims])],
    ...header,
  ])
  const protectedBytes = encodeCbor(protectedHeader)
  const signature = await key.sign(sigStructure(protectedBytes, payload))
  return encodeCoseSign1({ protectedBytes, protectedHeader, unprotected, payload, signature })
}

function without<K>(pairs: readonly (readonly [K, CborValue | undefined])[]): Map<K, CborValue> {
  const map = new Map(pairs)
  for (const [key, value] of map) if (value === undefined) map.delete(key)
  return map as Map<K, CborValue>
}

/** A log-policy with these rules for foreign statements, in force. */
export function policyWith(foreign: ForeignRules | undefined, maxStatementBytes = 65_536): PolicyInForce {
  const fields = { ...FIELDS['log-policy'], maxStatementBytes, ...(foreign && { foreign }) }
  return {
    entry: new Uint8Array(32),
    index: 0,
    fields,
    adminKeys: [],
    adminKids: [],
    receiptKeys: [],
    receiptKids: [],
    ...(foreign && { foreign: readForeignPolicy(foreign) }),
  }
}
