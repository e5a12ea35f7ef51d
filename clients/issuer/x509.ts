/**
 * X.509 for workloads: the anchor of a trust domain, and the certificates that it issues (X509-SVID, workload-creds §6).
 *
 *     anchor       CN = the trust domain     URI spiffe://bank.example             CA:TRUE, pathLen 0, keyCertSign
 *     certificate  no subject name           URI spiffe://bank.example/payments    digitalSignature, client and server auth
 *
 * The identity is in one place, the URI name, which is critical because the subject is empty (RFC 5280 §4.1.2.6). Certificates
 * are only made here: checking them is `provenance/certificates/certificate-path.ts`, because the library judges nothing.
 *
 * @module
 */
// Before the library: it resolves its parts through reflection.
import 'reflect-metadata'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Name,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'
import { sha256, toBase64, toHex } from '../../merkle/index.ts'
import { DerReader, derBytesOfBits, readDer, TAG } from '../../provenance/certificates/der.ts'
import {
  type Certificate,
  encodeLogReference,
  LOG_REFERENCE_OID,
  type LogReference,
  parseCertificate,
  parseTrustDomain,
  parseWorkloadIdentifier,
  spkiOfJwk,
} from '../../provenance/index.ts'
import {
  algorithmsOf,
  jwkThumbprint,
  type PrivateJwk,
  publicJwkOf,
  type SigningKey,
  signingKeyOf,
  type VerificationJwk,
} from '../../statement/index.ts'
import { IssuerError } from './error.ts'

export interface AnchorRequest {
  /** The Credential Issuer's key: certificates are issued with it. */
  readonly key: PrivateJwk
  readonly trustDomain: string
  /** POSIX seconds. */
  readonly now: number
  /** Of 365 days each; 5 unless said otherwise. */
  readonly years?: number
  readonly random: (length: number) => Uint8Array
}

export interface Anchor {
  readonly der: Uint8Array
  readonly pem: string
  /** POSIX seconds, both inclusive. */
  readonly notBefore: number
  readonly notAfter: number
}

export interface CertificateRequest {
  /** DER of the certificate to issue under. */
  readonly anchor: Uint8Array
  /** DER of those above it, when it is an intermediate: up to the one that the trust domain's bundle has. */
  readonly above?: readonly Uint8Array[]
  /** The anchor's key. */
  readonly key: PrivateJwk
  /** A workload identifier in the anchor's trust domain. */
  readonly subject: string
  readonly workloadJwk: VerificationJwk
  /** 16 random bytes: {@link serialNumber} makes them positive. */
  readonly serial: Uint8Array
  /** Which entry of which log announced it. */
  readonly logReference?: LogReference
  /** POSIX seconds, both inclusive. */
  readonly notBefore: number
  readonly notAfter: number
}

/** A self-signed CA certificate, which a trust domain's members take as its anchor. */
export async function createAnchor({ key: jwk, trustDomain, now, years = 5, random }: AnchorRequest): Promise<Anchor> {
  const key = await signingKeyOf(jwk)
  const name = new Name([{ CN: [parseTrustDomain(trustDomain)] }])
  const notAfter = now + years * 365 * 86_400
  const der = await sign(key, {
    serial: random(16),
    issuer: name,
    subject: name,
    publicJwk: publicJwkOf(jwk),
    notBefore: now,
    notAfter,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      new SubjectAlternativeNameExtension([{ type: 'url', value: `spiffe://${trustDomain}` }]),
      new SubjectKeyIdentifierExtension(keyIdentifier(publicJwkOf(jwk))),
    ],
  })
  return { der, pem: encodePem(der), notBefore: now, notAfter }
}

/**
 * Issues a workload certificate: DER.
 *
 * @throws {@link IssuerError} `anchor_mismatch`, `anchor_expired`, `lifetime_too_long`
 * @throws ProvenanceError `malformed_identifier`; StatementError `unsupported_key`
 */
export async function issueCertificate(request: CertificateRequest): Promise<Uint8Array> {
  const { key: jwk, subject, workloadJwk, serial, notBefore, notAfter, logReference } = request
  const anchor = parseCertificate(request.anchor)
  const { uri, trustDomain } = parseWorkloadIdentifier(subject)
  if (!anchor.publicJwk || jwkThumbprint(anchor.publicJwk) !== jwkThumbprint(publicJwkOf(jwk))) {
    throw new IssuerError('anchor_mismatch', "the anchor is for another key than the issuer's")
  }
  const issuers = [anchor, ...(request.above ?? []).map(parseCertificate)]
  const named = [`spiffe://${trustDomain}`, `wimse://${trustDomain}`]
  if (!issuers.some(({ uris }) => named.some((domain) => uris.includes(domain)))) {
    throw new IssuerError('anchor_mismatch', `the anchor is not for ${trustDomain}`)
  }
  checkDates(issuers, notBefore, notAfter)
  algorithmsOf(workloadJwk)

  return sign(await signingKeyOf(jwk), {
    serial,
    issuer: new X509Certificate(Uint8Array.from(request.anchor)).subjectName,
    publicJwk: workloadJwk,
    notBefore,
    notAfter,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      // Both, as X509-SVID §4.4 has it where the extension is there at all: workloads are clients and servers.
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth, ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension([{ type: 'url', value: uri }], true),
      new SubjectKeyIdentifierExtension(keyIdentifier(workloadJwk)),
      new AuthorityKeyIdentifierExtension(anchor.subjectKeyId ?? keyIdentifier(publicJwkOf(jwk))),
      ...(logReference
        ? [new Extension(LOG_REFERENCE_OID, false, Uint8Array.from(encodeLogReference(logReference)))]
        : []),
    ],
  })
}

/** A certificate that outlives one above it stops verifying before it says so. */
function checkDates(issuers: readonly Certificate[], notBefore: number, notAfter: number): void {
  const from = Math.max(...issuers.map((each) => each.notBefore))
  const to = Math.min(...issuers.map((each) => each.notAfter))
  if (notBefore < from || notBefore > to) {
    throw new IssuerError('anchor_expired', `the anchor is valid from ${from} to ${to}`)
  }
  if (notAfter > to) throw new IssuerError('lifetime_too_long', `until ${notAfter}, and the anchor ends at ${to}`)
}

/** PEM of one certificate (RFC 7468). */
export function encodePem(der: Uint8Array): string {
  const lines = toBase64(der).match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}

interface Content {
  readonly serial: Uint8Array
  readonly issuer: Name
  readonly subject?: Name
  readonly publicJwk: VerificationJwk
  readonly notBefore: number
  readonly notAfter: number
  readonly extensions: Extension[]
}

/** By its curve too: it tells the library how long r and s are. */
const ECDSA_P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

/** Twice through the library: once for the bytes to sign, and again with the signature, so that the key stays behind {@link SigningKey}. */
async function sign(key: SigningKey, content: Content): Promise<Uint8Array> {
  const unsigned = await encode(key, content, new Uint8Array(64).fill(1))
  return encode(key, content, await key.sign(parseCertificate(unsigned).tbs))
}

async function encode(key: SigningKey, content: Content, signature: Uint8Array): Promise<Uint8Array> {
  const { serial, issuer, subject, publicJwk, notBefore, notAfter, extensions } = content
  const certificate = await X509CertificateGenerator.create({
    serialNumber: toHex(serialNumber(serial)),
    issuer,
    ...(subject ? { subject } : {}),
    publicKey: Uint8Array.from(spkiOfJwk(publicJwk)),
    notBefore: new Date(notBefore * 1000),
    notAfter: new Date(notAfter * 1000),
    extensions,
    signingAlgorithm: key.algorithm === 'ES256' ? ECDSA_P256 : { name: 'Ed25519' },
    signature: Uint8Array.from(signature),
  })
  return new Uint8Array(certificate.rawData)
}

/** Positive, and of the same length every time (also when asked again): the first bit is cleared and the second set (RFC 5280 §4.1.2.2). */
export function serialNumber(random: Uint8Array): Uint8Array {
  const serial = random.slice()
  serial[0] = (serial[0]! & 0x7f) | 0x40
  return serial
}

/** RFC 7093 §2, method 1: the first 160 bits of the SHA-256 of the key itself. Lower-case hex. */
function keyIdentifier(jwk: VerificationJwk): string {
  const spki = new DerReader(readDer(spkiOfJwk(jwk), TAG.sequence).content)
  spki.next(TAG.sequence)
  return toHex(sha256(derBytesOfBits(spki.next(TAG.bitString))).subarray(0, 20))
}
