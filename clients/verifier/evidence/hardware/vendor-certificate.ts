/**
 * Certificates of hardware vendors: read with `node:crypto`, and what that does not tell read from DER.
 *
 * `X509Certificate.ca` is false for a CA without keyCertSign, `.keyUsage` is the extended one, `.verify()` looks at the signature
 * alone, and neither criticality nor unknown extensions show at all. So Node checks signatures, and the rest is read here.
 *
 * `provenance/certificates/certificate.ts` is stricter, as it can be with certificates that were made for our profile. These were made years ago, burnt
 * into firmware, and some are not quite DER: the keyUsage of AMD's ASKs ends with zero bits.
 *
 * @module
 */
import { createHash, type KeyObject, X509Certificate } from 'node:crypto'
import { equalBytes, toHex } from '../../../../merkle/index.ts'
import {
  DerReader,
  derBoolean,
  derBytesOfBits,
  derOid,
  derSerial,
  derSmallUnsigned,
  derTime,
  readDer,
  TAG,
} from '../../../../provenance/certificates/der.ts'

export interface VendorCertificate {
  readonly der: Uint8Array
  /** SHA-256 of the certificate, lower-case hex: what roots are pinned by. */
  readonly fingerprint: string
  /** For people. Names are compared as DER. */
  readonly name: string
  readonly commonName: string | undefined
  readonly issuer: Uint8Array
  readonly subject: Uint8Array
  /** Lower-case hex, no padding. */
  readonly serial: string
  /** POSIX seconds, both inclusive. */
  readonly notBefore: number
  readonly notAfter: number
  readonly publicKey: KeyObject
  /** Whether the key of `issuer` made the signature, by one of the algorithms that we take. */
  isSignedBy(issuer: VendorCertificate): boolean
  readonly authority: boolean
  readonly pathLength?: number
  /** Absent without the extension, which restricts nothing then. */
  readonly keyUsage?: ReadonlySet<number>
  /** Values by OID. */
  readonly extensions: ReadonlyMap<string, Uint8Array>
  /** OIDs of what is critical and not processed, and of name constraints. */
  readonly unprocessed: readonly string[]
}

/** Bits of keyUsage (RFC 5280 §4.2.1.3). */
export const KEY_CERT_SIGN = 5
export const CRL_SIGN = 6

const MAX_CERTIFICATE_BYTES = 16 * 1024

const OID = { keyUsage: '2.5.29.15', basicConstraints: '2.5.29.19', nameConstraints: '2.5.29.30' }

export interface SignatureAlgorithm {
  readonly hash: 'sha256' | 'sha384' | 'sha512'
  readonly scheme: 'ecdsa' | 'rsa' | 'rsa-pss'
}

const PSS_SHA384 =
  '06092a864886f70d01010a3034a00f300d06096086480165030402020500a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130'

/** AlgorithmIdentifiers as whole DER: their parameters are part of what must match. Node then verifies by them. */
const SIGNATURE_ALGORITHMS: ReadonlyMap<string, SignatureAlgorithm> = new Map([
  ['300a06082a8648ce3d040302', { hash: 'sha256', scheme: 'ecdsa' }],
  ['300a06082a8648ce3d040303', { hash: 'sha384', scheme: 'ecdsa' }],
  ['300d06092a864886f70d01010b0500', { hash: 'sha256', scheme: 'rsa' }],
  ['300d06092a864886f70d01010c0500', { hash: 'sha384', scheme: 'rsa' }],
  ['300d06092a864886f70d01010d0500', { hash: 'sha512', scheme: 'rsa' }],
  [`3041${PSS_SHA384}`, { hash: 'sha384', scheme: 'rsa-pss' }],
  // With the trailer field, which is the default and so should not be there. AMD writes it.
  [`3046${PSS_SHA384.replace('3034', '3039')}a303020101`, { hash: 'sha384', scheme: 'rsa-pss' }],
])

/** The signature algorithm, if it is one that we take. */
export function signatureAlgorithm(identifier: Uint8Array): SignatureAlgorithm | undefined {
  return SIGNATURE_ALGORITHMS.get(toHex(identifier))
}

/**
 * Reads one certificate. What it throws is of whoever reads DER or of OpenSSL: callers know whether they were reading evidence or
 * collateral, and say so.
 */
export function readVendorCertificate(der: Uint8Array): VendorCertificate {
  if (der.length > MAX_CERTIFICATE_BYTES) throw new Error('a certificate that is too long')
  const outer = new DerReader(readDer(der, TAG.sequence).content)
  const body = new DerReader(outer.next(TAG.sequence).content)
  const algorithm = outer.next(TAG.sequence).whole
  derBytesOfBits(outer.next(TAG.bitString))
  outer.end()

  const version = body.optional(0xa0)
  if (!version || derSmallUnsigned(readDer(version.content)) !== 2) throw new Error('not X.509 version 3')
  const serial = derSerial(body.next(TAG.integer))
  if (!equalBytes(body.next(TAG.sequence).whole, algorithm)) throw new Error('two signature algorithms')
  const issuer = body.next(TAG.sequence).whole
  const validity = body.sequence()
  const [notBefore, notAfter] = [derTime(validity.next()), derTime(validity.next())]
  validity.end()
  const subject = body.next(TAG.sequence).whole
  body.next(TAG.sequence) // subjectPublicKeyInfo: OpenSSL reads it
  body.optional(0x81)
  body.optional(0x82)
  const extensions = body.optional(0xa3)
  body.end()

  const x509 = new X509Certificate(der)
  const { publicKey } = x509
  checkKey(publicKey)
  return {
    der,
    fingerprint: createHash('sha256').update(der).digest('hex'),
    name: x509.subject.replaceAll('\n', ', '),
    // One attribute a line; Node escapes line breaks in them.
    commonName: /^CN=(.*)$/m.exec(x509.subject)?.[1],
    issuer,
    subject,
    serial,
    notBefore,
    notAfter,
    publicKey,
    isSignedBy(authority) {
      try {
        return signatureAlgorithm(algorithm) !== undefined && x509.verify(authority.publicKey)
      } catch {
        return false // a key of another kind than the signature
      }
    },
    ...readExtensions(extensions?.content),
  }
}

/** Curves by name, so that a key with parameters of its own making is none. */
function checkKey(key: KeyObject): void {
  const { namedCurve = '', modulusLength = 0 } = key.asymmetricKeyDetails ?? {}
  const sound =
    key.asymmetricKeyType === 'ec'
      ? namedCurve === 'prime256v1' || namedCurve === 'secp384r1'
      : (key.asymmetricKeyType === 'rsa' || key.asymmetricKeyType === 'rsa-pss') && modulusLength >= 2048
  if (!sound) throw new Error(`a key of another kind: ${key.asymmetricKeyType} ${namedCurve || modulusLength}`)
}

type Extensions = Pick<VendorCertificate, 'authority' | 'pathLength' | 'keyUsage' | 'extensions' | 'unprocessed'>

function readExtensions(content: Uint8Array | undefined): Extensions {
  const extensions = new Map<string, Uint8Array>()
  const unprocessed: string[] = []
  const list = content ? new DerReader(readDer(content, TAG.sequence).content) : new DerReader(new Uint8Array())
  while (!list.done) {
    const extension = list.sequence()
    const oid = derOid(extension.next(TAG.oid))
    const flag = extension.optional(TAG.boolean)
    const critical = flag !== undefined && derBoolean(flag)
    const value = extension.next(TAG.octetString).content
    extension.end()
    // RFC 5280 §4.2: at most one of each. With two, readers would disagree on which counts.
    if (extensions.has(oid)) throw new Error(`two extensions ${oid}`)
    extensions.set(oid, value)
    const processed = oid === OID.keyUsage || oid === OID.basicConstraints
    if ((critical && !processed) || oid === OID.nameConstraints) unprocessed.push(oid)
  }
  const usage = extensions.get(OID.keyUsage)
  return {
    ...basicConstraints(extensions.get(OID.basicConstraints)),
    ...(usage ? { keyUsage: usageBits(usage) } : {}),
    extensions,
    unprocessed,
  }
}

function basicConstraints(value: Uint8Array | undefined): { authority: boolean; pathLength?: number } {
  if (!value) return { authority: false }
  const reader = new DerReader(readDer(value, TAG.sequence).content)
  const flag = reader.optional(TAG.boolean)
  const length = reader.optional(TAG.integer)
  reader.end()
  return {
    authority: flag !== undefined && derBoolean(flag),
    ...(length ? { pathLength: derSmallUnsigned(length) } : {}),
  }
}

/** Not `derNamedBits`: zero bits at the end are forgiven here. */
function usageBits(value: Uint8Array): ReadonlySet<number> {
  const [unused = 8, ...bytes] = readDer(value, TAG.bitString).content
  if (unused > 7) throw new Error('keyUsage is no BIT STRING')
  const bits = new Set<number>()
  bytes.forEach((byte, at) => {
    for (let bit = 0; bit < 8; bit++) if (byte & (0x80 >> bit)) bits.add(8 * at + bit)
  })
  return bits
}
