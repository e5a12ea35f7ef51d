/**
 * Certificates with anything in them, true or false, made with a library that judges nothing.
 *
 * @module
 */
import 'reflect-metadata'
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  Extension,
  type JsonGeneralName,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
  X509CrlGenerator,
} from '@peculiar/x509'
import { concatBytes, fromHex, toBase64, utf8 } from '../../merkle/bytes.ts'

/** POSIX seconds: certificates are valid for a day around it. */
export const AT = 1_800_000_000
const HALF_A_DAY = 43_200

const RSA = { name: 'RSASSA-PKCS1-v1_5', publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' }
const KINDS = {
  'P-256': { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  'P-384': { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' },
  'P-521': { name: 'ECDSA', namedCurve: 'P-521', hash: 'SHA-512' },
  Ed25519: { name: 'Ed25519' },
  'RSA-2048': { ...RSA, modulusLength: 2048 },
  'RSA-1024': { ...RSA, modulusLength: 1024 },
  'RSA-SHA1': { ...RSA, modulusLength: 2048, hash: 'SHA-1' },
  'RSA-PSS': { ...RSA, name: 'RSA-PSS', modulusLength: 2048, saltLength: 32 },
}
export type Kind = keyof typeof KINDS

export interface Holder {
  readonly der: Uint8Array
  readonly name: string
  readonly kind: Kind
  readonly keys: CryptoKeyPair
  readonly serial: string
}

export interface Edits {
  /** Of its key. */
  readonly kind?: Kind
  /** Signs it. Itself, when there is none. */
  readonly issuer?: Holder
  /** The distinguished name; empty for none. `CN=name`, unless said otherwise. */
  readonly subject?: string
  readonly notBefore?: number
  readonly notAfter?: number
  readonly extensions?: readonly Extension[]
  /** What the issuer hashes with, where that is not what goes with its key. */
  readonly hash?: string
  /** Hex. */
  readonly serial?: string
  readonly keys?: CryptoKeyPair
}

const cached = new Map<string, Promise<CryptoKeyPair>>()
let count = 0x1000

export async function certify(name: string, edits: Edits = {}): Promise<Holder> {
  const { kind = 'P-256', issuer, hash } = edits
  const keys = edits.keys ?? (await keysOf(kind, name))
  const serial = edits.serial ?? (count++).toString(16)
  const subject = edits.subject ?? `CN=${name}`
  const signingAlgorithm = { ...KINDS[issuer?.kind ?? kind], ...(hash && { hash }) }
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serial,
    ...(subject !== '' && { subject }),
    issuer: issuer?.name ?? subject,
    notBefore: new Date((edits.notBefore ?? AT - HALF_A_DAY) * 1000),
    notAfter: new Date((edits.notAfter ?? AT + HALF_A_DAY) * 1000),
    publicKey: keys.publicKey,
    signingKey: issuer?.keys.privateKey ?? keys.privateKey,
    signingAlgorithm,
    extensions: [...(edits.extensions ?? authority())],
  })
  return { der: new Uint8Array(certificate.rawData), name: subject, kind, keys, serial }
}

export interface ListEdits {
  readonly thisUpdate?: number
  /** `null` for none. */
  readonly nextUpdate?: number | null
  readonly entries?: readonly { readonly serial: string; readonly extensions?: readonly Extension[] }[]
  readonly extensions?: readonly Extension[]
  /** Signs it instead of the issuer whom it names. */
  readonly signer?: Holder
}

/** The revocation list of an authority, in DER. */
export async function revocationList(issuer: Holder, edits: ListEdits = {}): Promise<Uint8Array> {
  const { thisUpdate = AT - HALF_A_DAY, nextUpdate = AT + HALF_A_DAY, signer = issuer } = edits
  const list = await X509CrlGenerator.create({
    issuer: issuer.name,
    thisUpdate: new Date(thisUpdate * 1000),
    ...(nextUpdate !== null && { nextUpdate: new Date(nextUpdate * 1000) }),
    signingAlgorithm: KINDS[signer.kind],
    signingKey: signer.keys.privateKey,
    entries: (edits.entries ?? []).map(({ serial, extensions = [] }) => ({
      serialNumber: serial,
      revocationDate: new Date((AT - 1) * 1000),
      extensions: [...extensions],
    })),
    extensions: [...(edits.extensions ?? [extension('2.5.29.20', '020101', false)])],
  })
  return new Uint8Array(list.rawData)
}

/** One pair for each name, so that RSA keys are not made over and over. */
function keysOf(kind: Kind, name: string): Promise<CryptoKeyPair> {
  const known = cached.get(`${kind} ${name}`)
  if (known) return known
  const made = newKeys(KINDS[kind])
  cached.set(`${kind} ${name}`, made)
  return made
}

/** Read from DER, for the reason that `newKeyPair` gives. */
async function newKeys(algorithm: (typeof KINDS)[Kind]): Promise<CryptoKeyPair> {
  const { subtle } = crypto
  const made = (await subtle.generateKey(algorithm, true, ['sign', 'verify'])) as CryptoKeyPair
  const [spki, pkcs8] = [
    await subtle.exportKey('spki', made.publicKey),
    await subtle.exportKey('pkcs8', made.privateKey),
  ]
  return {
    publicKey: await subtle.importKey('spki', spki, algorithm, true, ['verify']),
    privateKey: await subtle.importKey('pkcs8', pkcs8, algorithm, true, ['sign']),
  }
}

const CA = KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign

/** What makes an authority. */
export function authority(pathLength?: number, ...more: readonly Extension[]): Extension[] {
  return [new BasicConstraintsExtension(true, pathLength, true), usage(CA), ...more]
}

export const SUBJECT = 'spiffe://bank.example/payments'
export const CLIENT = '1.3.6.1.5.5.7.3.2'
export const SERVER = '1.3.6.1.5.5.7.3.1'
export const CODE = '1.3.6.1.5.5.7.3.3'

export const usage = (flags: KeyUsageFlags, critical = true) => new KeyUsagesExtension(flags, critical)
export const purposes = (...oids: string[]) => new ExtendedKeyUsageExtension(oids)
export const names = (values: readonly JsonGeneralName[], critical = false) =>
  new SubjectAlternativeNameExtension([...values], critical)
export const uris = (...values: string[]) => names(values.map((value) => ({ type: 'url', value })))
export const notCa = (pathLength?: number) => new BasicConstraintsExtension(false, pathLength, true)

/** What a workload's certificate has; each `change` replaces the extension of its type, or adds one. */
export function workload(...change: readonly Extension[]): Extension[] {
  const honest = [notCa(), usage(KeyUsageFlags.digitalSignature), purposes(CLIENT, SERVER), uris(SUBJECT)]
  return [...honest.filter(({ type }) => !change.some((each) => each.type === type)), ...change]
}

export const without = (extensions: readonly Extension[], oid: string) => extensions.filter(({ type }) => type !== oid)

export function extension(oid: string, value: Uint8Array | string, critical = true): Extension {
  const bytes = typeof value === 'string' ? fromHex(value) : value
  return new Extension(oid, critical, Uint8Array.from(bytes))
}

/** Key identifiers of one byte, in hex. */
export function keyId(id: string): Extension {
  return extension('2.5.29.14', `0401${id}`, false)
}
export function authorityKeyId(id: string): Extension {
  return extension('2.5.29.35', `30038001${id}`, false)
}

export function der(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = concatBytes(...parts)
  const { length } = content
  const head = length < 0x80 ? [tag, length] : [tag, 0x82, length >> 8, length & 0xff]
  return concatBytes(Uint8Array.from(head), content)
}

const TAGS = { email: 0x81, dns: 0x82, uri: 0x86 }
export type Subtree = readonly ['email' | 'dns' | 'uri', string] | readonly ['ip' | 'directory' | 'registered', string]

/** A directory is one CN; addresses are hex, with their mask. */
export function constraints(lists: { permitted?: readonly Subtree[]; excluded?: readonly Subtree[] }, critical = true) {
  const list = (tag: number, subtrees: readonly Subtree[] | undefined) =>
    subtrees ? [der(tag, ...subtrees.map((subtree) => der(0x30, generalName(subtree))))] : []
  const value = der(0x30, ...list(0xa0, lists.permitted), ...list(0xa1, lists.excluded))
  return extension('2.5.29.30', value, critical)
}

export function generalName([kind, value]: Subtree): Uint8Array {
  if (kind === 'ip') return der(0x87, fromHex(value))
  if (kind === 'registered') return der(0x88, fromHex(value))
  if (kind === 'directory') return der(0xa4, commonName(value))
  return der(TAGS[kind], utf8(value))
}

/** A UTF8String, unless asked for the PrintableString that the library makes. */
export function commonName(value: string, type = 0x0c): Uint8Array {
  return der(0x30, der(0x31, der(0x30, fromHex('0603550403'), der(type, utf8(value)))))
}

export function pem(...certificates: readonly Holder[]): string {
  return certificates.map(({ der: bytes }) => pemBlock('CERTIFICATE', bytes)).join('')
}

export function pemBlock(label: string, bytes: Uint8Array): string {
  const lines = toBase64(bytes).match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}

/** The private key of a holder, as servers and clients read it. */
export async function keyPem({ keys }: Holder): Promise<string> {
  return pemBlock('PRIVATE KEY', new Uint8Array(await crypto.subtle.exportKey('pkcs8', keys.privateKey)))
}
