/**
 * X.509 certificates (RFC 5280 §4.1), read from DER into what path checking looks at.
 *
 *   Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signature }
 *
 * Reading judges nothing: `certificate-path.ts` does. In particular a certificate with a kind of key or a signature algorithm that we
 * do not support is read (and then cannot be verified), and every critical extension that we do not process is listed. Keys are read in
 * `certificate-key.ts`.
 *
 * @module
 */
import { equalBytes, fromBase64, fromUtf8, toHex } from '../merkle/bytes.ts'
import { EvidenceError } from '../merkle/error.ts'
import type { SignatureScheme } from '../statement/algorithm.ts'
import type { VerificationJwk } from '../statement/cose-key.ts'
import { algorithmIdentifier, checkEcdsaSignature, jwkOfSpki, schemeOfIdentifier } from './certificate-key.ts'
import {
  checkUnread,
  type DerElement,
  DerReader,
  derBoolean,
  derBytesOfBits,
  derNamedBits,
  derOid,
  derSerial,
  derSmallUnsigned,
  derTime,
  readDer,
  TAG,
} from './der.ts'
import { ProvenanceError } from './error.ts'

/** What a certificate says. Nobody has checked the signature. */
export interface Certificate {
  readonly der: Uint8Array
  /** The signed part, as it stands. */
  readonly tbs: Uint8Array
  /** Lower-case hex, no padding. */
  readonly serial: string
  /** Names as DER: they are compared as bytes. */
  readonly issuer: Uint8Array
  readonly subject: Uint8Array
  /** POSIX seconds, both inclusive (RFC 5280 §4.1.2.5). */
  readonly notBefore: number
  readonly notAfter: number
  /** Absent when the key is of another kind than EC on P-256, P-384 or P-521, RSA, and Ed25519. */
  readonly publicJwk?: VerificationJwk
  /** Absent when it is of another kind, or by a hash that collides: MD5, SHA-1. */
  readonly scheme?: SignatureScheme
  /** As it stands: of ECDSA, DER. */
  readonly signature: Uint8Array
  /** URI subject alternative names, in order. Never split from text: a comma inside one would make two of them. */
  readonly uris: readonly string[]
  readonly criticalAltName: boolean
  readonly basicConstraints?: { readonly ca: boolean; readonly pathLength?: number }
  readonly keyUsage?: ReadonlySet<KeyUsage>
  /** OIDs of extKeyUsage. */
  readonly purposes?: readonly string[]
  /** Hex of the key identifiers, where there are any. */
  readonly subjectKeyId?: string
  readonly authorityKeyId?: string
  /** OIDs of the extensions that restrict what follows and that we do not process. */
  readonly unprocessed: readonly string[]
}

export type KeyUsage = 'digitalSignature' | 'keyCertSign' | 'cRLSign' | 'other'

/** Longest certificate that we read. */
const MAX_CERTIFICATE_BYTES = 64 * 1024

/**
 * Reads one certificate.
 *
 * @throws {@link ProvenanceError} `malformed_der`, `malformed_credential`
 */
export function parseCertificate(der: Uint8Array): Certificate {
  if (der.length > MAX_CERTIFICATE_BYTES) throw refuse('too long')
  const outer = new DerReader(readDer(der, TAG.sequence).content)
  const tbs = outer.next(TAG.sequence)
  const outerAlgorithm = algorithmIdentifier(outer.next(TAG.sequence))
  const signature = derBytesOfBits(outer.next(TAG.bitString))
  outer.end()

  const body = new DerReader(tbs.content)
  const version = body.optional(0xa0)
  if (!version || derSmallUnsigned(readDer(version.content)) !== 2) throw refuse('not X.509 version 3')
  const serial = derSerial(body.next(TAG.integer))
  // RFC 5280 §4.1.1.2: outside of the signature and inside of it, the same algorithm.
  if (!equalBytes(body.next(TAG.sequence).whole, outerAlgorithm.whole)) throw refuse('two signature algorithms')
  const issuer = nameOf(body.next(TAG.sequence))
  const validity = body.sequence()
  const [notBefore, notAfter] = [derTime(validity.next()), derTime(validity.next())]
  validity.end()
  const subject = nameOf(body.next(TAG.sequence))
  const publicJwk = jwkOfSpki(body.next(TAG.sequence).whole)
  body.optional(0x81) // issuerUniqueID
  body.optional(0x82) // subjectUniqueID
  const extensions = body.optional(0xa3)
  body.end()

  const scheme = schemeOfIdentifier(outerAlgorithm.whole)
  if (scheme?.kind === 'ECDSA') checkEcdsaSignature(signature)
  return {
    der,
    tbs: tbs.whole,
    serial,
    issuer,
    subject,
    notBefore,
    notAfter,
    ...(publicJwk ? { publicJwk } : {}),
    ...(scheme ? { scheme } : {}),
    signature,
    ...readExtensions(extensions),
  }
}

/**
 * The certificates of a PEM file, in order; text around them is allowed, other kinds of objects are not.
 *
 * @throws {@link ProvenanceError} `malformed_credential`
 */
export function decodePem(text: string): Uint8Array[] {
  const blocks = [...text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----\r?\n([A-Za-z0-9+/=\r\n]+?)\r?\n?-----END \1-----/g)]
  if (blocks.length === 0 || blocks.length !== text.split('-----BEGIN ').length - 1) throw refuse('not PEM')
  return blocks.map(([, label, body]) => {
    // A private key beside the certificate means that a whole key file was handed over. Say so, do not read it.
    if (label !== 'CERTIFICATE') throw refuse(`a PEM block of ${label}`)
    try {
      return fromBase64(body!.replaceAll(/[\r\n]/g, ''))
    } catch (cause) {
      throw refuse('a PEM block that is not base64', cause)
    }
  })
}

/**
 * A Name as it stands. It is compared and never shown, but what other readers would not take for a name must not be one here
 * (RFC 5280 §4.1.2.4).
 */
function nameOf(name: DerElement): Uint8Array {
  const parts = new DerReader(name.content)
  while (!parts.done) {
    const part = new DerReader(parts.next(TAG.set).content)
    do {
      const attribute = part.sequence()
      derOid(attribute.next(TAG.oid))
      const { tag, content } = attribute.next()
      attribute.end()
      if (!NAME_STRINGS.get(tag)?.(content)) throw refuse('a name that is not made of texts')
    } while (!part.done)
  }
  return name.whole
}

/** By tag: UTF8String, PrintableString, TeletexString, IA5String, UniversalString, BMPString. */
const NAME_STRINGS: ReadonlyMap<number, (content: Uint8Array) => boolean> = new Map([
  [0x0c, isUtf8],
  [0x13, () => true],
  [0x14, () => true],
  [0x16, () => true],
  [0x1c, ({ length }) => length % 4 === 0],
  [0x1e, ({ length }) => length % 2 === 0],
])

function isUtf8(bytes: Uint8Array): boolean {
  try {
    fromUtf8(bytes)
    return true
  } catch {
    return false
  }
}

type Extensions = Pick<
  Certificate,
  | 'uris'
  | 'criticalAltName'
  | 'basicConstraints'
  | 'keyUsage'
  | 'purposes'
  | 'subjectKeyId'
  | 'authorityKeyId'
  | 'unprocessed'
>

function readExtensions(wrapper: DerElement | undefined): Extensions {
  const found: { -readonly [K in keyof Extensions]: Extensions[K] } = {
    uris: [],
    criticalAltName: false,
    unprocessed: [],
  }
  const unprocessed: string[] = []
  const seen = new Set<string>()
  const list = wrapper ? new DerReader(readDer(wrapper.content, TAG.sequence).content) : new DerReader(new Uint8Array())
  while (!list.done) {
    const extension = list.sequence()
    const oid = derOid(extension.next(TAG.oid))
    const flag = extension.optional(TAG.boolean)
    const critical = flag !== undefined && derBoolean(flag)
    if (flag && !critical) throw refuse('a DEFAULT that is written out')
    const value = extension.next(TAG.octetString).content
    extension.end()
    // RFC 5280 §4.2: at most one of each. With two, readers would disagree on which counts.
    if (seen.has(oid)) throw refuse(`two extensions ${oid}`)
    seen.add(oid)

    if (oid === OID.subjectAltName) {
      found.uris = urisOf(value)
      found.criticalAltName = critical
    } else if (oid === OID.basicConstraints) found.basicConstraints = basicConstraintsOf(value)
    else if (oid === OID.keyUsage) found.keyUsage = keyUsageOf(value)
    else if (oid === OID.extKeyUsage) found.purposes = purposesOf(value)
    else if (oid === OID.subjectKeyId) found.subjectKeyId = toHex(readDer(value, TAG.octetString).content)
    else if (oid === OID.authorityKeyId) {
      const keyId = new DerReader(readDer(value, TAG.sequence).content).optional(0x80)
      if (keyId) found.authorityKeyId = toHex(keyId.content)
    }
    // Name constraints must be critical (RFC 5280 §4.2.1.10). Where a CA forgot that, ignoring them would still widen its reach.
    else if (critical || oid === OID.nameConstraints) unprocessed.push(oid)
  }
  return { ...found, unprocessed }
}

function urisOf(value: Uint8Array): string[] {
  const names = new DerReader(readDer(value, TAG.sequence).content)
  const uris: string[] = []
  while (!names.done) {
    const name = names.next()
    checkGeneralName(name)
    if (name.tag !== GENERAL_NAME.uri) continue
    if (name.content.some((byte) => byte >= 0x80)) throw refuse('a URI name that is not ASCII')
    uris.push(fromUtf8(name.content))
  }
  return uris
}

/**
 * Names that we do not read must be names all the same (RFC 5280 §4.2.1.6): OpenSSL gives up on the whole extension otherwise, and sees
 * nobody where we see somebody. X.400 and EDI names, which nobody uses, are refused.
 */
function checkGeneralName({ tag, content }: DerElement): void {
  if (tag === GENERAL_NAME.otherName) {
    const other = new DerReader(content)
    derOid(other.next(TAG.oid))
    checkUnread(readDer(other.next(0xa0).content))
    other.end()
  } else if (tag === GENERAL_NAME.directoryName) nameOf(readDer(content, TAG.sequence))
  else if (tag === GENERAL_NAME.registeredId) derOid({ tag: TAG.oid, content, whole: content })
  else if (!PLAIN_NAMES.has(tag)) throw refuse('an alternative name of no kind that is read')
}

const GENERAL_NAME = { otherName: 0xa0, directoryName: 0xa4, uri: 0x86, registeredId: 0x88 }
/** rfc822Name, dNSName, URI, iPAddress: any bytes. */
const PLAIN_NAMES: ReadonlySet<number> = new Set([0x81, 0x82, GENERAL_NAME.uri, 0x87])

function basicConstraintsOf(value: Uint8Array): { ca: boolean; pathLength?: number } {
  const reader = new DerReader(readDer(value, TAG.sequence).content)
  const flag = reader.optional(TAG.boolean)
  const ca = flag !== undefined && derBoolean(flag)
  if (flag && !ca) throw refuse('a DEFAULT that is written out')
  const length = reader.optional(TAG.integer)
  reader.end()
  return { ca, ...(length ? { pathLength: derSmallUnsigned(length) } : {}) }
}

function keyUsageOf(value: Uint8Array): ReadonlySet<KeyUsage> {
  const names: Record<number, KeyUsage> = { 0: 'digitalSignature', 5: 'keyCertSign', 6: 'cRLSign' }
  return new Set([...derNamedBits(readDer(value))].map((bit) => names[bit] ?? 'other'))
}

function purposesOf(value: Uint8Array): string[] {
  const reader = new DerReader(readDer(value, TAG.sequence).content)
  const purposes: string[] = []
  while (!reader.done) purposes.push(derOid(reader.next(TAG.oid)))
  if (purposes.length === 0) throw refuse('an empty extKeyUsage')
  return purposes
}

const OID = {
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  authorityKeyId: '2.5.29.35',
  extKeyUsage: '2.5.29.37',
}

function refuse(why: string, cause?: unknown): ProvenanceError {
  const options = cause instanceof EvidenceError ? { cause } : undefined
  return new ProvenanceError('malformed_credential', `certificate: ${why}`, options)
}
