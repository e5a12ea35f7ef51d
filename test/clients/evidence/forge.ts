/**
 * A vendor for tests: certificates, revocation lists and keys as hardware vendors make them, written byte by byte, so that a test can
 * make each of them wrong in one way. Everything is made anew when the tests start; no file of it can go stale.
 *
 * @module
 */
import { constants, createHash, type KeyObject, sign } from 'node:crypto'
import { concatBytes, fromHex, utf8 } from '../../../merkle/index.ts'
import { newKeyPair } from '../../key-pairs.ts'

export const sha256Hex = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

// DER (X.690), the few kinds that certificates are made of.

export function der(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const content = concatBytes(...contents)
  const { length } = content
  const head =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : length < 0x10000
          ? [tag, 0x82, length >> 8, length & 0xff]
          : [tag, 0x83, length >> 16, (length >> 8) & 0xff, length & 0xff]
  return concatBytes(Uint8Array.from(head), content)
}

export const seq = (...contents: readonly Uint8Array[]): Uint8Array => der(0x30, ...contents)
export const octets = (content: Uint8Array): Uint8Array => der(0x04, content)
export const boolean = (value: boolean): Uint8Array => der(0x01, Uint8Array.of(value ? 0xff : 0))

/** A non-negative INTEGER. */
export function integer(value: number | bigint): Uint8Array {
  let hex = value.toString(16)
  if (hex.length % 2 === 1) hex = `0${hex}`
  const bytes = fromHex(hex)
  return der(0x02, bytes[0]! >= 0x80 ? concatBytes(Uint8Array.of(0), bytes) : bytes)
}

export function oid(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const bytes = [40 * first + second, ...rest].flatMap((arc) => {
    const digits = [arc & 0x7f]
    for (let more = Math.floor(arc / 128); more > 0; more = Math.floor(more / 128)) digits.unshift(0x80 | (more & 0x7f))
    return digits
  })
  return der(0x06, Uint8Array.from(bytes))
}

/** GeneralizedTime after 2049 and UTCTime before, of POSIX seconds. */
export function time(seconds: number): Uint8Array {
  const text = new Date(seconds * 1000).toISOString().replace(/[-:T]|\.000/g, '')
  return Number(text.slice(0, 4)) < 2050 ? der(0x17, utf8(text.slice(2))) : der(0x18, utf8(text))
}

export const name = (common: string): Uint8Array => seq(der(0x31, seq(oid('2.5.4.3'), der(0x0c, utf8(common)))))

const ALGORITHM = {
  ES256: seq(oid('1.2.840.10045.4.3.2')),
  ES384: seq(oid('1.2.840.10045.4.3.3')),
  PS384: fromHex(
    '304606092a864886f70d01010a3039a00f300d06096086480165030402020500a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130a303020101',
  ),
}
export type SignatureName = keyof typeof ALGORITHM

export interface Keys {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

export const ecKeys = (curve: 'P-256' | 'P-384'): Keys => newKeyPair('ec', { namedCurve: curve })
export const rsaKeys = (): Keys => newKeyPair('rsa', { modulusLength: 3072 })

function signed(content: Uint8Array, algorithm: SignatureName, key: KeyObject): Uint8Array {
  const signature =
    algorithm === 'PS384'
      ? sign('sha384', content, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 48 })
      : sign(algorithm === 'ES256' ? 'sha256' : 'sha384', content, key)
  return seq(content, ALGORITHM[algorithm], der(0x03, Uint8Array.of(0), signature))
}

export interface Extension {
  readonly id: string
  readonly critical?: boolean
  readonly value: Uint8Array
}

export const basicConstraints = (authority: boolean, pathLength?: number): Extension => ({
  id: '2.5.29.19',
  critical: true,
  value: seq(...(authority ? [boolean(true)] : []), ...(pathLength === undefined ? [] : [integer(pathLength)])),
})

/** `bits` as one octet, most significant first: 0x80 digitalSignature, 0x04 keyCertSign, 0x02 cRLSign. */
export const keyUsage = (bits: number): Extension => {
  const unused = Math.log2(bits & -bits)
  return { id: '2.5.29.15', critical: true, value: der(0x03, Uint8Array.of(unused, bits)) }
}

/** What a CA of a vendor has. */
export const authorityExtensions = [basicConstraints(true), keyUsage(0x06)]

export interface CertificateContent {
  readonly subject: string
  readonly issuer: string
  readonly serial?: number
  readonly notBefore: number
  readonly notAfter: number
  readonly publicKey: KeyObject
  readonly extensions: readonly Extension[]
  readonly signer: { readonly key: KeyObject; readonly algorithm: SignatureName }
}

/** A certificate (RFC 5280 §4.1), DER. */
export function certificate(content: CertificateContent): Uint8Array {
  const { serial = 1, notBefore, notAfter, publicKey, extensions, signer } = content
  const body = seq(
    der(0xa0, integer(2)),
    integer(serial),
    ALGORITHM[signer.algorithm],
    name(content.issuer),
    seq(time(notBefore), time(notAfter)),
    name(content.subject),
    new Uint8Array(publicKey.export({ format: 'der', type: 'spki' })),
    ...(extensions.length === 0 ? [] : [der(0xa3, seq(...extensions.map(extension)))]),
  )
  return signed(body, signer.algorithm, signer.key)
}

function extension({ id, critical, value }: Extension): Uint8Array {
  return seq(oid(id), ...(critical ? [boolean(true)] : []), octets(value))
}

export interface RevocationListContent {
  readonly issuer: string
  readonly thisUpdate: number
  readonly nextUpdate: number
  readonly serials: readonly number[]
  readonly extensions?: readonly Extension[]
  readonly signer: { readonly key: KeyObject; readonly algorithm: SignatureName }
}

/** A revocation list (RFC 5280 §5.1), DER. */
export function revocationList(content: RevocationListContent): Uint8Array {
  const { issuer, thisUpdate, nextUpdate, serials, signer, extensions = [] } = content
  const body = seq(
    integer(1),
    ALGORITHM[signer.algorithm],
    name(issuer),
    time(thisUpdate),
    time(nextUpdate),
    ...(serials.length === 0 ? [] : [seq(...serials.map((serial) => seq(integer(serial), time(thisUpdate))))]),
    ...(extensions.length === 0 ? [] : [der(0xa0, seq(...extensions.map(extension)))]),
  )
  return signed(body, signer.algorithm, signer.key)
}

export function pem(label: 'CERTIFICATE' | 'X509 CRL', bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}
